//! What cloud-init and netplan make of a seed.

use seedkit::node::NetworkCard;
use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};
use walkdir::WalkDir;

use super::{built, lab, text, write};
use crate::support::oracle;

/// Has cloud-init's NoCloud source read `seed`, and returns what it found; the network is rendered to `work`.
pub(super) fn nocloud(work: &Path, seed: &Path) -> Value {
    let arguments = ["-c".as_ref(), include_str!("nocloud.py").as_ref(), work.as_os_str(), seed.as_os_str()];
    serde_json::from_str(&oracle::text("/usr/bin/python3", arguments)).unwrap()
}

/// Returns all files below `folder`, joined.
fn joined(folder: &Path) -> String {
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect()
}

#[test]
fn the_schema_of_cloud_init_finds_nothing_in_user_data() {
    for seed in lab() {
        let folder = tempfile::tempdir().unwrap();
        write(&built(&seed), folder.path());
        let file = folder.path().join("user-data");
        let answer = oracle::text("cloud-init", ["schema", "--config-file", file.to_str().unwrap()]);
        assert_eq!(
            answer.trim().lines().last(),
            Some(format!("Valid cloud-config: {}", file.display()).as_str())
        );
    }
}

#[test]
fn the_nocloud_source_reads_a_seed() {
    for seed in lab() {
        let (work, disc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tree = built(&seed);
        write(&tree, disc.path());
        let found = nocloud(work.path(), disc.path());
        let id = format!("iid-{}", text(&tree, "payload/seed-id").trim_end());
        assert_eq!(found["instance-id"], json!(id));
        // cloud-init is to set none of its own.
        assert_eq!(found["hostname"], json!(null));
        assert_eq!(found["user-data"]["hostname"], json!(seed.node.name.as_str()));
        assert_eq!(found["types"], json!(["text/cloud-config"]));
        assert_eq!(found["user-data"], super::values::parsed(&text(&tree, "user-data")));
    }
}

#[test]
fn the_network_comes_up_whatever_renders_it() {
    for seed in lab() {
        let (work, disc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(&built(&seed), disc.path());
        nocloud(work.path(), disc.path());
        oracle::run(
            "netplan",
            ["generate".as_ref(), "--root-dir".as_ref(), work.path().join("netplan").as_os_str()],
        );
        let address = seed.node.address.address().to_string();
        let by_netplan = joined(&work.path().join("netplan/run/systemd/network"));
        let by_networkd = joined(&work.path().join("networkd"));
        for rendered in [&by_netplan, &by_networkd] {
            for expected in [&format!("Address={address}/24"), "Gateway=192.168.6.1", "DNS=192.168.6.1"] {
                assert!(rendered.contains(expected), "{expected} is missing:\n{rendered}");
            }
            let mac = seed.node.card.mac().unwrap().to_string();
            assert!(rendered.contains(&mac), "{mac} is missing:\n{rendered}");
        }
        if let Some(name) = seed.node.card.interface() {
            assert!(by_netplan.contains(&format!("Name={name}")), "{by_netplan}");
        }
        let by_eni = joined(&work.path().join("eni"));
        for expected in [format!("address {address}/24").as_str(), "route add default gw 192.168.6.1"] {
            assert!(by_eni.contains(expected), "{expected} is missing:\n{by_eni}");
        }
    }
}

#[test]
fn netplan_takes_version_6_addresses_and_cards_known_by_name() {
    let mut seed = lab().swap_remove(0);
    seed.node.address = "fd00:6::10/64".parse().unwrap();
    seed.node.gateway = "fd00:6::1".parse().unwrap();
    seed.node.nameservers = Vec::new();
    seed.node.card = NetworkCard::new(None, Some("ens192".parse().unwrap())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("etc/netplan");
    fs::create_dir_all(&target).unwrap();
    let configuration = text(&built(&seed), "network-config");
    let wrapped = json!({"network": super::values::parsed(&configuration)});
    fs::write(target.join("50-cloud-init.yaml"), wrapped.to_string()).unwrap();
    oracle::run("netplan", ["generate".as_ref(), "--root-dir".as_ref(), folder.path().as_os_str()]);
    let rendered = joined(&folder.path().join("run/systemd/network"));
    for expected in ["Name=ens192", "Address=fd00:6::10/64", "Destination=::/0", "Gateway=fd00:6::1"] {
        assert!(rendered.contains(expected), "{expected} is missing:\n{rendered}");
    }
}
