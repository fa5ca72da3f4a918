//! The schemas of a later cloud-init than the machine's own, which has none for the network.

use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::node::Flavour;
use seedkit::seed::NodeSeed;

use super::values::parsed;
use super::{built, lab, text};
use crate::support::apt::Apt;
use crate::support::oracle;

/// The release of Debian whose cloud-init judges.
const RELEASE: &str = "trixie";

/// A cloud-init that is unpacked, not installed.
struct CloudInit(tempfile::TempDir);

impl CloudInit {
    fn fetch() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let apt = Apt::fetch(RELEASE, "amd64");
        let deb = apt.download("cloud-init");
        oracle::run("dpkg-deb", [Path::new("--extract"), &deb, folder.path()]);
        Self(folder)
    }

    /// Returns what a schema has against `text`.
    fn errors(&self, kind: &str, text: &str) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/seed/schema.py");
        let file: PathBuf = self.0.path().join("judged");
        fs::write(&file, text).unwrap();
        let mut python = oracle::command("/usr/bin/python3");
        python.env("PYTHONPATH", self.0.path().join("usr/lib/python3/dist-packages"));
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        let said = oracle::finish(python.arg(script).arg(kind).arg(&file)).stdout;
        let said = String::from_utf8(said).unwrap();
        let mut lines = said.lines().map(str::to_owned);
        let version = lines.next().unwrap();
        assert!(version.starts_with("25."), "it is cloud-init {version} that judges");
        lines.collect()
    }
}

#[test]
fn a_later_cloud_init_has_nothing_against_any_flavour_and_role() {
    let judge = CloudInit::fetch();
    let none = Vec::<String>::new();
    for seed in lab() {
        for flavour in [Flavour::CloudImage, Flavour::Autoinstall] {
            let seed = NodeSeed { flavour, ..seed.clone() };
            let tree = built(&seed);
            let user_data = text(&tree, "user-data");
            assert_eq!(judge.errors("cloud-config", &user_data), none, "{}", seed.node.name);
            if let Some(first_boot) = parsed(&user_data)["autoinstall"].get("user-data") {
                assert_eq!(judge.errors("cloud-config", &first_boot.to_string()), none, "{}", seed.node.name);
            }
            let network = text(&tree, "network-config");
            assert_eq!(judge.errors("network-config-v2", &network), none, "{}", seed.node.name);
        }
    }
    // The judge sees what it should: the seeds' own list of servers on one line, and a key that nobody knows.
    let flow =
        r#"{"network": {"version": 2, "ethernets": {"a": {"nameservers": {"addresses": "192.168.6.1"}}}}}"#;
    assert_eq!(judge.errors("network-config-v2", flow).len(), 1);
    assert_eq!(judge.errors("cloud-config", r#"{"hostnam": "a"}"#).len(), 1);
}
