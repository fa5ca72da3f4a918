//! The spec, with whatever YAML can hold.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(findings) = seedkit::spec::parse(bytes, Path::new("/nonexistent")) {
        assert!(!findings.is_empty(), "it is refused without a reason");
    }
});
