//! From pinned packages to bundles: the pool and the store are all that is read.

use std::collections::BTreeSet;
use std::io::Read;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{LooseError, PackagesError, loose};
use crate::artifact::Artifact;
use crate::deb::archive::{self, InvalidPackage, LARGEST_UNPACKED};
use crate::deb::signature::SigningKey;
use crate::digest::HashingWriter;
use crate::fetch::Equipment;
use crate::fetch::failures::Failures;
use crate::fetch::sources::Sources;
use crate::fs::{named_temporary, open_regular, publish};
use crate::lockfile::{LockedPackage, LockedPackages, PackageOrigin};
use crate::oci::SourceError;
use crate::opsbundle::{Bundle, BundleInput, BundledPackage, Signer};
use crate::parallel;
use crate::progress::{Bytes, Event, step};
use crate::spec::Spec;
use crate::store::{CompleteError, Completed, Descriptor, Staged, StoreError};
use crate::template::Templates;
use crate::tree::Content;

/// Why a pinned package cannot be had. A package and its version come first.
#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    /// No mirror has it any more.
    #[error("package `{0}` {1} cannot be fetched from any mirror")]
    Gone(String, String, #[source] SourceError),
    /// It has the locked digest, and no node could unpack it.
    #[error("package `{0}` {1} cannot be used")]
    Unusable(String, String, #[source] InvalidPackage),
    /// It has the locked digest, and is not what its index says.
    #[error("the file of package `{expected}` is package `{found}`")]
    Other {
        /// Name, version and architecture, as the lock has them.
        expected: String,
        /// Those of the file.
        found: String,
    },
    /// It is not what the lock says, or cannot be kept.
    #[error("package `{0}` cannot be stored")]
    Store(String, #[source] StoreError),
}

/// A finished bundle.
#[derive(Debug, Clone, Serialize)]
pub struct PackedBundle {
    /// Where it is.
    pub path: PathBuf,
    /// Its name, which is that of the folder in it.
    #[serde(skip)]
    pub name: String,
    /// The architecture it is for, as dpkg names it.
    pub architecture: String,
    /// Its digest and size.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// How many packages it has.
    pub packages: usize,
}

/// Makes sure that every pinned package is in the store.
///
/// A loose file is read again if it is not there.
pub fn fetch(
    locked: &LockedPackages,
    spec: &Spec,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(), PackagesError> {
    let missing: Vec<&LockedPackage> =
        locked.packages.iter().filter(|package| !equipment.store.is_whole(&descriptor_of(package))).collect();
    let bytes = missing.iter().map(|package| package.size).sum();
    equipment.reporter.report(Event::Planned { bytes, items: missing.len() as u64 });
    let results = parallel::map(&missing, equipment.jobs, |package| {
        match &package.origin {
            PackageOrigin::Pool { suite, url, path } => {
                download(package, path, urls(spec, suite, url), sources, equipment)?;
            }
            PackageOrigin::File { path } => take_in(package, path, spec, equipment)?,
        }
        equipment.reporter.report(Event::ItemFinished(package.name.clone()));
        Ok(())
    });
    sources.say_complaints(equipment.reporter);
    if !equipment.keep_going {
        return results.into_iter().collect();
    }
    let mut failures = Failures(Vec::new());
    for (package, result) in missing.iter().zip(results) {
        failures.note(("package", &package.name), result);
    }
    failures.into_result().map_err(PackagesError::Several)
}

/// Returns the mirror that the lock names, then the others that have the suite.
fn urls(spec: &Spec, suite: &str, locked: &str) -> impl Iterator<Item = String> {
    let sources = spec.packages.iter().flat_map(|packages| &packages.sources);
    let others = sources.filter(move |source| source.suites.iter().any(|other| other == suite));
    let others = others.flat_map(|source| &source.urls).map(|url| url.text(&spec.folder));
    std::iter::once(locked.to_owned()).chain(others.filter(move |other| other != locked))
}

fn download(
    package: &LockedPackage,
    path: &str,
    urls: impl Iterator<Item = String>,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(), PinnedError> {
    let descriptor = descriptor_of(package);
    let advance = |bytes| equipment.reporter.report(Event::Advanced(bytes));
    match sources.complete(path, &sources.places(urls), &descriptor, advance) {
        Ok(Completed::Present) => Ok(()),
        Ok(Completed::Staged { staged, .. }) => keep(package, staged, equipment),
        Err(CompleteError::Open(source)) => {
            Err(PinnedError::Gone(package.name.clone(), package.version.clone(), source))
        }
        Err(CompleteError::Store(source)) => Err(PinnedError::Store(package.name.clone(), source)),
    }
}

/// Reads a loose file into the store, if it is still what was locked.
fn take_in(
    package: &LockedPackage,
    path: &str,
    spec: &Spec,
    equipment: &Equipment<'_>,
) -> Result<(), PackagesError> {
    // The paths are the spec's: the lock says which one, not where on this machine to read.
    let extra = spec.packages.iter().flat_map(|packages| &packages.extra);
    let mut files = extra.filter(|file| loose::text_of(file, &spec.folder) == path);
    let gone = |source| LooseError::Gone(path.to_owned(), source);
    let file = files.next().ok_or_else(|| gone(std::io::ErrorKind::NotFound.into()))?;
    let advance = |bytes| equipment.reporter.report(Event::Advanced(bytes));
    let reader = open_regular(file).map_err(gone)?;
    let staged = equipment.store.stage(&descriptor_of(package), reader, advance);
    let fail = |source| PinnedError::Store(package.name.clone(), source);
    Ok(keep(package, staged.map_err(fail)?, equipment)?)
}

/// Keeps a package that has the locked digest, if it is what its index says it is.
fn keep(package: &LockedPackage, staged: Staged, equipment: &Equipment<'_>) -> Result<(), PinnedError> {
    let fail = |source| PinnedError::Store(package.name.clone(), source);
    let read = |source| StoreError::Read(package.sha256, source);
    check(package, staged.open().map_err(read).map_err(fail)?)?;
    equipment.store.keep(staged).map_err(fail)
}

/// Refuses what a node could not unpack, or would unpack as another package.
fn check(package: &LockedPackage, content: impl Read) -> Result<(), PinnedError> {
    let LockedPackage { name, version, architecture, .. } = package;
    let unusable = |source| PinnedError::Unusable(name.clone(), version.clone(), source);
    let found = archive::read(content, LARGEST_UNPACKED).map_err(unusable)?;
    let stanza = found.stanza().map_err(unusable)?;
    let is_same =
        stanza.name == name && stanza.version.as_str() == version && stanza.architecture == architecture;
    if !is_same {
        return Err(PinnedError::Other {
            expected: format!("{name} {version} {architecture}"),
            found: format!("{} {} {}", stanza.name, stanza.version, stanza.architecture),
        });
    }
    Ok(())
}

/// Refuses a lock that no bundle could be made of; nothing is read or written.
pub(super) fn check_plans(locked: &LockedPackages, equipment: &Equipment<'_>) -> Result<(), PackagesError> {
    plans(locked, &Templates::builtin(), None, equipment).map(drop)
}

/// What is packed, and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The packages.
    pub locked: &'a LockedPackages,
    /// Where they come from.
    pub sources: &'a Sources,
    /// What signs the bundles, where something does.
    pub key: Option<&'a SigningKey>,
    /// The folder that the bundles are written into.
    pub folder: &'a Path,
}

/// Brings the packages into the store and writes the bundle of each architecture, as a step.
pub fn pack(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Vec<PackedBundle>, PackagesError> {
    let Options { spec, locked, sources, .. } = *options;
    step(equipment.reporter, "pack ops packages", || {
        fetch(locked, spec, sources, equipment)?;
        let bundles = bundles(options, equipment)?;
        let bytes: u64 = bundles.iter().map(|bundle| bundle.artifact.size).sum();
        let summary = format!("{} packages, {}", locked.packages.len(), Bytes(bytes));
        Ok((bundles, summary))
    })
}

fn bundles(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Vec<PackedBundle>, PackagesError> {
    let Options { spec, locked, sources: _, key, folder } = *options;
    let templates = match &spec.templates {
        Some(folder) => Templates::with_overrides(folder).map_err(PackagesError::Templates)?,
        None => Templates::builtin(),
    };
    let signing = spec.packages.as_ref().and_then(|packages| packages.sign.as_ref());
    let node_keyring = signing.and_then(|signing| signing.node_keyring.as_deref());
    let signer = key.map(|key| Signer { key, node_keyring });
    plans(locked, &templates, signer, equipment)?
        .into_iter()
        .map(|plan| plan.write(folder, equipment))
        .collect()
}

/// A bundle that is not written yet.
struct Plan<'lock> {
    architecture: &'lock str,
    bundle: Bundle,
    packages: usize,
}

fn plans<'lock>(
    locked: &'lock LockedPackages,
    templates: &Templates,
    signer: Option<Signer<'_>>,
    equipment: &Equipment<'_>,
) -> Result<Vec<Plan<'lock>>, PackagesError> {
    let targets: BTreeSet<&str> = locked.packages.iter().map(|package| package.target.as_str()).collect();
    let mut plans = Vec::new();
    // The newest index's date: the same lock gives the same bundle, whenever it is packed.
    let Some(epoch) = locked.indices.iter().map(|index| index.date).max() else { return Ok(plans) };
    for architecture in targets {
        let (requested, packages) =
            (requested(locked, architecture), bundled(locked, architecture, equipment));
        let suite = &locked.request.suite;
        let input =
            BundleInput { suite, architecture, requested: &requested, packages: &packages, epoch, signer };
        let fail = |source| PackagesError::Bundle(architecture.to_owned(), source);
        let bundle = Bundle::plan(&input, templates).map_err(fail)?;
        plans.push(Plan { architecture, bundle, packages: packages.len() });
    }
    Ok(plans)
}

fn bundled(locked: &LockedPackages, target: &str, equipment: &Equipment<'_>) -> Vec<BundledPackage> {
    let bundled = |package: &LockedPackage| BundledPackage {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        stanza: package.stanza.clone(),
        content: Content::file(equipment.store.path(&package.sha256), package.sha256, package.size),
        sha256: package.sha256,
        why: package.why.clone(),
    };
    locked.packages.iter().filter(|package| package.target == target).map(bundled).collect()
}

impl Plan<'_> {
    fn write(self, folder: &Path, equipment: &Equipment<'_>) -> Result<PackedBundle, PackagesError> {
        let Self { architecture, bundle, packages } = self;
        let fail = |source| PackagesError::Bundle(architecture.to_owned(), source);
        let write_error = |source| PackagesError::Write(folder.to_owned(), source);
        let workers = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let output = HashingWriter::new(named_temporary(folder).map_err(write_error)?);
        let written = bundle.write(workers, output).inspect_err(|error| equipment.store.evict_wrong(error));
        let (temporary, digest, size) = written.map_err(fail)?.finish();
        let path = folder.join(bundle.file_name());
        publish(temporary, &path, 0o644).map_err(write_error)?;
        Ok(PackedBundle {
            path,
            name: bundle.name().to_owned(),
            architecture: architecture.to_owned(),
            artifact: Artifact { digest, size },
            packages,
        })
    }
}

/// Returns the names that the node installs: those asked for, and the loose files of its architecture.
///
/// What the base has in a later version than any suite is asked for and not in the bundle.
fn requested(locked: &LockedPackages, target: &str) -> BTreeSet<String> {
    let plain_name = |request: &String| request.split('=').next().unwrap_or(request).to_owned();
    let names: BTreeSet<String> = locked.request.names.iter().map(plain_name).collect();
    let is_asked_for = |package: &&LockedPackage| match package.origin {
        PackageOrigin::File { .. } => true,
        PackageOrigin::Pool { .. } => names.contains(&package.name),
    };
    let own = locked.packages.iter().filter(|package| package.target == target);
    own.filter(is_asked_for).map(|package| package.name.clone()).collect()
}

fn descriptor_of(package: &LockedPackage) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.debian.binary-package".to_owned(),
        digest: package.sha256,
        size: package.size,
    }
}
