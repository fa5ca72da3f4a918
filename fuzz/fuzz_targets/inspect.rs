//! A file of any kind, as `seedkit inspect` looks into it: archives, bundles, discs, certificates, locks.
#![no_main]

use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use seedkit::inspect::{self, Options};
use seedkit::progress::Silent;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for a file");
    let _refused = inspect::path(file.path(), &Options { now: 1_763_683_200, reporter: &Silent });
});
