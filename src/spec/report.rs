//! Collects what is wrong with a spec's meaning, each finding with its place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path as Folder, PathBuf};
use std::str::FromStr;

use super::conform;
use crate::net::{self, Cidr, LOGIN, LOGIN_HINT, has_login};
use crate::secrets::names;
use crate::text::{Finding, Path, Severity};
use crate::yaml::Node;

/// The findings so far, and the document that gives them their places.
pub(super) struct Report<'a> {
    root: &'a Node,
    /// The folder that paths of the spec are relative to.
    folder: &'a Folder,
    /// What already has an error: its value was cut out, and would only be found missing.
    refused: BTreeSet<Path>,
    findings: RefCell<Vec<Finding>>,
}

impl<'a> Report<'a> {
    /// Starts with what the shape of the document gave.
    pub(super) fn new(root: &'a Node, folder: &'a Folder, findings: Vec<Finding>) -> Self {
        Self { root, folder, refused: conform::paths_of(&findings), findings: findings.into() }
    }

    /// Returns the place of the whole spec.
    pub(super) fn root(&self) -> At<'_> {
        At { report: self, path: Path::root() }
    }

    /// Returns whether there is an error anywhere.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(Finding::is_error)
    }

    /// Returns all findings in the order of the text.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(|one, other| (one.location, &one.path).cmp(&(other.location, &other.path)));
        findings
    }
}

/// A place in the spec: what is said about the value there goes to the report.
#[derive(Clone)]
pub(super) struct At<'a> {
    report: &'a Report<'a>,
    path: Path,
}

impl At<'_> {
    /// Returns the place of an entry of this mapping.
    pub(super) fn key(&self, name: &str) -> Self {
        Self { report: self.report, path: self.path.key(name) }
    }

    /// Returns the place of an item of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        Self { report: self.report, path: self.path.index(index) }
    }

    /// Returns the way to the value.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that paths of the spec are relative to.
    pub(super) fn folder(&self) -> &Folder {
        self.report.folder
    }

    /// Adds an error about the value.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.add(self.finding(message));
    }

    /// Adds an error about the value, and what to do about it.
    pub(super) fn error_with_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.add(self.finding(message).with_hint(hint));
    }

    /// Adds a warning about the value, and what to do about it.
    pub(super) fn warning(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Finding { severity: Severity::Warning, ..self.finding(message) }.with_hint(hint));
    }

    /// Adds an error, and returns that the value means nothing.
    pub(super) fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.error(message);
        None
    }

    /// Adds an error and what to do about it, and returns that the value means nothing.
    pub(super) fn refuse_with_hint<T>(
        &self,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        self.error_with_hint(message, hint);
        None
    }

    /// Returns the text if there is no login in it; one is an error that does not repeat it.
    pub(super) fn without_login<'b>(&self, text: &'b str) -> Option<&'b str> {
        if has_login(text) { self.refuse_with_hint(LOGIN, LOGIN_HINT) } else { Some(text) }
    }

    /// Reads the text; what is wrong with it becomes an error.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, text: &str) -> Option<T> {
        let text = self.without_login(text)?;
        text.parse().map_err(|error: T::Err| self.error(error.to_string())).ok()
    }

    /// Reads the text; what is wrong with it is an error with this hint.
    pub(super) fn parse_with_hint<T: FromStr<Err: Display>>(&self, text: &str, hint: &str) -> Option<T> {
        let text = self.without_login(text)?;
        text.parse().map_err(|error: T::Err| self.error_with_hint(error.to_string(), hint)).ok()
    }

    /// Reads an address without a prefix.
    pub(super) fn address(&self, text: &str) -> Option<IpAddr> {
        match net::address(self.without_login(text)?) {
            Ok(address) => Some(address),
            Err(_) if text.parse::<Cidr>().is_ok() => {
                let hint = format!("write {}", text.split('/').next().unwrap_or(text));
                self.refuse_with_hint(format!("`{text}` has a prefix, which does not belong here"), hint)
            }
            Err(error) => self.refuse(error.to_string()),
        }
    }

    /// Reads a path, which is relative to where the spec was found.
    pub(super) fn file(&self, text: &str) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            return self.refuse("this is not a path");
        }
        // A file may be called `a:b@c`; what has a scheme is an address.
        let text = if text.contains("://") { self.without_login(text)? } else { text };
        Some(self.folder().join(text))
    }

    /// Reads the name of a file in the secrets folder.
    pub(super) fn secret(&self, name: String) -> Option<String> {
        let is_plain = !name.starts_with('.')
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !is_plain {
            let hint = "use letters, digits, `.`, `_` and `-`; the file lies in the secrets folder itself";
            return self.refuse_with_hint("this is not the name of a secrets file", hint);
        }
        if names::is_own(&name) {
            let message = format!("`{name}` is what seedkit keeps a secret of its own in");
            return self.refuse_with_hint(message, "choose another name");
        }
        Some(name)
    }

    /// Returns the items of a list, each with its own place.
    pub(super) fn items<T>(&self, items: impl IntoIterator<Item = T>) -> impl Iterator<Item = (Self, T)> {
        items.into_iter().enumerate().map(|(index, item)| (self.index(index), item))
    }

    /// Reads the texts of a list, each at its own place; those that `read` refuses are left out.
    pub(super) fn list<T>(
        &self,
        texts: Option<Vec<String>>,
        mut read: impl FnMut(&Self, &str) -> Option<T>,
    ) -> Vec<T> {
        self.items(texts.unwrap_or_default()).filter_map(|(at, text)| read(&at, &text)).collect()
    }

    /// Adds the error that what is written here is an earlier item of the list, too.
    pub(super) fn refuse_again(&self, item: impl Display) {
        self.error(format!("`{item}` is in the list twice"));
    }

    /// Returns whether there is an error about the shape of the value or a part of it.
    pub(super) fn is_refused(&self) -> bool {
        let first = self.report.refused.range(&self.path..).next();
        first.is_some_and(|refused| refused.steps().starts_with(self.path.steps()))
    }

    /// Returns whether there is an error about the value or a part of it.
    pub(super) fn is_wrong(&self) -> bool {
        let is_error =
            |finding: &Finding| finding.is_error() && finding.path.steps().starts_with(self.path.steps());
        self.report.findings.borrow().iter().any(is_error)
    }

    fn finding(&self, message: impl Into<String>) -> Finding {
        Finding::error(self.report.root.locate(&self.path), self.path.clone(), message)
    }

    fn add(&self, finding: Finding) {
        if !self.report.refused.contains(&finding.path) {
            self.report.findings.borrow_mut().push(finding);
        }
    }
}
