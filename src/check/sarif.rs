//! A report as SARIF 2.1.0, which code-scanning pipelines read.
//!
//! See the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use serde_json::{Value, json};

use super::report::{Finding, Report};
use super::rows::{Row, rows};

/// Where the shape of the format is described.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What the paths of artifacts are relative to.
const BASE: &str = "KIT";

/// Returns the report of `subject`, a kit's folder or a spec's file, as one run.
pub fn sarif(report: &Report, version: &str) -> Value {
    let rules: Vec<Value> = rows().iter().map(rule).collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let driver = json!({
        "name": "seedkit",
        "semanticVersion": version,
        "rules": rules,
    });
    let unchecked = report.not_checked.iter().map(|row| {
        let text = format!("not checked: {}", row.reason);
        json!({ "descriptor": { "id": row.id }, "level": "note", "message": { "text": text } })
    });
    let invocation = json!({
        "executionSuccessful": true,
        "toolConfigurationNotifications": unchecked.collect::<Vec<Value>>(),
    });
    let run = json!({
        "tool": { "driver": driver },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": results,
    });
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })
}

fn rule(row: &Row) -> Value {
    json!({
        "id": row.id,
        "name": row.group,
        "shortDescription": { "text": row.title },
        "fullDescription": { "text": row.story },
        "help": { "text": row.fix },
        "defaultConfiguration": { "level": row.severity.name() },
    })
}

fn result(finding: &Finding) -> Value {
    let Finding { id, severity, artifact, place, what, why, fix, allowed, is_of_today: _ } = finding;
    let index = rows().iter().position(|row| row.id == *id).unwrap_or_default();
    let mut location =
        json!({ "physicalLocation": { "artifactLocation": { "uri": uri(artifact), "uriBaseId": BASE } } });
    if !place.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": place }]);
    }
    let mut result = json!({
        "ruleId": id,
        "ruleIndex": index,
        "level": severity.name(),
        "message": { "text": format!("{what}. On the node: {why}. What to do: {fix}.") },
        "locations": [location],
    });
    if let Some(reason) = allowed {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

/// Returns a path as a relative URI.
fn uri(path: &str) -> String {
    const KEPT: &[u8] = b"-._~/+@";
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || KEPT.contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    path.bytes().map(byte).collect()
}
