//! All integration tests, in one binary: it links once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod archive;
mod build;
mod ca;
mod cli;
mod deb;
mod determinism;
mod docs;
mod faults;
mod import;
mod mirror;
mod oci;
mod ops_packages;
mod opsbundle;
mod packages;
mod pki;
mod registry;
mod seed;
mod spec;
mod ssh;
mod store;
mod support;
mod template;
