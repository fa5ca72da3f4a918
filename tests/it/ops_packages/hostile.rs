//! What a mirror may do wrong, through the commands: the thing is named, and nothing is written.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use seedkit::deb::archive;
use seedkit::digest::Digest;
use seedkit::tree::FileTree;

use super::repository::{DAY, Repository, USUAL, escaping};
use crate::deb::gpg::Gpg;
use crate::support::sandbox::{SPEC, debris};

const LOCK: &[&str] = &["lock", "-f", SPEC];
const PACK: &[&str] = &["pack", "packages", "-f", SPEC, "-o", "out"];
/// The library's file, as it is served.
const LIBRARY: &str = "pool/library-1.deb";

/// One thing that is wrong with a repository, and when it goes wrong.
struct Case {
    what: &'static str,
    harm: fn(&mut Repository),
    /// Whether all was well once, and locked.
    is_locked: bool,
    command: &'static [&'static str],
    expected: &'static [&'static str],
}

impl Case {
    /// Runs the command: it cannot be done, and leaves everything as it was.
    fn run(&self, good: &Repository) {
        let Self { what, harm, is_locked, command, expected } = self;
        let mut repository = good.twin();
        let sandbox = if *is_locked {
            let sandbox = repository.lab("tool");
            sandbox.seedkit(LOCK).succeeds();
            harm(&mut repository);
            sandbox
        } else {
            // What it is signed with goes into the lab.
            harm(&mut repository);
            repository.lab("tool")
        };
        let before = sandbox.read("lab/seedkit.lock");
        let run = sandbox.seedkit(command);
        let message = run.fails(2);
        for part in *expected {
            assert!(message.contains(part), "{what}: {part}: {message}");
        }
        assert_eq!(sandbox.read("lab/seedkit.lock"), before, "{what}");
        let out = sandbox.path("out");
        assert!(!out.exists() || sandbox.names("out").is_empty(), "{what}: {:?}", sandbox.names("out"));
        for folder in [sandbox.path(""), sandbox.store()] {
            assert_eq!(debris(&folder), Vec::<PathBuf>::new(), "{what}");
        }
    }
}

/// Something wrong that locking finds.
fn at_lock(what: &'static str, harm: fn(&mut Repository), expected: &'static [&'static str]) -> Case {
    Case { what, harm, is_locked: false, command: LOCK, expected }
}

/// Something that goes wrong after locking.
fn later(
    what: &'static str,
    harm: fn(&mut Repository),
    command: &'static [&'static str],
    expected: &'static [&'static str],
) -> Case {
    Case { what, harm, is_locked: true, command, expected }
}

fn run_all(cases: &[Case]) {
    let good = Repository::start();
    std::thread::scope(|scope| {
        let (some, others) = cases.split_at(cases.len() / 2);
        let good = &good;
        scope.spawn(move || others.iter().for_each(|case| case.run(good)));
        some.iter().for_each(|case| case.run(good));
    });
}

/// Changes the signed release as a text.
fn tamper(repository: &Repository, change: impl Fn(&str) -> String) {
    let signed = String::from_utf8(repository.file("dists/bookworm/InRelease")).unwrap();
    let tampered = change(&signed);
    assert_ne!(tampered, signed);
    repository.set_release(tampered);
}

/// Signs the release with another key, which is in the keyring too if `is_pinned`.
fn sign_with(repository: &mut Repository, key: (&str, &str, &str), arguments: &[&str], is_pinned: bool) {
    let (day, algorithm, expiry) = key;
    let gpg = Gpg::new();
    gpg.make_key(day, algorithm, "sign", expiry);
    repository.set_release(gpg.sign(day, &repository.release(USUAL), arguments));
    if is_pinned {
        repository.gpg = Arc::new(gpg);
    }
}

/// Publishes the index with a change.
fn reindex(repository: &Repository, old: &str, new: &str) {
    let index = repository.index("amd64");
    assert!(index.contains(old), "{index}");
    repository.set_index("amd64", index.replacen(old, new, 1));
    repository.publish(USUAL);
}

const UNTRUSTED: &str = "the release of suite `bookworm` cannot be trusted";

#[test]
fn a_release_that_was_tampered_with_is_refused() {
    run_all(&[
        at_lock(
            "changed text",
            |repository| tamper(repository, |text| text.replace("Origin: Test", "Origin: Best")),
            &[UNTRUSTED, "it is not a signature of this text", "hint: nothing that is not signed is used"],
        ),
        at_lock(
            "a line after the signature",
            |repository| tamper(repository, |text| format!("{text}Codename: evil\n")),
            &[UNTRUSTED, "something follows the signature"],
        ),
        at_lock(
            "a line before the message",
            |repository| tamper(repository, |text| format!("Codename: evil\n{text}")),
            &[UNTRUSTED, "the file does not begin with a PGP signed message"],
        ),
        at_lock(
            "a line that is inserted into the signed text",
            |repository| tamper(repository, |text| text.replace("Origin:", "Label: evil\nOrigin:")),
            &[UNTRUSTED, "it is not a signature of this text"],
        ),
        at_lock(
            "another header of the armor",
            |repository| tamper(repository, |text| text.replacen("\nHash: ", "\nComment: evil\nHash: ", 1)),
            &[UNTRUSTED, "line 2 is not a header of a signed message"],
        ),
        at_lock(
            "another key",
            |repository| sign_with(repository, (DAY, "ed25519", "never"), &[], false),
            &[UNTRUSTED, "the key is not in the keyring"],
        ),
        at_lock(
            "a key that expired",
            |repository| sign_with(repository, ("20230101", "ed25519", "1y"), &[], true),
            &[UNTRUSTED, "the key expired at 2024-01-01"],
        ),
        at_lock(
            "a weak hash function",
            |repository| sign_with(repository, (DAY, "rsa2048", "never"), &["--digest-algo", "SHA1"], true),
            &[UNTRUSTED, "its hash function SHA1 is too weak"],
        ),
        at_lock(
            "no signature at all",
            |repository| repository.set_release(repository.release(USUAL)),
            &[UNTRUSTED, "the file does not begin with a PGP signed message"],
        ),
    ]);
}

#[test]
fn a_release_that_is_not_the_current_one_of_the_suite_is_refused() {
    run_all(&[
        at_lock(
            "expired",
            |repository| repository.publish(&format!("{USUAL}Valid-Until: Sat, 22 Nov 2025 00:00:00 UTC\n")),
            &[
                "the release of suite `bookworm` was valid until 2025-11-22",
                "hint: check this machine's clock",
            ],
        ),
        at_lock(
            "another suite",
            |repository| {
                let release = repository.release(USUAL).replace("bookworm", "trixie").replace("old", "");
                repository.set_release(repository.gpg.sign(DAY, &release, &[]));
            },
            &["`bookworm` is served as suite `trixie`"],
        ),
        at_lock(
            "none",
            |repository| repository.remove("dists/bookworm/InRelease"),
            &["cannot fetch `InRelease` of suite `bookworm`", "404", "hint: check `urls` and `suites`"],
        ),
        later(
            "an older one",
            |repository| repository.publish(&USUAL.replace("Fri, 21", "Thu, 20")),
            LOCK,
            &["the release of suite `bookworm` is of 2025-11-20", "older than the locked one of 2025-11-21"],
        ),
    ]);
}

#[test]
fn an_index_that_is_wrong_is_refused() {
    run_all(&[
        at_lock(
            "other bytes",
            |repository| repository.damage("dists/bookworm/main/binary-amd64/Packages"),
            &[
                "an index of suite `bookworm` is not what its release says",
                "the index `main/binary-amd64/Packages` hashes to",
                "hint: run the same command again",
            ],
        ),
        at_lock(
            "a part",
            |repository| {
                let index = repository.index("amd64");
                repository.set_index("amd64", &index[..index.len() / 2]);
            },
            &["suite `bookworm`", "`main/binary-amd64/Packages` has ", "bytes where"],
        ),
        at_lock(
            "more than is listed, when unpacked",
            |repository| {
                let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                bomb.write_all(&vec![b'\n'; 50 << 20]).unwrap();
                let path = format!("{}.gz", repository.index_path("amd64"));
                repository.set(&path, bomb.finish().unwrap());
                repository.publish(USUAL);
            },
            &["suite `bookworm`", "`main/binary-amd64/Packages.gz` has ", "bytes where"],
        ),
        at_lock(
            "more than any index has",
            |repository| {
                let release = repository.release(USUAL).replace(" main/binary", "0000000 main/binary");
                repository.set_release(repository.gpg.sign(DAY, &release, &[]));
            },
            &["suite `bookworm` lacks an index", "bytes, more than 1 GiB"],
        ),
        at_lock(
            "a field twice",
            |repository| reindex(repository, "\nVersion: ", "\nversion: 9\nVersion: "),
            &["`bookworm` is malformed", "the field `Version` is there twice"],
        ),
        at_lock(
            "a path outside of the pool",
            |repository| reindex(repository, "Filename: pool/", "Filename: ../../"),
            &["`bookworm` is malformed", "package `bystander`: Filename cannot be `../../bystander-2.deb`"],
        ),
        at_lock(
            "what apt would read as another package",
            |repository| reindex(repository, "Package: library\n", "Package: library\nOdd: x\r\n"),
            &[
                "cannot pack the bundle for amd64",
                "the stanza of package `library` cannot be used",
                "is not a field",
            ],
        ),
        at_lock(
            "no such package",
            |repository| reindex(repository, "Package: tool\n", "Package: tools\n"),
            &["there is no package `tool`; there is tools"],
        ),
        at_lock(
            "packages that wait for each other",
            |repository| {
                reindex(repository, "Package: library\n", "Package: library\nPre-Depends: tool\n");
                reindex(repository, "\nDepends: library", "\nPre-Depends: library");
            },
            &[
                "the packages for amd64 cannot be chosen",
                "library, tool pre-depend on each other in a circle",
            ],
        ),
    ]);
}

/// Serves other bytes as the library, listed and signed, and has them locked.
fn replace_library(repository: &Repository, deb: &[u8]) {
    let old = repository.file(LIBRARY);
    let fields = |bytes: &[u8]| format!("Size: {}\n", bytes.len());
    let hash = |bytes: &[u8]| format!("SHA256: {}\n", Digest::sha256(bytes).hex());
    repository.set(LIBRARY, deb);
    let index = repository.index("amd64").replace(&hash(&old), &hash(deb));
    let (before, after) = index.split_once("Package: library\n").unwrap();
    let after = after.replacen(&fields(&old), &fields(deb), 1);
    repository.set_index("amd64", format!("{before}Package: library\n{after}"));
    repository.publish(USUAL);
}

#[test]
fn a_package_that_is_wrong_is_refused() {
    run_all(&[
        later(
            "gone",
            |repository| repository.remove(LIBRARY),
            PACK,
            &[
                "package `library` 1:2.0-1 cannot be fetched from any mirror",
                "404",
                "hint: mirrors drop what is superseded: run `seedkit lock`",
            ],
        ),
        later(
            "other bytes",
            |repository| repository.damage(LIBRARY),
            PACK,
            &["package `library` cannot be stored", "has the wrong content", "choose another mirror"],
        ),
        later(
            "fewer bytes",
            |repository| {
                let library = repository.file(LIBRARY);
                repository.set(LIBRARY, &library[..library.len() / 2]);
            },
            PACK,
            &["package `library` cannot be stored"],
        ),
    ]);
}

#[test]
fn a_signed_package_that_no_node_could_use_is_not_packed() {
    let other =
        "Package: library\nVersion: 3\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n";
    let epoch = "1763683200".parse().unwrap();
    let other = archive::write(other, &FileTree::new(), epoch, Vec::new()).unwrap();
    let good = Repository::start();
    for (what, deb, expected) in [
        (
            "a path outside",
            escaping("Package: library\nVersion: 1:2.0-1\nArchitecture: all\n"),
            ["package `library` 1:2.0-1 cannot be used", "has a path that leaves it: `../etc/passwd`"],
        ),
        (
            "another version",
            other,
            ["the file of package `library 1:2.0-1 all` is package", "`library 3 all`"],
        ),
        ("no package", b"text".to_vec(), ["package `library` 1:2.0-1 cannot be used", "malformed"]),
    ] {
        let repository = good.twin();
        replace_library(&repository, &deb);
        let sandbox = repository.lab("tool");
        sandbox.seedkit(LOCK).succeeds();
        let run = sandbox.seedkit(PACK);
        let message = run.fails(2);
        assert!(expected.iter().all(|part| message.contains(part)), "{what}: {message}");
        assert_eq!(sandbox.names("out"), [""; 0], "{what}");
        // It was not kept either: asking again fails in the same way.
        let hex = Digest::sha256(&deb).hex().to_owned();
        assert!(!sandbox.store().join("sha256").join(hex).exists(), "{what}");
    }
}
