//! Specs that ask the mirror of this machine's own apt for packages, each locked in a folder of its own.
//!
//! The folders stay until the next run of the tests, which begins without them: what is downloaded is shared by
//! the tests of one run, and by nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use fs_err as fs;
use rustix::fs::FlockOperation;
use seedkit::lockfile::{LockedPackage, Lockfile};
use seedkit::opsbundle::Manifest;

use crate::support::apt;
use crate::support::oracle;
use crate::support::sandbox::{self, Run, Sandbox};

const SPEC: &str = "seedkit.yaml";

/// What a spec asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// The release.
    pub(super) codename: &'static str,
    /// The platform of the nodes.
    pub(super) platform: &'static str,
    /// The packages, separated by blanks.
    pub(super) names: &'static str,
    /// What the nodes have already, as the spec says it.
    pub(super) baseline: Option<&'static str>,
}

/// A folder with a spec.
#[derive(Debug)]
pub(super) struct Lab {
    folder: PathBuf,
    codename: &'static str,
}

impl Lab {
    /// Makes a lab whose folder no other test has.
    pub(super) fn new(name: &str, wish: &Wish) -> Self {
        let folder = shared_folder().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("k3s"), "#!/bin/sh\n").unwrap();
        fs::write(folder.join(SPEC), spec(wish)).unwrap();
        Self { folder, codename: wish.codename }
    }

    /// Runs seedkit there; the way to the mirror is apt's.
    pub(super) fn seedkit(&self, arguments: &[&str]) -> Run {
        self.run(&[&[sandbox::program()], arguments].concat())
    }

    /// Runs seedkit there where no network is.
    pub(super) fn seedkit_without_network(&self, arguments: &[&str]) -> Run {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command("unshare");
        command.args(["--net", "--map-root-user", sandbox::program()]).args(arguments);
        Run::of(self.with_store(&mut command))
    }

    /// Runs seedkit there, as [`Lab::seedkit`] does, with so many bytes of memory and no more.
    pub(super) fn seedkit_within(&self, bytes: u64, arguments: &[&str]) -> Run {
        let limit = format!("--data={bytes}");
        self.run(&[&["prlimit", &limit, sandbox::program()], arguments].concat())
    }

    /// Runs a program there that reaches the mirror as apt does.
    fn run(&self, command: &[&str]) -> Run {
        let sandbox = Sandbox::new();
        let mut prepared = sandbox.command(command[0]);
        prepared.args(&command[1..]);
        for place in apt::places(self.codename) {
            prepared.envs(apt::proxy(&place.url));
        }
        Run::of(self.with_store(&mut prepared))
    }

    fn with_store<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(&self.folder).arg("--cache-dir").arg(shared_folder().join("store"))
    }

    /// Returns the packages of the lock.
    pub(super) fn locked(&self) -> Vec<LockedPackage> {
        let lock: Lockfile = fs::read_to_string(self.path("seedkit.lock")).unwrap().parse().unwrap();
        lock.packages.unwrap().packages
    }

    /// Returns the path of something there.
    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.join(relative)
    }
}

/// A packed bundle.
#[derive(Debug)]
pub(super) struct Packed {
    /// Where the lab is.
    pub(super) lab: Lab,
    /// The bundle's name, without the ends of its file.
    pub(super) name: String,
    /// Its file.
    pub(super) file: PathBuf,
}

impl Packed {
    /// Locks a wish and packs it.
    pub(super) fn new(name: &str, wish: &Wish) -> Self {
        let lab = Lab::new(name, wish);
        lab.seedkit(&["lock"]).succeeds();
        lab.seedkit(&["pack", "packages", "-o", "out"]).succeeds();
        let [file] = &sandbox::names(&lab.path("out"))[..] else { panic!("not one bundle") };
        let (name, file) = (file.strip_suffix(".tar.gz").unwrap().to_owned(), lab.path("out").join(file));
        oracle::run("tar", [Path::new("-xf"), &file, Path::new("-C"), &lab.path("")]);
        Self { lab, name, file }
    }

    /// Returns what the bundle says of itself.
    pub(super) fn manifest(&self) -> Manifest {
        let manifest = self.lab.path(&self.name).join("manifest.json");
        serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap()
    }

    /// Returns the file of a package.
    pub(super) fn deb(&self, name: &str) -> PathBuf {
        let packages = self.manifest().packages;
        let package = packages.iter().find(|package| package.name == name);
        let package = package.unwrap_or_else(|| panic!("{name} is not in the bundle"));
        self.lab.path(&self.name).join(&package.file)
    }
}

/// Returns the folder of all labs, empty at first; another run of the tests waits until this one has ended.
fn shared_folder() -> &'static Path {
    static FOLDER: OnceLock<(PathBuf, fs::File)> = OnceLock::new();
    let (folder, _lock) = FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ops-real");
        let lock = fs::File::create(folder.with_extension("lock")).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir(&folder).unwrap();
        (folder, lock)
    });
    folder
}

fn spec(wish: &Wish) -> String {
    let Wish { codename, platform, names, baseline } = wish;
    let source = |apt::Place { url, suite }| {
        assert!(url.starts_with("http"), "apt's own mirror is at {url}: seedkit reads http and https");
        format!("    - urls: [\"{url}\"]\n      suites: [{suite}]\n")
    };
    let sources = apt::places(codename).map(source).concat();
    let baseline = baseline.map(|baseline| format!("  baseline: {baseline}\n")).unwrap_or_default();
    let names = names.replace(' ', ", ");
    format!(
        "apiVersion: seedkit/v1\nname: ops\nplatforms: [{platform}]\n\
         k3s:\n  version: v1.35.0+k3s1\n  binary:\n    {platform}: {{ path: k3s }}\n\
         registry: {{ address: \"192.168.6.1:5000\" }}\nimages: {{ k3s: false }}\n\
         packages:\n  suite: {codename}\n  sources:\n{sources}{baseline}  names: [{names}]\n\
         nodes:\n  - name: n1\n    role: server\n    address: 192.168.6.10/24\n    gateway: 192.168.6.1\n    \
         nameservers: [192.168.6.1]\n    mac: \"52:54:00:06:00:10\"\n"
    )
}
