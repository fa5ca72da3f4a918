//! The lock as text: written canonically, read strictly.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::Deserialize;

use super::{
    LockedFile, LockedImage, LockedIndex, LockedPackage, LockedPackages, Lockfile, LockfileError,
    PackageOrigin, PackageRequest, VERSION, VERSION_WITHOUT_PACKAGES,
};
use crate::epoch::Epoch;
use crate::oci::Platform;

const HEADER: &str = "\
# Made by `seedkit lock`: what seedkit.yaml resolved to. Review it and commit it; do not edit it by hand.
# The same lock, templates and secrets give the same kit, byte for byte.
";

#[derive(Deserialize)]
struct Versioned {
    version: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    epoch: Epoch,
    platforms: Vec<Platform>,
    #[serde(rename = "image-size")]
    image_size: u64,
    #[serde(default, rename = "file")]
    files: Vec<LockedFile>,
    #[serde(default, rename = "image")]
    images: Vec<LockedImage>,
    #[serde(rename = "packages")]
    request: Option<PackageRequest>,
    #[serde(default, rename = "index")]
    indices: Vec<LockedIndex>,
    #[serde(default, rename = "package")]
    packages: Vec<LockedPackage>,
}

impl FromStr for Lockfile {
    type Err = LockfileError;

    fn from_str(text: &str) -> Result<Self, LockfileError> {
        let malformed = |error: toml::de::Error| LockfileError::Malformed(describe(&error, text));
        // The version first: the rest of a newer lock may be anything.
        let versioned: Versioned = toml::from_str(text).map_err(malformed)?;
        match versioned.version {
            Some(VERSION_WITHOUT_PACKAGES | VERSION) => {}
            Some(found) => return Err(LockfileError::Version { found }),
            None => return Err(LockfileError::Malformed("it does not state its `version`".to_owned())),
        }
        toml::from_str::<Document>(text).map_err(malformed)?.into_lockfile()
    }
}

impl Document {
    fn into_lockfile(self) -> Result<Lockfile, LockfileError> {
        let Self { version, epoch, mut platforms, image_size, mut files, mut images, .. } = self;
        let packages = match (self.request, self.indices, self.packages) {
            (None, indices, packages) if indices.is_empty() && packages.is_empty() => None,
            (Some(request), indices, packages) if version != VERSION_WITHOUT_PACKAGES => {
                Some(LockedPackages::new(request, indices, packages))
            }
            (None, ..) => {
                return malformed_packages("it has `[[index]]` or `[[package]]` without `[packages]`");
            }
            (Some(_), ..) => {
                return malformed_packages("it has `[packages]`, which its `version` does not know");
            }
        };
        platforms.sort();
        files.sort_by(|one, other| one.role.cmp(&other.role));
        images.sort_by(|one, other| one.reference.cmp(&other.reference));
        let file = files.windows(2).find(|pair| pair[0].role == pair[1].role);
        let image = images.windows(2).find(|pair| pair[0].reference == pair[1].reference);
        let twice = file
            .map(|pair| pair[0].role.to_string())
            .or_else(|| image.map(|pair| pair[0].reference.to_string()))
            .or_else(|| packages.as_ref().and_then(LockedPackages::duplicate));
        match twice {
            Some(name) => Err(LockfileError::Duplicate { name }),
            None => Ok(Lockfile { epoch, platforms, image_size, files, images, packages }),
        }
    }
}

fn malformed_packages<T>(reason: &str) -> Result<T, LockfileError> {
    Err(LockfileError::Malformed(reason.to_owned()))
}

/// Says what is wrong and in which line, without toml's multi-line drawing.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
    let message = error.message().trim_end().replace('\n', ", ");
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

impl fmt::Display for Lockfile {
    /// Writes the canonical text.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, platforms, image_size, files, images, packages } = self;
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        write!(formatter, "{HEADER}\nversion = {VERSION}\n")?;
        writeln!(formatter, "epoch = {} # {epoch}", epoch.seconds())?;
        writeln!(formatter, "platforms = {}\nimage-size = {image_size}", quote_list(&platforms))?;
        files.iter().try_for_each(|file| write_file(formatter, file))?;
        images.iter().try_for_each(|image| write_image(formatter, image))?;
        packages.iter().try_for_each(|packages| write_packages(formatter, packages))
    }
}

fn write_file(formatter: &mut fmt::Formatter<'_>, file: &LockedFile) -> fmt::Result {
    let LockedFile { role, source, sha256, size } = file;
    writeln!(formatter, "\n[[file]]\nrole = {}", quote(&role.to_string()))?;
    writeln!(formatter, "source = {}", quote(source))?;
    writeln!(formatter, "sha256 = {}\nsize = {size}", quote(&sha256.to_string()))
}

fn write_image(formatter: &mut fmt::Formatter<'_>, image: &LockedImage) -> fmt::Result {
    let LockedImage { reference, destination, media_type, digest, size, total_size, platforms } = image;
    writeln!(formatter, "\n[[image]]\nreference = {}", quote(&reference.to_string()))?;
    if let Some(destination) = destination {
        writeln!(formatter, "destination = {}", quote(destination))?;
    }
    writeln!(formatter, "digest = {}", quote(&digest.to_string()))?;
    writeln!(formatter, "media-type = {}", quote(media_type))?;
    writeln!(formatter, "size = {size}\ntotal-size = {total_size}")?;
    if !platforms.is_empty() {
        writeln!(formatter, "[image.platforms]")?;
    }
    platforms.iter().try_for_each(|(platform, digest)| {
        writeln!(formatter, "{} = {}", quote(&platform.to_string()), quote(&digest.to_string()))
    })
}

fn write_packages(formatter: &mut fmt::Formatter<'_>, packages: &LockedPackages) -> fmt::Result {
    let LockedPackages { request, indices, packages } = packages;
    let PackageRequest { suite, names, recommends, baseline, sources, extra } = request;
    writeln!(formatter, "\n[packages]\nsuite = {}", quote(suite))?;
    writeln!(formatter, "names = {}\nrecommends = {recommends}", quote_list(names))?;
    writeln!(formatter, "baseline = {}\nsources = {}", quote(baseline), quote_list(sources))?;
    let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
    writeln!(formatter, "extra = {}", quote_list(&extra))?;
    indices.iter().try_for_each(|index| write_index(formatter, index))?;
    packages.iter().try_for_each(|package| write_package(formatter, package))
}

fn write_index(formatter: &mut fmt::Formatter<'_>, index: &LockedIndex) -> fmt::Result {
    let LockedIndex { suite, component, architecture, url, date, release, signers, path, size, digest } =
        index;
    writeln!(formatter, "\n[[index]]\nsuite = {}\ncomponent = {}", quote(suite), quote(component))?;
    writeln!(formatter, "architecture = {}\nurl = {}", quote(architecture), quote(url))?;
    writeln!(formatter, "date = {} # {date}", date.seconds())?;
    writeln!(formatter, "release = {}", quote(&release.to_string()))?;
    writeln!(formatter, "signers = {}\npath = {}", quote_list(signers), quote(path))?;
    writeln!(formatter, "size = {size}\ndigest = {}", quote(&digest.to_string()))
}

fn write_package(formatter: &mut fmt::Formatter<'_>, package: &LockedPackage) -> fmt::Result {
    let LockedPackage { target, name, version, architecture, origin, size, sha256, why, stanza } = package;
    writeln!(formatter, "\n[[package]]\ntarget = {}\nname = {}", quote(target), quote(name))?;
    writeln!(formatter, "version = {}\narchitecture = {}", quote(version), quote(architecture))?;
    match origin {
        PackageOrigin::Pool { suite, url, path } => {
            writeln!(formatter, "suite = {}\nurl = {}\npath = {}", quote(suite), quote(url), quote(path))?;
        }
        PackageOrigin::File { path } => writeln!(formatter, "file = {}", quote(path))?,
    }
    writeln!(formatter, "size = {size}\nsha256 = {}", quote(&sha256.to_string()))?;
    writeln!(formatter, "why = {}", quote(why))?;
    writeln!(formatter, "stanza = {}", quote_lines(stanza))
}

/// Returns a TOML array of basic strings, on one line.
fn quote_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Returns a TOML multi-line basic string: what it holds is read as it is written.
fn quote_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(escape).collect();
    format!("\"\"\"\n{}\"\"\"", lines.join("\n"))
}

/// Returns a TOML basic string.
fn quote(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// Escapes what neither form of string may hold.
fn escape(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(control)).expect("writing to a String cannot fail");
            }
            other => quoted.push(other),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::lockfile::fixture::{lockfile, packages};

    fn with_packages() -> Lockfile {
        Lockfile { packages: Some(packages()), ..lockfile() }
    }

    fn error(text: &str) -> LockfileError {
        text.parse::<Lockfile>().unwrap_err()
    }

    #[test]
    fn a_lock_reads_back_as_it_was_written() {
        for lockfile in [lockfile(), with_packages()] {
            let text = lockfile.to_string();
            assert_eq!(text.parse::<Lockfile>().unwrap(), lockfile);
            assert_eq!(text.parse::<Lockfile>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn packages_are_written_after_the_images_each_key_on_a_line_in_a_fixed_order() {
        let text = with_packages().to_string();
        let [one, other] = [b"amd64".as_slice(), b"jq"].map(Digest::sha256);
        let expected = format!(
            r#"
[packages]
suite = "bookworm"
names = ["htop", "jq=1.6-2.1"]
recommends = false
baseline = "priority important"
sources = ["https://mirror.example/debian bookworm main", "file:lab bookworm main"]
extra = ["a b.deb {extra}"]

[[index]]
suite = "bookworm"
component = "main"
architecture = "amd64"
url = "https://mirror.example/debian"
date = 1763600000 # 2025-11-20T00:53:20Z
release = "{release}"
signers = ["4CB50190207B4758A3F73A796ED0E7B82643E131"]
path = "main/binary-amd64/Packages.gz"
size = 5
digest = "{one}"
"#,
            extra = Digest::sha256(b"extra"),
            release = Digest::sha256(b"release"),
        );
        let (before, after) = text.split_at(text.find("\n[packages]").unwrap());
        assert_eq!(before, lockfile().to_string());
        assert_eq!(
            after
                .split_once(
                    "\n[[index]]\nsuite = \"bookworm\"\ncomponent = \"main\"\narchitecture = \"arm64\""
                )
                .unwrap()
                .0,
            expected
        );
        let package = &after[after.find("\n[[package]]").unwrap()..];
        assert_eq!(
            package.split_inclusive("\"requested\"\n").next().unwrap(),
            format!(
                r#"
[[package]]
target = "amd64"
name = "jq"
version = "1:1.6~\"rc\"-2.1+b2"
architecture = "amd64"
suite = "bookworm"
url = "https://mirror.example/debian"
path = "pool/main/j/jq/jq_1.6-2.1_amd64.deb"
size = 6
sha256 = "{other}"
why = "requested"
"#
            )
        );
    }

    #[test]
    fn a_lock_of_version_1_is_read_and_written_as_version_2() {
        let text = lockfile().to_string();
        assert!(text.contains("\nversion = 2\n"));
        let old: Lockfile = text.replace("version = 2\n", "version = 1\n").parse().unwrap();
        assert_eq!(old, lockfile());
        assert_eq!(old.to_string(), text);
    }

    #[test]
    fn locks_that_this_version_does_not_understand_are_refused() {
        let text = lockfile().to_string();
        for version in [0, 3] {
            let other = text.replace("version = 2\n", &format!("version = {version}\nsurprise = true\n"));
            assert!(matches!(error(&other), LockfileError::Version { found } if found == version));
        }
        assert!(matches!(error(&text.replace("version = 2\n", "")), LockfileError::Malformed(_)));
        assert!(matches!(error(&text.replace("epoch", "epok")), LockfileError::Malformed(_)));
        assert!(matches!(error(&text.replace("quay.io", "docker.io")), LockfileError::Duplicate { .. }));
        assert!(error(&text.replace("sha256:", "md5:")).to_string().contains("line "));
    }

    #[test]
    fn packages_that_this_version_does_not_understand_are_refused() {
        let text = with_packages().to_string();
        let request = &text[text.find("[packages]").unwrap()..text.find("[[index]]").unwrap()];
        for (found, replacement, reason) in [
            ("version = 2\n", "version = 1\n", "it has `[packages]`, which its `version` does not know"),
            (request, "", "it has `[[index]]` or `[[package]]` without `[packages]`"),
            ("recommends = false\n", "", "missing field `recommends`"),
            ("recommends =", "suggests = true\nrecommends =", "unknown field `suggests`"),
            ("component =", "part =", "unknown field `part`"),
            ("why = \"requested\"\n", "", "missing field `why`"),
            ("date = 1763600000", "date = 7", "`7` is not a usable epoch"),
            ("size = 6\n", "size = -6\n", "invalid value"),
        ] {
            assert!(text.contains(found), "{found}");
            let error = error(&text.replace(found, replacement));
            assert!(matches!(error, LockfileError::Malformed(_)), "{error}");
            assert!(error.to_string().contains(reason), "{error} instead of {reason}");
        }
    }

    #[test]
    fn what_is_locked_twice_is_refused_by_name() {
        let text = with_packages().to_string();
        let extra = format!("extra = [\"a b.deb {}\"", Digest::sha256(b"extra"));
        let other_extra = format!("{extra}, \"a b.deb {}\"", Digest::sha256(b"other"));
        for (found, replacement, name) in [
            ("name = \"libjq1\"", "name = \"jq\"", "amd64 jq"),
            ("target = \"arm64\"", "target = \"amd64\"", "amd64 jq"),
            (
                "architecture = \"arm64\"",
                "architecture = \"amd64\"",
                "bookworm main amd64 https://mirror.example/debian",
            ),
            ("\"jq=1.6-2.1\"]", "\"htop\"]", "htop"),
            (&extra, &other_extra, "a b.deb"),
        ] {
            assert!(text.contains(found), "{found}");
            let error = error(&text.replace(found, replacement));
            assert_eq!(error.to_string(), format!("the lock has `{name}` twice"));
        }
    }

    #[test]
    fn packages_belong_to_the_content_that_two_locks_share_and_the_epoch_does_not() {
        let lockfile = with_packages();
        let later = Lockfile { epoch: Epoch::try_from(1_800_000_000).unwrap(), ..lockfile.clone() };
        assert!(later.pins_same_content(&lockfile));
        let mut updated = lockfile.clone();
        updated.packages.as_mut().unwrap().packages[0].version.push_str("+deb12u1");
        assert!(!updated.pins_same_content(&lockfile));
        assert!(!Lockfile { packages: None, ..lockfile.clone() }.pins_same_content(&lockfile));
    }
}
