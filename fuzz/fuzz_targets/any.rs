//! All targets in one program, which is linked once: `FUZZ_TARGET` says which.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let known = seedkit_fuzz::TARGETS.iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("`{name}` is no target")).1
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
