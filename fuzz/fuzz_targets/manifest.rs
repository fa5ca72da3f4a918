//! Manifests and indexes, with and without what a registry says that they are.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::manifest(bytes));
