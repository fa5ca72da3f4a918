//! What is needed, and what should come along with it where it can.

use std::collections::{BTreeMap, BTreeSet};

use super::explanation;
use super::record::Field;
use super::scope::Scope;
use super::solver::{self, Answer, Goal};
use super::universe::{Offer, PackageId};
use super::unsolvable::Unsolvable;
use super::why::{self, Asked, Why, Wish};
use crate::deb::index::{InvalidIndex, PackageStanza, Priority};
use crate::deb::relation::{Operator, OrGroup};

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether what new packages recommend comes along, where it can.
    pub recommends: bool,
}

/// How much more than what is needed.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) siblings: Siblings,
    pub(super) options: Options,
}

/// Which packages of a shipped one's source come along.
///
/// A base may have a package that works with one version of its sibling only; if that is upgraded, the package
/// has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Siblings {
    /// None: relations say what is needed.
    None,
    /// Those of basic systems, if the shipped one is needed in exactly its version: what the base has is not
    /// known, and it may have an earlier version of both.
    OfBound,
    /// Those of the base whose sibling is upgraded: the relations of the base's versions are not known.
    OfUpgraded,
}

/// Solutions with more and more wishes.
pub(super) struct Search<'search, 'a> {
    scope: &'search Scope<'a>,
    asked: &'search Asked,
    granted: Vec<Wish>,
}

impl<'search, 'a> Search<'search, 'a> {
    pub(super) fn new(scope: &'search Scope<'a>, asked: &'search Asked) -> Self {
        Self { scope, asked, granted: Vec::new() }
    }

    /// Returns what is needed, and of what is wished for as much as there can be.
    pub(super) fn run(mut self, extent: Extent) -> Result<BTreeMap<PackageId, Why>, Unsolvable> {
        let mut solution = self.solve()?;
        let mut needed = self.needed(&solution)?;
        let mut tried = BTreeSet::new();
        loop {
            let mut wishes = self.wishes(extent, &solution, &needed)?;
            wishes.retain(|wish| tried.insert(wish.one_of.clone()));
            let Some(granted) = self.grant(wishes)? else { return Ok(needed) };
            solution = granted;
            needed = self.needed(&solution)?;
        }
    }

    fn solve(&self) -> Result<BTreeSet<PackageId>, Unsolvable> {
        let goal = Goal { scope: self.scope, requested: &self.asked.required, wishes: &[], facts: None };
        match solver::solve(&goal)? {
            Answer::Solution(solution) => Ok(solution),
            Answer::Contradiction(facts) => Err(explanation::explain(&goal, facts)?.into()),
        }
    }

    fn needed(&self, solution: &BTreeSet<PackageId>) -> Result<BTreeMap<PackageId, Why>, InvalidIndex> {
        why::needed(self.scope, solution, self.asked, &self.granted)
    }

    /// Returns a solution with as many more wishes as there can be; `None` if there can be none.
    fn grant(&mut self, wishes: Vec<Wish>) -> Result<Option<BTreeSet<PackageId>>, InvalidIndex> {
        if wishes.is_empty() {
            return Ok(None);
        }
        if let Some(solution) = self.solve_with(&wishes)? {
            self.granted.extend(wishes);
            return Ok(Some(solution));
        }
        let mut last = None;
        for wish in wishes {
            if let Some(solution) = self.solve_with(std::slice::from_ref(&wish))? {
                self.granted.push(wish);
                last = Some(solution);
            }
        }
        Ok(last)
    }

    fn solve_with(&self, more: &[Wish]) -> Result<Option<BTreeSet<PackageId>>, InvalidIndex> {
        let wishes: Vec<Vec<PackageId>> =
            self.granted.iter().chain(more).map(|wish| wish.one_of.clone()).collect();
        let goal = Goal { scope: self.scope, requested: &self.asked.required, wishes: &wishes, facts: None };
        Ok(match solver::solve(&goal)? {
            Answer::Solution(solution) => Some(solution),
            Answer::Contradiction(_) => None,
        })
    }

    /// Returns what should come along with what is needed.
    fn wishes(
        &self,
        extent: Extent,
        solution: &BTreeSet<PackageId>,
        needed: &BTreeMap<PackageId, Why>,
    ) -> Result<Vec<Wish>, InvalidIndex> {
        let mut wishes = self.siblings(extent.siblings, needed)?;
        if extent.options.recommends {
            wishes.extend(self.recommended(needed)?);
        }
        let is_there = |id: &PackageId| {
            needed.contains_key(id) || (solution.contains(id) && self.scope.is_installed(*id))
        };
        wishes.retain(|wish| !wish.one_of.is_empty() && !wish.one_of.iter().any(is_there));
        Ok(wishes)
    }

    /// Returns what packages recommend that are new; what the base has is as its owner wants it.
    fn recommended(&self, needed: &BTreeMap<PackageId, Why>) -> Result<Vec<Wish>, InvalidIndex> {
        let mut wishes = Vec::new();
        for owner in needed.keys() {
            let record = self.scope.record(*owner);
            if self.scope.installed.contains_key(record.name()) {
                continue;
            }
            for group in record.needs(Field::Recommends)? {
                let (by, relation) = (record.name().to_owned(), group.to_string());
                let one_of = self.scope.satisfiers_of_group(&group).unwrap_or_default();
                wishes.push(Wish { one_of, why: Why::Needed { by, field: Field::Recommends, relation } });
            }
        }
        Ok(wishes)
    }

    fn siblings(
        &self,
        siblings: Siblings,
        needed: &BTreeMap<PackageId, Why>,
    ) -> Result<Vec<Wish>, InvalidIndex> {
        let (scope, universe) = (self.scope, self.scope.universe);
        let is_in_base = |name: &str| scope.installed.contains_key(name);
        let bound = match siblings {
            Siblings::OfBound => self.bound(needed)?,
            Siblings::None | Siblings::OfUpgraded => BTreeSet::new(),
        };
        let is_cause = |id: &PackageId| match siblings {
            Siblings::None => false,
            Siblings::OfBound => bound.contains(scope.record(*id).name()),
            Siblings::OfUpgraded => !scope.is_installed(*id) && is_in_base(scope.record(*id).name()),
        };
        let causes = needed.keys().filter(|id| is_cause(id)).map(|id| &universe.offer(*id).package);
        let causes: BTreeMap<&str, &str> = causes.map(|package| (package.source, package.name)).collect();
        let is_sibling = |package: &PackageStanza<'_>| match siblings {
            Siblings::None => false,
            Siblings::OfBound => package.priority <= Priority::Standard,
            Siblings::OfUpgraded => is_in_base(package.name),
        };
        let wish = |offer: &Offer<'a>| {
            let of = (*causes.get(offer.package.source)?).to_owned();
            let id = universe.ranked(offer.package.name).first().copied()?;
            let is_choice = std::ptr::eq(universe.offer(id), offer) && is_sibling(&offer.package);
            is_choice.then(|| Wish { one_of: vec![id], why: Why::Sibling { of } })
        };
        Ok(universe.offers().iter().filter_map(wish).collect())
    }

    /// Returns the names that something needs in exactly the version that is shipped.
    fn bound(&self, needed: &BTreeMap<PackageId, Why>) -> Result<BTreeSet<&'a str>, InvalidIndex> {
        let mut bound = BTreeSet::new();
        for id in needed.keys() {
            let record = self.scope.record(*id);
            for field in [Field::PreDepends, Field::Depends] {
                for relation in record.needs(field)?.iter().flat_map(OrGroup::alternatives) {
                    let constraint = relation.constraint.as_ref();
                    if constraint.is_some_and(|constraint| constraint.operator == Operator::Equal) {
                        bound.insert(relation.name);
                    }
                }
            }
        }
        Ok(bound)
    }
}
