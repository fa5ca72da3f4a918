//! A proof that what is shipped can be installed, which shares no code with what chose it.
//!
//! It plays the installation through: the base, with the shipped packages in place of their earlier versions,
//! has all that each package needs and nothing that one refuses; and there is an order in which every
//! `Pre-Depends` is configured before it is needed.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Field, Record};
use super::request::Request;
use crate::deb::index::{InvalidIndex, MultiArch, PackageStanza};
use crate::deb::relation::{OrGroup, PackageRelation, Qualifier};
use crate::deb::version::Version;

/// What is to be proved.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'claim, 'a> {
    /// The architecture of the machine.
    pub architecture: &'claim str,
    /// What the machine has.
    pub base: &'claim [Record<'a>],
    /// What is shipped.
    pub shipped: &'claim [&'a PackageStanza<'a>],
    /// What was asked for.
    pub requests: &'claim [Request],
}

/// Something that is wrong with a claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub enum Violation {
    /// What was asked for is neither shipped nor later in the base.
    #[display("{_0} is missing")]
    Missing(String),
    /// A package is shipped in two versions.
    #[display("{_0} is there in two versions")]
    Twice(String),
    /// A package is for another architecture.
    #[display("{_0} is for another architecture")]
    Foreign(String),
    /// The base has a later version of a package.
    #[display("{package} would replace {base}")]
    Downgraded {
        /// The package, as it is shipped.
        package: String,
        /// The version that the base has.
        base: String,
    },
    /// Nothing is there of what a package needs.
    #[display("{package} {} {relation}, which is missing", field.verb())]
    Unmet {
        /// The package.
        package: String,
        /// The field that says so.
        field: Field,
        /// What the field says.
        relation: String,
    },
    /// Something is there that a package cannot be beside.
    #[display("{package} {} {relation}, which is {other}", field.verb())]
    Clash {
        /// The package.
        package: String,
        /// The field that says so.
        field: Field,
        /// What the field says.
        relation: String,
        /// What is there.
        other: String,
    },
    /// There is no order in which these can be installed: each waits for another one.
    #[display("each of {} waits for another one", _0.join(", "))]
    Circle(Vec<String>),
}

/// Returns all that is wrong with a claim; nothing, if it is proved.
pub fn check(claim: &Claim<'_, '_>) -> Result<Vec<Violation>, InvalidIndex> {
    let mut violations = compare_with_base(claim);
    violations.extend(
        claim
            .requests
            .iter()
            .filter(|request| !is_answered(claim, request))
            .map(|request| Violation::Missing(request.to_string())),
    );
    let machine = Machine::after(claim)?;
    for record in machine.packages.values() {
        machine.check_needs(record, &mut violations)?;
        machine.check_refusals(record, &mut violations)?;
    }
    // In what lacks a package, everything that needs it would wait.
    if violations.is_empty() {
        violations.extend(find_circle(claim, &machine)?);
    }
    Ok(violations)
}

/// Returns whether a request is shipped, or the base has it in a later version.
fn is_answered(claim: &Claim<'_, '_>, request: &Request) -> bool {
    let is_wanted = |version: &Version<'_>| request.version().is_none_or(|wanted| wanted == version);
    let is_shipped = |shipped: &&PackageStanza<'_>| {
        shipped.name == request.name() && shipped.file.is_some() && is_wanted(&shipped.version)
    };
    let is_in_base = |record: &Record<'_>| record.name() == request.name() && is_wanted(record.version());
    claim.shipped.iter().any(is_shipped) || claim.base.iter().any(is_in_base)
}

fn compare_with_base(claim: &Claim<'_, '_>) -> Vec<Violation> {
    let base: BTreeMap<&str, &Version<'_>> =
        claim.base.iter().map(|record| (record.name(), record.version())).collect();
    let mut violations = Vec::new();
    let mut names = BTreeSet::new();
    for package in claim.shipped {
        let described = || format!("{} {}", package.name, package.version);
        if !names.insert(package.name) {
            violations.push(Violation::Twice(package.name.to_owned()));
        }
        if package.architecture != claim.architecture && package.architecture != "all" {
            violations.push(Violation::Foreign(described()));
        }
        if let Some(later) = base.get(package.name).filter(|version| **version > &package.version) {
            violations.push(Violation::Downgraded { package: described(), base: later.to_string() });
        }
    }
    violations
}

/// A name that is provided, with its version, and what provides it.
type Provision<'a> = (Option<Version<'a>>, Option<Qualifier<'a>>, &'a str);

/// What is on the machine at some time.
struct Machine<'claim, 'a> {
    architecture: &'claim str,
    packages: BTreeMap<&'a str, Record<'a>>,
    provisions: BTreeMap<&'a str, Vec<Provision<'a>>>,
}

impl<'claim, 'a> Machine<'claim, 'a> {
    fn with(
        architecture: &'claim str,
        packages: BTreeMap<&'a str, Record<'a>>,
    ) -> Result<Self, InvalidIndex> {
        let mut provisions: BTreeMap<&str, Vec<Provision<'a>>> = BTreeMap::new();
        for (name, record) in &packages {
            for provided in record.provides()? {
                let provision = (provided.version, provided.architecture, *name);
                provisions.entry(provided.name).or_default().push(provision);
            }
        }
        Ok(Self { architecture, packages, provisions })
    }

    /// Returns the machine as it is when everything is installed.
    fn after(claim: &Claim<'claim, 'a>) -> Result<Self, InvalidIndex> {
        let mut packages: BTreeMap<&'a str, Record<'a>> =
            claim.base.iter().map(|record| (record.name(), record.clone())).collect();
        packages.extend(claim.shipped.iter().map(|package| (package.name, Record::Described(package))));
        Self::with(claim.architecture, packages)
    }

    /// Returns the names of the packages that a relation is about.
    fn targets(&self, relation: &PackageRelation<'_>) -> Vec<&'a str> {
        let is_native = |qualifier: Option<Qualifier<'_>>| match qualifier {
            Some(Qualifier::Named(architecture)) => architecture == self.architecture,
            Some(Qualifier::Any | Qualifier::Native) | None => true,
        };
        if !relation.holds_on(self.architecture) || !is_native(relation.architecture) {
            return Vec::new();
        }
        let mut targets = Vec::new();
        if let Some(record) = self.packages.get(relation.name)
            && relation.constraint.as_ref().is_none_or(|constraint| constraint.allows(record.version()))
        {
            targets.push(record.name());
        }
        for (version, qualifier, owner) in self.provisions.get(relation.name).into_iter().flatten() {
            let is_right_version = match (&relation.constraint, version) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(constraint), Some(version)) => constraint.allows(version),
            };
            let is_for_any = *qualifier == Some(Qualifier::Any);
            let is_right_architecture = !is_for_any || relation.architecture == Some(Qualifier::Any);
            if is_right_version && is_right_architecture && is_native(*qualifier) {
                targets.push(owner);
            }
        }
        targets
    }

    /// Returns whether a package that is a relation's target is what its qualifier asks for.
    fn is_open(&self, relation: &PackageRelation<'_>, target: &str) -> bool {
        let stanza = self.packages.get(target).and_then(Record::stanza);
        relation.architecture != Some(Qualifier::Any)
            || stanza.is_none_or(|stanza| stanza.multi_arch == MultiArch::Allowed)
    }

    /// Returns whether a group is satisfied by packages that `counts` accepts; also if it does not hold here.
    fn is_satisfied(&self, group: &OrGroup<'_>, counts: impl Fn(&str) -> bool) -> bool {
        let alternatives = group.alternatives();
        let is_there = |relation: &PackageRelation<'_>| {
            self.targets(relation).into_iter().any(|target| self.is_open(relation, target) && counts(target))
        };
        alternatives.iter().any(is_there)
            || !alternatives.iter().any(|relation| relation.holds_on(self.architecture))
    }

    fn check_needs(&self, record: &Record<'_>, violations: &mut Vec<Violation>) -> Result<(), InvalidIndex> {
        for field in [Field::PreDepends, Field::Depends] {
            for group in record.needs(field)? {
                if !self.is_satisfied(&group, |_| true) {
                    let (package, relation) = (describe(record), group.to_string());
                    violations.push(Violation::Unmet { package, field, relation });
                }
            }
        }
        Ok(())
    }

    fn check_refusals(
        &self,
        record: &Record<'_>,
        violations: &mut Vec<Violation>,
    ) -> Result<(), InvalidIndex> {
        for field in [Field::Conflicts, Field::Breaks] {
            for relation in record.refuses(field)? {
                // A package that conflicts with what it provides wants to be the only one that does.
                let others = self.targets(&relation).into_iter().filter(|target| *target != record.name());
                violations.extend(others.map(|other| Violation::Clash {
                    package: describe(record),
                    field,
                    relation: relation.to_string(),
                    other: describe(&self.packages[other]),
                }));
            }
        }
        Ok(())
    }
}

fn describe(record: &Record<'_>) -> String {
    format!("{} {}", record.name(), record.version())
}

/// Installs step by step, and returns what is left when nothing more can be.
///
/// A package is unpacked when what it pre-depends on is configured, and configured together with what it
/// depends on. What the base has counts as configured, before and after it is upgraded.
fn find_circle(claim: &Claim<'_, '_>, after: &Machine<'_, '_>) -> Result<Option<Violation>, InvalidIndex> {
    let base = claim.base.iter().map(|record| (record.name(), record.clone())).collect();
    let before = Machine::with(claim.architecture, base)?;
    let mut needs = BTreeMap::new();
    for package in claim.shipped {
        needs.insert(package.name, (package.pre_depends()?, package.depends()?));
    }
    let is_met = |groups: &[OrGroup<'_>], configured: &BTreeSet<&str>| {
        let counts = |name: &str| configured.contains(name) || !needs.contains_key(name);
        groups.iter().all(|group| after.is_satisfied(group, counts) || before.is_satisfied(group, |_| true))
    };
    let mut configured: BTreeSet<&str> = BTreeSet::new();
    loop {
        let is_unpacked = |name: &&str| is_met(&needs[name].0, &configured);
        // All that can be unpacked is configured at once, but for what that leaves without its needs.
        let mut next: BTreeSet<&str> = needs.keys().copied().filter(is_unpacked).collect();
        loop {
            let works: BTreeSet<&str> =
                next.iter().copied().filter(|name| is_met(&needs[name].1, &next)).collect();
            if works.len() == next.len() {
                break;
            }
            next = works;
        }
        if next.len() == configured.len() {
            break;
        }
        configured = next;
    }
    let mut left: BTreeSet<&str> = needs.keys().copied().filter(|name| !configured.contains(name)).collect();
    // What waits, but for which nothing waits, is not part of the circle.
    let is_needed = |name: &str, left: &BTreeSet<&str>| {
        left.iter().filter(|other| **other != name).any(|other| {
            let (pre_depends, depends) = &needs[other];
            pre_depends.iter().chain(depends).any(|group| after.is_satisfied(group, |target| target == name))
        })
    };
    while let Some(outer) = left.iter().copied().find(|name| !is_needed(name, &left)) {
        left.remove(outer);
    }
    let packages: Vec<String> = left.into_iter().map(str::to_owned).collect();
    Ok((configured.len() < needs.len()).then_some(Violation::Circle(packages)))
}
