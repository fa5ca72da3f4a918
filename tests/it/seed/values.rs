//! Values reach the files of a node intact, whatever they are: judged by PyYAML, sh and Python.

use serde_json::{Value, json};

use seedkit::seed::Membership;

use super::{HOSTILE, KEY, built, lab, text, written_files};
use crate::support::oracle;

/// Parses YAML with PyYAML, which cloud-init uses; a duplicate key is a failure.
pub(super) fn parsed(yaml: &str) -> Value {
    let program = "
import json, sys, yaml
class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return super().construct_mapping(node, deep)
print(json.dumps(yaml.load(sys.argv[1], Strict)))";
    serde_json::from_str(&oracle::text("/usr/bin/python3", ["-c", program, yaml])).unwrap()
}

#[test]
fn hostile_values_arrive_intact() {
    for mut seed in lab() {
        seed.k3s
            .config
            .insert("node-label".to_owned(), json!([HOSTILE, "no", "0644", "1e3", 5, true, null]))
            .unwrap();
        seed.k3s.config.insert(HOSTILE.to_owned(), json!({"a": {"b": HOSTILE}})).unwrap();
        seed.registry.mirrors[0].host = HOSTILE.to_owned();
        seed.registry.mirrors[0].rewrites = [(HOSTILE.to_owned(), HOSTILE.to_owned())].into();
        let auth = seed.registry.auth.as_mut().unwrap();
        auth.username = HOSTILE.to_owned();
        auth.password = HOSTILE.to_owned().into();
        seed.timezone = HOSTILE.to_owned();
        seed.ssh.user = HOSTILE.to_owned();
        let tree = built(&seed);

        let configuration = parsed(&text(&tree, "payload/root/etc/rancher/k3s/config.yaml"));
        assert_eq!(configuration["node-label"], json!([HOSTILE, "no", "0644", "1e3", 5, true, null]));
        assert_eq!(configuration[HOSTILE], json!({"a": {"b": HOSTILE}}));
        let registries = parsed(&text(&tree, "payload/root/etc/rancher/k3s/registries.yaml"));
        assert_eq!(registries["mirrors"][HOSTILE]["rewrite"], json!({HOSTILE: HOSTILE}));
        assert_eq!(
            registries["configs"]["192.168.6.1:5000"],
            json!({
                "tls": {"ca_file": "/etc/rancher/k3s/registry-ca.crt"},
                "auth": {"username": HOSTILE, "password": HOSTILE},
            })
        );
        let user_data = parsed(&text(&tree, "user-data"));
        assert_eq!(user_data["timezone"], HOSTILE);
        assert_eq!(user_data["users"][0]["name"], HOSTILE);
        assert_eq!(user_data["users"][0]["ssh_authorized_keys"], json!([KEY]));
    }
}

#[test]
fn every_script_is_clean_to_shellcheck_and_its_shells() {
    for seed in lab() {
        let folder = tempfile::tempdir().unwrap();
        let scripts: Vec<_> = written_files(&built(&seed))
            .into_iter()
            .filter(|(_, _, content)| content.starts_with("#!"))
            .collect();
        let (python, scripts): (Vec<_>, Vec<_>) =
            scripts.into_iter().partition(|(_, _, content)| content.starts_with("#!/usr/bin/python3 -I\n"));
        let begins = matches!(seed.k3s.membership, Membership::FirstServer { .. });
        assert_eq!((python.len(), scripts.len()), (1, 6 + usize::from(begins)));
        for (path, mode, content) in python {
            assert_eq!(mode, 0o755, "{path}");
            let program = "import ast, sys; ast.parse(sys.argv[1], feature_version=(3, 8))";
            oracle::run("/usr/bin/python3", ["-W", "error", "-c", program, &content]);
        }
        for (path, mode, content) in scripts {
            assert_eq!(mode, 0o755, "{path}");
            let script = folder.path().join("script.sh");
            fs_err::write(&script, content).unwrap();
            let script = script.to_str().unwrap();
            oracle::run("shellcheck", ["--enable=all", "--exclude=SC2250,SC2310,SC2312", script]);
            oracle::run("dash", ["-n", script]);
            oracle::run("bash", ["-n", script]);
        }
    }
}

#[test]
fn hosts_names_every_node_once() {
    for seed in lab() {
        let files = written_files(&built(&seed));
        let (_, _, hosts) = files.iter().find(|(path, ..)| path == "/etc/hosts").unwrap();
        let expected = "192.168.6.10 k3s-server1\n192.168.6.11 k3s-server2\n192.168.6.12 k3s-agent1\n\
                        192.168.6.1 registry.lab.example\n";
        assert!(hosts.ends_with(expected), "{hosts}");
    }
}

#[test]
fn no_file_of_an_agent_holds_the_servers_token() {
    let tree = built(&lab()[2]);
    for (path, entry) in tree.iter() {
        let seedkit::tree::Entry::File { .. } = entry else { continue };
        assert!(!text(&tree, path.as_str()).contains("server-token"), "{path}");
    }
    let configuration = parsed(&text(&tree, "payload/root/etc/rancher/k3s/config.yaml"));
    let expected = json!({
        "node-name": "k3s-agent1",
        "node-ip": "192.168.6.12",
        "server": "https://192.168.6.10:6443",
        "token": "agent-token",
        "disable-default-registry-endpoint": true,
        "kubelet-arg": ["max-pods=200"],
    });
    assert_eq!(configuration, expected);
}
