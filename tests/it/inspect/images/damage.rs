//! Layouts and archives that are not what they say: findings, by name.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use super::{both, skopeo};
use crate::support::images::{Content, Image, image, index, layer};
use crate::support::sandbox::{Run, Sandbox};

/// A layout of one index, whose files a test may change.
struct Layout {
    sandbox: Sandbox,
    image: Image,
}

impl Layout {
    fn new() -> Self {
        let (sandbox, image) = (Sandbox::new(), index(&both()));
        fs::create_dir(sandbox.path("layout")).unwrap();
        image.write_layout(&sandbox.path("layout"));
        Self { sandbox, image }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.sandbox.path("layout").join(path)
    }

    fn inspect(&self) -> Run {
        self.sandbox.seedkit(&["inspect", "--json", "layout"])
    }
}

fn blob_path(content: &Content) -> String {
    format!("blobs/sha256/{}", content.descriptor.digest.hex())
}

/// Returns findings as `problem path`.
fn findings(run: &Run) -> Vec<String> {
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let result = run.json();
    let findings = result["findings"].as_array().unwrap().iter();
    findings.map(|finding| format!("{} {}", text(&finding["problem"]), text(&finding["path"]))).collect()
}

#[test]
fn a_changed_blob_is_named_with_its_digests() {
    let layout = Layout::new();
    let path = blob_path(&layout.image.blobs[0]);
    let mut bytes = fs::read(layout.place(&path)).unwrap();
    bytes[20] ^= 1;
    fs::write(layout.place(&path), bytes).unwrap();
    assert_eq!(findings(&layout.inspect()), [format!("bad {path}")]);
    // Nothing may be hidden behind an honest digest: the length is stated too.
    fs::write(layout.place(&path), "short").unwrap();
    assert_eq!(findings(&layout.inspect()), [format!("bad {path}"), format!("wrong {path}")]);
}

#[test]
fn what_a_platform_lacks_is_missing_and_a_platform_that_is_not_there_is_not() {
    let layout = Layout::new();
    let arm_layer = blob_path(&both()[1].blobs[0]);
    fs::remove_file(layout.place(&arm_layer)).unwrap();
    assert_eq!(findings(&layout.inspect()), [format!("missing {arm_layer}")]);
    let layout = Layout::new();
    let [_, arm] = both();
    for content in &arm.blobs {
        fs::remove_file(layout.place(&blob_path(content))).unwrap();
    }
    let run = layout.inspect().succeeds();
    assert_eq!(run.json()["images"][0]["platforms"].as_array().unwrap().len(), 1);
    for content in &both()[0].blobs {
        fs::remove_file(layout.place(&blob_path(content))).unwrap();
    }
    let root = format!("blobs/sha256/{}", layout.image.root().digest.hex());
    assert_eq!(findings(&layout.inspect()), [format!("wrong {root}")]);
    fs::remove_file(layout.place(&root)).unwrap();
    assert_eq!(findings(&layout.inspect()), [format!("missing {root}")]);
}

#[test]
fn links_and_names_that_are_no_digests_are_named_and_spare_blobs_counted() {
    let layout = Layout::new();
    fs_err::os::unix::fs::symlink("/etc/passwd", layout.place("blobs/sha256/link")).unwrap();
    fs::write(layout.place("blobs/sha256/readme"), "x").unwrap();
    let spare = layer("spare");
    fs::write(layout.place(&blob_path(&spare)), &spare.bytes).unwrap();
    let run = layout.inspect();
    assert_eq!(findings(&run), ["wrong blobs/sha256/link", "wrong blobs/sha256/readme"]);
    assert_eq!(run.json()["unreferenced"], 2);
    assert!(!run.stdout.contains("root:"), "{}", run.stdout);
}

#[test]
fn documents_that_are_none_are_named() {
    let layout = Layout::new();
    let manifest = blob_path(&layout.image.manifests[0]);
    let text = "<html>login</html>";
    fs::write(layout.place(&manifest), text).unwrap();
    let found = findings(&layout.inspect());
    assert!(found.contains(&format!("wrong {manifest}")), "{found:?}");
    let layout = Layout::new();
    for index in ["", "[]", "{\"manifests\": 1}", "\u{0}"] {
        fs::write(layout.place("index.json"), index).unwrap();
        assert_eq!(findings(&layout.inspect()), ["wrong index.json"], "{index:?}");
    }
    fs::write(layout.place("index.json"), "{\"manifests\": null}").unwrap();
    assert_eq!(layout.inspect().succeeds().json()["count"], 0);
    fs::remove_file(layout.place("index.json")).unwrap();
    let run = layout.inspect();
    assert!(run.fails(2).contains("`layout` is a layout without index.json"), "{}", run.stderr);
}

#[test]
fn an_index_that_is_nested_without_end_is_followed_so_far_and_no_further() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("layout")).unwrap();
    let mut nested = both()[0].clone();
    for _ in 0..12 {
        nested = index(&[nested]);
    }
    nested.write_layout(&sandbox.path("layout"));
    let run = sandbox.seedkit(&["inspect", "--json", "layout"]);
    assert_eq!(findings(&run).len(), 1);
    assert!(run.stdout.contains("it is nested more than 8 times"), "{}", run.stdout);
}

/// Returns the members of an archive that skopeo wrote, whose links are left out.
fn saved() -> (Sandbox, Vec<(String, Vec<u8>)>) {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("source")).unwrap();
    image("linux", "amd64", &[layer("one"), layer("two")]).write_layout(&sandbox.path("source"));
    skopeo(&sandbox, &["copy", "--quiet", "oci:source:latest", "docker-archive:saved.tar:docker.io/x/y:1"]);
    let mut archive = tar::Archive::new(fs::File::open(sandbox.path("saved.tar")).unwrap());
    let mut members = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        if entry.header().entry_type().is_file() {
            members.push((path, bytes));
        }
    }
    (sandbox, members)
}

fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn changed_and_missing_parts_of_docker_archives_are_named() {
    let (sandbox, members) = saved();
    let inspect = |members: &[(String, Vec<u8>)]| {
        sandbox.write("changed.tar", tar(members));
        sandbox.seedkit(&["inspect", "--json", "changed.tar"])
    };
    inspect(&members).succeeds();
    let position = |ending: &str| {
        members.iter().position(|(path, _)| path.ends_with(ending) && !path.contains('/')).unwrap()
    };
    let (layer, config) = (position(".tar"), members.iter().position(|(path, _)| path.len() == 69).unwrap());
    for changed in [layer, config] {
        let mut other = members.clone();
        let path = other[changed].0.clone();
        let place = other[changed].1.len() - 3;
        other[changed].1[place] ^= 1;
        let found = findings(&inspect(&other));
        assert!(found.contains(&format!("bad {path}")), "{found:?}");
        other.remove(changed);
        assert_eq!(findings(&inspect(&other)), [format!("missing {path}")]);
    }
    // A layer under a name that says nothing is compared with the configuration.
    let mut renamed = members.clone();
    let name = renamed[layer].0.clone();
    for (path, bytes) in &mut renamed {
        *path = path.replace(&name, "layer.tar");
        if path == "manifest.json" {
            *bytes = String::from_utf8(bytes.clone()).unwrap().replace(&name, "layer.tar").into_bytes();
        }
    }
    inspect(&renamed).succeeds();
    let place = renamed[layer].1.len() - 3;
    renamed[layer].1[place] ^= 1;
    assert_eq!(findings(&inspect(&renamed)), ["bad layer.tar"]);
    let mut garbage = members.clone();
    garbage.iter_mut().find(|(path, _)| path == "manifest.json").unwrap().1 = b"{}".to_vec();
    assert_eq!(findings(&inspect(&garbage)), ["wrong manifest.json"]);
}

/// As Docker 20 writes it: a folder for each layer, equal layers linked to each other, `manifest.json` near the end.
#[test]
fn archives_of_old_docker_are_read_through_their_links() {
    let (sandbox, members) = saved();
    let manifest = members.iter().find(|(path, _)| path == "manifest.json").unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest.1).unwrap();
    let layers: Vec<String> = manifest[0]["Layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer.as_str().unwrap().to_owned())
        .collect();
    manifest[0]["Layers"] = json!(["aaa/layer.tar", "bbb/layer.tar"]);
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes).unwrap();
    };
    for (path, bytes) in &members {
        match layers.iter().position(|layer| layer == path) {
            Some(0) => add("ccc/layer.tar", bytes),
            Some(_) => add("bbb/layer.tar", bytes),
            None if path == "manifest.json" => add(path, manifest.to_string().as_bytes()),
            None => add(path, bytes),
        }
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "aaa/layer.tar", "../ccc/layer.tar").unwrap();
    sandbox.write("old.tar", builder.into_inner().unwrap());
    let result = sandbox.seedkit(&["inspect", "--json", "old.tar"]).succeeds().json();
    assert_eq!(result["images"][0]["platforms"][0]["layers"], 2);
    assert_eq!(result["images"][0]["names"], json!(["docker.io/x/y:1"]));
}

#[test]
fn names_that_two_documents_disagree_about_are_named() {
    let sandbox = Sandbox::built_lab();
    let tarball = sandbox.names("kit").into_iter().find(|name| name.starts_with("airgap-images-")).unwrap();
    let mut archive = tar::Archive::new(fs::File::open(sandbox.path("kit").join(tarball)).unwrap());
    let mut members = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        if path == "manifest.json" {
            bytes = String::from_utf8(bytes)
                .unwrap()
                .replace("docker.io/lab/hello:1.0", "docker.io/lab/bye:1.0")
                .into();
        }
        if entry.header().entry_type().is_file() {
            members.push((path, bytes));
        }
    }
    sandbox.write("changed.tar", tar(&members));
    let run = sandbox.seedkit(&["inspect", "--json", "changed.tar"]);
    assert_eq!(findings(&run), ["wrong manifest.json"]);
    assert!(run.stdout.contains("`docker.io/lab/bye:1.0`"), "{}", run.stdout);
}
