//! k3s' configuration, tokens, and how nodes join.

use std::sync::OnceLock;

use crate::support::broken::{BrokenKit, Folder};
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const NODE: &str = "k3s-worker1";
const SERVER: &str = "k3s-master1";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

fn configure(disc: &Folder, change: impl Fn(&str) -> String) {
    let text = disc.read(&format!("payload/root{CONFIG}"));
    let changed = change(&text);
    assert_ne!(text, changed);
    disc.place(CONFIG, "0600", changed);
}

fn with_config(node: &str, change: impl Fn(&str) -> String) -> BrokenKit {
    let kit = BrokenKit::lab();
    kit.seed(node, |disc| configure(disc, &change));
    kit
}

/// Returns the value of a key of a kit's configuration.
fn value(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("\"{key}\": "))).unwrap();
    line.split('"').nth(3).unwrap().to_owned()
}

#[test]
fn sk0501_a_key_that_k3s_passes_over() {
    let kit = with_config(NODE, |text| text.to_owned() + "kublet-arg: [\"v=2\"]\n");
    kit.is_found_by("SK0501", "k3s does not know `kublet-arg`");
}

#[test]
fn sk0501_a_servers_key_on_an_agent() {
    let kit = with_config(NODE, |text| text.to_owned() + "tls-san: [\"a.example\"]\n");
    kit.is_found_by("SK0501", "`tls-san` is for servers");
}

#[test]
fn sk0502_a_bootstrap_token_on_a_server() {
    let kit = with_config(SERVER, |text| text.replace(&value(text, "token"), "abcdef.0123456789abcdef"));
    kit.is_found_by("SK0502", "the form of a bootstrap token");
}

#[test]
fn sk0502_a_token_of_another_cluster() {
    let kit = with_config(SERVER, |text| {
        let token = value(text, "token");
        text.replace(&token, &format!("K10{}::server", "0".repeat(64)))
    });
    kit.is_found_by("SK0502", "no user and password");
}

/// A lab whose cluster's authorities are in the seeds, so that a token can be compared with them.
fn with_authorities() -> BrokenKit {
    static LAB: OnceLock<Sandbox> = OnceLock::new();
    let lab = LAB.get_or_init(|| {
        let sandbox = Sandbox::lab();
        let spec = sandbox.read(SPEC).replace("\nregistry:\n", "\n  clusterCa: generate\n\nregistry:\n");
        sandbox.write(SPEC, spec);
        sandbox.seedkit(&BUILD).succeeds();
        sandbox
    });
    BrokenKit::of(&lab.path("kit"))
}

#[test]
fn sk0502_a_token_with_the_hash_of_another_cluster() {
    let kit = with_authorities();
    assert_eq!(kit.findings(), [""; 0]);
    kit.seed(NODE, |disc| {
        configure(disc, |text| {
            let token = value(text, "token");
            let secret = token.rsplit(':').next().unwrap();
            text.replace(&token, &format!("K10{}::node:{secret}", "0".repeat(64)))
        });
    });
    kit.is_found_by("SK0502", "the hash in it is not that of the cluster's CA");
}

#[test]
fn sk0508_authorities_that_begin_today() {
    const PATH: &str = "/var/lib/rancher/k3s/server/tls/etcd/server-ca.crt";
    let kit = with_authorities();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (path("key"), path("certificate"));
    let new = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ];
    let names = ["-subj", "/CN=etcd-server-ca", "-keyout", &key, "-out", &certificate];
    crate::support::oracle::run("openssl", [&new[..], &names].concat());
    kit.seed(SERVER, |disc| disc.place(PATH, "0644", fs_err::read(&certificate).unwrap()));
    kit.is_found_by("SK0508", "it began less than a day ago");
}

#[test]
fn sk0503_a_worker_with_another_token() {
    let kit = with_config(NODE, |text| text.replace(&value(text, "token"), &"ab".repeat(32)));
    kit.is_found_by("SK0503", "not the token that the servers expect");
}

#[test]
fn sk0503_a_worker_that_joins_nobody() {
    let kit =
        with_config(NODE, |text| text.replace("https://192.168.6.10:6443", "https://192.168.6.99:6443"));
    kit.is_found_by("SK0503", "`192.168.6.99` is not an address of a server");
}

#[test]
fn sk0503_a_worker_that_joins_at_another_port_than_the_servers_listen_at() {
    let kit = with_config(SERVER, |text| format!("{text}\nhttps-listen-port: 7443\n"));
    kit.is_found_by("SK0503", "port 6443 of 192.168.6.10 is not k3s' port 7443");
}

#[test]
fn sk0504_the_servers_token_in_a_workers_seed() {
    let kit = BrokenKit::lab();
    let token = std::cell::RefCell::new(String::new());
    kit.seed(SERVER, |disc| {
        *token.borrow_mut() = value(&disc.read(&format!("payload/root{CONFIG}")), "token")
    });
    kit.seed(NODE, |disc| disc.place("/etc/join.txt", "0600", token.borrow().as_bytes()));
    kit.is_found_by("SK0504", "the servers' token is in an agent's seed");
}

#[test]
fn sk0504_a_token_in_a_file_that_everybody_may_read() {
    use base64::Engine as _;
    let kit = BrokenKit::lab();
    let token = std::cell::RefCell::new(String::new());
    kit.seed(SERVER, |disc| {
        *token.borrow_mut() = value(&disc.read(&format!("payload/root{CONFIG}")), "token");
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("join {}", token.borrow()));
        disc.place("/etc/join.txt", "0644", encoded.as_bytes());
    });
    kit.is_found_by("SK0504", "it holds a token of the cluster, and others than root may read it");
}

#[test]
fn sk0504_a_token_on_a_command_line() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "ExecStart=/usr/local/bin/k3s agent",
            "ExecStart=/usr/local/bin/k3s agent --token secret",
        );
    });
    kit.is_found_by("SK0504", "a token is on the command line");
}

#[test]
fn sk0504_a_configuration_that_everybody_may_read() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read(&format!("payload/root{CONFIG}"));
        disc.place(CONFIG, "0644", text);
    });
    kit.is_found_by("SK0504", "its mode is 0644");
}

/// A lab of three servers.
fn three_servers() -> BrokenKit {
    static LAB: OnceLock<Sandbox> = OnceLock::new();
    let lab = LAB.get_or_init(|| {
        let sandbox = Sandbox::lab();
        let spec = sandbox.read(SPEC).replace("role: agent", "role: server");
        sandbox.write(SPEC, spec);
        sandbox.seedkit(&BUILD).succeeds();
        sandbox
    });
    BrokenKit::of(&lab.path("kit"))
}

#[test]
fn sk0505_two_servers_that_begin_a_cluster_each() {
    let kit = three_servers();
    assert_eq!(kit.findings(), [""; 0]);
    kit.seed(NODE, |disc| {
        configure(disc, |text| {
            text.replace("\"server\": \"https://192.168.6.10:6443\"", "\"cluster-init\": true")
        });
    });
    kit.is_found_by("SK0505", "cluster-init is set on k3s-master1, k3s-worker1");
}

#[test]
fn sk0505_servers_that_disagree() {
    let kit = three_servers();
    kit.seed(NODE, |disc| configure(disc, |text| text.to_owned() + "cluster-cidr: 10.52.0.0/16\n"));
    kit.is_found_by("SK0505", "cluster-cidr: it differs between");
}

#[test]
fn sk0506_a_node_without_a_name_server() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("network-config", "    nameservers:\n      addresses: [\"192.168.6.1\"]\n", "")
    });
    kit.is_found_by("SK0506", "no name server");
}

#[test]
fn sk0507_two_cards_and_nobody_says_which() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let more =
            "  storage:\n    match: {macaddress: \"00:50:56:06:01:11\"}\n    addresses: [\"10.9.0.11/24\"]\n";
        let text = disc.read("network-config");
        disc.write("network-config", text + more);
    });
    kit.is_found_by("SK0507", "the node has 2 cards, and k3s no flannel-iface");
}

#[test]
fn sk0508_a_unit_that_waits_for_the_clock() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "After=network-online.target seedkit-stage.service\n",
            "After=network-online.target seedkit-stage.service time-sync.target\n",
        );
    });
    kit.is_found_by("SK0508", "it waits for `time-sync.target`");
}
