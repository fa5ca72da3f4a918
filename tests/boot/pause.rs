//! A pause image that runs: that of the lab has no program, and on a node a container of it has to start.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use fs_err as fs;
use seedkit::digest::Digest;
use serde_json::{Value, json};

use crate::tools::{command, finish};

const NAME: &str = "docker.io/rancher/mirrored-pause:3.6";
/// Waits for signals for ever, by Linux' system call 34.
const PROGRAM: &str = "void _start(void) { for (;;) __asm__ volatile(\"syscall\" : : \"a\"(34L) : \"rcx\", \"r11\", \"memory\"); }";

/// Puts the image into an image layout, in place of the one of that name.
pub(crate) fn put_into(layout: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let mut compiler = command("cc")
        .args(["-static", "-nostdlib", "-Os", "-x", "c", "-", "-o"])
        .arg(folder.path().join("pause"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    compiler.stdin.take().unwrap().write_all(PROGRAM.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success());
    let layer = finish(command("tar").arg("-C").arg(folder.path()).args(["-cf", "-", "pause"])).stdout;
    let put = |content: &[u8], kind: &str| {
        let digest = Digest::sha256(content);
        let hex = digest.to_string().replace("sha256:", "");
        fs::write(layout.join("blobs/sha256").join(hex), content).unwrap();
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": content.len()})
    };
    let put_json = |value: Value, kind| put(value.to_string().as_bytes(), kind);
    let layer = put(&layer, "layer.v1.tar");
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = put_json(config, "config.v1+json");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    });
    let mut entry = put_json(manifest, "manifest.v1+json");
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": NAME});
    let path = layout.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entries = index["manifests"].as_array_mut().unwrap();
    let place = entries.iter_mut().find(|found| found["annotations"] == entry["annotations"]).unwrap();
    *place = entry;
    fs::write(&path, index.to_string()).unwrap();
}
