//! What is attached to an image: signatures, attestations, bills of materials.
//!
//! Two ways are in use. A manifest may name its subject, and registries list these referrers (OCI distribution
//! specification, "Listing Referrers"). And cosign gives tags that are made of the subject's digest:
//! `sha256-<hex>.sig`, `.att`, `.sbom`. Both are looked for, of every manifest that is taken whole and of all that is
//! found, because a bill of materials may itself be signed. Only an answer that there is none means that there is none.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{self, ATTACHED_LIMIT, DEPTH_LIMIT, Excess, GraphError};
use super::{Graph, ImageSource, Reference, SourceError};
use crate::digest::Digest;
use crate::store::Descriptor;

/// What cosign's tags end with: signatures, attestations, bills of materials.
pub const TAG_ENDS: [&str; 3] = [".sig", ".att", ".sbom"];

/// The most characters that a tag may have (OCI distribution specification, "Pulling manifests").
const LONGEST_TAG: usize = 128;

/// Something that is attached to a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attachment {
    /// The manifest that it is about.
    pub subject: Digest,
    /// The tag that it is known by; without one it names its subject itself.
    pub tag: Option<String>,
    /// Its own manifest.
    pub descriptor: Descriptor,
}

impl Attachment {
    /// Returns its name in the repository of `image`: pinned, with its tag if it has one.
    pub fn reference(&self, image: &Reference) -> Reference {
        image.sibling(self.tag.as_deref(), self.descriptor.digest)
    }
}

/// A source that knows what is attached to its images. All calls may come from several threads at once.
pub trait AttachmentSource: ImageSource {
    /// Returns what a tag stands for in the reference's repository; `None` if there is no such tag.
    fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Descriptor>, SourceError>;

    /// Returns the manifests of the reference's repository that name `subject`, as the source lists them.
    fn referrers(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError>;
}

/// Returns the tags by which cosign knows what it attached to `subject`; none where they would be too long for a tag.
pub fn tags_of(subject: &Digest) -> impl Iterator<Item = String> {
    let start = format!("{}-{}", subject.algorithm().name(), subject.hex());
    TAG_ENDS.into_iter().map(move |end| format!("{start}{end}")).filter(|tag| tag.len() <= LONGEST_TAG)
}

/// Returns the manifest that one of cosign's tags is about; `None` for any other tag.
pub fn subject_of_tag(tag: &str) -> Option<Digest> {
    let start = TAG_ENDS.into_iter().find_map(|end| tag.strip_suffix(end))?;
    let (algorithm, hex) = start.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// Returns whether a reference is the name of something that cosign attached, not of an image.
pub fn is_attached(reference: &Reference) -> bool {
    reference.tag().and_then(subject_of_tag).is_some()
}

/// Returns the tag under which registries without a list of their own keep one of what names `subject` (OCI distribution
/// specification, "Referrers Tag Schema").
pub fn list_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm().name(), &hex[..hex.len().min(64)])
}

/// Finds all that is attached to the manifests of `image` that are taken whole, each with all it consists of; sorted.
pub fn find(
    source: &dyn AttachmentSource,
    reference: &Reference,
    image: &Graph,
) -> Result<Vec<(Attachment, Graph)>, GraphError> {
    let mut search = Search { source, reference, found: BTreeMap::new() };
    let whole = image.nodes.iter().filter(|node| node.is_whole);
    let mut level: Vec<Digest> = whole.map(|node| node.descriptor.digest).collect();
    let mut seen = BTreeSet::new();
    for _ in 0..=DEPTH_LIMIT {
        let mut next = Vec::new();
        for subject in level {
            if seen.insert(subject) {
                next.extend(search.below(&subject)?);
            }
        }
        level = next;
    }
    if !level.is_empty() {
        return Err(GraphError::TooLarge(reference.clone(), Excess::Attached));
    }
    Ok(search.found.into_iter().collect())
}

struct Search<'a> {
    source: &'a dyn AttachmentSource,
    reference: &'a Reference,
    found: BTreeMap<Attachment, Graph>,
}

impl Search<'_> {
    /// Takes what is attached to one manifest; returns the manifests of that.
    fn below(&mut self, subject: &Digest) -> Result<Vec<Digest>, GraphError> {
        let fail = |source| GraphError::Attachments(self.reference.clone(), source);
        let mut attachments = Vec::new();
        for tag in tags_of(subject) {
            if let Some(descriptor) = self.source.tagged(self.reference, &tag).map_err(fail)? {
                attachments.push(Attachment { subject: *subject, tag: Some(tag), descriptor });
            }
        }
        let referrers = self.source.referrers(self.reference, subject).map_err(fail)?;
        let referrer = |descriptor| Attachment { subject: *subject, tag: None, descriptor };
        attachments.extend(referrers.into_iter().map(referrer));
        // Before anything of them is asked for.
        if self.found.len() + attachments.len() > ATTACHED_LIMIT {
            return Err(GraphError::TooLarge(self.reference.clone(), Excess::Attached));
        }
        let mut manifests = Vec::new();
        for attachment in attachments {
            manifests.extend(self.take(attachment)?);
        }
        Ok(manifests)
    }

    fn take(&mut self, attachment: Attachment) -> Result<Vec<Digest>, GraphError> {
        let reference = attachment.reference(self.reference);
        let graph = graph::read(self.source, &reference, &attachment.descriptor, &[])?;
        let root = graph.root();
        let names_subject =
            root.manifest.subject.as_ref().is_some_and(|stated| stated.digest == attachment.subject);
        // A list is a claim; the manifest itself decides, for that is what everybody after us goes by.
        if attachment.tag.is_none() && !names_subject {
            return Err(GraphError::NotAttached(reference, attachment.subject));
        }
        let descriptor = root.descriptor.clone();
        let manifests = graph.nodes.iter().map(|node| node.descriptor.digest).collect();
        self.found.insert(Attachment { descriptor, ..attachment }, graph);
        Ok(manifests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_say_what_they_are_about() {
        let subject = Digest::sha256(b"subject");
        let tags: Vec<String> = tags_of(&subject).collect();
        assert_eq!(tags[0], format!("sha256-{}.sig", subject.hex()));
        assert_eq!(tags.len(), 3);
        for tag in &tags {
            assert_eq!(subject_of_tag(tag), Some(subject));
        }
        for tag in ["1.0", "sha256-abc.sig", &list_tag(&subject), ".sig", "1.0.sbom"] {
            assert_eq!(subject_of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn tags_of_long_digests_fit_into_a_tag_or_are_none() {
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(tags_of(&long).count(), 0);
        assert_eq!(list_tag(&long), format!("sha512-{}", "a".repeat(64)));
    }
}
