//! The staging script, run in a root of its own: only `blkid` is a stand-in, and `mount` binds a folder.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use seedkit::seed::NodeSeed;
use seedkit::tree::FileTree;
use walkdir::WalkDir;

use super::{HOSTILE, built, lab, payload_file, text, write, written_files};
use crate::support::oracle;

const SCRIPT: &str = "/usr/local/sbin/seedkit-stage";

/// Binds what a chroot needs, in a mount namespace of its own, and runs the script there.
const ENTER: &str = r#"
set -e
mount --bind /usr "$1/usr"
mount --bind "$1/local" "$1/usr/local"
mount --bind /dev "$1/dev"
status=0
chroot "$1" /usr/bin/env -i PATH=/stand-in:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin "$2" || status=$?
if mountpoint -q "$1/run/seedkit/disc"; then
    echo 'the disc is still mounted'
    exit 99
fi
exit "$status"
"#;

/// A node that has booted once, so that cloud-init has written its files.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(seed: &NodeSeed) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let root = machine.root();
        for folder in ["usr", "local/sbin", "dev", "stand-in", "run", "seed", "etc", "var/lib", "tmp"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for folder in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{folder}"), root.join(folder)).unwrap();
        }
        let stand_ins = [
            // `-L LABEL`: there is a disc, and its label is the second one that is asked for.
            ("blkid", "#!/bin/sh\n[ -e /seed/disc ] && [ \"$2\" = cidata ] && echo /dev/sr0\n"),
            (
                "mount",
                "#!/bin/sh\n[ \"$*\" = '-o ro /dev/sr0 /run/seedkit/disc' ] && exec /usr/bin/mount --bind /seed/disc \"$4\"\n",
            ),
        ];
        for (name, script) in stand_ins {
            let mut tree = FileTree::new();
            tree.insert_file(&format!("stand-in/{name}"), 0o755, script).unwrap();
            write(&tree, root);
        }
        let files = written_files(&built(seed));
        let (_, mode, script) = files.into_iter().find(|(path, ..)| path == SCRIPT).unwrap();
        let mut tree = FileTree::new();
        tree.insert_file("local/sbin/seedkit-stage", mode, script).unwrap();
        write(&tree, root);
        machine
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// Puts a disc in, in place of the one before.
    fn insert(&self, tree: &FileTree) {
        self.eject();
        write(tree, &self.root().join("seed/disc"));
    }

    fn eject(&self) {
        let disc = self.root().join("seed/disc");
        if disc.exists() {
            fs::remove_dir_all(disc).unwrap();
        }
    }

    /// Runs the script and returns whether it succeeded and what it said.
    fn stage(&self) -> (bool, String) {
        let root = self.root().as_os_str();
        let arguments = [
            "-m".as_ref(),
            "sh".as_ref(),
            "-c".as_ref(),
            ENTER.as_ref(),
            "sh".as_ref(),
            root,
            SCRIPT.as_ref(),
        ];
        let Output { status, stdout, stderr } = oracle::command("unshare").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_ne!(status.code(), Some(99), "{said}");
        (status.success(), said)
    }

    fn stage_well(&self) -> String {
        let (is_success, said) = self.stage();
        assert!(is_success, "{said}");
        said
    }

    /// Returns every file and link of the node by path: mode, inode and content.
    fn listing(&self) -> BTreeMap<String, (u32, u64, Vec<u8>)> {
        let mut listing = BTreeMap::new();
        for folder in ["etc", "var", "local", "opt", "run"] {
            for entry in WalkDir::new(self.root().join(folder)).into_iter().filter_map(Result::ok) {
                let metadata = fs::symlink_metadata(entry.path()).unwrap();
                let path = entry.path().strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned();
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

    fn file(&self, path: &str) -> (u32, String) {
        let path = self.root().join(path);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        (mode, fs::read_to_string(&path).unwrap())
    }
}

#[test]
fn every_file_lands_with_its_content_and_mode() {
    let seed = lab().swap_remove(0);
    let tree = built(&seed);
    let machine = Machine::new(&seed);
    machine.insert(&tree);
    machine.stage_well();
    let payload = |path: &str| text(&tree, &format!("payload/root/{path}"));
    for (path, mode, expected) in [
        ("local/bin/k3s", 0o755, "#!/bin/sh\necho k3s\n".to_owned()),
        ("var/lib/rancher/k3s/agent/images/airgap-images-0123456789ab.tar", 0o644, "images\n".to_owned()),
        ("opt/문서/read me 'first'.txt", 0o640, HOSTILE.to_owned()),
        ("etc/rancher/k3s/config.yaml", 0o600, payload("etc/rancher/k3s/config.yaml")),
        ("etc/rancher/k3s/registries.yaml", 0o600, payload("etc/rancher/k3s/registries.yaml")),
        ("etc/rancher/k3s/registry-ca.crt", 0o644, payload("etc/rancher/k3s/registry-ca.crt")),
        ("etc/rancher/node/password", 0o600, "node-password\n".to_owned()),
        ("var/lib/seedkit/staged", 0o600, text(&tree, "payload/seed-id")),
    ] {
        assert_eq!(machine.file(path), (mode, expected), "{path}");
    }
    for tool in ["kubectl", "crictl", "ctr"] {
        let link = fs::read_link(machine.root().join("local/bin").join(tool));
        // A tool that the machine has already keeps its name.
        assert!(
            link.is_ok_and(|target| target == Path::new("k3s")) || Path::new("/usr/bin").join(tool).exists(),
            "{tool}"
        );
    }
    let folder = fs::metadata(machine.root().join("var/lib/rancher/k3s/agent/images")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o755);
    assert!(
        !machine.listing().keys().any(|path| path.contains("seedkit-new")),
        "{:?}",
        machine.listing().keys()
    );
}

#[test]
fn a_second_run_changes_nothing() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    machine.stage_well();
    let before = machine.listing();
    assert!(machine.stage_well().contains("in place already"));
    assert_eq!(machine.listing(), before);
    machine.eject();
    assert!(machine.stage_well().contains("no seed disc"));
    assert_eq!(machine.listing(), before);
}

#[test]
fn without_a_disc_a_new_node_is_not_started() {
    let machine = Machine::new(&lab()[0]);
    let (is_success, said) = machine.stage();
    assert!(!is_success && said.contains("no disc labelled CIDATA"), "{said}");
}

#[test]
fn a_damaged_payload_is_named_and_places_nothing() {
    let seed = lab().swap_remove(0);
    for victim in [
        "root/usr/local/bin/k3s",
        "root/etc/rancher/k3s/config.yaml",
        "FILES",
        "seed-id",
        "SHA256SUMS",
        "root/opt/문서/read me 'first'.txt",
    ] {
        let machine = Machine::new(&seed);
        machine.insert(&built(&seed));
        let before = machine.listing();
        let path = machine.root().join("seed/disc/payload").join(victim);
        let mut bytes = fs::read(&path).unwrap();
        bytes[2] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (is_success, said) = machine.stage();
        assert!(!is_success && said.contains("damaged; nothing was placed"), "{victim}: {said}");
        assert!(victim == "SHA256SUMS" || said.contains(&format!("{victim}: FAILED")), "{victim}: {said}");
        assert_eq!(machine.listing(), before, "{victim}");
    }
}

#[test]
fn a_file_missing_from_the_disc_places_nothing() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    let before = machine.listing();
    fs::remove_file(machine.root().join("seed/disc/payload/root/usr/local/bin/k3s")).unwrap();
    let (is_success, said) = machine.stage();
    assert!(!is_success && said.contains("damaged"), "{said}");
    assert_eq!(machine.listing(), before);
}

#[test]
fn a_copy_that_fails_leaves_nothing_behind() {
    let seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    // A file where a folder is needed, for the last file of all.
    fs::write(machine.root().join("var/lib/rancher"), "").unwrap();
    let before = machine.listing();
    let (is_success, said) = machine.stage();
    assert!(!is_success && said.contains("cannot copy /var/lib/rancher"), "{said}");
    assert_eq!(machine.listing(), before);
}

#[test]
fn a_changed_seed_is_staged_anew_and_clears_what_is_gone() {
    let mut seed = lab().swap_remove(0);
    let machine = Machine::new(&seed);
    machine.insert(&built(&seed));
    machine.stage_well();
    seed.payload[1] = payload_file(
        "/var/lib/rancher/k3s/agent/images/airgap-images-ba9876543210.tar",
        0o644,
        "newer images\n",
    );
    seed.payload[2].mode = 0o600;
    let tree = built(&seed);
    machine.insert(&tree);
    machine.stage_well();
    let listing = machine.listing();
    let images: Vec<_> = listing.keys().filter(|path| path.contains("/images/")).collect();
    assert_eq!(images, ["var/lib/rancher/k3s/agent/images/airgap-images-ba9876543210.tar"]);
    assert_eq!(machine.file("opt/문서/read me 'first'.txt"), (0o600, HOSTILE.to_owned()));
    assert_eq!(machine.file("var/lib/seedkit/staged").1, text(&tree, "payload/seed-id"));
}
