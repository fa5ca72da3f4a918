//! Discs of whatever program: every folder and file is read to its end, or refused.
#![no_main]

use std::io::Read as _;

use libfuzzer_sys::fuzz_target;
use seedkit::disc::{Disc, EntryKind};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    std::io::Write::write_all(&mut file, bytes).expect("there is room for a file");
    let Ok(disc) = Disc::open(file) else { return };
    let paths: Vec<_> = disc.entries().iter().map(|entry| &entry.path).collect();
    assert!(paths.is_sorted(), "{paths:?}");
    for entry in disc.entries() {
        let EntryKind::File(content) = &entry.kind else { continue };
        // Files may overlap: what all of them have together is no measure.
        let mut reader = disc.open_content(content).take(1 << 16);
        let _refused = std::io::copy(&mut reader, &mut std::io::sink());
    }
});
