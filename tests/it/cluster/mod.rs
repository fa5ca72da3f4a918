//! What a cluster trusts and joins with.

mod authorities;
mod executable;
mod lifecycle;
mod registries;
mod seeds;

use std::path::Path;

use fs_err as fs;
use seedkit::cluster::authorities::{ClusterAuthorities, TLS_FOLDER};
use seedkit::epoch::Epoch;
use seedkit::ops::cluster::{ClusterError, load_or_create_authorities};
use seedkit::secrets::Secrets;

/// When the authorities of these tests are made.
const EPOCH: u64 = 1_763_683_200;
const DAY: u64 = 86_400;

fn at(days: u64) -> Epoch {
    Epoch::try_from(EPOCH + days * DAY).unwrap()
}

fn secrets(folder: &Path) -> Secrets {
    Secrets::open(&folder.join("secrets")).unwrap()
}

fn load(secrets: &Secrets) -> Result<(ClusterAuthorities, bool), ClusterError> {
    load_or_create_authorities(secrets, at(0))
}

/// Writes what the first server gets as the folder `tls`.
fn write(authorities: &ClusterAuthorities, folder: &Path) {
    for file in authorities.files().unwrap() {
        let path = file.destination.as_str().strip_prefix(TLS_FOLDER).unwrap();
        let path = folder.join("tls").join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.text.expose()).unwrap();
    }
}
