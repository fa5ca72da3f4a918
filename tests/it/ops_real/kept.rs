//! Nodes that have some of the packages already, older or newer ones.

use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use super::lab::Packed;
use super::{LIST, assert_whole, installed, raised, whole};
use crate::opsbundle::debs::Debs;
use crate::opsbundle::node::{Base, LOG, MARKER, Node};
use crate::support::oracle;

/// Packages of a bundle, built again with other versions.
struct Rebuilt<'a> {
    packed: &'a Packed,
    folder: TempDir,
}

impl<'a> Rebuilt<'a> {
    fn of(packed: &'a Packed) -> Self {
        Self { packed, folder: tempfile::tempdir().unwrap() }
    }

    /// Gives a package another version, and whatever else differs in its control file.
    fn build(&self, name: &str, version: &str, replacements: &[(&str, &str)]) -> PathBuf {
        let root = self.folder.path().join(name);
        oracle::run("dpkg-deb", [Path::new("--raw-extract"), &self.packed.deb(name), &root]);
        let control = fs::read_to_string(root.join("DEBIAN/control")).unwrap();
        let own = control.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap();
        let own = format!("\nVersion: {own}\n");
        let mut control = control.replace(&own, &format!("\nVersion: {version}\n"));
        for (old, new) in replacements {
            assert!(control.contains(old), "{control}");
            control = control.replace(old, new);
        }
        fs::write(root.join("DEBIAN/control"), control).unwrap();
        let deb = root.with_extension("deb");
        let options = ["--root-owner-group", "-Zgzip", "-z1", "--build"].map(AsRef::as_ref);
        oracle::run("dpkg-deb", options.into_iter().chain([root.as_os_str(), deb.as_os_str()]));
        deb
    }

    /// Returns the version that the bundle has.
    fn version(&self, name: &str) -> String {
        oracle::text("dpkg-deb", [Path::new("--field"), &self.packed.deb(name), Path::new("Version")])
            .trim()
            .to_owned()
    }
}

/// What [`mixed`] has older than the bundle does, and what cannot stay so: requested, or too old for something.
const RAISED: [&str; 3] = ["ethtool", "libnetfilter-conntrack3", "libnl-3-200"];

/// Returns a node that has packages of the bundle in other versions.
fn mixed(rebuilt: &Rebuilt<'_>) -> Node {
    let own_jq = format!("libjq1 (= {})", rebuilt.version("libjq1"));
    let debs = [
        // Newer: requested, what it needs in just that version, and what that needs.
        rebuilt.build("jq", "1.9-1", &[(&own_jq, "libjq1 (= 1.9-1)")]),
        rebuilt.build("libjq1", "1.9-1", &[]),
        rebuilt.build("libonig5", "6.99-1", &[]),
        // Older, and requested; one of them is held back.
        rebuilt.build("ethtool", "1:5.0-1", &[]),
        rebuilt.build("psmisc", "22-1", &[]),
        // Older than what needs it allows: `=` here, `>=` there.
        rebuilt.build("libnl-3-200", "3.6.0-1", &[]),
        rebuilt.build("libnetfilter-conntrack3", "1.0.8-1", &[]),
        rebuilt.packed.deb("libnfnetlink0"),
        // Older, but as new as anything needs it.
        rebuilt.build("libmnl0", "1.0.4-2", &[]),
    ];
    let node = Node::with(Base::Usual);
    node.install_debs(&debs.each_ref().map(PathBuf::as_path));
    node.run("apt-mark hold psmisc; rm -r /etc/apt/sources.list.d/*").succeeds();
    node
}

#[test]
fn on_a_larger_base_with_older_and_newer_packages_nothing_gets_older_or_goes() {
    let packed = whole();
    let rebuilt = Rebuilt::of(packed);
    let node = mixed(&rebuilt);
    let before = installed(&node);
    node.install(&node.unpack_archive(&packed.name, fs::read(&packed.file).unwrap())).succeeds();
    let after = installed(&node);
    assert_eq!(raised(&before, &after), RAISED);
    for name in RAISED {
        assert_eq!(after[name], rebuilt.version(name), "{name}");
    }
    assert!(LIST.split(' ').all(|name| after.contains_key(name)), "{after:?}");
    assert_whole(&node);
    let marker = node.read(MARKER).unwrap();
    assert!(
        marker.contains("\npackage jq 1.9-1\n") && marker.contains("\npackage psmisc 22-1\n"),
        "{marker}"
    );
}

#[test]
fn what_would_make_a_package_older_or_remove_one_is_refused_and_nothing_is_changed() {
    let packed = whole();
    let rebuilt = Rebuilt::of(packed);
    let others = Debs::new();
    let rival = "Package: site-telnet\nVersion: 1\nArchitecture: all\nConflicts: inetutils-telnet";
    // The bundle's jq needs the bundle's libjq1; no telnet goes beside the site's own.
    let cases = [
        (vec![rebuilt.build("libjq1", "1.9-1", &[]), packed.deb("libonig5")], "jq : Depends: libjq1 (= "),
        (vec![others.add(rival, &[])], "inetutils-telnet"),
    ];
    for (debs, expected) in cases {
        let node = Node::with(Base::Usual);
        node.install_debs(&debs.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let status = node.read("/var/lib/dpkg/status").unwrap();
        let run = node.install(&node.unpack_archive(&packed.name, fs::read(&packed.file).unwrap()));
        assert_eq!((run.code, node.read(MARKER)), (Some(1), None), "{run:?}");
        assert_eq!(node.read("/var/lib/dpkg/status").unwrap(), status);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("apt cannot install the bundle; {LOG} has the reason")));
    }
}
