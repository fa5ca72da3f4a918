//! `seedkit check`: every known failure is found by its own row and by no other, and a good kit has none.

mod autoinstall;
mod cluster;
mod cycles;
mod foreign;
mod host;
mod images;
mod ordering;
mod output;
mod packages;
mod registry;
mod secrets;
mod seed;

use crate::support::broken::BrokenKit;

#[test]
fn a_good_kit_has_no_finding() {
    let kit = BrokenKit::lab();
    let run = kit.run(&["--json"]).succeeds();
    assert_eq!(run.json()["findings"].as_array().unwrap().len(), 0, "{}", run.stdout);
}

#[test]
fn a_disc_that_was_only_taken_apart_and_written_anew_has_no_finding() {
    let kit = BrokenKit::lab();
    kit.seeds(|_| {});
    assert_eq!(kit.findings(), [""; 0]);
}

#[test]
fn good_kits_of_all_kinds_have_no_finding() {
    use crate::support::sandbox::{BUILD, SPEC, Sandbox};
    for change in [
        "seed:\n  payload: shared\n",
        "seed:\n  flavour: autoinstall\n  disk: {size: largest}\n",
        "seed:\n  flavour: autoinstall\n  disk: {serial: QM00001}\n  payload: shared\n",
    ] {
        let sandbox = Sandbox::lab();
        sandbox.edit(SPEC, "seed:\n", change);
        sandbox.seedkit(&BUILD).succeeds();
        let run = sandbox.seedkit(&["check", "kit", "--json"]).succeeds();
        assert_eq!(run.json()["findings"].as_array().unwrap().len(), 0, "{change}: {}", run.stdout);
    }
}

#[test]
fn the_cluster_of_the_boot_proof_has_no_finding() {
    use crate::support::sandbox::{Sandbox, copy_tree};
    let sandbox = Sandbox::lab();
    copy_tree(&crate::support::sandbox::lab().join("../boot"), &sandbox.path("boot"));
    let spec = "boot/seedkit.yaml";
    sandbox.seedkit(&["build", "-f", spec, "-o", "kit"]).succeeds();
    let run = sandbox.seedkit(&["check", "kit", "--json"]).succeeds();
    assert_eq!(run.json()["findings"].as_array().unwrap().len(), 0, "{}", run.stdout);
    let run = sandbox.seedkit(&["check", "-f", spec, "--json"]).succeeds();
    assert_eq!(run.json()["findings"].as_array().unwrap().len(), 0, "{}", run.stdout);
}
