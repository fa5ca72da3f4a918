//! What is fuzzed: a function for each kind of bytes that somebody else wrote.
//!
//! A refusal is right; a panic, a hang or memory without bounds is a fault, and so is a broken promise where one is
//! asserted. `fuzz_targets` has a program for each, for cargo-fuzz, and one for all, for the smoke run.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use seedkit::archive::iso9660;
use seedkit::deb::release::Release;
use seedkit::deb::signature::{Keyring, verify};
use seedkit::deb::version::Version;
use seedkit::deb::{archive, baseline, index};
use seedkit::disc::{Disc, EntryKind};
use seedkit::imagelist::ImageList;
use seedkit::inspect::{self, Options};
use seedkit::lockfile::Lockfile;
use seedkit::oci::inventory::Inventory;
use seedkit::oci::{Manifest, Reference};
use seedkit::progress::Silent;
use seedkit::tree::FileTree;

/// All of them, by the names of their programs and of their corpora.
pub const TARGETS: [(&str, fn(&[u8])); 13] = [
    ("deb", deb),
    ("deb822", deb822),
    ("disc", disc),
    ("image_list", image_list),
    ("inspect", inspect_any),
    ("layout", layout),
    ("lock", lock),
    ("manifest", manifest),
    ("reference", reference),
    ("seed", seed),
    ("signed", signed),
    ("spec", spec),
    ("version", version),
];

/// An index without images, whose digest is known to the corpus.
const EMPTY: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// Returns the bytes as text, as far as they are.
fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("it is valid up to there"),
    }
}

/// Packages: the archive, its members and what they say.
pub fn deb(bytes: &[u8]) {
    if let Ok(package) = archive::read(bytes, 1 << 20) {
        let _refused = package.stanza();
    }
}

/// Stanzas of Debian's control files: indices, releases, and what a machine has installed.
pub fn deb822(bytes: &[u8]) {
    let text = text(bytes);
    let _refused = Release::parse(text);
    let _refused = baseline::parse_status(text);
    let _refused = baseline::parse_manifest(text, "amd64");
    let Ok(stanzas) = index::parse(text) else { return };
    for stanza in stanzas {
        let _refused = (stanza.depends(), stanza.pre_depends(), stanza.recommends(), stanza.conflicts());
        let _refused = (stanza.breaks(), stanza.replaces(), stanza.provides());
    }
}

/// Discs of whatever program: every folder and file is read to its end, or refused.
pub fn disc(bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for a file");
    let Ok(disc) = Disc::open(file) else { return };
    let paths: Vec<_> = disc.entries().iter().map(|entry| &entry.path).collect();
    assert!(paths.is_sorted(), "{paths:?}");
    for entry in disc.entries() {
        let EntryKind::File(content) = &entry.kind else { continue };
        // Files may overlap: what all of them have together is no measure.
        let mut reader = disc.open_content(content).take(1 << 16);
        let _refused = std::io::copy(&mut reader, &mut std::io::sink());
    }
}

/// Image lists of all kinds, as releases publish them.
pub fn image_list(bytes: &[u8]) {
    let mut list = ImageList::default();
    let _refused = list.add_text("images.txt", bytes, &[]);
    let _same_again = list.add_text("other.txt", bytes, &["group".to_owned()]);
}

/// A file of any kind, as `seedkit inspect` and `seedkit check` look into it.
pub fn inspect_any(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for a file");
    let now = 1_763_683_200;
    let _refused = inspect::path(file.path(), &Options { now, reporter: &Silent });
    if let Ok(kit) = seedkit::check::Kit::open(file.path(), now, 1, &Silent) {
        let _report = seedkit::check::kit(&kit);
    }
}

/// `index.json` of a layout that has one manifest, which may be named by it.
pub fn layout(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let digest = seedkit::digest::Digest::sha256(EMPTY);
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("there is room for a folder");
    for (path, content) in [
        (folder.path().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
        (folder.path().join("index.json"), bytes),
        (blobs.join(digest.hex()), EMPTY),
    ] {
        std::fs::write(path, content).expect("there is room for a file");
    }
    let _refused = inspect::path(folder.path(), &Options { now: 0, reporter: &Silent });
    let _refused = Inventory::open(folder.path());
}

/// The lock: what is read is written so that it is read as the same.
pub fn lock(bytes: &[u8]) {
    let Ok(lock) = text(bytes).parse::<Lockfile>() else { return };
    let written = lock.to_string();
    assert_eq!(written.parse::<Lockfile>().as_ref().ok(), Some(&lock), "{written}");
}

/// Manifests and indexes, with and without what a registry says that they are.
pub fn manifest(bytes: &[u8]) {
    for served_as in [None, Some("application/vnd.oci.image.manifest.v1+json"), Some("text/html")] {
        if let Ok(manifest) = Manifest::parse(bytes, served_as) {
            let _all = manifest.blobs().count();
        }
    }
    let _platform = Manifest::platform_of_config(bytes);
}

/// Names of images: what is read is written so that it is read as the same.
pub fn reference(bytes: &[u8]) {
    let text = text(bytes);
    let Ok(reference) = text.parse::<Reference>() else { return };
    let written = reference.to_string();
    assert_eq!(
        written.parse::<Reference>().as_ref().ok(),
        Some(&reference),
        "{text:?} is written as {written:?}"
    );
}

/// The texts of a seed, as `seedkit check` judges them on a disc: user-data, then, each after a NUL, network-config,
/// meta-data, and lists of a payload.
pub fn seed(bytes: &[u8]) {
    const NAMES: [&str; 5] =
        ["user-data", "network-config", "meta-data", "payload/FILES", "payload/SHA256SUMS"];
    let mut texts = bytes.splitn(NAMES.len(), |byte| *byte == 0);
    let mut tree = FileTree::new();
    for name in NAMES {
        let fallback: &[u8] = if name == "meta-data" { b"instance-id: i-1\n" } else { b"" };
        let text = texts.next().unwrap_or(fallback);
        if !text.is_empty() || !name.contains('/') {
            tree.insert_file(name, 0o644, text.to_vec()).expect("each name is there once");
        }
    }
    let volume_id = "CIDATA".parse().expect("it is a label");
    let epoch = "1763683200".parse().expect("it is a time");
    let plan = iso9660::plan(&tree, &iso9660::Options { volume_id, epoch }).expect("it is a small tree");
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a file");
    plan.write(file.as_file_mut()).expect("there is room for a file");
    let kit = seedkit::check::Kit::open(file.path(), 1_763_683_200, 1, &Silent).expect("it is a disc");
    let report = seedkit::check::kit(&kit);
    assert_eq!(report.summary.rows, seedkit::check::rows().len());
}

/// Signed texts and certificates: nothing that the keyring did not sign is taken for signed.
pub fn signed(bytes: &[u8]) {
    // What was signed by this key is a part of the corpus, and the only text that may pass.
    static KNOWN: LazyLock<(Keyring, String)> = LazyLock::new(|| {
        let key = include_bytes!("../../fixtures/lab/packages-test-key.asc");
        let signed = include_bytes!("../../fixtures/lab/packages/dists/bookworm/InRelease");
        let keyring = Keyring::parse(key).expect("it is a keyring");
        let now = "1763683200".parse().expect("it is a time");
        let text = verify(signed, &keyring, now).expect("it is signed").text.to_string();
        (keyring, text)
    });
    let (keyring, signed) = &*KNOWN;
    let now = "1763683200".parse().expect("it is a time");
    if let Ok(verified) = verify(bytes, keyring, now) {
        // A signature does not cover blanks at the end of a line.
        assert!(
            signed.lines().map(str::trim_end).eq(verified.text.lines().map(str::trim_end)),
            "{}",
            verified.text
        );
    }
    let _refused = Keyring::parse(bytes);
}

/// The spec, with whatever YAML can hold.
pub fn spec(bytes: &[u8]) {
    if let Err(findings) = seedkit::spec::parse(bytes, Path::new("/nonexistent")) {
        assert!(!findings.is_empty(), "it is refused without a reason");
    }
}

/// Versions of packages: an order without contradiction.
pub fn version(bytes: &[u8]) {
    let versions: Vec<Version> =
        text(bytes).split(' ').take(3).filter_map(|text| Version::parse(text).ok()).collect();
    for left in &versions {
        for right in &versions {
            assert_eq!(left.cmp(right), right.cmp(left).reverse(), "{left:?} and {right:?}");
        }
    }
    if let [first, second, third] = &versions[..] {
        assert!(!(first <= second && second <= third) || first <= third, "{versions:?}");
    }
}
