//! What a machine has already, as its dpkg or the maker of its image says.

use super::control::Stanzas;
use super::index::{InvalidIndex, PackageStanza};
use super::name::{excerpt, is_package};
use super::version::{InvalidVersion, Version};
use crate::text::quoted;

/// A package of a cloud image's manifest, which says no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry<'text> {
    /// The name.
    pub name: &'text str,
    /// The version.
    pub version: Version<'text>,
}

/// Says why a text is not a cloud image's manifest.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// A line is malformed.
    #[error("line {} of the manifest is not `name version`: {}", .0, quoted(.1))]
    Line(usize, String),
    /// A version is malformed.
    #[error("line {0} of the manifest has no valid version")]
    Version(usize, #[source] InvalidVersion),
}

/// Reads dpkg's status file (`/var/lib/dpkg/status`) and returns the packages that are installed.
///
/// Packages that are only unpacked, half installed or removed up to their configuration are left out.
pub fn parse_status(text: &str) -> Result<Vec<PackageStanza<'_>>, InvalidIndex> {
    let mut installed = Vec::new();
    for stanza in Stanzas::of(text) {
        let stanza = stanza?;
        if stanza.get("Status").is_some_and(is_installed) {
            installed.push(PackageStanza::describe(stanza, None)?);
        }
    }
    Ok(installed)
}

/// Returns whether a status (`install ok installed`) is that of a package which works.
///
/// Triggers that still have to run do not keep a package from satisfying relations (deb-triggers).
fn is_installed(status: &str) -> bool {
    let words: Vec<&str> = status.split_ascii_whitespace().collect();
    matches!(words[..], [_wanted, "ok", "installed" | "triggers-awaited" | "triggers-pending"])
}

/// Reads the manifest of a cloud image, and leaves snaps and packages of other architectures out.
///
/// ```text
/// manifest = *( name [":" architecture] blank version newline )
/// ```
pub fn parse_manifest<'text>(
    text: &'text str,
    architecture: &str,
) -> Result<Vec<ManifestEntry<'text>>, InvalidManifest> {
    let mut entries = Vec::new();
    for (index, content) in text.lines().enumerate() {
        let line = index + 1;
        let malformed = || InvalidManifest::Line(line, excerpt(content));
        let words: Vec<&str> = content.split_ascii_whitespace().collect();
        let (name, version) = match words[..] {
            [] => continue,
            [snap, ..] if snap.starts_with("snap:") => continue,
            [name, version] => (name, version),
            _ => return Err(malformed()),
        };
        let (name, qualifier) = name.split_once(':').unwrap_or((name, architecture));
        if !is_package(name) {
            return Err(malformed());
        }
        if qualifier == architecture {
            let version = Version::parse(version).map_err(|source| InvalidManifest::Version(line, source))?;
            entries.push(ManifestEntry { name, version });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_work_count_as_installed() {
        let stanza = |name: &str, status: &str| {
            format!("Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: 1\n\n")
        };
        let text = [
            stanza("a", "install ok installed"),
            stanza("b", "hold ok installed"),
            stanza("c", "deinstall ok config-files"),
            stanza("d", "install ok triggers-pending"),
            stanza("e", "install ok half-configured"),
            stanza("f", "install reinstreq installed"),
            stanza("g", "install ok unpacked"),
            "Package: h\nStatus: unknown ok not-installed\n\n".to_owned(),
        ]
        .concat();
        let packages = parse_status(&text).unwrap();
        let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
        assert_eq!(names, ["a", "b", "d"]);
        assert!(packages.iter().all(|package| package.file.is_none()));
    }

    #[test]
    fn a_manifest_has_packages_of_its_architecture() {
        let text =
            "adduser\t3.134\n\nlibc6:amd64 2.36-9\nlibc6:i386 2.36-9\nsnap:lxd\t5.0\t123\nzlib1g 1:1.2\n";
        let entries = parse_manifest(text, "amd64").unwrap();
        let found: Vec<String> =
            entries.iter().map(|entry| format!("{} {}", entry.name, entry.version)).collect();
        assert_eq!(found, ["adduser 3.134", "libc6 2.36-9", "zlib1g 1:1.2"]);
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_line() {
        for (text, message) in [
            ("a 1\nb", "line 2 of the manifest is not `name version`: `b`"),
            ("a 1 2", "line 1 of the manifest is not `name version`: a text of 5 characters"),
            ("../a 1", "line 1 of the manifest is not `name version`: a text of 6 characters"),
            ("a 1/2", "line 1 of the manifest has no valid version"),
        ] {
            assert_eq!(parse_manifest(text, "amd64").unwrap_err().to_string(), message);
        }
    }
}
