//! apt with a state of its own: lists, cache, sources and dpkg's status; only the way to the mirror is the
//! machine's.

use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;
use tempfile::TempDir;

use super::oracle;

/// An apt that sees the suites of one release for one architecture.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: TempDir,
}

impl Apt {
    /// Fetches the lists of `codename` with its updates and security fixes, as the machine's own sources have
    /// them; the machine's own release may be another one.
    pub(crate) fn fetch(codename: &str, architecture: &str) -> Self {
        Self::of(&sources(codename), architecture)
    }

    /// Fetches the lists of `sources`, as a `sources.list` has them.
    pub(crate) fn of(sources: &str, architecture: &str) -> Self {
        let apt = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["lists/partial", "cache/archives/partial", "etc"] {
            fs::create_dir_all(apt.path(folder)).unwrap();
        }
        fs::write(apt.path("status"), "").unwrap();
        fs::write(apt.path("sources.list"), sources).unwrap();
        fs::write(apt.path("apt.conf"), configuration(&apt, architecture)).unwrap();
        oracle::finish(apt.command("apt-get").arg("update"));
        apt
    }

    /// Makes `status` dpkg's status file.
    pub(crate) fn set_status(&self, status: &str) {
        fs::write(self.path("status"), status).unwrap();
    }

    /// Returns the names of the suites and the texts of their indices.
    pub(crate) fn indices(&self) -> Vec<(String, String)> {
        let format = "$(RELEASE) $(FILENAME)";
        let arguments = ["indextargets", "--format", format, "Created-By: Packages"];
        let targets = oracle::finish(self.command("apt-get").args(arguments)).stdout;
        let targets = String::from_utf8(targets).unwrap();
        let read = |line: &str| {
            let (release, file) = line.split_once(' ').unwrap();
            // The file of a suite without packages is not there.
            Some((release.to_owned(), fs::read_to_string(file).ok()?))
        };
        targets.lines().filter_map(read).collect()
    }

    /// Returns what apt would install, as sorted `name version`; `None` if it cannot, or only by removing.
    pub(crate) fn install(&self, arguments: &[&str]) -> Option<Vec<String>> {
        let mut command = self.command("apt-get");
        // Prints what `--simulate` would install, in half the time: one in which nothing is played through.
        command.args(["--print-uris", "--yes", "--no-remove", "-qq", "install"]).args(arguments);
        let output =
            command.output().unwrap_or_else(|error| panic!("cannot run the oracle apt-get: {error}"));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut packages: Vec<String> = text.lines().filter_map(package).collect();
        packages.sort();
        output.status.success().then_some(packages)
    }

    /// Returns whether apt finds an order in which the package and what it needs can be installed.
    pub(crate) fn can_install(&self, name: &str) -> bool {
        let mut command = self.command("apt-get");
        let output = command.args(["--simulate", "--yes", "--no-remove", "-qq", "install", name]).output();
        output.unwrap_or_else(|error| panic!("cannot run the oracle apt-get: {error}")).status.success()
    }

    /// Fetches a package, and returns where its `.deb` lies.
    pub(crate) fn download(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        let mut command = self.command("apt-get");
        oracle::finish(command.args(["-qq", "download", name]).current_dir(&folder));
        let entry = fs::read_dir(&folder).unwrap().next().expect("apt downloads a file").unwrap();
        entry.path()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = oracle::command(program);
        // Read after the machine's own configuration, which may say by what proxy the mirror is reached.
        command.arg("-c").arg(self.path("apt.conf"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn configuration(apt: &Apt, architecture: &str) -> String {
    let path = |name: &str| apt.path(name).display().to_string();
    format!(
        r#"#clear APT::Architectures; #clear APT::Update; #clear DPkg::Pre-Install-Pkgs;
APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false"; APT::Get::Upgrade-By-Source-Package "false"; APT::Sandbox::User "";
Acquire::http::Proxy::127.0.0.1 "DIRECT"; Acquire::Languages "none"; Acquire::GzipIndexes "false"; Acquire::IndexTargets "";
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; flatMetaKey "Packages";
  ShortDescription "Packages"; Description "packages"; Optional "false";
}};
Dir::State "{state}"; Dir::State::lists "{lists}"; Dir::State::status "{status}";
Dir::State::extended_states "{extended}"; Dir::Cache "{cache}";
Dir::Cache::pkgcache "pkgcache.bin"; Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::sourcelist "{sources}"; Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
"#,
        state = path("."),
        lists = path("lists"),
        status = path("status"),
        extended = path("extended_states"),
        cache = path("cache"),
        sources = path("sources.list"),
    )
}

/// Returns the name and version of a line `'URI' name_version_architecture.deb size hash`.
fn package(line: &str) -> Option<String> {
    let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
    let [name, version, _architecture] =
        rest.split(' ').next()?.split('_').collect::<Vec<_>>().try_into().ok()?;
    Some(format!("{name} {}", version.replace("%3a", ":")))
}

/// Where a suite is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder above `dists`.
    pub(crate) url: String,
    /// The suite's name.
    pub(crate) suite: String,
}

/// Returns where the machine's own sources have the suites of `codename`; the machine's own release may be another
/// one.
pub(crate) fn places(codename: &str) -> [Place; 3] {
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
    let arguments = ["indextargets", "--format", format, "Created-By: Packages"];
    let targets = oracle::text("apt-get", arguments);
    let targets: Vec<[&str; 3]> = targets
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>().try_into().unwrap())
        .filter(|[_, _, component]: &[&str; 3]| *component == "main")
        .collect();
    let has =
        |place: &str, release: &str| targets.iter().any(|[uri, name, _]| *uri == place && *name == release);
    // Other people's repositories may be named alike, but have no updates.
    let own = targets.iter().find(|[uri, release, _]| has(uri, &format!("{release}-updates")));
    let [place, own, _] = own.expect("the machine's apt knows no release with updates");
    let security = targets.iter().find(|[_, release, _]| *release == format!("{own}-security"));
    let security = security.map_or(*place, |[uri, ..]| uri);
    [(*place, ""), (*place, "-updates"), (security, "-security")].map(|(uri, suffix)| Place {
        url: uri.trim_end_matches('/').to_owned(),
        suite: format!("{codename}{suffix}"),
    })
}

fn sources(codename: &str) -> String {
    // The signatures are another test's subject.
    places(codename).map(|Place { url, suite }| format!("deb [trusted=yes] {url} {suite} main\n")).concat()
}

/// Returns the variables that tell other programs by what proxy apt reaches `url`.
#[expect(clippy::disallowed_methods, reason = "apt reads this variable, and the tests' sandbox has none")]
pub(crate) fn proxy(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.split(['/', ':']).next().unwrap();
    let setting = format!("Acquire::{scheme}::Proxy");
    let settings = oracle::text("apt-config", ["dump", "--format", "%f=%v%n", &setting]);
    let variable = format!("{scheme}_proxy");
    let configured = |name: &str| {
        let mut values = settings.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.rfind(|value| !value.is_empty()).map(str::to_owned)
    };
    let proxy = configured(&format!("{setting}::{host}")).or_else(|| configured(&setting));
    let proxy = proxy.or_else(|| std::env::var(&variable).ok());
    Some((variable, proxy.filter(|proxy| proxy != "DIRECT")?))
}
