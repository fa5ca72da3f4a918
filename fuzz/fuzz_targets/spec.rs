//! The spec, with whatever YAML can hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::spec(bytes));
