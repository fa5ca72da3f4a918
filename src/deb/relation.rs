//! Relations between packages: what the fields `Depends`, `Conflicts`, `Provides` and their like say.
//!
//! ```text
//! field       = group *( "," group )
//! group       = alternative *( "|" alternative )
//! alternative = name [":" architecture] ["(" operator version ")"] ["[" architectures "]"] *( "<" profiles ">" )
//! ```
//!
//! See Debian policy, chapter 7. An empty group, as a comma too many leaves it, is passed over as dpkg does.

mod parse;

use std::fmt;

use super::version::{InvalidVersion, Version};
pub use parse::{parse_groups, parse_list, parse_provides};

/// One package that would do, or that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRelation<'text> {
    /// The package's name, or one that others provide.
    pub name: &'text str,
    /// Of which architecture; `None` is that of the package that says so.
    pub architecture: Option<Qualifier<'text>>,
    /// Which of its versions; `None` is any.
    pub constraint: Option<Constraint<'text>>,
    /// On which architectures the relation holds; empty is all.
    pub restrictions: Vec<Restriction<'text>>,
    /// Under which build profiles the relation holds: one of the lists, each of which is all its terms.
    pub profiles: Vec<Vec<Restriction<'text>>>,
}

/// What follows the colon after a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum Qualifier<'text> {
    /// `:any`, for packages that say `Multi-Arch: allowed`.
    #[display("any")]
    Any,
    /// `:native`, the architecture of the machine that builds.
    #[display("native")]
    Native,
    /// An architecture by its name.
    Named(&'text str),
}

/// A comparison with a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, derive_more::Display)]
#[display("({} {version})", operator.symbol())]
pub struct Constraint<'text> {
    /// How to compare.
    pub operator: Operator,
    /// What to compare with.
    pub version: Version<'text>,
}

/// How a version is to compare with that of a [`Constraint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, and the legacy `<`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`, and the legacy `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// A term of a list in brackets: a name, or anything but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction<'text> {
    /// The architecture or build profile.
    pub name: &'text str,
    /// Whether a `!` stands before it.
    pub is_excluded: bool,
}

/// Alternatives in the order of preference; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrGroup<'text> {
    alternatives: Vec<PackageRelation<'text>>,
}

/// A name that a package provides, apart from its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provided<'text> {
    /// The name.
    pub name: &'text str,
    /// For which architecture; `None` is the package's own.
    pub architecture: Option<Qualifier<'text>>,
    /// Its version; without one, no relation that has a constraint is satisfied.
    pub version: Option<Version<'text>>,
}

/// Says why a field is not a list of relations.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRelation {
    /// One of them is malformed.
    #[error("`{0}` is not a relation: {1}")]
    Syntax(String, &'static str),
    /// The version of one of them is malformed.
    #[error("`{0}` is not a relation")]
    Version(String, #[source] InvalidVersion),
}

impl<'text> OrGroup<'text> {
    /// Returns the alternatives in the order of preference; at least one.
    pub fn alternatives(&self) -> &[PackageRelation<'text>] {
        &self.alternatives
    }
}

impl PackageRelation<'_> {
    /// Returns whether the relation holds on `architecture`, with no build profile active.
    pub fn holds_on(&self, architecture: &str) -> bool {
        let has_profile = |list: &Vec<Restriction<'_>>| list.iter().all(|term| term.is_excluded);
        self.is_for(architecture) && (self.profiles.is_empty() || self.profiles.iter().any(has_profile))
    }

    fn is_for(&self, architecture: &str) -> bool {
        match self.restrictions.first() {
            None => true,
            // Policy: either all of them are excluded or none.
            Some(first) => {
                self.restrictions.iter().any(|term| is_matched(term.name, architecture)) != first.is_excluded
            }
        }
    }
}

/// Returns whether `pattern`, an architecture or a wildcard, stands for a Linux `architecture`.
fn is_matched(pattern: &str, architecture: &str) -> bool {
    let cpu = pattern.strip_prefix("any-").or_else(|| pattern.strip_prefix("linux-")).unwrap_or(pattern);
    cpu == "any" || cpu == architecture
}

impl Constraint<'_> {
    /// Returns whether `version` satisfies the constraint.
    pub fn allows(&self, version: &Version<'_>) -> bool {
        let order = version.cmp(&self.version);
        match self.operator {
            Operator::Earlier => order.is_lt(),
            Operator::EarlierOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::LaterOrEqual => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

impl Operator {
    /// Returns the operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }
}

/// Writes the relation as a field of a package has it, without restrictions, which only sources have.
impl fmt::Display for PackageRelation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        self.architecture.iter().try_for_each(|architecture| write!(formatter, ":{architecture}"))?;
        self.constraint.iter().try_for_each(|constraint| write!(formatter, " {constraint}"))
    }
}

impl fmt::Display for OrGroup<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, alternative) in self.alternatives.iter().enumerate() {
            let separator = if index == 0 { "" } else { " | " };
            write!(formatter, "{separator}{alternative}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Provided<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        self.architecture.iter().try_for_each(|architecture| write!(formatter, ":{architecture}"))?;
        self.version.iter().try_for_each(|version| write!(formatter, " (= {version})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restrictions_say_where_a_relation_holds() {
        for (restricted, holds) in [
            ("a", true),
            ("a [amd64]", true),
            ("a [arm64 i386]", false),
            ("a [!amd64]", false),
            ("a [!arm64 !i386]", true),
            ("a [linux-any]", true),
            ("a [any-amd64]", true),
            ("a [any]", true),
            ("a (= 1) [amd64] <!nocheck>", true),
            ("a <nocheck>", false),
            ("a <stage1> <!cross !stage1>", true),
            ("a [arm64] <!nocheck>", false),
        ] {
            let groups = parse_groups(restricted).unwrap();
            assert_eq!(groups[0].alternatives()[0].holds_on("amd64"), holds, "{restricted}");
        }
    }

    #[test]
    fn constraints_allow_what_their_operator_says() {
        for (constraint, allowed) in [
            ("<<", [true, false, false]),
            ("<=", [true, true, false]),
            ("=", [false, true, false]),
            (">=", [false, true, true]),
            (">>", [false, false, true]),
        ] {
            let field = format!("a ({constraint} 1:2)");
            let relation = parse_list(&field).unwrap().remove(0);
            let found = ["1:1", "1:2", "1:3"].map(|version| {
                relation.constraint.as_ref().unwrap().allows(&Version::parse(version).unwrap())
            });
            assert_eq!(found, allowed, "{constraint}");
        }
    }
}
