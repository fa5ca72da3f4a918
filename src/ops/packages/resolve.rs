//! From the spec's request to pinned packages.

use std::path::Path;

use super::indices::{Index, Mirrors};
use super::loose::{self, Loose};
use super::{LooseError, PackagesError, bundle, read};
use crate::deb::baseline::{parse_manifest, parse_status};
use crate::deb::index::{self, Priority};
use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::lockfile::{LockedPackage, LockedPackages, LooseFile, PackageOrigin, PackageRequest};
use crate::oci::Platform;
use crate::packages::{Base, Baseline, Options, Origin, Request, Selected, Suite, Universe, closure};
use crate::spec::{BaselinePriority, PackageBaseline, PackageSource, Packages, Spec};

/// Every suite counts alike: the latest version wins, as with apt's own default.
const PRIORITY: u32 = 500;

/// Returns what the spec asks for, as the lock compares it; files are named by the digests they have now.
pub fn request(spec: &Spec, packages: &Packages) -> Result<PackageRequest, PackagesError> {
    request_with(spec, packages, loose::of_spec(spec, packages))
}

fn request_with(
    spec: &Spec,
    packages: &Packages,
    mut extra: Vec<LooseFile>,
) -> Result<PackageRequest, PackagesError> {
    let Packages { suite, sources, baseline, names, recommends, extra: _, sign: _ } = packages;
    let digest = |path: &Path| read(path).map(|bytes| Digest::sha256(&bytes));
    let baseline = match baseline {
        PackageBaseline::None => "none".to_owned(),
        PackageBaseline::Priority(BaselinePriority::Required) => "priority required".to_owned(),
        PackageBaseline::Priority(BaselinePriority::Important) => "priority important".to_owned(),
        PackageBaseline::Status(path) => format!("status {}", digest(path)?),
        PackageBaseline::Manifest(path) => format!("manifest {}", digest(path)?),
    };
    let source = |PackageSource { urls, suites, components, keyring: _ }: &PackageSource| {
        let urls: Vec<String> = urls.iter().map(|url| url.text(&spec.folder)).collect();
        format!("{} {} {}", urls.join(","), suites.join(","), components.join(","))
    };
    let mut names = names.clone();
    names.sort();
    extra.sort();
    Ok(PackageRequest {
        suite: suite.clone(),
        names,
        recommends: *recommends,
        baseline,
        sources: sources.iter().map(source).collect(),
        extra,
    })
}

/// Resolves the request anew, for every platform of the spec.
///
/// A release that is older than that of `mirrors.previous` is refused.
pub fn resolve(
    spec: &Spec,
    packages: &Packages,
    mirrors: &Mirrors<'_>,
) -> Result<LockedPackages, PackagesError> {
    let equipment = mirrors.equipment;
    let architectures: Vec<&str> = spec.platforms.iter().map(architecture).collect::<Result<_, _>>()?;
    let loose = loose::read_all(spec, packages, &architectures, equipment)?;
    let mut indices = Vec::new();
    for source in &packages.sources {
        indices.extend(mirrors.read(source, &architectures)?);
    }
    let mut locked = Vec::new();
    for architecture in &architectures {
        locked.extend(Target::new(architecture, &indices, &loose)?.solve(packages, equipment)?);
    }
    let indices = indices.into_iter().map(|index| index.locked).collect();
    let extra = loose.into_iter().map(|loose| loose.file).collect();
    let locked = LockedPackages::new(request_with(spec, packages, extra)?, indices, locked);
    bundle::check_plans(&locked, equipment)?;
    Ok(locked)
}

fn architecture(platform: &Platform) -> Result<&'static str, PackagesError> {
    Packages::architecture(platform).ok_or_else(|| PackagesError::NoArchitecture(platform.clone()))
}

/// What there is for machines of one architecture.
struct Target<'a> {
    architecture: &'a str,
    indices: Vec<&'a Index>,
    loose: Vec<&'a Loose>,
}

impl<'a> Target<'a> {
    fn new(architecture: &'a str, indices: &'a [Index], loose: &'a [Loose]) -> Result<Self, PackagesError> {
        let is_own = |index: &&Index| [architecture, "all"].contains(&index.locked.architecture.as_str());
        let mut target =
            Self { architecture, indices: indices.iter().filter(is_own).collect(), loose: Vec::new() };
        for file in loose {
            if loose::is_for(&file.stanza()?, architecture) {
                target.loose.push(file);
            }
        }
        Ok(target)
    }

    fn solve(
        &self,
        packages: &Packages,
        equipment: &Equipment<'_>,
    ) -> Result<Vec<LockedPackage>, PackagesError> {
        let requests = self.requests(packages)?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let suites = self.indices.iter().map(|index| suite_of(index)).collect::<Result<_, _>>()?;
        let archive = Universe::new(self.architecture, suites).map_err(PackagesError::Universe)?;
        let files = self.loose.iter().map(|loose| loose.suite()).collect::<Result<_, _>>()?;
        let with_files;
        let universe = if self.loose.is_empty() {
            &archive
        } else {
            with_files = archive.with(files).map_err(PackagesError::Universe)?;
            &with_files
        };
        let base_text = base_text(&packages.baseline)?;
        let baseline = baseline(&packages.baseline, &base_text, self.architecture)?;
        let unsolvable = |source| PackagesError::Unsolvable(self.architecture.to_owned(), source);
        // No installation has a loose file because of its priority.
        let base = Base::of(&archive, &baseline).map_err(unsolvable)?;
        let options = Options { recommends: packages.recommends };
        let closure = closure::solve_over(universe, &base, &requests, options).map_err(unsolvable)?;
        for (name, version) in closure.kept() {
            equipment
                .reporter
                .note(format!("the baseline has {name} {version}, later than any suite: it is not shipped"));
        }
        Ok(closure.packages().iter().filter_map(|selected| self.lock(selected)).collect())
    }

    /// Returns the requests: of the loose files exactly their versions, and all names that they do not answer.
    fn requests(&self, packages: &Packages) -> Result<Vec<Request>, PackagesError> {
        let mut requests = Vec::new();
        for name in &packages.names {
            let request: Request = name.parse().map_err(PackagesError::Request)?;
            if !self.is_answered_by_a_file(&request)? {
                requests.push(request);
            }
        }
        for loose in &self.loose {
            requests.push(Request::exactly(&loose.stanza()?));
        }
        Ok(requests)
    }

    fn is_answered_by_a_file(&self, request: &Request) -> Result<bool, PackagesError> {
        for loose in &self.loose {
            let stanza = loose.stanza()?;
            if stanza.name != request.name() {
                continue;
            }
            if request.version().is_some_and(|version| *version != stanza.version) {
                return Err(LooseError::Version {
                    request: request.to_string(),
                    path: loose.file.path.clone(),
                    version: stanza.version.to_string(),
                }
                .into());
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Pins a package; suites have the numbers of their indices, and after them come the loose files.
    fn lock(&self, selected: &Selected<'_>) -> Option<LockedPackage> {
        let file = selected.package.file.as_ref()?;
        let (origin, why) = match self.indices.get(selected.suite) {
            Some(Index { locked, .. }) => {
                let (suite, url) = (locked.suite.clone(), locked.url.clone());
                (PackageOrigin::Pool { suite, url, path: file.path.to_owned() }, selected.why.to_string())
            }
            None => {
                let path = file.path.to_owned();
                let why = format!("loose file {path}");
                (PackageOrigin::File { path }, why)
            }
        };
        Some(LockedPackage {
            target: self.architecture.to_owned(),
            name: selected.package.name.to_owned(),
            version: selected.package.version.as_str().to_owned(),
            architecture: selected.package.architecture.to_owned(),
            origin,
            size: file.size,
            sha256: file.digest,
            why,
            stanza: selected.package.stanza().raw().trim_end().to_owned(),
        })
    }
}

fn suite_of(index: &Index) -> Result<Suite<'_>, PackagesError> {
    let name = || index.locked.suite.clone();
    let packages = index::parse(&index.text).map_err(|source| PackagesError::Malformed(name(), source))?;
    Ok(Suite { origin: Origin::Suite(name()), priority: PRIORITY, packages })
}

fn base_text(baseline: &PackageBaseline) -> Result<String, PackagesError> {
    match baseline {
        PackageBaseline::None | PackageBaseline::Priority(_) => Ok(String::new()),
        PackageBaseline::Status(path) | PackageBaseline::Manifest(path) => {
            let bytes = read(path)?;
            String::from_utf8(bytes).map_err(|error| {
                let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
                PackagesError::Read(path.clone(), source)
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
                .map_err(|source| PackagesError::Malformed(path.display().to_string(), source))?,
        ),
        PackageBaseline::Manifest(path) => Baseline::Manifest(
            parse_manifest(text, architecture)
                .map_err(|source| PackagesError::Manifest(path.clone(), source))?,
        ),
    })
}
