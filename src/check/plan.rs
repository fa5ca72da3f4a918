//! What can be told before anything is fetched: the spec, and its lock if there is one.

use crate::lockfile::Lockfile;
use crate::spec::Spec;

/// A spec and its lock, as a check sees them.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The name of the spec's file, for findings.
    pub file: &'a str,
    /// The spec.
    pub spec: &'a Spec,
    /// The lock, if there is one.
    pub lockfile: Option<&'a Lockfile>,
}
