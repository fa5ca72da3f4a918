//! Image lists of all kinds, as releases publish them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::image_list(bytes));
