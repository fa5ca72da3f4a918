//! A node without its kernel: a root of its own, in which the scripts of a seed run. `blkid`, `systemctl` and time are
//! stand-ins, and `mount` binds a folder.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use seedkit::seed::NodeSeed;
use seedkit::tree::FileTree;
use serde_json::Value;
use walkdir::WalkDir;

use super::{built, write, written_files};
use crate::support::oracle;

/// Binds what a chroot needs, in a mount namespace of its own, and runs a script there.
const ENTER: &str = r#"
set -e
root=$1
shift
mount --bind /usr "$root/usr"
mount --bind "$root/local" "$root/usr/local"
mount --bind /dev "$root/dev"
status=0
timeout --kill-after=5 300 chroot "$root" /usr/bin/env -i PATH=/stand-in:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin "$@" || status=$?
for disc in disc shared; do
    if mountpoint -q "$root/run/seedkit/$disc"; then
        echo "$disc is still mounted"
        exit 99
    fi
done
exit "$status"
"#;

/// How [`ENTER`] ends if a disc was not given back.
const LEFT_MOUNTED: i32 = 99;

/// Programs that would need a kernel, a network or time of their own.
const STAND_INS: [(&str, &str); 10] = [
    // `-L LABEL`: there is a disc, and its label is the second one that is asked for.
    (
        "blkid",
        "case $2 in
            cidata) [ -e /seed/disc ] && echo /dev/sr0 ;;
            SEEDKIT_PAYLOAD) [ -e /seed/shared ] && echo /dev/sr1 ;;
            *) exit 2 ;;
        esac",
    ),
    (
        "mount",
        "case \"$1 $2 $3\" in
            '-o ro /dev/sr0') exec /usr/bin/mount --bind /seed/disc \"$4\" ;;
            '-o ro /dev/sr1') exec /usr/bin/mount --bind /seed/shared \"$4\" ;;
            *) exit 1 ;;
        esac",
    ),
    // The clock that the scripts look at goes on by what they sleep; whatever a test wants then is done.
    (
        "sleep",
        "read -r now _ </proc/uptime\necho \"$((${now%.*} + $1)).00 0\" >/proc/uptime\n\
         [ ! -e /answers/then ] || . /answers/then",
    ),
    (
        "systemctl",
        "case $1 in
            is-enabled) exec grep -qsx \"$3\" /answers/enabled ;;
            show) cat /answers/activity 2>/dev/null || echo active ;;
            *) echo \"$*\" >>/answers/systemctl ;;
        esac",
    ),
    ("journalctl", "cat /answers/journal"),
    ("agetty", ""),
    ("hostname", "echo \"$1\" >/answers/hostname"),
    ("modprobe", ""),
    ("sysctl", "echo \"sysctl $*\" >>/answers/systemctl"),
    ("udevadm", ""),
];

/// A node that has booted once, so that cloud-init has written its files.
pub(super) struct Machine {
    folder: tempfile::TempDir,
    /// The unit that says when the node is done.
    completion_unit: &'static str,
}

impl Machine {
    pub(super) fn new(seed: &NodeSeed) -> Self {
        let completion_unit = seed.k3s.membership.completion_unit();
        let machine = Self { folder: tempfile::tempdir().unwrap(), completion_unit };
        let root = machine.root();
        for folder in [
            "usr",
            "local/bin",
            "dev",
            "proc",
            "run",
            "seed",
            "etc/cloud",
            "var/lib",
            "var/log",
            "tmp",
            "answers",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for folder in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{folder}"), root.join(folder)).unwrap();
        }
        fs::write(root.join("proc/uptime"), "100.00 0\n").unwrap();
        let card = root.join("sys/class/net/eth0");
        fs::create_dir_all(&card).unwrap();
        fs::write(card.join("address"), format!("{}\n", seed.node.card.mac().unwrap())).unwrap();
        fs::write(card.join("carrier"), "1\n").unwrap();
        fs::create_dir_all(root.join("sys/fs/cgroup")).unwrap();
        fs::write(root.join("sys/fs/cgroup/cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        let mut tree = FileTree::new();
        for (name, script) in STAND_INS {
            tree.insert_file(&format!("stand-in/{name}"), 0o755, format!("#!/bin/sh\n{script}\n")).unwrap();
        }
        for (path, mode, script) in written_files(&built(seed)) {
            if let Some(name) = path.strip_prefix("/usr/local/") {
                tree.insert_file(&format!("local/{name}"), mode, script).unwrap();
            }
        }
        write(&tree, root);
        machine
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a disc in, in place of the one before.
    pub(super) fn insert(&self, tree: &FileTree) {
        self.eject();
        write(tree, &self.root().join("seed/disc"));
    }

    pub(super) fn eject(&self) {
        let disc = self.root().join("seed/disc");
        if disc.exists() {
            fs::remove_dir_all(disc).unwrap();
        }
    }

    /// Runs a script of the seed's, with words after its name, and returns whether it succeeded and what it said.
    pub(super) fn run(&self, script: &str) -> (bool, String) {
        let Output { status, stdout, stderr } = self.ended(script);
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_ne!(status.code(), Some(LEFT_MOUNTED), "{said}");
        (status.success(), said)
    }

    /// Runs a script that is killed on its way, with its disc mounted.
    pub(super) fn is_cut_off(&self, script: &str) {
        assert_eq!(self.ended(script).status.code(), Some(LEFT_MOUNTED));
    }

    fn ended(&self, script: &str) -> Output {
        let mut command = oracle::command("unshare");
        command.args(["-m", "sh", "-c", ENTER, "sh"]).arg(self.root());
        let mut words = script.split(' ');
        command.arg(format!("/usr/local/sbin/{}", words.next().unwrap())).args(words);
        command.output().unwrap()
    }

    /// Runs a script that is to succeed, and returns what it said.
    pub(super) fn succeeds(&self, script: &str) -> String {
        let (is_success, said) = self.run(script);
        assert!(is_success, "{said}");
        said
    }

    /// Runs a script that is to fail, and returns what it said.
    pub(super) fn fails(&self, script: &str) -> String {
        let (is_success, said) = self.run(script);
        assert!(!is_success, "{said}");
        said
    }

    /// Runs the completion unit's script as that unit does, to its end.
    pub(super) fn completes(&self) -> String {
        self.succeeds(&format!("seedkit-bootstrap {}", self.completion_unit))
    }

    /// Puts a script beside those of the seed.
    pub(super) fn add_script(&self, name: &str, script: &str) {
        let mut tree = FileTree::new();
        tree.insert_file(&format!("local/sbin/{name}"), 0o755, script.to_owned()).unwrap();
        write(&tree, self.root());
    }

    /// Puts a program before the system's own of that name.
    pub(super) fn stand_in(&self, name: &str, script: &str) {
        let mut tree = FileTree::new();
        tree.insert_file(&format!("stand-in/{name}"), 0o755, script.to_owned()).unwrap();
        write(&tree, self.root());
    }

    pub(super) fn remove_stand_in(&self, name: &str) {
        fs::remove_file(self.root().join("stand-in").join(name)).unwrap();
    }

    pub(super) fn stage_well(&self) -> String {
        self.succeeds("seedkit-stage")
    }

    /// Returns the marker that is there, by the end of its name; the twin must not be there.
    pub(super) fn marker(&self, stem: &str) -> Option<(&'static str, Value)> {
        let read = |end: &'static str| {
            let text = fs::read_to_string(self.root().join(format!("var/lib/{stem}.{end}"))).ok()?;
            assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text:?}");
            Some((end, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))))
        };
        let markers: Vec<_> = ["done", "failed"].into_iter().filter_map(read).collect();
        assert!(markers.len() < 2, "{markers:?}");
        markers.into_iter().next()
    }

    /// Returns every file and link of the node by path, but markers and logs: mode, inode and content.
    pub(super) fn listing(&self) -> BTreeMap<String, (u32, u64, Vec<u8>)> {
        let mut listing = BTreeMap::new();
        for folder in ["etc", "var", "local", "opt", "run"] {
            for entry in WalkDir::new(self.root().join(folder)).into_iter().filter_map(Result::ok) {
                let metadata = fs::symlink_metadata(entry.path()).unwrap();
                let path = entry.path().strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned();
                let is_marker = path.strip_prefix("var/lib/").is_some_and(|name| !name.contains('/'));
                if is_marker || path.starts_with("var/log/") || path == "etc/issue.d/seedkit.issue" {
                    continue;
                }
                let content = match () {
                    () if metadata.is_dir() => continue,
                    () if metadata.is_symlink() => {
                        fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes()
                    }
                    () => fs::read(entry.path()).unwrap(),
                };
                listing.insert(path, (metadata.permissions().mode() & 0o7777, metadata.ino(), content));
            }
        }
        listing
    }

    pub(super) fn file(&self, path: &str) -> (u32, String) {
        let path = self.root().join(path);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        (mode, fs::read_to_string(&path).unwrap())
    }
}
