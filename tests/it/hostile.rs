//! Layouts and archives that are made to break their reader: every command that reads one ends, in bounded time and
//! memory, whatever it says.

use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

use crate::mirror::write_spec;
use crate::support::sandbox::Sandbox;

/// The most memory that a command may take, in KiB.
const MOST_MEMORY: u64 = 200 * 1024;
/// The image that specs ask for.
const NAME: &str = "docker.io/x/y:1";

/// A layout that is being made.
struct Layout {
    folder: PathBuf,
    roots: Vec<Value>,
}

impl Layout {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { folder: folder.to_owned(), roots: Vec::new() }
    }

    fn blob(&self, media_type: &str, content: impl AsRef<[u8]>) -> Value {
        let digest = Digest::sha256(content.as_ref());
        fs::write(self.folder.join("blobs/sha256").join(digest.hex()), content.as_ref()).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": content.as_ref().len() })
    }

    fn index(&self, children: &[Value], note: &str) -> Value {
        let document = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children,
                               "annotations": { "note": note } });
        self.blob(OCI_INDEX, document.to_string())
    }

    fn config(&self, padding: usize) -> Value {
        let config = json!({ "os": "linux", "architecture": "amd64", "author": "x".repeat(padding),
                             "rootfs": { "type": "layers", "diff_ids": [] } });
        self.blob(OCI_CONFIG, config.to_string())
    }

    fn image(&self, config: &Value, layers: &[Value], note: &str) -> Value {
        let document = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
                               "layers": layers, "annotations": { "note": note } });
        self.blob(OCI_MANIFEST, document.to_string())
    }

    fn root(&mut self, root: &Value, name: &str) {
        let mut root = root.clone();
        root["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        self.roots.push(root);
    }

    fn write(self) {
        let index = json!({ "schemaVersion": 2, "manifests": self.roots });
        fs::write(self.folder.join("index.json"), index.to_string()).unwrap();
    }
}

fn for_platform(image: &Value, architecture: &str) -> Value {
    let mut child = image.clone();
    child["platform"] = json!({ "os": "linux", "architecture": architecture });
    child
}

fn nested_indexes(mut layout: Layout) {
    let mut child = layout.image(&layout.config(0), &[], "");
    for _ in 0..4 {
        child = layout.index(&vec![child; 1000], "");
    }
    layout.root(&child, NAME);
    layout.write();
}

fn names_of_one_manifest(mut layout: Layout) {
    let image = layout.image(&layout.config(0), &[], "");
    (0..15_000).for_each(|number| layout.root(&image, &format!("docker.io/library/name-{number}:1")));
    layout.root(&image, NAME);
    layout.write();
}

fn roots_that_share_one_large_index(mut layout: Layout) {
    let image = layout.image(&layout.config(0), &[], "");
    let children: Vec<Value> =
        (0..15_000).map(|number| for_platform(&image, &format!("a{number}"))).collect();
    let shared = layout.index(&children, "");
    for number in 0..1000 {
        let root = layout.index(std::slice::from_ref(&shared), &number.to_string());
        layout.root(&root, &format!("docker.io/x/y:{number}"));
    }
    layout.write();
}

fn images_that_share_one_large_configuration(mut layout: Layout) {
    let config = layout.config(4 << 20);
    for number in 0..2000 {
        let image = layout.image(&config, &[], &number.to_string());
        layout.root(&image, &format!("docker.io/x/y:{number}"));
    }
    layout.write();
}

fn platforms_of_one_image(mut layout: Layout) {
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar", [0; 1024]);
    let image = layout.image(&layout.config(0), &vec![layer; 15_000], "");
    let children: Vec<Value> =
        (0..15_000).map(|number| for_platform(&image, &format!("a{number}"))).collect();
    let root = layout.index(&children, "");
    layout.root(&root, NAME);
    layout.write();
}

fn names_of_slashes(mut layout: Layout) {
    let image = layout.image(&layout.config(0), &[], "");
    (1..2000).for_each(|length| layout.root(&image, &"/".repeat(length)));
    layout.root(&image, &"a/".repeat(1 << 20));
    layout.write();
}

#[test]
fn every_command_that_reads_a_hostile_layout_ends_soon_and_in_little_memory() {
    let cases: [(&str, fn(Layout)); 6] = [
        ("nested indexes", nested_indexes),
        ("names of one manifest", names_of_one_manifest),
        ("roots that share one large index", roots_that_share_one_large_index),
        ("images that share one large configuration", images_that_share_one_large_configuration),
        ("platforms of one image", platforms_of_one_image),
        ("names of slashes", names_of_slashes),
    ];
    for (case, make) in cases {
        let sandbox = Sandbox::new();
        make(Layout::new(&sandbox.path("layout")));
        write_spec(&sandbox, &[("docker.io", "oci:layout")], &[NAME.to_owned()], "linux/amd64");
        sandbox.edit("seedkit.yaml", ", plainHttp: true", "");
        for command in
            [&["inspect", "layout"][..], &["check", "layout"], &["lock"], &["push", "layout", "127.0.0.1:1"]]
        {
            end_soon(&sandbox, case, command);
        }
    }
}

/// Runs a command that may fail, but not panic, nor take long or much.
fn end_soon(sandbox: &Sandbox, case: &str, command: &[&str]) {
    let (run, peak) = sandbox.seedkit_measured(command);
    let said: String = run.stderr.chars().take(400).collect();
    let shown = format!("{case}: {command:?}: {peak} KiB: {said}");
    assert!(matches!(run.code, Some(0..=2)), "{shown}, code {:?}", run.code);
    assert!(peak < MOST_MEMORY, "{shown}");
}
