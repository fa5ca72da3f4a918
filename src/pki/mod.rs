//! Authorities, what they sign, and keys: made once, read back by an independent parser.
//!
//! An [`Authority`] signs [`ServerCertificate`]s for [`SubjectName`]s, or further authorities; a [`CertificateView`]
//! says what a certificate from anywhere really holds. There is no clock in here: a certificate is dated by an epoch,
//! and whoever asks how long it lasts says what time it is.
//!
//! # Why
//! *Chance.* Keys, serial numbers and ECDSA signatures are random, so no certificate can be made twice. The
//! functions that draw random numbers are named `generate…`; their results are kept in the secrets and are
//! inputs of every build afterwards. Make the key first and keep it, then the certificate: each is one
//! secret, and whoever finds a key without its certificate completes the pair.
//!
//! *No name constraints* on the registry's authority. Go and OpenSSL enforce them, for IP addresses too, so the authority could be bound
//! to the registry's names. But a certificate renewed for a new address would then fail on every node until
//! all of them are seeded anew, and a critical extension that a client does not know makes it refuse the
//! whole chain. What the authority may vouch for is limited where it is trusted: containerd reads it as the
//! `ca_file` of this one registry, it signs no further authorities (path length 0), and its key never leaves
//! the secrets.
//!
//! *Back-dated by 30 days.* A VM without a network starts with whatever its clock says; a certificate that
//! is "not yet valid" would stop its first pull.

mod authority;
mod chain;
mod key;
mod name;
mod rsa_key;
mod view;

pub use authority::{Authority, LONGEST_LIFETIME_DAYS, PkiError, ServerCertificate};
pub use key::{InvalidKey, PrivateKey};
pub use name::{DnsName, InvalidName, SubjectName};
pub use rsa_key::{InvalidRsaKey, RsaKey};
pub use view::{CertificateView, InvalidCertificate};
