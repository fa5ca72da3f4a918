//! What is claimed of nodes that came up from their seeds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::kit::{Kit, address};
use crate::scenario::{Mishaps, Node, cluster, mishaps};
use crate::words::WORDS;

/// Returns both nodes of the cluster, with the kit they come from.
fn nodes() -> (&'static Kit, [&'static Node; 2]) {
    let cluster = cluster();
    (&cluster.kit, [&cluster.server, &cluster.agent])
}

#[test]
fn a_node_has_the_name_address_and_route_of_the_spec() {
    let (_, nodes) = nodes();
    for node in nodes {
        assert_eq!(node.first.text("hostname"), node.name);
        assert_eq!(node.first.text("addresses"), format!("{}/24", address(node.name)));
        assert!(node.first.text("routes").starts_with("default via 192.168.6.1 "), "{node:?}");
        assert_eq!(node.first.text("timezone"), "/usr/share/zoneinfo/Asia/Seoul");
    }
}

#[test]
fn ssh_lets_nobody_in_without_a_key() {
    let (_, nodes) = nodes();
    for node in nodes {
        // Somebody with the key has asked for everything else.
        let address = node.first.text("addresses").trim_end_matches("/24");
        assert!(!node.tried.login_without_key.succeeded, "{node:?}");
        assert_eq!(
            node.tried.login_without_key.said,
            format!("ops@{address}: Permission denied (publickey).")
        );
    }
}

#[test]
fn containerd_has_exactly_the_images_of_the_kit() {
    let (kit, nodes) = nodes();
    for node in nodes {
        assert_eq!(node.first.lines("images"), kit.images());
        assert_eq!(node.first.lines("image digests"), kit.image_lines());
        assert_eq!(node.first.text("unready images"), "", "{}: they have content missing", node.name);
    }
}

#[test]
fn containerd_pulls_from_the_registry_that_the_seed_names_and_trusts_its_authority() {
    let (_, nodes) = nodes();
    for Node { name, tried, .. } in nodes {
        assert!(tried.pull.succeeded, "{name}: {}", tried.pull.said);
    }
}

#[test]
fn the_marker_says_what_is_done() {
    let (kit, nodes) = nodes();
    for Node { name, first, .. } in nodes {
        let mut marker = first.json("done");
        let finished = marker.as_object_mut().unwrap().remove("finished_at").unwrap();
        assert!(finished.as_str().unwrap().ends_with('Z'), "{finished}");
        let count = kit.images().len();
        let expected = json!({
            "seed_id": first.text("seed id"),
            "role": first.text("role"),
            "k3s_version": "v1.35.0+k3s1",
            "images_expected": count,
            "images_present": count,
        });
        assert_eq!(marker, expected, "{name}");
        assert_eq!(first.lines("markers").len(), 1, "{name}: a marker has no twin beside it");
        assert!(first.text("bootstrap log").contains(first.text("done")), "{name}");
    }
}

#[test]
fn the_nodes_are_one_cluster_and_ready() {
    let (_, [server, agent]) = nodes();
    assert_eq!((server.first.text("role"), agent.first.text("role")), ("server", "agent"));
    for node in [server, agent] {
        assert_eq!(node.first.text("unit"), "active");
        assert_eq!(node.first.text("ready"), "True");
    }
}

#[test]
fn nothing_failed_on_the_way() {
    let (_, nodes) = nodes();
    for node in nodes {
        assert_eq!(node.first.text("failed units"), "");
        assert_eq!(node.first.output("system"), "running");
        let result: Value = serde_json::from_str(node.first.text("cloud-init")).unwrap();
        assert_eq!(result["v1"]["errors"], json!([]), "{result}");
        assert!(result["v1"]["datasource"].as_str().unwrap().starts_with("DataSourceNoCloud "), "{result}");
        assert!(node.first.text("cloud-init rests").starts_with("Written by seedkit"));
    }
}

#[test]
fn the_seed_is_placed_and_its_disc_is_free() {
    let (_, nodes) = nodes();
    for node in nodes {
        assert_eq!(node.first.text("stage"), "active");
        assert!(node.first.text("seed id").starts_with(&format!("{}-", node.name)));
        assert_eq!(node.first.output("mounts"), "", "a disc that is mounted cannot be taken out");
        assert!(node.first.text("message of the day").starts_with("랩에 오신 것을 환영합니다"));
    }
}

#[test]
fn a_second_boot_changes_nothing_and_needs_no_disc() {
    let (_, nodes) = nodes();
    for Node { name, first, second, .. } in nodes {
        assert_eq!(changes(&first.files, &second.files), Vec::<String>::new(), "{name}");
        assert_eq!(second.text("failed units"), "", "{name}");
        assert_eq!(second.output("system"), "running", "{name}");
        for question in ["hostname", "addresses", "routes", "unit", "ready", "seed id", "timezone"] {
            assert_eq!(second.text(question), first.text(question), "{name}: {question}");
        }
        assert_eq!(second.lines("images"), first.lines("images"), "{name}");
    }
}

#[test]
fn ops_packages_are_installed_and_their_program_runs() {
    let (_, nodes) = nodes();
    for Node { name, first, .. } in nodes {
        assert!(first.text("ops program").contains("hello"), "{name}: {}", first.text("ops program"));
        assert_eq!(first.text("dpkg audit"), "", "{name}");
        let marker = first.text("ops marker");
        assert!(marker.contains("seedkit-lab-hello"), "{name}: {marker}");
    }
}

#[test]
fn nothing_looks_for_a_network() {
    let (_, nodes) = nodes();
    for Node { name, second, .. } in nodes {
        let masked = second.lines("masked");
        for unit in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
            assert!(masked.contains(&unit), "{name}: {masked:?}");
        }
        let timers = second.text("timers");
        assert!(!timers.contains("apt"), "{name}: {timers}");
    }
}

#[test]
fn the_kernel_forwards_and_secrets_are_root_s() {
    let (_, nodes) = nodes();
    for Node { name, first, .. } in nodes {
        assert_eq!(first.text("forwarding"), "1\n1", "{name}");
        let modes = first.lines("modes");
        assert!(modes.iter().all(|mode| mode.starts_with("600 root ")), "{name}: {modes:?}");
    }
}

#[test]
fn what_is_so_is_marked_for_people() {
    let (_, nodes) = nodes();
    for Node { name, second, .. } in nodes {
        let observed = second.lines("observed");
        for marker in [
            "iso-copy-complete",
            "cloud-init-complete",
            "timezone-set",
            "ca-certificates-updated",
            "swap-disabled",
            "sysctl-applied",
            "hostname-set",
            "kernel-modules-loaded",
            "k8s-ops-installation-complete",
        ] {
            assert!(observed.contains(&marker), "{name} has no {marker}: {observed:?}");
        }
        // Nothing on the guests would set the clock.
        assert!(!observed.contains(&"sync-time-enabled"), "{name}");
    }
}

#[test]
fn a_service_gets_any_word_as_it_was() {
    let (_, nodes) = nodes();
    for Node { name, tried, .. } in nodes {
        let seen: Value = serde_json::from_str(&tried.words).unwrap();
        assert_eq!(seen, json!([WORDS, WORDS]), "{name}");
    }
}

#[test]
fn a_wrong_token_joins_nothing() {
    let cluster = cluster();
    assert_eq!(cluster.stranger, "401");
    // Known, and refused all the same: it is not a node.
    assert_eq!(cluster.nobody, "403");
}

#[test]
fn the_registry_sets_a_clock_that_is_behind() {
    let said = cluster().server.second.text("clock said");
    assert!(said.contains(" s behind the registry"), "{said}");
}

#[test]
fn a_payload_with_one_wrong_bit_starts_no_k3s() {
    let evidence = &mishaps().damaged;
    assert_eq!(evidence.output("stage"), "failed");
    assert_eq!(evidence.output("unit"), "inactive");
    assert_eq!(evidence.text("unit starts"), "0");
    assert!(!evidence.files.contains_key("/usr/local/bin/k3s"), "damaged, and in its place all the same");
    let marker = evidence.json("failed");
    let reason = marker["reason"].as_str().unwrap();
    assert!(reason.contains("is damaged; nothing was placed: root/usr/local/bin/k3s: FAILED"), "{reason}");
    assert_eq!(marker["images_present"], 0);
    assert_eq!(evidence.text("markers"), "/var/lib/k3s-agent-bootstrap.failed");
}

#[test]
fn a_server_whose_clock_is_at_1970_comes_up() {
    let Mishaps { old, kit, .. } = mishaps();
    let said = old.text("clock said");
    assert!(said.contains(" s behind what has passed for certain"), "{said}");
    assert!(said.contains("the registry does not say what time it is"), "{said}");
    assert_eq!(old.output("system"), "running");
    assert_eq!((old.text("unit"), old.text("ready")), ("active", "True"));
    assert_eq!(old.lines("images"), kit.images());
}

/// Returns the files that are in one of the two only, or different.
fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let describe = |path| format!("{path}: {:?}, then {:?}", before.get(path), after.get(path));
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).map(describe).collect()
}
