//! From the spec's request to pinned packages.

use std::path::Path;

use super::PackagesError;
use super::indices::{Index, Mirrors};
use crate::deb::baseline::{parse_manifest, parse_status};
use crate::deb::index::{self, Priority};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::lockfile::{LockedPackage, LockedPackages, PackageRequest};
use crate::oci::Platform;
use crate::ops::Equipment;
use crate::ops::sources::Sources;
use crate::packages::{Baseline, Options, Request, Selected, Suite, Universe, closure};
use crate::spec::{BaselinePriority, PackageBaseline, PackageSource, Packages, Spec};

/// Every suite counts alike: the latest version wins, as with apt's own default.
const PRIORITY: u32 = 500;

/// Returns what the spec asks for, as the lock compares it; files are named by their digests.
pub fn request(packages: &Packages) -> Result<PackageRequest, PackagesError> {
    let Packages { suite, sources, baseline, names, recommends, extra } = packages;
    let digest = |path: &Path| read(path).map(|bytes| Digest::sha256(&bytes));
    let baseline = match baseline {
        PackageBaseline::None => "none".to_owned(),
        PackageBaseline::Priority(BaselinePriority::Required) => "priority required".to_owned(),
        PackageBaseline::Priority(BaselinePriority::Important) => "priority important".to_owned(),
        PackageBaseline::Status(path) => format!("status {}", digest(path)?),
        PackageBaseline::Manifest(path) => format!("manifest {}", digest(path)?),
    };
    let source = |PackageSource { urls, suites, components, keyring: _ }: &PackageSource| {
        let urls: Vec<&str> = urls.iter().map(|url| url.as_str()).collect();
        format!("{} {} {}", urls.join(","), suites.join(","), components.join(","))
    };
    let mut names = names.clone();
    names.sort();
    if let Some(path) = extra.first() {
        return Err(PackagesError::LooseFile { path: path.clone() });
    }
    Ok(PackageRequest {
        suite: suite.clone(),
        names,
        recommends: *recommends,
        baseline,
        sources: sources.iter().map(source).collect(),
        extra: Vec::new(),
    })
}

/// Resolves the request anew, for every platform of the spec.
pub fn resolve(
    spec: &Spec,
    packages: &Packages,
    mirrors: (&Sources, Epoch, Option<&LockedPackages>),
    equipment: &Equipment<'_>,
) -> Result<LockedPackages, PackagesError> {
    let (sources, now, previous) = mirrors;
    let mirrors = Mirrors { sources, equipment, now, previous };
    let architectures: Vec<&str> = spec.platforms.iter().map(architecture).collect::<Result<_, _>>()?;
    let mut indices = Vec::new();
    for source in &packages.sources {
        indices.extend(mirrors.read(source, &architectures)?);
    }
    let mut locked = Vec::new();
    for architecture in &architectures {
        locked.extend(solve(packages, architecture, &indices)?);
    }
    let indices = indices.into_iter().map(|index| index.locked).collect();
    Ok(LockedPackages::new(request(packages)?, indices, locked))
}

fn architecture(platform: &Platform) -> Result<&'static str, PackagesError> {
    Packages::architecture(platform).ok_or_else(|| PackagesError::NoArchitecture(platform.clone()))
}

fn solve(
    packages: &Packages,
    architecture: &str,
    indices: &[Index],
) -> Result<Vec<LockedPackage>, PackagesError> {
    let own: Vec<&Index> = indices.iter().filter(|index| index.locked.architecture == architecture).collect();
    let suites = own.iter().copied().map(suite_of).collect::<Result<_, _>>()?;
    let universe = Universe::new(architecture, suites).map_err(PackagesError::Universe)?;
    let base_text = base_text(&packages.baseline)?;
    let baseline = baseline(&packages.baseline, &base_text, architecture)?;
    let requests: Vec<Request> = packages
        .names
        .iter()
        .map(|name| name.parse().map_err(PackagesError::Request))
        .collect::<Result<_, _>>()?;
    let options = Options { recommends: packages.recommends };
    let closure = closure::solve(&universe, &baseline, &requests, options)
        .map_err(|source| PackagesError::Unsolvable { architecture: architecture.to_owned(), source })?;
    let url =
        |suite: &str| own.iter().find(|index| index.locked.suite == suite).map(|index| &index.locked.url);
    let lock = |selected: &Selected<'_>| {
        let file = selected.package.file.as_ref()?;
        Some(LockedPackage {
            target: architecture.to_owned(),
            name: selected.package.name.to_owned(),
            version: selected.package.version.as_str().to_owned(),
            architecture: selected.package.architecture.to_owned(),
            suite: selected.suite.to_owned(),
            url: url(selected.suite)?.clone(),
            path: file.path.to_owned(),
            size: file.size,
            sha256: file.digest.clone(),
            why: selected.why.to_string(),
            stanza: selected.package.stanza().raw().trim_end().to_owned(),
        })
    };
    Ok(closure.packages().iter().filter_map(lock).collect())
}

fn suite_of(index: &Index) -> Result<Suite<'_>, PackagesError> {
    let name = || index.locked.suite.clone();
    let packages =
        index::parse(&index.text).map_err(|source| PackagesError::Malformed { what: name(), source })?;
    Ok(Suite { name: name(), priority: PRIORITY, packages })
}

fn base_text(baseline: &PackageBaseline) -> Result<String, PackagesError> {
    match baseline {
        PackageBaseline::None | PackageBaseline::Priority(_) => Ok(String::new()),
        PackageBaseline::Status(path) | PackageBaseline::Manifest(path) => {
            let bytes = read(path)?;
            String::from_utf8(bytes).map_err(|error| PackagesError::Read {
                path: path.clone(),
                source: std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error()),
            })
        }
    }
}

fn baseline<'text>(
    baseline: &PackageBaseline,
    text: &'text str,
    architecture: &str,
) -> Result<Baseline<'text>, PackagesError> {
    Ok(match baseline {
        PackageBaseline::None => Baseline::None,
        PackageBaseline::Priority(BaselinePriority::Required) => Baseline::Priority(Priority::Required),
        PackageBaseline::Priority(BaselinePriority::Important) => Baseline::Priority(Priority::Important),
        PackageBaseline::Status(path) => Baseline::Status(
            parse_status(text)
                .map_err(|source| PackagesError::Malformed { what: path.display().to_string(), source })?,
        ),
        PackageBaseline::Manifest(path) => Baseline::Manifest(
            parse_manifest(text, architecture)
                .map_err(|source| PackagesError::Manifest { path: path.clone(), source })?,
        ),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PackagesError> {
    fs_err::read(path).map_err(|source| PackagesError::Read { path: path.to_owned(), source })
}
