//! A kit whose nodes share one disc of payload.

use crate::support::oracle;
use crate::support::sandbox::{SPEC, Sandbox};

/// Lists an ISO, its label first, as xorriso reads it.
fn read_iso(sandbox: &Sandbox, path: &str) -> (String, Vec<String>) {
    let iso = sandbox.path(path);
    let iso = iso.to_str().unwrap();
    let files = oracle::text("xorriso", ["-indev", iso, "-find", "/", "-type", "f"]);
    let label = oracle::text("blkid", ["-p", "-o", "value", "-s", "LABEL", iso]);
    let files = files.lines().map(|line| line.trim_matches('\'').to_owned()).collect();
    (label.trim().to_owned(), files)
}

fn extract(sandbox: &Sandbox, iso: &str, path: &str) -> String {
    let target = sandbox.path(format!("out-{}", path.replace('/', "-")));
    let iso = sandbox.path(iso);
    let arguments = ["-osirrox", "on", "-indev", iso.to_str().unwrap(), "-extract", path];
    oracle::run("xorriso", arguments.into_iter().chain([target.to_str().unwrap()]));
    String::from_utf8_lossy(&fs_err::read(target).unwrap()).into_owned()
}

#[test]
fn what_all_nodes_have_is_on_one_disc_and_what_is_theirs_on_their_own() {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "seed:\n", "seed:\n  payload: shared\n");
    sandbox.write("lab/for-servers", "only servers may see this\n");
    sandbox.write("lab/for-root", "only root may see this\n");
    sandbox.edit(
        SPEC,
        "files:\n",
        "files:\n  - source: { path: for-servers }\n    destination: /etc/for-servers\n    nodes: [k3s-master1]\n\
         \x20 - source: { path: for-root }\n    destination: /etc/for-root\n    mode: \"0600\"\n",
    );
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["build", "-f", SPEC, "--deliver", "out"]).succeeds();
    let (label, shared) = read_iso(&sandbox, "kit/seeds/payload.iso");
    assert_eq!(label, "SEEDKIT_PAYLOAD");
    for file in &shared {
        let content = extract(&sandbox, "kit/seeds/payload.iso", file);
        assert!(!content.contains("may see this"), "{file} is for some only");
    }
    for node in ["k3s-master1", "k3s-worker1", "k3s-worker2"] {
        let iso = format!("kit/seeds/seed-{node}.iso");
        let (label, own) = read_iso(&sandbox, &iso);
        assert_eq!(label, "CIDATA");
        assert!(!own.iter().any(|path| path.ends_with("/bin/k3s") || path.ends_with(".tar")), "{own:?}");
        assert_eq!(own.contains(&"/payload/root/etc/for-servers".to_owned()), node == "k3s-master1");
        assert!(own.contains(&"/payload/root/etc/for-root".to_owned()));
        let list = extract(&sandbox, &iso, "/payload/SHARED");
        assert!(list.lines().count() >= 3, "{list}");
        for line in list.lines() {
            let (digest, _) = line.split_once(' ').unwrap();
            assert!(shared.contains(&format!("/sha256/{digest}")), "{line}");
        }
        fs_err::remove_file(sandbox.path("out--payload-SHARED")).unwrap();
    }
    assert_eq!(sandbox.names("out").len(), 1 + 4, ".gitignore and the discs");
    let bill: serde_json::Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    let made_from = bill["artifacts"]["seeds/payload.iso"]["madeFrom"].as_array().unwrap();
    assert!(made_from.contains(&"/usr/local/bin/k3s".into()), "{made_from:?}");
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

#[test]
fn the_seed_of_one_node_comes_with_the_disc_that_it_needs() {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "seed:\n", "seed:\n  payload: shared\n");
    sandbox.seedkit(&["iso", "--node", "k3s-worker1", "-f", SPEC, "-o", "one"]).succeeds();
    assert_eq!(sandbox.names("one"), [".gitignore", "payload.iso", "seed-k3s-worker1.iso"]);
}
