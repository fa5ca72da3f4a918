//! All integration tests, in one binary: it links once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod archive;
mod attached;
mod build;
mod ca;
mod check;
mod cli;
mod cluster;
mod deb;
mod determinism;
mod diff;
mod disc;
mod docs;
mod faults;
mod import;
mod inspect;
mod mirror;
mod mirrors;
mod oci;
mod ops_packages;
mod ops_real;
mod opsbundle;
mod packages;
mod pki;
mod push;
mod registry;
mod resume;
mod seed;
mod serve;
mod spec;
mod ssh;
mod store;
mod support;
mod template;
mod unruly;
