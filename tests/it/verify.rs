//! `seedkit verify`, through the program.

use fs_err as fs;

use crate::support::sandbox::Sandbox;

#[test]
fn verify_names_each_bad_missing_and_extra_file() {
    let sandbox = Sandbox::built_lab();
    let good = sandbox.seedkit(&["verify", "kit"]).succeeds();
    assert_eq!(good.stdout, "kit: all 65 files are what the kit says they are\n");
    let path = "kit/seeds/seed-k3s-worker1.iso";
    let mut bytes = fs::read(sandbox.path(path)).unwrap();
    bytes[40_000] ^= 0x10;
    fs::write(sandbox.path(path), bytes).unwrap();
    fs::remove_file(sandbox.path("kit/registry/ca.crt")).unwrap();
    sandbox.write("kit/registry/extra.txt", "extra");
    let run = sandbox.seedkit(&["verify", "kit"]);
    assert_eq!(run.code, Some(1));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stdout);
    assert!(lines[0].starts_with("`seeds/seed-k3s-worker1.iso` has other content: sha256:"), "{}", lines[0]);
    assert_eq!(
        lines[1..],
        [
            "`registry/ca.crt` is missing",
            "`registry/extra.txt` is not listed in SHA256SUMS",
            "kit: 3 findings"
        ]
    );
    let run = sandbox.seedkit(&["verify", "kit", "--json"]);
    let json = run.json();
    assert_eq!((run.code, &json["command"], &json["version"]), (Some(1), &"verify".into(), &1.into()));
    let problems: Vec<&str> =
        json["findings"].as_array().unwrap().iter().map(|one| one["problem"].as_str().unwrap()).collect();
    assert_eq!(problems, ["bad", "missing", "extra"]);
}

#[test]
fn what_cannot_be_verified_is_said_with_what_to_do() {
    let sandbox = Sandbox::lab();
    sandbox.write("bare/kit.json", "{}");
    sandbox.write("odd/SHA256SUMS", "nothing of the kind");
    const NO_KIT: &str = "name the folder that `seedkit build` made: it has kit.json, images/ and registry/";
    const AGAIN: &str =
        "without its list nothing of a kit can be verified: copy the whole kit again from where it was built";
    for (folder, error, hint) in [
        ("lab", "`lab` is not a kit", NO_KIT),
        ("nowhere", "`nowhere` is not a kit", NO_KIT),
        ("bare", "the kit `bare` has no SHA256SUMS", AGAIN),
        ("odd", "`odd/SHA256SUMS` is not a list of digests", AGAIN),
    ] {
        let run = sandbox.seedkit(&["verify", folder]);
        let said = run.fails(2);
        assert!(said.starts_with(&format!("error: {error}")), "{said}");
        assert!(said.ends_with(&format!("\n  hint: {hint}")), "{said}");
    }
}
