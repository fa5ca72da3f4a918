//! Who waits for the nodes, and who logs in.

use crate::support::broken::BrokenKit;

const NODE: &str = "k3s-worker1";
const SERVER: &str = "k3s-master1";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

#[test]
fn sk0801_a_node_that_never_says_that_it_failed() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written("        seedkit-marker failed \"$seed\"", "        say \"$seed\"")
    });
    kit.is_found_by("SK0801", "it never says `failed`");
}

#[test]
fn sk0802_a_marker_of_any_seed() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit_written("'{\"seed_id\":%s,\"role\":%s'", "'{\"seed\":%s,\"role\":%s'"));
    kit.is_found_by("SK0802", "it writes no seed_id");
}

#[test]
fn sk0803_a_command_that_says_done_too_early() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let touch = "\nruncmd:\n  - [\"touch\", \"/var/lib/k3s-agent-bootstrap.done\"]\n";
        disc.edit("user-data", "\nruncmd:\n", touch);
    });
    kit.is_found_by("SK0803", "it touches the marker");
}

#[test]
fn sk0804_a_node_that_nobody_can_open() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read("user-data");
        let line = text.lines().find(|line| line.contains("ssh_authorized_keys:")).unwrap();
        disc.write("user-data", text.replace(line, "    ssh_authorized_keys: []"));
    });
    kit.is_found_by("SK0804", "no user has a key");
}

#[test]
fn sk0804_a_private_key_in_a_seed() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
        disc.place("/home/ops/.ssh/id_ed25519", "0600", key);
    });
    kit.is_found_by("SK0804", "it is a private key of SSH");
}

fn configured(more: &str) -> BrokenKit {
    let kit = BrokenKit::lab();
    kit.seed(SERVER, |disc| {
        let text = disc.read(&format!("payload/root{CONFIG}"));
        disc.place(CONFIG, "0600", text + more);
    });
    kit
}

#[test]
fn sk0902_a_plugin_that_does_not_know_the_api() {
    configured("disable-kube-proxy: true\n").is_found_by("SK0902", "k8sServiceHost");
}

#[test]
fn sk0903_no_default_storage_class() {
    configured("disable: [local-storage]\n").is_found_by("SK0903", "no manifest has a default StorageClass");
}
