//! A file of any kind, as `seedkit inspect` looks into it: archives, bundles, discs, certificates, locks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::inspect_any(bytes));
