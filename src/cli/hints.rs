//! What to do about an error: one list of the types that know, each with what it knows.
//!
//! A hint is never part of an error. It says what to type, and is chosen from the types in the error's chain.

mod images;
mod kits;
mod packages;
mod secrets;

use std::error::Error;
use std::io;

use crate::bill::BillError;
use crate::check::OpenError;
use crate::cli::environment::UnusableTime;
use crate::cli::session::NoLock;
use crate::fetch::files::FileError;
use crate::fetch::pulls::NoPullsLeft;
use crate::fetch::transfer::TransferError;
use crate::inspect::InspectError;
use crate::lockfile::LockfileError;
use crate::oci::graph::GraphError;
use crate::oci::{SourceError, SourceErrorKind};
use crate::ops::build::BuildError;
use crate::ops::ca::CaError;
use crate::ops::cluster::ClusterError;
use crate::ops::deliver::DeliverError;
use crate::ops::diff::DiffError;
use crate::ops::init::InitError;
use crate::ops::inputs::InSecrets;
use crate::ops::iso::IsoError;
use crate::ops::k3s::K3sError;
use crate::ops::lock::{CheckError, LockError};
use crate::ops::mirror::MirrorError;
use crate::ops::output::Irreplaceable;
use crate::ops::pack::PackError;
use crate::ops::packages::{LooseError, PackagesError, PinnedError, SigningError, SuiteError};
use crate::ops::page::PageError;
use crate::ops::parts::PartsError;
use crate::ops::preflight::PreflightError;
use crate::ops::push::PushError;
use crate::ops::serve::ServeError;
use crate::registry::Fault;
use crate::secrets::SecretsError;
use crate::spec::SpecError;
use crate::store::StoreError;
use crate::verify::VerifyError;

/// An error about which something can be done.
trait Hint: Error + Sized + 'static {
    /// What becomes of the hints of its causes.
    const BELOW: Below = Below::Heard;

    /// Returns what to do; `None` where nothing is known, or where its cause has the hint.
    fn hint(&self) -> Option<&'static str> {
        None
    }

    /// Returns everything that can be done.
    fn hints(&self) -> Vec<String> {
        self.hint().map(str::to_owned).into_iter().collect()
    }
}

/// Which hints of causes are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    /// All of them.
    Heard,
    /// None about the names of images and logins.
    NotOfImages,
    /// None.
    Silent,
}

/// The hints of one error, and what becomes of those below it.
type Advice = (Vec<String>, Below);

/// Returns the hints of an error if it is of this type, or of one in a box.
fn known<E: Hint>(error: &(dyn Error + 'static)) -> Option<Advice> {
    let boxed = || error.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
    error.downcast_ref::<E>().or_else(boxed).map(|error| (error.hints(), E::BELOW))
}

/// What to do about a clock that cannot be right.
const CLOCK: &str = "set the clock of this machine: what certificates say of time comes from it";

/// All types that know something.
const TYPES: [fn(&(dyn Error + 'static)) -> Option<Advice>; 40] = [
    known::<BillError>,
    known::<BuildError>,
    known::<CaError>,
    known::<SecretsError>,
    known::<CheckError>,
    known::<ClusterError>,
    known::<DeliverError>,
    known::<DiffError>,
    known::<Fault>,
    known::<FileError>,
    known::<GraphError>,
    known::<InSecrets>,
    known::<InitError>,
    known::<InspectError>,
    known::<Irreplaceable>,
    known::<IsoError>,
    known::<K3sError>,
    known::<LockError>,
    known::<LockfileError>,
    known::<LooseError>,
    known::<MirrorError>,
    known::<NoLock>,
    known::<NoPullsLeft>,
    known::<OpenError>,
    known::<PackError>,
    known::<PackagesError>,
    known::<PageError>,
    known::<PinnedError>,
    known::<PreflightError>,
    known::<PushError>,
    known::<ServeError>,
    known::<SigningError>,
    known::<SourceError>,
    known::<SpecError>,
    known::<StoreError>,
    known::<SuiteError>,
    known::<TransferError>,
    known::<UnusableTime>,
    known::<VerifyError>,
    known::<io::Error>,
];

/// Returns what can be done about an error, each hint once, those of the outermost first.
pub(super) fn of(error: &anyhow::Error) -> Vec<String> {
    let mut all = Vec::new();
    let mut below = Below::Heard;
    for cause in error.chain() {
        let Some((hints, own)) = TYPES.iter().find_map(|known| known(cause)) else { continue };
        if below == Below::Heard || !speaks_of_images(cause) {
            all.extend(hints);
        }
        match own {
            Below::Heard => {}
            Below::NotOfImages => below = own,
            Below::Silent => break,
        }
    }
    let mut unique = Vec::new();
    for hint in all {
        if !unique.contains(&hint) {
            unique.push(hint);
        }
    }
    unique
}

fn speaks_of_images(cause: &(dyn Error + 'static)) -> bool {
    use SourceErrorKind::{Denied, Local, NotFound};
    cause.downcast_ref::<SourceError>().is_some_and(|error| matches!(error.kind, Denied | Local | NotFound))
}

/// What to do about a full disk.
const MORE_SPACE: &str = "free some space (`df -h` and `df -i` say where it is short), or choose other places \
                          with --output and --cache-dir";

/// What to do about a disk of which the user has had a share.
const MORE_QUOTA: &str = "free some space of your own (`quota -s` says how much you may have), or choose other places \
                          with --output and --cache-dir";

/// What to do about a file that is too large for its place.
const LARGER_FILES: &str = "`ulimit -f unlimited` lifts a limit of this shell; a file on FAT32 has less than 4 GiB: \
                            choose other places with --output and --cache-dir";

/// What to do about a place that takes nothing.
const WRITABLE: &str = "choose a place that you may write to with --output or --cache-dir";

impl Hint for BuildError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Parts(PartsError::Clock { .. }) => Some(CLOCK),
            Self::Unfit { .. } => Some(
                "`seedkit check --explain ID` tells the story behind a finding; `allow` in seedkit.yaml accepts one",
            ),
            Self::Output(_)
            | Self::Preflight(_)
            | Self::Parts(_)
            | Self::Iso(_)
            | Self::Write(..)
            | Self::Reopen(_)
            | Self::Deliver(_) => None,
            Self::Unsound(_) => Some(
                "the disk gives back other bytes than were written to it: look at it (`dmesg`), and run it again",
            ),
        }
    }
}

impl Hint for CheckError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Stale(_)).then_some("run `seedkit lock`, review the difference, and commit it")
    }
}

impl Hint for UnusableTime {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Variable(_) => {
                "`date +%s` prints the seconds of now, `git log -1 --format=%ct` those of the last commit; `unset \
                 SOURCE_DATE_EPOCH` lets the clock's time count"
            }
            Self::Clock(_) => CLOCK,
        })
    }
}

impl Hint for FileError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Store(_, _, StoreError::Mismatch(_))).then_some(
            "the file changed where it comes from: look at it, then correct its checksum in the spec or run \
             `seedkit lock`",
        )
    }
}

impl Hint for InSecrets {
    fn hint(&self) -> Option<&'static str> {
        Some("if nothing in it is secret, move it to another folder")
    }
}

impl Hint for InitError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Exist(_)).then_some("name another folder, or move them away")
    }
}

impl Hint for Irreplaceable {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Other(..) | Self::Holds(..) => "choose another folder with --output, or move this one away",
            Self::Within(..) => "choose a folder outside of it",
        })
    }
}

impl Hint for LockError {
    fn hints(&self) -> Vec<String> {
        if let Self::Images { failures, .. } = self {
            return failures.iter().flat_map(|failure| failure.source.hints()).collect();
        }
        let hint = match self {
            Self::UnknownRelease(_) => {
                "give the release's own list as `k3s.images` (a path or URL of its k3s-images.txt), or set \
                 `images.k3s: false`"
            }
            Self::SameName { .. } => {
                "give one of them another name in the second column of its image list, or take it out"
            }
            Self::ReadList(..) => {
                "check the path or address of the list under `images.lists` or `k3s.images`"
            }
            // The causes below have them.
            Self::Lists(_)
            | Self::File(_)
            | Self::K3s(_)
            | Self::Packages(_)
            | Self::Pulls(_)
            | Self::Several(_)
            | Self::Images { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

impl Hint for LockfileError {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Malformed(_) | Self::Duplicate { .. } => {
                "take it back from version control, or remove it and run `seedkit lock`"
            }
            Self::Version { .. } => "use the seedkit that wrote it, or remove it and run `seedkit lock`",
        })
    }
}

impl Hint for MirrorError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PlatformsDiffer(_) => Some(
                "the lock was changed by hand or by a merge: run `seedkit lock`, review the difference, and commit it",
            ),
            Self::Changed { .. } => Some(
                "run the same command again: the blob is fetched anew; find out who else writes to the store, or to a \
                 kit that shares its files (--copy shares none)",
            ),
            Self::Output(_) | Self::Transfer(_) | Self::Pulls(_) | Self::Layout(..) | Self::Unsure(..) => {
                None
            }
        }
    }
}

impl Hint for NoLock {
    fn hint(&self) -> Option<&'static str> {
        Some("run `seedkit lock`, review the result, and commit it")
    }
}

impl Hint for PackError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::NoPackages)
            .then_some("write a section `packages` into the spec, with `suite`, `sources` and `names`")
    }
}

impl Hint for PreflightError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::NoSpace { .. }).then_some(MORE_SPACE)
    }
}

impl Hint for SpecError {
    fn hint(&self) -> Option<&'static str> {
        matches!(self, Self::Read { .. })
            .then_some("name the spec with --file, or make one with `seedkit init`")
    }
}

impl Hint for StoreError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read(..) => {
                Some("look at the disk of the store (`dmesg`), or choose another with --cache-dir")
            }
            Self::ReadContent(_) | Self::TooLarge(_) => None,
            // Who fetched it knows where it came from; what the disk says has a hint of its own.
            Self::Mismatch(_) | Self::Write(..) => None,
        }
    }
}

impl Hint for io::Error {
    fn hint(&self) -> Option<&'static str> {
        use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let hints = [
            (StorageFull, MORE_SPACE),
            (QuotaExceeded, MORE_QUOTA),
            (FileTooLarge, LARGER_FILES),
            (PermissionDenied, WRITABLE),
            (ReadOnlyFilesystem, WRITABLE),
        ];
        hints.into_iter().find(|(kind, _)| *kind == self.kind()).map(|(_, hint)| hint)
    }
}

#[cfg(test)]
mod tests;
