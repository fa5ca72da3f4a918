//! Stanzas of Debian's control files: indices, releases, and what a machine has installed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::deb822(bytes));
