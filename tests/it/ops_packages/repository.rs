//! A signed repository on loopback, of packages that dpkg-deb built, whose files a test may change.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use fs_err as fs;
use seedkit::archive::ar::ArWriter;
use seedkit::archive::tar::write_tree;
use seedkit::digest::Digest;
use seedkit::tree::FileTree;

use crate::deb::gpg::Gpg;
use crate::opsbundle::debs::Debs;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::oracle;
use crate::support::sandbox::Sandbox;

/// A day on which all keys are good.
pub(super) const DAY: &str = "20240101";
/// What a release says beside its name and its list of files, where nothing else is the point.
pub(super) const USUAL: &str = "Date: Fri, 21 Nov 2025 00:00:00 UTC\nArchitectures: amd64\n";
/// The suite, where nothing else is the point.
const BOOKWORM: &str = "bookworm";

/// A repository with one suite.
pub(super) struct Repository {
    codename: String,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(super) gpg: Arc<Gpg>,
    pub(super) server: Hostile,
}

impl Repository {
    /// Serves a tool that needs a library, and something that nobody asks for.
    pub(super) fn start() -> Self {
        let debs = Debs::new();
        let package =
            |name: &str, more: &str| format!("Package: {name}\nVersion: 1:2.0-1\nArchitecture: all{more}");
        debs.add(&package("tool", "\nDepends: library (>= 1:1.0)"), &[("usr/bin/tool", "#!/bin/sh\n")]);
        debs.add(&package("library", ""), &[("usr/share/library", "x")]);
        debs.add(&package("bystander", ""), &[]);
        Self::of(BOOKWORM, &debs)
    }

    /// Serves packages as a suite, all of them to amd64.
    pub(super) fn of(codename: &str, debs: &Debs) -> Self {
        let mut served = BTreeMap::new();
        for name in debs.names() {
            let bytes = fs::read(debs.folder().join(&name)).unwrap();
            served.insert(format!("/debian/pool/{name}"), bytes);
        }
        let gpg = Gpg::new();
        gpg.make_key(DAY, "ed25519", "sign", "never");
        let repository = Self::serve(codename, served, Arc::new(gpg));
        repository.set_index("amd64", scan(debs.folder()));
        repository.publish(USUAL);
        repository
    }

    /// Returns another one that is the same, so that one may be harmed; keys that are added to either are in both.
    pub(super) fn twin(&self) -> Self {
        Self::serve(&self.codename, self.files.lock().unwrap().clone(), Arc::clone(&self.gpg))
    }

    /// Returns it as a line of apt's `sources.list`; `keys` is the file that [`Repository::lab`] puts into the lab.
    pub(super) fn source(&self, sandbox: &Sandbox) -> String {
        let keys = sandbox.path("lab/keys.gpg");
        format!("deb [signed-by={}] {}/debian {} main\n", keys.display(), self.server.url(), self.codename)
    }

    fn serve(codename: &str, served: BTreeMap<String, Vec<u8>>, gpg: Arc<Gpg>) -> Self {
        let files = Arc::new(Mutex::new(served));
        let shared = Arc::clone(&files);
        let server =
            Hostile::start(move |request: &Request| match shared.lock().unwrap().get(&request.target) {
                Some(bytes) => Answer::new(200, bytes.clone()),
                None => Answer::new(404, "gone"),
            });
        Self { codename: codename.to_owned(), files, gpg, server }
    }

    /// Returns the text of a release over everything that is served of the suite now.
    pub(super) fn release(&self, fields: &str) -> String {
        let suite = format!("/debian/dists/{}/", self.codename);
        let files = self.files.lock().unwrap();
        let listed = files.iter().filter_map(|(path, bytes)| {
            let path = path.strip_prefix(&suite).filter(|path| *path != "InRelease")?;
            Some(format!(" {} {} {path}\n", Digest::sha256(bytes).hex(), bytes.len()))
        });
        format!(
            "Origin: Test\nSuite: oldstable\nCodename: {}\n{fields}Components: main\nSHA256:\n{}",
            self.codename,
            listed.collect::<String>()
        )
    }

    /// Signs a release over everything that is served now.
    pub(super) fn publish(&self, fields: &str) {
        self.set_release(self.gpg.sign(DAY, &self.release(fields), &[]));
    }

    pub(super) fn set_release(&self, text: impl Into<Vec<u8>>) {
        self.set(&format!("dists/{}/InRelease", self.codename), text);
    }

    /// Returns the index of an architecture.
    pub(super) fn index(&self, architecture: &str) -> String {
        String::from_utf8(self.file(&self.index_path(architecture))).unwrap()
    }

    pub(super) fn set_index(&self, architecture: &str, text: impl Into<Vec<u8>>) {
        self.set(&self.index_path(architecture), text);
    }

    pub(super) fn index_path(&self, architecture: &str) -> String {
        format!("dists/{}/main/binary-{architecture}/Packages", self.codename)
    }

    /// Writes all that it serves into a folder, laid out as on the server.
    pub(super) fn write_into(&self, folder: &Path) {
        for (path, bytes) in &*self.files.lock().unwrap() {
            let path = folder.join(path.trim_start_matches("/debian/"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    pub(super) fn file(&self, path: &str) -> Vec<u8> {
        self.files.lock().unwrap()[&format!("/debian/{path}")].clone()
    }

    pub(super) fn set(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(format!("/debian/{path}"), bytes.into());
    }

    pub(super) fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(&format!("/debian/{path}")).unwrap();
    }

    /// Changes one byte near the end of a file.
    pub(super) fn damage(&self, path: &str) {
        let mut bytes = self.file(path);
        let place = bytes.len() - 10;
        bytes[place] ^= 1;
        self.set(path, bytes);
    }

    /// Returns a lab that asks this repository for `names`.
    pub(super) fn lab(&self, names: &str) -> Sandbox {
        self.lab_that_wants(&format!("  names: [{names}]\n"))
    }

    /// Returns a lab whose packages come from this repository, and are those that the lines `wanted` name.
    pub(super) fn lab_that_wants(&self, wanted: &str) -> Sandbox {
        let sandbox = Sandbox::lab();
        fs::write(sandbox.path("lab/keys.gpg"), self.gpg.export(&[])).unwrap();
        let section = format!(
            "packages:\n  suite: {}\n  sources:\n    - urls: [\"{}/debian\"]\n      keyring: keys.gpg\n{wanted}",
            self.codename,
            self.server.url()
        );
        sandbox.set_packages(&section);
        sandbox
    }
}

/// Returns the index of the packages in a folder, as they lie in `pool`.
pub(super) fn scan(folder: &Path) -> String {
    let mut scan = oracle::command("dpkg-scanpackages");
    let index = oracle::finish(scan.args(["--multiversion", "."]).current_dir(folder)).stdout;
    String::from_utf8(index).unwrap().replace("\nFilename: ./", "\nFilename: pool/")
}

/// Returns the names of the packages that the lock pins, each with its version.
pub(super) fn locked(sandbox: &Sandbox) -> Vec<String> {
    let lock = sandbox.read("lab/seedkit.lock");
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
    let (_, tables) = lock.split_once("[[package]]").unwrap();
    let names = tables.lines().filter_map(|line| value(line, "name = "));
    let versions = tables.lines().filter_map(|line| value(line, "version = "));
    names.zip(versions).map(|(name, version)| format!("{name} {version}")).collect()
}

/// Returns a package with such a control file, of whose files one is `../etc/passwd`.
pub(super) fn escaping(control: &str) -> Vec<u8> {
    let path = b"../etc/passwd";
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(0);
    header.set_cksum();
    let mut data = header.as_bytes().to_vec();
    data.resize(data.len() + 1024, 0);
    let epoch = "1763683200".parse().unwrap();
    let mut files = FileTree::new();
    files.insert_file("control", 0o644, control).unwrap();
    let control = write_tree(&files, epoch, Vec::new()).unwrap();
    let mut writer = ArWriter::new(Vec::new(), epoch).unwrap();
    let members: [(&str, &[u8]); 3] =
        [("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", &data)];
    members.iter().for_each(|(name, content)| writer.member(name, 0o644, content).unwrap());
    writer.finish().unwrap()
}
