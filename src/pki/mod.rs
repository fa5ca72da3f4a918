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
//! *Name constraints* bind the registry's authority to the registry's names and to loopback: OpenSSL, Go (containerd, skopeo)
//! and rustls heed them, for addresses too, so that whoever has its key stands in for no other server, wherever the
//! authority is trusted. The price: a registry at a new name needs a new authority, and every node a new seed, since
//! a certificate for that name would be refused. Authorities of users, and those made before, are as they are.
//!
//! *Back-dated by 30 days.* A VM without a network starts with whatever its clock says; a certificate that
//! is "not yet valid" would stop its first pull.

mod authority;
mod chain;
mod constraints;
mod key;
mod name;
mod rsa_key;
mod view;

pub use authority::{Authority, LONGEST_LIFETIME_DAYS, PkiError, ServerCertificate};
pub use constraints::Permitted;
pub use key::{InvalidKey, PrivateKey};
pub use name::{DnsName, InvalidName, SubjectName};
pub use rsa_key::{InvalidRsaKey, RsaKey};
pub use view::{CertificateView, InvalidCertificate};
