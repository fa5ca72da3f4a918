//! Debian's formats, judged by dpkg, apt and GnuPG.

mod archive;
mod certificates;
pub(crate) mod gpg;
mod index;
mod signature;
mod signing;
mod version;

use std::path::PathBuf;

use seedkit::epoch::Epoch;

use crate::support::oracle;

/// The time of this machine's clock.
fn now() -> Epoch {
    oracle::text("date", ["+%s"]).parse().unwrap()
}

/// Where apt keeps the indices that it has fetched.
fn lists_folder() -> PathBuf {
    let assignment = oracle::text("apt-config", ["shell", "folder", "Dir::State::lists/d"]);
    assignment.trim().trim_start_matches("folder=").trim_matches('\'').into()
}

/// Returns the package indices that apt has fetched, unpacked.
fn real_indices() -> Vec<String> {
    let listing =
        oracle::text("apt-get", ["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]);
    let unpack = |path: &str| oracle::text("/usr/lib/apt/apt-helper", ["cat-file", path]);
    listing.lines().map(unpack).collect()
}
