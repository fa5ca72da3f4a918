//! Packages as an index (`Packages`) or dpkg's status file describes them.
//!
//! See Debian policy, chapter 5, and the Debian repository format. The values that become paths, names or
//! decisions are checked when the index is read; relations are only read when they are asked for, which most
//! never are.

use super::control::{InvalidStanza, Stanza, Stanzas};
use super::name::{excerpt, is_architecture, is_package};
use super::relation::{
    InvalidRelation, OrGroup, PackageRelation, Provided, parse_groups, parse_list, parse_provides,
};
use super::version::{InvalidVersion, Version};
use crate::digest::Digest;
use crate::tree::TreePath;

/// The largest package: the largest one of Debian has 1.4 GiB.
const LARGEST: u64 = 16 << 30;

/// One package, borrowed from the text that describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageStanza<'text> {
    /// The name.
    pub name: &'text str,
    /// The version.
    pub version: Version<'text>,
    /// The architecture, or `all`.
    pub architecture: &'text str,
    /// What packages of other architectures may do with it.
    pub multi_arch: MultiArch,
    /// Whether every installation has it: others use it without saying so.
    pub is_essential: bool,
    /// Whether apt or dpkg refuse to remove it: `Important` or `Protected`.
    pub is_protected: bool,
    /// How much it belongs to a basic system.
    pub priority: Priority,
    /// The name of the source package it was built from; its own name if it says nothing else.
    pub source: &'text str,
    /// What it is for, such as `net`; empty if it says nothing.
    pub section: &'text str,
    /// Where it can be fetched; `None` in a status file, never in an index.
    pub file: Option<PoolFile<'text>>,
    relations: Relations<'text>,
    raw: &'text str,
}

/// The fields with relations, as they are written: most are never asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Relations<'text> {
    depends: &'text str,
    pre_depends: &'text str,
    recommends: &'text str,
    conflicts: &'text str,
    breaks: &'text str,
    replaces: &'text str,
    provides: &'text str,
}

/// A package's file in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFile<'text> {
    /// The path relative to the repository; it does not leave it.
    pub path: &'text str,
    /// The length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

/// The field `Multi-Arch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MultiArch {
    /// Satisfies relations of its own architecture; also if the field is missing.
    No,
    /// Can be installed for several architectures at once.
    Same,
    /// Satisfies relations of all architectures.
    Foreign,
    /// Satisfies relations of all architectures that say `:any`.
    Allowed,
}

/// The field `Priority`, most needed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Nothing works without it.
    Required,
    /// What anybody expects of a system.
    Important,
    /// What is there by default.
    Standard,
    /// Everything else; also if the field is missing or unknown.
    Optional,
    /// The deprecated last one.
    Extra,
}

/// Says why a text is not a list of packages.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIndex {
    /// It is not made of stanzas.
    #[error("the list of packages is malformed")]
    Stanza(#[from] InvalidStanza),
    /// A stanza has no package's name.
    #[error("`{0}` is not the name of a package")]
    Name(String),
    /// A field is missing.
    #[error("package `{package}` has no field {field}")]
    Missing {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("package `{package}`: {field} cannot be `{value}`")]
    Value {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// The version is malformed.
    #[error("package `{0}` has no valid version")]
    Version(String, #[source] InvalidVersion),
    /// A relation is malformed.
    #[error("package `{package}`: the field {field} is malformed")]
    Relation {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidRelation,
    },
}

/// Reads an index; every package in it has a [`PackageStanza::file`].
pub fn parse(text: &str) -> Result<Vec<PackageStanza<'_>>, InvalidIndex> {
    Stanzas::of(text)
        .map(|stanza| {
            let stanza = stanza?;
            let name = package_name(&stanza)?;
            let file = parse_file(&stanza, name)?;
            PackageStanza::describe(stanza, Some(file))
        })
        .collect()
}

impl<'text> PackageStanza<'text> {
    /// Reads what a stanza says about a package whose file is `file`, if there is one.
    pub(super) fn describe(
        stanza: Stanza<'text>,
        file: Option<PoolFile<'text>>,
    ) -> Result<Self, InvalidIndex> {
        let name = package_name(&stanza)?;
        let version = Version::parse(required(&stanza, name, "Version")?)
            .map_err(|source| InvalidIndex::Version(name.to_owned(), source))?;
        let architecture = required(&stanza, name, "Architecture")?;
        if !is_architecture(architecture) {
            return Err(invalid(name, "Architecture", architecture));
        }
        let multi_arch = parse_multi_arch(&stanza, name)?;
        let is_yes = |field| stanza.get(field).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        Ok(Self {
            name,
            version,
            architecture,
            multi_arch,
            is_essential: is_yes("Essential"),
            is_protected: is_yes("Important") || is_yes("Protected"),
            priority: Priority::of(stanza.get("Priority").unwrap_or_default()),
            source: source_name(&stanza, name)?,
            section: stanza.get("Section").unwrap_or_default(),
            file,
            relations: Relations::of(&stanza),
            raw: stanza.raw(),
        })
    }

    /// Returns the stanza with all its fields, read once more: an index of them all would be twice as large.
    pub fn stanza(&self) -> Stanza<'text> {
        Stanza::parse(self.raw).expect("the same text was read as a stanza before")
    }

    /// Returns what has to be there for the package to work.
    pub fn depends(&self) -> Result<Vec<OrGroup<'text>>, InvalidIndex> {
        self.read("Depends", self.relations.depends, parse_groups)
    }

    /// Returns what has to work before the package is unpacked.
    pub fn pre_depends(&self) -> Result<Vec<OrGroup<'text>>, InvalidIndex> {
        self.read("Pre-Depends", self.relations.pre_depends, parse_groups)
    }

    /// Returns what most installations have beside the package.
    pub fn recommends(&self) -> Result<Vec<OrGroup<'text>>, InvalidIndex> {
        self.read("Recommends", self.relations.recommends, parse_groups)
    }

    /// Returns what cannot be unpacked beside the package.
    pub fn conflicts(&self) -> Result<Vec<PackageRelation<'text>>, InvalidIndex> {
        self.read("Conflicts", self.relations.conflicts, parse_list)
    }

    /// Returns what does not work beside the package.
    pub fn breaks(&self) -> Result<Vec<PackageRelation<'text>>, InvalidIndex> {
        self.read("Breaks", self.relations.breaks, parse_list)
    }

    /// Returns what the package takes files over from.
    pub fn replaces(&self) -> Result<Vec<PackageRelation<'text>>, InvalidIndex> {
        self.read("Replaces", self.relations.replaces, parse_list)
    }

    /// Returns the names that the package stands for, beside its own.
    pub fn provides(&self) -> Result<Vec<Provided<'text>>, InvalidIndex> {
        self.read("Provides", self.relations.provides, parse_provides)
    }

    fn read<T>(
        &self,
        field: &'static str,
        value: &'text str,
        parse: fn(&'text str) -> Result<Vec<T>, InvalidRelation>,
    ) -> Result<Vec<T>, InvalidIndex> {
        parse(value).map_err(|source| InvalidIndex::Relation { package: self.name.to_owned(), field, source })
    }
}

impl<'text> Relations<'text> {
    fn of(stanza: &Stanza<'text>) -> Self {
        let field = |name| stanza.get(name).unwrap_or_default();
        Self {
            depends: field("Depends"),
            pre_depends: field("Pre-Depends"),
            recommends: field("Recommends"),
            conflicts: field("Conflicts"),
            breaks: field("Breaks"),
            replaces: field("Replaces"),
            provides: field("Provides"),
        }
    }
}

impl Priority {
    fn of(text: &str) -> Self {
        match text {
            "required" => Self::Required,
            "important" => Self::Important,
            "standard" => Self::Standard,
            "extra" => Self::Extra,
            _ => Self::Optional,
        }
    }
}

fn package_name<'text>(stanza: &Stanza<'text>) -> Result<&'text str, InvalidIndex> {
    let name = stanza.get("Package").unwrap_or_default();
    if is_package(name) { Ok(name) } else { Err(InvalidIndex::Name(excerpt(name))) }
}

fn required<'text>(
    stanza: &Stanza<'text>,
    package: &str,
    field: &'static str,
) -> Result<&'text str, InvalidIndex> {
    let missing = || InvalidIndex::Missing { package: package.to_owned(), field };
    stanza.get(field).filter(|value| !value.is_empty()).ok_or_else(missing)
}

fn invalid(package: &str, field: &'static str, value: &str) -> InvalidIndex {
    InvalidIndex::Value { package: package.to_owned(), field, value: excerpt(value) }
}

fn parse_multi_arch(stanza: &Stanza<'_>, package: &str) -> Result<MultiArch, InvalidIndex> {
    Ok(match stanza.get("Multi-Arch") {
        None | Some("no") => MultiArch::No,
        Some("same") => MultiArch::Same,
        Some("foreign") => MultiArch::Foreign,
        Some("allowed") => MultiArch::Allowed,
        Some(value) => return Err(invalid(package, "Multi-Arch", value)),
    })
}

/// Returns the name before the version in parentheses that rebuilt packages have.
fn source_name<'text>(stanza: &Stanza<'text>, package: &'text str) -> Result<&'text str, InvalidIndex> {
    let Some(source) = stanza.get("Source") else { return Ok(package) };
    let name = source.split_once(" (").map_or(source, |(name, _)| name);
    if is_package(name) { Ok(name) } else { Err(invalid(package, "Source", source)) }
}

fn parse_file<'text>(stanza: &Stanza<'text>, package: &str) -> Result<PoolFile<'text>, InvalidIndex> {
    let path = required(stanza, package, "Filename")?;
    // Apt's own writer begins the paths of flat repositories with `./`.
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.contains(['\\', '%', '?', '#']);
    if !is_plain || path.parse::<TreePath>().is_err() {
        return Err(invalid(package, "Filename", path));
    }
    let size = required(stanza, package, "Size")?;
    let is_number = size.bytes().all(|byte| byte.is_ascii_digit());
    let length = size.parse().ok().filter(|size| is_number && *size <= LARGEST);
    let length = length.ok_or_else(|| invalid(package, "Size", size))?;
    let sha256 = required(stanza, package, "SHA256")?;
    let digest = format!("sha256:{sha256}").parse().map_err(|_| invalid(package, "SHA256", sha256))?;
    Ok(PoolFile { path, size: length, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JQ: &str = "Package: jq\nSource: jq-src (1.5)\nVersion: 1.6-2.1\nArchitecture: amd64\nMulti-Arch: foreign\n\
        Depends: libjq1 (= 1.6-2.1), libc6 (>= 2.34)\nPriority: optional\nSection: utils\n\
        Filename: pool/main/j/jq/jq_1.6-2.1_amd64.deb\nSize: 64528\n\
        SHA256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nDescription: JSON\n";

    #[test]
    fn a_package_is_described_as_its_stanza_says() {
        let packages = parse(JQ).unwrap();
        let jq = &packages[0];
        assert_eq!((jq.name, jq.source, jq.architecture, jq.section), ("jq", "jq-src", "amd64", "utils"));
        assert_eq!((jq.multi_arch, jq.priority), (MultiArch::Foreign, Priority::Optional));
        assert!(!jq.is_essential && !jq.is_protected);
        assert_eq!(jq.version.as_str(), "1.6-2.1");
        assert_eq!(jq.depends().unwrap().len(), 2);
        assert_eq!(jq.conflicts().unwrap(), []);
        let file = jq.file.as_ref().unwrap();
        assert_eq!((file.path, file.size), ("pool/main/j/jq/jq_1.6-2.1_amd64.deb", 64528));
        assert_eq!(jq.stanza().raw(), JQ);
    }

    #[test]
    fn what_makes_a_package_hard_to_miss_is_read() {
        let text = JQ.replace("Priority: optional", "Priority: required\nEssential: yes\nProtected: yes");
        let packages = parse(&text).unwrap();
        assert_eq!(packages[0].priority, Priority::Required);
        assert!(packages[0].is_essential && packages[0].is_protected);
    }

    #[test]
    fn hostile_values_are_refused_with_the_package_s_name() {
        for (field, hostile, message) in [
            ("Package: jq", "Package: ../jq", "`../jq` is not the name of a package"),
            ("Package: jq", "Other: jq", "`` is not the name of a package"),
            ("Version: 1.6-2.1", "Version: 1/2", "package `jq` has no valid version"),
            ("Version: 1.6-2.1", "Version:", "package `jq` has no field Version"),
            ("Architecture: amd64", "Architecture: ../x", "package `jq`: Architecture cannot be `../x`"),
            ("Multi-Arch: foreign", "Multi-Arch: x", "package `jq`: Multi-Arch cannot be `x`"),
            ("Source: jq-src (1.5)", "Source: a b", "package `jq`: Source cannot be `a b`"),
            ("Filename: pool", "Filename: ../pool", "package `jq`: Filename cannot be `../pool/"),
            ("Filename: pool", "Filename: /pool", "package `jq`: Filename cannot be `/pool/"),
            ("Filename: pool", "Filename: po ol", "package `jq`: Filename cannot be `po ol/"),
            ("Filename: pool", "Filename: po%2e", "package `jq`: Filename cannot be `po%2e/"),
            ("Filename: pool", "Path: pool", "package `jq` has no field Filename"),
            ("Size: 64528", "Size: -1", "package `jq`: Size cannot be `-1`"),
            ("Size: 64528", "Size: 99999999999999999999", "package `jq`: Size cannot be"),
            ("SHA256: aa", "SHA256: AA", "package `jq`: SHA256 cannot be `AAaa"),
            ("SHA256: aa", "SHA256: a", "package `jq`: SHA256 cannot be `aaaa"),
            ("SHA256: aa", "MD5sum: aa", "package `jq` has no field SHA256"),
        ] {
            assert!(JQ.contains(field), "{field}");
            let error = parse(&JQ.replacen(field, hostile, 1)).unwrap_err().to_string();
            assert!(error.starts_with(message), "{hostile}: {error}");
        }
    }

    #[test]
    fn a_malformed_relation_is_refused_with_package_and_field_when_it_is_read() {
        let text = JQ.replace("libjq1 (=", "libjq1 (!");
        let error = parse(&text).unwrap()[0].depends().unwrap_err();
        assert_eq!(error.to_string(), "package `jq`: the field Depends is malformed");
    }
}
