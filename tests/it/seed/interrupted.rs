//! What cloud-init runs of a seed: at every boot until all of it was done once, and what it takes away of a seed before.

use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use seedkit::seed::NodeSeed;

use super::completion::{DONE, answer, seed_id, started};
use super::machine::Machine;
use super::{built, lab, text};
use crate::support::oracle;

const INSTANCE: &str = "iid-k3s-server1-0123456789ab";

/// Puts the commands that cloud-init runs at every boot where the machine finds them, as cloud-init itself writes them
/// for sh.
fn with_boot_commands(seed: &NodeSeed) -> Machine {
    let machine = Machine::new(seed);
    let commands = super::values::parsed(&text(&built(seed), "user-data"))["bootcmd"].to_string();
    let shellify =
        "import json, sys; from cloudinit import util; print(util.shellify(json.loads(sys.argv[1])))";
    let script = oracle::text("/usr/bin/python3", ["-c", shellify, &commands]);
    let exported = script.replacen('\n', &format!("\nINSTANCE_ID={INSTANCE}\n"), 1);
    machine.add_script("bootcmd", &exported);
    for folder in
        ["var/lib/cloud/data", "var/lib/cloud/instance/sem", "etc/systemd/system/multi-user.target.wants"]
    {
        fs::create_dir_all(machine.root().join(folder)).unwrap();
    }
    fs::write(machine.root().join("var/lib/cloud/data/instance-id"), format!("{INSTANCE}\n")).unwrap();
    machine
}

fn names(machine: &Machine, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(machine.root().join(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn cloud_init_notes_no_name_that_a_power_cut_could_leave_empty() {
    let seed = lab().swap_remove(0);
    let machine = with_boot_commands(&seed);
    let path = machine.root().join("etc/hostname");
    for before in [Some("vm\n"), Some(""), None] {
        match before {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        machine.succeeds("bootcmd");
        assert_eq!(fs::read_to_string(&path).unwrap(), "k3s-server1\n");
        assert_eq!(fs::read_to_string(machine.root().join("answers/hostname")).unwrap(), "k3s-server1\n");
    }
    // What cloud-init does before and after it knows user-data, with a note that a power cut left empty.
    let judge = r#"
import json, logging, os, sys, tempfile
from cloudinit import sources, util
from cloudinit.config import cc_set_hostname
user_data, meta_data = map(json.loads, sys.argv[1:])
class Cloud:
    source = sources.DataSource.__new__(sources.DataSource)
    source.metadata = meta_data
    folder = tempfile.mkdtemp()
    def get_cpath(self, name): return self.folder
    def get_hostname(self, **how): return self.source.get_hostname(**how)
open(os.path.join(Cloud.folder, "set-hostname"), "w").close()
before = util.get_hostname_fqdn({}, Cloud(), metadata_only=True)
assert before.hostname is None, before
cc_set_hostname.handle("set-hostname", user_data, Cloud(), logging.getLogger(), [])
"#;
    let [user_data, meta_data] =
        ["user-data", "meta-data"].map(|name| super::values::parsed(&text(&built(&seed), name)).to_string());
    oracle::text("/usr/bin/python3", ["-c", judge, &user_data, &meta_data]);
}

const SEMAPHORES: &str = "var/lib/cloud/instance/sem";

#[test]
fn what_a_power_cut_interrupted_is_done_again_until_all_of_it_was_done() {
    let seed = lab().swap_remove(0);
    let machine = with_boot_commands(&seed);
    let marked = ["config_scripts_user", "config_users_groups", "config_write_files"];
    let mark = || {
        for name in marked.into_iter().chain(["consume_data"]) {
            fs::write(machine.root().join(SEMAPHORES).join(name), "").unwrap();
        }
    };
    for finished in [None, Some(""), Some("iid-k3s-server1-ba9876543210\n")] {
        fs::create_dir_all(machine.root().join("var/lib/seedkit")).unwrap();
        if let Some(text) = finished {
            fs::write(machine.root().join("var/lib/seedkit/cloud-init-finished"), text).unwrap();
        }
        mark();
        machine.succeeds("bootcmd");
        assert_eq!(names(&machine, SEMAPHORES), ["consume_data"], "{finished:?}");
    }
    // One unit is not enabled yet.
    let units = super::values::parsed(&text(&built(&seed), "user-data"))["runcmd"][1].clone();
    let units: Vec<&str> = units.as_array().unwrap()[2..].iter().map(|unit| unit.as_str().unwrap()).collect();
    fs::write(machine.root().join("answers/enabled"), units[1..].join("\n")).unwrap();
    let said = machine.fails("seedkit-finish");
    assert!(said.contains(&format!("{} is not enabled", units[0])), "{said}");
    mark();
    machine.succeeds("bootcmd");
    assert_eq!(names(&machine, SEMAPHORES), ["consume_data"]);
    fs::write(machine.root().join("answers/enabled"), units.join("\n")).unwrap();
    machine.succeeds("seedkit-finish");
    mark();
    machine.succeeds("bootcmd");
    assert_eq!(names(&machine, SEMAPHORES).len(), marked.len() + 1);
}

#[test]
fn the_units_of_another_role_are_gone_before_they_start() {
    for (number, stale) in [(0, "k3s-agent"), (2, "k3s")] {
        let mut seed = lab().swap_remove(number);
        seed.ops = None;
        let machine = with_boot_commands(&seed);
        let folder = "etc/systemd/system";
        let (wants, own) = (format!("{folder}/multi-user.target.wants"), seed.k3s.membership.unit());
        let stale = [
            format!("{stale}.service"),
            format!("{stale}-bootstrap.service"),
            "k8s-ops-packages.service".into(),
        ];
        for unit in stale.iter().map(String::as_str).chain([own, "somebody.service"]) {
            fs::write(machine.root().join(folder).join(unit), "").unwrap();
            fs::write(machine.root().join(&wants).join(unit), "").unwrap();
        }
        machine.succeeds("bootcmd");
        assert_eq!(names(&machine, &wants), [own, "somebody.service"]);
        assert_eq!(names(&machine, folder), [own, "multi-user.target.wants", "somebody.service"]);
        let mut stopped: Vec<String> =
            machine.file("answers/systemctl").1.lines().map(str::to_owned).collect();
        stopped.sort();
        let mut expected: Vec<String> = stale.iter().map(|unit| format!("--no-block stop {unit}")).collect();
        // On the way out: it holds sshd up.
        expected.push("--no-block mask --now pollinate.service".to_owned());
        expected.sort();
        assert_eq!(stopped, expected);
    }
}

#[test]
fn a_seed_takes_back_the_keys_and_the_user_of_the_one_before_and_nothing_else() {
    let key = |name: &str| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{name:A<42} {name}");
    let finishes = |machine: &Machine, user: &str, keys: &[&str]| {
        let mut seed = lab().swap_remove(0);
        user.clone_into(&mut seed.ssh.user);
        seed.ssh.authorized_keys = keys.iter().map(|name| key(name).parse().unwrap()).collect();
        let files = super::written_files(&built(&seed));
        let finish = files.into_iter().find(|(path, ..)| path.ends_with("/seedkit-finish")).unwrap().2;
        machine.add_script("seedkit-finish", &finish);
        machine.succeeds("seedkit-finish");
    };
    let machine = with_boot_commands(&lab()[0]);
    let root = machine.root();
    let units = super::values::parsed(&text(&built(&lab()[0]), "user-data"))["runcmd"][1].clone();
    let units: Vec<&str> = units.as_array().unwrap()[2..].iter().map(|unit| unit.as_str().unwrap()).collect();
    fs::write(root.join("answers/enabled"), units.join("\n")).unwrap();
    for (path, content) in [
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nops:x:1000:1000::/home/ops:/bin/sh\nnew:x:1001:1001::/home/new:/bin/sh\n",
        ),
        ("etc/shadow", "root:*:1::::::\nops:$6$x$y:1::::::\nnew:!:1::::::\n"),
        ("etc/group", "root:x:0:\nops:x:1000:\nnew:x:1001:\n"),
        (
            "etc/sudoers.d/90-cloud-init-users",
            "# User rules for ops\nops ALL=(ALL) NOPASSWD:ALL\nnew ALL=(ALL) NOPASSWD:ALL\n",
        ),
        ("home/ops/.ssh/authorized_keys", &[key("one"), key("two"), key("own"), String::new()].join("\n")),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let keys = || machine.file("home/ops/.ssh/authorized_keys").1;
    let shadow = |user: &str| {
        let shadow = machine.file("etc/shadow").1;
        shadow.lines().find(|line| line.starts_with(user)).unwrap().to_owned()
    };
    finishes(&machine, "ops", &["one", "two"]);
    assert_eq!(keys(), format!("{}\n{}\n{}\n", key("one"), key("two"), key("own")));
    finishes(&machine, "ops", &["two", "three"]);
    assert_eq!(keys(), format!("{}\n{}\n", key("two"), key("own")), "what a person has added stays");
    finishes(&machine, "new", &["two"]);
    assert_eq!(keys(), format!("{}\n", key("own")));
    assert_eq!(shadow("ops"), "ops:!$6$x$y:1:::::1:", "locked, and expired");
    let rules = machine.file("etc/sudoers.d/90-cloud-init-users").1;
    assert!(!rules.contains("\nops ") && rules.contains("\nnew "), "{rules}");
    assert_eq!(shadow("new"), "new:!:1::::::");
    finishes(&machine, "ops", &["two"]);
    assert!(shadow("ops").ends_with("::::::"), "{}", shadow("ops"));
    assert!(shadow("new").ends_with(":1:"), "{}", shadow("new"));
}

/// `sync` and `mv` as they are, with notes of what is on the disk, and of every file that got its name before it was.
const DISK: [(&str, &str); 2] = [
    (
        "sync",
        "#!/bin/sh\nif [ $# = 0 ]; then find /etc /var/lib -name '*new'; else printf '%s\\n' \"$@\"; fi \
         >>/answers/synced\nexec /usr/bin/sync \"$@\"\n",
    ),
    (
        "mv",
        "#!/bin/sh\nif grep -qsxF -e \"$2\" /answers/synced; then echo \"$3\" >>/answers/whole; \
         else echo \"$3\" >>/answers/hasty; fi\nexec /usr/bin/mv \"$@\"\n",
    ),
];

/// A server on which all is there that its completion waits for.
fn ready(seed: &NodeSeed) -> Machine {
    let machine = started(seed);
    answer(&machine, "server", "True");
    answer(&machine, "images", DONE);
    machine
}

#[test]
fn what_a_node_goes_by_gets_its_name_when_it_is_on_the_disk() {
    let seed = lab().swap_remove(0);
    let machine = ready(&seed);
    for (name, script) in DISK {
        machine.stand_in(name, script);
    }
    let units = super::values::parsed(&text(&built(&seed), "user-data"))["runcmd"][1].clone();
    let units: Vec<&str> = units.as_array().unwrap()[2..].iter().map(|unit| unit.as_str().unwrap()).collect();
    answer(&machine, "enabled", units.join("\n"));
    let cloud = machine.root().join("var/lib/cloud/data");
    fs::create_dir_all(&cloud).unwrap();
    fs::write(cloud.join("instance-id"), format!("iid-{}\n", seed_id(&seed))).unwrap();
    fs::remove_file(machine.root().join("var/lib/seedkit/staged")).unwrap();
    let k3s = machine.file("local/bin/k3s").1;
    machine.stage_well();
    // The seed's own answers nobody.
    fs::write(machine.root().join("local/bin/k3s"), k3s).unwrap();
    machine.succeeds("seedkit-finish");
    machine.completes();
    let notes =
        |name: &str| fs::read_to_string(machine.root().join("answers").join(name)).unwrap_or_default();
    assert_eq!(notes("hasty"), "");
    let whole = notes("whole");
    for path in [
        "/etc/cloud/cloud-init.disabled",
        "/var/lib/k3s-bootstrap.done",
        "/var/lib/seedkit/cloud-init-finished",
        "/var/lib/seedkit/files",
        "/var/lib/seedkit/granted",
        "/var/lib/seedkit/placing",
        "/var/lib/seedkit/staged",
    ] {
        assert!(whole.lines().any(|line| line == path), "{path} is not among {whole}");
    }
}

#[test]
fn cloud_init_rests_before_a_node_is_done() {
    let seed = lab().swap_remove(0);
    let machine = ready(&seed);
    // The power goes when the marker would be written.
    machine.stand_in("seedkit-marker", "#!/bin/sh\nkill -9 $PPID\n");
    machine.fails("seedkit-bootstrap k3s-bootstrap.service");
    assert_eq!(machine.marker("k3s-bootstrap"), None);
    assert!(machine.file("etc/cloud/cloud-init.disabled").1.starts_with("Written by seedkit"));
    machine.remove_stand_in("seedkit-marker");
    machine.completes();
    assert_eq!(machine.marker("k3s-bootstrap").unwrap().0, "done");
}

#[test]
fn a_log_that_is_full_keeps_no_node_from_being_done() {
    let machine = ready(&lab()[0]);
    symlink("/dev/full", machine.root().join("var/log/k3s-bootstrap.log")).unwrap();
    machine.completes();
    assert_eq!(machine.marker("k3s-bootstrap").unwrap().0, "done");
}

#[test]
fn settings_that_a_power_cut_left_empty_are_not_called_applied() {
    let machine = Machine::new(&lab()[0]);
    for path in ["etc/sysctl.d/90-k3s.conf", "etc/modules-load.d/k3s.conf"] {
        let path = machine.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    machine.succeeds("seedkit-observe");
    let seen = names(&machine, "var/lib");
    assert!(!seen.iter().any(|name| name == "sysctl-applied" || name == "kernel-modules-loaded"), "{seen:?}");
}
