//! Certificates that come along: those that Debian's archive is signed with.
//!
//! Where they are from, and their fingerprints, says `README.md` in the folder beside this file. There are none of
//! Ubuntu: its users name a file.

use super::signature::Keyring;

const DEBIAN: [&str; 6] = [
    include_str!("certificates/debian-archive-bookworm-automatic.asc"),
    include_str!("certificates/debian-archive-bookworm-security-automatic.asc"),
    include_str!("certificates/debian-archive-bookworm-stable.asc"),
    include_str!("certificates/debian-archive-trixie-automatic.asc"),
    include_str!("certificates/debian-archive-trixie-security-automatic.asc"),
    include_str!("certificates/debian-archive-trixie-stable.asc"),
];

/// Returns the certificates of Debian 12 and 13.
pub fn debian() -> Keyring {
    Keyring::parse(DEBIAN.concat().as_bytes()).expect("the files are a part of the program, and are tested")
}
