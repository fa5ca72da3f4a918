//! The image that all guests boot: made once from the machine's own mirror, and again when its recipe changes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fs_err as fs;
use seedkit::digest::Digest;

use crate::tools::{as_root, command, finish, repository, scratch};

const RELEASE: &str = "bookworm";

/// A kernel, its initial RAM disk, and a disk that guests copy.
#[derive(Debug)]
pub(crate) struct Image {
    folder: PathBuf,
}

impl Image {
    /// Returns the path of the kernel.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// Returns the path of the initial RAM disk.
    pub(crate) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    /// Copies the disk; its holes stay holes.
    pub(crate) fn copy_disk(&self, target: &Path) {
        let mut copy = command("cp");
        copy.args(["--sparse=always", "--reflink=auto"]).arg(self.folder.join("disk")).arg(target);
        finish(&mut copy);
    }
}

/// Returns the image; it is made if it is not there.
pub(crate) fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let script = repository("tests/boot/image.sh");
        let recipe = Digest::sha256(&fs::read(&script).unwrap());
        let folder = scratch().join(format!("boot-image-{}", recipe.short()));
        if !folder.is_dir() {
            remove_others();
            make(&script, &folder);
        }
        Image { folder }
    })
}

fn make(script: &Path, target: &Path) {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    let sources = folder.path().join("debian.list");
    fs::write(&sources, sources_of_the_machine()).unwrap();
    let image = folder.path().join("image");
    fs::create_dir(&image).unwrap();
    // The folder is everybody's to enter: apt's own user reads there.
    finish(as_root("sh").arg(script).arg(&image).arg(&sources));
    fs::rename(&image, target).unwrap();
}

fn remove_others() {
    for entry in fs::read_dir(scratch()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("boot-image-") {
            finish(as_root("rm").arg("-rf").arg(entry.path()));
        }
    }
}

/// Returns lines that say where this machine gets the release's packages from.
///
/// # Panics
/// If it gets them from nowhere.
fn sources_of_the_machine() -> String {
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
    let mut list = command("apt-get");
    list.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let targets = String::from_utf8(finish(&mut list).stdout).unwrap();
    let mut lines: Vec<String> = targets.lines().filter_map(source).collect();
    lines.sort();
    lines.dedup();
    assert!(!lines.is_empty(), "this machine's apt has no source of {RELEASE}: {targets}");
    lines.concat()
}

fn source(target: &str) -> Option<String> {
    let [place, suite, component] = target.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let kind = suite.strip_prefix(RELEASE)?;
    let is_wanted = ["", "-updates", "-security"].contains(&kind) && component == "main";
    is_wanted.then(|| format!("deb {place} {suite} {component}\n"))
}
