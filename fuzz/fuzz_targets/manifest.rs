//! Manifests and indexes, with and without what a registry says that they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::oci::Manifest;

fuzz_target!(|bytes: &[u8]| {
    for served_as in [None, Some("application/vnd.oci.image.manifest.v1+json"), Some("text/html")] {
        if let Ok(manifest) = Manifest::parse(bytes, served_as) {
            let _all = manifest.blobs().count();
        }
    }
    let _platform = Manifest::platform_of_config(bytes);
});
