//! Small universes for tests, one line a package: `name version; Field: value; Field: value`.

use super::closure::{Closure, Options, Unsolvable, solve};
use super::{Baseline, Origin, Request, Suite, Universe};
use crate::deb::{baseline, index};
use crate::digest::Digest;

/// Returns an index; the hash of a package is that of its name and version, or of its field `File`.
pub(super) fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| stanza(line)).collect()
}

fn stanza(line: &str) -> String {
    let mut parts = line.split(';').map(str::trim);
    let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
    let fields: Vec<&str> = parts.collect();
    let file = fields.iter().find_map(|field| field.strip_prefix("File: ")).unwrap_or(version);
    let digest = Digest::sha256(format!("{name} {file}").as_bytes());
    let architecture = if fields.iter().any(|field| field.starts_with("Architecture:")) {
        ""
    } else {
        "Architecture: amd64\n"
    };
    let status = "Status: install ok installed";
    let fields: String = fields.iter().map(|field| format!("{field}\n")).collect();
    format!(
        "Package: {name}\nVersion: {version}\n{architecture}{status}\n{fields}\
         Filename: pool/{name}.deb\nSize: 1\nSHA256: {}\n\n",
        digest.hex()
    )
}

/// Returns the universe of one suite.
pub(super) fn universe(text: &str) -> Universe<'_> {
    Universe::new("amd64", vec![suite("main", 500, text)]).unwrap()
}

/// Returns a suite.
pub(super) fn suite<'text>(name: &str, priority: u32, text: &'text str) -> Suite<'text> {
    Suite { origin: Origin::Suite(name.to_owned()), priority, packages: index::parse(text).unwrap() }
}

/// Returns the requests of a text, separated by blanks.
pub(super) fn requests(text: &str) -> Vec<Request> {
    text.split_ascii_whitespace().map(|request| request.parse().unwrap()).collect()
}

/// Returns what is shipped, `name version` each, or why nothing is.
pub(super) fn answer(index: &[&str], base: &[&str], request: &str) -> String {
    let (index, base) = (text(index), text(base));
    let status = Baseline::Status(baseline::parse_status(&base).unwrap());
    match solve(&universe(&index), &status, &requests(request), Options::default()) {
        Ok(closure) => listed(&closure),
        Err(reason) => reason.to_string(),
    }
}

/// Returns what is shipped, `name version` each.
pub(super) fn listed(closure: &Closure<'_>) -> String {
    let package =
        |selected: &super::Selected<'_>| format!("{} {}", selected.package.name, selected.package.version);
    closure.packages().iter().map(package).collect::<Vec<_>>().join(", ")
}

/// Returns why each package is shipped, a line each.
pub(super) fn reasons(closure: &Closure<'_>) -> Vec<String> {
    closure.packages().iter().map(|selected| format!("{}: {}", selected.package.name, selected.why)).collect()
}

/// Solves with nothing known of the base.
pub(super) fn solve_bare<'a>(
    universe: &'a Universe<'a>,
    request: &str,
    options: Options,
) -> Result<Closure<'a>, Unsolvable> {
    solve(universe, &Baseline::None, &requests(request), options)
}
