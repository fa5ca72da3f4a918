//! Stanzas of Debian's control files: indices, releases, and what a machine has installed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seedkit::deb::release::Release;
use seedkit::deb::{baseline, index};

fuzz_target!(|text: &str| {
    let _refused = Release::parse(text);
    let _refused = baseline::parse_status(text);
    let _refused = baseline::parse_manifest(text, "amd64");
    let Ok(stanzas) = index::parse(text) else { return };
    for stanza in stanzas {
        let _refused = (stanza.depends(), stanza.pre_depends(), stanza.recommends(), stanza.conflicts());
        let _refused = (stanza.breaks(), stanza.replaces(), stanza.provides());
    }
});
