//! A kit, and what a check says of it, as one page that opens anywhere.
//!
//! The page is a function of the kit alone: same kit, same bytes. It knows no clock: findings that the clock has a say
//! in are left out, and a script in the page counts days when somebody opens it. It fetches nothing, and forbids itself
//! to; every text in it is hostile, and escaped. No secret is in it, and nothing of a file but names, lengths, digests
//! and certificates.
//!
//! # Why
//! Tera's own escaping is for HTML, so the page has a Tera of its own: [`crate::template`] refuses what no filter quotes.

mod certificates;
mod facts;
mod picture;
mod rows;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::kit::{Kit, PAGE};
use super::report::{Report, Summary, plain};
use crate::text::counted;
use certificates::{Certificate, Clock};
use facts::{Artifact, Fact, Image};
use picture::{Node, Registry};
use rows::{Group, List};

/// What every page begins with, by which an older one is known.
pub const BEGINNING: &str = "<!doctype html>\n<html lang=\"en\" data-seedkit-report=\"1\">\n";
/// What computes the digest of the page again.
const COMMAND: &str = r"grep -v '  report\.html$' SHA256SUMS | sha256sum";

const TEMPLATE: &str = include_str!("../../../templates/report/report.html.tera");
const STYLE: &str = include_str!("../../../templates/report/style.css");
const SCRIPT: &str = include_str!("../../../templates/report/script.js");

/// Everything that the page shows.
#[derive(Serialize)]
struct Page<'a> {
    name: &'a str,
    made_by: &'a str,
    generator: &'a str,
    verdict: Conclusion,
    clocks: Vec<Clock>,
    facts: Vec<Fact>,
    registry: Registry,
    nodes: Vec<Node>,
    images: Vec<Image>,
    certificates: Vec<Certificate>,
    certificate_faults: Vec<String>,
    summary: Summary,
    findings: Vec<Group<'a>>,
    rows: Vec<List<'a>>,
    not_knowable: &'a [&'static str],
    command: &'static str,
    digest: &'a str,
    artifacts: Vec<Artifact>,
}

/// The answer, in a word and a sentence.
#[derive(Serialize)]
struct Conclusion {
    class: &'static str,
    word: &'static str,
    text: String,
}

/// Returns the page of a kit and the report on it; a part of a kit has none.
pub fn page(kit: &Kit, report: &Report) -> Option<String> {
    let bill = kit.bill.as_ref()?;
    let report = report.without_today();
    let (certificates, certificate_faults) = certificates::of(kit);
    let page = Page {
        name: &bill.name,
        made_by: &bill.made_by,
        generator: concat!("seedkit ", env!("CARGO_PKG_VERSION")),
        verdict: conclusion(&report.summary),
        clocks: certificates::clocks(&certificates),
        facts: facts::facts(kit, bill),
        registry: picture::registry(bill),
        nodes: picture::nodes(kit),
        images: facts::images(bill),
        certificates,
        certificate_faults,
        summary: report.summary,
        findings: rows::findings(&report),
        rows: rows::lists(&report),
        not_knowable: &report.not_knowable,
        command: COMMAND,
        digest: &kit.digest.hex(),
        artifacts: facts::artifacts(bill),
    };
    Some(render(&page))
}

fn conclusion(summary: &Summary) -> Conclusion {
    let Summary { passed, not_applicable, not_checked, errors, warnings, allowed, .. } = *summary;
    let (class, word, what) = match (errors, warnings) {
        (0, 0) => ("good", "It fits.", "All parts that were checked fit each other".to_owned()),
        (0, count) => ("fair", "It fits,", format!("with {}", counted(count, "warning"))),
        (count, _) => ("bad", "It does not fit.", format!("There {}", to_correct(count))),
    };
    let accepted = if allowed == 0 { String::new() } else { format!(", {allowed} accepted with a reason") };
    let unseen = if not_checked == 0 { String::new() } else { format!(", {not_checked} not checked") };
    let text = format!("{what}{accepted}: {passed} rows hold, {not_applicable} do not apply{unseen}.");
    Conclusion { class, word, text }
}

fn to_correct(errors: usize) -> String {
    format!("{} {} to correct", if errors == 1 { "is" } else { "are" }, counted(errors, "error"))
}

fn render(page: &Page<'_>) -> String {
    let mut values = serde_json::to_value(page).expect("texts and numbers always become JSON");
    clean(&mut values);
    // The policy allows this very style and this very script, and nothing else in the world.
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    for (key, text) in [("policy", policy.as_str()), ("style", STYLE), ("script", SCRIPT)] {
        values[key] = text.into();
    }
    let mut tera = tera::Tera::new();
    tera.autoescape_on([".html"]);
    tera.register_filter("code", |text: &str, _: tera::Kwargs, _: &tera::State| code(text));
    tera.add_raw_template(PAGE, TEMPLATE).expect("a unit test reads the template");
    let context = tera::Context::from_serialize(&values).expect("an object makes a context");
    tera.render(PAGE, &context).expect("every value that the template names has a place in `Page`")
}

/// Returns how a policy names a text: by its digest.
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// Returns a text as HTML, with what stands between two backticks as code.
fn code(text: &str) -> String {
    let mut html = Vec::new();
    tera::escape_html(text, &mut html).expect("writing to memory cannot fail");
    let html = String::from_utf8(html).expect("what is escaped of UTF-8 is UTF-8");
    let parts: Vec<&str> = html.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return html;
    }
    let part = |(number, part): (usize, &&str)| match number % 2 {
        0 => (*part).to_owned(),
        _ => format!("<code>{part}</code>"),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Shows in every text what could turn it around or hide it.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = plain(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(values) => values.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_as_every_page_does() {
        assert!(TEMPLATE.starts_with(BEGINNING));
    }

    #[test]
    fn nothing_in_the_page_can_lead_out_of_it() {
        for text in [TEMPLATE, STYLE, SCRIPT] {
            for word in ["://", "url(", "@import", "fetch(", "XMLHttp", "innerHTML", "eval("] {
                assert!(!text.contains(word), "{word}");
            }
        }
        let targets = TEMPLATE.split("href=\"").skip(1).chain(TEMPLATE.split("src=\"").skip(1));
        assert!(targets.clone().count() > 5);
        assert!(targets.into_iter().all(|target| target.starts_with('#')));
        // An inline style or handler would need a policy that allows those of others too.
        for attribute in [" style=", " onclick=", " onerror=", " oninput=", " onload="] {
            assert!(!TEMPLATE.contains(attribute), "{attribute}");
        }
    }

    #[test]
    fn only_pairs_of_backticks_become_code_and_nothing_else_becomes_html() {
        assert_eq!(code("run `a <b>` & go"), "run <code>a &lt;b&gt;</code> &amp; go");
        assert_eq!(code("a ` b"), "a ` b");
        assert_eq!(code(r#"<code>"x"</code>"#), "&lt;code&gt;&quot;x&quot;&lt;/code&gt;");
    }

    #[test]
    fn what_could_turn_a_text_around_or_end_it_is_shown() {
        let mut value = serde_json::json!({ "a": ["x\u{202e}y\0", 1] });
        clean(&mut value);
        assert_eq!(value, serde_json::json!({ "a": ["x\\u{202e}y\\u{0}", 1] }));
    }
}
