//! What one request may choose from, and which packages satisfy a relation, the best first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::record::Record;
use super::universe::{Origin, PackageId, Universe};
use crate::deb::index::{InvalidIndex, MultiArch, PackageStanza, Priority};
use crate::deb::relation::{Constraint, OrGroup, PackageRelation, Provided, Qualifier};
use crate::deb::version::Version;

/// The universe, the base, and the versions that are asked for.
///
/// Of each name there are the base's version, the latest later version of each priority, and the version that
/// is asked for: nothing older, or a provider's forgotten version would do where its real one does not.
pub(super) struct Scope<'a> {
    pub(super) universe: &'a Universe<'a>,
    /// Numbers of the base's packages by their names.
    pub(super) installed: BTreeMap<&'a str, PackageId>,
    pinned: BTreeMap<&'a str, PackageId>,
    /// The packages of the base that no suite has; their numbers follow those of the universe.
    extras: Vec<Record<'a>>,
    extra_providers: BTreeMap<&'a str, Vec<(PackageId, Provided<'a>)>>,
}

impl<'a> Scope<'a> {
    /// Joins what is offered with what is installed.
    pub(super) fn new(
        universe: &'a Universe<'a>,
        base: &BTreeMap<&'a str, Record<'a>>,
    ) -> Result<Self, InvalidIndex> {
        let mut scope = Self {
            universe,
            installed: BTreeMap::new(),
            pinned: BTreeMap::new(),
            extras: Vec::new(),
            extra_providers: BTreeMap::new(),
        };
        for (name, record) in base {
            let id = match universe.find(name, record.version()) {
                Some(id) => id,
                None => scope.add(record)?,
            };
            scope.installed.insert(name, id);
        }
        Ok(scope)
    }

    fn add(&mut self, record: &Record<'a>) -> Result<PackageId, InvalidIndex> {
        let id = PackageId(self.len());
        for provided in record.provides()? {
            self.extra_providers.entry(provided.name).or_default().push((id, provided));
        }
        self.extras.push(record.clone());
        Ok(id)
    }

    /// Returns how many packages have numbers, those that cannot be chosen too.
    pub(super) fn len(&self) -> usize {
        self.universe.offers().len() + self.extras.len()
    }

    /// Returns whether a suite has the package, so that it can be shipped.
    pub(super) fn is_offered(&self, id: PackageId) -> bool {
        id.0 < self.universe.offers().len()
    }

    /// Lets a version be chosen that is not the latest one.
    pub(super) fn pin(&mut self, id: PackageId) {
        self.pinned.insert(self.record(id).name(), id);
    }

    /// Returns the package of a number.
    pub(super) fn record(&self, id: PackageId) -> Record<'a> {
        let offers = self.universe.offers();
        match offers.get(id.0) {
            Some(offer) => Record::Described(&offer.package),
            None => self.extras[id.0 - offers.len()].clone(),
        }
    }

    /// Returns where a package comes from; `None` for one of the base that no suite has.
    pub(super) fn origin(&self, id: PackageId) -> Option<&'a Origin> {
        let universe = self.universe;
        universe.offers().get(id.0).map(|offer| universe.origin(offer))
    }

    /// Returns the number that stands for a package's name: that of one of its versions, always the same.
    pub(super) fn name_of(&self, id: PackageId) -> PackageId {
        self.universe.first(self.record(id).name()).unwrap_or(id)
    }

    /// Returns the versions of a name that there are to choose from: the base's first, then as apt ranks them.
    pub(super) fn candidates(&self, name: &str) -> Vec<PackageId> {
        let installed = self.installed.get(name).copied();
        let is_later = |id: &PackageId| match installed {
            Some(installed) => self.record(*id).version() > self.record(installed).version(),
            None => true,
        };
        let mut candidates: Vec<PackageId> = installed.into_iter().collect();
        candidates.extend(self.universe.ranked(name).into_iter().filter(is_later));
        let pinned = self.pinned.get(name).filter(|pinned| is_later(pinned));
        if let Some(pinned) = pinned.filter(|pinned| !candidates.contains(pinned)) {
            candidates.push(*pinned);
        }
        candidates
    }

    /// Returns whether a package is the base's, as it is.
    pub(super) fn is_installed(&self, id: PackageId) -> bool {
        self.installed.get(self.record(id).name()) == Some(&id)
    }

    /// Returns what satisfies one of the alternatives, the best first; `None` if none of them holds here.
    ///
    /// The base comes first, then the alternatives as they are written.
    pub(super) fn satisfiers_of_group(&self, group: &OrGroup<'_>) -> Option<Vec<PackageId>> {
        let held = |relation: &&PackageRelation<'_>| relation.holds_on(self.universe.architecture());
        let alternatives: Vec<&PackageRelation<'_>> = group.alternatives().iter().filter(held).collect();
        let mut found: Vec<PackageId> = Vec::new();
        for id in alternatives.iter().flat_map(|relation| self.satisfiers(relation)) {
            if !found.contains(&id) {
                found.push(id);
            }
        }
        found.sort_by_key(|id| !self.is_installed(*id));
        (!alternatives.is_empty()).then_some(found)
    }

    /// Returns what satisfies a relation, the best first: real packages, then providers as apt ranks them.
    fn satisfiers(&self, relation: &PackageRelation<'_>) -> Vec<PackageId> {
        let is_meant = |id: &PackageId| self.is_qualified(self.record(*id).stanza(), relation.architecture);
        self.matches(relation).into_iter().filter(is_meant).collect()
    }

    /// Returns what `owner` cannot be beside by a relation; it is never itself, nor another of its versions,
    /// which it cannot be beside anyway.
    pub(super) fn refused(&self, owner: PackageId, relation: &PackageRelation<'_>) -> Vec<PackageId> {
        let name = self.record(owner).name();
        let is_native = match relation.architecture {
            Some(Qualifier::Named(architecture)) => architecture == self.universe.architecture(),
            Some(Qualifier::Any | Qualifier::Native) | None => true,
        };
        let holds = is_native && relation.holds_on(self.universe.architecture());
        let found = if holds { self.matches(relation) } else { Vec::new() };
        found.into_iter().filter(|id| self.record(*id).name() != name).collect()
    }

    /// Returns what has the name and version of a relation.
    fn matches(&self, relation: &PackageRelation<'_>) -> Vec<PackageId> {
        let allows = |version: &Version<'_>| is_allowed(relation.constraint.as_ref(), Some(version));
        let mut found = self.candidates(relation.name);
        found.retain(|id| allows(self.record(*id).version()));
        let mut providers: Vec<PackageId> = self
            .provided(relation.name)
            .filter(|(_, provided)| is_allowed(relation.constraint.as_ref(), provided.version.as_ref()))
            .filter(|(_, provided)| self.is_provided(provided, relation.architecture))
            .map(|(id, _)| *id)
            .filter(|id| self.candidates(self.record(*id).name()).contains(id))
            .collect();
        providers.sort_by_key(|id| self.rank(*id));
        // A package may provide its own name, in another version.
        providers.retain(|id| !found.contains(id));
        found.extend(providers);
        found
    }

    /// Returns how early a provider is chosen: essential ones, by priority, by name; the smallest first.
    fn rank(&self, id: PackageId) -> (bool, Priority, &'a str, Reverse<&'a Version<'a>>) {
        let record = self.record(id);
        let (is_essential, priority) = match record.stanza() {
            Some(stanza) => (stanza.is_essential, stanza.priority),
            None => (false, Priority::Optional),
        };
        (!is_essential, priority, record.name(), Reverse(record.version()))
    }

    fn provided(&self, name: &str) -> impl Iterator<Item = &(PackageId, Provided<'a>)> {
        let extras = self.extra_providers.get(name).map_or(&[][..], Vec::as_slice);
        self.universe.provided(name).iter().chain(extras)
    }

    /// Returns whether a package is what the qualifier of a dependency asks for.
    fn is_qualified(&self, package: Option<&PackageStanza<'_>>, qualifier: Option<Qualifier<'_>>) -> bool {
        match qualifier {
            None | Some(Qualifier::Native) => true,
            Some(Qualifier::Any) => package.is_none_or(|package| package.multi_arch == MultiArch::Allowed),
            Some(Qualifier::Named(architecture)) => architecture == self.universe.architecture(),
        }
    }

    /// Returns whether a name is provided for this machine.
    fn is_provided(&self, provided: &Provided<'_>, qualifier: Option<Qualifier<'_>>) -> bool {
        match provided.architecture {
            None | Some(Qualifier::Native) => true,
            Some(Qualifier::Any) => qualifier == Some(Qualifier::Any),
            Some(Qualifier::Named(architecture)) => architecture == self.universe.architecture(),
        }
    }
}

/// Returns whether a version will do; a name that is provided without one satisfies no constraint.
fn is_allowed(constraint: Option<&Constraint<'_>>, version: Option<&Version<'_>>) -> bool {
    match (constraint, version) {
        (None, _) => true,
        (Some(constraint), Some(version)) => constraint.allows(version),
        (Some(_), None) => false,
    }
}
