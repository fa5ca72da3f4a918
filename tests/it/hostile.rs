//! Layouts and archives that are made to break their reader: every command that reads one ends, in bounded time and
//! memory, whatever it says.

mod registries;

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};
use tar::EntryType;

use crate::mirror::write_spec;
use crate::support::images;
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
    let cases: [Case<fn(Layout)>; 6] = [
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

/// Returns a header that claims `size` bytes, and its content, which may have fewer.
fn member(kind: EntryType, name: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn whole(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    member(kind, name, content.len() as u64, content)
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    whole(EntryType::Regular, name, content.as_ref())
}

fn link(name: &str, target: &str) -> Vec<u8> {
    [whole(EntryType::GNULongLink, "l", target.as_bytes()), whole(EntryType::Symlink, name, b"")].concat()
}

/// Writes members and the end of an archive.
fn archive(path: &Path, members: impl IntoIterator<Item = Vec<u8>>) {
    let mut output = std::io::BufWriter::new(fs::File::create(path).unwrap());
    members.into_iter().for_each(|member| output.write_all(&member).unwrap());
    output.write_all(&[0; 1024]).unwrap();
    output.flush().unwrap();
}

/// Writes an archive that begins with an extension of 300 MB, all of it there.
fn long_extension(path: &Path, kind: EntryType) {
    const LENGTH: u64 = 300_000_000;
    archive(path, [member(kind, "x", LENGTH, b"")]);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(LENGTH + (1 << 20)).unwrap();
}

const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

/// A hostile input by its name, and who writes it.
type Case<T> = (&'static str, T);

/// Writes an archive to a path.
type Writer = Box<dyn Fn(&Path)>;

/// The archives by their names, each with who writes it.
fn archives() -> Vec<Case<Writer>> {
    let extension = |kind| -> Writer { Box::new(move |path| long_extension(path, kind)) };
    let members = |make: fn() -> Vec<Vec<u8>>| -> Writer { Box::new(move |path| archive(path, make())) };
    vec![
        ("a PAX header of 300 MB", extension(EntryType::XHeader)),
        ("a global PAX header of 300 MB", extension(EntryType::XGlobalHeader)),
        ("a long name of 300 MB", extension(EntryType::GNULongName)),
        ("a long target of 300 MB", extension(EntryType::GNULongLink)),
        ("extensions of nothing", members(|| vec![whole(EntryType::XHeader, "x", b"9 a=bcde\n"); 50_000])),
        (
            "long paths",
            members(|| {
                let path = |number| format!("{number:05}{}", "/n".repeat(2000));
                let long = |number| whole(EntryType::GNULongName, "l", path(number).as_bytes());
                (0..4600).flat_map(|number| [long(number), file("x", "")]).collect()
            }),
        ),
        (
            "a chain of links",
            members(|| {
                let next = |number| link(&format!("l{number}"), &format!("l{}", number + 1));
                (0..20_000).map(next).chain([link("index.json", "l0"), link("manifest.json", "l0")]).collect()
            }),
        ),
        (
            "links up and down",
            members(|| {
                let target = "d/../".repeat(2000) + "index.json";
                (0..1000)
                    .map(|number| link(&format!("l{number}"), &target))
                    .chain([file("index.json", INDEX)])
                    .collect()
            }),
        ),
        (
            "sizes beyond all",
            members(|| {
                let pax = whole(EntryType::XHeader, "x", b"29 size=18446744073709551615\n");
                vec![pax, member(EntryType::Regular, "index.json", u64::MAX, b"{}")]
            }),
        ),
        (
            "documents without end",
            members(|| {
                let document = |number| format!("{{{number}{}", " ".repeat(4_000_000));
                (0..28).map(|number| file(&format!("blobs/sha256/{number}"), document(number))).collect()
            }),
        ),
        (
            "names without end",
            members(|| {
                let names = vec![r#""""#; 700_000].join(",");
                let saved = format!(r#"[{{"Config":"c.json","Layers":[],"RepoTags":[{names}]}}]"#);
                vec![
                    file("c.json", r#"{"rootfs":{"diff_ids":[]}}"#),
                    file("manifest.json", saved),
                    file("index.json", INDEX),
                ]
            }),
        ),
        (
            "annotations without end",
            members(|| {
                let annotations: Vec<String> =
                    (0..600_000).map(|number| format!(r#""{number}":"""#)).collect();
                let root =
                    json!({ "mediaType": OCI_INDEX, "digest": Digest::sha256(b""), "size": 0 }).to_string();
                let root =
                    root.replacen('{', &format!(r#"{{"annotations":{{{}}},"#, annotations.join(",")), 1);
                vec![file("index.json", format!(r#"{{"schemaVersion":2,"manifests":[{root}]}}"#))]
            }),
        ),
        (
            "images of one configuration",
            members(|| {
                let config =
                    format!(r#"{{"rootfs":{{"diff_ids":[]}},"author":"{}"}}"#, "x".repeat(4_000_000));
                let saved = vec![r#"{"Config":"c.json","Layers":[]}"#; 100_000].join(",");
                vec![file("c.json", config), file("manifest.json", format!("[{saved}]"))]
            }),
        ),
        (
            "brackets without end",
            members(|| ["index.json", "manifest.json"].map(|name| file(name, "[".repeat(7 << 20))).to_vec()),
        ),
    ]
}

#[test]
fn every_command_that_reads_a_hostile_archive_ends_soon_and_in_little_memory() {
    for (case, write) in archives() {
        let sandbox = Sandbox::new();
        write(&sandbox.path("images.tar"));
        for command in ["inspect", "check"] {
            end_soon(&sandbox, case, &[command, "images.tar"]);
        }
        for kind in ["oci-archive", "docker-archive"] {
            write_spec(
                &sandbox,
                &[("docker.io", &format!("{kind}:images.tar"))],
                &[NAME.to_owned()],
                "linux/amd64",
            );
            sandbox.edit("seedkit.yaml", ", plainHttp: true", "");
            end_soon(&sandbox, case, &["lock"]);
        }
        // As the tarball of a release of k3s.
        fs::create_dir(sandbox.path("layout")).unwrap();
        images::image("linux", "amd64", &[]).write_layout(&sandbox.path("layout"));
        sandbox.edit("layout/index.json", "\"latest\"", &format!("\"{NAME}\""));
        write_spec(&sandbox, &[("docker.io", "oci:layout")], &[NAME.to_owned()], "linux/amd64");
        sandbox.edit("seedkit.yaml", ", plainHttp: true", "");
        let airgap = "k3s:\n  airgap:\n    linux/amd64: { path: images.tar }\n  version";
        sandbox.edit("seedkit.yaml", "k3s:\n  version", airgap);
        sandbox.seedkit(&["lock", "-q"]).succeeds();
        end_soon(&sandbox, case, &["iso", "-q", "-o", "seeds"]);
    }
}
