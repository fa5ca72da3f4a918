//! What somebody else made, checked alone: what is right has no finding, and what is broken has the one that fits.

mod discs;
mod images;

use serde_json::Value;

use crate::support::sandbox::Sandbox;

/// Checks what is at `path`, and returns `ID place: what` of every finding.
fn findings(sandbox: &Sandbox, path: &str) -> Vec<String> {
    let run = sandbox.seedkit(&["check", "--json", path]);
    let json = run.json();
    let errors = json["summary"]["errors"].as_u64().unwrap();
    assert_eq!(run.code, Some(i32::from(errors > 0)), "{path}: {}", run.stdout);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let one = |finding: &Value| {
        assert_eq!(finding["artifact"], path);
        format!("{} {}: {}", text(finding, "id"), text(finding, "place"), text(finding, "what"))
    };
    json["findings"].as_array().unwrap().iter().map(one).collect()
}

/// Checks that there is one finding, that it has this id, and that it says `part`.
fn is_found_by(sandbox: &Sandbox, path: &str, id: &str, part: &str) {
    let found = findings(sandbox, path);
    let [one] = &found[..] else { panic!("{path}: {found:#?}") };
    assert!(one.starts_with(id) && one.contains(part), "{path}: {one}");
}

/// Returns the rows that hold for what is at `path`.
fn passed(sandbox: &Sandbox, path: &str) -> Vec<String> {
    let json = sandbox.seedkit(&["check", "--json", path]).json();
    json["passed"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_neither_kit_nor_disc_nor_images_is_refused_with_its_kind() {
    let sandbox = Sandbox::built_lab();
    sandbox.write("text.txt", "hello\n");
    sandbox.write("empty", "");
    fs_err::create_dir(sandbox.path("folder")).unwrap();
    for (path, part) in [
        ("text.txt", "`text.txt` is a text, which cannot be looked into"),
        ("empty", "`empty` is empty"),
        ("missing", "cannot read `missing`"),
        ("folder", "`folder` is not a kit"),
        ("kit/registry/ca.crt", "is a file of certificates, and cannot be checked by itself"),
        ("lab/seedkit.lock", "is a lock, and cannot"),
    ] {
        let run = sandbox.seedkit(&["check", path]);
        let error = run.fails(2);
        assert!(error.contains(part), "{path}: {error}");
    }
    let error = sandbox.seedkit(&["check", "lab/seedkit.lock"]).fails(2).to_owned();
    assert!(error.contains("`check` takes a kit, a disc, or images"), "{error}");
}
