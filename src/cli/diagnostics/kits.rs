//! What to do about finished kits that cannot be served, pushed or compared.

use std::io::ErrorKind;

use super::{hint_of_fault, hint_of_source};
use crate::bill::BillError;
use crate::oci::{SourceError, SourceErrorKind};
use crate::ops::diff::DiffError;
use crate::ops::page::PageError;
use crate::ops::push::PushError;
use crate::ops::serve::ServeError;
use crate::registry::Fault;
use crate::serve::TlsError;

const NO_KIT: &str = "name the folder that `seedkit build` made: it has kit.json, images/ and registry/";
const OTHER_VERSION: &str = "use the seedkit that made the kit";
const DAMAGED: &str = "`seedkit verify KIT` says what is missing or damaged; copy the kit again";

/// Returns the hint for an error of these commands, if they have one; `None` for errors of others.
pub(super) fn hint(error: &anyhow::Error) -> Option<Option<&'static str>> {
    let of_serve = error.downcast_ref::<ServeError>().map(hint_of_serve);
    of_serve
        .or_else(|| error.downcast_ref::<PushError>().map(hint_of_push))
        .or_else(|| error.downcast_ref::<DiffError>().map(hint_of_diff))
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<PageError>()).map(hint_of_page))
}

fn hint_of_page(error: &PageError) -> Option<&'static str> {
    match error {
        PageError::Inside { .. } => {
            Some("a kit has its own page, report.html; name a file outside of the kit for another one")
        }
        PageError::Other { .. } => Some("name another file, or remove that one"),
        PageError::Write { .. } => None,
    }
}

fn hint_of_diff(error: &DiffError) -> Option<&'static str> {
    match error {
        DiffError::Mixed { .. } => Some(
            "compare two of one kind: a kit has no lock in it, so keep the lock that it was built from beside it",
        ),
        DiffError::Kind { .. } => {
            Some("name two files seedkit.lock, or two folders that `seedkit build` made")
        }
        DiffError::Damaged { .. } => Some(DAMAGED),
        DiffError::Inspect { .. } => None,
    }
}

fn hint_of_serve(error: &ServeError) -> Option<&'static str> {
    match error {
        ServeError::Bill(BillError::Read { .. }) => Some(NO_KIT),
        ServeError::Bill(BillError::Version { .. }) => Some(OTHER_VERSION),
        ServeError::Bill(BillError::Malformed { .. })
        | ServeError::Layout { .. }
        | ServeError::Tls { source: TlsError::Content { .. } | TlsError::Pair { .. }, .. } => Some(DAMAGED),
        ServeError::Tls { source: TlsError::Read { source, .. }, .. } => {
            match source.kind() == ErrorKind::PermissionDenied {
                true => Some("the kit's key is for its owner: run it as that user"),
                false => Some(DAMAGED),
            }
        }
        ServeError::Listen { source, .. } => hint_of_listening(source.kind()),
        ServeError::Passwords(_) | ServeError::Run(_) | ServeError::Unit(_) => None,
    }
}

fn hint_of_push(error: &PushError) -> Option<&'static str> {
    match error {
        PushError::Bill(BillError::Read { .. }) => Some(NO_KIT),
        PushError::Bill(BillError::Version { .. }) => Some(OTHER_VERSION),
        PushError::Bill(BillError::Malformed { .. })
        | PushError::Layout { .. }
        | PushError::NotWhole { .. } => Some(DAMAGED),
        PushError::Collision { .. } => Some(
            "give one of them another name in the second column of its image list and build again, or take \
             --keep-registry",
        ),
        PushError::Client(source) | PushError::Registry { source, .. } => hint_of_pushing(source),
        PushError::Several(_) => None,
    }
}

fn hint_of_pushing(error: &SourceError) -> Option<&'static str> {
    let fault = error.cause.as_ref().and_then(|cause| cause.downcast_ref());
    match (fault, error.kind) {
        (Some(Fault::UnknownAuthority | Fault::AuthorityAsServer), _) => {
            Some("name the registry's authority with --ca-file, or a bundle in SSL_CERT_FILE")
        }
        (Some(Fault::NotTls), _) => Some("if the registry has no TLS, type --plain-http"),
        (Some(fault), _) if hint_of_fault(fault).is_some() => hint_of_fault(fault),
        (_, SourceErrorKind::NotFound) => Some(
            "the registry may want a project or repository to be made first; a path before all names is part of \
             REGISTRY: `host/project`",
        ),
        (_, SourceErrorKind::Denied | SourceErrorKind::RateLimited | SourceErrorKind::Connection) => {
            hint_of_source(error)
        }
        _ => None,
    }
}

fn hint_of_listening(kind: ErrorKind) -> Option<&'static str> {
    let hints = [
        (
            ErrorKind::AddrInUse,
            "something listens there already (`ss -ltnp` says what); choose another place with --listen",
        ),
        (
            ErrorKind::AddrNotAvailable,
            "this machine does not have that address (`ip address` says which it has); without --listen every \
             address is listened on",
        ),
        (
            ErrorKind::PermissionDenied,
            "ports below 1024 are for root, or for who has CAP_NET_BIND_SERVICE; choose another with --listen",
        ),
    ];
    hints.into_iter().find(|(of, _)| *of == kind).map(|(_, hint)| hint)
}
