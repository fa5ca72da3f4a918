//! The lock as text: written canonically, read strictly.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::Deserialize;

use super::{LockedFile, LockedImage, Lockfile, LockfileError, VERSION};
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
    #[serde(rename = "version")]
    _version: u32,
    epoch: Epoch,
    platforms: Vec<Platform>,
    #[serde(rename = "image-size")]
    image_size: u64,
    #[serde(default, rename = "file")]
    files: Vec<LockedFile>,
    #[serde(default, rename = "image")]
    images: Vec<LockedImage>,
}

impl FromStr for Lockfile {
    type Err = LockfileError;

    fn from_str(text: &str) -> Result<Self, LockfileError> {
        let malformed = |error: toml::de::Error| LockfileError::Malformed(describe(&error, text));
        // The version first: the rest of a newer lock may be anything.
        let versioned: Versioned = toml::from_str(text).map_err(malformed)?;
        match versioned.version {
            Some(VERSION) => {}
            Some(found) => return Err(LockfileError::Version { found }),
            None => return Err(LockfileError::Malformed("it does not state its `version`".to_owned())),
        }
        let Document { epoch, mut platforms, image_size, mut files, mut images, .. } =
            toml::from_str(text).map_err(malformed)?;
        platforms.sort();
        files.sort_by(|one, other| one.role.cmp(&other.role));
        images.sort_by(|one, other| one.reference.cmp(&other.reference));
        let twice = |name: String| Err(LockfileError::Duplicate { name });
        if let Some(pair) = files.windows(2).find(|pair| pair[0].role == pair[1].role) {
            return twice(pair[0].role.to_string());
        }
        if let Some(pair) = images.windows(2).find(|pair| pair[0].reference == pair[1].reference) {
            return twice(pair[0].reference.to_string());
        }
        Ok(Self { epoch, platforms, image_size, files, images })
    }
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
        let Self { epoch, platforms, image_size, files, images } = self;
        let listed: Vec<String> = platforms.iter().map(|platform| quote(&platform.to_string())).collect();
        write!(formatter, "{HEADER}\nversion = {VERSION}\n")?;
        writeln!(formatter, "epoch = {} # {epoch}", epoch.seconds())?;
        writeln!(formatter, "platforms = [{}]\nimage-size = {image_size}", listed.join(", "))?;
        files.iter().try_for_each(|file| write_file(formatter, file))?;
        images.iter().try_for_each(|image| write_image(formatter, image))
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

/// Returns a TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
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
    quoted.push('"');
    quoted
}
