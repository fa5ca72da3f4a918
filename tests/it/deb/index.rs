//! The indices that apt fetched and dpkg's own status file, read in full and compared with what apt and dpkg say.

use std::collections::BTreeMap;

use fs_err as fs;
use seedkit::deb::baseline::parse_status;
use seedkit::deb::index::{self, PackageStanza};
use seedkit::deb::release::Release;

use super::{lists_folder, real_indices};
use crate::support::oracle;

#[test]
fn every_package_of_the_distribution_is_understood() {
    let mut count = 0;
    for text in real_indices() {
        for package in index::parse(&text).unwrap() {
            read_relations(&package);
            let file = package.file.as_ref().unwrap();
            assert!(file.path.ends_with(".deb") && file.size > 0, "{}", package.name);
            count += 1;
        }
    }
    assert!(count > 10_000, "{count} packages in apt's lists: run `apt-get update`");
}

/// Reads every relation, and compares what is printed with what is written.
fn read_relations(package: &PackageStanza<'_>) {
    let printed = |list: &[String]| list.join(", ");
    let groups = [
        ("Depends", package.depends()),
        ("Pre-Depends", package.pre_depends()),
        ("Recommends", package.recommends()),
    ];
    for (field, groups) in groups {
        let groups: Vec<String> = groups.unwrap().iter().map(ToString::to_string).collect();
        assert_written(package, field, &printed(&groups));
    }
    let lists =
        [("Conflicts", package.conflicts()), ("Breaks", package.breaks()), ("Replaces", package.replaces())];
    for (field, list) in lists {
        let list: Vec<String> = list.unwrap().iter().map(ToString::to_string).collect();
        assert_written(package, field, &printed(&list));
    }
    let provides: Vec<String> = package.provides().unwrap().iter().map(ToString::to_string).collect();
    assert_written(package, "Provides", &printed(&provides));
}

fn assert_written(package: &PackageStanza<'_>, field: &str, printed: &str) {
    let written = package.stanza().get(field).unwrap_or_default();
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_whitespace()).collect() };
    // The legacy operators are printed as what they mean.
    let is_legacy = written.contains("(< ") || written.contains("(> ");
    let written = plain(written);
    assert!(is_legacy || plain(printed) == written.trim_end_matches(','), "{}: {printed}", package.name);
}

#[test]
fn dpkg_lists_the_same_packages_as_installed() {
    let text = fs::read_to_string("/var/lib/dpkg/status").unwrap();
    let found: BTreeMap<String, String> = parse_status(&text)
        .unwrap()
        .iter()
        .map(|package| (format!("{}:{}", package.name, package.architecture), package.version.to_string()))
        .collect();
    let format = "${db:Status-Abbrev}|${Package}:${Architecture}|${Version}\n";
    let listing = oracle::text("dpkg-query", ["--show", "--showformat", format]);
    let installed = listing.lines().filter(|line| line.as_bytes()[1] == b'i' && line.as_bytes()[2] == b' ');
    let expected: BTreeMap<String, String> = installed
        .map(|line| {
            let (name, version) = line.split_once('|').unwrap().1.split_once('|').unwrap();
            (name.to_owned(), version.to_owned())
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_distribution_s_releases_list_the_indices_of_their_architectures() {
    let mut count = 0;
    for entry in fs::read_dir(lists_folder()).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_str().unwrap().ends_with("InRelease") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let body = text.split_once("\n\n").unwrap().1.split_once("-----BEGIN").unwrap().0;
        let release = Release::parse(body).unwrap();
        let architecture = oracle::text("dpkg", ["--print-architecture"]);
        let packages = release.packages(&release.components[0], architecture.trim()).unwrap();
        assert!(packages.path.contains("/binary-") && packages.listed.size > 0, "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "no releases in apt's lists: run `apt-get update`");
}
