//! Images that skopeo, umoci and Docker write, a store of hauler's shape, and a release's airgap tarball.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use super::{findings, is_found_by, passed};
use crate::support::images::{Image, helm_chart, image, index, layer};
use crate::support::oracle;
use crate::support::sandbox::Sandbox;

const NAME: &str = "docker.io/library/thing:1.5";

fn run(sandbox: &Sandbox, program: &str, arguments: &[&str]) {
    oracle::finish(oracle::command(program).args(arguments).current_dir(sandbox.path("")));
}

/// Writes a layout of one image, of which programs make others.
fn source() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("source")).unwrap();
    image("linux", "amd64", &[layer("one"), layer("two")]).write_layout(&sandbox.path("source"));
    sandbox
}

fn copy(sandbox: &Sandbox, target: &str) {
    run(sandbox, "skopeo", &["--insecure-policy", "copy", "--quiet", "oci:source:latest", target]);
}

/// Packs a folder as an archive.
fn pack(sandbox: &Sandbox, folder: &str, archive: &str) {
    run(sandbox, "tar", &["-C", folder, "-cf", archive, "oci-layout", "index.json", "blobs"]);
}

/// Returns the path of the largest blob of a layout, which is a layer.
fn a_layer(layout: &Path) -> std::path::PathBuf {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let is_layer = |path: &std::path::PathBuf| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]);
    blobs.filter(is_layer).min().unwrap()
}

#[test]
fn what_skopeo_writes_has_no_finding() {
    let sandbox = source();
    for (target, path) in [
        (format!("oci:layout:{NAME}"), "layout"),
        ("oci:tagged:1.5".to_owned(), "tagged"),
        (format!("oci-archive:oci.tar:{NAME}"), "oci.tar"),
        (format!("docker-archive:docker.tar:{NAME}"), "docker.tar"),
    ] {
        copy(&sandbox, &target);
        assert_eq!(findings(&sandbox, path), [""; 0], "{path}");
        assert_eq!(passed(&sandbox, path), ["SK0002", "SK0003", "SK0303", "SK0310"], "{path}");
    }
    let json = sandbox.seedkit(&["check", "--json", "layout"]).succeeds().json();
    assert_eq!((&json["subject"], &json["notKnowable"]), (&json!("images"), &json!([])));
    let text = sandbox.seedkit(&["check", "layout"]).succeeds().stdout;
    assert!(text.ends_with("layout: yes: all parts that were checked fit each other\n"), "{text}");
    assert!(!text.contains("no file can tell"), "{text}");
    // In an archive a tag would be taken for the name.
    copy(&sandbox, "oci-archive:tagged.tar:1.5");
    is_found_by(&sandbox, "tagged.tar", "SK0310", "`1.5` is not a full name with a tag");
}

#[test]
fn what_umoci_writes_is_listed_and_has_no_finding() {
    let sandbox = Sandbox::new();
    sandbox.write("hello", "hello\n");
    run(&sandbox, "umoci", &["init", "--layout", "layout"]);
    run(&sandbox, "umoci", &["new", "--image", "layout:1.0"]);
    run(&sandbox, "umoci", &["insert", "--rootless", "--image", "layout:1.0", "hello", "/hello"]);
    run(&sandbox, "umoci", &["tag", "--image", "layout:1.0", "stable"]);
    let seen = sandbox.seedkit(&["inspect", "--json", "layout"]).succeeds().json();
    assert_eq!(seen["findings"], json!([]));
    let names: Vec<&Value> = seen["images"].as_array().unwrap().iter().map(|image| &image["names"]).collect();
    assert_eq!(names, [&json!(["1.0", "stable"])]);
    // umoci says the same of what it wrote.
    let mut list = oracle::command("umoci");
    let list = oracle::finish(list.args(["ls", "--layout", "layout"]).current_dir(sandbox.path("")));
    assert_eq!(
        String::from_utf8(list.stdout).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["1.0", "stable"]
    );
    let mut stat = oracle::command("umoci");
    let stat =
        oracle::finish(stat.args(["stat", "--json", "--image", "layout:1.0"]).current_dir(sandbox.path("")));
    let stat: Value = serde_json::from_slice(&stat.stdout).unwrap();
    let layers =
        stat["history"].as_array().unwrap().iter().filter(|entry| entry["layer"] != Value::Null).count();
    assert_eq!(seen["images"][0]["platforms"][0]["layers"], layers);
    assert_eq!(findings(&sandbox, "layout"), [""; 0]);
    // The manifest before the insertion is still there; no image needs it.
    assert_ne!(seen["unreferenced"], 0);

    let path = a_layer(&sandbox.path("layout"));
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    is_found_by(&sandbox, "layout", "SK0303", "has other content");
}

/// Writes a store as hauler does: one index of images, charts and files, named without their registry in `ref.name`,
/// with `io.containerd.image.name` in full and the kind as an annotation.
fn write_store(sandbox: &Sandbox) {
    let both = index(&[image("linux", "amd64", &[layer("a")]), image("linux", "arm64", &[layer("b")])]);
    let chart = helm_chart();
    let entries: [(&Image, &str, &str); 2] = [
        (&both, "library/busybox:1.36", "dev.cosignproject.cosign/imageIndex"),
        (&chart, "hauler/chart:1.0.0", "dev.cosignproject.cosign/image"),
    ];
    let mut manifests = Vec::new();
    for (image, name, kind) in entries {
        image.write_layout(&sandbox.path("store"));
        let index: Value = serde_json::from_str(&sandbox.read("store/index.json")).unwrap();
        let mut root = index["manifests"][0].clone();
        root["annotations"] = json!({
            "kind": kind,
            "org.opencontainers.image.ref.name": name,
            "io.containerd.image.name": format!("docker.io/{name}"),
        });
        manifests.push(root);
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
    sandbox.write("store/index.json", index.to_string());
}

#[test]
fn a_store_of_haulers_shape_is_listed_and_has_no_finding() {
    let sandbox = Sandbox::new();
    write_store(&sandbox);
    let seen = sandbox.seedkit(&["inspect", "--json", "store"]).succeeds().json();
    let names: Vec<&Value> = seen["images"].as_array().unwrap().iter().map(|image| &image["names"]).collect();
    let platforms = |index: usize| seen["images"][index]["platforms"].as_array().unwrap().len();
    assert_eq!(names, [&json!(["docker.io/hauler/chart:1.0.0"]), &json!(["docker.io/library/busybox:1.36"])]);
    assert_eq!((platforms(0), platforms(1)), (1, 2));
    assert_eq!(findings(&sandbox, "store"), [""; 0]);
    // `hauler store save` packs the store, compressed by zstd.
    pack(&sandbox, "store", "haul.tar");
    run(&sandbox, "zstd", &["-q", "haul.tar"]);
    assert_eq!(findings(&sandbox, "haul.tar.zst"), [""; 0]);
    fs::remove_file(a_layer(&sandbox.path("store"))).unwrap();
    is_found_by(&sandbox, "store", "SK0310", "is missing");
}

/// Written by `docker save`, as the tarballs of k3s' releases are, with short names for those of docker.io.
#[test]
fn a_releases_airgap_tarball_has_no_finding() {
    let sandbox = Sandbox::new();
    let saved = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saved/docker-20.10.tar.zst");
    fs::copy(saved, sandbox.path("k3s-airgap-images-amd64.tar.zst")).unwrap();
    assert_eq!(findings(&sandbox, "k3s-airgap-images-amd64.tar.zst"), [""; 0]);
    run(&sandbox, "zstd", &["-q", "-d", "k3s-airgap-images-amd64.tar.zst"]);
    let whole = fs::read(sandbox.path("k3s-airgap-images-amd64.tar")).unwrap();
    assert_eq!(findings(&sandbox, "k3s-airgap-images-amd64.tar"), [""; 0]);
    run(&sandbox, "gzip", &["-k", "k3s-airgap-images-amd64.tar"]);
    assert_eq!(findings(&sandbox, "k3s-airgap-images-amd64.tar.gz"), [""; 0]);
    for (path, length) in [("plain.tar", whole.len() / 2), ("last.tar", whole.len() - 20_000)] {
        sandbox.write(path, &whole[..length]);
        let found = findings(&sandbox, path);
        assert!(found.iter().any(|one| one.starts_with("SK0002")), "{found:#?}");
    }
}

#[test]
fn broken_images_are_found_by_the_row_that_fits() {
    let sandbox = source();
    copy(&sandbox, &format!("oci:layout:{NAME}"));
    let path = a_layer(&sandbox.path("layout"));
    let whole = fs::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[20] ^= 1;
    fs::write(&path, &changed).unwrap();
    is_found_by(&sandbox, "layout", "SK0303", "has other content");
    pack(&sandbox, "layout", "wrong.tar");
    is_found_by(&sandbox, "wrong.tar", "SK0303", "has other content");
    fs::remove_file(&path).unwrap();
    is_found_by(&sandbox, "layout", "SK0310", "is missing");
    pack(&sandbox, "layout", "missing.tar");
    is_found_by(&sandbox, "missing.tar", "SK0310", "is missing");
    fs::write(&path, whole).unwrap();
    pack(&sandbox, "layout", "whole.tar");
    assert_eq!(findings(&sandbox, "whole.tar"), [""; 0]);
    let bytes = fs::read(sandbox.path("whole.tar")).unwrap();
    sandbox.write("cut.tar", &bytes[..bytes.len() * 2 / 3]);
    let found = findings(&sandbox, "cut.tar");
    assert!(found.iter().any(|one| one.starts_with("SK0002")), "{found:#?}");
}
