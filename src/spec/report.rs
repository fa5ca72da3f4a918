//! Collects what is wrong with a spec's meaning, each finding with its place.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use super::conform;
use crate::text::{Finding, Path};
use crate::yaml::Node;

/// The findings so far, and the document that gives them their places.
pub(super) struct Report<'document> {
    root: &'document Node,
    /// What already has an error: its value was cut out, and would only be found missing.
    refused: BTreeSet<Path>,
    findings: Vec<Finding>,
}

impl<'document> Report<'document> {
    /// Starts with what the shape of the document gave.
    pub(super) fn new(root: &'document Node, findings: Vec<Finding>) -> Self {
        Self { root, refused: conform::paths_of(&findings), findings }
    }

    /// Adds an error about the value at `path`.
    pub(super) fn error(&mut self, path: &Path, message: impl Into<String>) {
        self.add(Finding::error(self.root.locate(path), path.clone(), message));
    }

    /// Adds an error about the value at `path`, and what to do about it.
    pub(super) fn error_with_hint(
        &mut self,
        path: &Path,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Finding::error(self.root.locate(path), path.clone(), message).with_hint(hint));
    }

    /// Adds a warning about the value at `path`, and what to do about it.
    pub(super) fn warning(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Finding::warning(self.root.locate(path), path.clone(), message).with_hint(hint));
    }

    /// Reads the text at `path`; what is wrong with it becomes an error.
    pub(super) fn parse<T>(&mut self, path: &Path, text: Option<&str>) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        text?.parse().map_err(|error: T::Err| self.error(path, error.to_string())).ok()
    }

    /// Reads a value of type `T`; what it refuses is an error with this hint.
    pub(super) fn parse_with_hint<T>(&mut self, path: &Path, text: &str, hint: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        text.parse().map_err(|error: T::Err| self.error_with_hint(path, error.to_string(), hint)).ok()
    }

    /// Returns whether there is an error about `path` or a part of it already.
    pub(super) fn is_refused(&self, path: &Path) -> bool {
        self.refused.range(path..).next().is_some_and(|refused| refused.steps().starts_with(path.steps()))
    }

    /// Returns whether a value was written here, and there is an error about it.
    pub(super) fn is_wrong(&self, path: &Path) -> bool {
        self.is_refused(path) || self.has_error_below(path)
    }

    /// Returns whether anything found so far is an error about `path` or a part of it.
    pub(super) fn has_error_below(&self, path: &Path) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.is_error() && finding.path.steps().starts_with(path.steps()))
    }

    /// Returns whether there is an error anywhere.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// Returns all findings in the order of the text.
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by(|one, other| (one.location, &one.path).cmp(&(other.location, &other.path)));
        self.findings
    }

    fn add(&mut self, finding: Finding) {
        if !self.refused.contains(&finding.path) {
            self.findings.push(finding);
        }
    }
}
