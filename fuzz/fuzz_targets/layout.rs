//! `index.json` of a layout that has one manifest, which may be named by it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::inspect::{self, Options};
use seedkit::oci::inventory::Inventory;
use seedkit::progress::Silent;

/// An index without images, whose digest is known to the corpus.
const EMPTY: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

fuzz_target!(|index: &[u8]| {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let digest = seedkit::digest::Digest::sha256(EMPTY);
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("there is room for a folder");
    for (path, content) in [
        (folder.path().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#.as_slice()),
        (folder.path().join("index.json"), index),
        (blobs.join(digest.hex()), EMPTY),
    ] {
        std::fs::write(path, content).expect("there is room for a file");
    }
    let _refused = inspect::path(folder.path(), &Options { now: 0, reporter: &Silent });
    let _refused = Inventory::open(folder.path());
});
