//! `seedkit lock`, through the program.

use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const CHECK: &[&str] = &["lock", "--check", "-f", SPEC];
const LOCK: &str = "lab/seedkit.lock";
const HELLO: &str = "path = \"pool/main/s/seedkit-lab/seedkit-lab-hello_1.0-1_all.deb\"";

/// A lock may come from somebody else, and a digest of any file of this machine would answer what is in it.
#[test]
fn a_lock_that_names_a_path_outside_of_the_repository_is_refused() {
    for path in ["/etc/hostname", "../../../../../../etc/hostname", "pool/../../../../etc/hostname"] {
        let sandbox = Sandbox::lab();
        sandbox.edit(LOCK, HELLO, &format!("path = \"{path}\""));
        for arguments in [CHECK, &BUILD] {
            let run = sandbox.seedkit(arguments);
            let said = run.fails(2);
            assert!(said.contains("package `seedkit-lab-hello` needs"), "{path}: {said}");
            assert!(!said.contains("sha256:"), "{path}: {said}");
        }
    }
}

#[test]
fn a_lock_whose_package_comes_from_no_source_of_the_spec_does_not_fit() {
    let origin = format!("suite = \"bookworm\"\nurl = \"file:packages\"\n{HELLO}");
    for (other, place) in [
        (origin.replace("file:packages", "https://169.254.169.254/debian"), "https://169.254.169.254/debian"),
        (origin.replace("file:packages", "file:/etc"), "file:/etc"),
        ("file = \"/etc/hostname\"".to_owned(), "/etc/hostname"),
    ] {
        let sandbox = Sandbox::lab();
        sandbox.edit(LOCK, &origin, &other);
        for arguments in [CHECK, &BUILD] {
            let run = sandbox.seedkit(arguments);
            assert_eq!(
                run.fails(1),
                format!(
                    "error: the lock does not fit the spec: 1 difference\n  \
                     - package `seedkit-lab-hello` is locked from `{place}`, which the spec does not name\n  \
                     hint: run `seedkit lock`, review the difference, and commit it"
                )
            );
        }
    }
}

#[test]
fn lock_check_answers_and_writes_nothing() {
    let sandbox = Sandbox::lab();
    let lock = sandbox.read("lab/seedkit.lock");
    let check = ["lock", "--check", "-f", SPEC];
    let run = sandbox.seedkit(&check).succeeds();
    assert_eq!(run.stdout, "lab/seedkit.lock: up to date; 10 images, 2 files, 20.1 KiB\n");
    sandbox.edit("lab/images.txt", "quay.io/lab/hello:1.0\n", "");
    let run = sandbox.seedkit(&check);
    assert!(
        run.fails(1).contains("- image `quay.io/lab/hello:1.0` is locked, and no longer wanted"),
        "{run:?}"
    );
    assert_eq!(sandbox.read("lab/seedkit.lock"), lock);
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&check).succeeds();
}
