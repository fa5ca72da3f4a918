//! `seedkit iso`, through the program.

use fs_err as fs;

use crate::support::sandbox::{SPEC, Sandbox};

#[test]
fn layouts_and_seeds_made_alone_are_those_of_a_build() {
    let sandbox = Sandbox::built_lab();
    sandbox.seedkit(&["mirror", "-f", SPEC, "-o", "images"]).succeeds();
    sandbox
        .seedkit(&["iso", "-f", SPEC, "-o", "seeds", "--node", "k3s-worker2", "--node", "k3s-master1"])
        .succeeds();
    let same = |one: &str, other: &str| {
        let differences = crate::support::kitdiff::differences(&sandbox.path(one), &sandbox.path(other));
        assert_eq!(differences, "", "{one}, {other}");
    };
    same("images", "kit/images");
    fs::remove_file(sandbox.path("kit/seeds/seed-k3s-worker1.iso")).unwrap();
    // A kit has one for all its folders.
    fs::remove_file(sandbox.path("seeds/.gitignore")).unwrap();
    same("seeds", "kit/seeds");
}

#[test]
fn all_secrets_that_are_not_there_are_named_at_once() {
    let sandbox = Sandbox::lab();
    for (old, new) in [
        ("  user: ops\n", "  consolePasswordFrom: { env: CONSOLE }\n"),
        ("  sans: [registry.lab.example]\n", "  auth: { username: a, passwordFrom: { secret: registry } }\n"),
        ("  version: v1.35.0+k3s1\n", "  configFrom: { datastore-endpoint: { env: DATASTORE } }\n"),
    ] {
        sandbox.edit(SPEC, old, &format!("{old}{new}"));
    }
    let said = "3 secrets are not where the spec says\n  \
                - the console's password is not in the environment variable `CONSOLE`, and its hash is not in the \
                secrets folder\n  \
                - the registry's password is not in the secrets folder's file `registry`\n  \
                - the value of k3s' `datastore-endpoint` is not in the environment variable `DATASTORE`\n  \
                hint: set the variables, or write each secret alone into its file, with mode 0600";
    let run = sandbox.seedkit(&["iso", "-f", SPEC]);
    assert_eq!(run.fails(2), format!("error: {said}"));
    let run = sandbox.seedkit(&["build", "-f", SPEC]);
    assert_eq!(run.fails(2), format!("error: cannot make the seeds\n  because: {said}"));
}
