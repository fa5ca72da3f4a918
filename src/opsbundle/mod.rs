//! The bundle of ops packages: a repository in one file, and the script that installs it without a network.
//!
//! ```text
//! ops-packages-<suite>-<architecture>-<12 hex>.tar.gz, in it one folder of that name:
//!   Packages, Packages.gz   what apt reads: the stanzas of the distribution's index, sorted
//!   Release                 size and SHA-256 of these two
//!   InRelease, key.asc      the same with a signature, and its certificate; only where somebody signs
//!   SHA256SUMS              every other file; the hex of the name are the first digits of its own SHA-256
//!   install.sh              checks all of this, then has apt install what was requested
//!   manifest.json           every package: version, size, SHA-256, why it is there
//!   pool/*.deb              the packages
//!   request                 what was requested, one name a line
//! ```
//!
//! Which packages belong together is decided elsewhere; [`Bundle::plan`] takes them as they are and refuses what
//! apt could not read or find.
//!
//! # Why
//! A repository, not loose files: `dpkg -i *.deb` fails on `Pre-Depends` and downgrades silently, while apt takes
//! only what the node lacks. Nothing is signed unless somebody has a key of his own: one that is made for the bundle
//! and travels with it proves nothing that SHA256SUMS does not.
//!
//! The name comes from SHA256SUMS, not from the finished file, so that the script can compute it on the node and
//! write it down as what is installed.

mod manifest;
mod names;
mod release;
mod stanza;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::num::NonZero;

use serde_json::json;

pub use manifest::{Manifest, ManifestPackage};
pub use stanza::StanzaError;

use crate::archive::ContentError;
use crate::archive::compress::{Compression, Compressor};
use crate::archive::tar::{TarError, TarWriter};
use crate::artifact::{SUMS, sums_line};
use crate::deb::signature::{CannotSign, SigningKey};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::store::VerifyReader;
use crate::template::{TemplateError, Templates};
use crate::tree::{Content, Entry, FileTree, TreeError, TreePath};

/// The manifest, at the top of a bundle.
pub const MANIFEST: &str = "manifest.json";
const INSTALLER: &str = "ops/install.sh.tera";
/// The signer's certificate, at the top of a bundle.
const CERTIFICATE: &str = "key.asc";

/// One package, as the distribution's index and pool have it.
#[derive(Debug, Clone)]
pub struct BundledPackage {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch if it has one.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// Its stanza in the index, or its control file.
    pub stanza: String,
    /// The `.deb`.
    pub content: Content,
    /// SHA-256 of the `.deb`.
    pub sha256: Digest,
    /// Why it is in the bundle, for people.
    pub why: String,
}

/// What a bundle is made of.
#[derive(Debug, Clone, Copy)]
pub struct BundleInput<'a> {
    /// The code name of the release it is for, such as `bookworm`; the script refuses others.
    pub suite: &'a str,
    /// The architecture it is for, as dpkg names it; the script refuses others.
    pub architecture: &'a str,
    /// The names to install; each must be among the packages.
    pub requested: &'a BTreeSet<String>,
    /// The packages, in any order.
    pub packages: &'a [BundledPackage],
    /// The date of the repository and of everything in the archive.
    pub epoch: Epoch,
    /// Who signs it, if anybody does.
    pub signer: Option<Signer<'a>>,
}

/// Who signs a bundle, and what nodes know him by.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The private key.
    pub key: &'a SigningKey,
    /// The file on the nodes that has the certificate; the one in the bundle where there is none.
    pub node_keyring: Option<&'a str>,
}

/// Says why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// An empty request would make apt succeed with nothing done.
    #[error("no package is requested")]
    NothingRequested,
    /// apt would not find it.
    #[error("package `{0}` is requested, but not in the bundle")]
    NotShipped(String),
    /// apt would choose between them.
    #[error("package `{0}` is in the bundle twice")]
    Duplicate(String),
    /// A text is not what Debian's policy allows in its place.
    #[error("`{text}` is not a {kind}")]
    InvalidName {
        /// What was given.
        text: String,
        /// What it was to be.
        kind: &'static str,
    },
    /// The node cannot run it.
    #[error("package `{name}` is for {architecture}, the bundle is not")]
    WrongArchitecture {
        /// The package.
        name: String,
        /// Its architecture.
        architecture: String,
    },
    /// The stanza cannot be published.
    #[error("the stanza of package `{0}` cannot be used")]
    Stanza(String, #[source] StanzaError),
    /// The repository cannot be signed.
    #[error("cannot sign the bundle's repository")]
    Sign(#[from] CannotSign),
    /// The script cannot be rendered.
    #[error("cannot render the script that installs the bundle")]
    Template(#[from] TemplateError),
    /// The files do not fit into one tree.
    #[error("the files of the bundle do not fit together")]
    Tree(#[from] TreeError),
    /// A package is no longer what it was, or the output is refused.
    #[error("cannot pack the bundle")]
    Pack(#[from] TarError),
    /// The output is refused.
    #[error("cannot write the bundle")]
    Write(#[source] io::Error),
}

/// A bundle, planned whole: its name and all its files, those of the pool still where they are.
#[derive(Debug, Clone)]
pub struct Bundle {
    name: String,
    epoch: Epoch,
    tree: FileTree,
    /// What the files of the pool must hash to, by their path.
    pool: BTreeMap<String, Digest>,
}

impl Bundle {
    /// Plans the bundle; nothing of the pool is read yet.
    pub fn plan(input: &BundleInput<'_>, templates: &Templates) -> Result<Self, BundleError> {
        let packages = checked(input)?;
        let mut files = Files::default();
        let mut stanzas = Vec::new();
        for package in packages.values() {
            let path = names::pool_path(package);
            let stanza = stanza::published(package, &path)
                .map_err(|source| BundleError::Stanza(package.name.clone(), source))?;
            stanzas.push(stanza);
            files.add_hashed(&path, package.content.clone(), package.sha256)?;
        }
        let pool = files.digests.clone();
        let index = stanzas.join("\n");
        let index_gz = gzip(index.as_bytes()).map_err(BundleError::Write)?;
        let release = release::text(input, [("Packages", index.as_bytes()), ("Packages.gz", &index_gz)]);
        if let Some(Signer { key, .. }) = &input.signer {
            files.add("InRelease", key.sign(&release, input.epoch)?)?;
            files.add(CERTIFICATE, key.armored_certificate()?)?;
        }
        files.add("Release", release)?;
        files.add("Packages", index)?;
        files.add("Packages.gz", index_gz)?;
        files.add("request", input.requested.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        files.add(MANIFEST, Manifest::of(input, packages.values().copied()).to_json())?;
        let BundleInput { suite, architecture, .. } = input;
        let place =
            json!({"bundle": {"suite": suite, "architecture": architecture, "keyring": keyring(input)}});
        files.add("install.sh", templates.render(INSTALLER, &place)?)?;
        let Files { mut tree, digests } = files;
        let sums: String = digests.iter().map(|(path, digest)| sums_line(path, digest)).collect();
        let id = Digest::sha256(sums.as_bytes());
        tree.insert_file(SUMS, 0o644, sums)?;
        let name = format!("ops-packages-{}-{}-{}", input.suite, input.architecture, id.short());
        Ok(Self { name, epoch: input.epoch, tree, pool })
    }

    /// Returns the name: that of the folder in the archive, and what the script writes down on the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the archive.
    pub fn file_name(&self) -> String {
        format!("{}.tar.gz", self.name)
    }

    /// Returns the files, without the folder that is around them in the archive.
    pub fn tree(&self) -> &FileTree {
        &self.tree
    }

    /// Writes the archive; it is an error if a package is not what its digest says.
    ///
    /// The bytes do not depend on the number of workers.
    pub fn write<W: Write>(&self, workers: NonZero<usize>, output: W) -> Result<W, BundleError> {
        let output = Compressor::new(Compression::Gzip, workers, output).map_err(BundleError::Write)?;
        let mut archive = TarWriter::new(output, self.epoch);
        archive.directory(&self.placed(""), 0o755)?;
        for (path, entry) in self.tree.iter() {
            self.write_entry(&mut archive, path, entry)?;
        }
        archive.finish()?.finish().map_err(BundleError::Write)
    }

    fn write_entry<W: Write>(
        &self,
        archive: &mut TarWriter<W>,
        path: &TreePath,
        entry: &Entry,
    ) -> Result<(), BundleError> {
        let place = self.placed(path.as_str());
        match (entry, self.pool.get(path.as_str())) {
            (Entry::Directory { mode }, _) => archive.directory(&place, *mode)?,
            (Entry::File { mode, content }, None) => archive.file(&place, *mode, content)?,
            (Entry::File { mode, content }, Some(digest)) => {
                let gone = |error| TarError::Content(place.clone(), ContentError::Open(error));
                let reader = content.open().map_err(gone)?;
                let reader = VerifyReader::new(reader, *digest, content.size());
                archive.reader(&place, *mode, content.size(), reader)?;
            }
            (Entry::Symlink { target }, _) => archive.symlink(&place, target)?,
        }
        Ok(())
    }

    /// Returns the place of a file in the archive; that of the folder for an empty path.
    fn placed(&self, path: &str) -> TreePath {
        let place = format!("{}/{path}", self.name);
        place
            .trim_end_matches('/')
            .parse()
            .expect("a checked name, before a path of a tree, is a path of a tree")
    }
}

/// Files, and their digests for SHA256SUMS.
#[derive(Default)]
struct Files {
    tree: FileTree,
    digests: BTreeMap<String, Digest>,
}

impl Files {
    fn add(&mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Result<(), TreeError> {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.add_hashed(path, bytes.into(), digest)
    }

    fn add_hashed(&mut self, path: &str, content: Content, digest: Digest) -> Result<(), TreeError> {
        let mode = if path.ends_with(".sh") { 0o755 } else { 0o644 };
        self.tree.insert_file(path, mode, content)?;
        self.digests.insert(path.to_owned(), digest);
        Ok(())
    }
}

/// Returns the packages by name, if they and the request are ones that apt finds its way in.
fn checked<'a>(input: &BundleInput<'a>) -> Result<BTreeMap<&'a str, &'a BundledPackage>, BundleError> {
    names::check(input)?;
    let mut packages = BTreeMap::new();
    for package in input.packages {
        if packages.insert(package.name.as_str(), package).is_some() {
            return Err(BundleError::Duplicate(package.name.clone()));
        }
    }
    if input.requested.is_empty() {
        return Err(BundleError::NothingRequested);
    }
    match input.requested.iter().find(|name| !packages.contains_key(name.as_str())) {
        Some(name) => Err(BundleError::NotShipped(name.clone())),
        None => Ok(packages),
    }
}

/// Returns what the script is to trust the repository by: nothing, a file of the bundle, or one of the node.
fn keyring<'a>(input: &BundleInput<'a>) -> &'a str {
    match input.signer {
        None => "",
        Some(Signer { node_keyring, .. }) => node_keyring.unwrap_or(CERTIFICATE),
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = Compressor::new(Compression::Gzip, NonZero::<usize>::MIN, Vec::new())?;
    compressor.write_all(bytes)?;
    compressor.finish()
}

#[cfg(test)]
mod tests;
