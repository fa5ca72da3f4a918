//! Whole kits: who gets which token and which key, and who does not.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, files};

const SERVER: &str = "k3s-master1";
const SECOND_SERVERS: [&str; 2] = ["k3s-master2", "k3s-master3"];
const AGENTS: [&str; 2] = ["k3s-worker1", "k3s-worker2"];
/// Where a seed has the folder of k3s' server.
const SERVER_FOLDER: &str = "payload/root/var/lib/rancher/k3s/server";

/// Two more servers for the lab.
const MORE_SERVERS: &str = r#"
  - name: k3s-master2
    role: server
    address: 192.168.6.20/24
    gateway: 192.168.6.1
    nameservers: [192.168.6.1]
    mac: "00:50:56:06:00:20"
  - name: k3s-master3
    role: server
    address: 192.168.6.21/24
    gateway: 192.168.6.1
    nameservers: [192.168.6.1]
    mac: "00:50:56:06:00:21"
ssh:
"#;

/// A lab of three servers and two agents.
fn lab() -> Sandbox {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "\nssh:\n", MORE_SERVERS);
    sandbox
}

/// The same, with authorities made beforehand.
fn lab_with_authorities() -> Sandbox {
    let sandbox = lab();
    sandbox.edit(SPEC, "  version: v1.35.0+k3s1\n", "  version: v1.35.0+k3s1\n  clusterCa: generate\n");
    sandbox
}

fn build(sandbox: &Sandbox) -> Run {
    sandbox.seedkit(&BUILD).succeeds()
}

fn image(sandbox: &Sandbox, node: &str) -> PathBuf {
    sandbox.path(format!("kit/seeds/seed-{node}.iso"))
}

fn extracted(sandbox: &Sandbox, node: &str) -> PathBuf {
    let (image, target) = (image(sandbox, node), sandbox.path("extracted").join(node));
    if target.exists() {
        return target;
    }
    let arguments = ["-osirrox", "on:auto_chmod_on", "-indev", image.to_str().unwrap(), "-extract", "/"];
    oracle::run("xorriso", arguments.into_iter().chain([target.to_str().unwrap()]));
    target
}

/// Returns `config.yaml` of a seed as an independent parser of YAML sees it.
fn config(seed: &Path) -> serde_json::Value {
    let script = "import json, sys, yaml\nprint(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let path = seed.join("payload/root/etc/rancher/k3s/config.yaml");
    let text = oracle::text("/usr/bin/python3", ["-c", script, path.to_str().unwrap()]);
    serde_json::from_str(&text).unwrap()
}

fn secret(sandbox: &Sandbox, name: &str) -> String {
    sandbox.read(&format!("lab/secrets/{name}")).trim_end().to_owned()
}

/// Returns everything that a disc holds: its own bytes, and those of every archive on it, unpacked to the last.
fn all_bytes(sandbox: &Sandbox, node: &str) -> Vec<(String, Vec<u8>)> {
    let seed = extracted(sandbox, node);
    let script = r#"
cd "$1"
find . -type f \( -name '*.tar' -o -name '*.gz' -o -name '*.tgz' -o -name '*.zst' \) >"$2"
while read -r archive; do
    mkdir "$archive.unpacked"
    bsdtar -xf "$archive" -C "$archive.unpacked"
done <"$2"
find . -type f -path '*/blobs/sha256/*' | while read -r blob; do
    bsdtar -xOf "$blob" >"$blob.unpacked" 2>/dev/null || rm -f "$blob.unpacked"
done
"#;
    let list = sandbox.path(format!("archives-{node}"));
    oracle::run("sh", ["-euc", script, "sh", seed.to_str().unwrap(), list.to_str().unwrap()]);
    let unpacked: Vec<(String, Vec<u8>)> = files(&seed)
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read(seed.join(&path)).unwrap()))
        .collect();
    assert!(
        unpacked.iter().any(|(path, _)| path.contains(".unpacked/blobs/sha256/")),
        "nothing was unpacked"
    );
    [("the disc".to_owned(), fs::read(image(sandbox, node)).unwrap())].into_iter().chain(unpacked).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn a_first_server_made_anew_joins_the_server_that_the_spec_names() {
    let sandbox = lab_with_authorities();
    let [second, third] = SECOND_SERVERS;
    sandbox.edit(
        SPEC,
        "  clusterCa: generate\n",
        &format!("  clusterCa: generate\n  firstServer: {second}\n"),
    );
    build(&sandbox);
    let joined = |node: &str| config(&extracted(&sandbox, node))["server"].clone();
    for node in [SERVER, third, AGENTS[0], AGENTS[1]] {
        assert_eq!(joined(node), "https://192.168.6.20:6443", "{node}");
    }
    let begins = |node: &str| {
        let seed = extracted(&sandbox, node);
        (config(&seed)["cluster-init"] == true, seed.join(SERVER_FOLDER).join("tls").exists())
    };
    assert_eq!([SERVER, second, third].map(begins), [(false, false), (true, true), (false, false)]);
    assert_eq!(joined(second), serde_json::Value::Null);
}

#[test]
fn all_nodes_join_at_the_port_that_the_servers_listen_at() {
    let sandbox = lab();
    sandbox.edit(SPEC, "  config:\n", "  config:\n    https-listen-port: 7443\n");
    build(&sandbox);
    let [second, third] = SECOND_SERVERS;
    for node in [second, third, AGENTS[0], AGENTS[1]] {
        assert_eq!(config(&extracted(&sandbox, node))["server"], "https://192.168.6.10:7443", "{node}");
    }
    let first = extracted(&sandbox, SERVER);
    assert_eq!(config(&first)["https-listen-port"], 7443);
    let user_data = fs::read_to_string(first.join("user-data")).unwrap();
    assert!(user_data.contains("/dev/tcp/$address/7443") && !user_data.contains("6443"), "{user_data}");
}

/// Returns the body of a private key in the forms in which it could lie on a disc: each line of each.
fn lines_of_key(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let path = sandbox.path(format!("lab/secrets/{name}"));
    let pkcs8 = fs::read_to_string(&path).unwrap();
    let traditional = oracle::text("openssl", ["pkey", "-traditional", "-in", path.to_str().unwrap()]);
    let lines = pkcs8.lines().chain(traditional.lines()).filter(|line| !line.starts_with("-----"));
    lines.map(str::to_owned).filter(|line| line.len() > 20).collect()
}

#[test]
fn servers_and_agents_carry_the_full_token_with_the_hash_of_the_root() {
    let sandbox = lab_with_authorities();
    build(&sandbox);
    let root = sandbox.path("lab/secrets/cluster-root-ca.crt");
    let fingerprint =
        oracle::text("openssl", ["x509", "-noout", "-fingerprint", "-sha256", "-in", root.to_str().unwrap()]);
    let hash = fingerprint.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
    let (server, agent) = (secret(&sandbox, "server-token"), secret(&sandbox, "agent-token"));
    for node in SECOND_SERVERS.into_iter().chain([SERVER]) {
        let config = config(&extracted(&sandbox, node));
        assert_eq!(config["token"], format!("K10{hash}::server:{server}"), "{node}");
        assert_eq!(config["agent-token"], agent, "{node}");
    }
    for node in AGENTS {
        let config = config(&extracted(&sandbox, node));
        assert_eq!(config["token"], format!("K10{hash}::node:{agent}"), "{node}");
        assert_eq!(config.get("agent-token"), None, "{node}");
    }
}

#[test]
fn without_authorities_the_tokens_are_short() {
    let sandbox = lab();
    build(&sandbox);
    assert_eq!(config(&extracted(&sandbox, SERVER))["token"], secret(&sandbox, "server-token"));
    assert_eq!(config(&extracted(&sandbox, AGENTS[0]))["token"], secret(&sandbox, "agent-token"));
    assert!(!sandbox.names("lab/secrets").iter().any(|name| name.starts_with("cluster-")));
    assert!(!extracted(&sandbox, SERVER).join(SERVER_FOLDER).exists());
}

#[test]
fn only_the_first_server_gets_the_authorities_and_nobody_the_keys_above_them() {
    let sandbox = lab_with_authorities();
    build(&sandbox);
    let tls = extracted(&sandbox, SERVER).join(SERVER_FOLDER).join("tls");
    let chain = fs::read_to_string(tls.join("server-ca.crt")).unwrap();
    let expected = ["server-ca", "intermediate-ca", "root-ca"]
        .map(|stem| sandbox.read(&format!("lab/secrets/cluster-{stem}.crt")))
        .concat();
    assert_eq!(chain, expected);
    let folders = fs::read_to_string(extracted(&sandbox, SERVER).join("payload/FOLDERS")).unwrap();
    let expected = ["", "/tls", "/tls/etcd"].map(|rest| format!("0700 /var/lib/rancher/k3s/server{rest}\n"));
    assert_eq!(folders, expected.concat());

    let keys: Vec<(String, Vec<String>)> = sandbox
        .names("lab/secrets")
        .into_iter()
        .filter(|name| name.starts_with("cluster-") && name.ends_with(".key"))
        .map(|name| (name.clone(), lines_of_key(&sandbox, &name)))
        .collect();
    assert_eq!(keys.len(), 8);
    for node in SECOND_SERVERS.into_iter().chain(AGENTS).chain([SERVER]) {
        assert_eq!(extracted(&sandbox, node).join(SERVER_FOLDER).exists(), node == SERVER, "{node}");
        for (place, bytes) in all_bytes(&sandbox, node) {
            for (name, lines) in &keys {
                let is_meant = node == SERVER && !name.contains("root") && !name.contains("intermediate");
                let is_there = lines.iter().any(|line| contains(&bytes, line));
                assert!(is_meant || !is_there, "{node}: {place} holds `{name}`");
            }
        }
    }
    for path in files(&sandbox.path("kit")).into_iter().filter(|path| !path.starts_with("seeds")) {
        let bytes = fs::read(sandbox.path("kit").join(&path)).unwrap();
        let lines = keys.iter().flat_map(|(_, lines)| lines);
        assert!(!lines.into_iter().any(|line| contains(&bytes, line)), "{}", path.display());
    }
}

#[test]
fn no_agents_disc_holds_the_servers_token_anywhere() {
    for sandbox in [lab(), lab_with_authorities()] {
        sandbox.edit(SPEC, "images:\n", "pack: { compression: zstd }\nimages:\n");
        build(&sandbox);
        let token = secret(&sandbox, "server-token");
        for node in AGENTS {
            for (place, bytes) in all_bytes(&sandbox, node) {
                assert!(!contains(&bytes, &token), "{node}: {place}");
            }
        }
        // The search finds it where it is.
        assert!(all_bytes(&sandbox, SERVER).iter().any(|(_, bytes)| contains(bytes, &token)));
    }
}

#[test]
fn tokens_appear_in_config_yaml_alone() {
    let sandbox = lab_with_authorities();
    let run = build(&sandbox);
    let tokens = ["server-token", "agent-token"].map(|name| secret(&sandbox, name));
    for node in SECOND_SERVERS.into_iter().chain(AGENTS).chain([SERVER]) {
        let seed = extracted(&sandbox, node);
        for path in files(&seed) {
            let bytes = fs::read(seed.join(&path)).unwrap();
            let is_config = path == Path::new("payload/root/etc/rancher/k3s/config.yaml");
            let is_there = tokens.iter().any(|token| contains(&bytes, token));
            assert_eq!(is_there, is_config, "{node}: {}", path.display());
        }
    }
    assert!(!tokens.iter().any(|token| run.stderr.contains(token) || run.stdout.contains(token)));
}

#[test]
fn the_registry_keeps_an_authority_of_its_own() {
    let sandbox = lab_with_authorities();
    build(&sandbox);
    let registry = sandbox.read("kit/registry/ca.crt");
    for name in sandbox.names("lab/secrets").iter().filter(|name| name.starts_with("cluster-")) {
        assert_ne!(sandbox.read(&format!("lab/secrets/{name}")), registry, "{name}");
    }
    // A cluster's authority that hosts trust makes k3s pass over the hash in its token.
    for node in [SERVER, AGENTS[0]] {
        let seed = extracted(&sandbox, node);
        let registry_ca =
            fs::read_to_string(seed.join("payload/root/etc/rancher/k3s/registry-ca.crt")).unwrap();
        assert_eq!(registry_ca, registry);
        let user_data = fs::read_to_string(seed.join("user-data")).unwrap();
        let root = sandbox.read("lab/secrets/cluster-root-ca.crt");
        assert!(!user_data.contains(root.lines().nth(1).unwrap()));
    }
    for suffix in ["key", "crt"] {
        let own = sandbox.read(&format!("lab/secrets/cluster-root-ca.{suffix}"));
        sandbox.write(&format!("lab/secrets/ca.{suffix}"), own);
    }
    fs::remove_file(sandbox.path("lab/secrets/registry.crt")).unwrap();
    let run = sandbox.seedkit(&BUILD);
    let expected = "the registry's authority `ca.crt` and the cluster's `root-ca` have one key";
    assert!(run.fails(2).contains(expected), "{}", run.stderr);
}

#[test]
fn a_token_that_cannot_be_right_stops_the_build() {
    let hash = "0123456789abcdef".repeat(4);
    let full = |user: &str| format!("K10{hash}::{user}:secret\n");
    let unknown = "k3s makes the cluster's own only when the first server starts";
    let foreign = "the hash of another certificate authority than the cluster's own";
    let bootstrap = || "abcdef.0123456789abcdef\n".to_owned();
    let is_bootstrap = "the form of a bootstrap token";
    for (sandbox, cases) in [
        (
            lab(),
            [
                ("server-token", full("server"), unknown),
                ("agent-token", full("node"), unknown),
                ("server-token", bootstrap(), is_bootstrap),
                ("agent-token", bootstrap(), is_bootstrap),
            ],
        ),
        (
            lab_with_authorities(),
            [
                ("server-token", full("server"), foreign),
                ("agent-token", full("node"), foreign),
                ("agent-token", full("server"), "the token is for `server`"),
                ("agent-token", format!("K10{hash}::abcdef.0123456789abcdef"), is_bootstrap),
            ],
        ),
    ] {
        build(&sandbox);
        for (name, token, expected) in cases {
            let path = format!("lab/secrets/{name}");
            let good = sandbox.read(&path);
            sandbox.write(&path, &token);
            let run = sandbox.seedkit(&BUILD);
            let error = run.fails(2);
            assert!(error.contains(&format!("the token `{name}`")) && error.contains(expected), "{error}");
            assert!(error.contains("hint:"), "{error}");
            assert!(!error.contains("0123456789abcdef") && !error.contains(":secret"), "{error}");
            sandbox.write(&path, good);
        }
    }
}

#[test]
fn a_users_full_token_with_the_right_hash_is_carried_as_it_is() {
    let sandbox = lab_with_authorities();
    build(&sandbox);
    let token = config(&extracted(&sandbox, AGENTS[0]))["token"].as_str().unwrap().to_owned();
    sandbox.write("lab/secrets/agent-token", format!("{token}\n"));
    fs::remove_dir_all(sandbox.path("extracted")).unwrap();
    build(&sandbox);
    assert_eq!(config(&extracted(&sandbox, AGENTS[0]))["token"], token);
    let password = token.rsplit(':').next().unwrap();
    assert_eq!(config(&extracted(&sandbox, SERVER))["agent-token"], password);
}

#[test]
fn ca_show_names_the_clusters_authorities() {
    let sandbox = lab_with_authorities();
    sandbox.seedkit(&["ca", "-f", SPEC]).succeeds();
    let shown = sandbox.seedkit(&["ca", "show", "-f", SPEC]).succeeds().stdout;
    for stem in ["root", "intermediate", "server", "client", "request-header", "etcd-peer", "etcd-server"] {
        assert!(shown.contains(&format!("\nCN=k3s-{stem}-ca@")), "{shown}");
    }
    let json = sandbox.seedkit(&["ca", "show", "-f", SPEC, "--json"]).succeeds().json();
    assert_eq!(json["cluster"].as_array().unwrap().len(), 7);
    assert_eq!(json["cluster"][0]["issuer"], json["cluster"][0]["subject"]);
    let certificates = sandbox.names("lab/secrets");
    let before: Vec<String> =
        certificates.iter().map(|name| sandbox.read(&format!("lab/secrets/{name}"))).collect();
    sandbox.seedkit(&["ca", "renew", "-f", SPEC]).succeeds();
    for (name, before) in certificates.iter().zip(before) {
        let is_same = sandbox.read(&format!("lab/secrets/{name}")) == before;
        assert_eq!(is_same, name != "registry.crt", "{name}");
    }
}
