//! A node: a minimal Debian system of the machine's own release, in namespaces of its own, without a network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use fs_err as fs;
use seedkit::opsbundle::Bundle;
use tempfile::TempDir;

use super::archive;
use crate::support::oracle;
use crate::support::sandbox::Run;

pub(crate) const MARKER: &str = "/var/lib/k8s-ops-packages-installed";
pub(crate) const LOG: &str = "/var/log/k8s-ops-packages.log";
/// A folder whose path needs quotes, and decodes to another one.
const OPT: &str = "/opt/ops packages #1 %20";

/// Lays the node's changes over the system that all nodes share, and runs a script there.
const ENTER: &str = r#"
set -e
cd "$1"
mount -t overlay overlay -o "lowerdir=$2,upperdir=upper,workdir=work$3" root
# Without the terminals of /dev/pts, as in many a chroot.
mount --bind /dev root/dev
mount -t proc proc root/proc
status=0
chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -euc "$4" || status=$?
umount --recursive --lazy root
# The kernel leaves a folder behind that nobody may enter.
rm -rf work
mkdir work
exit "$status"
"#;

/// What a node has before anything is put there, as mmdebstrap makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// What nothing works without, and apt.
    Minimal,
    /// What anybody expects of a system, too: systemd, iproute2, cron.
    Usual,
}

/// What one node differs in from the others.
pub(crate) struct Node {
    folder: TempDir,
    base: Base,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with(Base::Minimal)
    }

    pub(crate) fn with(base: Base) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["upper", "work", "root"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, base }
    }

    /// Runs a script as root, with nothing of the caller's environment.
    pub(crate) fn run(&self, script: &str) -> Run {
        let is_root = rustix::process::geteuid().is_root();
        let mut command = oracle::command("unshare");
        if !is_root {
            command.arg("--map-root-user");
        }
        command.args([
            "--mount",
            "--net",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            ENTER,
            "sh",
        ]);
        let folders = [self.folder.path(), system(self.base)];
        command.args(folders).arg(if is_root { "" } else { ",userxattr" }).arg(script);
        Run::of(&mut command)
    }

    /// Puts a file there.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.upper(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Unpacks a bundle there, and returns its folder.
    pub(super) fn unpack(&self, bundle: &Bundle) -> String {
        self.unpack_archive(bundle.name(), archive(bundle))
    }

    /// Unpacks the archive of the bundle of that name there, and returns its folder.
    pub(crate) fn unpack_archive(&self, name: &str, archive: Vec<u8>) -> String {
        self.put(&format!("{OPT}/bundle.tar.gz"), archive);
        self.run(&format!("cd '{OPT}'; tar --extract --file bundle.tar.gz; rm bundle.tar.gz")).succeeds();
        format!("{OPT}/{name}")
    }

    /// Installs a bundle by hand.
    pub(crate) fn install(&self, folder: &str) -> Run {
        self.run(&format!("sh '{folder}/install.sh'"))
    }

    /// Installs loose packages, as somebody did before.
    pub(crate) fn install_debs(&self, debs: &[&Path]) {
        for deb in debs {
            let name = deb.file_name().unwrap().to_str().unwrap();
            self.put(&format!("/before/{name}"), fs::read(deb).unwrap());
        }
        self.run("dpkg -i /before/*.deb; rm -r /before").succeeds();
    }

    /// Returns a file that is not as in every node.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let path = self.upper(path);
        path.is_file().then(|| fs::read_to_string(path).unwrap())
    }

    /// Returns `name version` of each installed package whose name begins with `ops-`.
    pub(crate) fn installed(&self) -> Vec<String> {
        let show =
            "dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\\n' 'ops-*' 2>/dev/null || true";
        let lines = self.run(show).succeeds().stdout;
        let mut installed: Vec<_> =
            lines.lines().filter_map(|line| line[1..].strip_prefix("i ")).map(str::to_owned).collect();
        installed.sort();
        installed
    }

    /// Returns every path that is not as in every node, with the time of its last change.
    pub(crate) fn changes(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
        let entries =
            walkdir::WalkDir::new(self.upper("")).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().modified().unwrap())).collect()
    }

    fn upper(&self, path: &str) -> PathBuf {
        self.folder.path().join("upper").join(path.trim_start_matches('/'))
    }
}

/// Returns the code name of the machine's release.
pub(crate) fn suite() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    line.expect("tests run on a release of Debian or Ubuntu").trim_matches('"').to_owned()
}

/// How long a system is kept: an older one would have to be upgraded by what the mirror has by then.
const KEPT: Duration = Duration::from_hours(24);

/// Returns the system below all nodes of a base; made once, from where this machine gets its own packages.
fn system(base: Base) -> &'static Path {
    static MINIMAL: OnceLock<PathBuf> = OnceLock::new();
    static USUAL: OnceLock<PathBuf> = OnceLock::new();
    let (system, variant) = match base {
        Base::Minimal => (&MINIMAL, "minbase"),
        Base::Usual => (&USUAL, "important"),
    };
    system.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("node-{}-{variant}", suite()));
        if is_old(&target) {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            // Another run of the tests may have been faster.
            let _moved = fs::rename(&target, folder.path().join("root"));
        }
        if !target.is_dir() {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let root = folder.path().join("root");
            make_system(variant, &folder.path().join("root.tar"), &root);
            // Another run of the tests may have been faster: its system is as good.
            if let Err(error) = fs::rename(&root, &target) {
                assert!(target.is_dir(), "{error}");
            }
        }
        target
    })
}

fn is_old(folder: &Path) -> bool {
    let made = fs::metadata(folder).and_then(|folder| folder.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > KEPT))
}

fn make_system(variant: &str, tar: &Path, root: &Path) {
    let mut mmdebstrap = oracle::command("mmdebstrap");
    mmdebstrap.args(["--format=tar", "--aptopt=Acquire::Languages \"none\""]);
    mmdebstrap.arg(format!("--variant={variant}"));
    for option in [
        "force-unsafe-io",
        "path-exclude=/usr/share/doc/*",
        "path-exclude=/usr/share/locale/*",
        "path-exclude=/usr/share/man/*",
    ] {
        mmdebstrap.arg(format!("--dpkgopt={option}"));
    }
    oracle::finish(mmdebstrap.arg(suite()).arg(tar).args(sources()));
    fs::create_dir(root).unwrap();
    oracle::finish(
        Command::new("tar").args(["--extract", "--exclude=./dev/*", "--file"]).arg(tar).arg("-C").arg(root),
    );
}

/// Returns the files that say where this machine gets packages of its own release from.
fn sources() -> Vec<PathBuf> {
    let folder = fs::read_dir("/etc/apt/sources.list.d").unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        folder.chain(["/etc/apt/sources.list".into()]).filter(|path| is_source(path)).collect();
    files.sort();
    files
}

fn is_source(path: &Path) -> bool {
    let is_read_by_apt =
        path.extension().is_some_and(|extension| extension == "list" || extension == "sources");
    let suite = suite();
    let is_own = |text: String| text.split_whitespace().any(|word| word == suite);
    is_read_by_apt && fs::read_to_string(path).is_ok_and(is_own)
}
