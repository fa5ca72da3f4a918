//! A node: a minimal Debian system of the machine's own release, in namespaces of its own, without a network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use fs_err as fs;
use seedkit::opsbundle::Bundle;
use tempfile::TempDir;

use super::archive;
use crate::support::oracle;
use crate::support::sandbox::Run;

pub(super) const MARKER: &str = "/var/lib/k8s-ops-packages-installed";
pub(super) const LOG: &str = "/var/log/k8s-ops-packages.log";
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

/// What one node differs in from the others.
pub(super) struct Node(TempDir);

impl Node {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["upper", "work", "root"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    /// Runs a script as root, with nothing of the caller's environment.
    pub(super) fn run(&self, script: &str) -> Run {
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
        command.arg(self.0.path()).arg(system()).arg(if is_root { "" } else { ",userxattr" }).arg(script);
        Run::of(&mut command)
    }

    /// Puts a file there.
    pub(super) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.upper(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Unpacks a bundle there, and returns its folder.
    pub(super) fn unpack(&self, bundle: &Bundle) -> String {
        self.put(&format!("{OPT}/bundle.tar.gz"), archive(bundle));
        self.run(&format!("cd '{OPT}'; tar --extract --file bundle.tar.gz; rm bundle.tar.gz")).succeeds();
        format!("{OPT}/{}", bundle.name())
    }

    /// Installs a bundle by hand.
    pub(super) fn install(&self, folder: &str) -> Run {
        self.run(&format!("sh '{folder}/install.sh'"))
    }

    /// Installs loose packages, as somebody did before.
    pub(super) fn install_debs(&self, debs: &[&Path]) {
        for deb in debs {
            let name = deb.file_name().unwrap().to_str().unwrap();
            self.put(&format!("/before/{name}"), fs::read(deb).unwrap());
        }
        self.run("dpkg -i /before/*.deb; rm -r /before").succeeds();
    }

    /// Returns a file that is not as in every node.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let path = self.upper(path);
        path.is_file().then(|| fs::read_to_string(path).unwrap())
    }

    /// Returns `name version` of each installed package whose name begins with `ops-`.
    pub(super) fn installed(&self) -> Vec<String> {
        let show =
            "dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\\n' 'ops-*' 2>/dev/null || true";
        let lines = self.run(show).succeeds().stdout;
        let mut installed: Vec<_> =
            lines.lines().filter_map(|line| line[1..].strip_prefix("i ")).map(str::to_owned).collect();
        installed.sort();
        installed
    }

    /// Returns every path that is not as in every node, with the time of its last change.
    pub(super) fn changes(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
        let entries =
            walkdir::WalkDir::new(self.upper("")).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().modified().unwrap())).collect()
    }

    fn upper(&self, path: &str) -> PathBuf {
        self.0.path().join("upper").join(path.trim_start_matches('/'))
    }
}

/// Returns the code name of the machine's release.
pub(super) fn suite() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    line.expect("tests run on a release of Debian or Ubuntu").trim_matches('"').to_owned()
}

/// Returns the system below all nodes; made once, from where this machine gets its own packages.
fn system() -> &'static Path {
    static SYSTEM: OnceLock<PathBuf> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("node-{}", suite()));
        if !target.is_dir() {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let root = folder.path().join("root");
            make_system(&folder.path().join("root.tar"), &root);
            // Another run of the tests may have been faster: its system is as good.
            if let Err(error) = fs::rename(&root, &target) {
                assert!(target.is_dir(), "{error}");
            }
        }
        target
    })
}

fn make_system(tar: &Path, root: &Path) {
    let mut mmdebstrap = oracle::command("mmdebstrap");
    mmdebstrap.args(["--variant=apt", "--format=tar", "--aptopt=Acquire::Languages \"none\""]);
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
