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

/// What a certificate of the registry needs.
const GOOD: &str = "extendedKeyUsage = serverAuth\nsubjectAltName = IP:192.168.6.1\n";

/// Returns an instant as openssl wants it, so many seconds from now.
fn from_now(seconds: i64) -> String {
    let at = format!("{seconds} seconds");
    oracle::text("date", ["-u", "-d", &at, "+%Y%m%d%H%M%SZ"]).trim_end().to_owned()
}

/// Signs a new certificate with openssl, by the lab's own authority, from the beginning of 2026 on.
fn certify(kit: &BrokenKit, extensions: &str) {
    certify_for(kit, extensions, ["20260101000000Z", "20350101000000Z"]);
}

fn certify_for(kit: &BrokenKit, extensions: &str, [start, end]: [&str; 2]) {
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
    let dates = ["-startdate", start, "-enddate", end];
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
fn sk0401_the_dates_of_a_certificate() {
    const DAY: i64 = 24 * 60 * 60;
    let kit = BrokenKit::of(&lab().path("kit"));
    certify(&kit, GOOD);
    assert_eq!(kit.findings(), [""; 0]);
    for (start, end, part) in [
        (-400 * DAY, -DAY, "it has ended"),
        (-DAY / 2, 400 * DAY, "it began less than a day ago"),
        (DAY, 400 * DAY, "it began less than a day ago"),
        (-400 * DAY, 10 * DAY + DAY / 2, "it ends in 10 days"),
    ] {
        certify_for(&kit, GOOD, [&from_now(start), &from_now(end)]);
        kit.is_found_by("SK0401", part);
    }
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
    // Without a default route k3s finds no address of its own either, which is another row.
    let findings = kit.findings();
    assert_eq!(
        findings.iter().map(|found| &found[..6]).collect::<Vec<_>>(),
        ["SK0108", "SK0406"],
        "{findings:#?}"
    );
    assert!(findings[1].contains("no gateway"), "{findings:#?}");
    // A route to the registry alone is a way, too.
    kit.seed(NODE, |disc| {
        let text = disc.read("network-config");
        let more = "    routes:\n      - to: \"192.168.6.0/24\"\n        via: \"192.168.6.1\"\n";
        disc.write(
            "network-config",
            text.replace("    nameservers:\n", &format!("{more}    nameservers:\n")),
        );
    });
    kit.is_found_by("SK0108", "no default route");
}

#[test]
fn sk0406_a_registry_on_the_node_itself() {
    let kit = with_registries(|text| text.replace("https://192.168.6.1:5000", "http://127.0.0.1:5000"));
    kit.is_found_by("SK0406", "`127.0.0.1` is the node itself");
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
