//! `index.json` of a layout that has one manifest, which may be named by it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::layout(bytes));
