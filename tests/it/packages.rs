//! The closure, judged by apt on a mirror's real indices.

use std::thread;

use seedkit::deb::baseline::parse_status;
use seedkit::deb::index::{self, Priority};
use seedkit::packages::request::UnknownPackage;
use seedkit::packages::{
    Baseline, Closure, Options, Origin, Request, Suite, Universe, Unsolvable, Why, closure,
};

use crate::support::apt::Apt;

/// What the nodes of a cluster need.
const LIST: &str = "jq htop ethtool iproute2 dnsutils telnet psmisc sysstat iftop iotop dstat yq conntrack socat \
                    ebtables";
/// The same for a release in which some of these names are gone.
const LATER_LIST: &str = "jq htop ethtool iproute2 bind9-dnsutils inetutils-telnet psmisc sysstat iftop iotop yq \
                          conntrack socat ebtables";

fn universe<'text>(indices: &'text [(String, String)], architecture: &str) -> Universe<'text> {
    let suite = |(name, text): &'text (String, String)| Suite {
        origin: Origin::Suite(name.clone()),
        priority: 500,
        packages: index::parse(text).unwrap(),
    };
    Universe::new(architecture, indices.iter().map(suite).collect()).unwrap()
}

fn solve<'a>(
    universe: &'a Universe<'a>,
    base: &'a Baseline<'a>,
    names: &[&str],
    recommends: bool,
) -> Result<Closure<'a>, Unsolvable> {
    let requests: Vec<Request> = names.iter().map(|name| name.parse().unwrap()).collect();
    closure::solve(universe, base, &requests, Options { recommends })
}

/// Returns what apt would ship too, as sorted `name version`: neither siblings nor what the base has.
fn listed(closure: &Closure<'_>, base: &[String]) -> Vec<String> {
    let packages = closure.packages().iter().filter(|selected| !matches!(selected.why, Why::Sibling { .. }));
    let mut listed: Vec<String> =
        packages.map(|selected| format!("{} {}", selected.package.name, selected.package.version)).collect();
    listed.retain(|package| !base.contains(package));
    listed.sort();
    listed
}

/// Returns dpkg's status file of a machine that has `packages`, given as `name version`.
fn status(universe: &Universe<'_>, packages: &[String]) -> String {
    let stanza = |package: &String| {
        let (name, version) = package.split_once(' ').unwrap();
        let offers = universe.versions(name).iter();
        let offer =
            offers.map(|offer| &offer.package).find(|offer| offer.version.as_str() == version).unwrap();
        format!("{}Status: install ok installed\n\n", offer.stanza().raw())
    };
    packages.iter().map(stanza).collect()
}

/// Compares what is chosen for a cluster's nodes with what apt chooses, on an empty and on a basic system.
fn compare(codename: &str, architecture: &str, names: &[&str]) {
    let apt = Apt::fetch(codename, architecture);
    let indices = apt.indices();
    let universe = universe(&indices, architecture);
    let bare = solve(&universe, &Baseline::None, names, false).unwrap();
    assert_eq!(listed(&bare, &[]), apt.install(names).unwrap());

    let patterns = ["?essential", "?priority(required)", "?priority(important)"];
    let base = apt.install(&patterns).unwrap();
    let priority = Baseline::Priority(Priority::Important);
    let status = status(&universe, &base);
    apt.set_status(&status);
    let status = Baseline::Status(parse_status(&status).unwrap());
    let expected = apt.install(names).unwrap();
    for baseline in [priority, status] {
        assert_eq!(
            listed(&solve(&universe, &baseline, names, false).unwrap(), &base),
            expected,
            "{codename}"
        );
    }
}

#[test]
fn apt_chooses_the_same_for_the_nodes_of_a_cluster() {
    compare("bookworm", "amd64", &LIST.split(' ').collect::<Vec<_>>());
}

#[test]
fn apt_chooses_the_same_for_another_architecture() {
    compare("bookworm", "arm64", &LIST.split(' ').collect::<Vec<_>>());
}

#[test]
fn apt_chooses_the_same_for_a_later_release() {
    compare("trixie", "amd64", &LATER_LIST.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_name_that_a_later_release_has_no_package_for_is_refused_with_what_provides_it() {
    let apt = Apt::fetch("trixie", "arm64");
    let indices = apt.indices();
    let universe = universe(&indices, "arm64");
    let error = solve(&universe, &Baseline::None, &["dstat", "dnsutils", "jq"], false).unwrap_err();
    let Unsolvable::Unknown(unknown) = error else { panic!("{error}") };
    let found: Vec<(&str, Vec<&str>)> = unknown
        .iter()
        .map(|unknown| match unknown {
            UnknownPackage::Virtual { name, providers } => {
                (name.as_str(), providers.iter().map(String::as_str).collect())
            }
            UnknownPackage::Unknown { .. } | UnknownPackage::Version { .. } => panic!("{unknown}"),
        })
        .collect();
    assert_eq!(found, [("dstat", vec!["pcp"]), ("dnsutils", vec!["bind9-dnsutils"])]);
}

/// What the seed makes of the names of a release: single ones, then groups of four.
fn random_requests<'a>(universe: &Universe<'a>, mut seed: u64) -> Vec<Vec<&'a str>> {
    let mut names: Vec<&str> = universe.offers().iter().map(|offer| offer.package.name).collect();
    names.dedup();
    let mut next = || {
        // Knuth's MMIX: the upper bits are the good ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        names[usize::try_from(seed >> 33).unwrap() % names.len()]
    };
    let mut requests: Vec<Vec<&str>> = (0..SINGLES).map(|_| vec![next()]).collect();
    requests.extend((0..GROUPS).map(|_| (0..4).map(|_| next()).collect()));
    requests
}

const SINGLES: usize = 100;
const GROUPS: usize = 30;

#[test]
fn no_request_fails_that_apt_can_answer_and_most_answers_are_the_same() {
    let apt = Apt::fetch("bookworm", "amd64");
    let indices = apt.indices();
    let universe = universe(&indices, "amd64");
    let base = apt.install(&["?essential", "?priority(required)", "?priority(important)"]).unwrap();
    let text = status(&universe, &base);
    apt.set_status(&text);
    let status = Baseline::Status(parse_status(&text).unwrap());
    let requests = random_requests(&universe, 3);
    let judge = |names: &Vec<&str>| {
        let expected = apt.install(names);
        // Whatever is answered, the checker has proved.
        match (solve(&universe, &status, names, false), expected) {
            (Ok(closure), Some(expected)) => usize::from(listed(&closure, &base) == expected),
            (Err(error), Some(_)) => panic!("{names:?}: apt has an answer, but {error}"),
            (Ok(_) | Err(_), None) => 0,
        }
    };
    // The first one fills apt's cache.
    let (first, others) = requests.split_first().unwrap();
    let same = judge(first);
    let halves = others.split_at(others.len() / 2);
    let same = same
        + thread::scope(|scope| {
            let other = scope.spawn(|| halves.1.iter().map(judge).sum::<usize>());
            halves.0.iter().map(judge).sum::<usize>() + other.join().unwrap()
        });
    // Where answers differ, it is by a legal alternative: apt goes depth first.
    assert!(same * 10 >= requests.len() * 9, "only {same} of {} answers are those of apt", requests.len());
}
