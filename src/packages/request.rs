//! What is asked for: `name`, or `name=version`.

use std::fmt;
use std::str::FromStr;

use super::universe::{Offer, Origin, PackageId, Universe};
use crate::deb::index::PackageStanza;
use crate::deb::relation::{self, InvalidRelation};
use crate::deb::version::{InvalidVersion, Version};

/// A package that is to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    name: String,
    version: Option<Version<'static>>,
}

/// Says why a text is not a request.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// It has no package's name.
    #[error("`{0}` is not the name of a package")]
    Name(String),
    /// The name is malformed.
    #[error("the request `{0}` is malformed")]
    Relation(String, #[source] InvalidRelation),
    /// The version is malformed.
    #[error("the request `{0}` has no valid version")]
    Version(String, #[source] InvalidVersion),
}

/// A request that no package answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPackage {
    /// Nothing has that name.
    #[error("there is no package `{name}`{}", near_text(.near))]
    Unknown {
        /// The name.
        name: String,
        /// Names that are written alike, the nearest first.
        near: Vec<String>,
    },
    /// Only other packages stand for that name.
    #[error("`{name}` is not a package; choose one that provides it: {}", .providers.join(", "))]
    Virtual {
        /// The name.
        name: String,
        /// What provides it, sorted.
        providers: Vec<String>,
    },
    /// The package is not there in that version.
    #[error("there is no version {version} of `{name}`; there is {}", .offered.join(", "))]
    Version {
        /// The name.
        name: String,
        /// The version that was asked for.
        version: String,
        /// Those that there are, latest first, with their suites.
        offered: Vec<String>,
    },
}

fn near_text(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; there is {}", names.join(", ")),
    }
}

impl Request {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version, if a certain one is asked for.
    pub fn version(&self) -> Option<&Version<'static>> {
        self.version.as_ref()
    }

    /// Returns the request for one version of a package.
    pub fn exactly(package: &PackageStanza<'_>) -> Self {
        Self { name: package.name.to_owned(), version: Some(package.version.clone().into_owned()) }
    }

    /// Returns the request for whatever version of a package.
    pub(super) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), version: None }
    }

    /// Finds the package that answers the request.
    pub(super) fn find(&self, universe: &Universe<'_>) -> Result<PackageId, UnknownPackage> {
        let found = match &self.version {
            Some(version) => universe.find(&self.name, version),
            None => universe.ranked(&self.name).first().copied(),
        };
        found.ok_or_else(|| self.unknown(universe))
    }

    fn unknown(&self, universe: &Universe<'_>) -> UnknownPackage {
        let name = self.name.clone();
        let offered = universe.versions(&name).iter();
        let described = |offer: &Offer<'_>| match universe.origin(offer) {
            Origin::Suite(suite) => format!("{} ({suite})", offer.package.version),
            file @ Origin::File(_) => format!("{} ({file})", offer.package.version),
        };
        let offered: Vec<String> = offered.map(described).collect();
        let providers = universe.providers(&name);
        match &self.version {
            Some(version) if !offered.is_empty() => {
                UnknownPackage::Version { name, version: version.to_string(), offered }
            }
            _ if !providers.is_empty() => UnknownPackage::Virtual {
                name,
                providers: providers.into_iter().map(str::to_owned).collect(),
            },
            _ => UnknownPackage::Unknown { near: near(&name, universe), name },
        }
    }
}

impl FromStr for Request {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let relations =
            relation::parse_list(name).map_err(|source| InvalidRequest::Relation(text.to_owned(), source))?;
        // A bare name is the relation that is nothing but a name.
        if relations.len() != 1 || relations[0].name != name {
            return Err(InvalidRequest::Name(text.to_owned()));
        }
        let parse = |version| {
            Version::parse(version)
                .map(Version::into_owned)
                .map_err(|source| InvalidRequest::Version(text.to_owned(), source))
        };
        Ok(Self { name: name.to_owned(), version: version.map(parse).transpose()? })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.version.iter().try_for_each(|version| write!(formatter, "={version}"))
    }
}

/// Returns at most three names that differ from `name` in less than a third of it, the nearest first.
fn near(name: &str, universe: &Universe<'_>) -> Vec<String> {
    let most = (name.len() / 3).clamp(1, 3);
    let mut names: Vec<&str> = universe.offers().iter().map(|offer| offer.package.name).collect();
    names.dedup();
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter(|other| other.len().abs_diff(name.len()) <= most)
        .map(|other| (strsim::osa_distance(name, other), other))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_name_or_a_name_and_a_version() {
        for text in ["jq", "libstdc++6", "jq=1.6-2.1", "iotop=2:0.6-42-ga14256a-0.1+b2"] {
            assert_eq!(text.parse::<Request>().unwrap().to_string(), text);
        }
        for (text, message) in [
            ("", "`` is not the name of a package"),
            (" jq", "` jq` is not the name of a package"),
            ("jq,htop", "`jq,htop` is not the name of a package"),
            ("jq:amd64", "`jq:amd64` is not the name of a package"),
            ("jq (>= 1)", "the request `jq (>= 1)` has no valid version"),
            ("jq|htop", "the request `jq|htop` is malformed"),
            ("../jq", "the request `../jq` is malformed"),
            ("-rf", "the request `-rf` is malformed"),
            ("jq=", "the request `jq=` has no valid version"),
            ("jq=1/2", "the request `jq=1/2` has no valid version"),
        ] {
            let error = text.parse::<Request>().unwrap_err();
            assert!(error.to_string().starts_with(message) || text.contains('('), "{text}: {error}");
        }
    }
}
