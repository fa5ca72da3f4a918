//! Clients that nodes and people have: containerd, skopeo, docker-registry.

use fs_err as fs;
use serde_json::Value;

use super::{Serving, billed};
use crate::support::containerd::{Containerd, Listed};
use crate::support::images::{image, index, layer};
use crate::support::oracle;
use crate::support::sandbox::Sandbox;

/// Writes the configuration that sends containerd to `serving` for the images of `registries`, as k3s writes it.
fn write_hosts(serving: &Serving, registries: &[&str]) -> std::path::PathBuf {
    let folder = serving.sandbox.path("hosts");
    for registry in registries {
        let text = format!(
            "server = \"https://{registry}.invalid\"\n\n[host.\"https://{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  \
             ca = {:?}\n",
            serving.address(),
            serving.ca_file()
        );
        fs::create_dir_all(folder.join(registry)).unwrap();
        fs::write(folder.join(registry).join("hosts.toml"), text).unwrap();
    }
    folder
}

#[test]
fn containerd_pulls_every_image_of_a_kit_by_its_own_name() {
    let serving = Serving::lab();
    let images = billed(&serving.sandbox);
    assert_eq!(images.len(), 10);
    let hosts = write_hosts(&serving, &["docker.io", "quay.io"]);
    let containerd = Containerd::start();
    for (name, _) in &images {
        containerd.ctr(&["images", "pull", "--hosts-dir", hosts.to_str().unwrap(), name]);
    }
    let ready = |(name, digest): &(String, String)| Listed {
        name: name.clone(),
        digest: digest.clone(),
        is_ready: true,
    };
    // Two of them have one path and tag, and come from two registries.
    assert_eq!(containerd.images(), images.iter().map(ready).collect::<Vec<_>>());
    serving.wait_for_line("/v2/lab/hello/manifests/1.0?ns=docker.io 200");
    serving.wait_for_line("/v2/lab/hello/manifests/1.0?ns=quay.io 200");
}

#[test]
fn skopeo_copies_every_image_of_a_kit_with_its_digest() {
    let serving = Serving::lab();
    let certificates = serving.certificates();
    let certificates = certificates.to_str().unwrap();
    for (number, (name, digest)) in billed(&serving.sandbox).into_iter().enumerate() {
        // The short name where one registry has it, the full one where two have.
        let short = name.split_once('/').unwrap().1;
        let is_ambiguous = name.contains("lab/hello");
        let asked = if is_ambiguous { &name } else { short };
        let source = format!("docker://{}/{asked}", serving.address());
        let raw = oracle::run("skopeo", ["inspect", "--cert-dir", certificates, "--raw", &source]).stdout;
        assert_eq!(seedkit::digest::Digest::sha256(&raw).to_string(), digest, "{name}");
        let copy = serving.sandbox.path(format!("copy{number}"));
        let target = format!("dir:{}", copy.display());
        let arguments =
            ["--insecure-policy", "copy", "--quiet", "--preserve-digests", "--src-cert-dir", certificates];
        oracle::run("skopeo", [&arguments[..], &["--override-arch", "amd64", &source, &target]].concat());
        let children: Value = serde_json::from_slice(&raw).unwrap();
        let manifest = seedkit::digest::Digest::sha256(&fs::read(copy.join("manifest.json")).unwrap());
        assert_eq!(children["manifests"][0]["digest"], manifest.to_string(), "{name}");
    }
}

#[test]
fn skopeo_copies_all_platforms_at_once_where_the_kit_has_them() {
    let image = index(&[
        image("linux", "amd64", &[layer("base"), layer("amd64")]),
        image("linux", "arm64", &[layer("base"), layer("arm64")]),
    ]);
    let serving = Serving::of(&[("docker.io/library/both:1", &image)], &[]);
    let certificates = serving.certificates();
    let source = format!("docker://{}/library/both:1", serving.address());
    let target = format!("oci:{}:both", serving.sandbox.path("copy").display());
    let options = ["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--src-cert-dir"];
    oracle::run("skopeo", [&options[..], &[certificates.to_str().unwrap(), &source, &target]].concat());
    let copied: Value = serde_json::from_str(&serving.sandbox.read("copy/index.json")).unwrap();
    assert_eq!(copied["manifests"][0]["digest"], image.root().digest.to_string());
}

#[test]
fn docker_registry_can_stand_before_it_as_a_cache() {
    let serving = Serving::lab();
    let sandbox = Sandbox::new();
    let cache = crate::support::registry::Registry::start_before(&serving.url(""), &serving.ca_file());
    let digest =
        billed(&serving.sandbox).into_iter().find(|(name, _)| name.ends_with("pause:3.6")).unwrap().1;
    let source = format!("docker://{}/rancher/mirrored-pause:3.6", cache.authority());
    let raw = oracle::run("skopeo", ["inspect", "--tls-verify=false", "--raw", &source]).stdout;
    assert_eq!(seedkit::digest::Digest::sha256(&raw).to_string(), digest);
    let target = format!("dir:{}", sandbox.path("copy").display());
    let options =
        ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--override-arch", "amd64"];
    oracle::run("skopeo", [&options[..], &[&source, &target]].concat());
    serving.wait_for_line("/blobs/sha256:");
}

#[test]
fn a_client_that_does_not_trust_the_certificate_is_named_in_the_log() {
    let serving = Serving::lab();
    let mut command = oracle::command("curl");
    let output = command.args(["--silent", &serving.url("/v2/")]).output().unwrap();
    assert_eq!(output.status.code(), Some(60));
    serving.wait_for_line("does not trust the certificate: give it the kit's registry/ca.crt");
    let mut command = oracle::command("curl");
    command.args(["--silent", &format!("http://{}/v2/", serving.address())]).output().unwrap();
    serving.wait_for_line("speaks no TLS: use https://");
}
