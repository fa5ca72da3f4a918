//! SK0203 has a picture of a system's units; systemd itself says whether it is true.

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::Sandbox;
use crate::support::systemd::{distribution, enable, verify};

/// Units, as name, settings of `[Unit]`, and the target that wants it; and whether they make a cycle.
type Case = (&'static [(&'static str, &'static str, &'static str)], bool);

const MULTI: &str = "multi-user.target";
const CASES: [Case; 21] = [
    (&[("a.service", "After=network-online.target\nWants=network-online.target\n", MULTI)], false),
    (&[("a.service", "After=cloud-final.service\n", MULTI)], true),
    (&[("a.service", "After=cloud-final.service\n", "cloud-init.target")], false),
    (&[("a.service", "After=cloud-final.service multi-user.target\n", MULTI)], false),
    (&[("a.service", "DefaultDependencies=no\nAfter=cloud-final.service\n", MULTI)], false),
    (&[("a.service", "After=cloud-init.target\n", MULTI)], true),
    (&[("a.service", "After=cloud-config.service\n", MULTI)], false),
    (&[("a.service", "After=cloud-init.service\nBefore=cloud-config.service\n", MULTI)], false),
    (&[("a.service", "Before=cloud-init.service\n", MULTI)], true),
    (&[("a.service", "DefaultDependencies=no\nBefore=cloud-init.service\n", MULTI)], false),
    (&[("a.service", "Before=cloud-init-local.service\n", MULTI)], true),
    (&[("a.service", "Before=network-pre.target\nWants=network-pre.target\n", MULTI)], true),
    (&[("a.service", "Before=network.target\n", MULTI)], false),
    (
        &[("a.service", "After=cloud-init.service\nBefore=sysinit.target\nDefaultDependencies=no\n", MULTI)],
        false,
    ),
    (&[("a.service", "Before=basic.target\n", MULTI)], true),
    (&[("a.service", "Before=cloud-final.service\n", MULTI)], false),
    (&[("a.service", "After=b.service\n", MULTI), ("b.service", "", MULTI)], false),
    (&[("a.service", "After=b.service\n", MULTI), ("b.service", "After=a.service\n", MULTI)], true),
    (&[("a.service", "Before=b.service\n", MULTI), ("b.service", "Before=a.service\n", MULTI)], true),
    (
        &[
            ("a.service", "After=b.service\n", MULTI),
            ("b.service", "After=cloud-init.target\n", "cloud-init.target"),
        ],
        true,
    ),
    (&[("a.service", "Before=ssh.service\nAfter=cloud-config.service\n", MULTI)], false),
];

fn text((_, settings, target): &(&str, &str, &str)) -> String {
    format!("[Unit]\n{settings}[Service]\nExecStart=/bin/true\n[Install]\nWantedBy={target}\n")
}

/// Lets systemd build the transaction of a boot with these units.
fn has_cycle(units: &[(&str, &str, &str)]) -> bool {
    let root = tempfile::tempdir().unwrap();
    distribution(root.path());
    // As cloud images have it; cloud-init.service waits for them, and sysinit.target for cloud-init.service.
    enable(root.path(), "systemd-networkd.service", MULTI);
    enable(root.path(), "systemd-networkd-wait-online.service", "network-online.target");
    fs::create_dir_all(root.path().join("bin")).unwrap();
    for unit in units {
        fs::write(root.path().join("etc/systemd/system").join(unit.0), text(unit)).unwrap();
        enable(root.path(), unit.0, unit.2);
    }
    String::from_utf8_lossy(&verify(root.path()).stderr).contains("ordering cycle")
}

/// Checks a seed that writes and enables these units.
fn is_found(units: &[(&str, &str, &str)]) -> bool {
    let sandbox = Sandbox::new();
    let files: Vec<serde_json::Value> = units
        .iter()
        .map(|unit| {
            let path = format!("/etc/systemd/system/{}", unit.0);
            serde_json::json!({ "path": path, "permissions": "0644", "content": text(unit) })
        })
        .collect();
    let names: Vec<&str> = units.iter().map(|unit| unit.0).collect();
    let commands = [[&["systemctl", "enable"], &names[..]].concat()];
    let config = serde_json::json!({ "write_files": files, "runcmd": commands });
    sandbox.write("src/user-data", format!("#cloud-config\n{config}\n"));
    sandbox.write("src/meta-data", "instance-id: i-1\n");
    let mut command = oracle::command("genisoimage");
    let arguments = ["-quiet", "-V", "cidata", "-R", "-o", "seed.iso", "src"];
    oracle::finish(command.args(arguments).current_dir(sandbox.path("")));
    let json = sandbox.seedkit(&["check", "--json", "seed.iso"]).json();
    let ids: Vec<&str> =
        json["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    assert!(ids.is_empty() || ids == ["SK0203"], "{json}");
    !ids.is_empty()
}

#[test]
fn the_cycles_that_are_found_are_those_that_systemd_finds() {
    for (units, expected) in CASES {
        let verdicts = (has_cycle(units), is_found(units));
        assert_eq!(verdicts, (expected, expected), "systemd and seedkit of {units:?}");
    }
}
