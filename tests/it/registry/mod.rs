//! The client of registries, against Debian's registry and against servers that misbehave on command.

mod auth;
mod echo;
mod hostile;
mod images;
mod kept;
mod logins;
mod noted;
mod parts;
mod push;
mod ways;

use std::io::Read;
use std::path::PathBuf;

use seedkit::oci::{ImageSource, Reference, SourceError};
use seedkit::registry::{Client, ClientOptions, Endpoint, Fault, PlainHttp, Registry, RetryPolicy};
use seedkit::store::Descriptor;

use crate::support::patience::SILENCE;

/// Options with which nothing is asked for twice.
fn options() -> ClientOptions {
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    ClientOptions { retry, ..ClientOptions::default() }
}

/// The same for servers that are silent on purpose.
fn impatient() -> ClientOptions {
    ClientOptions { read_timeout: SILENCE, ..options() }
}

/// Returns the registry at `url`, plain HTTP allowed.
pub(crate) fn registry_at(options: ClientOptions, url: &str, ca_file: Option<PathBuf>) -> Registry {
    let authority = url.split("://").nth(1).unwrap();
    let endpoint = Endpoint::new(authority, url, PlainHttp::Allowed).unwrap().with_ca_file(ca_file);
    Client::new(options).unwrap().registry(endpoint).unwrap()
}

/// Returns a reference to `name` at a registry.
pub(crate) fn reference(registry: &Registry, name: &str) -> Reference {
    format!("{}/{name}", registry.endpoint().registry()).parse().unwrap()
}

/// Reads a blob to its end.
fn read(registry: &Registry, from: &Reference, blob: &Descriptor) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    registry.blob(from, blob).unwrap().read_to_end(&mut bytes).map(|_| bytes)
}

/// Returns the fault below an error.
pub(crate) fn fault(error: &SourceError) -> Option<&Fault> {
    error.cause.as_ref().and_then(|cause| cause.downcast_ref())
}
