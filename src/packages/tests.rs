//! Every trap of Debian's relations that has caught a resolver, on universes of a few lines.

use super::closure::{Options, Unsolvable, solve};
use super::fixture::{answer, listed, reasons, requests, solve_bare, suite, text, universe};
use super::{Baseline, Universe};
use crate::deb::baseline;
use crate::deb::index::Priority;

fn check_all(table: &[(&[&str], &[&str], &str, &str)]) {
    for (index, base, request, expected) in table {
        assert_eq!(answer(index, base, request), *expected, "{request} of {index:?} on {base:?}");
    }
}

#[test]
fn the_first_alternative_is_chosen_unless_another_one_is_there() {
    let index = &["a 1; Depends: b | c", "b 1", "c 1", "d 1; Depends: c"];
    check_all(&[
        (index, &[], "a", "a 1, b 1"),
        (index, &["c 1"], "a", "a 1"),
        (index, &[], "a c", "a 1, c 1"),
        (index, &[], "a d", "a 1, c 1, d 1"),
    ]);
}

#[test]
fn the_latest_version_is_chosen_that_all_constraints_allow() {
    let python = &["a 1; Depends: p (<< 3.12), p (>= 3.11~)", "p 3.11.2", "p 3.9"];
    let newer = &["a 1; Depends: p (<< 3.12), p (>= 3.11~)", "p 3.12~rc1", "p 3.12"];
    check_all(&[
        (python, &[], "a", "a 1, p 3.11.2"),
        (
            newer,
            &[],
            "a",
            "a cannot be installed\n  a 1 is requested\n  \
             a 1 depends on p (<< 3.12): there is only p 3.12",
        ),
    ]);
}

#[test]
fn what_is_provided_without_a_version_satisfies_no_constraint() {
    let index = &["a 1; Depends: v (>= 1)", "b 1; Provides: v", "c 1; Provides: v (= 2)", "d 1; Depends: v"];
    check_all(&[
        (index, &[], "a", "a 1, c 1"),
        (index, &[], "d", "b 1, d 1"),
        (
            &index[..2],
            &[],
            "a",
            "a cannot be installed\n  a 1 is requested\n  a 1 depends on v (>= 1): there is no such package",
        ),
    ]);
}

/// rules_distroless 265: a lone provider outranked the real package. 274: a provider's old version counted.
#[test]
fn a_real_package_comes_before_providers_and_an_old_version_provides_nothing() {
    check_all(&[
        (&["a 1; Depends: v", "b 1; Provides: v", "v 1"], &[], "a", "a 1, v 1"),
        (&["a 1; Depends: v", "b 1; Provides: v", "b 2", "c 1; Provides: v"], &[], "a", "a 1, c 1"),
        (
            &["a 1; Depends: v", "b 1; Provides: v", "b 2"],
            &[],
            "a",
            "a cannot be installed\n  a 1 is requested\n  a 1 depends on v: there is no such package",
        ),
    ]);
}

#[test]
fn providers_are_ranked_as_apt_does() {
    let index = &[
        "a 1; Depends: v",
        "b 1; Provides: v; Priority: optional",
        "c 1; Provides: v; Priority: standard",
        "d 1; Provides: v; Priority: extra; Essential: yes",
    ];
    check_all(&[
        (index, &[], "a", "a 1, d 1"),
        (&index[..3], &[], "a", "a 1, c 1"),
        (&index[..2], &[], "a", "a 1, b 1"),
        (index, &["b 1; Provides: v"], "a", "a 1"),
    ]);
}

#[test]
fn qualifiers_of_architectures_are_those_of_one_machine() {
    let index = &[
        "a 1; Depends: p:any (>= 1)",
        "p 1; Multi-Arch: allowed",
        "b 1; Depends: q:any",
        "q 1",
        "c 1; Depends: q:native, p:amd64",
        "d 1; Depends: q:i386 | r",
        "r 1; Architecture: all",
        "e 1; Architecture: i386",
        "f 1; Depends: e | p",
    ];
    check_all(&[
        (index, &[], "a", "a 1, p 1"),
        (index, &[], "c", "c 1, p 1, q 1"),
        (index, &[], "d", "d 1, r 1"),
        (index, &[], "f", "f 1, p 1"),
        (
            index,
            &[],
            "b",
            "b cannot be installed\n  b 1 is requested\n  b 1 depends on q:any: there is only q 1",
        ),
    ]);
}

#[test]
fn conflicts_hold_for_providers_but_not_for_oneself() {
    let only_one = &["a 1; Provides: m; Conflicts: m", "b 1; Provides: m; Conflicts: m", "c 1; Depends: m"];
    check_all(&[
        (only_one, &[], "a c", "a 1, c 1"),
        (only_one, &[], "c", "a 1, c 1"),
        (only_one, &[], "b c", "b 1, c 1"),
        (
            only_one,
            &[],
            "a b",
            "a and b cannot be installed together\n  a 1 is requested\n  b 1 is requested\n  \
             a 1 conflicts with m: that is b 1",
        ),
        // A constraint spares what is provided without a version.
        (&["a 1; Breaks: v (<< 2)", "b 1; Provides: v", "c 1; Depends: b"], &[], "a c", "a 1, b 1, c 1"),
    ]);
}

#[test]
fn an_alternative_is_taken_back_if_it_breaks_another_need() {
    // libguestfs-zfs: `fuse` is met before `fuse3`, which breaks it.
    let index = &[
        "guestfs 1; Depends: zfs, ntfs",
        "zfs 1; Depends: fuse | fuse3",
        "ntfs 1; Depends: fuse3",
        "fuse 2",
        "fuse3 3; Breaks: fuse",
    ];
    check_all(&[(index, &[], "guestfs", "fuse3 3, guestfs 1, ntfs 1, zfs 1")]);
}

#[test]
fn the_base_is_neither_removed_nor_downgraded_and_upgraded_only_by_force() {
    let index =
        &["a 1; Depends: l", "b 1; Depends: l (>= 2)", "l 2", "c 1; Conflicts: l", "d 1; Breaks: l (<< 2)"];
    let old = &["l 1"][..];
    check_all(&[
        (index, old, "a", "a 1"),
        (index, old, "b", "b 1, l 2"),
        (index, old, "d", "d 1, l 2"),
        (index, &["l 3"], "b", "b 1"),
        (
            index,
            old,
            "c",
            "c cannot be installed on this base\n  c 1 is requested\n  l 1 is in the base and stays, or becomes \
             l 2\n  c 1 conflicts with l: that is l 1 of the base or l 2",
        ),
        (
            &["a 1; Depends: l (= 1)", "l 1"],
            &["l 2"],
            "a",
            "a cannot be installed\n  a 1 is requested\n  \
             a 1 depends on l (= 1): there is only l 2 of the base",
        ),
        (&["l 1", "l 2"], &["l 2"], "l=1", "l cannot be installed\n  l 1 is requested, but the base has l 2"),
    ]);
}

#[test]
fn what_the_base_binds_to_an_upgraded_package_is_upgraded_too() {
    let index = &["a 1; Depends: l (>= 2)", "l 2", "tools 2; Depends: l (= 2)"];
    check_all(&[
        (index, &["l 1", "tools 1; Depends: l (= 1)"], "a", "a 1, l 2, tools 2"),
        (
            &index[..2],
            &["l 1", "tools 1; Depends: l (= 1)"],
            "a",
            "a cannot be installed on this base\n  a 1 is requested\n  a 1 depends on l (>= 2): that is l 2\n  \
             tools 1 is in the base and stays\n  tools 1 depends on l (= 1): that is l 1 of the base\n  \
             l can only be there in one version",
        ),
    ]);
}

#[test]
fn what_was_asked_for_is_shipped_even_if_the_base_has_it() {
    let index = &["a 1; Depends: b", "b 1"];
    check_all(&[
        (index, &["a 1; Depends: b", "b 1"], "a", "a 1"),
        (index, &["a 0", "b 1"], "a", "a 1"),
        (index, &["a 2", "b 1"], "a", ""),
        (index, &["a 2", "b 1"], "a b", "b 1"),
    ]);
}

#[test]
fn a_certain_version_is_taken_as_asked_for() {
    let index = &["a 1", "a 2", "b 1; Depends: a", "c 1; Depends: a (>= 2)"];
    check_all(&[
        (index, &[], "a", "a 2"),
        (index, &[], "a=1 b", "a 1, b 1"),
        (index, &[], "a=0:1 b", "a 1, b 1"),
        (
            index,
            &[],
            "c a=1",
            "c and a cannot be installed together\n  c 1 is requested\n  c 1 depends on a (>= 2): that is a 2\n  \
             a 1 is requested\n  a can only be there in one version",
        ),
    ]);
}

#[test]
fn names_that_no_package_has_are_all_reported() {
    let index = &["mail-a 1; Provides: mta", "mail-b 1; Provides: mta", "htop 3", "htop 2", "iftop 1"];
    assert_eq!(
        answer(index, &[], "mta htpo htop=1 nothing-like-it"),
        "`mta` is not a package; choose one that provides it: mail-a, mail-b\n\
         there is no package `htpo`; there is htop\n\
         there is no version 1 of `htop`; there is 3 (main), 2 (main)\n\
         there is no package `nothing-like-it`"
    );
}

#[test]
fn packages_that_wait_for_each_other_are_refused() {
    let circle = "b, c pre-depend on each other in a circle";
    check_all(&[
        (&["b 1; Pre-Depends: c", "c 1; Pre-Depends: b"], &[], "b", circle),
        (&["b 1; Pre-Depends: c", "c 1; Depends: b"], &[], "b", circle),
        (&["b 1; Pre-Depends: c", "c 1; Depends: b"], &["c 1; Depends: x | b", "x 1"], "b", "b 1"),
        (&["a 1; Pre-Depends: b, d", "b 1; Pre-Depends: c", "c 1; Depends: b", "d 1"], &[], "a", circle),
        (&["b 1; Depends: c", "c 1; Depends: b"], &[], "b", "b 1, c 1"),
        (&["a 1; Pre-Depends: b", "b 1; Depends: c", "c 1; Depends: b"], &[], "a", "a 1, b 1, c 1"),
    ]);
}

#[test]
fn a_malformed_relation_is_reported_only_where_it_counts() {
    let index = &["a 1; Depends: b (!! 1)", "b 1"];
    assert_eq!(answer(index, &[], "b"), "b 1");
    let index = text(index);
    let universe = universe(&index);
    let error = solve_bare(&universe, "a", Options::default()).unwrap_err();
    let Unsolvable::Malformed(reason) = error else { panic!("{error}") };
    assert_eq!(reason.to_string(), "package `a`: the field Depends is malformed");
}

#[test]
fn the_suite_with_the_highest_priority_counts_then_the_latest_version() {
    let texts = [["a 1; Depends: l", "l 1"], ["a 2; Depends: l", "l 1"], ["a 3; Depends: l (>= 2)", "l 2"]];
    let texts = texts.map(|lines| text(&lines));
    let suites = vec![
        suite("main", 500, &texts[0]),
        suite("updates", 500, &texts[1]),
        suite("backports", 100, &texts[2]),
    ];
    let universe = Universe::new("amd64", suites).unwrap();
    for (request, expected) in [("a", "a 2, l 1"), ("a=1", "a 1, l 1"), ("a=3", "a 3, l 2")] {
        assert_eq!(listed(&solve_bare(&universe, request, Options::default()).unwrap()), expected);
    }
    let closure = solve_bare(&universe, "a", Options::default()).unwrap();
    let suites: Vec<usize> = closure.packages().iter().map(|selected| selected.suite).collect();
    assert_eq!(suites, [1, 0]);
}

#[test]
fn suites_have_one_file_for_one_version() {
    let (first, second) = (text(&["a 1"]), text(&["a 1; File: other"]));
    let suites = vec![suite("main", 500, &first), suite("security", 900, &second)];
    let error = Universe::new("amd64", suites).unwrap_err().to_string();
    assert_eq!(error, "package `a` 1 of suite `main` is not that of suite `security`");
    let suites = vec![suite("main", 500, &first), suite("again", 500, &first)];
    assert_eq!(Universe::new("amd64", suites).unwrap().offers().len(), 1);
}

#[test]
fn every_package_says_why_it_is_there() {
    let index = text(&[
        "a 1; Depends: b (>= 1) | c; Recommends: r, missing",
        "b 1; Pre-Depends: l",
        "d 1; Breaks: e (<< 2); Depends: a",
        "e 2",
        "l 2",
        "f 2; Depends: b",
        "r 1; Conflicts: nothing",
    ]);
    let base = text(&["e 1", "f 1; Conflicts: b"]);
    let universe = universe(&index);
    let base = Baseline::Status(baseline::parse_status(&base).unwrap());
    let options = Options { recommends: true };
    assert_eq!(
        reasons(&solve(&universe, &base, &requests("d"), options).unwrap()),
        [
            "a: d depends on a",
            "b: a depends on b (>= 1) | c",
            "d: requested",
            "e: d breaks e (<< 2)",
            "f: the base's version conflicts with b",
            "l: b pre-depends on l",
            "r: a recommends r",
        ]
    );
}

#[test]
fn what_an_exact_version_may_leave_behind_is_shipped_for_an_unknown_base() {
    let index = text(&[
        "a-dev 2; Depends: l (= 2)",
        "b 1; Depends: l (>= 2)",
        "l 2; Source: lib",
        "l-tools 2; Source: lib; Depends: l (= 2), t; Priority: required",
        "l-extra 2; Source: lib; Depends: l (= 2)",
        "l-odd 2; Source: lib; Conflicts: l; Priority: standard",
        "t 1",
    ]);
    let universe = universe(&index);
    let expected = ["a-dev: requested", "l: a-dev depends on l (= 2)", "l-tools: of one source with l"];
    let found = reasons(&solve_bare(&universe, "a-dev", Options::default()).unwrap());
    assert_eq!(found, [&expected[..], &["t: l-tools depends on t"]].concat());
    assert_eq!(listed(&solve_bare(&universe, "b", Options::default()).unwrap()), "b 1, l 2");
}

#[test]
fn what_is_recommended_comes_along_where_it_can() {
    let index = text(&[
        "a 1; Recommends: b, c | d, e; Conflicts: c",
        "b 1; Recommends: f",
        "c 1",
        "d 1",
        "e 1; Conflicts: b",
        "f 1",
    ]);
    let universe = universe(&index);
    let closure = solve_bare(&universe, "a", Options { recommends: true }).unwrap();
    assert_eq!(listed(&closure), "a 1, b 1, d 1, f 1");
    assert_eq!(listed(&solve_bare(&universe, "a", Options::default()).unwrap()), "a 1");
}

#[test]
fn a_manifest_s_packages_stay_with_what_is_known_of_them() {
    let index = text(&[
        "a 1; Depends: v, l (>= 2)",
        "p 2; Provides: v",
        "l 2; Source: lib",
        "l-tools 2; Source: lib; Depends: l (= 2)",
        "l-doc 2; Source: lib",
    ]);
    let universe = universe(&index);
    let manifest = baseline::parse_manifest("p 1\nl 1\nl-tools 1\ngone 1\n", "amd64").unwrap();
    let baseline = Baseline::Manifest(manifest);
    let closure = solve(&universe, &baseline, &requests("a"), Options::default()).unwrap();
    assert_eq!(
        reasons(&closure),
        ["a: requested", "l: a depends on l (>= 2)", "l-tools: of one source with l"]
    );
    let upgrades = closure.packages()[1].upgrades.map(ToString::to_string);
    assert_eq!(upgrades.as_deref(), Some("1"));
}

#[test]
fn a_priority_stands_for_what_debootstrap_would_install() {
    let index = text(&[
        "base 1; Priority: required; Depends: l",
        "core 1; Essential: yes",
        "edit 1; Priority: important",
        "l 1",
        "a 1; Depends: base, edit, l",
    ]);
    let universe = universe(&index);
    for (priority, expected) in [(Priority::Required, "a 1, edit 1"), (Priority::Important, "a 1")] {
        let baseline = Baseline::Priority(priority);
        let closure = solve(&universe, &baseline, &requests("a"), Options::default());
        assert_eq!(listed(&closure.unwrap()), expected);
    }
    let broken = text(&["a 1; Priority: required; Conflicts: b", "b 1; Priority: required"]);
    let universe = super::fixture::universe(&broken);
    let baseline = Baseline::Priority(Priority::Required);
    let error = solve(&universe, &baseline, &requests("a"), Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "the packages of the base's priority do not go together");
}
