//! Does a lock still fit its spec? Named item by item where it does not.

mod packages;

use std::collections::BTreeMap;

pub use packages::RequestDrift;

use super::{FileRole, LockedFile, Lockfile, Wanted};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::oci::{Platform, Reference};

/// A lock that fits its spec. Only [`Lockfile::check`] makes one.
#[derive(Debug, Clone)]
pub struct Locked {
    lockfile: Lockfile,
}

impl Locked {
    /// Returns the pinned contents.
    pub fn lockfile(&self) -> &Lockfile {
        &self.lockfile
    }

    /// Returns the time that everything built carries.
    pub fn epoch(&self) -> Epoch {
        self.lockfile.epoch
    }

    /// Returns the file with the role, if the spec wants one.
    pub fn file(&self, role: &FileRole) -> Option<&LockedFile> {
        self.lockfile.file(role)
    }
}

/// One way in which a lock does not fit its spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Drift {
    /// The spec has a platform that the lock does not.
    #[error("platform `{0}` is not locked")]
    PlatformAdded(Platform),
    /// The lock has a platform that the spec does not.
    #[error("platform `{0}` is locked, and no longer wanted")]
    PlatformRemoved(Platform),
    /// The spec wants signatures, and nobody looked for them.
    #[error("signatures are not locked")]
    SignaturesAdded,
    /// The lock has signatures, and the spec does not want them.
    #[error("signatures are locked, and no longer wanted")]
    SignaturesRemoved,
    /// An image is not locked.
    #[error("image `{reference}` ({origin}) is not locked")]
    ImageAdded {
        /// The image.
        reference: Reference,
        /// Who names it.
        origin: String,
    },
    /// An image is locked and nobody names it.
    #[error("image `{0}` is locked, and no longer wanted")]
    ImageRemoved(Reference),
    /// The image's name in the private registry changed.
    #[error("image `{reference}` ({origin}) has another destination than the lock")]
    DestinationChanged {
        /// The image.
        reference: Reference,
        /// Who names it.
        origin: String,
    },
    /// A file is not locked.
    #[error("{0} is not locked")]
    FileAdded(FileRole),
    /// A file is locked and nobody wants it.
    #[error("{0} is locked, and no longer wanted")]
    FileRemoved(FileRole),
    /// A file comes from elsewhere.
    #[error("{role} comes from `{wanted}`, locked from `{locked}`")]
    SourceChanged {
        /// The file.
        role: FileRole,
        /// The source in the spec.
        wanted: String,
        /// The source in the lock.
        locked: String,
    },
    /// The spec demands other content.
    #[error("{role} must have {wanted}, locked with {locked}")]
    DigestChanged {
        /// The file.
        role: FileRole,
        /// The digest in the spec.
        wanted: Digest,
        /// The digest in the lock.
        locked: Digest,
    },
    /// The spec asks for ops packages, and the lock has none.
    #[error("the ops packages are not locked")]
    PackagesAdded,
    /// The lock has ops packages, and the spec asks for none.
    #[error("the ops packages are locked, and no longer wanted")]
    PackagesRemoved,
    /// The spec asks for other ops packages, or from elsewhere.
    #[error("{0}")]
    Request(RequestDrift),
    /// A locked package comes from a place that the spec does not name.
    #[error("package `{name}` is locked from `{place}`, which the spec does not name")]
    StrayPackage {
        /// The package.
        name: String,
        /// The URL or file.
        place: String,
    },
}

impl Lockfile {
    /// Compares the lock with what the spec wants now; all differences are returned, sorted by kind.
    pub fn check(self, wanted: &Wanted) -> Result<Locked, Vec<Drift>> {
        let mut drift = self.platform_drift(wanted);
        drift.extend(match (wanted.signatures, self.signatures) {
            (true, false) => Some(Drift::SignaturesAdded),
            (false, true) => Some(Drift::SignaturesRemoved),
            (true, true) | (false, false) => None,
        });
        drift.extend(self.file_drift(wanted));
        drift.extend(self.image_drift(wanted));
        drift.extend(self.package_drift(wanted));
        if drift.is_empty() { Ok(Locked { lockfile: self }) } else { Err(drift) }
    }

    fn platform_drift(&self, wanted: &Wanted) -> Vec<Drift> {
        let added = wanted.platforms.iter().filter(|platform| !self.platforms.contains(platform));
        let removed = self.platforms.iter().filter(|platform| !wanted.platforms.contains(platform));
        added
            .map(|platform| Drift::PlatformAdded(platform.clone()))
            .chain(removed.map(|platform| Drift::PlatformRemoved(platform.clone())))
            .collect()
    }

    fn file_drift(&self, wanted: &Wanted) -> Vec<Drift> {
        let mut drift = Vec::new();
        let mut left: BTreeMap<_, _> = self.files.iter().map(|file| (&file.role, file)).collect();
        for file in &wanted.files {
            let role = || file.role.clone();
            let Some(locked) = left.remove(&file.role) else {
                drift.push(Drift::FileAdded(role()));
                continue;
            };
            if locked.source != file.source {
                let (wanted, locked) = (file.source.clone(), locked.source.clone());
                drift.push(Drift::SourceChanged { role: role(), wanted, locked });
            }
            if let Some(wanted) = file.sha256.as_ref().filter(|wanted| **wanted != locked.sha256) {
                let (wanted, locked) = (*wanted, locked.sha256);
                drift.push(Drift::DigestChanged { role: role(), wanted, locked });
            }
        }
        drift.extend(left.into_keys().map(|role| Drift::FileRemoved(role.clone())));
        drift
    }

    fn package_drift(&self, wanted: &Wanted) -> Vec<Drift> {
        match (&wanted.packages, &self.packages) {
            (None, None) => Vec::new(),
            (Some(_), None) => vec![Drift::PackagesAdded],
            (None, Some(_)) => vec![Drift::PackagesRemoved],
            (Some(wanted), Some(locked)) => {
                let strays = locked.strays().map(|(name, place)| Drift::StrayPackage { name, place });
                let differences = packages::differences(wanted, &locked.request).into_iter();
                differences.map(Drift::Request).chain(strays).collect()
            }
        }
    }

    fn image_drift(&self, wanted: &Wanted) -> Vec<Drift> {
        let mut drift = Vec::new();
        let mut left: BTreeMap<_, _> = self.images.iter().map(|image| (&image.reference, image)).collect();
        for image in &wanted.images {
            let (reference, origin) = (image.reference.clone(), image.origin.clone());
            match left.remove(&image.reference) {
                None => drift.push(Drift::ImageAdded { reference, origin }),
                Some(locked) if locked.destination != image.destination => {
                    drift.push(Drift::DestinationChanged { reference, origin });
                }
                Some(_) => {}
            }
        }
        drift.extend(left.into_keys().map(|reference| Drift::ImageRemoved(reference.clone())));
        drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockfile::fixture::{lockfile, wanted};
    use crate::lockfile::{WantedFile, WantedImage};

    #[test]
    fn a_lock_that_fits_is_locked() {
        assert_eq!(lockfile().check(&wanted()).unwrap().lockfile(), &lockfile());
    }

    #[test]
    fn signatures_are_locked_where_they_are_wanted_and_nowhere_else() {
        for (wants, has, expected) in [
            (true, false, "signatures are not locked"),
            (false, true, "signatures are locked, and no longer wanted"),
        ] {
            let wanted = Wanted { signatures: wants, ..wanted() };
            let drift = Lockfile { signatures: has, ..lockfile() }.check(&wanted).unwrap_err();
            assert_eq!(drift.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn every_difference_is_named() {
        let mut wanted = wanted();
        wanted.platforms = vec!["linux/arm64".parse().unwrap()];
        wanted.images.remove(0);
        wanted.images[0].destination = Some("mirror/a:1".to_owned());
        wanted.images.push(WantedImage {
            reference: "ghcr.io/new:2".parse().unwrap(),
            destination: None,
            origin: "images.txt:9".to_owned(),
        });
        wanted.files[0].sha256 = Some(Digest::sha256(b"y"));
        wanted.files[0].source = "elsewhere".to_owned();
        wanted.files.push(WantedFile { role: FileRole::K3sImages, source: "list".to_owned(), sha256: None });
        let drift = lockfile().check(&wanted).unwrap_err();
        let messages: Vec<String> = drift.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages.iter().map(|message| message.split(", locked with").next().unwrap()).collect::<Vec<_>>(),
            [
                "platform `linux/arm64` is not locked",
                "platform `linux/amd64` is locked, and no longer wanted",
                "file /opt/a \"quoted\" name\\한글 comes from `elsewhere`, locked from `a\tb`",
                &format!("file /opt/a \"quoted\" name\\한글 must have {}", Digest::sha256(b"y")),
                "k3s-images is not locked",
                "image `quay.io/a/b:1` (images.txt:1) has another destination than the lock",
                "image `ghcr.io/new:2` (images.txt:9) is not locked",
                "image `docker.io/a/b:1` is locked, and no longer wanted",
            ]
        );
    }
}
