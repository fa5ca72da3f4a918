//! Why a build ends without a kit.

use std::path::PathBuf;

use crate::artifact::Finding;
use crate::check;
use crate::ops::deliver::DeliverError;
use crate::ops::iso::IsoError;
use crate::ops::output::Irreplaceable;
use crate::ops::parts::PartsError;
use crate::ops::preflight::PreflightError;
use crate::text::counted;

/// Why there is no new kit. The old one, if there is one, is untouched.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// What stands at the kit's place is something else.
    #[error("cannot put the kit there")]
    Output(#[from] Irreplaceable),
    /// There is not enough space.
    #[error("there is no room for the kit")]
    Preflight(#[from] PreflightError),
    /// A part of it cannot be had.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A seed cannot be made.
    #[error("cannot make the seeds")]
    Iso(#[from] IsoError),
    /// The kit's folder refuses.
    #[error("cannot write the kit `{0}`")]
    Write(PathBuf, #[source] std::io::Error),
    /// The kit cannot be read back.
    #[error("cannot read the new kit back")]
    Reopen(#[from] check::OpenError),
    /// What was written is not what was meant; wrong blobs were taken out of the store.
    #[error("the kit is not what it should be: {} in it", counted(.0.len(), "finding"))]
    Unsound(Vec<Finding>),
    /// Its parts do not fit each other; nothing was published.
    #[error("the kit would not work: {} in it that stop a node or the cluster", counted(.0.len(), "error"))]
    Unfit(Vec<check::Finding>),
    /// The seeds could not be copied; the kit itself is whole and published.
    #[error("the kit is whole, but its seeds were not delivered")]
    Deliver(#[from] DeliverError),
}
