//! From pinned packages to bundles: the pool and the store are all that is read.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::Path;

use super::PackagesError;
use crate::artifact::Artifact;
use crate::digest::HashingWriter;
use crate::epoch::Epoch;
use crate::fs::named_temporary;
use crate::lockfile::{LockedPackage, LockedPackages};
use crate::oci::{SourceError, SourceErrorKind};
use crate::ops::sources::Sources;
use crate::ops::{Equipment, parallel};
use crate::opsbundle::{Bundle, BundleInput, BundledPackage};
use crate::progress::Event;
use crate::registry::PlainHttp;
use crate::spec::{Packages, Spec};
use crate::store::Descriptor;
use crate::template::Templates;
use crate::tree::Content;

/// A finished bundle.
#[derive(Debug, Clone)]
pub struct PackedBundle {
    /// The architecture it is for, as dpkg names it.
    pub architecture: String,
    /// Its file name.
    pub file_name: String,
    /// Its digest and size.
    pub artifact: Artifact,
    /// How many packages it has.
    pub packages: usize,
}

/// Makes sure that every pinned package is in the store.
pub fn fetch(
    locked: &LockedPackages,
    packages: &Packages,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(), PackagesError> {
    let missing: Vec<&LockedPackage> =
        locked.packages.iter().filter(|package| !equipment.store.contains(&descriptor_of(package))).collect();
    let bytes = missing.iter().map(|package| package.size).sum();
    equipment.reporter.report(Event::Planned { bytes, items: missing.len() as u64 });
    let results = parallel::map(&missing, equipment.jobs, |package| {
        fetch_one(package, packages, sources, equipment)?;
        equipment.reporter.report(Event::ItemFinished { name: package.name.clone() });
        Ok(())
    });
    results.into_iter().collect()
}

/// Tries the mirror that the lock names, then the others that have the suite.
fn fetch_one(
    package: &LockedPackage,
    packages: &Packages,
    sources: &Sources,
    equipment: &Equipment<'_>,
) -> Result<(), PackagesError> {
    let others = packages.sources.iter().filter(|source| source.suites.contains(&package.suite));
    let others = others.flat_map(|source| &source.urls).map(|url| url.as_str().trim_end_matches('/'));
    let mut urls: Vec<&str> = std::iter::once(package.url.as_str()).chain(others).collect();
    urls.dedup();
    let mut last = SourceError::new(SourceErrorKind::Invalid, "the spec names no mirror");
    for url in urls {
        match sources.download(&format!("{url}/{}", package.path), package.size, PlainHttp::Allowed) {
            Ok(reader) => {
                let advance = |bytes| equipment.reporter.report(Event::Advanced { bytes });
                return equipment
                    .store
                    .push(&descriptor_of(package), reader, advance)
                    .map_err(|source| PackagesError::Store { name: package.name.clone(), source });
            }
            Err(error) => last = error,
        }
    }
    Err(PackagesError::Gone { name: package.name.clone(), version: package.version.clone(), source: last })
}

/// Writes the bundle of each architecture into `folder`.
pub fn bundles(
    spec: &Spec,
    locked: &LockedPackages,
    folder: &Path,
    equipment: &Equipment<'_>,
) -> Result<Vec<PackedBundle>, PackagesError> {
    let templates = match &spec.templates {
        Some(folder) => Templates::with_overrides(folder).map_err(PackagesError::Templates)?,
        None => Templates::builtin(),
    };
    // The newest index's date: the same lock gives the same bundle, whenever it is packed.
    let epoch = locked.indices.iter().map(|index| index.date).max();
    let targets: BTreeSet<&str> = locked.packages.iter().map(|package| package.target.as_str()).collect();
    let Some(epoch) = epoch else { return Ok(Vec::new()) };
    targets
        .into_iter()
        .map(|target| write_bundle(locked, target, (epoch, &templates), folder, equipment))
        .collect()
}

fn write_bundle(
    locked: &LockedPackages,
    target: &str,
    (epoch, templates): (Epoch, &Templates),
    folder: &Path,
    equipment: &Equipment<'_>,
) -> Result<PackedBundle, PackagesError> {
    let bundled = |package: &LockedPackage| BundledPackage {
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        stanza: package.stanza.clone(),
        content: Content::Path { path: equipment.store.path(&package.sha256), size: package.size },
        sha256: package.sha256.clone(),
        why: package.why.clone(),
    };
    let packages: Vec<BundledPackage> =
        locked.packages.iter().filter(|package| package.target == target).map(bundled).collect();
    let requested = locked.request.names.iter().map(|name| plain_name(name).to_owned()).collect();
    let suite = &locked.request.suite;
    let input =
        BundleInput { suite, architecture: target, requested: &requested, packages: &packages, epoch };
    let fail = |source| PackagesError::Bundle { architecture: target.to_owned(), source };
    let write_error = |source| PackagesError::Write { folder: folder.to_owned(), source };
    let bundle = Bundle::plan(&input, templates).map_err(fail)?;
    let workers = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let output = HashingWriter::new(named_temporary(folder).map_err(write_error)?);
    let (temporary, digest, size) = bundle.write(workers, output).map_err(fail)?.finish();
    crate::fs::make_readable(temporary.as_file()).map_err(write_error)?;
    temporary.as_file().sync_data().map_err(write_error)?;
    let file_name = bundle.file_name();
    temporary.persist(folder.join(&file_name)).map_err(|error| write_error(error.error))?;
    Ok(PackedBundle {
        architecture: target.to_owned(),
        file_name,
        artifact: Artifact { digest, size },
        packages: packages.len(),
    })
}

fn plain_name(request: &str) -> &str {
    request.split_once('=').map_or(request, |(name, _)| name)
}

fn descriptor_of(package: &LockedPackage) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.debian.binary-package".to_owned(),
        digest: package.sha256.clone(),
        size: package.size,
    }
}
