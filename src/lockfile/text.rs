//! The lock as text: written canonically, read strictly.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::Deserialize;

use super::{
    LockedAttachment, LockedFile, LockedImage, LockedIndex, LockedPackage, LockedPackages, Lockfile,
    LockfileError, PackageOrigin, PackageRequest, VERSION,
};
use crate::epoch::Epoch;
use crate::oci::Platform;
use crate::oci::attached::subject_of_tag;

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
    #[serde(rename = "version")]
    _version: u32,
    epoch: Epoch,
    platforms: Vec<Platform>,
    signatures: bool,
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
        // The version first: the rest of a lock of another version may be anything.
        let versioned: Versioned = toml::from_str(text).map_err(malformed)?;
        match versioned.version {
            Some(VERSION) => {}
            Some(found) => return Err(LockfileError::Version(found)),
            None => return Err(LockfileError::Malformed("it does not state its `version`".to_owned())),
        }
        toml::from_str::<Document>(text).map_err(malformed)?.into_lockfile()
    }
}

impl Document {
    fn into_lockfile(self) -> Result<Lockfile, LockfileError> {
        let Self {
            _version,
            epoch,
            mut platforms,
            signatures,
            image_size,
            mut files,
            mut images,
            request,
            indices,
            packages,
        } = self;
        check_attached(signatures, &images)?;
        let packages = match request {
            Some(request) => Some(LockedPackages::new(request, indices, packages)),
            None if indices.is_empty() && packages.is_empty() => None,
            None => return malformed("it has `[[index]]` or `[[package]]` without `[packages]`"),
        };
        platforms.sort();
        files.sort_by(|one, other| one.role.cmp(&other.role));
        images.sort_by(|one, other| one.reference.cmp(&other.reference));
        images.iter_mut().for_each(|image| image.attached.sort());
        let file = files.windows(2).find(|pair| pair[0].role == pair[1].role);
        let image = images.windows(2).find(|pair| pair[0].reference == pair[1].reference);
        let twice = file
            .map(|pair| pair[0].role.to_string())
            .or_else(|| image.map(|pair| pair[0].reference.to_string()))
            .or_else(|| packages.as_ref().and_then(LockedPackages::duplicate));
        match twice {
            Some(name) => Err(LockfileError::Duplicate(name)),
            None => Ok(Lockfile { epoch, platforms, signatures, image_size, files, images, packages }),
        }
    }
}

/// Refuses what cannot be attached so.
fn check_attached(signatures: bool, images: &[LockedImage]) -> Result<(), LockfileError> {
    let mut attached = images.iter().flat_map(|image| &image.attached);
    let is_odd = |attached: &LockedAttachment| {
        attached.tag.as_ref().is_some_and(|tag| subject_of_tag(tag).as_ref() != Some(&attached.subject))
    };
    if attached.clone().any(is_odd) {
        return malformed("it has an `attached` whose `tag` is not made of its `subject`");
    }
    if !signatures && attached.next().is_some() {
        return malformed("it has `attached`, and says that `signatures` are false");
    }
    Ok(())
}

fn malformed<T>(reason: &str) -> Result<T, LockfileError> {
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
        let Self { epoch, platforms, signatures, image_size, files, images, packages } = self;
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        write!(formatter, "{HEADER}\nversion = {VERSION}\n")?;
        writeln!(formatter, "epoch = {} # {epoch}", epoch.seconds())?;
        writeln!(formatter, "platforms = {}\nsignatures = {signatures}", quote_list(&platforms))?;
        writeln!(formatter, "image-size = {image_size}")?;
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
    let LockedImage {
        reference,
        destination,
        media_type,
        digest,
        size,
        total_size,
        manifests,
        platforms,
        attached,
    } = image;
    writeln!(formatter, "\n[[image]]\nreference = {}", quote(&reference.to_string()))?;
    if let Some(destination) = destination {
        writeln!(formatter, "destination = {}", quote(destination))?;
    }
    writeln!(formatter, "digest = {}", quote(&digest.to_string()))?;
    writeln!(formatter, "media-type = {}", quote(media_type))?;
    writeln!(formatter, "size = {size}\ntotal-size = {total_size}\nmanifests = {manifests}")?;
    if !platforms.is_empty() {
        writeln!(formatter, "[image.platforms]")?;
    }
    platforms.iter().try_for_each(|(platform, digest)| {
        writeln!(formatter, "{} = {}", quote(&platform.to_string()), quote(&digest.to_string()))
    })?;
    attached.iter().try_for_each(|attached| write_attached(formatter, attached))
}

fn write_attached(formatter: &mut fmt::Formatter<'_>, attached: &LockedAttachment) -> fmt::Result {
    let LockedAttachment { subject, tag, digest, media_type, size } = attached;
    writeln!(formatter, "[[image.attached]]\nsubject = {}", quote(&subject.to_string()))?;
    tag.iter().try_for_each(|tag| writeln!(formatter, "tag = {}", quote(tag)))?;
    writeln!(formatter, "digest = {}", quote(&digest.to_string()))?;
    writeln!(formatter, "media-type = {}\nsize = {size}", quote(media_type))
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
mod tests;
