//! What `seedkit check` prints.

use serde_json::Value;

use crate::support::broken::BrokenKit;
use crate::support::sandbox::{SPEC, Sandbox};

#[test]
fn every_row_is_in_the_result_once() {
    let json = BrokenKit::lab().run(&["--json"]).json();
    let list = |key: &str| json[key].as_array().unwrap().clone();
    let id = |row: &Value| row["id"].as_str().unwrap_or_else(|| row.as_str().unwrap()).to_owned();
    let mut ids: Vec<String> = ["passed", "notApplicable", "notChecked"]
        .iter()
        .flat_map(|key| list(key))
        .map(|row| id(&row))
        .collect();
    ids.sort();
    let rows: Vec<String> = seedkit::check::rows().iter().map(|row| row.id.clone()).collect();
    assert_eq!(ids, rows);
    assert_eq!(json["summary"]["rows"], rows.len());
}

/// A row without a test is one that nobody has seen finding anything.
#[test]
fn every_row_that_can_apply_has_a_test_that_breaks_a_good_kit() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/check");
    let mut tested = std::collections::BTreeSet::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs_err::read_to_string(path).unwrap();
        for function in text.split("#[test]\n").skip(1).filter_map(|rest| rest.strip_prefix("fn sk")) {
            let id = format!("SK{}", &function[..4]);
            let body = function.split("\n}\n").next().unwrap();
            // It is named after the row, and the row's id is what it expects.
            assert!(body.contains(&format!("\"{id}\"")), "sk{}", body.lines().next().unwrap());
            tested.insert(id);
        }
    }
    let can_apply = seedkit::check::rows().iter().filter(|row| row.scope != seedkit::check::Scope::None);
    let rows: std::collections::BTreeSet<String> = can_apply.map(|row| row.id.clone()).collect();
    assert_eq!(tested, rows);
}

#[test]
fn a_story_is_told_for_every_id_and_for_no_other() {
    let sandbox = Sandbox::new();
    for row in seedkit::check::rows().iter().step_by(10) {
        let text = sandbox.seedkit(&["check", "--explain", &row.id.to_lowercase()]).succeeds().stdout;
        assert!(text.starts_with(&format!("{}: {}\n\n{}", row.id, row.title, row.story)), "{text}");
    }
    assert_eq!(sandbox.seedkit(&["check", "--explain", "SK9999"]).code, Some(2));
}

#[test]
fn an_error_stops_a_build_and_nothing_is_published() {
    let sandbox = Sandbox::lab();
    // A template of the user's own, as the notes had it.
    sandbox.write("lab/templates/node/hosts.tera", "127.0.0.1 localhost\n# @@NODE@@\n");
    let spec = sandbox.read(SPEC) + "templates: templates\n";
    sandbox.write(SPEC, &spec);
    let run = sandbox.seedkit(&["build", "-f", SPEC, "-o", "kit", "--quiet"]);
    let error = run.fails(1);
    assert!(error.contains("SK0106") && error.contains("@@NODE@@") && error.contains("--explain"), "{error}");
    assert!(!sandbox.path("kit").exists());
    // Accepted with a reason it is built, and every report says so.
    sandbox.write(SPEC, format!("{spec}allow:\n  - {{ id: SK0106, reason: it is a comment }}\n"));
    sandbox.seedkit(&["build", "-f", SPEC, "-o", "kit", "--quiet"]).succeeds();
    let text = sandbox.seedkit(&["check", "kit"]).succeeds().stdout;
    assert!(text.contains("accepted: it is a comment") && text.contains(", 3 accepted"), "{text}");
}

#[test]
fn sk0003_an_exception_that_matches_nothing() {
    let kit = BrokenKit::lab();
    kit.allow("SK0106", "old");
    kit.is_found_by("SK0003", "a finding that is not there");
}

#[test]
fn the_page_of_all_ids_is_that_of_the_rows() {
    use seedkit::check::Scope;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.md");
    let text = fs_err::read_to_string(page).unwrap();
    let listed: Vec<&str> = text.lines().filter(|line| line.starts_with("| SK")).collect();
    let told = |scope| match scope {
        Scope::Kit => "kit",
        Scope::Spec => "spec",
        Scope::Both => "spec, kit",
        Scope::None => "not applicable",
    };
    let line = |row: &seedkit::check::Row| {
        format!("| {} | {} | {} | {} |", row.id, row.title, row.severity.name(), told(row.scope))
    };
    let rows: Vec<String> = seedkit::check::rows().iter().map(line).collect();
    assert_eq!(listed, rows);
}

#[test]
fn sarif_is_what_its_schema_allows() {
    let kit = BrokenKit::lab();
    kit.allow("SK0001", "a test");
    let run = kit.run(&["--sarif"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let results = document["runs"][0]["results"].as_array().unwrap();
    // The bill itself was changed: found, and accepted.
    assert_eq!((run.code, results.len()), (Some(0), 1), "{}", run.stdout);
    assert_eq!(results[0]["suppressions"][0]["justification"], "a test");
    assert_eq!(
        document["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap().len(),
        seedkit::check::rows().len()
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.sarif");
    fs_err::write(&path, &run.stdout).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sarif/sarif-2.1.0-rtm.5.json");
    let judge = "import json, sys, jsonschema\n\
                 schema, document = (json.load(open(name)) for name in sys.argv[1:])\n\
                 found = sorted(map(str, jsonschema.Draft4Validator(schema).iter_errors(document)))\n\
                 sys.exit('\\n'.join(found) or 0)\n";
    let mut python = crate::support::oracle::command("/usr/bin/python3");
    crate::support::oracle::finish(python.args(["-c", judge, schema]).arg(&path));
}

/// Validates documents by Python's jsonschema, with and without fields that the schema does not name.
///
/// Returns what the judge finds in the first that it refuses.
fn judged(schema: &std::path::Path, document: &std::path::Path) -> String {
    let judge = "import json, sys, jsonschema\n\
                 schema, document = (json.load(open(name)) for name in sys.argv[1:])\n\
                 jsonschema.Draft202012Validator.check_schema(schema)\n\
                 def close(part):\n    \
                     if isinstance(part, dict):\n        \
                         if 'properties' in part: part['additionalProperties'] = False\n        \
                         for value in part.values(): close(value)\n\
                 found = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]\n\
                 close(schema)\n\
                 found += [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]\n\
                 print('\\n'.join(found))\n";
    let mut python = crate::support::oracle::command("/usr/bin/python3");
    let output = crate::support::oracle::finish(python.args(["-c", judge]).arg(schema).arg(document));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn json_is_what_its_schema_describes_and_nothing_more() {
    let schema = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.schema.json");
    let sandbox = Sandbox::built_lab();
    let good = sandbox.seedkit(&["check", "kit", "--json"]).succeeds();
    let of_spec = sandbox.seedkit(&["check", "-f", SPEC, "--json"]).succeeds();
    let kit = BrokenKit::lab();
    kit.allow("SK0001", "a test");
    fs_err::remove_file(kit.path("seeds/seed-k3s-worker1.iso")).unwrap();
    let broken = kit.run(&["--json"]);
    assert!(broken.code == Some(1) && broken.stdout.contains("\"allowed\": \"a test\""), "{}", broken.stdout);
    let path = sandbox.path("result.json");
    let disc = sandbox.seedkit(&["check", "kit/seeds/seed-k3s-master1.iso", "--json"]);
    for run in [&good, &of_spec, &broken, &disc] {
        fs_err::write(&path, &run.stdout).unwrap();
        assert_eq!(judged(&schema, &path), "", "{}", run.stdout);
    }
    // The judge does find what is wrong.
    for (old, new) in
        [("\"version\": 1", "\"version\": 2"), ("\"SK0001\"", "\"0001\""), ("\"rows\"", "\"lines\"")]
    {
        fs_err::write(&path, broken.stdout.replacen(old, new, 1)).unwrap();
        assert_ne!(judged(&schema, &path), "", "{new}");
    }
}

#[test]
fn the_committed_schema_of_the_result_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.schema.json");
    let printed = Sandbox::new().seedkit(&["schema", "check"]).succeeds().stdout;
    let is_current = fs_err::read_to_string(path).unwrap() == printed;
    assert!(is_current, "regenerate it: cargo run -- schema check > docs/check.schema.json");
}
