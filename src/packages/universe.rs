//! What all suites together offer to machines of one architecture.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::deb::index::{InvalidIndex, PackageStanza};
use crate::deb::relation::Provided;
use crate::deb::version::Version;

/// A suite and what its index lists; or a loose file, which is a suite of one package.
#[derive(Debug, Clone)]
pub struct Suite<'text> {
    /// What messages call it.
    pub origin: Origin,
    /// What apt calls the pin: the suites with the highest one count, and among them the latest version. 500 is
    /// usual, 100 is for backports.
    pub priority: u32,
    /// The packages of its index.
    pub packages: Vec<PackageStanza<'text>>,
}

/// Where packages come from, as messages have it.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub enum Origin {
    /// A suite, such as `bookworm-updates`.
    #[display("suite `{_0}`")]
    Suite(String),
    /// A loose file.
    #[display("loose file `{_0}`")]
    File(String),
}

/// The packages of several suites, by name and by what they provide.
#[derive(Debug)]
pub struct Universe<'text> {
    architecture: String,
    suites: Vec<(Origin, u32)>,
    /// Sorted by name, latest version first.
    offers: Vec<Offer<'text>>,
    providers: BTreeMap<&'text str, Vec<(PackageId, Provided<'text>)>>,
}

/// A package of a suite.
#[derive(Debug, Clone)]
pub struct Offer<'text> {
    /// The number of the suite among those that the universe was made of.
    pub suite: usize,
    /// What the suite's index says.
    pub package: PackageStanza<'text>,
}

/// The number of a package in what there is to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PackageId(pub(super) usize);

/// Says why suites do not go together.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUniverse {
    /// There are different files for one version of a package.
    #[error("package `{package}` {version} of {first} is not that of {second}")]
    Disagreement {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// Where it was found first.
        first: Origin,
        /// Where else.
        second: Origin,
    },
    /// What a package provides is malformed.
    #[error("a package of {0} is malformed")]
    Package(Origin, #[source] InvalidIndex),
}

impl<'text> Universe<'text> {
    /// Joins what `suites` offer to machines of `architecture`; packages of other architectures are left out.
    ///
    /// The same version of a package may be in several suites, as the same file.
    pub fn new(architecture: &str, suites: Vec<Suite<'text>>) -> Result<Self, InvalidUniverse> {
        let mut universe = Self {
            architecture: architecture.to_owned(),
            suites: Vec::with_capacity(suites.len()),
            offers: Vec::with_capacity(suites.iter().map(|suite| suite.packages.len()).sum()),
            providers: BTreeMap::new(),
        };
        universe.add(suites)?;
        Ok(universe)
    }

    /// Adds more suites; their numbers follow those that are there.
    pub fn with(&self, suites: Vec<Suite<'text>>) -> Result<Self, InvalidUniverse> {
        let mut universe = Self {
            architecture: self.architecture.clone(),
            suites: self.suites.clone(),
            offers: self.offers.clone(),
            providers: BTreeMap::new(),
        };
        universe.add(suites)?;
        Ok(universe)
    }

    fn add(&mut self, suites: Vec<Suite<'text>>) -> Result<(), InvalidUniverse> {
        for Suite { origin, priority, packages } in suites {
            let suite = self.suites.len();
            self.suites.push((origin, priority));
            let own = packages.into_iter().filter(|package| is_for(package, &self.architecture));
            self.offers.extend(own.map(|package| Offer { suite, package }));
        }
        self.join()?;
        self.index_providers()
    }

    /// Sorts the offers and leaves one of each version: that of the suite with the highest priority.
    fn join(&mut self) -> Result<(), InvalidUniverse> {
        let Self { suites, offers, .. } = self;
        offers.sort_by(|left, right| {
            let rank = |offer: &Offer<'_>| (Reverse(suites[offer.suite].1), offer.suite);
            (left.package.name.cmp(right.package.name))
                .then_with(|| right.package.version.cmp(&left.package.version))
                .then_with(|| rank(left).cmp(&rank(right)))
        });
        let same = |pair: &&[Offer<'_>]| {
            pair[0].package.name == pair[1].package.name && pair[0].package.version == pair[1].package.version
        };
        let digest = |offer: &Offer<'_>| offer.package.file.as_ref().map(|file| file.digest);
        let clash = offers.windows(2).filter(same).find(|pair| digest(&pair[0]) != digest(&pair[1]));
        if let Some([left, right]) = clash {
            let (first, second) = (left.suite.min(right.suite), left.suite.max(right.suite));
            return Err(InvalidUniverse::Disagreement {
                package: left.package.name.to_owned(),
                version: left.package.version.to_string(),
                first: suites[first].0.clone(),
                second: suites[second].0.clone(),
            });
        }
        offers.dedup_by(|later, first| {
            later.package.name == first.package.name && later.package.version == first.package.version
        });
        Ok(())
    }

    fn index_providers(&mut self) -> Result<(), InvalidUniverse> {
        for (number, offer) in self.offers.iter().enumerate() {
            let invalid = |source| InvalidUniverse::Package(self.origin(offer).clone(), source);
            for provided in offer.package.provides().map_err(invalid)? {
                self.providers.entry(provided.name).or_default().push((PackageId(number), provided));
            }
        }
        Ok(())
    }

    /// Returns the architecture of the machine.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns what is offered under a name, latest version first.
    pub fn versions(&self, name: &str) -> &[Offer<'text>] {
        &self.offers[self.range(name)]
    }

    /// Returns what apt would install by that name: of the suites with the highest priority the latest
    /// version.
    pub fn candidate(&self, name: &str) -> Option<&Offer<'text>> {
        let id = self.ranked(name).first().copied()?;
        Some(self.offer(id))
    }

    /// Returns the package of that name and version.
    pub fn version(&self, name: &str, version: &Version<'_>) -> Option<&Offer<'text>> {
        self.versions(name).iter().find(|offer| offer.package.version == *version)
    }

    /// Returns the names of the candidates that provide `name`, sorted.
    pub fn providers(&self, name: &str) -> Vec<&'text str> {
        let is_candidate = |id: &PackageId| self.ranked(self.offer(*id).package.name).first() == Some(id);
        let candidates = self.provided(name).iter().map(|(id, _)| *id).filter(is_candidate);
        let mut names: Vec<&str> = candidates.map(|id| self.offer(id).package.name).collect();
        names.dedup();
        names
    }

    /// Returns where a package comes from.
    pub fn origin(&self, offer: &Offer<'_>) -> &Origin {
        &self.suites[offer.suite].0
    }

    /// Returns all that is offered, sorted by name, latest version first.
    pub fn offers(&self) -> &[Offer<'text>] {
        &self.offers
    }

    pub(super) fn offer(&self, id: PackageId) -> &Offer<'text> {
        &self.offers[id.0]
    }

    /// Returns what provides `name`, in any version.
    pub(super) fn provided(&self, name: &str) -> &[(PackageId, Provided<'text>)] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of a version of a package.
    pub(super) fn find(&self, name: &str, version: &Version<'_>) -> Option<PackageId> {
        self.range(name).map(PackageId).find(|id| self.offer(*id).package.version == *version)
    }

    /// Returns the number of the latest version of a package, which stands for its name.
    pub(super) fn first(&self, name: &str) -> Option<PackageId> {
        self.range(name).map(PackageId).next()
    }

    /// Returns the latest version of each priority, the candidate first.
    pub(super) fn ranked(&self, name: &str) -> Vec<PackageId> {
        let priority = |id: PackageId| self.suites[self.offer(id).suite].1;
        let mut ranked: Vec<PackageId> = self.range(name).map(PackageId).collect();
        // The sort is stable: versions of one priority stay as they are, latest first.
        ranked.sort_by_key(|id| Reverse(priority(*id)));
        ranked.dedup_by_key(|id| priority(*id));
        ranked
    }

    fn range(&self, name: &str) -> std::ops::Range<usize> {
        let start = self.offers.partition_point(|offer| offer.package.name < name);
        let length = self.offers[start..].iter().take_while(|offer| offer.package.name == name).count();
        start..start + length
    }
}

fn is_for(package: &PackageStanza<'_>, architecture: &str) -> bool {
    package.architecture == architecture || package.architecture == "all"
}
