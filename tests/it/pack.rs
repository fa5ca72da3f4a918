//! `seedkit pack`, through the program.

use fs_err as fs;

use crate::support::sandbox::{SPEC, Sandbox};

#[test]
fn a_tarball_packed_alone_is_that_of_a_build() {
    let sandbox = Sandbox::built_lab();
    sandbox.seedkit(&["pack", "images", "-f", SPEC, "-o", "packed"]).succeeds();
    let tarball = &sandbox.names("packed")[0];
    assert_eq!(
        fs::read(sandbox.path("packed").join(tarball)).unwrap(),
        fs::read(sandbox.path("kit").join(tarball)).unwrap()
    );
}
