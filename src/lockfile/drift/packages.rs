//! Does the spec still ask for the ops packages that are locked?

use std::collections::{BTreeMap, BTreeSet};

use crate::lockfile::{LooseFile, PackageRequest};

/// One way in which the spec asks for other ops packages than the lock answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestDrift {
    /// The nodes have another distribution.
    #[error("the ops packages are wanted for `{wanted}`, locked for `{locked}`")]
    SuiteChanged {
        /// The suite in the spec.
        wanted: String,
        /// The suite in the lock.
        locked: String,
    },
    /// A package is requested that the lock was not made for.
    #[error("package `{0}` is not locked")]
    NameAdded(String),
    /// A package is locked that is no longer requested.
    #[error("package `{0}` is locked, and no longer wanted")]
    NameRemoved(String),
    /// Recommended packages are wanted and were left out.
    #[error("recommended packages are not locked")]
    RecommendsAdded,
    /// Recommended packages were taken and are not wanted.
    #[error("recommended packages are locked, and no longer wanted")]
    RecommendsRemoved,
    /// The nodes have other packages already.
    #[error("the baseline of the ops packages is `{wanted}`, locked with `{locked}`")]
    BaselineChanged {
        /// The baseline in the spec.
        wanted: String,
        /// The baseline in the lock.
        locked: String,
    },
    /// The lock was made without a source.
    #[error("package source `{0}` is not locked")]
    SourceAdded(String),
    /// The lock was made with a source that the spec no longer has.
    #[error("package source `{0}` is locked, and no longer wanted")]
    SourceRemoved(String),
    /// The same sources: another one comes first, and its packages with it.
    #[error("the package sources have another order than the lock")]
    SourcesReordered,
    /// A package file is not locked.
    #[error("package file `{0}` is not locked")]
    FileAdded(String),
    /// A package file is locked and nobody wants it.
    #[error("package file `{0}` is locked, and no longer wanted")]
    FileRemoved(String),
    /// A package file has other content.
    #[error("package file `{0}` has other content than the lock")]
    FileChanged(String),
}

/// Returns all differences, in the order in which a lock states the request.
pub(super) fn differences(wanted: &PackageRequest, locked: &PackageRequest) -> Vec<RequestDrift> {
    let PackageRequest { suite, names, recommends, baseline, sources, extra } = wanted;
    let mut drift = Vec::new();
    if *suite != locked.suite {
        let (wanted, locked) = (suite.clone(), locked.suite.clone());
        drift.push(RequestDrift::SuiteChanged { wanted, locked });
    }
    drift.extend(missing_from(&locked.names, names).map(RequestDrift::NameAdded));
    drift.extend(missing_from(names, &locked.names).map(RequestDrift::NameRemoved));
    match (recommends, locked.recommends) {
        (true, false) => drift.push(RequestDrift::RecommendsAdded),
        (false, true) => drift.push(RequestDrift::RecommendsRemoved),
        (true, true) | (false, false) => {}
    }
    if *baseline != locked.baseline {
        let (wanted, locked) = (baseline.clone(), locked.baseline.clone());
        drift.push(RequestDrift::BaselineChanged { wanted, locked });
    }
    drift.extend(source_differences(sources, &locked.sources));
    drift.extend(file_differences(extra, &locked.extra));
    drift
}

fn source_differences(wanted: &[String], locked: &[String]) -> Vec<RequestDrift> {
    let added = missing_from(locked, wanted).map(RequestDrift::SourceAdded);
    let removed = missing_from(wanted, locked).map(RequestDrift::SourceRemoved);
    let drift: Vec<RequestDrift> = added.chain(removed).collect();
    if drift.is_empty() && wanted != locked { vec![RequestDrift::SourcesReordered] } else { drift }
}

/// A file that cannot be read now is not another one: its content may be in the store.
fn file_differences(wanted: &[LooseFile], locked: &[LooseFile]) -> Vec<RequestDrift> {
    let mut drift = Vec::new();
    let mut left: BTreeMap<&str, &LooseFile> = locked.iter().map(|file| (file.path.as_str(), file)).collect();
    for LooseFile { path, sha256 } in wanted {
        match left.remove(path.as_str()) {
            None => drift.push(RequestDrift::FileAdded(path.clone())),
            Some(locked) if sha256.is_some() && *sha256 != locked.sha256 => {
                drift.push(RequestDrift::FileChanged(path.clone()));
            }
            Some(_) => {}
        }
    }
    drift.extend(left.into_keys().map(|path| RequestDrift::FileRemoved(path.to_owned())));
    drift
}

/// Returns what `texts` has and `present` has not.
fn missing_from(present: &[String], texts: &[String]) -> impl Iterator<Item = String> {
    let present: BTreeSet<&String> = present.iter().collect();
    texts.iter().filter(move |text| !present.contains(text)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::lockfile::fixture::{lockfile, packages, wanted};
    use crate::lockfile::{LockedPackages, Lockfile, Wanted};

    /// Returns what a lock that has `locked` says to a spec that wants `requested`.
    fn messages(locked: Option<LockedPackages>, requested: Option<PackageRequest>) -> Vec<String> {
        let wanted = Wanted { packages: requested, ..wanted() };
        let drift = Lockfile { packages: locked, ..lockfile() }.check(&wanted).err().unwrap_or_default();
        drift.iter().map(ToString::to_string).collect()
    }

    fn file(path: &str, content: &[u8]) -> LooseFile {
        LooseFile { path: path.to_owned(), sha256: Some(Digest::sha256(content)) }
    }

    #[test]
    fn packages_that_fit_are_locked() {
        assert_eq!(messages(Some(packages()), Some(packages().request)), [] as [&str; 0]);
    }

    #[test]
    fn a_file_that_is_gone_may_be_in_the_store_and_is_no_difference() {
        let mut request = packages().request;
        request.extra[0].sha256 = None;
        assert_eq!(messages(Some(packages()), Some(request)), [] as [&str; 0]);
    }

    #[test]
    fn packages_that_only_one_side_has_are_one_difference() {
        let request = packages().request;
        assert_eq!(messages(None, Some(request)), ["the ops packages are not locked"]);
        assert_eq!(messages(Some(packages()), None), ["the ops packages are locked, and no longer wanted"]);
    }

    #[test]
    fn every_difference_of_a_request_is_named() {
        let mut request = packages().request;
        request.suite = "trixie".to_owned();
        request.names = vec!["ethtool".to_owned(), "htop".to_owned()];
        request.recommends = true;
        request.baseline = "none".to_owned();
        request.sources[0] = "https://other.example/debian trixie main".to_owned();
        request.extra = vec![file("c.deb", b"c")];
        assert_eq!(
            messages(Some(packages()), Some(request)),
            [
                "the ops packages are wanted for `trixie`, locked for `bookworm`",
                "package `ethtool` is not locked",
                "package `jq=1.6-2.1` is locked, and no longer wanted",
                "recommended packages are not locked",
                "the baseline of the ops packages is `none`, locked with `priority important`",
                "package source `https://other.example/debian trixie main` is not locked",
                "package source `https://mirror.example/debian bookworm main` is locked, and no longer wanted",
                "package file `c.deb` is not locked",
                "package file `a b.deb` is locked, and no longer wanted",
            ]
        );
    }

    #[test]
    fn a_changed_file_another_order_and_recommends_given_up_are_named() {
        let mut locked = packages();
        locked.request.recommends = true;
        let mut request = packages().request;
        request.sources.reverse();
        request.extra = vec![file("a b.deb", b"changed")];
        assert_eq!(
            messages(Some(locked), Some(request)),
            [
                "recommended packages are locked, and no longer wanted",
                "the package sources have another order than the lock",
                "package file `a b.deb` has other content than the lock",
            ]
        );
    }
}
