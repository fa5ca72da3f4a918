//! Why a request has no answer, in as few sentences as there can be.
//!
//! # Why
//!
//! A solver's own proof names clauses that happen to have been looked at. Leaving out whatever the contradiction
//! does not need (QuickXplain: Junker, 2004) gives a few facts that contradict each other, each of which counts:
//! without any of them there would be an answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::record::Field;
use super::scope::Scope;
use super::solver::{self, Answer, Fact, Goal};
use super::universe::{Origin, PackageId};
use crate::deb::index::InvalidIndex;
use crate::deb::relation::OrGroup;

/// The most packages that are listed where one of them would do.
const MOST_LISTED: usize = 4;

/// Packages that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    packages: Vec<String>,
    has_base: bool,
    reasons: Vec<String>,
}

impl Contradiction {
    /// Returns what was asked for and takes part in the contradiction.
    pub fn packages(&self) -> &[String] {
        &self.packages
    }

    /// Returns the facts that contradict each other, from what was asked for to what is in the way.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl std::error::Error for Contradiction {}

impl fmt::Display for Contradiction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = if self.has_base { " on this base" } else { "" };
        match &self.packages[..] {
            [] => formatter.write_str("the base contradicts itself")?,
            [single] => write!(formatter, "{single} cannot be installed{base}")?,
            [first @ .., last] => {
                write!(formatter, "{} and {last} cannot be installed together{base}", first.join(", "))?;
            }
        }
        self.reasons.iter().try_for_each(|reason| write!(formatter, "\n  {reason}"))
    }
}

/// Finds the few of `facts` that contradict each other.
pub(super) fn explain(goal: &Goal<'_, '_>, facts: BTreeSet<Fact>) -> Result<Contradiction, InvalidIndex> {
    let facts: Vec<Fact> = facts.into_iter().collect();
    let core = reduce(goal, &BTreeSet::new(), false, &facts)?;
    Story { scope: goal.scope, requested: goal.requested, core }.tell()
}

/// Returns what of `facts` contradicts `known`; the first facts are left in rather than the last.
fn reduce(
    goal: &Goal<'_, '_>,
    known: &BTreeSet<Fact>,
    has_grown: bool,
    facts: &[Fact],
) -> Result<BTreeSet<Fact>, InvalidIndex> {
    if has_grown && is_contradiction(goal, known)? {
        return Ok(BTreeSet::new());
    }
    if facts.len() < 2 {
        return Ok(facts.iter().copied().collect());
    }
    let (first, second) = facts.split_at(facts.len() / 2);
    let with_first: BTreeSet<Fact> = known.iter().chain(first).copied().collect();
    let mut core = reduce(goal, &with_first, true, second)?;
    let with_core: BTreeSet<Fact> = known.union(&core).copied().collect();
    core.extend(reduce(goal, &with_core, !core.is_empty(), first)?);
    Ok(core)
}

fn is_contradiction(goal: &Goal<'_, '_>, facts: &BTreeSet<Fact>) -> Result<bool, InvalidIndex> {
    let Goal { scope, requested, wishes, .. } = *goal;
    match solver::solve(&Goal { scope, requested, wishes, facts: Some(facts) })? {
        Answer::Solution(_) => Ok(false),
        Answer::Contradiction(_) => Ok(true),
    }
}

/// Turns facts into sentences.
struct Story<'story, 'a> {
    scope: &'story Scope<'a>,
    requested: &'story [PackageId],
    core: BTreeSet<Fact>,
}

impl Story<'_, '_> {
    fn tell(&self) -> Result<Contradiction, InvalidIndex> {
        let mut reasons = Vec::new();
        for fact in self.ordered()? {
            reasons.push(self.sentence(fact)?);
        }
        reasons.extend(self.exclusions()?);
        let is_base = |fact: &Fact| matches!(fact, Fact::Stays(_));
        let asked = self.core.iter().filter_map(|fact| match fact {
            Fact::Requested(index) => Some(self.scope.record(self.requested[*index]).name().to_owned()),
            Fact::Stays(_) | Fact::Wished(_) | Fact::Needs(..) | Fact::Refuses(..) => None,
        });
        Ok(Contradiction { packages: asked.collect(), has_base: self.core.iter().any(is_base), reasons })
    }

    /// Orders the facts: what is asked for, with the needs that follow from it; the base; what is refused.
    fn ordered(&self) -> Result<Vec<Fact>, InvalidIndex> {
        let mut left = self.core.clone();
        let mut ordered = Vec::new();
        for fact in &self.core {
            if matches!(fact, Fact::Requested(_) | Fact::Stays(_)) {
                left.remove(fact);
                ordered.push(*fact);
                self.follow(*fact, &mut left, &mut ordered)?;
            }
        }
        ordered.extend(left);
        Ok(ordered)
    }

    /// Moves the needs that follow from a fact.
    fn follow(
        &self,
        fact: Fact,
        left: &mut BTreeSet<Fact>,
        ordered: &mut Vec<Fact>,
    ) -> Result<(), InvalidIndex> {
        let mut queue = VecDeque::from([fact]);
        while let Some(fact) = queue.pop_front() {
            for package in self.options(fact)? {
                let needs = left
                    .iter()
                    .copied()
                    .filter(|other| matches!(other, Fact::Needs(owner, ..) if *owner == package));
                for need in needs.collect::<Vec<_>>() {
                    left.remove(&need);
                    ordered.push(need);
                    queue.push_back(need);
                }
            }
        }
        Ok(())
    }

    /// Returns the packages of which a fact demands one, or which it refuses.
    fn options(&self, fact: Fact) -> Result<Vec<PackageId>, InvalidIndex> {
        Ok(match fact {
            Fact::Requested(index) => vec![self.requested[index]],
            Fact::Stays(id) => self.scope.candidates(self.scope.record(id).name()),
            Fact::Wished(_) => Vec::new(),
            Fact::Needs(owner, field, place) => {
                self.scope.satisfiers_of_group(&self.group(owner, field, place)?).unwrap_or_default()
            }
            Fact::Refuses(owner, field, place) => {
                let relations = self.scope.record(owner).refuses(field)?;
                self.scope.refused(owner, &relations[place])
            }
        })
    }

    fn group(&self, owner: PackageId, field: Field, place: usize) -> Result<OrGroup<'_>, InvalidIndex> {
        Ok(self.scope.record(owner).needs(field)?.swap_remove(place))
    }

    fn sentence(&self, fact: Fact) -> Result<String, InvalidIndex> {
        let options = self.options(fact)?;
        Ok(match fact {
            Fact::Requested(index) => self.request(self.requested[index]),
            Fact::Stays(id) => {
                let later: Vec<PackageId> = options.into_iter().filter(|option| *option != id).collect();
                let becomes = match &later[..] {
                    [] => String::new(),
                    later => format!(", or becomes {}", self.list(later)),
                };
                format!("{} is in the base and stays{becomes}", self.package(id))
            }
            Fact::Wished(_) => String::new(),
            Fact::Needs(owner, field, place) => {
                let group = self.group(owner, field, place)?;
                let found = match &options[..] {
                    [] => self.what_there_is(&group),
                    options => format!("that is {}", self.list(options)),
                };
                format!("{} {} {group}: {found}", self.package(owner), field.verb())
            }
            Fact::Refuses(owner, field, place) => {
                let relation = self.scope.record(owner).refuses(field)?.swap_remove(place);
                let found = self.list(&options);
                format!("{} {} {relation}: that is {found}", self.package(owner), field.verb())
            }
        })
    }

    fn request(&self, id: PackageId) -> String {
        let name = self.scope.record(id).name();
        let later = self.scope.installed.get(name).filter(|_| !self.scope.candidates(name).contains(&id));
        let later = later.map(|later| format!(", but the base has {}", self.package(*later)));
        let file = self.scope.origin(id).filter(|origin| matches!(origin, Origin::File(_)));
        let file = file.map(|file| format!(" ({file})")).unwrap_or_default();
        format!("{}{file} is requested{}", self.package(id), later.unwrap_or_default())
    }

    /// Says what there is in place of what nothing satisfies.
    fn what_there_is(&self, group: &OrGroup<'_>) -> String {
        let alternatives = group.alternatives().iter();
        let candidates = alternatives.clone().flat_map(|relation| self.scope.candidates(relation.name));
        let candidates: Vec<PackageId> = candidates.collect();
        match &candidates[..] {
            [] if alternatives.len() == 1 => "there is no such package".to_owned(),
            [] => "there is none of these packages".to_owned(),
            candidates => format!("there is only {}", self.list(candidates)),
        }
    }

    /// Says of which packages two facts demand different versions.
    fn exclusions(&self) -> Result<BTreeSet<String>, InvalidIndex> {
        let mut versions: BTreeMap<PackageId, BTreeSet<Vec<PackageId>>> = BTreeMap::new();
        for fact in &self.core {
            let options = match fact {
                Fact::Refuses(..) => continue,
                Fact::Requested(_) | Fact::Stays(_) | Fact::Wished(_) | Fact::Needs(..) => {
                    self.options(*fact)?
                }
            };
            let names: BTreeSet<PackageId> = options.iter().map(|id| self.scope.name_of(*id)).collect();
            if let (1, Some(name)) = (names.len(), names.first()) {
                versions.entry(*name).or_default().insert(options);
            }
        }
        let differ = |sets: &BTreeSet<Vec<PackageId>>| {
            sets.first().is_some_and(|first| !first.iter().any(|id| sets.iter().all(|set| set.contains(id))))
        };
        let names =
            versions.iter().filter(|(_, sets)| differ(sets)).map(|(name, _)| self.scope.record(*name));
        Ok(names.map(|record| format!("{} can only be there in one version", record.name())).collect())
    }

    fn package(&self, id: PackageId) -> String {
        let record = self.scope.record(id);
        format!("{} {}", record.name(), record.version())
    }

    fn list(&self, packages: &[PackageId]) -> String {
        let name = |id: &PackageId| {
            if self.scope.is_installed(*id) {
                format!("{} of the base", self.package(*id))
            } else {
                self.package(*id)
            }
        };
        let mut listed: Vec<String> = packages.iter().take(MOST_LISTED).map(name).collect();
        if packages.len() > MOST_LISTED {
            listed.push(format!("{} others", packages.len() - MOST_LISTED));
        }
        listed.join(" or ")
    }
}
