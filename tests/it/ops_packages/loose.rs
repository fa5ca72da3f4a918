//! `packages.extra`: loose `.deb` files, from the spec to a node.

use fs_err as fs;
use seedkit::deb::archive;
use seedkit::tree::FileTree;

use super::repository::{Repository, USUAL, escaping, locked, scan};
use crate::opsbundle::debs::{Debs, native};
use crate::opsbundle::node::{Node, suite};
use crate::support::oracle;
use crate::support::sandbox::{SPEC, Sandbox};

const LOCK: [&str; 3] = ["lock", "-f", SPEC];
const PACK: [&str; 6] = ["pack", "packages", "-f", SPEC, "-o", "out"];

/// Returns a small package that seedkit wrote.
fn written(control: &str) -> Vec<u8> {
    let epoch = "1763683200".parse().unwrap();
    let control = format!("{control}\nMaintainer: A <a@example.org>\nDescription: small\n and long\n");
    archive::write(&control, &FileTree::new(), epoch, Vec::new()).unwrap()
}

/// Returns a small package that dpkg-deb built.
fn built(fields: &str) -> Vec<u8> {
    let debs = Debs::new();
    fs::read(debs.add(fields, &[("usr/share/ops/file", "x")])).unwrap()
}

/// Returns a lab that wants nothing but loose files, which are put beside its spec.
fn lab(repository: &Repository, files: &[(&str, &[u8])]) -> Sandbox {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let sandbox = repository.lab_that_wants(&format!("  extra: [{}]\n", names.join(", ")));
    files.iter().for_each(|(name, content)| sandbox.write(&format!("lab/{name}"), content));
    sandbox
}

/// Returns the one bundle in a folder: its name without the end, and its bytes.
fn bundle(sandbox: &Sandbox, folder: &str) -> (String, Vec<u8>) {
    let [file] = &sandbox.names(folder)[..] else { panic!("{:?}", sandbox.names(folder)) };
    let bytes = fs::read(sandbox.path(folder).join(file)).unwrap();
    (file.strip_suffix(".tar.gz").unwrap().to_owned(), bytes)
}

#[test]
fn a_loose_file_is_installed_on_a_node_with_what_it_needs_from_the_archive() {
    let debs = Debs::new();
    debs.add("Package: ops-lib\nVersion: 1.5\nArchitecture: all", &[("usr/lib/ops-lib", "lib\n")]);
    debs.add("Package: ops-own\nVersion: 9\nArchitecture: all", &[]);
    let repository = Repository::of(&suite(), &debs);
    let architecture = native();
    repository.set_index(&architecture, scan(debs.folder()));
    repository.publish(&USUAL.replace("amd64", &architecture));
    let site = built(
        "Package: ops-site\nVersion: 1:2.0~rc1-1\nDepends: ops-lib (>= 1), ops-own (= 1.0+site)\nPre-Depends: ops-lib",
    );
    let own = written("Package: ops-own\nVersion: 1.0+site\nArchitecture: all");
    let sandbox = lab(&repository, &[("debs/site tools.deb", &site), ("own.deb", &own)]);
    sandbox.write(SPEC, sandbox.read(SPEC).replace("linux/amd64", &format!("linux/{architecture}")));
    sandbox.seedkit(&LOCK).succeeds();
    assert_eq!(locked(&sandbox), ["ops-lib 1.5", "ops-own 1.0+site", "ops-site 1:2.0~rc1-1"]);
    let lock = sandbox.read("lab/seedkit.lock");
    for line in
        ["file = \"debs/site tools.deb\"\n", "why = \"loose file own.deb\"\n", "why = \"ops-site pre-depends"]
    {
        assert!(lock.contains(line), "{line}: {lock}");
    }
    sandbox.seedkit(&PACK).succeeds();
    let (name, bytes) = bundle(&sandbox, "out");
    let node = Node::new();
    let folder = node.unpack_archive(&name, bytes);
    node.install(&folder).succeeds();
    assert_eq!(node.installed(), ["ops-lib 1.5", "ops-own 1.0+site", "ops-site 1:2.0~rc1-1"]);
    let asked = node.run("apt-mark showmanual 'ops-*'; dpkg --audit >&2").succeeds();
    assert_eq!((asked.stdout.as_str(), asked.stderr.as_str()), ("ops-own\nops-site\n", ""));
}

#[test]
fn a_loose_file_is_packed_from_the_store_and_named_when_it_is_nowhere() {
    let repository = Repository::start();
    let deb = built("Package: site\nVersion: 1\nArchitecture: all");
    let sandbox = lab(&repository, &[("site.deb", &deb)]);
    sandbox.seedkit(&LOCK).succeeds();
    let file = sandbox.path("lab/site.deb");
    let aside = sandbox.path("aside.deb");
    fs::rename(&file, &aside).unwrap();
    let message = sandbox.seedkit(&PACK).fails(2).to_owned();
    assert!(
        message.contains("loose file `site.deb` is locked, and neither there nor in the store"),
        "{message}"
    );
    assert!(message.contains("hint: put the file back"), "{message}");
    assert_eq!(sandbox.names("out"), [""; 0]);
    fs::rename(&aside, &file).unwrap();
    sandbox.seedkit(&[&PACK[..], &["--locked", "--offline"]].concat()).succeeds();
    let first = bundle(&sandbox, "out");
    let listing =
        oracle::text("tar", ["-tzf", sandbox.path(format!("out/{}.tar.gz", first.0)).to_str().unwrap()]);
    assert!(listing.contains("/pool/site_1_all.deb\n"), "{listing}");
    fs::remove_file(&file).unwrap();
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    drop(repository);
    sandbox.seedkit(&[&PACK[..], &["--locked", "--offline"]].concat()).succeeds();
    assert!(bundle(&sandbox, "out") == first);
    // To lock anew, it has to be there.
    let message = sandbox.seedkit(&LOCK).fails(2).to_owned();
    assert!(message.contains("site.deb`"), "{message}");
}

#[test]
fn another_content_another_file_and_one_less_are_differences_from_the_lock() {
    let repository = Repository::start();
    let deb = built("Package: site\nVersion: 1\nArchitecture: all");
    let other = written("Package: other\nVersion: 1\nArchitecture: all");
    let sandbox = lab(&repository, &[("site.deb", &deb), ("other.deb", &other)]);
    sandbox.seedkit(&LOCK).succeeds();
    sandbox.write("lab/site.deb", built("Package: site\nVersion: 1.1\nArchitecture: all"));
    sandbox.write("lab/new.deb", &other);
    sandbox.edit(SPEC, "other.deb]", "new.deb]");
    for arguments in [&PACK[..], &["lock", "-f", SPEC, "--check"]] {
        let message = sandbox.seedkit(arguments).fails(1).to_owned();
        for difference in [
            "package file `site.deb` has other content than the lock",
            "package file `new.deb` is not locked",
            "package file `other.deb` is locked, and no longer wanted",
        ] {
            assert!(message.contains(difference), "{message}");
        }
    }
    sandbox.seedkit(&LOCK).succeeds();
    assert_eq!(locked(&sandbox), ["other 1", "site 1.1"]);
}

#[test]
fn a_loose_file_is_meant_for_its_own_architecture_and_one_of_all_for_every_one() {
    let debs = Debs::new();
    debs.add("Package: library\nVersion: 1\nArchitecture: all", &[]);
    let repository = Repository::of("bookworm", &debs);
    repository.set_index("arm64", scan(debs.folder()));
    repository.publish(USUAL);
    let package = |name: &str, architecture: &str| {
        written(&format!("Package: {name}\nVersion: 1\nArchitecture: {architecture}\nDepends: library"))
    };
    let (amd64, arm64) = (package("site", "amd64"), package("site", "arm64"));
    let (single, all) = (package("single", "arm64"), package("docs", "all"));
    let files: [(&str, &[u8]); 4] =
        [("amd64.deb", &amd64), ("arm64.deb", &arm64), ("single.deb", &single), ("docs.deb", &all)];
    let sandbox = lab(&repository, &files);
    sandbox.edit(SPEC, "platforms: [linux/amd64]", "platforms: [linux/amd64, linux/arm64]");
    sandbox.edit(
        SPEC,
        "    linux/amd64: { path: k3s-stand-in.sh }\n",
        "    linux/amd64: { path: k3s-stand-in.sh }\n    linux/arm64: { path: k3s-stand-in.sh }\n",
    );
    sandbox.seedkit(&LOCK).succeeds();
    let lock = sandbox.read("lab/seedkit.lock");
    let tables = lock.split("[[package]]\n").skip(1);
    let places: Vec<String> = tables
        .map(|table| {
            table.lines().take(5).filter(|line| !line.starts_with("version")).collect::<Vec<_>>().join(" ")
        })
        .map(|table| table.replace("\" ", ", ").replace(['"'], ""))
        .collect();
    let expected = [
        "target = amd64, name = docs, architecture = all, file = docs.deb",
        "target = amd64, name = library, architecture = all, suite = bookworm",
        "target = amd64, name = site, architecture = amd64, file = amd64.deb",
        "target = arm64, name = docs, architecture = all, file = docs.deb",
        "target = arm64, name = library, architecture = all, suite = bookworm",
        "target = arm64, name = single, architecture = arm64, file = single.deb",
        "target = arm64, name = site, architecture = arm64, file = arm64.deb",
    ];
    assert_eq!(places, expected);
    let packed = sandbox.seedkit(&[&PACK[..], &["--json"]].concat()).succeeds().json();
    assert_eq!(
        (&packed["bundles"][0]["packages"], &packed["bundles"][1]["packages"]),
        (&3.into(), &4.into())
    );
}

/// Files by their names.
type Files = Vec<(&'static str, Vec<u8>)>;

#[test]
fn a_file_that_cannot_be_meant_is_named_and_nothing_is_locked() {
    let repository = Repository::start();
    let package = |fields: &str| written(&format!("Package: {fields}"));
    let site = || package("site\nVersion: 1\nArchitecture: all");
    let whole = site();
    let table: [(&str, &str, Files, &[&str]); 10] = [
        (
            "a text",
            "",
            vec![("a.deb", b"no package".to_vec())],
            &["loose file `a.deb` is not a package", "the package is malformed", "it is not an ar archive"],
        ),
        (
            "a part",
            "",
            vec![("a.deb", whole[..whole.len() - 10].to_vec())],
            &["loose file `a.deb`", "cannot unpack `data.tar.gz` of the package"],
        ),
        (
            "a path outside",
            "",
            vec![("a.deb", escaping("Package: site\nVersion: 1\nArchitecture: all\n"))],
            &["loose file `a.deb`", "`data.tar` of the package has a path that leaves it: `../etc/passwd`"],
        ),
        ("nothing", "", vec![], &["cannot read `lab/a.deb`"]),
        (
            "another architecture",
            "",
            vec![("a.deb", package("site\nVersion: 1\nArchitecture: s390x"))],
            &["loose file `a.deb` is for s390x; the platforms are amd64"],
        ),
        (
            "the same package twice",
            "",
            vec![("a.deb", site()), ("b.deb", package("site\nVersion: 2\nArchitecture: amd64"))],
            &["loose files `a.deb` and `b.deb` are both package `site`"],
        ),
        (
            "another version than the requested one",
            "site=1.2",
            vec![("a.deb", site())],
            &["`site=1.2` is requested, and loose file `a.deb` is version 1 of it"],
        ),
        (
            "the archive's version with other content",
            "",
            vec![("a.deb", package("tool\nVersion: 1:2.0-1\nArchitecture: all"))],
            &[
                "package `tool` 1:2.0-1 of suite `bookworm` is not that of loose file `a.deb`",
                "hint: give the loose file's package a version of its own",
            ],
        ),
        (
            "something that needs what there is not",
            "",
            vec![("a.deb", package("site\nVersion: 1\nArchitecture: all\nDepends: gone (>= 2)"))],
            &[
                "site 1 (loose file `a.deb`) is requested",
                "site 1 depends on gone (>= 2): there is no such package",
            ],
        ),
        (
            "an older version than another package needs",
            "tool",
            vec![("a.deb", package("library\nVersion: 1\nArchitecture: all"))],
            &[
                "tool and library cannot be installed together",
                "tool 1:2.0-1 depends on library (>= 1:1.0): that is library 1:2.0-1",
                "library 1 (loose file `a.deb`) is requested",
                "library can only be there in one version",
            ],
        ),
    ];
    for (what, names, files, expected) in table {
        let listed: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let listed = if listed.is_empty() { "a.deb".to_owned() } else { listed.join(", ") };
        let sandbox = repository.lab_that_wants(&format!("  names: [{names}]\n  extra: [{listed}]\n"));
        files.iter().for_each(|(name, content)| sandbox.write(&format!("lab/{name}"), content));
        let before = sandbox.read("lab/seedkit.lock");
        let run = sandbox.seedkit(&LOCK);
        let message = run.fails(2);
        for part in expected {
            assert!(message.contains(part), "{what}: {message}");
        }
        assert_eq!(sandbox.read("lab/seedkit.lock"), before, "{what}");
    }
}
