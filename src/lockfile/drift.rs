//! Does a lock still fit its spec? Named item by item where it does not.

mod packages;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{FileRole, LockedFile, Lockfile, Wanted, WantedFile, WantedImage};
use crate::epoch::Epoch;
use crate::oci::Platform;

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

/// One way in which a lock does not fit its spec, in words: nobody asks for more than to read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Drift(String);

impl Drift {
    /// The spec wants what the lock does not have. The thing comes with its verb: "signatures are".
    fn added(thing: impl fmt::Display) -> Self {
        Self(format!("{thing} not locked"))
    }

    /// The lock has what the spec does not want. The thing comes with its verb.
    fn removed(thing: impl fmt::Display) -> Self {
        Self(format!("{thing} locked, and no longer wanted"))
    }

    /// Names what is in one of two lists alone: first what the spec added.
    fn of_lists<T: Ord>(wanted: &[T], locked: &[T], name: impl Fn(&T) -> String) -> Vec<Self> {
        let [in_wanted, in_locked] = [wanted, locked].map(|list| list.iter().collect::<BTreeSet<_>>());
        let added =
            wanted.iter().filter(|item| !in_locked.contains(item)).map(|item| Self::added(name(item)));
        let removed =
            locked.iter().filter(|item| !in_wanted.contains(item)).map(|item| Self::removed(name(item)));
        added.chain(removed).collect()
    }

    /// Names what is switched on in one of the two alone.
    fn of_switch(wanted: bool, locked: bool, thing: &str) -> Option<Self> {
        (wanted != locked).then(|| if wanted { Self::added(thing) } else { Self::removed(thing) })
    }
}

impl Lockfile {
    /// Compares the lock with what the spec wants now; all differences are returned, sorted by kind.
    pub fn check(self, wanted: &Wanted) -> Result<Locked, Vec<Drift>> {
        let platform = |platform: &Platform| format!("platform `{platform}` is");
        let mut drift = Drift::of_lists(&wanted.platforms, &self.platforms, platform);
        drift.extend(Drift::of_switch(wanted.signatures, self.signatures, "signatures are"));
        drift.extend(self.file_drift(wanted));
        drift.extend(self.image_drift(wanted));
        let (packages, locked) = (wanted.packages.as_ref(), self.packages.as_ref());
        drift.extend(Drift::of_switch(packages.is_some(), locked.is_some(), "the ops packages are"));
        drift.extend(
            packages.zip(locked).into_iter().flat_map(|(wanted, locked)| packages::drift(wanted, locked)),
        );
        if drift.is_empty() { Ok(Locked { lockfile: self }) } else { Err(drift) }
    }

    fn file_drift(&self, wanted: &Wanted) -> Vec<Drift> {
        let mut drift = Vec::new();
        let mut left: BTreeMap<_, _> = self.files.iter().map(|file| (&file.role, file)).collect();
        for WantedFile { role, source, sha256 } in &wanted.files {
            let Some(locked) = left.remove(role) else {
                drift.push(Drift::added(format!("{role} is")));
                continue;
            };
            if locked.source != *source {
                drift.push(Drift(format!("{role} comes from `{source}`, locked from `{}`", locked.source)));
            }
            if let Some(wanted) = sha256.as_ref().filter(|wanted| **wanted != locked.sha256) {
                drift.push(Drift(format!("{role} must have {wanted}, locked with {}", locked.sha256)));
            }
        }
        drift.extend(left.into_keys().map(|role| Drift::removed(format!("{role} is"))));
        drift
    }

    fn image_drift(&self, wanted: &Wanted) -> Vec<Drift> {
        let mut drift = Vec::new();
        let mut left: BTreeMap<_, _> = self.images.iter().map(|image| (&image.reference, image)).collect();
        for WantedImage { reference, destination, origin } in &wanted.images {
            let image = format!("image `{reference}` ({origin})");
            match left.remove(reference) {
                None => drift.push(Drift::added(format!("{image} is"))),
                Some(locked) if locked.destination != *destination => {
                    drift.push(Drift(format!("{image} has another destination than the lock")));
                }
                Some(_) => {}
            }
        }
        drift.extend(left.into_keys().map(|reference| Drift::removed(format!("image `{reference}` is"))));
        drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::lockfile::fixture::{lockfile, wanted};

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
