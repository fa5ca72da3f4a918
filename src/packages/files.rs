//! Loose files beside suites: what they stand for, and what becomes of those that clash.

use super::closure::{Base, Options, Unsolvable, solve_over};
use super::fixture::{listed, requests, suite, text};
use super::{Baseline, Closure, Origin, Request, Suite, Universe};
use crate::deb::baseline::parse_status;
use crate::deb::index::Priority;

/// Loose files, one a line, on the archive `index`.
struct Case {
    index: String,
    files: Vec<String>,
    status: Option<String>,
    names: &'static str,
}

impl Case {
    fn new(index: &[&str], files: &[&str]) -> Self {
        let files = files.iter().map(|line| text(&[&format!("{line}; File: loose")])).collect();
        Self { index: text(index), files, status: None, names: "" }
    }

    /// Returns what is shipped for the names and for all files, each with the number of its suite; or why nothing is.
    fn answer(&self) -> String {
        self.solve(|closure| {
            let suites = closure.packages().iter().map(|selected| selected.suite.to_string());
            format!("{} from {}", listed(closure), suites.collect::<Vec<_>>().join(" "))
        })
    }

    fn solve(&self, show: impl FnOnce(&Closure<'_>) -> String) -> String {
        let archive = Universe::new("amd64", vec![suite("main", 500, &self.index)]).unwrap();
        let files: Vec<Suite<'_>> = self.files.iter().map(|file| loose(file)).collect();
        let exactly = files.iter().map(|file| Request::exactly(&file.packages[0]));
        let asked: Vec<Request> = requests(self.names).into_iter().chain(exactly).collect();
        let universe = match archive.with(files) {
            Ok(universe) => universe,
            Err(error) => return error.to_string(),
        };
        let baseline = match &self.status {
            Some(status) => Baseline::Status(parse_status(status).unwrap()),
            None => Baseline::Priority(Priority::Required),
        };
        let answer = Base::of(&archive, &baseline).and_then(|base| {
            solve_over(&universe, &base, &asked, Options::default()).map(|found| show(&found))
        });
        answer.unwrap_or_else(|error: Unsolvable| error.to_string())
    }
}

fn loose(text: &str) -> Suite<'_> {
    let Suite { packages, .. } = suite("", 0, text);
    Suite { origin: Origin::File(format!("{}.deb", packages[0].name)), priority: 1001, packages }
}

#[test]
fn a_file_is_installed_with_what_it_needs_from_the_suites_and_from_other_files() {
    let case = Case::new(&["l 1", "m 1"], &["a 1; Depends: l, b", "b 1"]);
    assert_eq!(case.answer(), "a 1, b 1, l 1 from 1 2 0");
}

#[test]
fn a_file_s_version_counts_where_a_suite_has_another_one() {
    for other in ["a 2", "a 0"] {
        let mut case = Case::new(&[other, "d 1; Depends: a"], &["a 1"]);
        case.names = "a d";
        assert_eq!(case.answer(), "a 1, d 1 from 1 0", "{other}");
    }
}

#[test]
fn the_same_file_as_that_of_a_suite_is_no_other_one() {
    assert_eq!(Case::new(&["a 1; File: loose"], &["a 1"]).answer(), "a 1 from 1");
    let clash = Case::new(&["a 1"], &["a 1"]).answer();
    assert_eq!(clash, "package `a` 1 of suite `main` is not that of loose file `a.deb`");
}

#[test]
fn what_does_not_go_with_a_file_is_said() {
    let mut case = Case::new(&["a 2", "d 1; Depends: a (>= 2)"], &["a 1"]);
    case.names = "d";
    assert_eq!(
        case.answer(),
        "d and a cannot be installed together\n  d 1 is requested\n  d 1 depends on a (>= 2): that is a 2\n  \
         a 1 (loose file `a.deb`) is requested\n  a can only be there in one version"
    );
    let mut case = Case::new(&["a 1"], &["a 1.5"]);
    case.status = Some(text(&["a 2"]));
    assert_eq!(
        case.answer(),
        "a cannot be installed\n  a 1.5 (loose file `a.deb`) is requested, but the base has a 2"
    );
    let case = Case::new(&["l 1"], &["a 1; Depends: l (>= 2), gone"]);
    assert!(case.answer().ends_with("a 1 depends on l (>= 2): there is only l 1"), "{}", case.answer());
}

#[test]
fn no_installation_has_a_file_because_of_its_priority() {
    let index = ["a 1; Priority: required; Depends: l", "l 1"];
    // The base has the suite's version and what that needs; the file upgrades it and needs more.
    let case = Case::new(&index, &["a 2; Priority: required; Essential: yes; Depends: m", "m 1"]);
    assert_eq!(case.answer(), "a 2, m 1 from 1 2");
    let case = Case::new(&index, &["b 1; Priority: required"]);
    assert_eq!(case.answer(), "b 1 from 1");
}
