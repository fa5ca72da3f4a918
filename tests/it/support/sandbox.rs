//! A folder in which `seedkit` runs as on a machine of its own: own home, store, current folder and environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use fs_err as fs;
use serde_json::Value;
use tempfile::TempDir;

/// Where the lab's spec is, from the folder in which commands run.
pub(crate) const SPEC: &str = "lab/seedkit.yaml";
/// What the lab is built with where nothing else is the point.
pub(crate) const BUILD: [&str; 5] = ["build", "-f", SPEC, "-o", "kit"];

/// A home, and a folder in which commands run; both are gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// Makes one with a copy of the lab, and its lock, in `lab/`.
    pub(crate) fn lab() -> Self {
        let sandbox = Self::new();
        copy_tree(&lab(), &sandbox.path("lab"));
        sandbox
    }

    /// Makes one with a lab that has been built once, into `kit/`.
    pub(crate) fn built_lab() -> Self {
        let sandbox = Self::lab();
        sandbox.seedkit(&BUILD).succeeds();
        sandbox
    }

    /// Returns the path of something in the folder in which commands run.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("work").join(relative)
    }

    /// Returns the user's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns the store that commands use when nothing else is said.
    pub(crate) fn store(&self) -> PathBuf {
        self.home().join(".cache/seedkit")
    }

    /// Reads a text.
    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    /// Writes a file; its folder is made if it is missing.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Replaces the one place where a file says `old`.
    ///
    /// # Panics
    /// If the file says it never or twice: the test would not show what it claims.
    pub(crate) fn edit(&self, relative: &str, old: &str, new: &str) {
        let text = self.read(relative);
        assert_eq!(text.matches(old).count(), 1, "`{relative}` says {old:?} not exactly once:\n{text}");
        self.write(relative, text.replace(old, new));
    }

    /// Replaces the section `packages:` of the lab's spec.
    pub(crate) fn set_packages(&self, section: &str) {
        let spec = self.read(SPEC);
        let start = spec.find("\npackages:\n").expect("the lab has packages") + 1;
        let end = start + spec[start..].find("\n\n").expect("another section follows") + 1;
        self.write(SPEC, [&spec[..start], section, &spec[end..]].concat());
    }

    /// Returns the names in a folder, sorted; temporary ones are among them.
    pub(crate) fn names(&self, relative: &str) -> Vec<String> {
        names(&self.path(relative))
    }

    /// Prepares `program`, with nothing of the test's own environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Prepares the program under test.
    pub(crate) fn prepare(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(program());
        command.args(arguments);
        command
    }

    /// Starts the program under test with all its output in pipes.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.prepare(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a shell script as root of a mount namespace of its own, where `$SEEDKIT` is the program under test.
    ///
    /// What the script mounts is gone with it, and nobody else ever sees it.
    pub(crate) fn with_own_mounts(&self, script: &str) -> Run {
        let mut command = self.command("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        Run::of(command.args(["--mount", "sh", "-euc", script]).env("SEEDKIT", program()))
    }

    /// Runs the program under test with 10 seconds of a processor, after which it is killed; returns the most memory that
    /// it had besides, in KiB.
    pub(crate) fn seedkit_measured(&self, arguments: &[&str]) -> (Run, u64) {
        // The kernel's own count, asked by a small parent: Linux takes over a parent's peak at the start.
        const SCRIPT: &str = "import resource, subprocess, sys\n\
                              limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\n\
                              code = subprocess.call(sys.argv[1:], preexec_fn=limit)\n\
                              print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
                              sys.exit(code if code >= 0 else 128 - code)";
        let mut command = self.command("python3");
        let mut run = Run::of(command.args(["-c", SCRIPT, program()]).args(arguments));
        let end = run.stdout.trim_end().rfind('\n').map_or(0, |end| end + 1);
        let peak = run.stdout.split_off(end).trim().parse().unwrap();
        (run, peak)
    }

    /// Runs the program under test to its end.
    pub(crate) fn seedkit(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.prepare(arguments))
    }
}

/// How a command ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed as its result.
    pub(crate) stdout: String,
    /// Progress, warnings and errors.
    pub(crate) stderr: String,
}

impl Run {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it cannot be started, or prints anything but UTF-8.
    pub(crate) fn of(command: &mut Command) -> Self {
        match command.output() {
            Ok(output) => Self::from(output),
            Err(error) => panic!("cannot run {command:?}: {error}"),
        }
    }

    /// Returns the run if it ended with 0.
    ///
    /// # Panics
    /// If it did not.
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Returns what the run said from its `error:` on.
    ///
    /// # Panics
    /// If it ended with another code, printed a result, or named no error.
    pub(crate) fn fails(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "a failure prints no result");
        let start = self.stderr.find("error:").unwrap_or_else(|| panic!("no error in {:?}", self.stderr));
        self.stderr[start..].trim_end()
    }

    /// Returns the result of a run with `--json`.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl From<Output> for Run {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// Returns the program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_seedkit")
}

/// Returns the lab of the repository.
pub(crate) fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lab")
}

/// Returns the files of a folder, relative to it, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    files.map(|entry| entry.path().strip_prefix(folder).unwrap().to_owned()).collect()
}

/// Returns the names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns whatever seedkit left under a temporary name in the folder or below it.
pub(crate) fn debris(folder: &Path) -> Vec<PathBuf> {
    let is_debris = |entry: &walkdir::DirEntry| entry.file_name().to_string_lossy().starts_with(".seedkit-");
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(is_debris).map(walkdir::DirEntry::into_path).collect()
}

/// Copies a folder, without the secrets that somebody who tries the repository out has in it.
pub(crate) fn copy_tree(source: &Path, target: &Path) {
    for file in files(source).into_iter().filter(|file| !file.starts_with("secrets")) {
        fs::create_dir_all(target.join(&file).parent().unwrap()).unwrap();
        fs::copy(source.join(&file), target.join(&file)).unwrap();
    }
}
