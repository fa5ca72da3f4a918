//! The texts of a seed, as `seedkit check` judges them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::seed(bytes));
