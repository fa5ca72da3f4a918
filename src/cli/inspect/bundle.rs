//! A bundle of ops packages as people read it.

use crate::cli::table::{fields, line, table};
use crate::inspect::{BundledPackage, OpsBundle};
use crate::progress::Bytes;
use crate::text::counted;

/// How many licences of one package are named; some have dozens.
const LICENSES: usize = 3;

pub(super) fn text(bundle: &OpsBundle) -> String {
    let OpsBundle {
        name,
        suite,
        architecture,
        epoch,
        requested,
        count,
        bytes,
        packages,
        index: _,
        installer: _,
    } = bundle;
    let date = epoch.map_or("unknown".to_owned(), |epoch| epoch.to_string());
    let head = [
        ("suite", suite.clone()),
        ("architecture", architecture.clone()),
        ("date", date),
        ("requested", requested.join(", ")),
    ];
    let head = line(name) + &fields("  ", 15, head);
    let table =
        table(["PACKAGE", "VERSION", "ARCHITECTURE", "SIZE", "LICENCES", "WHY"], packages.iter().map(row));
    format!("{head}\n{table}{}, {}\n\n", counted(*count, "package"), Bytes(*bytes))
}

fn row(package: &BundledPackage) -> [String; 6] {
    let BundledPackage { name, version, architecture, file: _, size, sha256: _, licenses, why } = package;
    let mut named: Vec<String> = licenses.iter().take(LICENSES).cloned().collect();
    if licenses.len() > LICENSES {
        named.push(format!("{} more", licenses.len() - LICENSES));
    }
    let licences = if named.is_empty() { "-".to_owned() } else { named.join(", ") };
    [name.clone(), version.clone(), architecture.clone(), Bytes(*size).to_string(), licences, why.clone()]
}
