//! The client of registries and file servers: images and files over HTTPS.
//!
//! A [`Client`] holds what all servers share: trusted authorities, proxies, credentials, connections. A
//! [`Registry`] is one server as an [`ImageSource`](crate::oci::ImageSource), and takes pushes. Credentials go to the server they
//! were given for and to the token server it names, never along a redirect; no error, no `Debug` shows one, not even where
//! a server repeats it ([`Echo`]).
//! Every request goes through one function, `Transport::send`, and so has one policy of when it is sent again; a large body
//! that breaks off goes on where it did. Only parts of uploads are not sent again there: what of them arrived is asked first.
//!
//! # Why
//! Redirects are followed here, not by reqwest: so each single request passes that one function, and what may go
//! to the next server is decided in one place. `?ns=` is not sent to mirrors: only proxies that serve several
//! registries under one name need it, and they can be told apart by the prefix of an [`Endpoint`].

mod body;
mod challenge;
mod client;
mod clock;
mod continued;
mod credentials;
mod echo;
mod endpoint;
mod fault;
mod file;
mod kept;
mod options;
mod pace;
mod part;
mod proxies;
mod push;
mod rate_limit;
mod redirect;
mod referrers;
mod refusal;
mod request;
mod retry;
mod tls;
mod token;
mod transport;
mod upload;
mod watch;

pub use client::{Client, Registry};
pub use clock::{Clock, MonotonicClock};
pub use echo::Echo;
pub use endpoint::{Endpoint, InvalidEndpoint, PlainHttp};
pub use fault::Fault;
pub use options::{ClientOptions, Proxies};
pub use pace::Pace;
pub use push::{Arrival, BlobUpload};
pub use rate_limit::RateLimit;
pub use retry::RetryPolicy;
