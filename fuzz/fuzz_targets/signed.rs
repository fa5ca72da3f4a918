//! Signed texts and certificates: nothing that the keyring did not sign is taken for signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seedkit_fuzz::signed(bytes));
