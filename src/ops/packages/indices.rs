//! From a mirror to the texts of its indices, each step verified by the one before.

use std::io::Read;
use std::path::Path;

use super::{PackagesError, PinnedError};
use crate::deb::certificates;
use crate::deb::release::{IndexFile, InvalidRelease, MissingIndex, Release, WrongIndex};
use crate::deb::signature::{self, InvalidSignedText, Keyring};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fetch::places::{Places, Subject};
use crate::fetch::sources::Sources;
use crate::lockfile::{LockedIndex, LockedPackages};
use crate::oci::{SourceError, SourceErrorKind};
use crate::progress::Event;
use crate::spec::PackageSource;
use crate::store::{CompleteError, Completed, Descriptor, Kept, StoreError};

/// Why a suite cannot be used. Its name comes first.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A file of it cannot be fetched from any of its URLs.
    #[error("cannot fetch `{1}` of suite `{0}`")]
    Fetch(String, String, #[source] SourceError),
    /// Its release is not signed by a key of the keyring.
    #[error("the release of suite `{0}` cannot be trusted")]
    Signature(String, #[source] InvalidSignedText),
    /// Its release is malformed.
    #[error("the release of suite `{0}` is malformed")]
    Release(String, #[source] InvalidRelease),
    /// The mirror serves another suite under its name.
    #[error("`{0}` is served as suite `{1}`")]
    OtherSuite(String, String),
    /// Its release is older than it may be.
    #[error("the release of suite `{0}` was valid until {1}; the mirror is not kept up")]
    Expired(String, Epoch),
    /// The mirror serves an older release than the lock has seen.
    #[error("the release of suite `{suite}` is of {found}, older than the locked one of {locked}")]
    RolledBack {
        /// The suite.
        suite: String,
        /// The release's date.
        found: Epoch,
        /// The date of the release that is locked.
        locked: Epoch,
    },
    /// It lacks a component or architecture.
    #[error("suite `{0}` lacks an index")]
    NoIndex(String, #[source] MissingIndex),
    /// An index is not what its release says.
    #[error("an index of suite `{0}` is not what its release says")]
    WrongIndex(String, #[source] WrongIndex),
}

/// The most bytes an `InRelease` may have.
const RELEASE_LIMIT: u64 = 16 * 1024 * 1024;

/// One index: what the lock says of it, and its text.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) locked: LockedIndex,
    pub(super) text: String,
}

/// What is needed to read a mirror.
#[derive(Debug, Clone, Copy)]
pub struct Mirrors<'a> {
    /// How mirrors are asked.
    pub sources: &'a Sources,
    /// What relative addresses are relative to.
    pub folder: &'a Path,
    /// The store, and who listens.
    pub equipment: &'a Equipment<'a>,
    /// The time by which signatures are judged.
    pub now: Epoch,
    /// The packages that are locked: a release must not be older than theirs.
    pub previous: Option<&'a LockedPackages>,
}

/// A suite's release, verified.
struct Signed {
    suite: String,
    /// The mirror that gave the release.
    url: String,
    /// It, and then the others that have the suite.
    places: Places<String>,
    release: Release,
    digest: Digest,
    signers: Vec<String>,
}

impl Mirrors<'_> {
    /// Reads all indices of a source for the given architectures.
    pub(super) fn read(
        &self,
        source: &PackageSource,
        architectures: &[&str],
    ) -> Result<Vec<Index>, PackagesError> {
        let keyring = keyring(source)?;
        let mut indices = Vec::new();
        for suite in &source.suites {
            let signed = self.release(source, suite, &keyring)?;
            for component in &source.components {
                indices.extend(self.component(&signed, component, architectures)?);
            }
        }
        self.sources.say_complaints(self.equipment.reporter);
        Ok(indices)
    }

    fn release(
        &self,
        source: &PackageSource,
        suite: &str,
        keyring: &Keyring,
    ) -> Result<Signed, PackagesError> {
        let mut urls: Vec<String> = source.urls.iter().map(|url| url.text(self.folder)).collect();
        let path = format!("dists/{suite}/InRelease");
        let (number, bytes) = self
            .sources
            .places(urls.clone())
            .get(&Subject::file(&path), |url| self.fetch(url, &path, RELEASE_LIMIT))
            .map_err(|source| SuiteError::Fetch(suite.to_owned(), "InRelease".to_owned(), source))?;
        // What it lists comes from the same mirror, and from the others if that is in trouble.
        let url = urls.remove(number);
        urls.insert(0, url.clone());
        let places = self.sources.places(urls);
        let verified = signature::verify(&bytes, keyring, self.now)
            .map_err(|source| SuiteError::Signature(suite.to_owned(), source))?;
        let release =
            Release::parse(&verified.text).map_err(|source| SuiteError::Release(suite.to_owned(), source))?;
        self.check(suite, &release)?;
        let signers = verified.signers.iter().map(|signer| signer.as_str().to_owned()).collect();
        Ok(Signed { suite: suite.to_owned(), url, places, release, digest: Digest::sha256(&bytes), signers })
    }

    /// A mirror may serve an old release that is properly signed, or another suite's.
    fn check(&self, suite: &str, release: &Release) -> Result<(), SuiteError> {
        let suite_name = || suite.to_owned();
        if release.codename != suite && release.suite != suite {
            return Err(SuiteError::OtherSuite(suite_name(), release.codename.clone()));
        }
        if let Some(until) = release.valid_until.filter(|_| release.is_expired(self.now)) {
            return Err(SuiteError::Expired(suite_name(), until));
        }
        let locked = self.previous.iter().flat_map(|previous| &previous.indices);
        let newest = locked.filter(|index| index.suite == suite).map(|index| index.date).max();
        match newest.filter(|locked| release.date < *locked) {
            Some(locked) => Err(SuiteError::RolledBack { suite: suite_name(), found: release.date, locked }),
            None => Ok(()),
        }
    }

    /// Reads the indices of a component; that of packages for all architectures too, where it is apart.
    ///
    /// As with apt, a release that announces such an index need not have it for each component. Where there is one,
    /// an architecture may have none.
    fn component(
        &self,
        signed: &Signed,
        component: &str,
        architectures: &[&str],
    ) -> Result<Vec<Index>, PackagesError> {
        let missing = |source| SuiteError::NoIndex(signed.suite.clone(), source);
        let find = |architecture| signed.release.packages(component, architecture);
        let of_all = match signed.release.has_index_of_all.then(|| find("all")) {
            None | Some(Err(MissingIndex::Unlisted(..))) => None,
            Some(found) => Some(("all", found.map_err(missing)?)),
        };
        let mut files: Vec<(&str, IndexFile)> = Vec::new();
        for architecture in architectures {
            match find(architecture) {
                Ok(file) => files.push((architecture, file)),
                Err(MissingIndex::Unlisted(..)) if of_all.is_some() => {}
                Err(source) => return Err(missing(source).into()),
            }
        }
        let read = |(architecture, file)| self.index(signed, component, architecture, &file);
        files.into_iter().chain(of_all).map(read).collect()
    }

    fn index(
        &self,
        signed: &Signed,
        component: &str,
        architecture: &str,
        file: &IndexFile,
    ) -> Result<Index, PackagesError> {
        let suite = &signed.suite;
        let bytes = self.index_bytes(signed, file)?;
        let text = file.unpack(&bytes).map_err(|source| SuiteError::WrongIndex(suite.to_owned(), source))?;
        let locked = LockedIndex {
            suite: suite.to_owned(),
            component: component.to_owned(),
            architecture: architecture.to_owned(),
            url: signed.url.clone(),
            date: signed.release.date,
            release: signed.digest,
            signers: signed.signers.clone(),
            path: file.path.clone(),
            size: file.listed.size,
            digest: file.listed.digest,
        };
        self.equipment.reporter.report(Event::ItemFinished(format!("{suite} {}", file.path)));
        Ok(Index { locked, text })
    }

    /// Returns the packed index from the store, else from the mirror; what is fetched is kept, and what is not whole is
    /// continued by the next run.
    fn index_bytes(&self, signed: &Signed, file: &IndexFile) -> Result<Vec<u8>, PackagesError> {
        let suite = &signed.suite;
        let descriptor = Descriptor {
            media_type: "application/octet-stream".to_owned(),
            digest: file.listed.digest,
            size: file.listed.size,
        };
        let store_error = |source| PinnedError::Store(file.path.clone(), source);
        if let Some(bytes) = self.equipment.store.read(&descriptor).map_err(store_error)? {
            return Ok(bytes);
        }
        let path = format!("dists/{suite}/{}", file.location());
        match self.sources.complete(&path, &signed.places, &descriptor, |_| {}) {
            Ok(Completed::Present) => {}
            Ok(Completed::Staged { staged, .. }) => {
                self.equipment.store.keep(staged).map_err(store_error)?;
            }
            Err(CompleteError::Open(source)) => return Err(fetch_error(suite, file, source)),
            Err(CompleteError::Store(StoreError::Read(_, source))) => {
                let message = format!("cannot read `{path}` to its end");
                let source = SourceError::new(SourceErrorKind::Connection, message).caused_by(source);
                return Err(fetch_error(suite, file, source));
            }
            Err(CompleteError::Store(StoreError::Mismatch(mismatch))) => {
                let source = file.wrong(mismatch);
                return Err(SuiteError::WrongIndex(suite.to_owned(), source).into());
            }
            Err(CompleteError::Store(error)) => return Err(store_error(error).into()),
        }
        let stored = self.equipment.store.read(&descriptor).map_err(store_error)?;
        Ok(stored.expect("what was completed is there"))
    }

    fn fetch(&self, url: &str, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        let wanted = Kept { total: Some(limit), ..Kept::default() };
        let reader = self.sources.repository_file(url, path, &wanted)?.reader;
        reader.take(limit).read_to_end(&mut bytes).map_err(|error| {
            SourceError::new(SourceErrorKind::Connection, format!("cannot read {url}/{path} to its end"))
                .caused_by(error)
        })?;
        Ok(bytes)
    }
}

fn fetch_error(suite: &str, file: &IndexFile, source: SourceError) -> PackagesError {
    SuiteError::Fetch(suite.to_owned(), file.location(), source).into()
}

/// Returns the certificates that may sign a source: its own, or those of Debian.
fn keyring(source: &PackageSource) -> Result<Keyring, PackagesError> {
    let Some(path) = &source.keyring else { return Ok(certificates::debian()) };
    Keyring::parse(&super::read(path)?).map_err(|source| PackagesError::Keyring(path.clone(), source))
}
