//! What the script refuses, before it changes anything.

use seedkit::opsbundle::Bundle;

use super::debs::{Debs, native};
use super::node::{LOG, MARKER, Node, suite};
use super::{bundle, bundle_for, tools};

fn small(suite: &str, architecture: &str) -> Bundle {
    let debs = Debs::new();
    debs.add("Package: ops-notes\nVersion: 1.2\nArchitecture: all", &[]);
    bundle_for((suite, architecture), &debs.packages(), &["ops-notes"])
}

#[test]
fn a_bundle_that_is_damaged_or_for_another_system_changes_nothing() {
    let (suite, native) = (suite(), native());
    let foreign = if native == "arm64" { "amd64" } else { "arm64" };
    let sums_again =
        "find . -type f ! -name SHA256SUMS -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS";
    let no_request = format!(": >request; {sums_again}");
    let cases = [
        ("bookworm-like", &*native, "", format!("for bookworm-like, but this system is {suite}; nothing")),
        (&suite, foreign, "", format!("for {foreign}, but this system is {native}; nothing")),
        (
            &suite,
            &native,
            "printf x | dd conv=notrunc bs=1 seek=200 of=pool/ops-notes_1.2_all.deb",
            "pool/ops-notes_1.2_all.deb: FAILED".into(),
        ),
        (&suite, &native, "rm pool/*", "is damaged; nothing was changed".into()),
        (&suite, &native, "echo htop >>request", "request: FAILED".into()),
        (&suite, &native, "sed -i '/request$/d' SHA256SUMS", "SHA256SUMS of the bundle is incomplete".into()),
        (&suite, &native, ": >SHA256SUMS", "SHA256SUMS of the bundle is incomplete".into()),
        (&suite, &native, "rm SHA256SUMS", "there is no bundle beside".into()),
        (&suite, &native, &no_request, "the bundle requests no package".into()),
    ];
    let node = Node::new();
    node.put(MARKER, "bundle of-before\n");
    let bundles: Vec<_> =
        cases.iter().map(|(suite, architecture, ..)| node.unpack(&small(suite, architecture))).collect();
    for ((_, _, damage, expected), folder) in cases.iter().zip(bundles) {
        // The bundles of one system are one folder: each case has its own copy.
        let script = format!(
            "cp -a '{folder}' /copy; cd /copy; {damage} 2>/dev/null; status=0; sh install.sh || status=$?; cd /; rm -r /copy; exit $status"
        );
        let run = node.run(&script);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{damage}: {}", run.stderr);
        assert!(run.stderr.contains(" error: ") && run.stderr.contains(expected), "{damage}: {}", run.stderr);
    }
    assert_eq!(node.read(MARKER).unwrap(), "bundle of-before\n");
    let changes: Vec<_> = node
        .changes()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !path.to_string_lossy().contains("/opt/"))
        .collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(node.read(LOG).unwrap().lines().count() >= cases.len());
}

#[test]
fn nothing_is_removed_to_make_room() {
    let before = Debs::new();
    let rival = before.add("Package: ops-rival\nVersion: 1\nArchitecture: all\nConflicts: ops-lib", &[]);
    let node = Node::new();
    node.install_debs(&[&rival]);
    let folder = node.unpack(&bundle(&tools().packages(), &["ops-tool"]));
    let run = node.install(&folder);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!((node.installed(), node.read(MARKER)), (vec!["ops-rival 1".to_owned()], None));
}

#[test]
fn only_root_is_let_in() {
    let node = Node::new();
    let folder = node.unpack(&small(&suite(), &native()));
    let run = node.run(&format!("chmod 755 /; setpriv --reuid=1 --clear-groups sh '{folder}/install.sh'"));
    assert_eq!((run.code, node.read(LOG)), (Some(1), None));
    assert!(run.stderr.starts_with("error: only root can install packages"), "{}", run.stderr);
}
