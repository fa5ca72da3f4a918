//! Layouts and archives that lie about the images in them.

use std::path::PathBuf;

use fs_err as fs;
use seedkit::digest::Digest;
use serde_json::{Value, json};

use super::{BUILD_FAILS, Fault, examine};
use crate::support::oracle;
use crate::support::sandbox::{SPEC, Sandbox};

/// The layer that `docker.io/lab/hello:1.0` has alone, of 135 bytes.
const LAYER: &str = "32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22";
/// The manifest of the same image for linux/amd64, of 555 bytes.
const MANIFEST: &str = "3060e6c691fc7e5fb344455070e2efff25d4527aecb60570b88ea3156016deaa";

fn blob(sandbox: &Sandbox, hex: &str) -> PathBuf {
    sandbox.path("lab/images/blobs/sha256").join(hex)
}

fn change(sandbox: &Sandbox, hex: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(blob(sandbox, hex)).unwrap();
    change(&mut bytes);
    fs::write(blob(sandbox, hex), bytes).unwrap();
}

/// Makes `bytes` the root of the lab's first image, and has it locked anew.
fn put_root(sandbox: &Sandbox, bytes: &[u8]) {
    let digest = Digest::sha256(bytes);
    fs::write(blob(sandbox, &digest.hex()), bytes).unwrap();
    let mut index: Value = serde_json::from_str(&sandbox.read("lab/images/index.json")).unwrap();
    index["manifests"][0]["digest"] = json!(digest);
    index["manifests"][0]["size"] = json!(bytes.len());
    sandbox.write("lab/images/index.json", index.to_string());
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
}

#[test]
fn a_layout_that_lies_is_found_out() {
    examine(&[
        Fault {
            name: "no layout",
            spoil: |sandbox| fs::remove_dir_all(sandbox.path("lab/images")).unwrap(),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images` has no file `index.json`\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "an image that the layout does not have",
            spoil: |sandbox| {
                sandbox.edit(
                    "lab/images.txt",
                    "quay.io/lab/hello:1.0",
                    "quay.io/lab/hello:2.0\nquay.io/lab/bye:1",
                );
                fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
            },
            error: "error: 2 of 11 images cannot be resolved\n  \
                    - `quay.io/lab/hello:2.0` (images.txt:3): `lab/images` has no image \
                    `quay.io/lab/hello:2.0`; it has `docker.io/lab/hello:1.0`, \
                    `docker.io/rancher/klipper-helm:v0.9.12-build20251215`, \
                    `docker.io/rancher/klipper-lb:v0.4.13`, \
                    `docker.io/rancher/local-path-provisioner:v0.0.32`, \
                    `docker.io/rancher/mirrored-coredns-coredns:1.13.1`, \
                    `docker.io/rancher/mirrored-library-busybox:1.37.0`, \
                    `docker.io/rancher/mirrored-library-traefik:3.5.1`, \
                    `docker.io/rancher/mirrored-metrics-server:v0.8.0` and 2 more\n  \
                    - `quay.io/lab/bye:1` (images.txt:4): `lab/images` has no image `quay.io/lab/bye:1`; it \
                    has `docker.io/lab/hello:1.0`, `docker.io/rancher/klipper-helm:v0.9.12-build20251215`, \
                    `docker.io/rancher/klipper-lb:v0.4.13`, \
                    `docker.io/rancher/local-path-provisioner:v0.0.32`, \
                    `docker.io/rancher/mirrored-coredns-coredns:1.13.1`, \
                    `docker.io/rancher/mirrored-library-busybox:1.37.0`, \
                    `docker.io/rancher/mirrored-library-traefik:3.5.1`, \
                    `docker.io/rancher/mirrored-metrics-server:v0.8.0` and 2 more\n  \
                    hint: check the image's name and tag, or add it: `skopeo copy docker://IMAGE \
                    oci:DIR:IMAGE`, with the full name both times",
            ..BUILD_FAILS
        },
        Fault {
            name: "a platform that the images do not have",
            spoil: |sandbox| {
                sandbox.edit(SPEC, "[linux/amd64]", "[linux/amd64, linux/s390x]");
                sandbox.edit(SPEC, "k3s-stand-in.sh }", "k3s-stand-in.sh }\n    linux/s390x: { path: motd }");
                sandbox.edit(SPEC, "images:\n", "images:\n  k3s: false\n");
                // Debian has no packages for it here.
                sandbox.set_packages("");
                sandbox.write("lab/images.txt", "docker.io/lab/hello:1.0\n");
                fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
            },
            error: "error: 1 of 1 images cannot be resolved\n  \
                    - `docker.io/lab/hello:1.0` (images.txt:1): `docker.io/lab/hello:1.0` has no image for \
                    linux/s390x; it has linux/amd64, linux/arm64\n  \
                    hint: take the platform out of `platforms`, or choose an image that has it",
            ..BUILD_FAILS
        },
        Fault {
            name: "a blob that is not there",
            spoil: |sandbox| fs::remove_file(blob(sandbox, LAYER)).unwrap(),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot fetch a blob of `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images` has no file \
                    `blobs/sha256/32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22`\n  \
                    hint: what refers to it is there, or was when it was locked: `seedkit lock` takes what the tags \
                    stand for now; if that changes nothing, the image is incomplete there: have it copied there \
                    again, or name another place under `sources.HOST.mirrors`",
            ..BUILD_FAILS
        },
        Fault {
            name: "a truncated blob",
            spoil: |sandbox| change(sandbox, LAYER, |bytes| bytes.truncate(100)),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot store a blob of `docker.io/lab/hello:1.0`\n  \
                    because: blob sha256:32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22 \
                    is truncated: 100 of 135 bytes arrived\n  \
                    hint: run the same command again; if it says the same, the image is damaged where it \
                    comes from",
            ..BUILD_FAILS
        },
        Fault {
            name: "an oversized blob",
            spoil: |sandbox| change(sandbox, LAYER, |bytes| bytes.push(0)),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot fetch a blob of `docker.io/lab/hello:1.0`\n  \
                    because: blob sha256:32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22 in \
                    `lab/images` is wrong\n  \
                    because: blob sha256:32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22 \
                    is longer than the 135 bytes it was announced with\n  \
                    hint: it was asked for more than once: name another place under `sources.HOST.mirrors`, or have \
                    it copied there anew; a proxy before a registry may change what comes, too",
            ..BUILD_FAILS
        },
        Fault {
            name: "a blob with another content",
            spoil: |sandbox| change(sandbox, LAYER, |bytes| bytes[20] ^= 1),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot fetch a blob of `docker.io/lab/hello:1.0`\n  \
                    because: blob sha256:32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22 in \
                    `lab/images` is wrong\n  \
                    because: blob sha256:32c76d417895bbc48b56aadec2c05ba72133820b591d3965e198feb17332cd22 \
                    has the wrong content: it hashes to \
                    sha256:9f419a038aac345c89b7f5f0f3c960492c20fc197c674a33c4fc6118232b6f6e\n  \
                    hint: it was asked for more than once: name another place under `sources.HOST.mirrors`, or have \
                    it copied there anew; a proxy before a registry may change what comes, too",
            ..BUILD_FAILS
        },
        Fault {
            name: "a truncated manifest",
            spoil: |sandbox| change(sandbox, MANIFEST, |bytes| bytes.truncate(300)),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: cannot read manifest \
                    sha256:3060e6c691fc7e5fb344455070e2efff25d4527aecb60570b88ea3156016deaa in \
                    `lab/images`\n  \
                    because: blob sha256:3060e6c691fc7e5fb344455070e2efff25d4527aecb60570b88ea3156016deaa \
                    is truncated: 300 of 555 bytes arrived\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "HTML instead of a manifest",
            spoil: |sandbox| put_root(sandbox, b"<!DOCTYPE html><title>Sign in</title>"),
            error: "error: 1 of 10 images cannot be resolved\n  \
                    - `docker.io/lab/hello:1.0` (images.txt:2): `docker.io/lab/hello:1.0` cannot be read: \
                    the manifest sha256:5bd5f8e3658ad70a34f165e2378767b80d241bbefacda3760776f0be8182c44a is \
                    not JSON: it begins with `<!DOCTYPE html><title>Sign in</title>`: expected value at \
                    line 1 column 1",
            ..BUILD_FAILS
        },
        Fault {
            name: "a manifest of more than 4 MiB",
            spoil: |sandbox| {
                let manifest = json!({ "schemaVersion": 2, "manifests": [], "annotations": { "a": "a".repeat(5 << 20) } });
                put_root(sandbox, manifest.to_string().as_bytes());
            },
            error: "error: 1 of 10 images cannot be resolved\n  \
                    - `docker.io/lab/hello:1.0` (images.txt:2): `docker.io/lab/hello:1.0` is larger than \
                    images are: the manifest \
                    sha256:e42ea30ca2f985967e3732f5ec747fdf3e9128d60791585652a166727e6e285e has 5242937 \
                    bytes; at most 4194304 are accepted",
            ..BUILD_FAILS
        },
        Fault {
            name: "an index that is not JSON",
            spoil: |sandbox| sandbox.write("lab/images/index.json", "<html>"),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `index.json` in `lab/images` is malformed\n  \
                    because: expected value at line 1 column 1\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
    ]);
}

/// Has the lab's images come from an archive of the layout, to which a hostile member is added.
fn archive_with(sandbox: &Sandbox, spoil: impl FnOnce(&mut tar::Header), content: &[u8]) {
    let layout = sandbox.path("lab/images");
    let archive = sandbox.path("lab/images.tar");
    oracle::run("bsdtar", ["-cf", archive.to_str().unwrap(), "-C", layout.to_str().unwrap(), "."]);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    spoil(&mut header);
    header.set_cksum();
    let mut bytes = fs::read(&archive).unwrap();
    let padding = content.len().next_multiple_of(512) - content.len();
    let member = [header.as_bytes().as_slice(), content, &vec![0; padding]].concat();
    // First, so that nothing of the archive is used before it is seen.
    bytes.splice(0..0, member);
    fs::write(&archive, bytes).unwrap();
    let spec = sandbox.read(SPEC).replace("oci:images", "oci-archive:images.tar");
    sandbox.write(SPEC, spec);
}

fn named(header: &mut tar::Header, name: &str) {
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
}

#[test]
fn an_archive_with_hostile_members_is_refused_and_nothing_of_it_lands_anywhere() {
    examine(&[
        Fault {
            name: "a path that leads out",
            spoil: |sandbox| archive_with(sandbox, |header| named(header, "../../evil"), b"evil"),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images.tar` is damaged, or no honest archive\n  \
                    because: it has the member `../../evil`, which is not a path within an \
                    archive\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "an absolute path",
            spoil: |sandbox| archive_with(sandbox, |header| named(header, "/tmp/evil"), b"evil"),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images.tar` is damaged, or no honest archive\n  \
                    because: it has the member `/tmp/evil`, which is not a path within an \
                    archive\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "an absolute symlink",
            spoil: |sandbox| {
                let link = |header: &mut tar::Header| {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_link_name("/etc/passwd").unwrap();
                    named(header, "oci-layout");
                };
                archive_with(sandbox, link, b"");
            },
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images.tar` has the member `oci-layout`, which links to a place outside \
                    of the archive\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "a member twice",
            spoil: |sandbox| archive_with(sandbox, |header| named(header, "index.json"), b"{}"),
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images.tar` is damaged, or no honest archive\n  \
                    because: it has the member `index.json`, which is there twice\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "a huge declared size",
            spoil: |sandbox| {
                let huge = |header: &mut tar::Header| {
                    named(header, "huge");
                    header.set_size(1 << 60);
                };
                archive_with(sandbox, huge, b"");
            },
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images.tar` has the member `huge`, which claims 1152921504606846976 \
                    bytes, more than the archive has\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
        Fault {
            name: "a compressed archive",
            spoil: |sandbox| {
                archive_with(sandbox, |header| named(header, "harmless"), b"");
                let archive = sandbox.path("lab/images.tar");
                fs::write(&archive, zstd::encode_all(fs::read(&archive).unwrap().as_slice(), 1).unwrap())
                    .unwrap();
            },
            error: "error: cannot mirror the images\n  \
                    because: cannot fetch the images\n  \
                    because: cannot read image `docker.io/lab/hello:1.0`\n  \
                    because: `lab/images.tar` is zstd-compressed, not an uncompressed tar archive\n  \
                    hint: check the path under `sources` in the spec; if it is right, have the layout or \
                    archive made anew",
            ..BUILD_FAILS
        },
    ]);
}

#[test]
fn an_archive_with_an_unknown_but_harmless_member_is_read() {
    let sandbox = Sandbox::lab();
    archive_with(&sandbox, |header| named(header, "README.txt"), b"hello");
    sandbox.seedkit(&["build", "-f", SPEC]).succeeds();
}
