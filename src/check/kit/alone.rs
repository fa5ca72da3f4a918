//! A part of a kit without the rest: a disc, an archive of images, or a layout, whoever made it.
//!
//! It is read by the same readers as in a kit. Of everything that a bill would say there is nothing, so that only rows
//! that need no bill can speak of it.

use std::io::BufReader;
use std::path::Path;

use super::disc::{Archive, DiscView, Shelf};
use super::{Kit, Node, OpenError, Seed};
use crate::check::rows::Part;
use crate::digest::Digest;
use crate::inspect::{self, InspectError, Inspected, Kind, Options};
use crate::progress::{Event, Reporter};
use crate::verify;

/// Returns whether a folder has what an image layout has.
pub(super) fn is_layout(folder: &Path) -> bool {
    ["oci-layout", "index.json"].iter().any(|name| folder.join(name).is_file())
}

impl Kit {
    /// Reads what is not a whole kit.
    pub(super) fn alone(path: &Path, now: i64, reporter: &dyn Reporter) -> Result<Self, OpenError> {
        let look = |source| OpenError::Look(path.to_owned(), source);
        let other = |what| OpenError::Alone(path.to_owned(), what);
        let mut kit = Self::nothing(now);
        match inspect::kind(path).map_err(look)? {
            Kind::Disc => kit.take_disc(path, reporter),
            Kind::Layout | Kind::Archive => {
                let content = match inspect::path(path, &Options { now, reporter }) {
                    Ok(inspection) if matches!(inspection.artifact, Inspected::OpsBundle(_)) => {
                        return Err(other("a bundle of ops packages"));
                    }
                    Ok(inspection) => Ok(inspection),
                    Err(error @ InspectError::Archive(..)) => Err(error),
                    Err(error) => return Err(look(error)),
                };
                kit.take_images(path, Archive::of(content));
            }
            Kind::Kit => return Err(other("a bill of materials")),
            Kind::Certificates => return Err(other("a file of certificates")),
            Kind::Lock => return Err(other("a lock")),
        }
        Ok(kit)
    }

    /// Returns a kit of which nothing is known.
    pub(super) fn nothing(now: i64) -> Self {
        Self {
            alone: None,
            bill: None,
            now,
            verified: verify::Report { files: 0, bytes: 0, findings: Vec::new() },
            // It has no list of digests.
            digest: Digest::sha256(b""),
            seeds: Vec::new(),
            nodes: Vec::new(),
            archives: Default::default(),
            layout: None,
            texts: Default::default(),
            secrets: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    fn take_disc(&mut self, path: &Path, reporter: &dyn Reporter) {
        self.alone = Some(Part::Disc);
        let name = path.display().to_string();
        let read = crate::fs::open_regular(path).map_err(|error| error.to_string()).and_then(|file| {
            let bytes = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            reporter.report(Event::Planned { bytes, items: 1 });
            DiscView::read(
                path,
                &mut BufReader::with_capacity(1 << 20, file),
                &Shelf::new(Default::default()),
            )
        });
        let disc = read.map_err(|reason| self.unreadable.push((name.clone(), reason))).ok();
        let node = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let seed = Seed { name: node, path: name, billed: None, disc };
        self.nodes.extend(Node::of(&seed, None));
        self.seeds.push(seed);
    }

    fn take_images(&mut self, path: &Path, archive: Archive) {
        self.alone = Some(Part::Images);
        let name = path.display().to_string();
        self.unreadable.extend(archive.problem().map(|reason| (name.clone(), reason)));
        self.archives.insert(name, archive);
    }
}
