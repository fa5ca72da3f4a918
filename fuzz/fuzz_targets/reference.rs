//! Names of images: what is read is written so that it is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::oci::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    let written = reference.to_string();
    assert_eq!(written.parse::<Reference>().as_ref().ok(), Some(&reference), "{text:?} is written as {written:?}");
});
