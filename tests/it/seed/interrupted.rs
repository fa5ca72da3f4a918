//! What cloud-init runs of a seed: at every boot until all of it was done once, and what it takes away of a seed before.

use fs_err as fs;
use seedkit::seed::NodeSeed;

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
