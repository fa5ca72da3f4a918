//! Does the spec still ask for the ops packages that are locked?

use std::collections::BTreeMap;

use super::Drift;
use crate::lockfile::{LockedPackages, LooseFile, PackageRequest};

/// Returns how the locked packages differ from the request: the request's own differences first.
pub(super) fn drift(wanted: &PackageRequest, packages: &LockedPackages) -> Vec<Drift> {
    let PackageRequest { suite, names, recommends, baseline, sources, extra } = wanted;
    let locked = &packages.request;
    let mut drift = Vec::new();
    if *suite != locked.suite {
        let text = format!("the ops packages are wanted for `{suite}`, locked for `{}`", locked.suite);
        drift.push(Drift(text));
    }
    drift.extend(Drift::of_lists(names, &locked.names, |name| format!("package `{name}` is")));
    drift.extend(Drift::of_switch(*recommends, locked.recommends, "recommended packages are"));
    if *baseline != locked.baseline {
        let text =
            format!("the baseline of the ops packages is `{baseline}`, locked with `{}`", locked.baseline);
        drift.push(Drift(text));
    }
    let of_sources =
        Drift::of_lists(sources, &locked.sources, |source| format!("package source `{source}` is"));
    if of_sources.is_empty() && *sources != locked.sources {
        drift.push(Drift("the package sources have another order than the lock".to_owned()));
    }
    drift.extend(of_sources);
    drift.extend(file_differences(extra, &locked.extra));
    drift.extend(packages.strays().map(|(name, place)| {
        Drift(format!("package `{name}` is locked from `{place}`, which the spec does not name"))
    }));
    drift
}

/// A file that cannot be read now is not another one: its content may be in the store.
fn file_differences(wanted: &[LooseFile], locked: &[LooseFile]) -> Vec<Drift> {
    let mut drift = Vec::new();
    let mut left: BTreeMap<&str, &LooseFile> = locked.iter().map(|file| (file.path.as_str(), file)).collect();
    for LooseFile { path, sha256 } in wanted {
        match left.remove(path.as_str()) {
            None => drift.push(Drift::added(format!("package file `{path}` is"))),
            Some(locked) if sha256.is_some() && *sha256 != locked.sha256 => {
                drift.push(Drift(format!("package file `{path}` has other content than the lock")));
            }
            Some(_) => {}
        }
    }
    drift.extend(left.into_keys().map(|path| Drift::removed(format!("package file `{path}` is"))));
    drift
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
