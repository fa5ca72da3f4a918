//! What a node is set to: who may log in and how, that it looks for no network, and the files that say what is so.

use std::process::Stdio;

use fs_err as fs;
use seedkit::seed::NodeSeed;

use super::machine::Machine;
use super::{BUNDLE, built, lab, written_files};
use crate::support::oracle;

fn written(seed: &NodeSeed, path: &str) -> String {
    let files = written_files(&built(seed));
    files.into_iter().find(|(found, ..)| found == path).unwrap_or_else(|| panic!("{path} is not written")).2
}

/// Has sshd read the drop-in among those of others, as Debian's own configuration has it, and returns its settings.
fn sshd_settings(drop_in: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(folder.path().join("sshd_config.d")).unwrap();
    // What cloud images and cloud-init may leave there.
    for name in ["50-cloud-init.conf", "60-cloudimg-settings.conf"] {
        fs::write(path(&format!("sshd_config.d/{name}")), "PasswordAuthentication yes\n").unwrap();
    }
    fs::write(path("sshd_config.d/10-seedkit.conf"), drop_in).unwrap();
    let main =
        "PasswordAuthentication yes\nKbdInteractiveAuthentication yes\nPermitRootLogin yes\nUsePAM yes\n";
    let include = format!("Include {}\n", path("sshd_config.d/*.conf"));
    fs::write(path("sshd_config"), include + main).unwrap();
    oracle::run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", &path("host")]);
    // It looks for a folder of its own in /run.
    let script = "mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -T -f \"$1\" -h \"$2\"";
    let arguments = ["-m", "sh", "-c", script, "sh", &path("sshd_config"), &path("host")];
    oracle::text("unshare", arguments).lines().map(str::to_owned).collect()
}

#[test]
fn sshd_takes_keys_only_whatever_else_configures_it() {
    for (user, root) in [("ops", "permitrootlogin no"), ("root", "permitrootlogin without-password")] {
        let mut seed = lab().swap_remove(0);
        seed.ssh.user = user.to_owned();
        let settings = sshd_settings(&written(&seed, "/etc/ssh/sshd_config.d/10-seedkit.conf"));
        for expected in ["passwordauthentication no", "kbdinteractiveauthentication no", root] {
            assert!(settings.iter().any(|line| line == expected), "{expected} is not among {settings:?}");
        }
    }
    let settings = sshd_settings("# nothing\n");
    assert!(settings.contains(&"passwordauthentication yes".to_owned()), "the oracle would see a difference");
}

/// Has chrony read its sources among what Debian's own configuration says, and returns what it will ask.
fn chronys_servers(sources: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(folder.path().join("sources.d")).unwrap();
    fs::write(path("sources.d/seedkit.sources"), sources).unwrap();
    // Of the folder it speaks only as a daemon.
    let include = format!("makestep 1 3\ninclude {}\n", path("sources.d/seedkit.sources"));
    fs::write(path("chrony.conf"), include).unwrap();
    let printed = oracle::text("chronyd", ["-p", "-f", &path("chrony.conf")]);
    printed.lines().filter(|line| line.contains("iburst")).map(str::to_owned).collect()
}

#[test]
fn the_time_servers_of_the_spec_are_asked_by_chrony_and_timesyncd() {
    let mut seed = lab().swap_remove(0);
    let chrony = |seed: &NodeSeed| chronys_servers(&written(seed, "/etc/chrony/sources.d/seedkit.sources"));
    assert_eq!(chrony(&seed), ["server 192.168.6.1 iburst", "server time.lab.example iburst"]);
    let drop_in = "/etc/systemd/timesyncd.conf.d/50-seedkit.conf";
    let values = |seed: &NodeSeed| -> Vec<String> {
        let text = written(seed, drop_in);
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(values(&seed), ["[Time]", "NTP=192.168.6.1 time.lab.example", "FallbackNTP="]);
    // What a seed before has said is taken back.
    seed.ntp.clear();
    assert!(chrony(&seed).is_empty() && values(&seed).is_empty(), "{}", written(&seed, drop_in));
}

#[test]
fn apt_does_nothing_of_its_own_accord() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts");
    fs::create_dir(&parts).unwrap();
    // What Debian's unattended-upgrades and Ubuntu's update-notifier bring.
    let others = "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n";
    fs::write(parts.join("20auto-upgrades"), others).unwrap();
    fs::write(parts.join("99seedkit"), written(&lab()[0], "/etc/apt/apt.conf.d/99seedkit")).unwrap();
    let main = folder.path().join("apt.conf");
    fs::write(&main, format!("Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"{}\";\n", parts.display()))
        .unwrap();
    let mut command = oracle::command("apt-config");
    let dump = oracle::finish(command.args(["dump", "APT::Periodic"]).env("APT_CONFIG", &main)).stdout;
    let dump = String::from_utf8(dump).unwrap();
    let values: Vec<&str> = dump.lines().filter(|line| !line.ends_with("\"\";")).collect();
    assert_eq!(values.len(), 4, "{dump}");
    assert!(values.iter().all(|line| line.ends_with(" \"0\";")), "{dump}");
}

#[test]
fn what_would_look_for_a_network_is_masked() {
    let user_data = super::values::parsed(&super::text(&built(&lab()[0]), "user-data"));
    let [stop, words] = [3, 4].map(|place| {
        let command = user_data["runcmd"][place].as_array().unwrap();
        command.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(words[..2], ["systemctl", "mask"]);
    // Not `mask --now`: it masks first, and a timer that runs then fails for the unit that it would start.
    assert_eq!(stop[..2], ["systemctl", "stop"]);
    assert_eq!(stop[2..], words[2..]);
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("usr/lib/systemd/system")).unwrap();
    for unit in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
        let own = root.path().join("usr/lib/systemd/system").join(unit);
        fs::copy(format!("/usr/lib/systemd/system/{unit}"), own).unwrap();
    }
    let root = format!("--root={}", root.path().display());
    // Units that are not there are masked with the others.
    oracle::run("systemctl", [root.as_str(), "mask"].into_iter().chain(words[2..].iter().copied()));
    for unit in &words[2..] {
        let mut command = oracle::command("systemctl");
        let answer =
            command.args([root.as_str(), "is-enabled", unit]).stderr(Stdio::null()).output().unwrap();
        assert_eq!(String::from_utf8(answer.stdout).unwrap().trim(), "masked", "{unit}");
    }
    for key in ["package_update", "package_upgrade", "package_reboot_if_required"] {
        assert_eq!(user_data[key], false, "{key}");
    }
    for key in ["packages", "snap", "ntp", "apt_update", "phone_home"] {
        assert!(user_data.get(key).is_none(), "{key}");
    }
}

/// A machine on which nothing is so yet.
fn untouched(seed: &NodeSeed) -> Machine {
    let machine = Machine::new(seed);
    for (path, content) in [
        ("proc/swaps", "Filename Type Size Used Priority\n/swap file 1 0 -2\n"),
        ("proc/sys/kernel/hostname", "localhost\n"),
        ("proc/sys/net/ipv4/ip_forward", "0\n"),
        ("answers/enabled", ""),
        ("etc/localtime", "somewhere else"),
    ] {
        put(&machine, path, content);
    }
    for path in ["/etc/sysctl.d/90-k3s.conf", "/etc/modules-load.d/k3s.conf"] {
        put(&machine, &path[1..], &written(seed, path));
    }
    machine
}

fn put(machine: &Machine, path: &str, content: &str) {
    let path = machine.root().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Returns the names of the files that say what is so.
fn observed(machine: &Machine) -> Vec<String> {
    let entries = fs::read_dir(machine.root().join("var/lib")).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "k8s-ops-packages-installed");
    names.sort();
    names
}

type Change = fn(&Machine, &NodeSeed);

/// Each file, and what makes it true.
const FACTS: [(&str, Change); 10] = [
    ("ca-certificates-updated", |machine, _| put(machine, "etc/rancher/k3s/registry-ca.crt", "PEM\n")),
    ("cloud-init-complete", |machine, _| put(machine, "var/lib/cloud/instance/boot-finished", "")),
    ("hostname-set", |machine, seed| {
        put(machine, "proc/sys/kernel/hostname", &format!("{}\n", seed.node.name));
    }),
    ("iso-copy-complete", |machine, _| put(machine, "var/lib/seedkit/staged", "seed\n")),
    ("k8s-ops-installation-complete", |machine, _| {
        put(machine, "var/lib/k8s-ops-packages-installed", &format!("bundle {BUNDLE}\ninstalled now\n"));
    }),
    ("kernel-modules-loaded", |machine, _| {
        for module in ["overlay", "br_netfilter"] {
            put(machine, &format!("sys/module/{module}/version"), "");
        }
    }),
    ("swap-disabled", |machine, _| put(machine, "proc/swaps", "Filename Type Size Used Priority\n")),
    ("sync-time-enabled", |machine, _| put(machine, "answers/enabled", "chrony.service\n")),
    ("sysctl-applied", |machine, seed| {
        for line in written(seed, "/etc/sysctl.d/90-k3s.conf").lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.split_once(" = ").unwrap();
            put(machine, &format!("proc/sys/{}", key.replace('.', "/")), &format!("{value}\n"));
        }
    }),
    ("timezone-set", |machine, seed| {
        let zone = format!("/usr/share/zoneinfo/{}", seed.timezone);
        fs::copy(zone, machine.root().join("etc/localtime")).unwrap();
    }),
];

#[test]
fn each_file_says_what_is_so_and_nothing_before() {
    let seed = lab().swap_remove(0);
    let machine = untouched(&seed);
    machine.succeeds("seedkit-observe");
    let mut expected: Vec<String> = Vec::new();
    assert_eq!(observed(&machine), expected);
    for (name, change) in FACTS {
        change(&machine, &seed);
        machine.succeeds("seedkit-observe");
        expected.push(name.to_owned());
        assert_eq!(observed(&machine), expected);
    }
    let modified = || {
        let path = |name: String| machine.root().join("var/lib").join(name);
        let times = observed(&machine).into_iter().map(|name| fs::metadata(path(name)).unwrap().modified());
        times.map(Result::unwrap).collect::<Vec<_>>()
    };
    let before = modified();
    machine.succeeds("seedkit-observe");
    assert_eq!(modified(), before, "a second look changes nothing");
    machine.succeeds("seedkit-observe forget");
    assert_eq!(observed(&machine), [""; 0]);
}

#[test]
fn a_new_seed_forgets_what_was_so_with_the_old_one() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    for (name, _) in FACTS {
        put(&machine, &format!("var/lib/{name}"), "");
    }
    machine.insert(&built(&seed));
    machine.stage_well();
    assert_eq!(observed(&machine), [""; 0]);
}
