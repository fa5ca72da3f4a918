//! Discs of whatever program: every folder and file is read to its end, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::disc(bytes));
