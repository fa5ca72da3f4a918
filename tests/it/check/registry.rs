//! The registry, its certificate, and what nodes are told of it.

use std::sync::OnceLock;

use fs_err as fs;

use crate::support::broken::BrokenKit;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const NODE: &str = "k3s-worker1";
const FILE: &str = "/etc/rancher/k3s/registries.yaml";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// A lab whose kit may get another certificate, by its own authority.
fn lab() -> &'static Sandbox {
    static LAB: OnceLock<Sandbox> = OnceLock::new();
    LAB.get_or_init(|| {
        let sandbox = Sandbox::lab();
        let spec = sandbox.read(SPEC).replace("\nregistry:\n", "\n  clusterCa: generate\n\nregistry:\n");
        sandbox.write(SPEC, spec);
        sandbox.seedkit(&BUILD).succeeds();
        sandbox
    })
}

/// Signs a new certificate with openssl, by the lab's own authority, from the beginning of 2026 on.
fn certify(kit: &BrokenKit, extensions: &str) {
    let secrets = lab().path("lab/secrets");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let openssl = |arguments: &[&str]| {
        let mut command = oracle::command("openssl");
        oracle::finish(command.current_dir(folder.path()).args(arguments));
    };
    let settings = "[ca]\ndefault_ca = all\n[all]\nnew_certs_dir = .\ndatabase = index\nrand_serial = yes\n\
                    default_md = sha256\npolicy = any\nx509_extensions = own\n[any]\ncommonName = supplied\n[own]\n";
    fs::write(path("settings"), format!("{settings}{extensions}")).unwrap();
    fs::write(path("index"), "").unwrap();
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"]);
    openssl(&["req", "-new", "-key", "key", "-subj", "/CN=192.168.6.1", "-out", "request"]);
    let (authority, key) = (secrets.join("ca.crt"), secrets.join("ca.key"));
    let (authority, key) = (authority.to_str().unwrap(), key.to_str().unwrap());
    let dates = ["-startdate", "20260101000000Z", "-enddate", "20350101000000Z"];
    let sign = [
        "ca", "-batch", "-notext", "-config", "settings", "-in", "request", "-cert", authority, "-keyfile",
        key,
    ];
    openssl(&[&sign[..], &dates, &["-out", "certificate"]].concat());
    fs::copy(path("certificate"), kit.path("registry/registry.crt")).unwrap();
}

#[test]
fn sk0401_the_notes_certificate_had_a_common_name_and_no_address() {
    let kit = BrokenKit::of(&lab().path("kit"));
    certify(&kit, "extendedKeyUsage = serverAuth\n");
    kit.is_found_by("SK0401", "it is not for `192.168.6.1`: its alternative names are nothing");
}

#[test]
fn sk0401_a_certificate_for_clients() {
    let kit = BrokenKit::of(&lab().path("kit"));
    certify(&kit, "extendedKeyUsage = clientAuth\nsubjectAltName = IP:192.168.6.1\n");
    kit.is_found_by("SK0401", "it is not for servers");
}

#[test]
fn sk0401_a_certificate_of_somebody_else() {
    let kit = BrokenKit::lab();
    fs::copy(lab().path("kit/registry/registry.crt"), kit.path("registry/registry.crt")).unwrap();
    kit.is_found_by("SK0401", "is not signed by what it holds");
}

#[test]
fn sk0402_a_worker_without_the_authority() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.displace("/etc/rancher/k3s/registry-ca.crt"));
    kit.is_found_by("SK0402", "`/etc/rancher/k3s/registry-ca.crt` is not placed on this node");
}

fn with_registries(change: impl Fn(&str) -> String) -> BrokenKit {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read(&format!("payload/root{FILE}"));
        let changed = change(&text);
        assert_ne!(text, changed);
        disc.place(FILE, "0600", changed);
    });
    kit
}

#[test]
fn sk0403_configs_are_keyed_by_the_endpoint() {
    let kit = with_registries(|text| {
        text.replace("configs:\n  \"192.168.6.1:5000\":", "configs:\n  \"docker.io\":")
    });
    kit.is_found_by("SK0403", "no entry of `configs` is for `192.168.6.1:5000`");
}

#[test]
fn sk0403_an_endpoint_without_a_scheme() {
    let kit = with_registries(|text| text.replacen("https://", "", 1));
    kit.is_found_by("SK0403", "has no https://");
}

#[test]
fn sk0403_a_star_without_quotes() {
    let kit = with_registries(|text| text.replace("\"docker.io\":", "*:"));
    kit.is_found_by("SK0403", "registries.yaml");
}

#[test]
fn sk0404_a_worker_that_knows_of_no_registry() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.displace(FILE));
    kit.is_found_by("SK0404", "it is not in the seed");
}

#[test]
fn sk0405_a_node_that_dials_out() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read(&format!("payload/root{CONFIG}"));
        disc.place(CONFIG, "0600", text.replace("\"disable-default-registry-endpoint\": true\n", ""));
    });
    kit.is_found_by("SK0405", "disable-default-registry-endpoint");
}

#[test]
fn sk0406_a_registry_in_another_network_without_a_way_out() {
    let kit = BrokenKit::lab();
    kit.edit("kit.json", "\"address\": \"192.168.6.11/24\"", "\"address\": \"192.168.6.11/32\"");
    kit.seed(NODE, |disc| {
        disc.edit(
            "network-config",
            "    routes:\n      - to: \"0.0.0.0/0\"\n        via: \"192.168.6.1\"\n",
            "",
        );
    });
    let findings = kit.findings();
    assert!(
        findings.iter().any(|found| found.starts_with("SK0406") && found.contains("no gateway")),
        "{findings:?}"
    );
}

#[test]
fn sk0407_the_clusters_authority_in_the_systems_trust() {
    let kit = BrokenKit::of(&lab().path("kit"));
    let authority = lab().path("kit/seeds/seed-k3s-master1.iso");
    assert!(authority.exists());
    kit.seed("k3s-master1", |disc| {
        let pem = disc.read("payload/root/var/lib/rancher/k3s/server/tls/server-ca.crt");
        disc.place("/usr/local/share/ca-certificates/cluster.crt", "0644", pem);
    });
    kit.is_found_by("SK0407", "makes the system trust the cluster's CA");
}
