//! The clock of a node: set forward by what is known, and back before k3s has started. Python runs the script, with a clock of the test's.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use fs_err as fs;
use seedkit::pki::{Authority, PrivateKey};

use super::{built, lab, written_files};
use crate::support::oracle;

/// The time of the build that made the lab's seeds.
const BUILT: i64 = 1_763_683_200;
const DAY: i64 = 86_400;

/// Files of one node, and the registry that it asks.
struct Node {
    folder: tempfile::TempDir,
    registry: Option<Registry>,
}

/// A registry that says what time it is; it ends with the test.
struct Registry {
    process: Child,
    port: u16,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Node {
    /// A node without a hardware clock and without a registry that answers.
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), registry: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// Starts a registry whose certificate begins at `valid_from`, for a year, and that says it is `date`.
    fn with_registry(mut self, valid_from: i64, date: &str) -> Self {
        let epoch = (valid_from + 30 * DAY).to_string().parse().unwrap();
        let key = || PrivateKey::generate_p256().unwrap();
        let authority = Authority::generate_self_signed(key(), "lab", &[], epoch, 365).unwrap();
        let server_key = key();
        let server = authority.generate_server_certificate(&server_key, &[], epoch, 335).unwrap();
        for (name, text) in [
            ("registry-ca.crt", authority.pem()),
            ("server.crt", server.pem()),
            ("server.key", server_key.to_pem().expose()),
        ] {
            self = self.write(name, text);
        }
        let mut command = oracle::command("/usr/bin/python3");
        command.args(["-c", include_str!("dated_server.py")]);
        command.args([self.path("server.crt"), self.path("server.key")]).arg(date);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.registry = Some(Registry { process, port: line.trim().parse().unwrap() });
        self
    }

    /// Runs the script at the time `now`; returns the time in the end, and what it said.
    fn run(&self, now: i64) -> (i64, String) {
        let mut seed = lab().swap_remove(0);
        // Nobody listens on port 1.
        let port = self.registry.as_ref().map_or(1, |registry| registry.port);
        seed.registry.address = format!("127.0.0.1:{port}").parse().unwrap();
        let files = written_files(&built(&seed));
        let (_, _, script) = files.into_iter().find(|(path, ..)| path.ends_with("seedkit-clock")).unwrap();
        let mut script = script;
        for (path, name) in [
            ("/etc/rancher/k3s/registry-ca.crt", "registry-ca.crt"),
            ("/var/lib/seedkit/clock", "state/clock"),
            ("/sys/class/rtc/rtc0/since_epoch", "rtc"),
            ("/etc/adjtime", "adjtime"),
            ("/dev/rtc0", "no-such-device"),
            ("/var/lib/rancher/k3s/server/cred", "cred"),
            ("/var/lib/rancher/k3s/agent/client-kubelet.crt", "client-kubelet.crt"),
            ("/run/seedkit/clock-is-ahead", "run/clock-is-ahead"),
        ] {
            assert_eq!(script.matches(path).count(), 1, "{path}");
            script = script.replace(path, self.path(name).to_str().unwrap());
        }
        fs::write(self.path("script.py"), script).unwrap();
        let arguments = [Path::new("-c"), Path::new(include_str!("clock.py")), &self.path("script.py")];
        let mut command = oracle::command("/usr/bin/python3");
        let said = oracle::finish(command.args(arguments).arg(now.to_string())).stdout;
        let said = String::from_utf8(said).unwrap();
        let end = said.lines().find_map(|line| line.strip_prefix("in the end: ")).unwrap();
        (end.parse().unwrap(), said)
    }
}

#[test]
fn a_clock_that_nobody_contradicts_is_left_alone() {
    let node = Node::new().write("rtc", &BUILT.to_string());
    for now in [BUILT, BUILT + 1000 * DAY] {
        let (end, said) = node.run(now);
        assert_eq!(end, now, "{said}");
    }
}

#[test]
fn a_clock_that_is_ahead_is_set_back_before_k3s_makes_its_certificates_and_only_told_of_later() {
    let registry = || Node::new().with_registry(BUILT, "Mon, 01 Dec 2025 00:00:00 GMT");
    let node = registry();
    let (end, said) = node.run(BUILT + 100 * DAY);
    assert_eq!(end, 1_764_547_200, "{said}");
    assert!(said.contains("s ahead of the registry"), "{said}");
    assert!(!node.path("run/clock-is-ahead").exists());
    for made in ["cred", "client-kubelet.crt"] {
        let node = registry().write(made, "");
        let (end, said) = node.run(BUILT + 100 * DAY);
        assert_eq!(end, BUILT + 100 * DAY, "{said}");
        let note = fs::read_to_string(node.path("run/clock-is-ahead")).unwrap();
        assert!(note.contains("s ahead of the registry, and k3s has made"), "{note}");
        assert!(said.contains(&note), "{said}");
    }
}

#[test]
fn a_node_without_a_folder_for_its_state_makes_one() {
    let node = Node::new();
    let (end, said) = node.run(BUILT);
    assert_eq!(end, BUILT, "{said}");
    assert!(node.path("state/clock").exists());
}

#[test]
fn a_clock_that_lost_its_battery_goes_on_from_what_has_passed_for_certain() {
    let (end, said) = Node::new().run(0);
    assert_eq!(end, BUILT, "{said}");
    assert!(said.contains("the registry does not say what time it is"), "{said}");
    let later = (BUILT + DAY).to_string();
    let (end, said) = Node::new().write("rtc", &later).run(0);
    assert_eq!(end, BUILT + DAY, "{said}");
    // A hardware clock in local time is hours off; which, nobody knows here.
    let local = Node::new().write("rtc", &later).write("adjtime", "0.0 0 0.0\n0\nLOCAL\n");
    assert_eq!(local.run(0).0, BUILT);
    let universal = Node::new().write("rtc", &later).write("adjtime", "0.0 0 0.0\n0\nUTC\n");
    assert_eq!(universal.run(0).0, BUILT + DAY);
    assert_eq!(Node::new().write("rtc", "what?\n").run(0).0, BUILT);
}

#[test]
fn time_does_not_go_back_over_a_boot() {
    let node = Node::new();
    node.run(BUILT + DAY);
    let last = fs::metadata(node.path("state/clock")).unwrap().modified().unwrap();
    let last = last.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let (end, said) = node.run(0);
    assert!((end as f64 - last).abs() < 2.0, "{last}: {said}");
}

#[test]
fn the_registry_is_believed_whatever_the_clock_says_of_its_certificate() {
    // The certificate begins four years after the build: by the node's clock it is not valid yet.
    let begin = BUILT + 4 * 365 * DAY;
    let node = Node::new().with_registry(begin, "Thu, 10 Jan 2030 12:00:00 GMT");
    let (end, said) = node.run(0);
    assert_eq!(end, 1_894_276_800, "{said}");
}

#[test]
fn a_date_outside_of_the_certificates_own_is_not_believed() {
    for date in ["Thu, 10 Jan 2036 12:00:00 GMT", "Thu, 10 Jan 2019 12:00:00 GMT", "soon", ""] {
        let (end, said) = Node::new().with_registry(BUILT - DAY, date).run(0);
        assert_eq!(end, BUILT, "{date}: {said}");
        assert!(said.contains("does not say what time it is"), "{said}");
    }
}

#[test]
fn a_registry_with_another_authority_is_not_believed() {
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    let trusted = Node::new().with_registry(BUILT - DAY, date);
    assert_eq!(trusted.run(0).0, 1_767_225_600);
    let other = Node::new().with_registry(BUILT - DAY, date);
    fs::copy(other.path("registry-ca.crt"), trusted.path("registry-ca.crt")).unwrap();
    let (end, said) = trusted.run(0);
    assert!(end < 1_767_225_600 || said.contains("CERTIFICATE_VERIFY_FAILED"), "{said}");
    assert!(said.contains("CERTIFICATE_VERIFY_FAILED"), "{said}");
}
