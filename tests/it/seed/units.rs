//! The units of a node, judged by systemd among the units of a Debian system with cloud-init.

use std::path::Path;
use std::process::Output;

use super::{built, lab, write, written_files};
use crate::support::systemd::{distribution, enable, verify};
use seedkit::node::Flavour;
use seedkit::seed::NodeSeed;
use seedkit::tree::FileTree;

const OPS: &str = "k8s-ops-packages.service";

/// Returns what systemd says of our units, or of a cycle.
fn complaints(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let is_ours = |line: &&str| ["k3s", "seedkit", "k8s", "cycle"].iter().any(|word| line.contains(word));
    said.lines().filter(is_ours).map(str::to_owned).collect()
}

fn install_units(root: &Path, tree: &FileTree, change: impl Fn(&str) -> String) {
    for (path, mode, content) in written_files(tree) {
        let mut file = FileTree::new();
        file.insert_file(path.trim_start_matches('/'), mode, change(&content)).unwrap();
        write(&file, root);
        if let Some(unit) = path.strip_prefix("/etc/systemd/system/") {
            enable(root, unit, "multi-user.target");
        }
    }
}

#[test]
fn systemd_finds_no_cycle_and_no_mistake_in_any_role() {
    let installed = lab().into_iter().map(|seed| NodeSeed { flavour: Flavour::Autoinstall, ..seed });
    for seed in lab().into_iter().chain(installed) {
        let root = tempfile::tempdir().unwrap();
        distribution(root.path());
        install_units(root.path(), &built(&seed), str::to_owned);
        let place = format!("{} as {}", seed.node.name, seed.flavour.name());
        assert_eq!(complaints(&verify(root.path())), Vec::<String>::new(), "{place}");
    }
}

#[test]
fn the_oracle_does_see_the_cycle_that_this_order_avoids() {
    let root = tempfile::tempdir().unwrap();
    distribution(root.path());
    install_units(root.path(), &built(&lab()[0]), |content| {
        content
            .replace("After=local-fs.target cloud-config.target", "After=local-fs.target cloud-final.service")
    });
    let complaints = complaints(&verify(root.path())).join("\n");
    assert!(complaints.contains("ordering cycle"), "{complaints}");
}

#[test]
fn only_systemd_starts_k3s_and_user_data_does_not_wait_for_it() {
    for seed in lab() {
        let membership = &seed.k3s.membership;
        let units = [
            "seedkit-stage.service",
            "seedkit-clock.service",
            membership.unit(),
            membership.completion_unit(),
            OPS,
        ];
        let command =
            |words: &[&str]| words.iter().chain(&units).map(ToString::to_string).collect::<Vec<_>>();
        let user_data = super::values::parsed(&super::text(&built(&seed), "user-data"));
        let expected = serde_json::json!([
            ["systemctl", "daemon-reload"],
            command(&["systemctl", "enable"]),
            ["systemctl", "--no-block", "try-reload-or-restart", "ssh.service"],
            user_data["runcmd"][3].clone(),
            user_data["runcmd"][4].clone(),
            ["systemctl", "--no-block", "try-restart", "systemd-timesyncd.service", "chrony.service"],
            command(&["systemctl", "start", "--no-block"]),
            ["/usr/local/sbin/seedkit-finish"],
        ]);
        assert_eq!(user_data["runcmd"], expected);
    }
}

#[test]
fn nothing_of_a_node_waits_for_the_ops_packages() {
    for seed in lab() {
        let tree = built(&seed);
        let files = written_files(&tree).into_iter();
        for (path, _, content) in files.filter(|(path, ..)| path.starts_with("/etc/systemd/")) {
            if path.ends_with(OPS) {
                let directions = ["Before=", "RequiredBy=", "UpheldBy=", "Conflicts=", "PartOf="];
                assert!(!directions.iter().any(|word| content.contains(word)), "{content}");
            } else {
                assert!(!content.contains("ops-packages"), "{path}:\n{content}");
            }
        }
    }
}

#[test]
fn without_ops_packages_there_is_no_unit_for_them() {
    let mut seed = lab().swap_remove(2);
    seed.ops = None;
    let tree = built(&seed);
    assert!(!written_files(&tree).iter().any(|(path, ..)| path.contains("ops-packages")));
    let commands = &super::values::parsed(&super::text(&tree, "user-data"))["runcmd"];
    assert!(!commands.to_string().contains("ops-packages"), "{commands}");
    assert!(!tree.iter().any(|(path, _)| path.as_str().contains("ops-packages")));
}
