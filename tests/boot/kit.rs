//! The kit that the guests boot from: built by the program itself, as a user would.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::tools::{command, finish, repository, scratch};

/// The nodes of `fixtures/boot/seedkit.yaml`.
pub(crate) const SERVER: &str = "boot-server";
pub(crate) const AGENT: &str = "boot-agent";

/// A kit, the secrets it was built with, and room for disks.
#[derive(Debug)]
pub(crate) struct Kit {
    folder: PathBuf,
}

impl Kit {
    /// Builds one with secrets of its own, for a scenario; what the scenario's run before has left is replaced.
    pub(crate) fn build(scenario: &str) -> Self {
        let folder = scratch().join(format!("boot-{scenario}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        for name in ["boot", "lab"] {
            copy_tree(&repository("fixtures").join(name), &folder.join(name));
        }
        let mut build = command(env!("CARGO_BIN_EXE_seedkit"));
        build.current_dir(&folder).env("HOME", &folder).args([
            "build",
            "-f",
            "boot/seedkit.yaml",
            "-o",
            "kit",
            "--cache-dir",
            "cache",
        ]);
        finish(&mut build);
        Self { folder }
    }

    /// Returns the path of something in the kit's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the seed of a node.
    pub(crate) fn seed(&self, node: &str) -> PathBuf {
        self.path(&format!("kit/seeds/seed-{node}.iso"))
    }

    /// Returns a copy of a node's seed in which one bit of its k3s is another.
    pub(crate) fn damaged_seed(&self, node: &str) -> PathBuf {
        let mut seed = fs::read(self.seed(node)).unwrap();
        let wanted = b"It is not k3s, and runs no pod.";
        let places: Vec<usize> = (0..seed.len()).filter(|&start| seed[start..].starts_with(wanted)).collect();
        let [place] = places[..] else { panic!("the k3s of the seed begins at {places:?}") };
        seed[place] ^= 1;
        let damaged = self.path(&format!("damaged-{node}.iso"));
        fs::write(&damaged, seed).unwrap();
        damaged
    }

    /// Returns the private key that opens the nodes.
    pub(crate) fn ssh_key(&self) -> PathBuf {
        self.path("boot/secrets/id_ed25519")
    }

    /// Returns a secret.
    pub(crate) fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.path("boot/secrets").join(name)).unwrap().trim().to_owned()
    }

    /// Returns the images that the kit is for, in full names, sorted.
    pub(crate) fn images(&self) -> Vec<String> {
        let name = |line: String| line.split(' ').next().unwrap().to_owned();
        self.image_lines().into_iter().map(name).collect()
    }

    /// Returns the name and the digest of each image, as the images were before the kit was built of them.
    pub(crate) fn image_lines(&self) -> Vec<String> {
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(self.path("lab/images/index.json")).unwrap()).unwrap();
        let name = |image: &serde_json::Value| {
            let name = image["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
            format!("{name} {}", image["digest"].as_str().unwrap())
        };
        let mut names: Vec<String> = index["manifests"].as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    }
}

/// Returns a node's address, as the spec has it.
pub(crate) fn address(node: &str) -> &'static str {
    if node == SERVER { "192.168.6.10" } else { "192.168.6.11" }
}

/// Returns the hardware address of a node, as the spec has it.
pub(crate) fn mac(node: &str) -> &'static str {
    if node == SERVER { "52:54:00:06:00:10" } else { "52:54:00:06:00:11" }
}

fn copy_tree(source: &Path, target: &Path) {
    for entry in walkdir::WalkDir::new(source).into_iter().map(Result::unwrap) {
        let place = target.join(entry.path().strip_prefix(source).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(place).unwrap();
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}
