//! Versions of packages: an order without contradiction.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::version(bytes));
