//! A package as far as it is known: a stanza, or a line of a manifest.

use crate::deb::index::{InvalidIndex, PackageStanza};
use crate::deb::relation::{OrGroup, PackageRelation, Provided};
use crate::deb::version::Version;

/// The fields by which a package says what it needs and what it cannot be beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `Pre-Depends`
    PreDepends,
    /// `Depends`
    Depends,
    /// `Recommends`
    Recommends,
    /// `Conflicts`
    Conflicts,
    /// `Breaks`
    Breaks,
}

/// A package as far as it is known.
#[derive(Debug, Clone)]
pub enum Record<'a> {
    /// A stanza describes it.
    Described(&'a PackageStanza<'a>),
    /// Only name and version are known, from a manifest.
    Listed {
        /// The name.
        name: &'a str,
        /// The version.
        version: &'a Version<'a>,
        /// Another version of the package, for what it provides.
        like: Option<&'a PackageStanza<'a>>,
    },
}

impl Field {
    /// Returns how the field is said in a sentence, between the package and the relation.
    pub fn verb(self) -> &'static str {
        match self {
            Self::PreDepends => "pre-depends on",
            Self::Depends => "depends on",
            Self::Recommends => "recommends",
            Self::Conflicts => "conflicts with",
            Self::Breaks => "breaks",
        }
    }
}

impl<'a> Record<'a> {
    /// Returns the name.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Described(package) => package.name,
            Self::Listed { name, .. } => name,
        }
    }

    /// Returns the version.
    pub fn version(&self) -> &'a Version<'a> {
        match self {
            Self::Described(package) => &package.version,
            Self::Listed { version, .. } => version,
        }
    }

    /// Returns the package that is known best: itself, or its other version.
    pub fn stanza(&self) -> Option<&'a PackageStanza<'a>> {
        match self {
            Self::Described(package) => Some(package),
            Self::Listed { like, .. } => *like,
        }
    }

    /// Returns what the package provides; of one that is only listed, what its other version provides.
    pub fn provides(&self) -> Result<Vec<Provided<'a>>, InvalidIndex> {
        self.stanza().map_or(Ok(Vec::new()), PackageStanza::provides)
    }

    /// Returns what the package needs by `field`; nothing is known of one that is only listed.
    pub fn needs(&self, field: Field) -> Result<Vec<OrGroup<'a>>, InvalidIndex> {
        match (self, field) {
            (Self::Described(package), Field::PreDepends) => package.pre_depends(),
            (Self::Described(package), Field::Depends) => package.depends(),
            (Self::Described(package), Field::Recommends) => package.recommends(),
            (Self::Described(_), Field::Conflicts | Field::Breaks) | (Self::Listed { .. }, _) => {
                Ok(Vec::new())
            }
        }
    }

    /// Returns what the package cannot be beside by `field`; nothing is known of one that is only listed.
    pub fn refuses(&self, field: Field) -> Result<Vec<PackageRelation<'a>>, InvalidIndex> {
        match (self, field) {
            (Self::Described(package), Field::Conflicts) => package.conflicts(),
            (Self::Described(package), Field::Breaks) => package.breaks(),
            (Self::Described(_), Field::PreDepends | Field::Depends | Field::Recommends)
            | (Self::Listed { .. }, _) => Ok(Vec::new()),
        }
    }
}
