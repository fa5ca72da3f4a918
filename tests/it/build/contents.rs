//! What a kit holds, judged by the programs that will read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::lockfile::Lockfile;
use serde_json::Value;

use super::sha256;
use crate::support::images::foreign_layer_image;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, Sandbox, files};

const NODES: [&str; 3] = ["k3s-master1", "k3s-worker1", "k3s-worker2"];

/// Lists a kit as `mode size path`; what signatures, tokens and templates make longer or shorter has no size, and a
/// content hash in a name is `HASH`.
fn listing(kit: &Path) -> String {
    let varies = ["registry/", "seeds/", "kit.json", "ops-packages-", "report.html"];
    let is_random = |path: &str| varies.iter().any(|prefix| path.starts_with(prefix));
    let mut text = String::new();
    for entry in walkdir::WalkDir::new(kit).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(kit).unwrap().to_str().unwrap().to_owned();
        let metadata = entry.metadata().unwrap();
        let size =
            if metadata.is_dir() || is_random(&path) { "-".to_owned() } else { metadata.len().to_string() };
        let hashed = ["airgap-images-linux-amd64-", "ops-packages-bookworm-amd64-"];
        let path = match hashed.iter().find_map(|prefix| Some((prefix, path.strip_prefix(prefix)?))) {
            Some((prefix, rest)) => format!("{prefix}HASH{}", &rest[12..]),
            None => path,
        };
        let end = if metadata.is_dir() { "/" } else { "" };
        writeln!(text, "{:04o} {size:>6} {path}{end}", metadata.permissions().mode() & 0o7777).unwrap();
    }
    text
}

#[test]
fn the_kit_of_the_lab_is_the_golden_one() {
    let sandbox = Sandbox::built_lab();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/lab-kit.txt");
    let found = listing(&sandbox.path("kit"));
    let is_golden = found == fs::read_to_string(&golden).unwrap();
    assert!(is_golden, "{} should be:\n{found}", golden.display());
    let mut judge = oracle::command("sha256sum");
    oracle::finish(
        judge.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(sandbox.path("kit")),
    );
    let sums = sandbox.read("kit/SHA256SUMS");
    let listed: BTreeSet<PathBuf> = sums.lines().map(|line| line[66..].into()).collect();
    let there: BTreeSet<PathBuf> =
        files(&sandbox.path("kit")).into_iter().filter(|path| path != Path::new("SHA256SUMS")).collect();
    assert_eq!(listed, there);
}

#[test]
fn the_bill_names_every_artifact_and_what_it_was_made_from() {
    let sandbox = Sandbox::built_lab();
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    assert_eq!(
        (&bill["version"], &bill["name"], &bill["epoch"]),
        (&1.into(), &"lab".into(), &1_763_683_200.into())
    );
    let artifacts = bill["artifacts"].as_object().unwrap();
    let kit = sandbox.path("kit");
    let is_listed = |path: &&PathBuf| {
        !path.starts_with("images/blobs")
            && *path != Path::new("SHA256SUMS")
            && *path != Path::new("kit.json")
            && *path != Path::new("report.html")
    };
    let paths: Vec<PathBuf> = files(&kit).iter().filter(is_listed).cloned().collect();
    let names: Vec<PathBuf> = artifacts.keys().map(PathBuf::from).collect();
    assert_eq!(BTreeSet::from_iter(names), BTreeSet::from_iter(paths.clone()));
    for path in paths {
        let artifact = &artifacts[path.to_str().unwrap()];
        assert_eq!(artifact["size"], fs::metadata(kit.join(&path)).unwrap().len(), "{}", path.display());
        assert_eq!(artifact["digest"], sha256(&kit.join(&path)), "{}", path.display());
        let made_from = artifact["madeFrom"].as_array().map_or(0, Vec::len);
        assert!(made_from > 0, "{} says nothing of what it was made from", path.display());
    }
    let seed = &artifacts["seeds/seed-k3s-master1.iso"]["madeFrom"];
    let parts: Vec<&str> = seed.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    let tarball = tarball(&sandbox);
    assert!(parts.iter().any(|part| part.ends_with(&tarball)) && parts.contains(&"/etc/motd"), "{parts:?}");
}

#[test]
fn each_seed_is_a_disc_that_xorriso_reads_and_its_own_sums_accept() {
    let sandbox = Sandbox::built_lab();
    let tarball = tarball(&sandbox);
    for node in NODES {
        let seed = extracted(&sandbox, node);
        assert_eq!(names_of(&seed), ["meta-data", "network-config", "payload", "user-data"], "{node}");
        let payload = seed.join("payload");
        let mut sums = oracle::command("sha256sum");
        oracle::finish(sums.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&payload));
        let same = |inside: &str, outside: &str| {
            let inside = payload.join("root").join(inside);
            assert_eq!(
                fs::read(&inside).unwrap(),
                fs::read(sandbox.path(outside)).unwrap(),
                "{}",
                inside.display()
            );
        };
        same(&format!("var/lib/rancher/k3s/agent/images/{tarball}"), &format!("kit/{tarball}"));
        same("usr/local/bin/k3s", "lab/k3s-stand-in.sh");
        let images = fs::read_to_string(payload.join("root/var/lib/seedkit/images.txt")).unwrap();
        assert_eq!(
            images.lines().filter_map(|line| line.split(' ').next()).collect::<Vec<_>>(),
            images_in(&sandbox, &tarball),
            "{node}"
        );
        same("etc/motd", "lab/motd");
        same("etc/rancher/k3s/registries.yaml", "kit/registry/registries.yaml");
        same("etc/rancher/k3s/registry-ca.crt", "kit/registry/ca.crt");
        let user_data = fs::read_to_string(seed.join("user-data")).unwrap();
        assert!(user_data.contains(&format!("hostname: \"{node}\"")), "{user_data}");
    }
}

#[test]
fn a_node_waits_for_the_images_of_the_releases_own_tarball_too() {
    let sandbox = Sandbox::lab();
    let name = "docker.io/lab/of-the-release:1.0";
    let archive = format!("docker-archive:{}:{name}", sandbox.path("lab/release.tar").display());
    let image = format!("oci:{}:docker.io/lab/hello:1.0", sandbox.path("lab/images").display());
    oracle::run("skopeo", ["copy", "--quiet", "--insecure-policy", &image, &archive]);
    // One that seedkit cannot look into is placed all the same.
    sandbox.write("lab/release.tar.lz4", b"\x04\x22\x4d\x18 and so on");
    for (file, is_known) in [("release.tar", true), ("release.tar.lz4", false)] {
        let sandbox_spec = Sandbox::lab();
        fs::copy(sandbox.path("lab").join(file), sandbox_spec.path("lab").join(file)).unwrap();
        let airgap = format!("  airgap:\n    linux/amd64: {{path: {file}}}\n  config:\n");
        sandbox_spec.edit("lab/seedkit.yaml", "  config:\n", &airgap);
        sandbox_spec.seedkit(&["lock", "-f", "lab/seedkit.yaml"]).succeeds();
        let run = sandbox_spec.seedkit(&BUILD).succeeds();
        assert_eq!(run.stderr.contains("no node waits for the images of `release.tar.lz4`"), !is_known);
        let payload = extracted(&sandbox_spec, NODES[0]).join("payload/root");
        assert!(payload.join("var/lib/rancher/k3s/agent/images").join(file).exists());
        let images = fs::read_to_string(payload.join("var/lib/seedkit/images.txt")).unwrap();
        assert_eq!(images.lines().any(|line| line == name), is_known, "{images}");
        assert!(images.lines().is_sorted());
    }
}

#[test]
fn an_image_with_a_layer_that_no_registry_has_is_known_to_the_kit_and_its_check() {
    let sandbox = Sandbox::lab();
    let name = "left.example/win/base:1";
    foreign_layer_image().write_layout(&sandbox.path("lab/foreign"));
    sandbox.edit("lab/foreign/index.json", "latest", name);
    sandbox.edit(
        "lab/seedkit.yaml",
        "sources:\n  docker.io",
        "sources:\n  left.example: { from: \"oci:foreign\" }\n  docker.io",
    );
    sandbox.edit("lab/images.txt", "quay.io/lab/hello:1.0\n", &format!("quay.io/lab/hello:1.0\n{name}\n"));
    sandbox.seedkit(&["lock", "-f", "lab/seedkit.yaml"]).succeeds();
    sandbox.seedkit(&BUILD).succeeds();
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    let images = bill["images"].as_array().unwrap().iter();
    let incomplete: Vec<&Value> =
        images.filter(|image| image["isIncomplete"] == true).map(|image| &image["reference"]).collect();
    assert_eq!(incomplete, [name]);
    let run = sandbox.seedkit(&["check", "kit"]);
    assert!(run.stdout.contains("SK0314") && run.stdout.contains(name), "{}", run.stdout);
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

#[test]
fn xorriso_lists_on_each_seed_what_extraction_gives() {
    let sandbox = Sandbox::built_lab();
    for node in NODES {
        let image = image_of(&sandbox, node);
        let found = oracle::text("xorriso", ["-indev", image.to_str().unwrap(), "-find", "/", "-type", "f"]);
        let listed: BTreeSet<PathBuf> =
            found.lines().map(|line| line.trim_matches('\'').trim_start_matches('/').into()).collect();
        let extracted = files(&extracted(&sandbox, node)).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(listed, extracted, "{node}");
    }
}

#[test]
fn skopeo_reads_every_locked_image_with_its_locked_digest() {
    let sandbox = Sandbox::built_lab();
    let lock: Lockfile = sandbox.read("lab/seedkit.lock").parse().unwrap();
    assert_eq!(lock.images.len(), 10);
    let layout = sandbox.path("kit/images");
    let manifest = sandbox.path("manifest.json");
    for image in &lock.images {
        let name = format!("oci:{}:{}", layout.display(), image.reference);
        fs::write(&manifest, oracle::run("skopeo", ["inspect", "--raw", &name]).stdout).unwrap();
        assert_eq!(sha256(&manifest), image.digest.to_string(), "{name}");
        // With layers and configuration: a copy reads and verifies all of them.
        let copy = format!("dir:{}", sandbox.path("copy").display());
        oracle::run("skopeo", ["copy", "--quiet", "--insecure-policy", &name, &copy]);
        fs::remove_dir_all(sandbox.path("copy")).unwrap();
    }
}

#[test]
fn openssl_accepts_the_certificate_for_the_registrys_address_and_no_other() {
    let sandbox = Sandbox::built_lab();
    let registry = sandbox.path("kit/registry");
    let certificate = registry.join("registry.crt");
    let certificate = certificate.to_str().unwrap();
    let authority = registry.join("ca.crt");
    let verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authority.to_str().unwrap()];
    let verified = |check: &[&str]| {
        let mut command = oracle::command("openssl");
        command.args(verify).args(check).arg(certificate).output().unwrap().status.success()
    };
    for (check, name, is_covered) in [
        ("-verify_ip", "192.168.6.1", true),
        ("-verify_ip", "127.0.0.1", true),
        ("-verify_ip", "192.168.6.2", false),
        ("-verify_hostname", "registry.lab.example", true),
        ("-verify_hostname", "localhost", true),
        ("-verify_hostname", "other.lab.example", false),
    ] {
        assert_eq!(verified(&[check, name]), is_covered, "{name}");
    }
    let answer = oracle::text("openssl", ["x509", "-in", certificate, "-noout", "-checkip", "192.168.6.1"]);
    assert_eq!(answer.trim(), "IP 192.168.6.1 does match certificate");
    let key = registry.join("registry.key");
    let of_key = oracle::text("openssl", ["pkey", "-in", key.to_str().unwrap(), "-pubout"]);
    let of_certificate = oracle::text("openssl", ["x509", "-in", certificate, "-noout", "-pubkey"]);
    assert_eq!(of_key, of_certificate);
}

#[test]
fn only_servers_hold_the_server_token() {
    let sandbox = Sandbox::built_lab();
    let token = |name: &str| sandbox.read(&format!("lab/secrets/{name}")).trim_end().to_owned();
    let (server, agent) = (token("server-token"), token("agent-token"));
    let holders: BTreeMap<&str, (bool, bool)> = NODES
        .into_iter()
        .map(|node| {
            let image = fs::read(image_of(&sandbox, node)).unwrap();
            (node, (contains(&image, &server), contains(&image, &agent)))
        })
        .collect();
    assert_eq!(holders["k3s-master1"], (true, true));
    assert_eq!(holders["k3s-worker1"], (false, true));
    assert_eq!(holders["k3s-worker2"], (false, true));
}

#[test]
fn a_certificate_for_another_address_stops_the_build_until_there_is_a_new_authority() {
    let sandbox = Sandbox::built_lab();
    let kit = sandbox.read("kit/SHA256SUMS");
    sandbox.edit("lab/seedkit.yaml", "address: 192.168.6.1:5000", "address: 192.168.6.9:5000");
    let run = sandbox.seedkit(&BUILD);
    assert_eq!(
        run.fails(2),
        "error: cannot use the registry's certificates\n  \
         because: the registry's certificate does not cover `192.168.6.9`; it covers 192.168.6.1, \
         registry.lab.example, 127.0.0.1, ::1, localhost\n  \
         hint: run `seedkit ca renew`: a new certificate for the registry under the same authority"
    );
    assert_eq!(sandbox.read("kit/SHA256SUMS"), kit);
    // The authority vouches for the old address alone.
    let renewed = sandbox.seedkit(&["ca", "renew", "-f", "lab/seedkit.yaml"]);
    assert!(renewed.fails(2).contains("not for `192.168.6.9`"), "{}", renewed.stderr);
    for name in ["ca.crt", "registry.crt"] {
        fs::remove_file(sandbox.path("lab/secrets").join(name)).unwrap();
    }
    sandbox.seedkit(&BUILD).succeeds();
    let certificate = sandbox.path("kit/registry/registry.crt");
    let arguments = ["x509", "-noout", "-checkip", "192.168.6.9", "-in", certificate.to_str().unwrap()];
    assert!(oracle::text("openssl", arguments).contains("does match"));
}

/// Returns the name of the lab's only tarball.
fn tarball(sandbox: &Sandbox) -> String {
    sandbox.names("kit").into_iter().find(|name| name.starts_with("airgap-images-")).unwrap()
}

/// Returns the names of the images in a tarball of the kit, sorted.
fn images_in(sandbox: &Sandbox, tarball: &str) -> Vec<String> {
    let archive = sandbox.path("kit").join(tarball);
    let manifest = oracle::text("tar", ["-xOf", archive.to_str().unwrap(), "manifest.json"]);
    let manifest: Vec<Value> = serde_json::from_str(&manifest).unwrap();
    let tags = manifest.iter().flat_map(|image| image["RepoTags"].as_array().unwrap());
    let names: BTreeSet<String> = tags.map(|tag| tag.as_str().unwrap().to_owned()).collect();
    names.into_iter().collect()
}

fn image_of(sandbox: &Sandbox, node: &str) -> PathBuf {
    sandbox.path(format!("kit/seeds/seed-{node}.iso"))
}

/// Extracts a seed by xorriso, and returns the folder with its content.
fn extracted(sandbox: &Sandbox, node: &str) -> PathBuf {
    let (image, target) = (image_of(sandbox, node), sandbox.path("extracted").join(node));
    let arguments = ["-osirrox", "on:auto_chmod_on", "-indev", image.to_str().unwrap(), "-extract", "/"];
    oracle::run("xorriso", arguments.into_iter().chain([target.to_str().unwrap()]));
    target
}

fn names_of(folder: &Path) -> Vec<String> {
    crate::support::sandbox::names(folder)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
