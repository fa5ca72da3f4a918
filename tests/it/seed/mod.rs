//! Seeds, judged by the programs that read them on a node.

mod alone;
mod autoinstall;
mod clock;
mod cloud_init;
mod completion;
mod golden;
mod interrupted;
mod iso;
mod machine;
mod placing;
mod renewal;
mod schema;
mod settings;
mod shared;
mod staging;
mod units;
mod values;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::k3s::{Mirror, Settings};
use seedkit::node::{DiskSize, DiskTraits, Flavour, InstallDisk, NetworkCard, NodePath, SecretFile};
use seedkit::seed::{
    Authorities, Disc, K3s, Membership, Node, NodeSeed, OpsPackages, PayloadFile, Peer, Registry,
    RegistryAuth, Ssh, build,
};
use seedkit::template::Templates;
use seedkit::tree::{Content, Entry, FileTree};
use serde_json::{Map, json};
use std::os::unix::fs::PermissionsExt as _;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMmn4ZUWJLUvCcZ7x1+zX0jBqjhPzS1oAX6FiK0pC3e 운영 \"$lab\" # {{";
const BUNDLE: &str = "ops-packages-bookworm-amd64-0123456789ab";
const IMAGES: [&str; 2] = ["docker.io/rancher/mirrored-pause:3.6", "registry.k8s.io/pause:3.10"];
const SERVER: &str = "https://192.168.6.10:6443";

/// What spoils files that are put together without quoting.
const HOSTILE: &str =
    "한국어 'single' \"double\" `tick` $HOME ${HOME} # 100% a: b\\n \\ {{ x }} {% if %}\nnext\tline ";

fn smallest_disk() -> InstallDisk {
    DiskTraits { size: Some(DiskSize::Smallest), ..DiskTraits::default() }.try_into().unwrap()
}

fn payload_file(destination: &str, mode: u32, text: &str) -> PayloadFile {
    let digest = Digest::sha256(text.as_bytes());
    let content = Content::from(text);
    PayloadFile { destination: NodePath::own(destination), mode, content, digest, disc: Disc::Seed }
}

/// The three roles of a cluster, in the order of the lab's nodes.
fn memberships() -> [Membership; 3] {
    let token = || "server-token".to_owned().into();
    let agent_token = || "agent-token".to_owned().into();
    [
        Membership::FirstServer {
            token: token(),
            agent_token: agent_token(),
            cluster_init: true,
            others: vec![Peer {
                name: "k3s-server2".parse().unwrap(),
                address: "192.168.6.11".parse().unwrap(),
            }],
            authorities: None,
        },
        Membership::Server { server_url: SERVER.to_owned(), token: token(), agent_token: agent_token() },
        Membership::Agent { server_url: SERVER.to_owned(), agent_token: agent_token() },
    ]
}

/// The seeds of a lab of three nodes: a server, a second one, an agent.
fn lab() -> Vec<NodeSeed> {
    let address = |number: usize| -> IpAddr { format!("192.168.6.{}", 10 + number).parse().unwrap() };
    let mut config = Settings::default();
    config.insert("kubelet-arg".to_owned(), json!(["max-pods=200"])).unwrap();
    let names = ["k3s-server1", "k3s-server2", "k3s-agent1"];
    let peer =
        |(number, name): (usize, &&str)| Peer { name: name.parse().unwrap(), address: address(number) };
    let nodes: Vec<_> = names.iter().enumerate().map(peer).collect();
    let seed = |(number, membership): (usize, Membership)| NodeSeed {
        cluster: "lab".to_owned(),
        flavour: Flavour::CloudImage,
        node: Node {
            name: names[number].parse().unwrap(),
            address: format!("{}/24", address(number)).parse().unwrap(),
            gateway: "192.168.6.1".parse().unwrap(),
            nameservers: vec!["192.168.6.1".parse().unwrap()],
            // Only digits: to YAML 1.1 a number to the base of 60, unless it is quoted.
            card: NetworkCard::new(
                Some(format!("52:54:00:12:34:0{number}").parse().unwrap()),
                (number == 1).then(|| "lan0".parse().unwrap()),
            )
            .unwrap(),
            disk: Some(smallest_disk()),
            values: Map::new(),
        },
        nodes: nodes.clone(),
        ssh: Ssh {
            user: "ops".to_owned(),
            authorized_keys: vec![KEY.parse().unwrap()],
            console_password: None,
        },
        hosts: [("registry.lab.example".to_owned(), "192.168.6.1".parse().unwrap())].into(),
        timezone: "Asia/Seoul".to_owned(),
        ntp: ["192.168.6.1", "time.lab.example"].map(|name| name.parse().unwrap()).to_vec(),
        k3s: K3s {
            membership,
            api_port: 6443,
            config: config.clone(),
            secret_config: BTreeMap::new(),
            node_password: "node-password".to_owned().into(),
        },
        registry: Registry {
            address: "192.168.6.1:5000".parse().unwrap(),
            mirrors: ["docker.io", "registry.k8s.io"].map(mirror).to_vec(),
            ca_pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned(),
            auth: Some(RegistryAuth {
                username: "puller".to_owned(),
                password: "secret".to_owned().into(),
                salt: "a salt".to_owned().into(),
            }),
            disable_default_endpoint: true,
        },
        payload: vec![
            payload_file("/usr/local/bin/k3s", 0o755, "#!/bin/sh\necho k3s\n"),
            payload_file(
                "/var/lib/rancher/k3s/agent/images/airgap-images-0123456789ab.tar",
                0o644,
                "images\n",
            ),
            payload_file("/opt/문서/read me 'first'.txt", 0o640, HOSTILE),
        ],
        images: IMAGES.map(|name| (name.to_owned(), Some(Digest::sha256(name.as_bytes())))).into(),
        ops: Some(OpsPackages {
            name: BUNDLE.to_owned(),
            archive: payload_file(
                &format!("/var/lib/seedkit/ops-packages/{BUNDLE}.tar.gz"),
                0o644,
                "packages\n",
            ),
        }),
        epoch: "1763683200".parse().unwrap(),
    };
    memberships().into_iter().enumerate().map(seed).collect()
}

/// The seed of the first server with authorities that say whose they are.
fn with_authorities(whose: &str) -> NodeSeed {
    let folder = "/var/lib/rancher/k3s/server";
    let file = |(path, mode, what): (&str, u32, &str)| SecretFile {
        destination: NodePath::own(format!("{folder}/tls/{path}")),
        mode,
        text: format!("{whose} {what}\n").into(),
    };
    let files = [("server-ca.crt", 0o644, "certificate"), ("etcd/peer-ca.key", 0o600, "key")].map(file);
    let folders = ["", "/tls", "/tls/etcd"].map(|rest| (format!("{folder}{rest}"), 0o700));
    let mut seed = lab().swap_remove(0);
    let Membership::FirstServer { authorities, .. } = &mut seed.k3s.membership else {
        panic!("the first node starts the cluster")
    };
    *authorities = Some(Authorities { folders: folders.to_vec(), files: files.to_vec() });
    seed
}

fn mirror(host: &str) -> Mirror {
    Mirror { host: host.to_owned(), rewrites: [("^(.*)$".to_owned(), format!("{host}/$1"))].into() }
}

fn built(seed: &NodeSeed) -> FileTree {
    build(seed, &Templates::builtin()).unwrap()
}

fn text(tree: &FileTree, path: &str) -> String {
    let Some(Entry::File { content, .. }) = tree.get(path) else {
        panic!("{path} is not a file of the seed")
    };
    std::io::read_to_string(content.open().unwrap()).unwrap()
}

/// Writes a seed as the folder that its disc is.
fn write(tree: &FileTree, folder: &Path) {
    for (path, entry) in tree.iter() {
        let target = folder.join(path.as_str());
        match entry {
            Entry::Directory { .. } => fs::create_dir_all(&target).unwrap(),
            Entry::File { mode, content } => {
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                std::io::copy(&mut content.open().unwrap(), &mut fs::File::create(&target).unwrap()).unwrap();
                fs::set_permissions(&target, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
            Entry::Symlink { target: to } => fs_err::os::unix::fs::symlink(to, &target).unwrap(),
        }
    }
}

/// The files that set a node up: path, mode and content. cloud-init writes them, as an independent parser of YAML sees
/// them; for the installer they are payload.
fn written_files(tree: &FileTree) -> Vec<(String, u32, String)> {
    let user_data = values::parsed(&text(tree, "user-data"));
    let Some(files) = user_data["write_files"].as_array() else { return placed_files(tree) };
    let field = |file: &serde_json::Value, name: &str| file[name].as_str().unwrap().to_owned();
    files
        .iter()
        .map(|file| {
            let mode = u32::from_str_radix(&field(file, "permissions"), 8).unwrap();
            (field(file, "path"), mode, field(file, "content"))
        })
        .collect()
}

fn placed_files(tree: &FileTree) -> Vec<(String, u32, String)> {
    let list = text(tree, "payload/FILES");
    let files = list.lines().map(|line| line.split_once(' ').unwrap());
    let is_ours =
        |path: &str| path.starts_with("/etc/systemd/system/") || path.starts_with("/usr/local/sbin/");
    files
        .filter(|(_, path)| is_ours(path))
        .map(|(mode, path)| {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            (path.to_owned(), mode, text(tree, &format!("payload/root{path}")))
        })
        .collect()
}

#[test]
fn the_tree_of_a_seed_is_the_golden_one() {
    let listing: String = built(&lab()[2])
        .iter()
        .map(|(path, entry)| match entry {
            Entry::Directory { mode } => format!("{mode:04o}      - {path}/\n"),
            Entry::File { mode, content } => format!("{mode:04o} {:6} {path}\n", content.size()),
            Entry::Symlink { target } => format!("link      - {path} -> {target}\n"),
        })
        .collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/seed-tree.txt");
    assert_eq!(
        listing,
        fs::read_to_string(&golden).unwrap(),
        "{} differs from:\n{listing}",
        golden.display()
    );
}
