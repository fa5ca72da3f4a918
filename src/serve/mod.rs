//! A layout as a read-only OCI registry over TLS, straight from its files.
//!
//! A [`Catalog`] lists a layout by name, and nothing that is not in it can be asked for: names are looked up in
//! memory, paths come from digests alone. [`Server`] answers manifests, blobs with ranges, lists and referrers, and
//! refuses pushes. Memory is bounded by the number of connections times a fixed buffer.
//!
//! # Why
//! hyper itself and no framework above it: repositories have slashes in their names, which routers of frameworks do
//! not match, and there are seven routes. tokio lives in here alone; the rest of the program waits for its threads.
//! HTTP/1.1 only: with HTTP/2 a client's blobs share one connection, and one flow-control window.

mod access;
mod answer;
mod body;
mod catalog;
mod load;
mod passwords;
mod patience;
mod range;
mod refusal;
mod repository_name;
mod route;
mod server;
mod tls;

pub use answer::Site;
pub use catalog::Catalog;
pub use load::OwnName;
pub use passwords::{Passwords, PasswordsError};
pub use server::{Limits, Served, Server, Stop};
pub use tls::{Identity, TlsError};
