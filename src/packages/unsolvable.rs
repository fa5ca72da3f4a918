//! Why there is no closure.

use super::checker::Violation;
use super::explanation::Contradiction;
use super::request::UnknownPackage;
use crate::deb::index::InvalidIndex;

/// Says why there is no closure.
#[derive(Debug, thiserror::Error)]
pub enum Unsolvable {
    /// No package answers some of the requests.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unknown(Vec<UnknownPackage>),
    /// The packages do not go together.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// The packages go together, but in no order: each has to work before another one is unpacked.
    #[error("{} pre-depend on each other in a circle", .0.join(", "))]
    Circle(Vec<String>),
    /// What the base is said to be does not go together.
    #[error("the packages of the base's priority do not go together")]
    Base(#[source] Box<Unsolvable>),
    /// A package that was looked at is malformed.
    #[error("the closure cannot be computed")]
    Malformed(#[from] InvalidIndex),
    /// The checker does not agree with the solver.
    #[error("the closure is not valid, which is a fault of seedkit: {}", join(.0))]
    Unproven(Vec<Violation>),
}

fn join(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
