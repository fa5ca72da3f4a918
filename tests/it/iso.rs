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
