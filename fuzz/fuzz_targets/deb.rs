//! Packages: the archive, its members and what they say.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::deb(bytes));
