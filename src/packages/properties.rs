//! Small random universes, on which every combination of packages can be tried.

use super::checker::{Claim, Violation, check};
use super::closure::{Options, Unsolvable, solve};
use super::fixture::{listed, requests, suite, text};
use super::record::Record;
use super::{Baseline, Request, Universe};
use crate::deb::baseline::parse_status;
use crate::deb::index::PackageStanza;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const PROVIDED: [&str; 2] = ["v", "w"];
const ROUNDS: u64 = 300;

/// Numbers that look random, the same ones for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<'text>(&mut self, list: &[&'text str]) -> &'text str {
        list[usize::try_from(self.throw(list.len() as u64)).unwrap()]
    }

    fn relation(&mut self) -> String {
        let name = match self.throw(4) {
            0 => self.one_of(&PROVIDED),
            _ => self.one_of(&NAMES),
        };
        match self.throw(3) {
            0 => format!("{name} ({} {})", self.one_of(&["<<", "<=", "=", ">=", ">>"]), self.throw(4)),
            _ => name.to_owned(),
        }
    }

    fn group(&mut self) -> String {
        let alternatives: Vec<String> = (0..=self.throw(2)).map(|_| self.relation()).collect();
        alternatives.join(" | ")
    }

    fn provided(&mut self) -> String {
        let name = self.one_of(&PROVIDED);
        match self.throw(2) {
            0 => format!("{name} (= {})", self.throw(4)),
            _ => name.to_owned(),
        }
    }

    fn package(&mut self, name: &str, version: u64) -> String {
        let mut line = format!("{name} {version}");
        for (field, chance) in [("Depends", 2), ("Pre-Depends", 6)] {
            if self.throw(chance) == 0 {
                let groups: Vec<String> = (0..=self.throw(2)).map(|_| self.group()).collect();
                line += &format!("; {field}: {}", groups.join(", "));
            }
        }
        for field in ["Conflicts", "Breaks"] {
            if self.throw(5) == 0 {
                line += &format!("; {field}: {}", self.relation());
            }
        }
        if self.throw(3) == 0 {
            line += &format!("; Provides: {}", self.provided());
        }
        line
    }

    /// Returns some packages, one version each.
    fn packages(&mut self, chance: u64, versions: u64) -> Vec<String> {
        let mut packages = Vec::new();
        for name in NAMES {
            if self.throw(chance) != 0 {
                let version = self.throw(versions);
                packages.push(self.package(name, version));
            }
        }
        packages
    }
}

/// What is thrown: two suites, a base, and what is asked for.
struct Case {
    suites: [Vec<String>; 2],
    base: String,
    request: String,
}

impl Case {
    fn throw(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let first = dice.packages(8, 3);
        // The same version has one file, so the second suite has others.
        let second = dice.packages(2, 3);
        let second = second.iter().map(|line| line.replacen(' ', " 1.", 1)).collect();
        let base = match dice.throw(2) {
            0 => Vec::new(),
            // Of another kind than those of the suites: what is installed may be gone from them.
            _ => dice.packages(3, 3).iter().map(|line| line.replacen(' ', " 0.", 1)).collect(),
        };
        let base: Vec<&str> = base.iter().map(String::as_str).collect();
        let request = first.iter().take(2).filter_map(|line| line.split(' ').next());
        let request = request.collect::<Vec<_>>().join(" ");
        Self { suites: [first, second], base: text(&base), request }
    }
}

fn index(lines: &[String], is_reversed: bool) -> String {
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    if is_reversed {
        lines.reverse();
    }
    text(&lines)
}

fn answer(case: &Case, is_reversed: bool) -> Result<String, (Unsolvable, bool)> {
    let texts = case.suites.each_ref().map(|lines| index(lines, is_reversed));
    let suites = vec![suite("main", 500, &texts[0]), suite("backports", 100, &texts[1])];
    let universe = Universe::new("amd64", suites).unwrap();
    let installed = parse_status(&case.base).unwrap();
    let baseline = Baseline::Status(installed.clone());
    match solve(&universe, &baseline, &requests(&case.request), Options::default()) {
        Ok(closure) => Ok(listed(&closure)),
        Err(error) => Err((error, can_be_solved(&universe, &installed, &case.request))),
    }
}

/// Tries every combination of packages.
fn can_be_solved(universe: &Universe<'_>, installed: &[PackageStanza<'_>], request: &str) -> bool {
    let base: Vec<Record<'_>> = installed.iter().map(Record::Described).collect();
    let requests: Vec<Request> = request
        .split(' ')
        .map(|name| {
            let candidate = universe.candidate(name).unwrap().package.version.clone();
            let later = installed.iter().find(|package| package.name == name && package.version > candidate);
            let version = later.map_or(candidate, |package| package.version.clone());
            format!("{name}={version}").parse().unwrap()
        })
        .collect();
    let mut shipped = vec![Vec::new()];
    for name in NAMES {
        let mut longer = shipped.clone();
        for offer in universe.versions(name) {
            longer.extend(shipped.iter().map(|shipped: &Vec<_>| [&shipped[..], &[&offer.package]].concat()));
        }
        shipped = longer;
    }
    let is_valid = |shipped: &Vec<&PackageStanza<'_>>| {
        let claim = Claim { architecture: "amd64", base: &base, shipped, requests: &requests };
        let violations = check(&claim).unwrap();
        violations.iter().all(|violation| matches!(violation, Violation::Circle(..)))
    };
    shipped.iter().any(is_valid)
}

#[test]
fn an_answer_is_valid_and_none_is_missed_in_random_universes() {
    let (mut solved, mut contradictions, mut circles) = (0, 0, 0);
    for seed in 0..ROUNDS {
        let case = Case::throw(seed);
        let context = || format!("seed {seed}: {} of {:?} on {}", case.request, case.suites, case.base);
        // What is answered has passed the checker.
        match answer(&case, false) {
            Ok(found) => {
                solved += 1;
                assert_eq!(answer(&case, true).ok(), Some(found), "{}", context());
            }
            Err((Unsolvable::Contradiction(reason), can_be_solved)) => {
                contradictions += 1;
                assert!(!can_be_solved, "{}\n{reason}", context());
                let Err((again, _)) = answer(&case, true) else { panic!("{}", context()) };
                assert_eq!(again.to_string(), reason.to_string(), "{}", context());
            }
            Err((Unsolvable::Circle(..), _)) => circles += 1,
            Err((error, _)) => panic!("{error:?}\n{}", context()),
        }
    }
    // Each kind is there often enough to count.
    let counts = [solved, contradictions, circles];
    assert!(solved > ROUNDS / 10 && contradictions > ROUNDS / 10 && circles > 0, "{counts:?}");
}
