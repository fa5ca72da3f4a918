//! What kits and seeds alone are made of: the steps that bring everything here, and pack it.

use std::path::Path;

use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fetch::failures::Failures;
use crate::fetch::files::{self, FileError};
use crate::fetch::sources::Sources;
use crate::lockfile::Locked;
use crate::ops::ca::{self, CaError, Certificates};
use crate::ops::k3s::{self, K3sError};
use crate::ops::mirror::{self, MirrorError, Mirrored};
use crate::ops::pack::{self, PackError, Packed};
use crate::ops::packages::{self, PackagesError, PackedBundle};
use crate::progress::step;
use crate::secrets::Secrets;
use crate::spec::Spec;

/// How far a clock may be behind a lock, in seconds: that of another machine may have made it.
const DAY: u64 = 24 * 60 * 60;

/// What they are made from.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The lock that fits it.
    pub locked: &'a Locked,
    /// Where images and files come from.
    pub sources: &'a Sources,
    /// Keys and tokens.
    pub secrets: &'a Secrets,
    /// When it is: certificates that are missing are made for this time, and all must be valid at it. Everything
    /// else in the kit carries the lock's time.
    pub now: Epoch,
}

/// Why one of them cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// A file cannot be had.
    #[error("cannot fetch the files")]
    File(#[from] FileError),
    /// The k3s executable is not that of the spec, or lacks an image.
    #[error("cannot use the k3s executables")]
    K3s(#[from] K3sError),
    /// An image cannot be had.
    #[error("cannot mirror the images")]
    Mirror(#[from] MirrorError),
    /// Some things cannot be had; all others are in the store.
    #[error("there is no kit, for it would have holes")]
    Several(#[from] Failures),
    /// The clock is wrong.
    #[error("the clock says {now}, and the lock was made at {locked}")]
    Clock {
        /// What the clock says.
        now: Epoch,
        /// The lock's time.
        locked: Epoch,
    },
    /// The certificates do not fit.
    #[error("cannot use the registry's certificates")]
    Ca(#[from] CaError),
    /// A tarball cannot be written.
    #[error("cannot pack the images")]
    Pack(#[from] PackError),
    /// Ops packages cannot be packed.
    #[error("cannot pack the ops packages")]
    Packages(#[from] PackagesError),
}

/// All of them.
#[derive(Debug)]
pub struct Parts {
    /// The images, in the store.
    pub mirrored: Mirrored,
    /// The registry's certificates.
    pub certificates: Certificates,
    /// The tarballs, in the order of the lock's platforms.
    pub tarballs: Vec<Packed>,
    /// The bundles of ops packages, one for each architecture; none if the spec wants none.
    pub bundles: Vec<PackedBundle>,
}

/// Brings everything into the store, and packs it into `folder`; the images become a layout in `layout` if there is one.
///
/// If the rest is to be finished when something cannot be had, nothing is made of anything before all of it is there.
pub fn make(
    options: &Options<'_>,
    folder: &Path,
    layout: Option<mirror::Target<'_>>,
    equipment: &Equipment<'_>,
) -> Result<Parts, PartsError> {
    let Options { spec, locked, sources, secrets, now } = *options;
    // Certificates that are made by such a clock have ended when nodes look at them.
    if now.seconds().saturating_add(DAY) < locked.epoch().seconds() {
        return Err(PartsError::Clock { now, locked: locked.epoch() });
    }
    if equipment.keep_going {
        fetch_all(options, equipment)?;
    }
    fetch_files(options, equipment)?;
    let mirrored = mirror::images(locked, sources, layout, equipment)?;
    let certificates = ca::certificates(spec, secrets, now, equipment.reporter)?;
    let tarballs = pack::tarballs(&mirrored, locked, spec.compression.into(), folder, equipment)?;
    let bundles = match &locked.lockfile().packages {
        Some(locked) => {
            let key = packages::signing_key(spec, secrets, now).map_err(PackagesError::from)?;
            let options = packages::Options { spec, locked, sources, key: key.as_ref(), folder };
            packages::pack(&options, equipment)?
        }
        None => Vec::new(),
    };
    Ok(Parts { mirrored, certificates, tarballs, bundles })
}

fn fetch_all(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<(), PartsError> {
    let Options { spec, locked, sources, .. } = *options;
    step(equipment.reporter, "fetch everything", || {
        let mut failures = Failures(Vec::new());
        failures.note(("file", "the files"), files::fetch(locked, spec, sources, equipment));
        failures.note(("image", "the images"), mirror::fetch(locked, sources, equipment));
        if let Some(locked) = &locked.lockfile().packages {
            failures.note(("packages", "ops packages"), packages::fetch(locked, spec, sources, equipment));
        }
        failures.into_result()?;
        Ok(((), "all of it".to_owned()))
    })
}

fn fetch_files(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<(), PartsError> {
    let Options { spec, locked, sources, .. } = *options;
    step(equipment.reporter, "fetch files", || {
        files::fetch(locked, spec, sources, equipment)?;
        for remark in k3s::check(spec, locked.lockfile(), equipment)? {
            equipment.reporter.report(remark);
        }
        Ok(((), format!("{} files", locked.lockfile().files.len())))
    })
}
