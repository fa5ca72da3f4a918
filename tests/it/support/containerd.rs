//! Debian's containerd with a store of its own, one per test, ended with its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Stdio};

use fs_err as fs;

use super::oracle;

/// What images and pods of Kubernetes are kept under.
const NAMESPACE: &str = "k8s.io";
/// What this containerd does not need, and what takes time or rights to start.
const UNUSED: [&str; 5] = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
];

/// A running containerd that has no images yet.
pub(crate) struct Containerd {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

/// An image as containerd lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    /// The name that the kubelet looks it up by.
    pub(crate) name: String,
    /// The digest of its root.
    pub(crate) digest: String,
    /// Whether all its content for this machine is there and unpacked.
    pub(crate) is_ready: bool,
}

impl Containerd {
    /// Starts containerd and waits until it answers.
    ///
    /// It runs in a mount namespace of its own: what it mounts ends with it, however it ends.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [root, state, socket, configuration] =
            ["root", "state", "socket", "config.toml"].map(|name| folder.path().join(name));
        let text = format!(
            "version = 2\nroot = {root:?}\nstate = {state:?}\ndisabled_plugins = {UNUSED:?}\n\
             [grpc]\naddress = {socket:?}\n"
        );
        fs::write(&configuration, text).unwrap();
        let mut command = oracle::command("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["containerd".as_ref(), "--config".as_ref(), configuration.as_os_str()]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("the oracle containerd: {error}"));
        wait_until_booted(child.stderr.take().unwrap());
        Self { child, socket, _folder: folder }
    }

    /// Runs `ctr` and returns what it prints.
    ///
    /// # Panics
    /// If it fails; the message then holds what it said.
    pub(crate) fn ctr<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let mut command = oracle::command("ctr");
        // The snapshotter that works on every file system, and leaves nothing that only root can remove.
        command.env("CONTAINERD_SNAPSHOTTER", "native");
        command.arg("--address").arg(&self.socket).args(["--namespace", NAMESPACE]).args(arguments);
        String::from_utf8(oracle::finish(&mut command).stdout).unwrap()
    }

    /// Returns the images that are there, sorted by name.
    pub(crate) fn images(&self) -> Vec<Listed> {
        // REF TYPE DIGEST STATUS SIZE UNPACKED, where STATUS and SIZE are several words.
        let listing = self.ctr(&["images", "check"]);
        let mut images: Vec<Listed> = listing
            .lines()
            .skip(1)
            .map(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let is_ready = fields[3] == "complete" && fields.last() == Some(&"true");
                Listed { name: fields[0].to_owned(), digest: fields[2].to_owned(), is_ready }
            })
            .collect();
        images.sort();
        images
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Both may fail only if it has ended by itself.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Reads the log until containerd serves, then goes on reading it, so that the pipe never fills.
fn wait_until_booted(log: ChildStderr) {
    let mut log = BufReader::new(log).lines();
    let mut said = String::new();
    loop {
        let Some(Ok(line)) = log.next() else { panic!("the oracle containerd ends at once: {said}") };
        if line.contains("containerd successfully booted") {
            break;
        }
        said += &line;
        said.push('\n');
    }
    std::thread::spawn(move || log.for_each(drop));
}

mod tests {
    use super::*;

    #[test]
    fn containerd_starts_without_images() {
        assert_eq!(Containerd::start().images(), []);
    }
}
