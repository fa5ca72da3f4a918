//! Why each package is shipped.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, VecDeque};

use super::record::Field;
use super::scope::Scope;
use super::universe::PackageId;
use crate::deb::index::InvalidIndex;

/// The first reason that was found for a package.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub enum Why {
    /// It was asked for.
    #[display("requested")]
    Requested,
    /// Another package needs it.
    #[display("{by} {} {relation}", field.verb())]
    Needed {
        /// The name of that package.
        by: String,
        /// The field that says so.
        field: Field,
        /// What the field says.
        relation: String,
    },
    /// The base's version of it cannot stay beside another package.
    #[display("{by} {} {relation}", field.verb())]
    Refused {
        /// The name of that package.
        by: String,
        /// The field that says so.
        field: Field,
        /// What the field says.
        relation: String,
    },
    /// The base's version of it does not work with what else is shipped.
    #[display("the base's version {} {relation}", field.verb())]
    Outdated {
        /// The field that says so.
        field: Field,
        /// What the field says.
        relation: String,
    },
    /// It was built together with another package; a base that has both needs both in one version.
    #[display("of one source with {of}")]
    Sibling {
        /// The name of that package.
        of: String,
    },
}

/// A package that should come along if it can: one of several, the best first.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) one_of: Vec<PackageId>,
    pub(super) why: Why,
}

/// Returns what of a solution is needed, with the reason; what nothing needs is left out.
pub(super) fn needed(
    scope: &Scope<'_>,
    solution: &BTreeSet<PackageId>,
    asked: &Asked,
    wishes: &[Wish],
) -> Result<BTreeMap<PackageId, Why>, InvalidIndex> {
    let mut search = Search { scope, solution, found: BTreeMap::new(), queue: VecDeque::new() };
    let is_there = |id: &&PackageId| solution.contains(id) && scope.is_offered(**id);
    for id in asked.required.iter().chain(&asked.later).filter(is_there) {
        search.mark(*id, Why::Requested);
    }
    search.follow_all()?;
    let kept: Vec<PackageId> = solution.iter().copied().filter(|id| scope.is_installed(*id)).collect();
    for id in kept {
        search.follow(id)?;
    }
    search.follow_all()?;
    for wish in wishes {
        search.choose(&wish.one_of, || wish.why.clone());
        search.follow_all()?;
    }
    search.follow_upgrades()?;
    Ok(search.found)
}

struct Search<'search, 'a> {
    scope: &'search Scope<'a>,
    solution: &'search BTreeSet<PackageId>,
    found: BTreeMap<PackageId, Why>,
    queue: VecDeque<PackageId>,
}

impl Search<'_, '_> {
    fn mark(&mut self, id: PackageId, why: Why) {
        if let Entry::Vacant(place) = self.found.entry(id) {
            place.insert(why);
            self.queue.push_back(id);
        }
    }

    /// Marks the best one that the solution has, unless one of them is there already.
    fn choose(&mut self, one_of: &[PackageId], why: impl FnOnce() -> Why) {
        let is_kept = |id: &PackageId| self.solution.contains(id) && self.scope.is_installed(*id);
        if one_of.iter().any(|id| is_kept(id) || self.found.contains_key(id)) {
            return;
        }
        if let Some(best) = one_of.iter().find(|id| self.solution.contains(id)) {
            self.mark(*best, why());
        }
    }

    fn follow_all(&mut self) -> Result<(), InvalidIndex> {
        while let Some(id) = self.queue.pop_front() {
            self.follow(id)?;
        }
        Ok(())
    }

    /// Marks what a package needs.
    fn follow(&mut self, owner: PackageId) -> Result<(), InvalidIndex> {
        let record = self.scope.record(owner);
        for field in [Field::PreDepends, Field::Depends] {
            for group in record.needs(field)? {
                let satisfiers = self.scope.satisfiers_of_group(&group).unwrap_or_default();
                let by = || record.name().to_owned();
                if !satisfiers.contains(&owner) {
                    self.choose(&satisfiers, || Why::Needed { by: by(), field, relation: group.to_string() });
                }
            }
        }
        Ok(())
    }

    /// Marks packages of the base that nothing needs in their later version, but that cannot stay as they are.
    fn follow_upgrades(&mut self) -> Result<(), InvalidIndex> {
        let upgraded: Vec<(PackageId, PackageId)> = self
            .solution
            .iter()
            .filter_map(|id| Some((*self.scope.installed.get(self.scope.record(*id).name())?, *id)))
            .filter(|(before, after)| before != after)
            .collect();
        // One that is marked may be the reason for another one before it.
        let mut marked = usize::MAX;
        while marked != self.found.len() {
            marked = self.found.len();
            for (before, after) in &upgraded {
                if self.found.contains_key(after) {
                    continue;
                }
                match self.why_not(*before, &self.machine(&upgraded))? {
                    Some(why) => self.mark(*after, why),
                    None => self.follow(*before)?,
                }
                self.follow_all()?;
            }
        }
        Ok(())
    }

    /// Returns what the machine has if nothing more is marked.
    fn machine(&self, upgraded: &[(PackageId, PackageId)]) -> BTreeSet<PackageId> {
        let stays = upgraded.iter().filter(|(_, after)| !self.found.contains_key(after));
        let kept = self.solution.iter().filter(|id| self.scope.is_installed(**id));
        self.found.keys().chain(kept).copied().chain(stays.map(|(before, _)| *before)).collect()
    }

    /// Returns why a package of the base cannot stay as it is.
    fn why_not(&self, before: PackageId, machine: &BTreeSet<PackageId>) -> Result<Option<Why>, InvalidIndex> {
        let record = self.scope.record(before);
        for field in [Field::Conflicts, Field::Breaks] {
            for owner in machine {
                let by = self.scope.record(*owner);
                for relation in by.refuses(field)? {
                    if self.scope.refused(*owner, &relation).contains(&before) {
                        let (by, relation) = (by.name().to_owned(), relation.to_string());
                        return Ok(Some(Why::Refused { by, field, relation }));
                    }
                }
            }
            for relation in record.refuses(field)? {
                if self.scope.refused(before, &relation).iter().any(|id| machine.contains(id)) {
                    return Ok(Some(Why::Outdated { field, relation: relation.to_string() }));
                }
            }
        }
        // What it needs may still be marked, but not another version of itself.
        let is_there = |id: &PackageId| {
            let is_other = self.scope.record(*id).name() != record.name();
            machine.contains(id) || (is_other && self.solution.contains(id))
        };
        for field in [Field::PreDepends, Field::Depends] {
            for group in record.needs(field)? {
                let satisfiers = self.scope.satisfiers_of_group(&group);
                if satisfiers.is_some_and(|satisfiers| !satisfiers.iter().any(is_there)) {
                    return Ok(Some(Why::Outdated { field, relation: group.to_string() }));
                }
            }
        }
        Ok(None)
    }
}

/// What answers the requests.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// What has to be there.
    pub(super) required: Vec<PackageId>,
    /// What the base has in a later version than it would get: that is there in any case.
    pub(super) later: Vec<PackageId>,
}
