//! seedkit prepares, on a connected machine, everything an air-gapped k3s cluster needs.
pub mod digest;
pub mod epoch;
pub mod fs;

pub mod artifact;
pub mod progress;
pub mod secrets;
pub mod store;
pub mod text;
pub mod tree;

pub mod archive;
pub mod template;
pub mod yaml;

pub mod oci;
pub mod ssh;

pub mod cluster;
pub mod imagelist;
pub mod lockfile;
pub mod pki;
pub mod seed;
pub mod spec;

pub mod verify;
