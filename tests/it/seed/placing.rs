//! Staging on machines that are not as they should be, or that have something of their own.

use fs_err as fs;
use seedkit::node::NodePath;
use seedkit::seed::NodeSeed;

use super::machine::Machine;
use super::{built, lab, payload_file, text};

/// A server with its disc in.
fn machine(seed: &NodeSeed) -> Machine {
    let machine = Machine::new(seed);
    machine.insert(&built(seed));
    machine
}

fn reason(machine: &Machine) -> String {
    let (end, marker) = machine.marker("k3s-bootstrap").unwrap();
    assert_eq!(end, "failed");
    marker["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_power_cut_while_a_new_seed_is_placed_leaves_no_mixture_that_passes_for_the_old_one() {
    let mut seed = lab().swap_remove(0);
    let machine = machine(&seed);
    machine.stage_well();
    seed.payload[2].destination = NodePath::own("/opt/new.txt");
    let tree = built(&seed);
    machine.insert(&tree);
    // The first name that is given is also the last thing that happens: `mv` is where the power is cut.
    let cut = "#!/bin/sh\ncase $3 in */opt/new.txt) kill -9 $PPID ;; esac\nexec /usr/bin/mv \"$@\"\n";
    machine.stand_in("mv", cut);
    machine.is_cut_off("seedkit-stage");
    machine.remove_stand_in("mv");
    machine.eject();
    let said = machine.fails("seedkit-stage");
    assert!(said.contains("placing a seed was interrupted, and its disc is gone"), "{said}");
    machine.insert(&tree);
    machine.stage_well();
    let listing = machine.listing();
    assert!(
        !listing.keys().any(|path| path.contains("seedkit-new") || path.ends_with("/placing")),
        "{listing:?}"
    );
    assert!(listing.contains_key("opt/new.txt") && !listing.keys().any(|path| path.starts_with("opt/문서")));
    assert_eq!(machine.file("var/lib/seedkit/staged").1, text(&tree, "payload/seed-id"));
}

#[test]
fn a_tool_that_is_there_keeps_its_name_whoever_placed_it() {
    let mut seed = lab().swap_remove(0);
    seed.payload.push(payload_file("/usr/local/bin/kubectl", 0o755, "#!/bin/sh\n"));
    let machine = machine(&seed);
    fs::write(machine.root().join("local/bin/crictl"), "the image's own").unwrap();
    machine.stage_well();
    assert_eq!(machine.file("local/bin/kubectl").1, "#!/bin/sh\n");
    assert_eq!(machine.file("local/bin/crictl").1, "the image's own");
}

#[test]
fn what_configures_the_system_counts_at_once() {
    let mut seed = lab().swap_remove(0);
    let asked = |seed: &NodeSeed| {
        let machine = machine(seed);
        machine.stage_well();
        fs::read_to_string(machine.root().join("answers/systemctl")).unwrap_or_default()
    };
    assert_eq!(asked(&seed), "");
    for (path, expected) in [
        ("/etc/systemd/system/k3s.service.d/10.conf", "daemon-reload\n"),
        ("/etc/sysctl.d/95-mine.conf", "sysctl --quiet --system\n"),
        ("/etc/ssh/sshd_config.d/50.conf", "--no-block try-reload-or-restart ssh.service\n"),
    ] {
        seed.payload.push(payload_file(path, 0o644, "x\n"));
        assert_eq!(asked(&seed), expected, "{path}");
        seed.payload.pop();
    }
    seed.payload.push(payload_file("/etc/systemd/timesyncd.conf", 0o644, "x\n"));
    assert_eq!(asked(&seed), "daemon-reload\n--no-block try-restart systemd-timesyncd.service\n");
}

#[test]
fn a_name_of_255_bytes_is_placed() {
    let mut seed = lab().swap_remove(0);
    let names = [format!("/opt/{}", "n".repeat(255)), format!("/opt/{}", "한".repeat(85))];
    for name in &names {
        seed.payload.push(payload_file(name, 0o644, name));
    }
    let machine = machine(&seed);
    machine.stage_well();
    for name in &names {
        assert_eq!(machine.file(&name[1..]), (0o644, name.clone()));
    }
}

#[test]
fn a_machine_with_another_network_card_is_told_both_addresses() {
    let seed = lab().swap_remove(0);
    let machine = machine(&seed);
    fs::write(machine.root().join("sys/class/net/eth0/address"), "52:54:00:12:34:ff\n").unwrap();
    let before = machine.listing();
    machine.fails("seedkit-stage");
    let told = reason(&machine);
    let expected = "is for a machine whose network card is 52:54:00:12:34:00; this one has 52:54:00:12:34:ff";
    assert!(told.contains(expected), "{told}");
    assert_eq!(machine.listing(), before);
    let shown = machine.file("etc/issue.d/seedkit.issue").1;
    assert!(shown.starts_with("seedkit: k3s-server1 (192.168.6.10) is failed: seed "), "{shown}");
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn a_disc_that_cloud_init_has_not_read_is_not_placed() {
    let seed = lab().swap_remove(0);
    let machine = machine(&seed);
    let folder = machine.root().join("var/lib/cloud/data");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("instance-id"), "iid-k3s-server1-000000000000\n").unwrap();
    machine.fails("seedkit-stage");
    let told = reason(&machine);
    assert!(
        told.starts_with("cloud-init has read the seed k3s-server1-000000000000, and the disc /dev/sr0 has"),
        "{told}"
    );
    fs::write(folder.join("instance-id"), format!("iid-{}", text(&built(&seed), "payload/seed-id"))).unwrap();
    machine.stage_well();
}
