//! Several places for the images of one registry; see [`Places`].

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use crate::digest::Digest;
use crate::fetch::places::{Places, Subject};
use crate::oci::{AttachmentSource, BlobPart, ImageSource, Reference, SourceError};
use crate::store::{Descriptor, Mismatch};

/// The places of one registry.
pub(super) type Several = Places<Arc<dyn AttachmentSource>>;

impl ImageSource for Several {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.get(&reference.into(), |source| source.resolve(reference)).map(|(_, found)| found)
    }

    fn manifest(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        self.get(&reference.into(), |source| source.manifest(reference, descriptor)).map(|(_, bytes)| bytes)
    }

    fn is_remote(&self, reference: &Reference) -> bool {
        self.sources().any(|source| source.is_remote(reference))
    }

    fn blob_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        let open = |source: &Arc<dyn AttachmentSource>| source.blob_part(reference, descriptor, part.clone());
        let (place, opened) = self.open(&Subject::from(reference), &descriptor.digest, open)?;
        let (places, reference, descriptor) = (self.clone(), reference.clone(), descriptor.clone());
        let reader = Continued { reader: opened.reader, rest: part, place, places, reference, descriptor };
        Ok(BlobPart { reader: Box::new(reader), ..opened })
    }

    fn distrust(&self, _reference: &Reference, descriptor: &Descriptor, why: &Mismatch) -> bool {
        Places::distrust(self, &descriptor.digest, &why.to_string())
    }
}

impl AttachmentSource for Several {
    fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Descriptor>, SourceError> {
        self.ask(&reference.into(), |_, source| source.tagged(reference, tag))
    }

    fn referrers(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        let listed = self.ask(&reference.into(), |_, source| {
            let listed = source.referrers(reference, subject)?;
            Ok(Some(listed).filter(|listed| !listed.is_empty()))
        })?;
        Ok(listed.unwrap_or_default())
    }
}

/// A blob of which the next place gives the rest when one breaks off.
struct Continued {
    reader: Box<dyn Read + Send>,
    /// What is still to come.
    rest: Range<u64>,
    /// The place that gives it now.
    place: usize,
    places: Several,
    reference: Reference,
    descriptor: Descriptor,
}

impl Read for Continued {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let broken = match self.reader.read(buffer) {
                Ok(0) if !self.rest.is_empty() && !buffer.is_empty() => None,
                Ok(read) => {
                    self.rest.start = self.rest.end.min(self.rest.start + read as u64);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted || self.rest.is_empty() => {
                    return Err(error);
                }
                Err(error) => Some(error),
            };
            let Self { rest, places, reference, descriptor, .. } = self;
            let open =
                |source: &Arc<dyn AttachmentSource>| source.blob_part(reference, descriptor, rest.clone());
            let Some((place, next)) = places.open_behind(self.place, &descriptor.digest, open) else {
                // That of the place that broke off is the one to tell if no other one has anything either.
                return broken.map_or(Ok(0), Err);
            };
            let error = broken.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            places.complain(self.place, format!("broke off: {error}"));
            (self.reader, self.place) = (next.reader, place);
        }
    }
}
