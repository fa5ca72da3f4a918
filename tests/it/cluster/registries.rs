//! `registries.yaml` as PyYAML reads it, and where it sends a node: Python applies the rewrites.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use super::executable::WITHOUT_IMAGES;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

/// Prints `registries.yaml` as JSON; a key that is there twice is a failure.
const PARSE: &str = "
import json, sys, yaml
class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        assert all(isinstance(key, str) for key in keys), keys
        return super().construct_mapping(node, deep)
print(json.dumps(yaml.load(open(sys.argv[1]), Strict)))";

/// Prints what a node asks for instead of each image, as k3s does: `endpoint/repository:tag`, or nothing.
const ASK: &str = r"
import json, re, sys
registries = json.loads(sys.argv[1])
for image in sys.argv[2:]:
    host, rest = image.split('/', 1)
    repository, tag = rest.rsplit(':', 1)
    mirror = registries['mirrors'].get(host, registries['mirrors'].get('*'))
    if mirror is None:
        print()
        continue
    matching = [rule for rule in mirror.get('rewrite', {}).items() if re.search(rule[0], repository)]
    assert len(matching) <= 1, matching
    for pattern, replacement in matching:
        repository = re.sub(pattern, replacement, repository)
    endpoint, = mirror['endpoint']
    print(endpoint.removeprefix('https://') + '/' + repository + ':' + tag)
";

fn registries(sandbox: &Sandbox) -> Value {
    let path = sandbox.path("kit/registry/registries.yaml");
    serde_json::from_str(&oracle::text("/usr/bin/python3", ["-c", PARSE, path.to_str().unwrap()])).unwrap()
}

fn asked_for(registries: &Value, images: &[&str]) -> Vec<String> {
    let text = registries.to_string();
    let arguments = ["-c", ASK, &text].into_iter().chain(images.iter().copied());
    oracle::text("/usr/bin/python3", arguments).lines().map(str::to_owned).collect()
}

/// Extracts one file of a node's payload.
fn placed(sandbox: &Sandbox, node: &str, path: &str) -> PathBuf {
    let image = sandbox.path(format!("kit/seeds/seed-{node}.iso"));
    let target = sandbox.path("extracted").join(node).join(path.trim_start_matches('/'));
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    let (image, source) = (image.to_str().unwrap(), format!("/payload/root{path}"));
    let arguments = ["-osirrox", "on", "-indev", image, "-extract", &source, target.to_str().unwrap()];
    oracle::run("xorriso", arguments);
    target
}

fn relock(sandbox: &Sandbox) {
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
}

#[test]
fn every_node_gets_a_mirror_for_every_host_in_the_lock_and_its_certificate() {
    let sandbox = Sandbox::built_lab();
    let registries = registries(&sandbox);
    let mirror = json!({"endpoint": ["https://192.168.6.1:5000"]});
    assert_eq!(registries["mirrors"], json!({"docker.io": mirror, "quay.io": mirror}));
    let authority = sandbox.read("kit/registry/ca.crt");
    let of_kit = sandbox.read("kit/registry/registries.yaml");
    for node in ["k3s-master1", "k3s-worker1", "k3s-worker2"] {
        let path = placed(&sandbox, node, "/etc/rancher/k3s/registries.yaml");
        assert_eq!(fs::read_to_string(path).unwrap(), of_kit);
        for (host, mirror) in registries["mirrors"].as_object().unwrap() {
            for endpoint in mirror["endpoint"].as_array().unwrap() {
                let address = endpoint.as_str().unwrap().strip_prefix("https://").unwrap();
                let file = registries["configs"][address]["tls"]["ca_file"].as_str().unwrap();
                assert_eq!(
                    fs::read_to_string(placed(&sandbox, node, file)).unwrap(),
                    authority,
                    "{node} {host}"
                );
            }
        }
    }
}

#[test]
fn nodes_ask_for_an_image_where_its_list_puts_it() {
    let sandbox = Sandbox::lab();
    sandbox.write(
        "lab/images.txt",
        "docker.io/lab/hello:1.0  apps/hello.world:1.0\nquay.io/lab/hello:1.0 = quay/lab/hello:1.0\n",
    );
    relock(&sandbox);
    let run = sandbox.seedkit(&BUILD).succeeds();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let registries = registries(&sandbox);
    assert_eq!(registries["mirrors"]["docker.io"]["rewrite"], json!({"^lab/hello$": "apps/hello.world"}));
    let images = [
        "docker.io/lab/hello:1.0",
        "quay.io/lab/hello:1.0",
        "docker.io/lab/hello2:1.0",
        "docker.io/other/lab/hello:1.0",
        "docker.io/rancher/mirrored-pause:3.6",
        "ghcr.io/a/b:1",
    ];
    let expected = [
        "192.168.6.1:5000/apps/hello.world:1.0",
        "192.168.6.1:5000/quay/lab/hello:1.0",
        "192.168.6.1:5000/lab/hello2:1.0",
        "192.168.6.1:5000/other/lab/hello:1.0",
        "192.168.6.1:5000/rancher/mirrored-pause:3.6",
        "",
    ];
    assert_eq!(asked_for(&registries, &images), expected);
}

#[test]
fn a_place_that_nodes_do_not_ask_for_is_a_warning() {
    let sandbox = Sandbox::lab();
    sandbox.write("lab/images.txt", "docker.io/lab/hello:1.0  lab/hello:stable\nquay.io/lab/hello:1.0\n");
    relock(&sandbox);
    let run = sandbox.seedkit(&BUILD).succeeds();
    let expected =
        "warning: nodes do not find `docker.io/lab/hello:1.0` at `lab/hello:stable` in the registry";
    assert_eq!(run.stderr.matches(expected).count(), 1, "{}", run.stderr);
    assert_eq!(registries(&sandbox)["mirrors"]["docker.io"].get("rewrite"), None);
}

#[test]
fn the_spec_may_name_the_mirrors_and_all_others() {
    let sandbox = Sandbox::lab();
    let old = "  sans: [registry.lab.example]\n";
    sandbox.edit(SPEC, old, &format!("{old}  mirrors: [docker.io, \"*\"]\n"));
    sandbox.seedkit(&BUILD).succeeds();
    let text = sandbox.read("kit/registry/registries.yaml");
    assert!(text.contains("\n  \"*\":\n"), "the asterisk is quoted, or YAML takes it for an alias: {text}");
    let images = ["docker.io/a/b:1", "quay.io/a/b:1", "ghcr.io/a/b:1"];
    assert_eq!(asked_for(&registries(&sandbox), &images), ["192.168.6.1:5000/a/b:1"; 3]);
    sandbox.edit(SPEC, ", \"*\"]", "]");
    let run = sandbox.seedkit(&BUILD).succeeds();
    let note = "nodes ask `quay.io` itself for its images: `registry.mirrors` leaves it out";
    assert_eq!(run.stderr.matches(note).count(), 1, "{}", run.stderr);
    assert_eq!(asked_for(&registries(&sandbox), &images)[1..], ["", ""]);
}

#[test]
fn the_registry_is_asked_for_its_own_images_without_a_mirror() {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "address: 192.168.6.1:5000", "address: quay.io");
    sandbox.seedkit(&BUILD).succeeds();
    let registries = registries(&sandbox);
    assert_eq!(registries["mirrors"], json!({"docker.io": {"endpoint": ["https://quay.io"]}}));
    // Its own certificate is known all the same.
    assert_eq!(registries["configs"]["quay.io"]["tls"]["ca_file"], "/etc/rancher/k3s/registry-ca.crt");
}

#[test]
fn default_endpoints_are_disabled_where_every_patch_of_the_release_knows_the_flag() {
    for (version, is_set) in [("v1.29.15+k3s1", false), ("v1.30.0+k3s1", true), ("v1.35.0+k3s1", true)] {
        let sandbox = Sandbox::lab();
        let k3s = sandbox.read("lab/k3s-stand-in.sh").replace("v1.35.0+k3s1", version);
        sandbox.write("lab/k3s-stand-in.sh", k3s);
        sandbox.write("lab/k3s-images.txt", "docker.io/rancher/mirrored-pause:3.6\n");
        let images = format!("version: {version}\n  images: {{ path: k3s-images.txt }}\n");
        sandbox.edit(SPEC, "version: v1.35.0+k3s1\n", &images);
        sandbox.edit(SPEC, "images:\n  lists:\n", &format!("{WITHOUT_IMAGES}images:\n  lists:\n"));
        relock(&sandbox);
        sandbox.seedkit(&BUILD).succeeds();
        let config =
            fs::read_to_string(placed(&sandbox, "k3s-worker1", "/etc/rancher/k3s/config.yaml")).unwrap();
        let line = "\"disable-default-registry-endpoint\": true\n";
        assert_eq!(config.contains(line), is_set, "{version}: {config}");
    }
}
