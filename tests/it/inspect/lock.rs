//! Locks.

use fs_err as fs;
use serde_json::{Value, json};

use crate::support::oracle;
use crate::support::sandbox::Sandbox;

/// Returns the lab's lock as Python's TOML parser reads it.
fn parsed(sandbox: &Sandbox, lock: &str) -> Value {
    let script = "import json, sys\ntry: import tomllib\nexcept ImportError: import tomli as tomllib\n\
                  json.dump(tomllib.load(open(sys.argv[1], 'rb')), sys.stdout)";
    let output = oracle::finish(
        oracle::command("/usr/bin/python3").args(["-c", script, lock]).current_dir(sandbox.path("")),
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_lock_is_listed_as_it_is_written() {
    let sandbox = Sandbox::lab();
    let result = sandbox.seedkit(&["inspect", "--json", "lab/seedkit.lock"]).succeeds().json();
    let expected = parsed(&sandbox, "lab/seedkit.lock");
    assert_eq!(result["kind"], "lock");
    for (found, written) in [
        ("epoch", "epoch"),
        ("imageSize", "image-size"),
        ("platforms", "platforms"),
        ("signatures", "signatures"),
    ] {
        assert_eq!(result[found], expected[written], "{found}");
    }
    for (found, written) in
        result["files"].as_array().unwrap().iter().zip(expected["file"].as_array().unwrap())
    {
        let [role, source, digest, size] = ["role", "source", "sha256", "size"].map(|key| &written[key]);
        assert_eq!(*found, json!({ "role": role, "source": source, "digest": digest, "size": size }));
    }
    let images: Vec<Value> = expected["image"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            assert_eq!(image.get("attached"), None, "the lab has none");
            let mut shown = json!({
                "reference": image["reference"],
                "mediaType": image["media-type"],
                "digest": image["digest"],
                "totalSize": image["total-size"],
                "platforms": image.get("platforms").cloned().unwrap_or(json!({})),
            });
            if let Some(destination) = image.get("destination") {
                shown["destination"] = destination.clone();
            }
            shown
        })
        .collect();
    assert_eq!(result["images"], json!(images));
    let (packages, list) = (&result["packages"], expected["package"].as_array().unwrap());
    for name in ["suite", "names"] {
        assert_eq!(packages[name], expected["packages"][name]);
    }
    assert_eq!(packages["count"], json!(list.len()));
    assert_eq!(
        packages["bytes"],
        json!(list.iter().map(|package| package["size"].as_u64().unwrap()).sum::<u64>())
    );
    for (found, written) in packages["packages"].as_array().unwrap().iter().zip(list) {
        assert!(found.as_object().unwrap().iter().all(|(key, value)| written[key] == *value), "{found}");
    }
    assert_eq!(packages["packages"].as_array().map(Vec::len), Some(list.len()));
    assert_eq!(result["findings"], json!([]));
    let text = sandbox.seedkit(&["inspect", "lab/seedkit.lock"]).succeeds().stdout;
    assert!(text.starts_with("date:       2025-11-21T00:00:00Z\nplatforms:  linux/amd64\n"), "{text}");
    for image in expected["image"].as_array().unwrap() {
        assert!(text.lines().any(|line| line.starts_with(image["reference"].as_str().unwrap())), "{text}");
    }
}

#[test]
fn a_lock_that_cannot_be_used_is_named_with_what_to_do() {
    let sandbox = Sandbox::lab();
    let lock = "lab/seedkit.lock";
    let version = sandbox.read(lock).lines().find(|line| line.starts_with("version")).unwrap().to_owned();
    sandbox.edit(lock, &version, "version = 99");
    let run = sandbox.seedkit(&["inspect", lock]);
    let said = run.fails(2);
    assert!(said.starts_with("error: `lab/seedkit.lock` is not a lock that can be used\n"), "{said}");
    assert!(said.contains("99") && said.contains("hint: use the seedkit that wrote it"), "{said}");
}

#[test]
fn credentials_in_a_lock_are_masked() {
    let sandbox = Sandbox::lab();
    let lock = "lab/seedkit.lock";
    sandbox.edit(lock, "source = \"k3s-stand-in.sh\"", "source = \"https://me:sesame@host/k3s\"");
    for arguments in [&["inspect", lock][..], &["inspect", "--json", lock]] {
        let run = sandbox.seedkit(arguments).succeeds();
        assert!(run.stdout.contains("https://***@host/k3s"), "{}", run.stdout);
        assert!(!format!("{run:?}").contains("sesame"));
    }
}

#[test]
fn locks_of_other_programs_are_not_taken_for_one() {
    let sandbox = Sandbox::new();
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    fs::copy(cargo, sandbox.path("Cargo.lock")).unwrap();
    let run = sandbox.seedkit(&["inspect", "Cargo.lock"]);
    assert!(run.fails(2).contains("`Cargo.lock` is a text"), "{}", run.stderr);
}
