//! Lists of images, in all the plain-text forms that people have: one image a line, with or without a
//! destination, comments, groups and quotes.
//!
//! What cannot be meant is refused with file, line and column, all of it in one run. Lists that come with
//! seedkit are here too: [`builtin_k3s`], [`SEEDS`], [`KUBESPHERE`].
//!
//! # Why
//! A list that is read "somehow" loses an image, and the loss shows when a pod does not start where nobody
//! can pull it.
mod builtin;
mod image;
mod line;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use builtin::{KUBESPHERE, SEEDS, builtin_k3s, builtin_k3s_releases};
use image::ReadLine;
use itertools::Itertools as _;

use crate::oci::Reference;
use crate::text::{self, Finding, Listing, Location};

/// The longest list that is read, in bytes.
pub const MAXIMUM_SIZE: usize = 4 * 1024 * 1024;

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 4096;

/// One image of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// The image, fully qualified.
    pub reference: Reference,
    /// Its name in the private registry, `repository:tag`, where that is another one than its own.
    pub destination: Option<String>,
    /// The list that names it first.
    pub file: String,
    /// Where in that list; `None` if it is named outside of a list.
    pub location: Option<Location>,
    /// The `##` heading above it.
    pub group: Option<String>,
}

impl ListedImage {
    /// Returns who names it, for messages: `images.txt:12`.
    pub fn origin(&self) -> String {
        match self.location {
            Some(location) => format!("{}:{}", self.file, location.line),
            None => self.file.clone(),
        }
    }
}

/// Says that a list means nothing; printed with everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("the image list cannot be used:\n{}", Listing::of(Path::new(.file), .findings))]
pub struct ImageListError {
    /// The list.
    pub file: String,
    /// What is wrong, in the order of the lines; at least one error.
    pub findings: Vec<Finding>,
}

/// The images of one or several lists, each once, in the order in which they are named first.
#[derive(Debug, Clone, Default)]
pub struct ImageList {
    images: Vec<ListedImage>,
    /// Where each image is in `images`.
    positions: BTreeMap<Reference, usize>,
    /// Which image has each destination.
    destinations: BTreeMap<String, usize>,
    warnings: Vec<(String, Finding)>,
}

impl ImageList {
    /// Adds the images of a list; of its `groups` only, if any are given.
    ///
    /// Warnings and notes are kept for [`ImageList::warnings`].
    ///
    /// # Errors
    /// Everything that is wrong with this list, alone and together with the lists before it. The images that
    /// could be read are added nevertheless, so that the next list is checked against them.
    pub fn add_text(
        &mut self,
        file: &str,
        text: impl AsRef<[u8]>,
        groups: &[String],
    ) -> Result<(), ImageListError> {
        let mut findings = Vec::new();
        match text::decode(text.as_ref(), MAXIMUM_SIZE) {
            Ok(text) => self.add_lines(file, text, groups, &mut findings),
            Err(finding) => findings.push(finding),
        }
        if findings.iter().any(Finding::is_error) {
            return Err(ImageListError { file: file.to_owned(), findings });
        }
        self.warnings.extend(findings.into_iter().map(|finding| (file.to_owned(), finding)));
        Ok(())
    }

    /// Adds an image that is named outside of a list, by `origin`.
    pub fn add(&mut self, reference: Reference, origin: &str) {
        if !self.positions.contains_key(&reference) {
            let (file, destination) = (origin.to_owned(), None);
            self.push(ListedImage { reference, destination, file, location: None, group: None });
        }
    }

    /// Returns the images so far.
    pub fn images(&self) -> &[ListedImage] {
        &self.images
    }

    /// Returns the images.
    pub fn into_images(self) -> Vec<ListedImage> {
        self.images
    }

    /// Returns what was strange without being wrong: the list, and what about it.
    pub fn warnings(&self) -> &[(String, Finding)] {
        &self.warnings
    }

    fn add_lines(&mut self, file: &str, text: &str, groups: &[String], findings: &mut Vec<Finding>) {
        if Path::new(file).file_name().is_some_and(|name| name.to_string_lossy().contains("windows")) {
            findings.push(image::refusal(
                Location::START,
                "this is a list of Windows images, and k3s nodes run Linux",
            ));
            return;
        }
        if let Some(what) = other_content(text) {
            findings.push(image::refusal(Location::START, format!("this is {what}, and no list of images")));
            return;
        }
        let mut group: Option<&str> = None;
        let mut seen_groups = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            // No two image names are that long; what is may be crafted to keep us busy.
            if line.len() > LONGEST_LINE {
                let message = format!("the line has more than {LONGEST_LINE} bytes");
                findings.push(image::refusal(Location { line: index + 1, column: 1 }, message));
                continue;
            }
            let read = match line::read(line) {
                line::Line::Blank => continue,
                line::Line::Heading(name) => {
                    seen_groups.insert(name);
                    group = Some(name);
                    continue;
                }
                line::Line::Entry(entry) => entry,
            };
            let is_chosen =
                groups.is_empty() || group.is_some_and(|group| groups.iter().any(|name| name == group));
            if !is_chosen {
                continue;
            }
            if let Some(ReadLine { reference, destination, location }) =
                image::read(&read, index + 1, findings)
            {
                let group = group.map(str::to_owned);
                let image = ListedImage {
                    reference,
                    destination,
                    file: file.to_owned(),
                    location: Some(location),
                    group,
                };
                self.merge(image, location, findings);
            }
        }
        for name in groups.iter().filter(|name| !seen_groups.contains(name.as_str())) {
            let known = seen_groups.iter().join(", ");
            let hint = if known.is_empty() {
                "it has no `##` headings".to_owned()
            } else {
                format!("its groups: {known}")
            };
            findings.push(
                image::refusal(Location::START, format!("there is no group `{name}` in this list"))
                    .with_hint(hint),
            );
        }
    }

    /// Adds an image unless it is there; says what of it contradicts the images that are there.
    fn merge(&mut self, image: ListedImage, location: Location, findings: &mut Vec<Finding>) {
        if let Some(first) = self.positions.get(&image.reference).map(|position| &self.images[*position]) {
            let (name, origin) = (&image.reference, first.origin());
            findings.push(if first.destination == image.destination {
                image::note(location, format!("`{name}` is already named by {origin}; it is taken once"))
            } else {
                let destination = |image: &ListedImage| {
                    image.destination.clone().unwrap_or_else(|| image::own_name(&image.reference))
                };
                let message = format!(
                    "`{name}` goes to `{}` here and to `{}` in {origin}",
                    destination(&image),
                    destination(first)
                );
                image::refusal(location, message).with_hint("remove one of the two")
            });
            return;
        }
        let target = image.destination.clone().unwrap_or_else(|| image::own_name(&image.reference));
        if let Some(other) = self.destinations.get(&target).map(|position| &self.images[*position]) {
            // Two registries may well have the same name; only a destination that somebody chose is a mistake.
            if image.destination.is_some() || other.destination.is_some() {
                let message = format!(
                    "`{target}` is already the place of `{}`, named by {}",
                    other.reference,
                    other.origin()
                );
                findings.push(image::refusal(location, message).with_hint("choose another destination"));
                return;
            }
        }
        self.push(image);
    }

    fn push(&mut self, image: ListedImage) {
        let position = self.images.len();
        let target = image.destination.clone().unwrap_or_else(|| image::own_name(&image.reference));
        self.positions.insert(image.reference.clone(), position);
        self.destinations.entry(target).or_insert(position);
        self.images.push(image);
    }
}

/// Recognises what holds secrets rather than images: no line of it is quoted.
fn other_content(text: &str) -> Option<&'static str> {
    match text.trim_start() {
        text if text.contains("-----BEGIN ") => Some("a key or certificate"),
        text if text.starts_with(['{', '[']) => Some("JSON"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
