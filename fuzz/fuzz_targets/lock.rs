//! The lock: what is read is written so that it is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::lockfile::Lockfile;

fuzz_target!(|text: &str| {
    let Ok(lock) = text.parse::<Lockfile>() else { return };
    let written = lock.to_string();
    assert_eq!(written.parse::<Lockfile>().as_ref().ok(), Some(&lock), "{written}");
});
