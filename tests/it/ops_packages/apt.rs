//! Where apt is the judge of what a repository means.

use super::repository::{Repository, locked, scan};
use crate::opsbundle::debs::Debs;
use crate::support::apt::Apt;
use crate::support::sandbox::SPEC;

/// Returns the stanzas of an index that are of one architecture.
fn of_architecture(index: &str, architecture: &str) -> String {
    let line = format!("\nArchitecture: {architecture}\n");
    let stanzas = index.split_inclusive("\n\n").filter(|stanza| stanza.contains(&line));
    stanzas.collect()
}

/// A release that says something of its architectures, and the indices that it lists.
struct Case {
    fields: &'static str,
    listed: &'static [&'static str],
    request: &'static str,
}

#[test]
fn the_index_of_all_is_read_where_apt_reads_it() {
    let debs = Debs::new();
    debs.add("Package: arched\nVersion: 1\nArchitecture: amd64\nDepends: indep", &[]);
    debs.add("Package: indep\nVersion: 2\nArchitecture: all", &[]);
    let index = scan(debs.folder());
    let both: &[&str] = &["amd64", "all"];
    let arched = |fields, listed| Case { fields, listed, request: "arched" };
    let cases = [
        arched("Architectures: all amd64\n", both),
        arched("Architectures: amd64 all\nNo-Support-for-Architecture-all: Contents\n", both),
        arched("Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n", both),
        arched("Architectures: all amd64\nNo-Support-for-Architecture-all: Contents Packages\n", both),
        arched("Architectures: all amd64\n", &["amd64"]),
        arched("Architectures: amd64\n", both),
        Case { fields: "Architectures: all\n", listed: &["all"], request: "indep" },
    ];
    let mut answers = Vec::new();
    for Case { fields, listed, request } in cases {
        let repository = Repository::of("bookworm", &debs);
        repository.remove(&repository.index_path("amd64"));
        for architecture in listed {
            repository.set_index(architecture, of_architecture(&index, architecture));
        }
        repository.publish(&format!("Date: Fri, 21 Nov 2025 00:00:00 UTC\n{fields}"));
        let sandbox = repository.lab(request);
        let expected = Apt::of(&repository.source(&sandbox), "amd64").install(&[request]);
        let run = sandbox.seedkit(&["lock", "-f", SPEC]);
        match &expected {
            Some(expected) => {
                run.succeeds();
                assert_eq!(locked(&sandbox), *expected, "{fields}{listed:?}");
            }
            None => {
                let message = run.fails(2);
                assert!(
                    message.contains("depends on indep: there is no such package"),
                    "{fields}: {message}"
                );
            }
        }
        answers.push(expected.map_or(0, |packages| packages.len()));
    }
    assert_eq!(answers, [2, 2, 0, 0, 0, 0, 1]);
}

#[test]
fn packages_that_wait_for_each_other_are_refused_where_apt_refuses_them() {
    let cases: [(&str, &[&str]); 5] = [
        ("plain", &["plain\nPre-Depends: plain2", "plain2\nPre-Depends: plain"]),
        ("mixed", &["mixed\nPre-Depends: mixed2", "mixed2\nDepends: mixed"]),
        ("below", &["below\nDepends: below2", "below2\nPre-Depends: below3", "below3\nPre-Depends: below2"]),
        ("loop", &["loop\nDepends: loop2", "loop2\nDepends: loop"]),
        ("after", &["after\nPre-Depends: after2", "after2\nDepends: after3", "after3\nDepends: after2"]),
    ];
    let debs = Debs::new();
    for fields in cases.iter().flat_map(|(_, packages)| *packages) {
        let (name, relations) = fields.split_once('\n').unwrap();
        debs.add(&format!("Package: {name}\nVersion: 1\nArchitecture: all\n{relations}"), &[]);
    }
    let repository = Repository::of("bookworm", &debs);
    let sandbox = repository.lab("plain");
    let apt = Apt::of(&repository.source(&sandbox), "amd64");
    let mut answers = Vec::new();
    let mut asked = "plain".to_owned();
    for (name, packages) in cases {
        sandbox.edit(SPEC, &format!("  names: [{asked}]"), &format!("  names: [{name}]"));
        asked = name.to_owned();
        let is_possible = apt.can_install(name);
        let run = sandbox.seedkit(&["lock", "-f", SPEC]);
        if is_possible {
            run.succeeds();
            assert_eq!(locked(&sandbox).len(), packages.len());
        } else {
            assert!(run.fails(2).contains("pre-depend on each other in a circle"), "{}", run.stderr);
        }
        answers.push(is_possible);
    }
    assert_eq!(answers, [false, false, false, true, true]);
}
