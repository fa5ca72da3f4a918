//! Ops packages in a lock: what the spec asked for, which indices answered, and every `.deb` that follows.
//!
//! The indices say what the choice was made from; a build needs none of them again. It fetches each package by
//! `url` and `path`, or reads the loose `file`, and trusts only its size and digest: the lock was made from indices
//! whose signatures were verified, so the lock is what a build trusts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_with::{DeserializeFromStr, SerializeDisplay};

use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::tree::TreePath;

/// The ops packages of a kit, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackages {
    /// What the spec asked for.
    pub request: PackageRequest,
    /// What the choice was made from, sorted by suite, component, architecture and base URL.
    pub indices: Vec<LockedIndex>,
    /// The packages, sorted by target, then name.
    pub packages: Vec<LockedPackage>,
}

/// What a spec asks for, in a form that can be compared: everything that decides which packages are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageRequest {
    /// The codename of the nodes' distribution.
    pub suite: String,
    /// The requested packages, each `name` or `name=version`, sorted.
    pub names: Vec<String>,
    /// Whether recommended packages are wanted too.
    pub recommends: bool,
    /// What the nodes have already: `none`, `priority important`, `status sha256:…` or `manifest sha256:…`.
    pub baseline: String,
    /// One line for each source, in the order of the spec: URLs, suites and components, joined by spaces.
    pub sources: Vec<String>,
    /// Loose package files, sorted.
    pub extra: Vec<LooseFile>,
}

/// A loose package file, as a request names it: `path sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr)]
pub struct LooseFile {
    /// The path, relative to the folder of the spec where it can be.
    pub path: String,
    /// SHA-256 of its bytes; `None` in what a spec wants if the file cannot be read now, never in a lock.
    pub sha256: Option<Digest>,
}

/// One index of packages, and the signed `InRelease` that vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedIndex {
    /// The suite as the source names it.
    pub suite: String,
    /// The component.
    pub component: String,
    /// The Debian architecture.
    pub architecture: String,
    /// The base URL that `InRelease` came from.
    pub url: String,
    /// The `Date` of `InRelease`; a later lock must not go behind it.
    pub date: Epoch,
    /// The digest of `InRelease`.
    pub release: Digest,
    /// The fingerprints of the keys whose signatures are good.
    pub signers: Vec<String>,
    /// The path of the index, as `InRelease` lists it.
    pub path: String,
    /// The length of the index in bytes.
    pub size: u64,
    /// The digest of the index.
    pub digest: Digest,
}

/// One `.deb`, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PackageTable", try_from = "PackageTable")]
pub struct LockedPackage {
    /// The Debian architecture of the nodes it is for.
    pub target: String,
    /// The package's name; unique among those of a target.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The package's own architecture: that of the target, or `all`.
    pub architecture: String,
    /// Where it comes from.
    pub origin: PackageOrigin,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Why it is there, for people.
    pub why: String,
    /// Its stanza in the index, or its control file, verbatim: packing needs no index again.
    pub stanza: String,
}

/// Where a pinned package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageOrigin {
    /// The pool of a repository.
    Pool {
        /// The suite it was chosen from.
        suite: String,
        /// The base URL that `path` is relative to.
        url: String,
        /// The path in the pool.
        path: String,
    },
    /// A loose file of the user's.
    File {
        /// The path, as [`LooseFile::path`] has it.
        path: String,
    },
}

impl LockedPackages {
    /// Returns the packages in the order that a lock has them.
    pub fn new(
        request: PackageRequest,
        mut indices: Vec<LockedIndex>,
        mut packages: Vec<LockedPackage>,
    ) -> Self {
        indices.sort_by(|one, other| one.identity().cmp(&other.identity()));
        packages.sort_by(|one, other| one.identity().cmp(&other.identity()));
        Self { request: request.sorted(), indices, packages }
    }

    /// Returns the packages that come from elsewhere than the request says, with the place: a lock from somebody else
    /// must not say what is read or asked for.
    pub(super) fn strays(&self) -> impl Iterator<Item = (String, String)> {
        let PackageRequest { sources, extra, .. } = &self.request;
        let is_source = |url: &str| sources.iter().any(|line| is_url_in(line, url));
        let is_extra = |path: &str, digest| {
            extra.iter().any(|file| file.path == path && file.sha256.as_ref() == Some(digest))
        };
        self.packages.iter().filter_map(move |package| {
            let place = match &package.origin {
                PackageOrigin::Pool { url, .. } => Some(url).filter(|url| !is_source(url)),
                PackageOrigin::File { path } => Some(path).filter(|path| !is_extra(path, &package.sha256)),
            };
            Some((package.name.clone(), place?.clone()))
        })
    }

    /// Names something that is there twice, if anything is.
    pub(super) fn duplicate(&self) -> Option<String> {
        let Self { request, indices, packages } = self;
        let name = request.names.windows(2).find(|pair| pair[0] == pair[1]);
        let file = request.extra.windows(2).find(|pair| pair[0].path == pair[1].path);
        let index = indices.windows(2).find(|pair| pair[0].identity() == pair[1].identity());
        let package = packages.windows(2).find(|pair| pair[0].identity() == pair[1].identity());
        name.map(|pair| pair[0].clone())
            .or_else(|| file.map(|pair| pair[0].path.clone()))
            .or_else(|| index.map(|pair| pair[0].identity().join(" ")))
            .or_else(|| package.map(|pair| pair[0].identity().join(" ")))
    }
}

/// Returns whether a line of a request's sources, which begins with its URLs between commas, has this URL.
fn is_url_in(line: &str, url: &str) -> bool {
    line.match_indices(url).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + url.len()..]);
        (before.is_empty() || before.ends_with(',')) && after.starts_with([',', ' '])
    })
}

impl PackageRequest {
    /// Sorts what has no order of its own; that of the sources decides which one is asked first.
    fn sorted(mut self) -> Self {
        self.names.sort();
        self.extra.sort();
        self
    }
}

impl LockedIndex {
    fn identity(&self) -> [&str; 4] {
        [&self.suite, &self.component, &self.architecture, &self.url]
    }
}

impl LockedPackage {
    fn identity(&self) -> [&str; 2] {
        [&self.target, &self.name]
    }
}

impl fmt::Display for LooseFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)?;
        self.sha256.iter().try_for_each(|digest| write!(formatter, " {digest}"))
    }
}

/// Says why a text is no [`LooseFile`] of a lock.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the path of a package file and its digest")]
pub struct InvalidLooseFile(String);

impl FromStr for LooseFile {
    type Err = InvalidLooseFile;

    fn from_str(text: &str) -> Result<Self, InvalidLooseFile> {
        let parts = text.rsplit_once(' ').filter(|(path, _)| !path.is_empty());
        let parsed = parts.and_then(|(path, digest)| Some((path.to_owned(), Some(digest.parse().ok()?))));
        let (path, sha256) = parsed.ok_or_else(|| InvalidLooseFile(text.to_owned()))?;
        Ok(Self { path, sha256 })
    }
}

/// A `[[package]]` table: what is said of its origin depends on what it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageTable {
    target: String,
    name: String,
    version: String,
    architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    size: u64,
    sha256: Digest,
    why: String,
    stanza: String,
}

/// Says that a `[[package]]` table comes from nowhere, or from two places.
#[derive(Debug, thiserror::Error)]
#[error("package `{0}` needs either `suite`, `url` and a relative `path` without `..`, or `file`")]
pub struct InvalidOrigin(String);

impl TryFrom<PackageTable> for LockedPackage {
    type Error = InvalidOrigin;

    fn try_from(table: PackageTable) -> Result<Self, InvalidOrigin> {
        let PackageTable { target, name, version, architecture, suite, url, path, file, .. } = table;
        let origin = match (suite, url, path, file) {
            (Some(suite), Some(url), Some(path), None) if path.parse::<TreePath>().is_ok() => {
                PackageOrigin::Pool { suite, url, path }
            }
            (None, None, None, Some(path)) => PackageOrigin::File { path },
            (..) => return Err(InvalidOrigin(name)),
        };
        let PackageTable { size, sha256, why, stanza, .. } = table;
        Ok(Self { target, name, version, architecture, origin, size, sha256, why, stanza })
    }
}

impl From<LockedPackage> for PackageTable {
    fn from(package: LockedPackage) -> Self {
        let LockedPackage { target, name, version, architecture, origin, size, sha256, why, stanza } =
            package;
        let (suite, url, path, file) = match origin {
            PackageOrigin::Pool { suite, url, path } => (Some(suite), Some(url), Some(path), None),
            PackageOrigin::File { path } => (None, None, None, Some(path)),
        };
        Self { target, name, version, architecture, suite, url, path, file, size, sha256, why, stanza }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockfile::Lockfile;
    use crate::lockfile::fixture::{lockfile, packages};

    fn with_a_loose_file() -> Lockfile {
        let mut packages = packages();
        packages.packages[0].origin = PackageOrigin::File { path: "debs/jq \"1\".deb".to_owned() };
        Lockfile { packages: Some(packages), ..lockfile() }
    }

    #[test]
    fn each_url_of_each_source_may_have_given_a_package_and_nothing_else() {
        let mut packages = packages();
        let sources = ["https://a.example/debian,file:my folder bookworm main", "https://b.example x y"];
        packages.request.sources = sources.map(str::to_owned).to_vec();
        packages.packages.truncate(1);
        let (suite, path) = ("bookworm".to_owned(), "pool/jq.deb".to_owned());
        let mut is_stray = |url: &str| {
            let (suite, url, path) = (suite.clone(), url.to_owned(), path.clone());
            packages.packages[0].origin = PackageOrigin::Pool { suite, url, path };
            packages.strays().next().is_some()
        };
        for url in ["https://a.example/debian", "file:my folder", "https://b.example"] {
            assert!(!is_stray(url), "{url}");
        }
        for url in ["https://a.example", "a.example/debian", "folder", "https://c.example", "bookworm"] {
            assert!(is_stray(url), "{url}");
        }
    }

    #[test]
    fn a_loose_package_is_written_with_its_file_and_reads_back() {
        let lockfile = with_a_loose_file();
        let text = lockfile.to_string();
        let expected = "architecture = \"amd64\"\nfile = \"debs/jq \\\"1\\\".deb\"\nsize = 6\n";
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.parse::<Lockfile>().unwrap(), lockfile);
        let table = serde_json::to_string(&lockfile.packages.unwrap().packages[0]).unwrap();
        assert!(table.contains(r#""file":"debs/jq \"1\".deb""#) && !table.contains("url"), "{table}");
    }

    #[test]
    fn a_package_comes_from_one_place_and_a_loose_file_has_a_digest() {
        let text = with_a_loose_file().to_string();
        let file = "file = \"debs/jq \\\"1\\\".deb\"\n";
        let digest = format!(" {}\"]", Digest::sha256(b"extra"));
        for (found, replacement, reason) in [
            (
                file,
                "",
                "package `jq` needs either `suite`, `url` and a relative `path` without `..`, or `file`",
            ),
            (
                file,
                &format!("{file}path = \"x\"\n"),
                "package `jq` needs either `suite`, `url` and a relative `path`",
            ),
            (
                "url = \"https://mirror.example/debian\"\npath = \"pool",
                "path = \"pool",
                "package `libjq1` needs",
            ),
            (&digest, "\"]", "`a b.deb` is not the path of a package file and its digest"),
        ] {
            assert!(text.contains(found), "{found}");
            let error = text.replacen(found, replacement, 1).parse::<Lockfile>().unwrap_err().to_string();
            assert!(error.starts_with("the lock is malformed: line ") && error.contains(reason), "{error}");
        }
    }
}
