//! Packages: the archive, its members and what they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::deb::archive;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(package) = archive::read(bytes, 1 << 20) {
        let _refused = package.stanza();
    }
});
