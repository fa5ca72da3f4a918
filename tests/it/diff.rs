//! What changed between two locks or two kits.

use serde_json::{Value, json};

use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox};

/// A lab that was built into `kit`, changed, and built again into `kit2`; its old lock is `old.lock`.
fn changed_lab() -> Sandbox {
    let sandbox = Sandbox::built_lab();
    sandbox.write("old.lock", sandbox.read("lab/seedkit.lock"));
    sandbox.edit("lab/images.txt", "quay.io/lab/hello:1.0\n", "");
    sandbox.edit(SPEC, "  sans: [registry.lab.example]", "  sans: []");
    sandbox.edit(SPEC, "address: 192.168.6.12/24", "address: 192.168.6.13/24");
    sandbox.edit(SPEC, "  names: [seedkit-lab-hello]", "  names: [seedkit-lab-base]");
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["ca", "renew", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["build", "-f", SPEC, "-o", "kit2"]).succeeds();
    sandbox
}

fn diff(sandbox: &Sandbox, before: &str, after: &str) -> Run {
    sandbox.seedkit(&["diff", "--json", before, after])
}

/// Returns, for each subject, the names of what is gone, changed and new.
fn names(result: &Value) -> Value {
    let sign = |change: &Value| match (change["before"].is_null(), change["after"].is_null()) {
        (false, true) => "-",
        (true, false) => "+",
        (false, false) => "~",
        (true, true) => panic!("{change}"),
    };
    let of_subject = |changes: &Value| {
        let changes = changes.as_array().unwrap().iter();
        changes
            .map(|change| format!("{} {}", sign(change), change["name"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    result["subjects"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, changes)| (name.clone(), json!(of_subject(changes))))
        .collect()
}

#[test]
fn a_kit_that_was_built_twice_is_the_same() {
    let sandbox = Sandbox::built_lab();
    let again: Vec<&str> = BUILD.iter().map(|word| if *word == "kit" { "again" } else { word }).collect();
    sandbox.seedkit(&again).succeeds();
    let run = sandbox.seedkit(&["diff", "kit", "again"]).succeeds();
    assert_eq!(run.stdout, "kit and again are the same\n");
    let result = diff(&sandbox, "kit", "again").succeeds().json();
    assert_eq!((&result["isSame"], &result["subjects"]), (&json!(true), &json!({})));
}

#[test]
fn every_change_of_a_kit_is_named_and_nothing_else() {
    let sandbox = changed_lab();
    let run = diff(&sandbox, "kit", "kit2");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let result = run.json();
    assert_eq!(result["kind"], "kit");
    let expected = json!({
        "certificates": ["~ registry/registry.crt"],
        "files": [
            "~ airgap-images-linux-amd64-*.tar", "~ images/index.json", "~ ops-packages-bookworm-amd64-*.tar.gz",
            "~ registry/registries.yaml",
        ],
        "images": ["- quay.io/lab/hello:1.0"],
        "nodes": ["~ k3s-master1", "~ k3s-worker1", "~ k3s-worker2"],
        "packages": ["- seedkit-lab-hello:amd64", "- seedkit-lab-words-en:amd64"],
        "settings": ["~ date"],
    });
    assert_eq!(names(&result), expected);
    let worker = result["subjects"]["nodes"][2].clone();
    assert_eq!(worker["before"]["address"], "192.168.6.12/24");
    assert_eq!(worker["after"]["address"], "192.168.6.13/24");
    let certificate = result["subjects"]["certificates"][0].clone();
    assert!(certificate["before"]["names"].as_str().unwrap().contains("registry.lab.example"));
    assert!(!certificate["after"]["names"].as_str().unwrap().contains("registry.lab.example"));

    let text = sandbox.seedkit(&["diff", "kit", "kit2"]).stdout;
    for line in [
        "images: 1 difference (-",
        "  - quay.io/lab/hello:1.0\n",
        "      address: 192.168.6.12/24 -> 192.168.6.13/24\n",
    ] {
        assert!(text.contains(line), "there is no {line:?} in:\n{text}");
    }
}

#[test]
fn the_changes_of_a_lock_are_named_before_anything_is_built() {
    let sandbox = changed_lab();
    let run = diff(&sandbox, "old.lock", "lab/seedkit.lock");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let expected = json!({
        "images": ["- quay.io/lab/hello:1.0"],
        "packages": ["- seedkit-lab-hello:amd64", "- seedkit-lab-words-en:amd64"],
        "settings": ["~ date", "~ requested packages"],
    });
    assert_eq!(names(&run.json()), expected);
    // The other way round, what was gone is new.
    let back = diff(&sandbox, "lab/seedkit.lock", "old.lock").json();
    assert_eq!(names(&back)["images"], json!(["+ quay.io/lab/hello:1.0"]));
    assert_eq!(back["subjects"]["images"][0]["after"], run.json()["subjects"]["images"][0]["before"]);
    assert!(diff(&sandbox, "old.lock", "old.lock").succeeds().json()["isSame"].as_bool().unwrap());
}

#[test]
fn what_cannot_be_compared_is_refused_with_its_name() {
    let sandbox = Sandbox::built_lab();
    let refused = |before: &str, after: &str, said: &[&str]| {
        let run = sandbox.seedkit(&["diff", before, after]);
        let error = run.fails(2);
        for text in said {
            assert!(error.contains(text), "{before} and {after}: {error}");
        }
    };
    refused(
        "kit",
        "lab/seedkit.lock",
        &["`lab/seedkit.lock` is a lock and `kit` is a kit", "compare two of one kind"],
    );
    refused("lab/seedkit.lock", "kit", &["`lab/seedkit.lock` is a lock and `kit` is a kit"]);
    refused("kit", "kit/registry/ca.crt", &["`kit/registry/ca.crt` is neither a lock nor a kit"]);
    refused("kit", "nothing", &["cannot compare `nothing`", "No such file"]);
    // A comparison with half a kit would call half of it gone.
    sandbox.write("kit/registry/ca.crt", "");
    refused("kit", "kit", &["`kit` is not whole", "registry/ca.crt", "seedkit verify"]);
}
