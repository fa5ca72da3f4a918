//! `seedkit diff`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::table::line;
use crate::cli::session::Session;
use crate::cli::{Answer, environment};
use crate::inspect::Options;
use crate::ops::diff::{self, Change, Difference, Subject, Thing};
use crate::progress::Bytes;
use crate::text::counted;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit diff old/seedkit.lock seedkit.lock    before a build: what will change?
  seedkit diff /mnt/disk/kit kit                what is new since the disk that went out?
  git show HEAD:seedkit.lock >old.lock && seedkit diff old.lock seedkit.lock
  seedkit diff --json A B | jq -r '.subjects.images[]?.name'";

/// Arguments of `seedkit diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The older lock or kit.
    before: PathBuf,
    /// The newer one.
    after: PathBuf,
}

#[derive(Serialize)]
struct DiffResult {
    before: String,
    after: String,
    #[serde(flatten)]
    difference: Difference,
}

pub(super) fn run(arguments: DiffArguments, session: &Session) -> anyhow::Result<Answer> {
    let DiffArguments { before, after } = arguments;
    let difference = crate::progress::step(&session.console, "compare", || {
        let options = Options { now: environment::now(), reporter: &session.console };
        let difference = diff::run(&before, &after, &options)?;
        let summary = counted(difference.subjects.values().map(Vec::len).sum(), "difference");
        anyhow::Ok((difference, summary))
    })?;
    let answer = Answer::of(difference.is_same);
    let [before, after] = [before, after].map(|path| path.display().to_string());
    let result = DiffResult { before, after, difference };
    session.show("diff", &result, |DiffResult { before, after, difference }| match answer {
        Answer::Yes => line(&format!("{before} and {after} are the same")),
        Answer::No => {
            difference.subjects.iter().map(|(subject, changes)| section(*subject, changes)).collect()
        }
    })?;
    Ok(answer)
}

fn title(subject: Subject) -> &'static str {
    match subject {
        Subject::Settings => "settings",
        Subject::Nodes => "nodes",
        Subject::Images => "images",
        Subject::Packages => "packages",
        Subject::Files => "files",
        Subject::Certificates => "certificates",
    }
}

fn section(subject: Subject, changes: &[Change]) -> String {
    let title = title(subject);
    let growth = growth(changes).map(|growth| format!(" ({growth})")).unwrap_or_default();
    let heading = line(&format!("{title}: {}{growth}", counted(changes.len(), "difference")));
    heading + &changes.iter().map(change).collect::<String>()
}

/// Says how many bytes more or fewer there are, where the things have sizes.
fn growth(changes: &[Change]) -> Option<String> {
    let total = |side: fn(&Change) -> &Option<Thing>| {
        let sizes = changes.iter().filter_map(|change| side(change).as_ref()?.size);
        sizes.fold(None, |sum: Option<u64>, size| Some(sum.unwrap_or_default().saturating_add(size)))
    };
    let (before, after) = (total(|change| &change.before), total(|change| &change.after));
    before.or(after)?;
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let sign = if after < before { '-' } else { '+' };
    Some(format!("{sign}{}", Bytes(after.abs_diff(before))))
}

fn change(change: &Change) -> String {
    let Change { name, before, after } = change;
    let (sign, properties) = match (before, after) {
        (Some(before), Some(after)) => ('~', changed(change, before, after)),
        (Some(only), None) => ('-', all(only)),
        (None, Some(only)) => ('+', all(only)),
        (None, None) => (' ', Vec::new()),
    };
    // A setting has nothing but its value.
    if let [only] = &properties[..]
        && let Some(value) = only.strip_prefix("value: ")
    {
        return line(&format!("  {sign} {name}: {value}"));
    }
    let lines = properties.iter().map(|property| line(&format!("      {property}")));
    line(&format!("  {sign} {name}")) + &lines.collect::<String>()
}

fn changed(change: &Change, before: &Thing, after: &Thing) -> Vec<String> {
    let value = |thing: &Thing, name: &str| shown(thing.properties.get(name).map_or("", String::as_str));
    let differing = change.differing().into_iter();
    let mut lines: Vec<String> =
        differing.map(|name| format!("{name}: {} -> {}", value(before, name), value(after, name))).collect();
    if before.size != after.size {
        let [old, new] = [before, after].map(|thing| Bytes(thing.size.unwrap_or_default()));
        lines.push(format!("size: {old} -> {new}"));
    }
    lines
}

fn all(thing: &Thing) -> Vec<String> {
    let values = thing.properties.iter().filter(|(_, value)| !value.is_empty());
    let mut lines: Vec<String> = values.map(|(name, value)| format!("{name}: {}", shown(value))).collect();
    lines.extend(thing.size.map(|size| format!("size: {}", Bytes(size))));
    lines
}

/// Returns a value as people compare it: of a digest its beginning, of nothing a dash.
fn shown(value: &str) -> String {
    match value.strip_prefix("sha256:") {
        Some(hex) => format!("sha256:{}", hex.get(..12).unwrap_or(hex)),
        None if value.is_empty() => "-".to_owned(),
        None => value.to_owned(),
    }
}
