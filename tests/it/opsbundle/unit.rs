//! The unit that unpacks a bundle and runs its script at boot.

use fs_err as fs;
use seedkit::template::Templates;
use serde_json::json;

use super::node::{MARKER, Node};
use super::{archive, bundle, tools};
use crate::support::oracle;

const ARCHIVE: &str = "/opt/seedkit/bundle.tar.gz";

fn unit(name: &str) -> String {
    let variables = json!({"ops": {"name": name, "archive": ARCHIVE}});
    Templates::builtin().render("node/ops-packages.service.tera", &variables).unwrap()
}

#[test]
fn systemd_finds_no_mistake_in_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k8s-ops-packages.service");
    let unit = unit("ops-packages-bookworm-amd64-0123456789ab");
    fs::write(&path, unit.replace("/usr/local/sbin/seedkit-observe", "/bin/true")).unwrap();
    let stage = Templates::builtin().render("node/stage.service.tera", &json!({})).unwrap();
    fs::write(
        folder.path().join("seedkit-stage.service"),
        stage.replace("/usr/local/sbin/seedkit-stage", "/bin/true"),
    )
    .unwrap();
    let verified = oracle::run("systemd-analyze", ["verify", "--man=no", path.to_str().unwrap()]);
    assert_eq!(String::from_utf8(verified.stderr).unwrap(), "");
}

/// Returns a script that does what systemd does with the unit's commands, whose words need no other quotes.
fn commands(unit: &str) -> String {
    let command =
        |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key}"));
    format!(
        "mkdir -p /var/cache/k8s-ops-packages; {} || {{ echo skipped; exit 0; }}; status=0
         {{ {} && {}; }} || status=$?
         {}; exit $status",
        command("ExecCondition="),
        command("ExecStartPre="),
        command("ExecStart="),
        command("ExecStopPost=")
    )
}

#[test]
fn the_unit_installs_once_and_leaves_nothing_unpacked() {
    let bundle = bundle(&tools().packages(), &["ops-tool"]);
    let node = Node::new();
    node.put(ARCHIVE, archive(&bundle));
    let script = commands(&unit(bundle.name()));
    node.run(&script).succeeds();
    assert!(node.read(MARKER).unwrap().starts_with(&format!("bundle {}\n", bundle.name())));
    assert_eq!(node.run("ls /var/cache/k8s-ops-packages").succeeds().stdout, "");
    // What the administrator removes since does not come back with the next boot.
    node.run("dpkg --remove ops-tool").succeeds();
    assert_eq!(node.run(&script).succeeds().stdout, "skipped\n");
}
