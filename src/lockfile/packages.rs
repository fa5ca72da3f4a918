//! Ops packages in a lock: what the spec asked for, which indices answered, and every `.deb` that follows.
//!
//! The indices say what the choice was made from; a build needs none of them again. It fetches each package by
//! `url` and `path` and trusts only its size and digest: the lock was made from indices whose signatures were
//! verified, so the lock is what a build trusts.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::epoch::Epoch;

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
    /// Package files beside the spec, each `name.deb sha256:…`, sorted.
    pub extra: Vec<String>,
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
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// The Debian architecture of the nodes it is for.
    pub target: String,
    /// The package's name; unique among those of a target.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The package's own architecture: that of the target, or `all`.
    pub architecture: String,
    /// The suite it was chosen from.
    pub suite: String,
    /// The base URL that `path` is relative to.
    pub url: String,
    /// The path in the pool.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Why it is there, for people.
    pub why: String,
    /// Its stanza in the index, verbatim: packing needs no index again.
    pub stanza: String,
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

    /// Names something that is there twice, if anything is.
    pub(super) fn duplicate(&self) -> Option<String> {
        let Self { request, indices, packages } = self;
        let name = request.names.windows(2).find(|pair| pair[0] == pair[1]);
        let file = request.extra.windows(2).find(|pair| file_name(&pair[0]) == file_name(&pair[1]));
        let index = indices.windows(2).find(|pair| pair[0].identity() == pair[1].identity());
        let package = packages.windows(2).find(|pair| pair[0].identity() == pair[1].identity());
        name.map(|pair| pair[0].clone())
            .or_else(|| file.map(|pair| file_name(&pair[0]).to_owned()))
            .or_else(|| index.map(|pair| pair[0].identity().join(" ")))
            .or_else(|| package.map(|pair| pair[0].identity().join(" ")))
    }
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

/// Returns the name in a line of [`PackageRequest::extra`].
pub(super) fn file_name(extra: &str) -> &str {
    extra.rsplit_once(' ').map_or(extra, |(name, _)| name)
}
