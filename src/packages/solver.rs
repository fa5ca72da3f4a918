//! A request as a problem for the SAT solver, and its answer.
//!
//! Every relation becomes the set of numbers that satisfy it, so the solver compares no versions and knows no
//! virtual names: what is provided is resolved before it, by [`Scope`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider, Interner,
    KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver, SolverCache, StringId,
    UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use super::record::Field;
use super::scope::Scope;
use super::universe::PackageId;
use crate::deb::index::InvalidIndex;

/// Something that has to hold; a request without an answer is explained by a few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// The request of that number is answered by this package.
    Requested(usize),
    /// The base's package stays, in its version or a later one.
    Stays(PackageId),
    /// The wish of that number comes true.
    Wished(usize),
    /// A group of a package's needs, by field and place.
    Needs(PackageId, Field, usize),
    /// A relation of what a package cannot be beside, by field and place.
    Refuses(PackageId, Field, usize),
}

/// What is to be solved.
pub(super) struct Goal<'goal, 'a> {
    /// What there is to choose from.
    pub(super) scope: &'goal Scope<'a>,
    /// The package that answers each request.
    pub(super) requested: &'goal [PackageId],
    /// Groups of packages of which one is wished for, the best first.
    pub(super) wishes: &'goal [Vec<PackageId>],
    /// The facts that count; `None` is all.
    pub(super) facts: Option<&'goal BTreeSet<Fact>>,
}

/// What came out.
pub(super) enum Answer {
    /// All packages that are on the machine then, those of the base too.
    Solution(BTreeSet<PackageId>),
    /// There is none, and these are the facts that were looked at.
    Contradiction(BTreeSet<Fact>),
}

/// Solves a problem; the same one has always the same answer.
pub(super) fn solve(goal: &Goal<'_, '_>) -> Result<Answer, InvalidIndex> {
    let provider =
        Provider { goal, sets: RefCell::default(), seen: RefCell::default(), malformed: RefCell::default() };
    let requirements = provider.roots();
    let mut solver = Solver::new(provider);
    let found = solver.solve(Problem::new().requirements(requirements));
    let provider = solver.provider();
    if let Some(malformed) = provider.malformed.borrow_mut().take() {
        return Err(malformed);
    }
    Ok(match found {
        Ok(solvables) => Answer::Solution(solvables.into_iter().map(package).collect()),
        Err(UnsolvableOrCancelled::Unsolvable(_) | UnsolvableOrCancelled::Cancelled(_)) => {
            Answer::Contradiction(provider.seen.take())
        }
    })
}

/// Answers the solver's questions.
struct Provider<'goal, 'a> {
    goal: &'goal Goal<'goal, 'a>,
    sets: RefCell<Sets>,
    seen: RefCell<BTreeSet<Fact>>,
    /// The first package whose relations cannot be read.
    malformed: RefCell<Option<InvalidIndex>>,
}

/// Sets of packages, each with one number.
#[derive(Default)]
struct Sets {
    sets: Vec<Set>,
    numbers: BTreeMap<Set, VersionSetId>,
    unions: Vec<Vec<VersionSetId>>,
    union_numbers: BTreeMap<Vec<VersionSetId>, VersionSetUnionId>,
}

/// Packages of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Set {
    /// None at all: what needs one of them cannot be installed.
    Empty,
    /// This one alone.
    Only { name: PackageId, id: PackageId },
    /// All but these.
    Without { name: PackageId, refused: Vec<PackageId> },
}

impl Set {
    fn contains(&self, id: PackageId) -> bool {
        match self {
            Self::Empty => false,
            Self::Only { id: only, .. } => *only == id,
            Self::Without { refused, .. } => !refused.contains(&id),
        }
    }
}

impl Sets {
    fn intern(&mut self, set: Set) -> VersionSetId {
        *self.numbers.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.clone());
            VersionSetId(number(self.sets.len() - 1))
        })
    }

    fn intern_union(&mut self, members: Vec<VersionSetId>) -> VersionSetUnionId {
        *self.union_numbers.entry(members).or_insert_with_key(|members| {
            self.unions.push(members.clone());
            VersionSetUnionId(number(self.unions.len() - 1))
        })
    }
}

impl Provider<'_, '_> {
    /// Returns whether a fact counts, and notes that it was looked at.
    fn counts(&self, fact: Fact) -> bool {
        let counts = self.goal.facts.is_none_or(|facts| facts.contains(&fact));
        if counts {
            self.seen.borrow_mut().insert(fact);
        }
        counts
    }

    /// Returns what has to be there in any case: the base, what is asked for, what is wished for.
    fn roots(&self) -> Vec<ConditionalRequirement> {
        let Goal { scope, requested, wishes, .. } = *self.goal;
        let stays = scope.installed.values().filter(|id| self.counts(Fact::Stays(**id)));
        let stays = stays.map(|id| scope.candidates(scope.record(*id).name()));
        let asked = (0..requested.len()).filter(|index| self.counts(Fact::Requested(*index)));
        let asked = asked.map(|index| vec![requested[index]]);
        let wished = (0..wishes.len()).filter(|index| self.counts(Fact::Wished(*index)));
        let wished = wished.map(|index| wishes[index].clone());
        stays.chain(asked).chain(wished).map(|ids| self.one_of(&ids)).collect()
    }

    fn one_of(&self, ids: &[PackageId]) -> ConditionalRequirement {
        let scope = self.goal.scope;
        let mut sets = self.sets.borrow_mut();
        let only = |id: &PackageId| Set::Only { name: scope.name_of(*id), id: *id };
        let members: Vec<VersionSetId> = ids.iter().map(only).map(|set| sets.intern(set)).collect();
        let requirement = match members[..] {
            [] => Requirement::Single(sets.intern(Set::Empty)),
            [single] => Requirement::Single(single),
            [_, _, ..] => Requirement::Union(sets.intern_union(members)),
        };
        ConditionalRequirement { condition: None, requirement }
    }

    fn relations(&self, owner: PackageId) -> Result<KnownDependencies, InvalidIndex> {
        let scope = self.goal.scope;
        let record = scope.record(owner);
        let mut known = KnownDependencies::default();
        for field in [Field::PreDepends, Field::Depends] {
            for (place, group) in record.needs(field)?.iter().enumerate() {
                let Some(satisfiers) = scope.satisfiers_of_group(group) else { continue };
                // What satisfies its own need is no need.
                if !satisfiers.contains(&owner) && self.counts(Fact::Needs(owner, field, place)) {
                    known.requirements.push(self.one_of(&satisfiers));
                }
            }
        }
        for field in [Field::Conflicts, Field::Breaks] {
            for (place, relation) in record.refuses(field)?.iter().enumerate() {
                let refused = scope.refused(owner, relation);
                if !refused.is_empty() && self.counts(Fact::Refuses(owner, field, place)) {
                    known.constrains.extend(self.without(refused));
                }
            }
        }
        Ok(known)
    }

    fn without(&self, refused: Vec<PackageId>) -> Vec<VersionSetId> {
        let mut by_name: BTreeMap<PackageId, Vec<PackageId>> = BTreeMap::new();
        for id in refused {
            by_name.entry(self.goal.scope.name_of(id)).or_default().push(id);
        }
        let mut sets = self.sets.borrow_mut();
        by_name.into_iter().map(|(name, refused)| sets.intern(Set::Without { name, refused })).collect()
    }

    /// Returns the name that no package has.
    fn nothing(&self) -> NameId {
        NameId::from_raw(number(self.goal.scope.len()))
    }

    fn set(&self, number: VersionSetId) -> Set {
        self.sets.borrow().sets[number.0 as usize].clone()
    }
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let set = self.set(version_set);
        candidates.iter().copied().filter(|id| set.contains(package(*id)) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        // The name of the empty set is the one that nothing has.
        if name == self.nothing() {
            return None;
        }
        let scope = self.goal.scope;
        let candidates = scope.candidates(scope.record(PackageId(name.into_raw() as usize)).name());
        Some(Candidates {
            candidates: candidates.into_iter().map(solvable).collect(),
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _solver: &SolverCache<Self>, _solvables: &mut [SolvableId]) {
        // What is required is a union of single packages, in order already.
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        match self.relations(package(solvable)) {
            Ok(known) => Dependencies::Known(known),
            Err(malformed) => {
                self.malformed.borrow_mut().get_or_insert(malformed);
                Dependencies::Unknown(StringId(0))
            }
        }
    }
}

/// What the solver's own messages say, which nobody reads: the explanation is ours.
impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl std::fmt::Display + '_ {
        let record = self.goal.scope.record(package(solvable));
        format!("{} {}", record.name(), record.version())
    }

    fn display_name(&self, name: NameId) -> impl std::fmt::Display + '_ {
        name.into_raw()
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl std::fmt::Display + '_ {
        format!("{:?}", self.set(version_set))
    }

    fn display_string(&self, _string: StringId) -> impl std::fmt::Display + '_ {
        "its relations are malformed"
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        match self.set(version_set) {
            Set::Empty => self.nothing(),
            Set::Only { name, .. } | Set::Without { name, .. } => NameId::from_raw(number(name.0)),
        }
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(number(self.goal.scope.name_of(package(solvable)).0))
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.sets.borrow().unions[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        unreachable!("no requirement has the condition {condition:?}")
    }
}

fn package(solvable: SolvableId) -> PackageId {
    PackageId(solvable.into_raw() as usize)
}

fn solvable(id: PackageId) -> SolvableId {
    SolvableId::from_raw(number(id.0))
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("an index of four billion packages does not fit into memory")
}
