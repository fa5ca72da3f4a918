//! A payload that all nodes share: one disc for what is large, seeds for what is each node's own.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;
use seedkit::node::Flavour;
use seedkit::seed::{Disc, NodeSeed, PayloadFile, shared_disc};
use seedkit::tree::FileTree;

use super::machine::Machine;
use super::{built, lab, text, write};

/// Seeds whose large files are on the shared disc, and that disc.
fn shared_lab() -> (Vec<NodeSeed>, FileTree) {
    let mut contents = BTreeMap::new();
    let mut share = |file: &mut PayloadFile| {
        file.disc = Disc::Shared;
        contents.insert(file.digest, file.content.clone());
    };
    let mut seeds = lab();
    for seed in &mut seeds {
        seed.payload.iter_mut().for_each(&mut share);
        seed.ops.iter_mut().for_each(|ops| share(&mut ops.archive));
    }
    (seeds, shared_disc(contents).unwrap())
}

fn insert_shared(machine: &Machine, disc: &FileTree) {
    write(disc, &machine.root().join("seed/shared"));
}

#[test]
fn a_node_places_from_two_discs_what_it_would_place_from_one() {
    let (seeds, disc) = shared_lab();
    for (shared, embedded) in seeds.iter().zip(lab()) {
        let (one, two) = (Machine::new(&embedded), Machine::new(shared));
        one.insert(&built(&embedded));
        one.stage_well();
        two.insert(&built(shared));
        insert_shared(&two, &disc);
        two.stage_well();
        let listing = |machine: &Machine| {
            let files = machine.listing().into_iter();
            // Only the id says which of the two it was; it is in no other file.
            let files = files.filter(|(path, _)| path != "var/lib/seedkit/staged");
            files.map(|(path, (mode, _, content))| (path, (mode, content))).collect::<BTreeMap<_, _>>()
        };
        let (one, mut two) = (listing(&one), listing(&two));
        assert!(two.remove("run/seedkit/SHA256SUMS").is_some());
        assert_eq!(one, two);
    }
}

#[test]
fn what_is_shared_is_on_no_seed_and_counts_for_its_id() {
    let (mut seeds, _) = shared_lab();
    let tree = built(&seeds[0]);
    for path in ["usr/local/bin/k3s", "var/lib/rancher", "opt"] {
        assert!(!tree.iter().any(|(found, _)| found.as_str().contains(path)), "{path}");
    }
    let list = text(&tree, "payload/SHARED");
    assert!(list.lines().any(|line| line.ends_with(" /usr/local/bin/k3s")), "{list}");
    let id = text(&tree, "payload/seed-id");
    seeds[0].payload[0] = super::payload_file("/usr/local/bin/k3s", 0o755, "another");
    seeds[0].payload[0].disc = Disc::Shared;
    assert_ne!(text(&built(&seeds[0]), "payload/seed-id"), id);
}

#[test]
fn without_the_second_disc_nothing_is_placed_and_the_marker_says_what_to_attach() {
    let (seeds, _) = shared_lab();
    let machine = Machine::new(&seeds[0]);
    machine.insert(&built(&seeds[0]));
    let before = machine.listing();
    machine.fails("seedkit-stage");
    assert_eq!(machine.listing(), before);
    let (end, marker) = machine.marker("k3s-bootstrap").unwrap();
    let reason = marker["reason"].as_str().unwrap();
    assert!(end == "failed" && reason.contains("attach payload.iso as well"), "{reason}");
}

#[test]
fn a_second_disc_that_is_damaged_or_of_another_build_places_nothing() {
    let (seeds, disc) = shared_lab();
    for is_damaged in [true, false] {
        let machine = Machine::new(&seeds[2]);
        machine.insert(&built(&seeds[2]));
        insert_shared(&machine, &disc);
        let victim = format!("seed/shared/sha256/{}", seeds[2].payload[0].digest.hex());
        let victim = machine.root().join(victim);
        if is_damaged {
            fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(&victim, "#!/bin/sh\necho k3z\n").unwrap();
        } else {
            fs::remove_file(&victim).unwrap();
        }
        machine.fails("seedkit-stage");
        assert!(!machine.root().join("local/bin/k3s").exists());
        let (end, marker) = machine.marker("k3s-agent-bootstrap").unwrap();
        let reason = marker["reason"].as_str().unwrap();
        let digest = seeds[2].payload[0].digest.hex();
        assert!(
            end == "failed" && reason.contains("of another build") && reason.contains(&digest),
            "{reason}"
        );
    }
}

#[test]
fn the_installer_reads_both_discs_too() {
    let (seeds, disc) = shared_lab();
    let seed = NodeSeed { flavour: Flavour::Autoinstall, ..seeds[0].clone() };
    let machine = super::autoinstall::installer(&seed, &built(&seed));
    insert_shared(&machine, &disc);
    machine.succeeds("late-commands");
    assert_eq!(machine.file("target/usr/local/bin/k3s"), (0o755, "#!/bin/sh\necho k3s\n".to_owned()));
}
