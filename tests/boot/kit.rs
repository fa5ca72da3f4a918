//! The kit that the guests boot from: built by the program itself, as a user would.

use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::digest::Digest;

use crate::pause;
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
    pub(crate) fn build(scenario: &str, change: impl FnOnce(String) -> String) -> Self {
        let folder = scratch().join(format!("boot-{scenario}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        for name in ["boot", "lab"] {
            copy_tree(&repository("fixtures").join(name), &folder.join(name));
        }
        pause::put_into(&folder.join("lab/images"));
        let kit = Self { folder };
        kit.build_as("kit", change);
        kit
    }

    /// Builds with the same secrets, from a spec that is changed, into a folder of its own.
    pub(crate) fn build_as(&self, name: &str, change: impl FnOnce(String) -> String) {
        let spec = fs::read_to_string(self.path("boot/seedkit.yaml")).unwrap();
        let path = format!("boot/{name}.yaml");
        fs::write(self.path(&path), change(spec)).unwrap();
        let mut build = command(env!("CARGO_BIN_EXE_seedkit"));
        let words = ["build", "-f", &path, "-o", name, "--cache-dir", "cache"];
        finish(build.current_dir(&self.folder).env("HOME", &self.folder).args(words));
    }

    /// Returns the path of something in the kit's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the seed of a node.
    pub(crate) fn seed(&self, node: &str) -> PathBuf {
        self.seed_of("kit", node)
    }

    /// Returns the seed of a node in the kit that [`Self::build_as`] has put into a folder.
    pub(crate) fn seed_of(&self, name: &str, node: &str) -> PathBuf {
        self.path(&format!("{name}/seeds/seed-{node}.iso"))
    }

    /// Returns a copy of a node's seed whose tarball has two images under each other's names, with sums that are right.
    pub(crate) fn swapped_seed(&self, node: &str) -> PathBuf {
        let tarballs = fs::read_dir(self.path("kit")).unwrap().map(|entry| entry.unwrap().path());
        let tarball =
            tarballs.filter(|path| path.extension().is_some_and(|end| end == "tar")).last().unwrap();
        let whole = fs::read(tarball).unwrap();
        let lines = self.image_lines();
        let digest = |name: &str| {
            let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(':').next().unwrap().as_bytes().to_vec()
        };
        let pair = ["docker.io/lab/hello:", "quay.io/lab/hello:"].map(digest);
        let mut swapped = whole.clone();
        let mut archive = tar::Archive::new(&whole[..]);
        for entry in archive.entries().unwrap().map(Result::unwrap) {
            if entry.path().unwrap().ends_with("index.json") {
                let start = usize::try_from(entry.raw_file_position()).unwrap();
                let index = &mut swapped[start..start + usize::try_from(entry.size()).unwrap()];
                for place in 0..index.len() - 64 {
                    let other = pair.iter().position(|digest| index[place..].starts_with(digest));
                    if let Some(other) = other {
                        index[place..place + 64].copy_from_slice(&pair[1 - other]);
                    }
                }
            }
        }
        assert_ne!(swapped, whole, "the tarball's index does not name the two images");
        let sum = |bytes: &[u8]| Digest::sha256(bytes).to_string().replace("sha256:", "");
        let mut seed = fs::read(self.seed(node)).unwrap();
        replace(&mut seed, &whole, &swapped);
        replace(&mut seed, sum(&whole).as_bytes(), sum(&swapped).as_bytes());
        let path = self.path(&format!("swapped-{node}.iso"));
        fs::write(&path, seed).unwrap();
        path
    }

    /// Returns a copy of a node's seed in which one bit of its k3s is another.
    pub(crate) fn damaged_seed(&self, node: &str) -> PathBuf {
        let mut seed = fs::read(self.seed(node)).unwrap();
        replace(&mut seed, b"It is not k3s, and runs no pod.", b"It is not k3s, and runs no pot.");
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

/// Replaces the one place that has these bytes.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let places: Vec<usize> = (0..bytes.len()).filter(|&start| bytes[start..].starts_with(old)).collect();
    let [place] = places[..] else { panic!("what is to be replaced is at {places:?}") };
    bytes[place..place + new.len()].copy_from_slice(new);
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
