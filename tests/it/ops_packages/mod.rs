//! `packages:` of a spec, through the program: a signed repository on loopback -> lock -> bundle -> kit.

mod apt;
mod folder;
mod hostile;
mod loose;
mod repository;
mod unruly;

use std::path::PathBuf;

use fs_err as fs;

use crate::opsbundle::debs::Debs;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};
use repository::Repository;

#[test]
fn packages_are_locked_with_what_they_need_and_packed_from_the_lock_alone() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool");
    let stale = sandbox.seedkit(&BUILD);
    assert!(stale.fails(1).contains("packages"), "{}", stale.stderr);
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    let lock = sandbox.read("lab/seedkit.lock");
    assert!(lock.contains("name = \"library\"") && !lock.contains("bystander"), "{lock}");
    let packed = sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out", "--json"]).succeeds().json();
    assert_eq!(packed["bundles"][0]["packages"], 2);
    drop(repository);
    // Neither mirror nor network: the same bytes, and the same again in the kit.
    sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "again", "--locked", "--offline"]).succeeds();
    sandbox.seedkit(&[&BUILD[..], &["--locked", "--offline"]].concat()).succeeds();
    let [bundle] = &sandbox.names("out")[..] else { panic!("{:?}", sandbox.names("out")) };
    assert_eq!(sandbox.names("again"), sandbox.names("out"));
    for folder in ["again", "kit"] {
        assert_eq!(
            fs::read(sandbox.path(folder).join(bundle)).unwrap(),
            fs::read(sandbox.path("out").join(bundle)).unwrap()
        );
    }
    assert!(sandbox.read("kit/SHA256SUMS").contains(bundle.as_str()));
    let listing = oracle::text("tar", ["-tzf", sandbox.path("out").join(bundle).to_str().unwrap()]);
    let debs: Vec<&str> = listing.lines().filter(|line| line.ends_with(".deb")).collect();
    assert_eq!(debs.len(), 2, "{listing}");
}

/// Returns the folder that a seed's disc becomes.
fn extracted(sandbox: &Sandbox, image: &str) -> PathBuf {
    let target = sandbox.path("disc").join(image);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    let arguments = ["-osirrox", "on:auto_chmod_on", "-indev", image, "-extract", "/"];
    let mut xorriso = oracle::command("xorriso");
    oracle::finish(xorriso.args(arguments).arg(&target).current_dir(sandbox.path("")));
    target
}

#[test]
fn every_seed_of_the_architecture_holds_the_bundle_and_the_unit_that_installs_it() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool");
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&BUILD).succeeds();
    let bundle = sandbox.names("kit").into_iter().find(|name| name.starts_with("ops-packages-")).unwrap();
    let destination = format!("/var/lib/seedkit/ops-packages/{bundle}");
    let bill: serde_json::Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    for node in ["k3s-master1", "k3s-worker1", "k3s-worker2"] {
        let image = format!("kit/seeds/seed-{node}.iso");
        let disc = extracted(&sandbox, &image);
        assert_eq!(
            fs::read(disc.join(format!("payload/root{destination}"))).unwrap(),
            fs::read(sandbox.path("kit").join(&bundle)).unwrap(),
            "{node}"
        );
        let user_data = fs::read_to_string(disc.join("user-data")).unwrap();
        assert!(user_data.contains("\"k8s-ops-packages.service\"]"), "{user_data}");
        assert!(user_data.contains(&format!("--file={destination}\\n")), "{user_data}");
        let made_from = bill["artifacts"][format!("seeds/seed-{node}.iso")]["madeFrom"].as_array().unwrap();
        assert!(made_from.contains(&destination.clone().into()), "{made_from:?}");
        // Alone, a seed is the same.
        sandbox.seedkit(&["iso", "--node", node, "-f", SPEC, "-o", "alone"]).succeeds();
        let alone = format!("alone/seed-{node}.iso");
        assert_eq!(fs::read(sandbox.path(alone)).unwrap(), fs::read(sandbox.path(image)).unwrap(), "{node}");
    }
}

#[test]
fn what_the_baseline_has_in_a_later_version_is_not_shipped_and_not_asked_for_on_the_node() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool, bystander");
    sandbox.edit(SPEC, "  names:", "  baseline: {status: status}\n  names:");
    let stanza = "Package: tool\nStatus: install ok installed\nVersion: 2:1\nArchitecture: all\n";
    sandbox.write("lab/status", stanza);
    let said = sandbox.seedkit(&["lock", "-f", SPEC]).succeeds().stderr;
    assert!(said.contains("the baseline has tool 2:1, later than any suite: it is not shipped"), "{said}");
    sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out"]).succeeds();
    let bundle = sandbox.path("out").join(&sandbox.names("out")[0]);
    let arguments = ["-xzOf", bundle.to_str().unwrap(), "--wildcards", "*/request"];
    assert_eq!(oracle::text("tar", arguments), "bystander\n");
}

#[test]
fn a_package_comes_from_the_mirror_whose_index_has_it_also_if_two_have_one_suite() {
    let debs = Debs::new();
    debs.add("Package: stranger\nVersion: 1\nArchitecture: all\nDepends: library", &[]);
    let (repository, other) = (Repository::start(), Repository::of("bookworm", &debs));
    let sandbox = repository.lab("stranger");
    sandbox.write("lab/other.gpg", other.gpg.export(&[]));
    let second = format!("    - urls: [\"{}/debian\"]\n      keyring: other.gpg\n", other.server.url());
    let first = "      keyring: keys.gpg\n";
    sandbox.edit(SPEC, first, &format!("{first}{second}"));
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out"]).succeeds();
    let fetched = |repository: &Repository| {
        let requests = repository.server.requests().into_iter().map(|request| request.target);
        requests.filter(|target| target.ends_with(".deb")).collect::<Vec<_>>()
    };
    assert_eq!(fetched(&repository), ["/debian/pool/library-1.deb"]);
    assert_eq!(fetched(&other), ["/debian/pool/stranger-0.deb"]);
}
