//! The packages that are to be shipped for what was asked for.

use std::collections::BTreeMap;

use super::baseline::Baseline;
use super::checker::{self, Claim, Violation};
use super::record::Record;
use super::request::Request;
use super::scope::Scope;
pub use super::search::Options;
use super::search::{Extent, Search, Siblings};
use super::universe::{Offer, PackageId, Universe};
pub use super::unsolvable::Unsolvable;
use super::why::{Asked, Why};
use crate::deb::index::{PackageStanza, Priority};
use crate::deb::version::Version;

/// What is to be shipped, and why.
#[derive(Debug, Clone)]
pub struct Closure<'a> {
    packages: Vec<Selected<'a>>,
    kept: Vec<(&'a str, &'a Version<'a>)>,
}

/// A package that is to be shipped.
#[derive(Debug, Clone)]
pub struct Selected<'a> {
    /// What its index says.
    pub package: &'a PackageStanza<'a>,
    /// The number of the suite that it comes from, among those that the universe was made of.
    pub suite: usize,
    /// Why it is shipped.
    pub why: Why,
    /// The earlier version of it that the base has.
    pub upgrades: Option<&'a Version<'a>>,
}

/// Chooses what to ship so that all requests can be installed on the base, and proves the choice.
///
/// Nothing of the base is removed or replaced by an earlier version. What was asked for is shipped even if the
/// base has it. The same arguments have the same answer, whatever the order of the suites' packages.
pub fn solve<'a>(
    universe: &'a Universe<'a>,
    baseline: &'a Baseline<'a>,
    requests: &[Request],
    options: Options,
) -> Result<Closure<'a>, Unsolvable> {
    solve_over(universe, &Base::of(universe, baseline)?, requests, options)
}

/// What the machine has, as a universe describes it.
///
/// Loose files are not in that universe: no installation has them because of their priority.
#[derive(Debug)]
pub struct Base<'a> {
    records: BTreeMap<&'a str, Record<'a>>,
    siblings: Siblings,
}

impl<'a> Base<'a> {
    /// Finds the packages of `baseline` in `universe`.
    pub fn of(universe: &'a Universe<'a>, baseline: &'a Baseline<'a>) -> Result<Self, Unsolvable> {
        let siblings = match baseline {
            Baseline::None => Siblings::OfBound,
            Baseline::Manifest(_) => Siblings::OfUpgraded,
            Baseline::Status(_) | Baseline::Priority(_) => Siblings::None,
        };
        Ok(Self { records: records(universe, baseline)?, siblings })
    }
}

/// As [`solve`], over a base that was found in another universe: that of the suites without the loose files.
pub fn solve_over<'a>(
    universe: &'a Universe<'a>,
    base: &Base<'a>,
    requests: &[Request],
    options: Options,
) -> Result<Closure<'a>, Unsolvable> {
    let Base { records, siblings } = base;
    solve_on(universe, records, requests, Extent { siblings: *siblings, options })
}

fn solve_on<'a>(
    universe: &'a Universe<'a>,
    base: &BTreeMap<&'a str, Record<'a>>,
    requests: &[Request],
    extent: Extent,
) -> Result<Closure<'a>, Unsolvable> {
    let mut scope = Scope::new(universe, base)?;
    let asked = find_all(&mut scope, requests)?;
    let found = Search::new(&scope, &asked).run(extent)?;
    let closure = Closure::new(&scope, found, &asked);
    prove(universe.architecture(), &closure, base, requests)?;
    Ok(closure)
}

/// Finds what answers each request.
fn find_all(scope: &mut Scope<'_>, requests: &[Request]) -> Result<Asked, Unsolvable> {
    let mut asked = Asked::default();
    let mut unknown = Vec::new();
    for request in requests {
        let id = match request.find(scope.universe) {
            Ok(id) => id,
            Err(reason) => {
                unknown.push(reason);
                continue;
            }
        };
        let is_certain = request.version().is_some();
        if is_certain {
            scope.pin(id);
        }
        let record = scope.record(id);
        let installed = scope.installed.get(record.name()).copied();
        let is_later = |base: &PackageId| !is_certain && scope.record(*base).version() > record.version();
        match installed.filter(is_later) {
            Some(later) => asked.later.push(later),
            None => asked.required.push(id),
        }
    }
    if unknown.is_empty() { Ok(asked) } else { Err(Unsolvable::Unknown(unknown)) }
}

impl<'a> Closure<'a> {
    fn new(scope: &Scope<'a>, needed: BTreeMap<PackageId, Why>, asked: &Asked) -> Self {
        let universe = scope.universe;
        let select = |(id, why): (PackageId, Why)| {
            let offer = universe.offer(id);
            let installed = scope.installed.get(offer.package.name).filter(|installed| **installed != id);
            let upgrades = installed.map(|installed| scope.record(*installed).version());
            Selected { package: &offer.package, suite: offer.suite, why, upgrades }
        };
        // Numbers are in the order of names.
        let packages: Vec<Selected<'a>> = needed.into_iter().map(select).collect();
        let is_shipped = |name: &str| packages.iter().any(|selected| selected.package.name == name);
        let later = asked.later.iter().map(|id| scope.record(*id));
        let kept = later.filter(|record| !is_shipped(record.name()));
        Self { kept: kept.map(|record| (record.name(), record.version())).collect(), packages }
    }

    /// Returns the packages, sorted by name.
    pub fn packages(&self) -> &[Selected<'a>] {
        &self.packages
    }

    /// Returns what was asked for and is not shipped, because the base has a later version than any suite.
    pub fn kept(&self) -> &[(&'a str, &'a Version<'a>)] {
        &self.kept
    }
}

/// Lets the checker read the packages again.
fn prove<'a>(
    architecture: &str,
    closure: &Closure<'a>,
    base: &BTreeMap<&'a str, Record<'a>>,
    requests: &[Request],
) -> Result<(), Unsolvable> {
    let base: Vec<Record<'a>> = base.values().cloned().collect();
    let shipped: Vec<&PackageStanza<'a>> = closure.packages.iter().map(|selected| selected.package).collect();
    let violations = checker::check(&Claim { architecture, base: &base, shipped: &shipped, requests })?;
    match &violations[..] {
        [] => Ok(()),
        // The solver knows no order; what has none is not a fault of it.
        [Violation::Circle(packages)] => Err(Unsolvable::Circle(packages.clone())),
        [_, ..] => Err(Unsolvable::Unproven(violations)),
    }
}

/// Returns what the base has, by name; packages of other architectures are left out.
fn records<'a>(
    universe: &'a Universe<'a>,
    baseline: &'a Baseline<'a>,
) -> Result<BTreeMap<&'a str, Record<'a>>, Unsolvable> {
    let offered = |name: &str, version: &Version<'_>| {
        universe.version(name, version).map(|offer| Record::Described(&offer.package))
    };
    Ok(match baseline {
        Baseline::None => BTreeMap::new(),
        Baseline::Status(packages) => packages
            .iter()
            .filter(|package| [universe.architecture(), "all"].contains(&package.architecture))
            .map(|package| {
                // The index's stanza says the same, and where the file is.
                let record = offered(package.name, &package.version);
                (package.name, record.unwrap_or(Record::Described(package)))
            })
            .collect(),
        Baseline::Manifest(entries) => entries
            .iter()
            .map(|entry| {
                let like = universe.candidate(entry.name).map(|offer| &offer.package);
                let listed = Record::Listed { name: entry.name, version: &entry.version, like };
                (entry.name, offered(entry.name, &entry.version).unwrap_or(listed))
            })
            .collect(),
        Baseline::Priority(priority) => basic_system(universe, *priority)?,
    })
}

/// Returns what debootstrap would install.
fn basic_system<'a>(
    universe: &'a Universe<'a>,
    priority: Priority,
) -> Result<BTreeMap<&'a str, Record<'a>>, Unsolvable> {
    let is_basic = |package: &PackageStanza<'_>| package.is_essential || package.priority <= priority;
    let is_candidate = |offer: &&Offer<'_>| {
        universe.candidate(offer.package.name).is_some_and(|candidate| std::ptr::eq(candidate, *offer))
    };
    let basic = universe.offers().iter().filter(|offer| is_basic(&offer.package)).filter(is_candidate);
    let requests: Vec<Request> = basic.map(|offer| Request::of(offer.package.name)).collect();
    let extent = Extent { siblings: Siblings::None, options: Options::default() };
    let closure = solve_on(universe, &BTreeMap::new(), &requests, extent)
        .map_err(|reason| Unsolvable::Base(Box::new(reason)))?;
    let packages = closure.packages.into_iter().map(|selected| selected.package);
    Ok(packages.map(|package| (package.name, Record::Described(package))).collect())
}
