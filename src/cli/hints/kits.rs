//! What to do about finished kits and other artifacts that cannot be verified, served, pushed, compared or shown.
//!
//! A finished kit is read, and nothing is written: what causes below would advise about other places would mislead.

use std::io::ErrorKind;

use super::{Below, Hint};
use crate::bill::BillError;
use crate::check::OpenError;
use crate::inspect::InspectError;
use crate::oci::{SourceError, SourceErrorKind};
use crate::ops::deliver::DeliverError;
use crate::ops::diff::DiffError;
use crate::ops::page::PageError;
use crate::ops::push::PushError;
use crate::ops::serve::ServeError;
use crate::registry::Fault;
use crate::serve::{PasswordsError, TlsError};
use crate::verify::VerifyError;

const NO_KIT: &str = "name the folder that `seedkit build` made: it has kit.json, images/ and registry/";
const OTHER_VERSION: &str = "use the seedkit that made the kit";
pub(super) const DAMAGED: &str = "`seedkit verify KIT` says what is missing or damaged; copy the kit again";

const FOR_OTHERS: &str = "it is not for this user to read: run it as the one that it belongs to";
const COPY_AGAIN: &str = "copy it again from where it was made, and compare both with `sha256sum`";

impl Hint for BillError {
    const BELOW: Below = Below::Silent;

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Read(_, source) if source.kind() == ErrorKind::PermissionDenied => FOR_OTHERS,
            Self::Read(..) => NO_KIT,
            Self::Version(..) => OTHER_VERSION,
            Self::Malformed(..) => DAMAGED,
        })
    }
}

impl Hint for VerifyError {
    const BELOW: Below = Below::Silent;

    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotAKit(_) => NO_KIT,
            Self::NoSums(_) | Self::Sums(..) => {
                "without its list nothing of a kit can be verified: copy the whole kit again from where it was built"
            }
            Self::Read(_, source) if source.kind() == ErrorKind::PermissionDenied => FOR_OTHERS,
            Self::Read(..) => "look at the disk that it is on (`dmesg`), or copy the kit again",
        })
    }
}

impl Hint for OpenError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bill(error) => error.hint(),
            Self::Alone(..) => Some(
                "`check` takes a kit, a disc, or images in an archive or layout; `inspect` looks into more",
            ),
            // The cause below has one.
            Self::Verify(_) | Self::Look(..) => None,
        }
    }
}

impl Hint for InspectError {
    const BELOW: Below = Below::Silent;

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unknown(..) => return vec![format!("seedkit looks into {}", Self::KINDS)],
            Self::Bill(error) => error.hint(),
            Self::Lock(_, error) => error.hint(),
            Self::Archive(..) | Self::Disc(..) => Some(COPY_AGAIN),
            Self::Read(_, source) if source.kind() == ErrorKind::PermissionDenied => Some(FOR_OTHERS),
            Self::Read(..) | Self::Certificates(..) => None,
        };
        hint.map(str::to_owned).into_iter().collect()
    }
}

impl Hint for DeliverError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::ReadsBackWrong(_)).then_some(
            "the drive does not keep what is written to it: deliver to another one; the kit has the seeds, too",
        )
    }
}

impl Hint for PageError {
    const BELOW: Below = Below::Silent;

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Inside { .. } => {
                Some("a kit has its own page, report.html; name a file outside of the kit for another one")
            }
            Self::Other { .. } => Some("name another file, or remove that one"),
            Self::Write { .. } => None,
        }
    }
}

impl Hint for DiffError {
    const BELOW: Below = Below::Silent;

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Mixed { .. } => Some(
                "compare two of one kind: a kit has no lock in it, so keep the lock that it was built from beside it",
            ),
            Self::Kind { .. } => {
                Some("name two files seedkit.lock, or two folders that `seedkit build` made")
            }
            Self::Damaged { .. } => Some(DAMAGED),
            Self::Inspect(_, InspectError::Bill(error)) => error.hint(),
            Self::Inspect(_, InspectError::Lock(_, error)) => error.hint(),
            Self::Inspect(..) => None,
        }
    }
}

impl Hint for ServeError {
    const BELOW: Below = Below::Silent;

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bill(error) => error.hint(),
            Self::Layout { .. } | Self::Tls(_, TlsError::Content(..) | TlsError::Pair { .. }) => {
                Some(DAMAGED)
            }
            Self::Tls(_, TlsError::Read(_, source)) if source.kind() == ErrorKind::PermissionDenied => {
                Some("the kit's key is for its owner: run it as that user")
            }
            Self::Tls(_, TlsError::Read(..)) => Some(DAMAGED),
            Self::Listen(_, source) => hint_of_listening(source.kind()),
            Self::Passwords(PasswordsError::Missing(_) | PasswordsError::Empty(_)) => Some(
                "write lines of `name:password` into it, or have `htpasswd -B -c FILE NAME` do so; keep it at mode 0600",
            ),
            Self::Passwords(_) | Self::Run(_) | Self::Unit(_) => None,
        }
    }
}

impl Hint for PushError {
    const BELOW: Below = Below::Silent;

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bill(error) => error.hint(),
            Self::Layout { .. } | Self::NotWhole { .. } => Some(DAMAGED),
            Self::Collision { .. } => Some(
                "give one of them another name in the second column of its image list and build again, or take \
                 --keep-registry",
            ),
            Self::Several(_) => None,
            Self::Client(source) | Self::Registry(_, source) => hint_of_pushing(source),
        }
    }
}

fn hint_of_pushing(error: &SourceError) -> Option<&'static str> {
    let fault: Option<&Fault> = error.cause.as_ref().and_then(|cause| cause.downcast_ref());
    match (fault, error.kind) {
        (Some(Fault::UnknownAuthority | Fault::AuthorityAsServer), _) => {
            Some("name the registry's authority with --ca-file, or a bundle in SSL_CERT_FILE")
        }
        (Some(Fault::NotTls), _) => Some("if the registry has no TLS, type --plain-http"),
        (Some(fault), _) if fault.hint().is_some() => fault.hint(),
        (_, SourceErrorKind::NotFound) => Some(
            "the registry may want a project or repository to be made first; a path before all names is part of \
             REGISTRY: `host/project`",
        ),
        (_, SourceErrorKind::Denied | SourceErrorKind::RateLimited | SourceErrorKind::Connection) => {
            error.hint()
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
            "ports below 1024 are for root, or for programs with CAP_NET_BIND_SERVICE; choose another with --listen",
        ),
    ];
    hints.into_iter().find(|(of, _)| *of == kind).map(|(_, hint)| hint)
}
