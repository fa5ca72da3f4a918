//! The staging script: all of the payload or nothing, once per seed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;

use seedkit::seed::NodeSeed;

use super::machine::Machine;
use super::{HOSTILE, built, lab, payload_file, text, with_authorities};

#[test]
fn every_file_lands_with_its_content_and_mode() {
    let seed = lab().swap_remove(0);
    let tree = built(&seed);
    let machine = Machine::new(&seed);
    machine.insert(&tree);
    machine.stage_well();
    let payload = |path: &str| text(&tree, &format!("payload/root/{path}"));
    for (path, mode, expected) in [
        ("local/bin/k3s", 0o755, "#!/bin/sh\necho k3s\n".to_owned()),
        ("var/lib/rancher/k3s/agent/images/airgap-images-0123456789ab.tar", 0o644, "images\n".to_owned()),
        ("opt/문서/read me 'first'.txt", 0o640, HOSTILE.to_owned()),
        ("etc/rancher/k3s/config.yaml", 0o600, payload("etc/rancher/k3s/config.yaml")),
        ("etc/rancher/k3s/registries.yaml", 0o600, payload("etc/rancher/k3s/registries.yaml")),
        ("etc/rancher/k3s/registry-ca.crt", 0o644, payload("etc/rancher/k3s/registry-ca.crt")),
        ("etc/rancher/node/password", 0o600, "node-password\n".to_owned()),
        ("var/lib/seedkit/staged", 0o600, text(&tree, "payload/seed-id")),
    ] {
        assert_eq!(machine.file(path), (mode, expected), "{path}");
    }
    for tool in ["kubectl", "crictl", "ctr"] {
        let link = fs::read_link(machine.root().join("local/bin").join(tool));
        // A tool that the machine has already keeps its name.
        assert!(
            link.is_ok_and(|target| target == Path::new("k3s")) || Path::new("/usr/bin").join(tool).exists(),
            "{tool}"
        );
    }
    let folder = fs::metadata(machine.root().join("var/lib/rancher/k3s/agent/images")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o755);
    assert!(
        !machine.listing().keys().any(|path| path.contains("seedkit-new")),
        "{:?}",
        machine.listing().keys()
    );
}

#[test]
fn a_second_run_changes_nothing() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    machine.stage_well();
    let before = machine.listing();
    assert!(machine.stage_well().contains("in place already"));
    assert_eq!(machine.listing(), before);
    machine.eject();
    assert!(machine.stage_well().contains("no seed disc"));
    assert_eq!(machine.listing(), before);
}

#[test]
fn without_a_disc_a_new_node_is_not_started() {
    let machine = Machine::new(&lab()[0]);
    let said = machine.fails("seedkit-stage");
    assert!(said.contains("no disc labelled CIDATA"), "{said}");
}

#[test]
fn a_damaged_payload_is_named_and_places_nothing() {
    let seed = lab().swap_remove(0);
    for victim in [
        "root/usr/local/bin/k3s",
        "root/etc/rancher/k3s/config.yaml",
        "FILES",
        "seed-id",
        "SHA256SUMS",
        "root/opt/문서/read me 'first'.txt",
    ] {
        let machine = Machine::new(&seed);
        machine.insert(&built(&seed));
        let before = machine.listing();
        let path = machine.root().join("seed/disc/payload").join(victim);
        let mut bytes = fs::read(&path).unwrap();
        bytes[2] ^= 1;
        fs::write(&path, bytes).unwrap();
        let said = machine.fails("seedkit-stage");
        assert!(said.contains("damaged; nothing was placed"), "{victim}: {said}");
        assert!(victim == "SHA256SUMS" || said.contains(&format!("{victim}: FAILED")), "{victim}: {said}");
        assert_eq!(machine.listing(), before, "{victim}");
    }
}

#[test]
fn a_file_missing_from_the_disc_places_nothing() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    let before = machine.listing();
    fs::remove_file(machine.root().join("seed/disc/payload/root/usr/local/bin/k3s")).unwrap();
    let said = machine.fails("seedkit-stage");
    assert!(said.contains("damaged"), "{said}");
    assert_eq!(machine.listing(), before);
}

#[test]
fn a_copy_that_fails_leaves_nothing_behind() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    // A file where a folder is needed, for the last file of all.
    fs::write(machine.root().join("var/lib/rancher"), "").unwrap();
    let before = machine.listing();
    let said = machine.fails("seedkit-stage");
    assert!(said.contains("cannot copy /var/lib/rancher"), "{said}");
    assert_eq!(machine.listing(), before);
}

#[test]
fn a_changed_seed_is_staged_anew_and_clears_what_is_gone() {
    let mut seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    machine.stage_well();
    seed.payload[1] = payload_file(
        "/var/lib/rancher/k3s/agent/images/airgap-images-ba9876543210.tar",
        0o644,
        "newer images\n",
    );
    seed.payload[2].mode = 0o600;
    let tree = built(&seed);
    machine.insert(&tree);
    machine.stage_well();
    let listing = machine.listing();
    let images: Vec<_> = listing.keys().filter(|path| path.contains("/images/")).collect();
    assert_eq!(images, ["var/lib/rancher/k3s/agent/images/airgap-images-ba9876543210.tar"]);
    assert_eq!(machine.file("opt/문서/read me 'first'.txt"), (0o600, HOSTILE.to_owned()));
    assert_eq!(machine.file("var/lib/seedkit/staged").1, text(&tree, "payload/seed-id"));
}

#[test]
fn authorities_lie_in_folders_of_their_own_that_nobody_else_enters() {
    let seed = with_authorities("first");
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    machine.stage_well();
    let mode = |path: &str| fs::metadata(machine.root().join(path)).unwrap().permissions().mode() & 0o7777;
    let server = "var/lib/rancher/k3s/server";
    for folder in [server.to_owned(), format!("{server}/tls"), format!("{server}/tls/etcd")] {
        assert_eq!(mode(&folder), 0o700, "{folder}");
    }
    assert_eq!((mode("var/lib/rancher/k3s"), mode("var/lib/rancher")), (0o755, 0o755));
    assert_eq!(
        machine.file(&format!("{server}/tls/server-ca.crt")),
        (0o644, "first certificate\n".to_owned())
    );
    assert_eq!(machine.file(&format!("{server}/tls/etcd/peer-ca.key")), (0o600, "first key\n".to_owned()));
}

#[test]
fn a_cluster_that_was_started_keeps_its_own_authorities() {
    let machine = Machine::new(&with_authorities("first"));
    let stage = |seed: &NodeSeed| {
        machine.insert(&built(seed));
        machine.stage_well();
    };
    let certificate =
        || fs::read_to_string(machine.root().join("var/lib/rancher/k3s/server/tls/server-ca.crt"));
    stage(&with_authorities("first"));
    // Until k3s starts, the seed decides.
    stage(&with_authorities("second"));
    assert_eq!(certificate().unwrap(), "second certificate\n");
    stage(&lab()[0]);
    assert!(certificate().is_err());
    stage(&with_authorities("third"));
    fs::create_dir_all(machine.root().join("var/lib/rancher/k3s/server/cred")).unwrap();
    for seed in [with_authorities("fourth"), lab().swap_remove(0), with_authorities("third")] {
        stage(&seed);
        assert_eq!(certificate().unwrap(), "third certificate\n");
    }
}
