//! Small packages, built by dpkg-deb and described by dpkg-scanpackages.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::opsbundle::BundledPackage;

use crate::support::oracle;
use crate::support::sandbox::names;

/// Returns the machine's architecture, as dpkg names it.
pub(crate) fn native() -> String {
    oracle::text("dpkg", ["--print-architecture"]).trim().to_owned()
}

/// A folder of packages.
pub(crate) struct Debs(tempfile::TempDir);

impl Debs {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Returns the file names of the packages, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.folder())
    }

    /// Builds a package of the given fields and files; what lies in `DEBIAN/` with `#!` is a maintainer script.
    pub(crate) fn add(&self, fields: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let architecture = if fields.contains("\nArchitecture: ") {
            String::new()
        } else {
            format!("Architecture: {}\n", native())
        };
        let control =
            format!("{fields}\n{architecture}Maintainer: Test <test@example.org>\nDescription: for tests\n");
        for (path, content) in [("DEBIAN/control", control.as_str())].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let name = fields.lines().next().unwrap().strip_prefix("Package: ").unwrap();
        let number = fs::read_dir(self.folder()).unwrap().count();
        let deb = self.folder().join(format!("{name}-{number}.deb"));
        let options = ["--root-owner-group", "-Zgzip", "-z1", "--build"];
        let mut build = oracle::command("dpkg-deb");
        build.args(options).args([root.path(), &deb]);
        // The time is in the file: without one that is given, packages built in different seconds differ.
        oracle::finish(build.env("SOURCE_DATE_EPOCH", "1704067200"));
        deb
    }

    /// Returns the packages as a closure hands them on: with weak hashes and phasing in their stanzas.
    pub(crate) fn packages(&self) -> Vec<BundledPackage> {
        packages(self.folder())
    }
}

/// Returns the packages that lie in a folder.
pub(crate) fn packages(folder: &Path) -> Vec<BundledPackage> {
    let mut scan = oracle::command("dpkg-scanpackages");
    let index = oracle::finish(scan.args(["--multiversion", "."]).current_dir(folder)).stdout;
    let index = String::from_utf8(index).unwrap();
    let stanzas = index.split("\n\n").filter(|stanza| !stanza.trim().is_empty());
    stanzas.map(|stanza| package(folder, stanza)).collect()
}

fn package(folder: &Path, stanza: &str) -> BundledPackage {
    let field = |name: &str| field(stanza, name).to_owned();
    let deb = fs::read(folder.join(field("Filename"))).unwrap();
    BundledPackage {
        name: field("Package"),
        version: field("Version"),
        architecture: field("Architecture"),
        stanza: format!("{stanza}\nPhased-Update-Percentage: 0\n"),
        sha256: Digest::sha256(&deb),
        content: deb.into(),
        why: "a test".to_owned(),
    }
}

/// Returns the value of a field that fits on a line.
pub(crate) fn field<'a>(stanza: &'a str, name: &str) -> &'a str {
    let value = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("there is no {name} in {stanza}"))
}
