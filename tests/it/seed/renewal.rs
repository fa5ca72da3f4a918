//! What a new seed does to a node that has one, and staging that fails.

use fs_err as fs;
use serde_json::{Value, json};

use super::completion::{DONE, answer, seed_id, started, stem, timeless};
use super::machine::Machine;
use super::{built, lab};

#[test]
fn a_new_seed_takes_the_markers_of_the_old_one_away_whatever_its_role() {
    for stale in ["k3s-bootstrap.done", "k3s-bootstrap.failed", "k3s-agent-bootstrap.done"] {
        let seed = lab().swap_remove(2);
        let machine = Machine::new(&seed);
        fs::write(machine.root().join("var/lib").join(stale), "{}\n").unwrap();
        machine.insert(&built(&seed));
        machine.stage_well();
        assert!(!machine.root().join("var/lib").join(stale).exists(), "{stale}");
    }
}

#[test]
fn staging_that_fails_says_why_in_the_marker_of_the_role() {
    for seed in lab() {
        let tree = built(&seed);
        let machine = Machine::new(&seed);
        let marked = |machine: &Machine| {
            let (end, marker) = machine.marker(stem(&seed)).unwrap();
            assert_eq!((end, &marker["role"]), ("failed", &json!(seed.k3s.membership.role())));
            assert_eq!(marker["k3s_version"], Value::Null);
            timeless(marker)
        };
        machine.fails("seedkit-stage");
        let marker = marked(&machine);
        assert_eq!(marker["seed_id"], Value::Null);
        assert_eq!(
            marker["reason"],
            "there is no disc labelled CIDATA or cidata, and no seed was placed before"
        );
        // One bit of one file, and the disc has it.
        machine.insert(&tree);
        let victim = machine.root().join("seed/disc/payload/root/usr/local/bin/k3s");
        let mut bytes = fs::read(&victim).unwrap();
        bytes[2] ^= 1;
        fs::write(&victim, bytes).unwrap();
        machine.fails("seedkit-stage");
        let marker = marked(&machine);
        assert_eq!((&marker["seed_id"], &marker["images_expected"]), (&json!(seed_id(&seed)), &json!(2)));
        let expected = format!(
            "the payload of seed {} is damaged; nothing was placed: root/usr/local/bin/k3s: FAILED \
             sha256sum: WARNING: 1 computed checksum did NOT match",
            seed_id(&seed)
        );
        assert_eq!(marker["reason"], expected);
        machine.eject();
        fs::create_dir_all(machine.root().join("seed/disc")).unwrap();
        machine.fails("seedkit-stage");
        assert_eq!(marked(&machine)["reason"], "the disc /dev/sr0 has no payload/seed-id");
        // Whole again, it is placed, and the failure is of the past.
        machine.insert(&tree);
        machine.stage_well();
        assert_eq!(machine.marker(stem(&seed)), None);
    }
}

#[test]
fn a_node_that_is_done_restarts_for_a_new_seed_so_that_cloud_init_reads_it() {
    let mut seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "server", "True");
    answer(&machine, "images", DONE);
    machine.completes();
    let before = machine.listing();
    seed.timezone = "Europe/Berlin".to_owned();
    machine.insert(&built(&seed));
    machine.fails("seedkit-stage");
    assert_eq!(machine.file("answers/systemctl").1, "--no-block reboot\n");
    assert_eq!(machine.marker("k3s-bootstrap"), None, "neither done nor failed");
    let mut after = machine.listing();
    let disabled = before.iter().find(|(path, _)| path.ends_with("cloud-init.disabled")).unwrap();
    assert!(after.insert(disabled.0.clone(), disabled.1.clone()).is_none(), "cloud-init still rests");
    assert_eq!(after, before, "nothing is placed before the restart");
    machine.stage_well();
    assert_eq!(machine.file("var/lib/seedkit/staged").1.trim_end(), seed_id(&seed));
}
