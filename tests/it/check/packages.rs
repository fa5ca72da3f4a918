//! Ops packages, and what would ask the network.

use crate::support::broken::BrokenKit;
use crate::support::sandbox::{SPEC, Sandbox};

const NODE: &str = "k3s-worker1";

#[test]
fn sk0601_a_unit_without_its_bundle() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let list = disc.read("payload/FILES");
        let line = list.lines().find(|line| line.contains("/ops-packages/")).unwrap();
        disc.displace(line.split_once(' ').unwrap().1);
    });
    kit.is_found_by("SK0601", "is not in the seed");
}

/// Returns a lab whose image has what `manifest` says, and a lock.
fn with_manifest(manifest: &str) -> Sandbox {
    let sandbox = Sandbox::lab();
    sandbox.write("lab/image.manifest", manifest);
    sandbox.edit(
        SPEC,
        "  names: [seedkit-lab-hello]\n",
        "  names: [seedkit-lab-hello]\n  baseline: {manifest: image.manifest}\n",
    );
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox
}

fn ids(sandbox: &Sandbox) -> Vec<String> {
    let json = sandbox.seedkit(&["check", "-f", SPEC, "--json"]).json();
    let id = |finding: &serde_json::Value| finding["id"].as_str().unwrap().to_owned();
    json["findings"].as_array().unwrap().iter().map(id).collect()
}

#[test]
fn sk0602_a_package_that_the_image_has_newer() {
    let sandbox = with_manifest("apparmor 3.0\n");
    assert_eq!(ids(&sandbox), [""; 0]);
    sandbox.write("lab/image.manifest", "apparmor 3.0\nseedkit-lab-base 2:9.0\n");
    assert_eq!(ids(&sandbox), ["SK0602"]);
}

#[test]
fn sk0605_a_debian_image_without_apparmor() {
    assert_eq!(ids(&with_manifest("bash 5.2\n")), ["SK0605"]);
}

#[test]
fn sk0603_cloud_init_updates_packages() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("user-data", "package_update: false", "package_update: true"));
    kit.is_found_by("SK0603", "user-data: package_update");
}

#[test]
fn sk0603_a_script_that_downloads() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.let_write(
            "/opt/get.sh",
            "0755",
            "#!/bin/sh\nset -eu\ncurl -fsSL https://get.k3s.io -o /opt/k3s.sh\n",
        );
    });
    kit.is_found_by("SK0603", "`curl` asks get.k3s.io");
}

#[test]
fn sk0604_cloud_init_runs_apt() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("user-data", "\nruncmd:\n", "\nruncmd:\n  - [\"apt-get\", \"install\", \"-y\", \"jq\"]\n");
    });
    kit.is_found_by("SK0604", "which may restart cloud-init");
}

#[test]
fn sk0606_timers_that_take_the_lock() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("user-data", "\"mask\", \"apt-daily-upgrade.timer\", \"apt-daily.timer\", ", "\"mask\", ");
    });
    kit.is_found_by("SK0606", "apt-daily.timer and apt-daily-upgrade.timer may take dpkg's lock");
}
