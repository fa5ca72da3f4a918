//! `urls: ["file:FOLDER"]`: a copy of a mirror on a disk.

use fs_err as fs;

use super::repository::Repository;
use crate::support::sandbox::{BUILD, SPEC};

#[test]
fn a_repository_in_a_folder_needs_no_network_and_its_lock_fits_on_every_machine() {
    let repository = Repository::start();
    let [one, other] = [(); 2].map(|()| {
        let sandbox = repository.lab("tool");
        sandbox.edit(SPEC, &format!("{}/debian", repository.server.url()), "file:../packages/");
        repository.write_into(&sandbox.path("packages"));
        sandbox
    });
    one.seedkit(&["lock", "-f", SPEC, "--offline"]).succeeds();
    one.seedkit(&[&BUILD[..], &["--locked", "--offline"]].concat()).succeeds();
    // Somewhere else, with nothing but the lock and the folder: the same bytes.
    other.write("lab/seedkit.lock", one.read("lab/seedkit.lock"));
    other.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out", "--locked", "--offline"]).succeeds();
    let [bundle] = &other.names("out")[..] else { panic!("{:?}", other.names("out")) };
    assert_eq!(
        fs::read(one.path("kit").join(bundle)).unwrap(),
        fs::read(other.path("out").join(bundle)).unwrap()
    );
    assert_eq!(repository.server.requests().len(), 0);
}

#[test]
fn a_folder_is_trusted_no_more_than_a_server() {
    type Harm = fn(&Repository);
    let cases: [(Harm, &str); 4] = [
        (|repository| repository.damage("dists/bookworm/InRelease"), "cannot be trusted"),
        (
            |repository| repository.damage("dists/bookworm/main/binary-amd64/Packages"),
            "is not what its release says",
        ),
        (|repository| repository.damage("pool/library-1.deb"), "has the wrong content"),
        (
            |repository| {
                repository.remove("dists/bookworm/InRelease");
            },
            "hint: check the folder in `urls` under `packages.sources`",
        ),
    ];
    for (harm, expected) in cases {
        let repository = Repository::start();
        let sandbox = repository.lab("tool");
        sandbox.edit(SPEC, &format!("{}/debian", repository.server.url()), "file:../packages");
        harm(&repository);
        repository.write_into(&sandbox.path("packages"));
        let locked = sandbox.seedkit(&["lock", "-f", SPEC]);
        let run = match locked.code {
            Some(0) => sandbox.seedkit(&BUILD),
            Some(_) | None => locked,
        };
        let message = run.fails(2);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_key_that_nobody_named_is_named_with_what_to_do() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool");
    // Without it, only Debian's own certificates count.
    sandbox.edit(SPEC, "      keyring: keys.gpg\n", "");
    let run = sandbox.seedkit(&["lock", "-f", SPEC]);
    let message = run.fails(2);
    let expected = format!(
        "because: no signature is good: that by {}: the key is not in the keyring\n  \
         hint: name a file with the certificate of that key as the source's `keyring`; without one, only Debian 12 \
         and 13 are known",
        repository.gpg.fingerprint()
    );
    assert!(message.ends_with(&expected), "{message}");
}
