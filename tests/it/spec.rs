//! The JSON schema, judged by Python's jsonschema (as editors would use it).

use std::path::Path;

use crate::support::oracle;

const JUDGE: &str = "
import json, sys, yaml
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for name in sys.argv[2:]:
    errors = validator.iter_errors(yaml.safe_load(open(name)))
    for path in sorted({'/'.join(map(str, error.absolute_path)) for error in errors}):
        print(path or '.')
";

/// Returns the places at which the judge finds an error, one a line.
fn judged(specs: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specs = specs.iter().map(|name| root.join("fixtures/specs").join(name));
    let files = std::iter::once(root.join("docs/seedkit.schema.json")).chain(specs);
    let arguments = ["-c".into(), JUDGE.into()].into_iter().chain(files.map(|file| file.into_os_string()));
    // Debian's own Python: its packages are what the tests install.
    oracle::text("/usr/bin/python3", arguments)
}

#[test]
fn the_schema_is_one_and_accepts_good_specs() {
    assert_eq!(judged(&["full.yaml", "small.yaml"]), "");
}

#[test]
fn the_schema_finds_what_our_own_check_finds() {
    let expected = [
        ".",
        "apiVersion",
        "images/inline/0",
        "k3s/binary/linux/amd64",
        "k3s/config",
        "k3s/version",
        "name",
        "nodes/0/mac",
        "nodes/0/role",
        "nodes/1",
        "nodes/2",
        "nodes/2/address",
        "nodes/2/role",
        "pack/compression",
        "platforms",
        "registry",
        "registry/address",
        "registry/auth",
        "registry/lifetime/caDays",
        "registry/lifetime/serverDays",
    ];
    let judged = judged(&["bad-shape.yaml"]);
    let missing: Vec<_> =
        expected.iter().filter(|place| !judged.lines().any(|line| line == **place)).collect();
    assert!(missing.is_empty(), "the oracle does not object to {missing:?}, only to\n{judged}");
}
