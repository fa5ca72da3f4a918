//! Names of images: what is read is written so that it is read as the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::reference(bytes));
