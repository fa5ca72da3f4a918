use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::Map;

use super::*;
use crate::k3s::{Mirror, Settings};
use crate::node::{DiskTraits, NetworkCard, SecretFile};
use crate::password::PasswordHash;
use crate::tree::Entry;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMmn4ZUWJLUvCcZ7x1+zX0jBqjhPzS1oAX6FiK0pC3e lab";

fn payload_file(destination: &str, mode: u32, text: &str) -> PayloadFile {
    own_file(destination, mode, text.to_owned())
}

fn seed() -> NodeSeed {
    let secret = |text: &str| text.to_owned().into();
    NodeSeed {
        cluster: "lab".to_owned(),
        flavour: Flavour::CloudImage,
        node: Node {
            name: "k3s-1".parse().unwrap(),
            address: "192.168.6.10/24".parse().unwrap(),
            gateway: "192.168.6.1".parse().unwrap(),
            nameservers: vec!["192.168.6.1".parse().unwrap()],
            card: NetworkCard::new(Some("52:54:00:12:34:00".parse().unwrap()), None).unwrap(),
            disk: Some(
                DiskTraits { path: Some("/dev/vda".to_owned()), ..DiskTraits::default() }.try_into().unwrap(),
            ),
            values: Map::new(),
        },
        nodes: vec![Peer { name: "k3s-1".parse().unwrap(), address: "192.168.6.10".parse().unwrap() }],
        ssh: Ssh {
            user: "ops".to_owned(),
            authorized_keys: vec![KEY.parse().unwrap()],
            console_password: None,
        },
        hosts: BTreeMap::new(),
        timezone: "Asia/Seoul".to_owned(),
        ntp: Vec::new(),
        k3s: K3s {
            membership: Membership::FirstServer {
                token: secret("server-secret"),
                agent_token: secret("agent-secret"),
                cluster_init: true,
                others: Vec::new(),
                authorities: None,
            },
            api_port: 6443,
            config: Settings::default(),
            secret_config: BTreeMap::new(),
            node_password: secret("node-secret\n"),
        },
        registry: Registry {
            address: "192.168.6.1:5000".parse().unwrap(),
            mirrors: vec![Mirror { host: "docker.io".to_owned(), rewrites: BTreeMap::new() }],
            ca_pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
            auth: Some(RegistryAuth {
                username: "puller".to_owned(),
                password: secret("registry-secret"),
                salt: secret("a salt"),
            }),
            disable_default_endpoint: true,
        },
        payload: vec![payload_file("/usr/local/bin/k3s", 0o755, "#!/bin/sh\n")],
        images: Default::default(),
        ops: None,
        epoch: "1763683200".parse().unwrap(),
    }
}

fn text(tree: &FileTree, path: &str) -> String {
    let Some(Entry::File { content, .. }) = tree.get(path) else {
        panic!("{path} is not a file of the seed")
    };
    let mut bytes = Vec::new();
    content.open().unwrap().read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn built(seed: &NodeSeed) -> FileTree {
    build(seed, &Templates::builtin()).unwrap()
}

fn templates_with(name: &str, source: &str) -> Templates {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, source).unwrap();
    Templates::with_overrides(folder.path()).unwrap()
}

#[test]
fn every_secret_is_in_files_for_root_only_and_in_no_debug_output() {
    let mut seed = seed();
    let hash = format!("$6$salt${}", "x".repeat(86));
    seed.ssh.console_password = Some(PasswordHash::from_secret(&hash.clone().into()).unwrap());
    let tree = built(&seed);
    let secrets = ["server-secret", "agent-secret", "node-secret", "registry-secret", &hash];
    assert!(text(&tree, "user-data").contains(&hash));
    for (path, entry) in tree.iter() {
        let Entry::File { mode, .. } = entry else { continue };
        let text = text(&tree, path.as_str());
        assert!(
            *mode == 0o600 || !secrets.iter().any(|secret| text.contains(secret)),
            "{path} has mode {mode:o} and a secret in it"
        );
    }
    let debug = format!("{seed:?}");
    assert!(!secrets.iter().any(|secret| debug.contains(secret)), "{debug}");
}

#[test]
fn an_agents_seed_holds_the_agents_token_as_its_token() {
    let mut seed = seed();
    seed.k3s.membership = Membership::Agent {
        server_url: "https://192.168.6.10:6443".to_owned(),
        agent_token: "agent-secret".to_owned().into(),
    };
    let tree = built(&seed);
    let configuration = text(&tree, "payload/root/etc/rancher/k3s/config.yaml");
    assert!(configuration.contains("\"token\": \"agent-secret\""), "{configuration}");
    assert!(!configuration.contains("agent-token"), "{configuration}");
    let user_data = text(&tree, "user-data");
    assert!(user_data.contains("/etc/systemd/system/k3s-agent.service"));
    assert!(user_data.contains("ExecStart=/usr/local/bin/k3s agent"));
}

#[test]
fn configuration_keeps_order_and_types_behind_our_keys() {
    let mut seed = seed();
    let config = r#"{"write-kubeconfig-mode": "0640", "tls-san": ["a", "한글 # x"], "etcd-snapshot-retention": 5,
        "disable+": ["traefik"], "embedded-registry": false}"#;
    for (key, value) in serde_json::from_str::<Map<_, _>>(config).unwrap() {
        seed.k3s.config.insert(key, value).unwrap();
    }
    let expected = "# Written by seedkit. It holds the cluster's token: readable by root only.\n\
        \"node-name\": \"k3s-1\"\n\"node-ip\": \"192.168.6.10\"\n\"token\": \"server-secret\"\n\
        \"agent-token\": \"agent-secret\"\n\"cluster-init\": true\n\"disable-default-registry-endpoint\": true\n\
        \"write-kubeconfig-mode\": \"0640\"\n\"tls-san\": [\"a\", \"한글 # x\"]\n\"etcd-snapshot-retention\": 5\n\
        \"disable+\": [\"traefik\"]\n\"embedded-registry\": false\n";
    assert_eq!(text(&built(&seed), "payload/root/etc/rancher/k3s/config.yaml"), expected);
}

#[test]
fn the_id_changes_with_every_part_and_with_nothing_else() {
    let id = |seed: &NodeSeed| text(&built(seed), "payload/seed-id");
    let original = id(&seed());
    assert_eq!(original, id(&seed()));
    assert!(original.starts_with("k3s-1-") && original.trim_end().len() == "k3s-1-".len() + 12, "{original}");
    let changes: [fn(&mut NodeSeed); 6] = [
        |seed| seed.timezone.push('x'),
        |seed| seed.node.address = "192.168.6.10/25".parse().unwrap(),
        |seed| seed.payload[0].mode = 0o700,
        |seed| seed.payload[0] = payload_file("/usr/local/bin/k3s", 0o755, "#!/bin/dash\n"),
        |seed| seed.payload[0].destination = NodePath::own("/usr/local/bin/k3sx"),
        |seed| seed.registry.ca_pem.push('\n'),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut seed = seed();
        change(&mut seed);
        assert_ne!(id(&seed), original, "change {index}");
    }
    let meta_data =
        templates_with("cloud-image/meta-data.tera", "instance-id: {{ seed.instance_id | json }}\n");
    assert_ne!(text(&build(&seed(), &meta_data).unwrap(), "payload/seed-id"), original);
    let expected = format!("instance-id: \"iid-{}\"", original.trim_end());
    assert!(text(&built(&seed()), "meta-data").contains(&expected));
}

#[test]
fn payload_files_that_would_replace_others_or_not_work_are_refused() {
    for destination in ["/etc/hosts", "/etc/rancher/k3s/config.yaml"] {
        let mut seed = seed();
        seed.payload.push(payload_file(destination, 0o644, "x"));
        let error = build(&seed, &Templates::builtin()).unwrap_err();
        assert!(matches!(error, SeedError::Destination(..)), "{destination:?}: {error}");
    }
    let sha512 = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
    let changes: [fn(&mut PayloadFile); 2] =
        [|file| file.mode = 0o10_644, |file| file.content = Content::from("#!/bin/sh\r\necho\r\n")];
    for change in changes {
        let mut seed = seed();
        change(&mut seed.payload[0]);
        assert!(matches!(build(&seed, &Templates::builtin()), Err(SeedError::Destination(..))));
    }
    let mut seed = seed();
    seed.payload[0].digest = sha512;
    assert!(matches!(build(&seed, &Templates::builtin()), Err(SeedError::Destination(..))));
}

#[test]
fn rendered_files_that_their_readers_would_not_take_are_refused() {
    let huge = "#cloud-config\n{% for i in range(end=60000) %}# line {{ i | json }}\n{% endfor %}";
    for (name, source, expected) in [
        ("cloud-image/user-data.tera", "", "is empty"),
        ("cloud-image/meta-data.tera", " \n", "is empty"),
        ("cloud-image/user-data.tera", "# cloud-config\n", "does not start"),
        ("cloud-image/user-data.tera", "\n#cloud-config\n", "does not start"),
        ("cloud-image/user-data.tera", huge, "larger than"),
    ] {
        let error = build(&seed(), &templates_with(name, source)).unwrap_err().to_string();
        assert!(error.contains(expected), "{name} {source:?}: {error}");
    }
}

#[test]
fn an_undefined_variable_names_template_line_and_node() {
    let templates = templates_with("node/hosts.tera", "# hosts\n{{ node.values.domain | word }}\n");
    let error = build(&seed(), &templates).unwrap_err();
    assert!(error.to_string().contains("`k3s-1`"), "{error}");
    let SeedError::Template(_, source) = error else { panic!("{error}") };
    assert_eq!((source.line, source.variable.as_deref()), (Some(2), Some("node.values.domain")));
}

#[test]
fn what_a_seed_writes_is_not_free_for_users() {
    let authorities = || Authorities {
        folders: Vec::new(),
        files: vec![SecretFile {
            destination: NodePath::own("/var/lib/rancher/k3s/server/tls/server-ca.key"),
            mode: 0o600,
            text: "key".to_owned().into(),
        }],
    };
    let tokens = || ("server-secret".to_owned().into(), "agent-secret".to_owned().into());
    let server_url = || "https://192.168.6.10:6443".to_owned();
    for flavour in [Flavour::CloudImage, Flavour::Autoinstall] {
        let (token, agent_token) = tokens();
        for membership in [
            Membership::FirstServer {
                token,
                agent_token,
                cluster_init: true,
                others: Vec::new(),
                authorities: Some(authorities()),
            },
            Membership::Agent { server_url: server_url(), agent_token: tokens().1 },
        ] {
            let marker = membership.marker();
            let mut seed = seed();
            seed.k3s.membership = membership;
            seed.flavour = flavour;
            seed.ops = Some(OpsPackages {
                name: "ops".to_owned(),
                archive: payload_file("/var/lib/seedkit/ops-packages/ops.tar.gz", 0o644, "x"),
            });
            let tree = built(&seed);
            let user_data = text(&tree, "user-data");
            let written = user_data.lines().filter_map(|line| line.trim().strip_prefix("- path: \""));
            let written = written.map(|path| path.trim_end_matches('"').to_owned());
            let placed = text(&tree, "payload/FILES");
            let placed = placed.lines().map(|line| line[5..].to_owned());
            let markers = ["done", "failed"].map(|end| format!("{marker}.{end}"));
            let paths: Vec<String> = written.chain(placed).chain(markers).collect();
            assert!(paths.len() > 15, "{paths:?}");
            for path in paths {
                assert!(crate::node::owned_by_system(&path).is_some(), "{path} is free for users");
            }
        }
    }
}
