//! The rows: everything that is known to go wrong, as data.
//!
//! `rows/*.toml` hold them, one file for each module that checks them. An id never changes its meaning.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The files, each with the module that checks its rows, in the order of a report.
const FILES: [(&str, &str); 9] = [
    ("kit", include_str!("rows/kit.toml")),
    ("seed", include_str!("rows/seed.toml")),
    ("ordering", include_str!("rows/ordering.toml")),
    ("images", include_str!("rows/images.toml")),
    ("registry", include_str!("rows/registry.toml")),
    ("cluster", include_str!("rows/cluster.toml")),
    ("packages", include_str!("rows/packages.toml")),
    ("autoinstall", include_str!("rows/autoinstall.toml")),
    ("host", include_str!("rows/host.toml")),
];

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let file = |(group, text): (&'static str, &str)| {
        let File { row } = toml::from_str(text).expect("a unit test reads every file of rows");
        row.into_iter().map(move |row| Row { group, ..row })
    };
    FILES.into_iter().flat_map(file).collect()
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

/// How bad it is where a row does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The node or the cluster will not work: a build stops, and the answer is no.
    Error,
    /// It works, until something else happens.
    Warning,
    /// It works as it is written, which may not be what was meant.
    Note,
}

impl Severity {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Where a failure is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It happened in the notes that seedkit began with.
    Notes,
    /// It is known from the issues and sources of k3s, cloud-init and others.
    Field,
    /// It is seedkit's own.
    Seedkit,
}

impl Origin {
    /// Returns what it means.
    pub fn description(self) -> &'static str {
        match self {
            Self::Notes => "happened in the notes that seedkit began with",
            Self::Field => "known from the issues and sources of k3s, cloud-init and others",
            Self::Seedkit => "seedkit's own",
        }
    }
}

/// What a row can be told from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// From a spec and its lock.
    Spec,
    /// From a finished kit.
    Kit,
    /// From either.
    Both,
    /// From neither: it does not apply to what seedkit makes.
    None,
}

impl Scope {
    pub(super) fn has_kit(self) -> bool {
        matches!(self, Self::Kit | Self::Both)
    }

    pub(super) fn has_spec(self) -> bool {
        matches!(self, Self::Spec | Self::Both)
    }
}

/// A part of a kit that somebody else may have made, and that can be checked alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// One disc.
    Disc,
    /// An archive of images, or a layout.
    Images,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Row {
    /// Its name for ever: `SK` and four digits, the first two of which tell the group.
    pub id: String,
    /// The group, which is also the name of the module.
    #[serde(skip)]
    pub group: &'static str,
    /// Its number in the table of known failures that the check began with.
    pub number: Option<u32>,
    /// What must hold.
    pub title: String,
    /// Where the failure is known from.
    pub origin: Origin,
    /// How bad it is where it does not hold, unless a finding says otherwise.
    pub severity: Severity,
    /// What it can be told from.
    pub scope: Scope,
    /// The parts of a kit from which alone it can be told.
    #[serde(default)]
    pub alone: Vec<Part>,
    /// Whether the clock has a say in it, so that it may hold on one day and not on another.
    #[serde(default)]
    pub clock: bool,
    /// Why it can never apply; only where it cannot.
    pub not_applicable: Option<String>,
    /// What happens on the node where it does not hold, in one sentence.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// What happened, and to whom.
    pub story: String,
}

/// Returns all rows, sorted by id.
pub fn rows() -> &'static [Row] {
    &ROWS
}

/// Returns the row with an id, however it is written.
pub fn row(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole_and_in_its_group() {
        let all = rows();
        assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "ids are sorted and never twice");
        for row in all {
            assert!(row.id.len() == 6 && row.id.starts_with("SK"), "{}", row.id);
            assert_eq!(row.not_applicable.is_some(), row.scope == Scope::None, "{}", row.id);
            assert!(row.alone.is_empty() || row.scope.has_kit(), "{}", row.id);
            for text in [&row.title, &row.why, &row.fix] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", row.id);
            }
            assert!(row.story.ends_with('.'), "{}", row.id);
        }
        let numbers: Vec<u32> = all.iter().filter_map(|row| row.number).collect();
        assert_eq!(numbers, (1..=71).collect::<Vec<u32>>());
    }
}
