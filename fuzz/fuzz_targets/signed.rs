//! Signed texts and certificates: nothing that the keyring did not sign is taken for signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::deb::signature::{Keyring, verify};

fuzz_target!(|bytes: &[u8]| {
    let keyring = Keyring::parse(include_bytes!("../../fixtures/lab/packages-test-key.asc")).expect("it is a keyring");
    let now = "1763683200".parse().expect("it is a time");
    // What was signed by this key is a part of the corpus, and the only text that may pass.
    let signed = include_bytes!("../../fixtures/lab/packages/dists/bookworm/InRelease");
    let signed = verify(signed, &keyring, now).expect("it is signed").text;
    if let Ok(verified) = verify(bytes, &keyring, now) {
        // A signature does not cover blanks at the end of a line.
        assert!(signed.lines().map(str::trim_end).eq(verified.text.lines().map(str::trim_end)), "{}", verified.text);
    }
    let _refused = Keyring::parse(bytes);
});
