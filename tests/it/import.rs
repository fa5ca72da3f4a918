//! The airgap tarball, judged by those who import it: containerd, and skopeo in the place of Docker and podman.

use std::collections::BTreeSet;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::compress::{Compression, Compressor};
use seedkit::oci::Reference;

use crate::support::containerd::{Containerd, Listed};
use crate::support::images::{
    Content, Image, attested_index, docker_image, docker_list, empty_layer, foreign_layer_image, helm_chart,
    image, index, layer, plain_layer, zstd_layer,
};
use crate::support::mirror::Mirror;
use crate::support::oracle;

const AMD64: &str = "linux/amd64";

/// Writes the tarball of `mirror` for `platform` into `folder`.
fn pack(mirror: &Mirror, platform: &str, folder: &Path) -> PathBuf {
    let path = folder.join("airgap-images.tar");
    fs::write(&path, mirror.tarball(platform)).unwrap();
    path
}

/// Returns an image for amd64 whose content is its own.
fn amd64(content: &str) -> Image {
    image("linux", "amd64", &[layer("base"), layer(content)])
}

/// Returns the same image for amd64 and arm64.
fn both(content: &str) -> [Image; 2] {
    [amd64(content), image("linux", "arm64", &[layer("arm base"), layer(content)])]
}

/// Returns one image for each form that an image may have.
fn every_form() -> Vec<(&'static str, Image)> {
    let docker = |architecture| docker_image("linux", architecture, &[layer("docker"), empty_layer()]);
    let [first, second] = [layer("twice"), empty_layer()];
    let twice: [Content; 5] = [first.clone(), second.clone(), first, second.clone(), second];
    vec![
        ("quay.io/forms/index:1", index(&both("index"))),
        ("quay.io/forms/attested:1", attested_index(&both("attested"))),
        ("quay.io/forms/nested:1", index(&[index(&both("nested")), amd64("beside")])),
        ("quay.io/forms/docker:1", docker("amd64")),
        ("quay.io/forms/list:1", docker_list(&[docker("arm64"), docker("amd64")])),
        ("quay.io/forms/zstd:1", image("linux", "amd64", &[zstd_layer("zstd"), layer("gzip")])),
        ("quay.io/forms/plain:1", image("linux", "amd64", &[plain_layer("plain")])),
        ("quay.io/forms/twice:1", image("linux", "amd64", &twice)),
    ]
}

fn borrowed<'a>(images: &'a [(&'a str, Image)]) -> Vec<(&'a str, &'a Image)> {
    images.iter().map(|(name, image)| (*name, image)).collect()
}

fn ready(name: &str, image: &Image) -> Listed {
    Listed { name: name.to_owned(), digest: image.root().digest.to_string(), is_ready: true }
}

/// Imports a tarball into a new containerd and returns what is there then.
fn import(tarball: &Path, options: &[&str]) -> Vec<Listed> {
    let containerd = Containerd::start();
    let arguments = [&["images", "import"], options, &[tarball.to_str().unwrap()]].concat();
    containerd.ctr(&arguments);
    containerd.images()
}

#[test]
fn containerd_has_every_image_by_its_full_name_and_with_its_upstream_digest() {
    let (tagged, pinned, digest_only) = (amd64("tagged"), amd64("pinned"), amd64("digest only"));
    let digest = &digest_only.root().digest;
    let pinned_name = format!("quay.io/names/pinned:2@{}", pinned.root().digest);
    let digest_name = format!("quay.io/names/digest@{digest}");
    let images = [amd64("here"), amd64("there")];
    let mirror = Mirror::of(
        &[
            ("alpine:3.18", &tagged),
            ("index.docker.io/rancher/mirrored-pause:3.6", &tagged),
            (pinned_name.as_str(), &pinned),
            (digest_name.as_str(), &digest_only),
            ("registry.k8s.io/same/path:1", &images[0]),
            ("registry.example:5000/same/path:1", &images[1]),
        ],
        &[AMD64],
    );
    let folder = tempfile::tempdir().unwrap();
    let expected = [
        ready("docker.io/library/alpine:3.18", &tagged),
        ready("docker.io/rancher/mirrored-pause:3.6", &tagged),
        ready(&format!("quay.io/names/digest:sha256-{}", digest.short()), &digest_only),
        ready("quay.io/names/pinned:2", &pinned),
        ready("registry.example:5000/same/path:1", &images[1]),
        ready("registry.k8s.io/same/path:1", &images[0]),
    ];
    assert_eq!(import(&pack(&mirror, AMD64, folder.path()), &[]), expected);
    let names: Vec<_> = expected.into_iter().map(|image| image.name).collect();
    assert_eq!(mirror.plan(AMD64).unwrap().images.into_keys().collect::<Vec<_>>(), names);
}

#[test]
fn containerd_imports_and_unpacks_every_form_of_image_narrowed_to_its_platform() {
    let images = every_form();
    let mirror = Mirror::of(&borrowed(&images), &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    let tarball = pack(&mirror, AMD64, folder.path());
    let mut expected: Vec<_> = images.iter().map(|(name, image)| ready(name, image)).collect();
    expected.sort();
    // k3s imports with all platforms, and with them a child that is not there is an error.
    for options in [&[][..], &["--all-platforms"]] {
        assert_eq!(import(&tarball, options), expected, "{options:?}");
    }
}

#[test]
fn a_tarball_for_another_platform_is_imported_by_its_machines() {
    let image = attested_index(&both("arm"));
    let mirror = Mirror::of(&[("quay.io/arm:1", &image)], &["linux/arm64/v8"]);
    let folder = tempfile::tempdir().unwrap();
    let tarball = pack(&mirror, "linux/arm64", folder.path());
    let containerd = Containerd::start();
    let tarball = tarball.to_str().unwrap();
    containerd.ctr(&["images", "import", "--platform", "linux/arm64", "--no-unpack", tarball]);
    let checked = containerd.ctr(&["images", "ls"]);
    let expected = format!("{} ", image.root().digest);
    assert!(checked.contains(&expected) && checked.contains("linux/arm64"), "{checked}");
}

#[test]
fn a_tarball_has_the_layers_of_its_platform_alone() {
    let image = attested_index(&both("one of two"));
    let mirror = |platforms: &[&str]| Mirror::of(&[("quay.io/two:1", &image)], platforms);
    let shared = mirror(&[AMD64, "linux/arm64"]);
    for platform in [AMD64, "linux/arm64"] {
        assert!(shared.tarball(platform) == mirror(&[platform]).tarball(platform), "{platform}");
    }
}

#[test]
fn what_no_runtime_can_unpack_stays_out_and_hinders_nothing() {
    let (good, foreign, chart) = (amd64("good"), foreign_layer_image(), helm_chart());
    let signature = image("linux", "amd64", &[Content::new("application/vnd.in-toto+json", b"{}".to_vec())]);
    let mirror = Mirror::of(
        &[
            ("quay.io/a/chart:1", &chart),
            ("quay.io/a/foreign:1", &foreign),
            ("quay.io/a/signature:1", &signature),
            ("quay.io/z/good:1", &good),
        ],
        &[AMD64],
    );
    let plan = mirror.plan(AMD64).unwrap();
    assert_eq!(plan.foreign, ["quay.io/a/foreign:1".parse::<Reference>().unwrap()]);
    assert_eq!(plan.images.into_keys().collect::<Vec<_>>(), ["quay.io/z/good:1"]);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(import(&pack(&mirror, AMD64, folder.path()), &[]), [ready("quay.io/z/good:1", &good)]);
}

#[test]
fn decompressed_by_their_own_programs_the_compressed_forms_are_the_plain_tarball() {
    let images = every_form();
    let plain = Mirror::of(&borrowed(&images), &[AMD64]).tarball(AMD64);
    let folder = tempfile::tempdir().unwrap();
    for (compression, program) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let path = folder.path().join(format!("airgap-images.tar{}", compression.suffix()));
        let output = fs::File::create(&path).unwrap();
        let mut output = Compressor::new(compression, NonZero::new(2).unwrap(), output).unwrap();
        output.write_all(&plain).unwrap();
        output.finish().unwrap();
        let unpacked = oracle::run(program, ["-dc".as_ref(), path.as_os_str()]).stdout;
        assert!(unpacked == plain, "{program}");
    }
}

/// Returns the digest of the configuration, and of each layer uncompressed, of an image that skopeo has read.
fn configuration_and_layers(skopeo_source: &str) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let target = format!("dir:{}", folder.path().display());
    oracle::run("skopeo", ["--insecure-policy", "copy", "--quiet", skopeo_source, &target]);
    let manifest = fs::read(folder.path().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().len();
    (manifest["config"]["digest"].as_str().unwrap().to_owned(), layers)
}

#[test]
fn skopeo_copies_every_image_out_of_it_as_out_of_an_archive_of_docker_save() {
    let images = every_form();
    let mirror = Mirror::of(&borrowed(&images), &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    let tarball = pack(&mirror, AMD64, folder.path());
    let listed = oracle::text("skopeo", ["list-tags", &format!("docker-archive:{}", tarball.display())]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let listed: BTreeSet<&str> =
        listed["Tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    assert_eq!(listed, images.iter().map(|(name, _)| *name).collect());
    let platform = AMD64.parse().unwrap();
    for (reference, graph) in &mirror.images {
        let manifest = &graph.image_for(&platform).unwrap().manifest;
        let config = manifest.config.as_ref().unwrap().descriptor.digest.to_string();
        let source = format!("docker-archive:{}:{reference}", tarball.display());
        assert_eq!(configuration_and_layers(&source), (config, manifest.children.len()), "{reference}");
    }
}

#[test]
fn skopeo_finds_oci_images_in_it_by_name_with_their_digest() {
    let images = [("quay.io/a/one:1", amd64("one")), ("registry.example:5000/a/one:1", amd64("other"))];
    let mirror = Mirror::of(&borrowed(&images), &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    let tarball = pack(&mirror, AMD64, folder.path());
    for (name, image) in &images {
        let source = format!("oci-archive:{}:{name}", tarball.display());
        let raw = oracle::run("skopeo", ["inspect", "--raw", &source]).stdout;
        assert_eq!(seedkit::digest::Digest::sha256(&raw), image.root().digest, "{name}");
        configuration_and_layers(&source);
    }
}

#[test]
fn tar_programs_list_the_documents_first_then_the_blobs_sorted_all_of_roots_and_the_epoch() {
    let mirror = Mirror::of(&borrowed(&every_form()), &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    let tarball = pack(&mirror, AMD64, folder.path());
    let tarball = tarball.to_str().unwrap();
    let listing = oracle::text("tar", ["--list", "--file", tarball]);
    assert_eq!(oracle::text("bsdtar", ["--list", "--file", tarball]), listing);
    let members: Vec<&str> = listing.lines().collect();
    let (head, blobs) = members.split_at(5);
    assert_eq!(head, ["oci-layout", "index.json", "manifest.json", "blobs/", "blobs/sha256/"]);
    assert!(blobs.is_sorted() && blobs.iter().all(|blob| blob.starts_with("blobs/sha256/")), "{listing}");
    assert_eq!(blobs.iter().collect::<BTreeSet<_>>().len(), blobs.len(), "{listing}");
    let details =
        oracle::text("tar", ["--list", "--verbose", "--numeric-owner", "--full-time", "--file", tarball]);
    for line in details.lines() {
        let mode = if line.starts_with('d') { "drwxr-xr-x 0/0 " } else { "-rw-r--r-- 0/0 " };
        assert!(line.starts_with(mode) && line.contains(" 2025-11-21 00:00:00 "), "{line}");
    }
}

#[test]
fn the_same_images_in_any_order_are_the_same_bytes() {
    let mut images = every_form();
    let first = Mirror::of(&borrowed(&images), &[AMD64]).tarball(AMD64);
    images.reverse();
    assert!(Mirror::of(&borrowed(&images), &[AMD64]).tarball(AMD64) == first);
}

#[test]
fn two_images_of_one_name_are_refused_but_one_image_named_twice_is_not() {
    let (one, other) = (amd64("one"), amd64("other"));
    let pinned = |image: &Image| format!("quay.io/a/b:1@{}", image.root().digest);
    let (same, different) = (pinned(&one), pinned(&other));
    let mirror = Mirror::of(&[("quay.io/a/b:1", &one), (&same, &one)], &[AMD64]);
    assert_eq!(mirror.plan(AMD64).unwrap().images.into_keys().collect::<Vec<_>>(), ["quay.io/a/b:1"]);
    let error =
        Mirror::of(&[("quay.io/a/b:1", &one), (&different, &other)], &[AMD64]).plan(AMD64).unwrap_err();
    let expected = format!(
        "`quay.io/a/b:1` and `{different}` are two images, and both are `quay.io/a/b:1` for a container runtime"
    );
    assert_eq!(error.to_string(), expected);
}
