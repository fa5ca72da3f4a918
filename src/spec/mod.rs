//! `seedkit.yaml`: what the user declares.
//!
//! [`load`] reads the file into a [`Spec`] in which nothing is a string that has a type. Everything that is
//! wrong with it is found in one run: its YAML, its shape (checked against the JSON schema that editors use),
//! and its meaning, each with line, column, path and a hint.

mod conform;
mod model;
mod raw;
mod report;
pub mod schema;
mod suggest;
mod validate;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use model::{
    Allowance, Auth, Checksum, FileSource, ImageListFile, Images, K3s, K3sVersion, Node, NodeFile, Origin,
    PackageBaseline, PackageSource, Packages, PasswordFrom, Place, Registry, RepositoryAddress, Seed,
    Signing, Source, SourcePlace, Spec, Ssh,
};
pub use raw::{BaselinePriority, ClusterCa, Compression, Payload, Role};

use crate::archive::compress;
use crate::fs::open_regular;
pub use crate::text::{Finding, Listing, Location, Severity};
use crate::yaml::{self, Value};

impl Role {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }
}

impl From<Compression> for compress::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::Zstd,
        }
    }
}

/// Says why there is no spec.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file cannot be read.
    #[error("cannot read the spec `{0}`")]
    Read(PathBuf, #[source] io::Error),
    /// The file is wrong; printed with all findings, one or two lines each.
    #[error("the spec has {}:\n{}", count_errors(.findings), Listing::of(.file, .findings))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong, in the order of the text; at least one error.
        findings: Vec<Finding>,
    },
}

fn count_errors(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.is_error()).count() {
        1 => "an error".to_owned(),
        count => format!("{count} errors"),
    }
}

/// Reads a spec; returns it with the warnings about it.
///
/// # Errors
/// [`SpecError::Read`] if the file cannot be read; [`SpecError::Invalid`] with everything that is wrong with it.
pub fn load(file: &Path) -> Result<(Spec, Vec<Finding>), SpecError> {
    let bytes = read(file).map_err(|source| SpecError::Read(file.to_owned(), source))?;
    parse(&bytes, crate::fs::parent(file))
        .map_err(|findings| SpecError::Invalid { file: file.to_owned(), findings })
}

/// Reads no more than what the parser would take, and one byte to show that there is more.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(file)?.take(yaml::MAXIMUM_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a spec from the bytes of a file in `folder`; returns it with the warnings about it.
///
/// # Errors
/// Everything that is wrong with it, warnings included, in the order of the text.
pub fn parse(bytes: &[u8], folder: &Path) -> Result<(Spec, Vec<Finding>), Vec<Finding>> {
    let document = yaml::parse(bytes).map_err(|finding| vec![finding])?;
    if document.root.value == Value::Null {
        let finding = Finding::error(document.root.location, crate::text::Path::root(), "the spec is empty");
        return Err(vec![finding.with_hint("`seedkit init` writes one to start from")]);
    }
    let schema = schema::value();
    let conformed = conform::conform(&schema, &document.root);
    let findings = [document.findings, conformed.findings].concat();
    let report = report::Report::new(&document.root, folder, findings);
    let spec = match serde_json::from_value(conformed.json) {
        Ok(raw) => validate::spec(raw, &report.root()),
        Err(error) => report.root().refuse(format!("the spec does not fit its schema: {error}")),
    };
    match spec {
        Some(spec) if !report.has_errors() => Ok((spec, report.into_findings())),
        Some(_) | None => Err(report.into_findings()),
    }
}

#[cfg(test)]
mod tests;
