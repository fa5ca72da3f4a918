//! `packages:` of a spec, through the program: a signed repository on loopback -> lock -> bundle -> kit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fs_err as fs;
use seedkit::digest::Digest;

use crate::deb::gpg::Gpg;
use crate::opsbundle::debs::Debs;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox, files};

/// A day on which all keys are good.
const DAY: &str = "20240101";

/// A repository whose files a test may change.
struct Repository {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    gpg: Gpg,
    server: Hostile,
}

impl Repository {
    /// Serves a tool that needs a library, and something that nobody asks for.
    fn start() -> Self {
        let debs = Debs::new();
        let package =
            |name: &str, more: &str| format!("Package: {name}\nVersion: 1:2.0-1\nArchitecture: all{more}");
        debs.add(&package("tool", "\nDepends: library (>= 1:1.0)"), &[("usr/bin/tool", "#!/bin/sh\n")]);
        debs.add(&package("library", ""), &[("usr/share/library", "x")]);
        debs.add(&package("bystander", ""), &[]);
        let root = tempfile::tempdir().unwrap();
        let pool = root.path().join("pool");
        fs::create_dir(&pool).unwrap();
        let mut served = BTreeMap::new();
        for deb in
            files(debs.folder()).into_iter().filter(|file| file.extension().is_some_and(|end| end == "deb"))
        {
            let name = deb.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = fs::read(debs.folder().join(&deb)).unwrap();
            fs::write(pool.join(&name), &bytes).unwrap();
            served.insert(format!("/debian/pool/{name}"), bytes);
        }
        let mut scan = oracle::command("dpkg-scanpackages");
        let index = oracle::finish(scan.arg("pool").current_dir(root.path())).stdout;
        served.insert("/debian/dists/bookworm/main/binary-amd64/Packages".to_owned(), index);
        let gpg = Gpg::new();
        gpg.make_key(DAY, "ed25519", "sign", "never");
        let files = Arc::new(Mutex::new(served));
        let shared = Arc::clone(&files);
        let server =
            Hostile::start(move |request: &Request| match shared.lock().unwrap().get(&request.target) {
                Some(bytes) => Answer::new(200, bytes.clone()),
                None => Answer::new(404, "gone"),
            });
        let repository = Self { files, gpg, server };
        repository.publish("Fri, 21 Nov 2025 00:00:00 UTC", "");
        repository
    }

    /// Signs a release over the index as it is served now.
    fn publish(&self, date: &str, more: &str) {
        let path = "main/binary-amd64/Packages";
        let index = self.file(&format!("dists/bookworm/{path}"));
        let hex = Digest::sha256(&index).hex().to_owned();
        let release = format!(
            "Origin: Test\nSuite: oldstable\nCodename: bookworm\nDate: {date}\n{more}Architectures: amd64\n\
             Components: main\nSHA256:\n {hex} {} {path}\n",
            index.len()
        );
        self.set("dists/bookworm/InRelease", self.gpg.sign(DAY, &release, &[]).into_bytes());
    }

    fn file(&self, path: &str) -> Vec<u8> {
        self.files.lock().unwrap()[&format!("/debian/{path}")].clone()
    }

    fn set(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(format!("/debian/{path}"), bytes);
    }

    /// Changes one byte near the end of a file.
    fn damage(&self, path: &str) {
        let mut bytes = self.file(path);
        let place = bytes.len() - 10;
        bytes[place] ^= 1;
        self.set(path, bytes);
    }

    /// Returns a lab that asks this repository for `names`.
    fn lab(&self, names: &str) -> Sandbox {
        let sandbox = Sandbox::lab();
        fs::write(sandbox.path("lab/keys.gpg"), self.gpg.export(&[])).unwrap();
        let spec = sandbox.read(SPEC);
        let section = format!(
            "\npackages:\n  suite: bookworm\n  sources:\n    - urls: [\"{}/debian\"]\n      keyring: keys.gpg\n  names: [{names}]\n",
            self.server.url()
        );
        sandbox.write(SPEC, spec + &section);
        sandbox
    }
}

#[test]
fn packages_are_locked_with_what_they_need_and_packed_from_the_lock_alone() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool");
    let stale = sandbox.seedkit(&BUILD);
    assert!(stale.fails(1).contains("packages"), "{}", stale.stderr);
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    let lock = sandbox.read("lab/seedkit.lock");
    assert!(lock.contains("name = \"library\"") && !lock.contains("bystander"), "{lock}");
    let packed = sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out", "--json"]).succeeds().json();
    assert_eq!(packed["bundles"][0]["packages"], 2);
    drop(repository);
    // Neither mirror nor network: the same bytes, and the same again in the kit.
    sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "again", "--locked", "--offline"]).succeeds();
    sandbox.seedkit(&[&BUILD[..], &["--locked", "--offline"]].concat()).succeeds();
    let [bundle] = &sandbox.names("out")[..] else { panic!("{:?}", sandbox.names("out")) };
    assert_eq!(sandbox.names("again"), sandbox.names("out"));
    for folder in ["again", "kit"] {
        assert_eq!(
            fs::read(sandbox.path(folder).join(bundle)).unwrap(),
            fs::read(sandbox.path("out").join(bundle)).unwrap()
        );
    }
    assert!(sandbox.read("kit/SHA256SUMS").contains(bundle.as_str()));
    let listing = oracle::text("tar", ["-tzf", sandbox.path("out").join(bundle).to_str().unwrap()]);
    let debs: Vec<&str> = listing.lines().filter(|line| line.ends_with(".deb")).collect();
    assert_eq!(debs.len(), 2, "{listing}");
}

#[test]
fn what_a_mirror_does_wrong_is_named_and_nothing_is_locked() {
    type Harm = fn(&Repository);
    let cases: [(&str, Harm, &str); 6] = [
        (
            "another key",
            |repository| {
                let other = Gpg::new();
                other.make_key(DAY, "ed25519", "sign", "never");
                let release = "Suite: oldstable\nCodename: bookworm\nDate: Fri, 21 Nov 2025 00:00:00 UTC\n";
                repository.set("dists/bookworm/InRelease", other.sign(DAY, release, &[]).into_bytes());
            },
            "cannot be trusted",
        ),
        (
            "changed release",
            |repository| {
                let text = String::from_utf8(repository.file("dists/bookworm/InRelease")).unwrap();
                repository.set(
                    "dists/bookworm/InRelease",
                    text.replace("Origin: Test", "Origin: Best").into_bytes(),
                );
            },
            "cannot be trusted",
        ),
        (
            "expired",
            |repository| {
                repository
                    .publish("Fri, 21 Nov 2025 00:00:00 UTC", "Valid-Until: Sat, 22 Nov 2025 00:00:00 UTC\n");
            },
            "was valid until 2025-11-22",
        ),
        (
            "changed index",
            |repository| repository.damage("dists/bookworm/main/binary-amd64/Packages"),
            "is not what its release says",
        ),
        (
            "no release",
            |repository| {
                repository.files.lock().unwrap().remove("/debian/dists/bookworm/InRelease");
            },
            "404",
        ),
        (
            "no such package",
            |repository| {
                let index =
                    String::from_utf8(repository.file("dists/bookworm/main/binary-amd64/Packages")).unwrap();
                repository.set(
                    "dists/bookworm/main/binary-amd64/Packages",
                    index.replace("Package: tool\n", "Package: tools\n").into_bytes(),
                );
                repository.publish("Fri, 21 Nov 2025 00:00:00 UTC", "");
            },
            "there is no package `tool`",
        ),
    ];
    for (what, harm, expected) in cases {
        let repository = Repository::start();
        harm(&repository);
        let sandbox = repository.lab("tool");
        let before = sandbox.read("lab/seedkit.lock");
        let run = sandbox.seedkit(&["lock", "-f", SPEC]);
        let message = run.fails(2);
        assert!(message.contains(expected), "{what}: {message}");
        assert_eq!(sandbox.read("lab/seedkit.lock"), before, "{what}");
    }
}

#[test]
fn an_older_release_than_the_locked_one_is_refused() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool");
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    repository.publish("Thu, 20 Nov 2025 00:00:00 UTC", "");
    let run = sandbox.seedkit(&["lock", "-f", SPEC]);
    assert!(run.fails(2).contains("older than the locked one"), "{}", run.stderr);
}

#[test]
fn a_pinned_package_that_changed_or_went_is_named_and_never_replaced() {
    let name = "pool/library-1.deb";
    for (is_gone, expected) in
        [(false, "has the wrong content"), (true, "package `library` 1:2.0-1 cannot be fetched")]
    {
        let repository = Repository::start();
        let sandbox = repository.lab("tool");
        sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
        if is_gone {
            repository.files.lock().unwrap().remove(&format!("/debian/{name}")).unwrap();
        } else {
            repository.damage(name);
        }
        let run = sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out"]);
        let message = run.fails(2);
        assert!(message.contains("library") && message.contains(expected), "{message}");
        assert_eq!(sandbox.names("out"), [""; 0]);
    }
}
