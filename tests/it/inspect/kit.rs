//! Finished kits.

use fs_err as fs;
use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;

#[test]
fn a_kit_is_summed_up_and_what_is_missing_is_named() {
    let sandbox = Sandbox::built_lab();
    let result = sandbox.seedkit(&["inspect", "--json", "kit"]).succeeds().json();
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    assert_eq!(result["kind"], "kit");
    for key in ["name", "madeBy", "epoch", "k3s", "registry", "platforms", "nodes"] {
        assert_eq!(result[key], bill[key], "{key}");
    }
    let paths = |value: &Value| value["artifacts"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&result), paths(&bill));
    assert_eq!(result["images"].as_array().unwrap().len(), bill["images"].as_array().unwrap().len());
    let text = sandbox.seedkit(&["inspect", "kit"]).succeeds().stdout;
    assert!(text.contains("\nk3s-worker2  agent   192.168."), "{text}");

    fs::remove_file(sandbox.path("kit/seeds/seed-k3s-worker1.iso")).unwrap();
    sandbox.write("kit/registry/ca.crt", "shorter");
    let run = sandbox.seedkit(&["inspect", "--json", "kit"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let length = bill["artifacts"]["registry/ca.crt"]["size"].as_u64().unwrap();
    let reason = format!("it has 7 bytes, not {length}");
    assert_eq!(
        run.json()["findings"],
        json!([
            {"problem": "missing", "path": "seeds/seed-k3s-worker1.iso"},
            {"problem": "wrong", "path": "registry/ca.crt", "reason": reason},
        ])
    );
}

#[test]
fn a_bill_that_points_elsewhere_makes_nobody_look_there() {
    let sandbox = Sandbox::built_lab();
    let digest = format!("sha256:{}", "0".repeat(64));
    let mut bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    bill["artifacts"] =
        json!({ "../lab/motd": {"digest": digest, "size": 1}, "/etc/passwd": {"digest": digest, "size": 1} });
    bill["nodes"] = json!([]);
    sandbox.write("kit/kit.json", bill.to_string());
    let run = sandbox.seedkit(&["inspect", "--json", "kit"]);
    assert_eq!(run.code, Some(1));
    let findings = run.json()["findings"].as_array().unwrap().clone();
    assert_eq!(findings.len(), 2);
    for finding in findings {
        assert!(finding["reason"].as_str().unwrap().contains("is not a path inside a tree"), "{finding}");
    }
    for (key, value) in [
        ("registry", json!("not a host")),
        ("platforms", json!(["linux"])),
        ("images", json!([{"reference": "UPPER"}])),
        ("nodes", json!([{"name": "a", "role": "boss"}])),
        ("epoch", json!(7)),
    ] {
        let mut wrong = bill.clone();
        wrong[key] = value;
        sandbox.write("kit/kit.json", wrong.to_string());
        for command in ["inspect", "check", "serve"] {
            let error = sandbox.seedkit(&[command, "kit"]).fails(2).to_owned();
            assert!(error.contains("cannot understand `kit/kit.json`"), "{command} {key}: {error}");
        }
    }
    bill["version"] = json!(2);
    sandbox.write("kit/kit.json", bill.to_string());
    assert!(
        sandbox
            .seedkit(&["inspect", "kit"])
            .fails(2)
            .contains("`kit/kit.json` has version 2; this seedkit knows version 1")
    );
    sandbox.write("kit/kit.json", "{");
    assert!(sandbox.seedkit(&["inspect", "kit"]).fails(2).contains("cannot understand `kit/kit.json`"));
}
