//! Strict rendering: nothing undefined, nothing unquoted.
//!
//! Templates are [Tera](https://keats.github.io/tera/) sources, compiled in from `templates/`; a folder of the
//! user's may replace each of them. An undefined variable is an error with template, line and variable, in
//! conditions too, unless the template asks `is defined`. A value reaches a file only through a filter that
//! quotes it for its place:
//!
//! | filter | for | what it writes |
//! |---|---|---|
//! | `json` | YAML and JSON | any value as JSON that YAML 1.1 and 1.2 read alike |
//! | `shell` | scripts | one word in single quotes |
//! | `systemd` | `Environment=`; with `exec=true` `ExecStart=` | one word in double quotes |
//! | `base64` | anywhere | the UTF-8 bytes, encoded |
//! | `word` | hosts, sysctl: files without quotes | the value itself if it needs none, else an error |
//!
//! # Why
//! Tera's automatic escaping knows HTML. Here the escape function refuses instead: what no filter has quoted
//! cannot be written at all. Because that refusal cannot know its line, the same mistake is also looked for
//! when a template is loaded, and named with its place. Tera's `indent` may come before the last filter.

mod filters;
mod growth;
mod overrides;
mod scan;

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

pub use overrides::OverrideError;

/// The templates that are compiled in: their name in a folder of overrides, and their source.
const BUILTIN: &[(&str, &str)] = &[
    ("autoinstall/user-data.tera", include_str!("../../templates/autoinstall/user-data.tera")),
    ("cloud-image/meta-data.tera", include_str!("../../templates/cloud-image/meta-data.tera")),
    ("cloud-image/network-config.tera", include_str!("../../templates/cloud-image/network-config.tera")),
    ("cloud-image/user-data.tera", include_str!("../../templates/cloud-image/user-data.tera")),
    ("node/alone.sh.tera", include_str!("../../templates/node/alone.sh.tera")),
    ("node/apt.conf.tera", include_str!("../../templates/node/apt.conf.tera")),
    ("node/bootstrap.service.tera", include_str!("../../templates/node/bootstrap.service.tera")),
    ("node/bootstrap.sh.tera", include_str!("../../templates/node/bootstrap.sh.tera")),
    ("node/clock.py.tera", include_str!("../../templates/node/clock.py.tera")),
    ("node/clock.service.tera", include_str!("../../templates/node/clock.service.tera")),
    ("node/config.yaml.tera", include_str!("../../templates/node/config.yaml.tera")),
    ("node/flannel.link.tera", include_str!("../../templates/node/flannel.link.tera")),
    ("node/hosts.tera", include_str!("../../templates/node/hosts.tera")),
    ("node/k3s.service.tera", include_str!("../../templates/node/k3s.service.tera")),
    ("node/finish.sh.tera", include_str!("../../templates/node/finish.sh.tera")),
    ("node/look.sh.tera", include_str!("../../templates/node/look.sh.tera")),
    ("node/marker.sh.tera", include_str!("../../templates/node/marker.sh.tera")),
    ("node/modules-load.conf.tera", include_str!("../../templates/node/modules-load.conf.tera")),
    ("node/chrony.sources.tera", include_str!("../../templates/node/chrony.sources.tera")),
    ("node/timesyncd.conf.tera", include_str!("../../templates/node/timesyncd.conf.tera")),
    ("node/observe.sh.tera", include_str!("../../templates/node/observe.sh.tera")),
    ("node/ops-packages.service.tera", include_str!("../../templates/node/ops-packages.service.tera")),
    ("node/registries.yaml.tera", include_str!("../../templates/node/registries.yaml.tera")),
    ("node/sshd.conf.tera", include_str!("../../templates/node/sshd.conf.tera")),
    ("node/stage.service.tera", include_str!("../../templates/node/stage.service.tera")),
    ("node/stage.sh.tera", include_str!("../../templates/node/stage.sh.tera")),
    ("node/sysctl.conf.tera", include_str!("../../templates/node/sysctl.conf.tera")),
    ("ops/install.sh.tera", include_str!("../../templates/ops/install.sh.tera")),
    ("registry/serve.service.tera", include_str!("../../templates/registry/serve.service.tera")),
];

/// A rendered file larger than this is a template gone wild: cloud-init keeps user-data in memory several times.
const LARGEST_OUTPUT: usize = 8 * 1024 * 1024;

/// Says what is wrong with a template, or with what it was given.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("template `{template}`{}: {reason}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateError {
    /// The name of the template.
    pub template: String,
    /// The line of its source, counted from 1, where known.
    pub line: Option<usize>,
    /// The variable or expression at fault, as the template spells it, where there is one.
    pub variable: Option<String>,
    /// What is wrong.
    pub reason: String,
}

/// A checked set of templates.
#[derive(Clone, derive_more::Debug)]
#[debug("Templates({:?})", sources.keys())]
pub struct Templates {
    tera: tera::Tera,
    sources: BTreeMap<String, String>,
}

impl Templates {
    /// Returns the templates that are compiled in.
    pub fn builtin() -> Self {
        Self::new(BUILTIN.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect())
            .expect("a unit test loads the compiled-in templates")
    }

    /// Checks `sources`, which maps names to Tera source.
    pub fn new(sources: BTreeMap<String, String>) -> Result<Self, TemplateError> {
        for (name, source) in &sources {
            scan::check_source(name, source)?;
            growth::check(name, source)?;
        }
        let mut tera = tera::Tera::new();
        // Every name ends in nothing: all templates are escaped, that is, refuse what is not quoted.
        tera.autoescape_on([""]);
        tera.set_escape_fn(refuse_unquoted);
        filters::register(&mut tera);
        growth::register(&mut tera);
        tera.add_raw_templates(sources.iter().map(|(name, source)| (name.as_str(), source.as_str())))
            .map_err(|error| translate(&sources, "templates", &error))?;
        Ok(Self { tera, sources })
    }

    /// Returns the names of all templates, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    /// Renders the template `name` with the variables that `context`, a map or structure, holds.
    pub fn render(&self, name: &str, context: &impl Serialize) -> Result<String, TemplateError> {
        let failed =
            |reason: String| TemplateError { template: name.to_owned(), line: None, variable: None, reason };
        let source =
            self.sources.get(name).ok_or_else(|| failed("there is no template of that name".to_owned()))?;
        let values = serde_json::to_value(context).map_err(|error| failed(error.to_string()))?;
        scan::check_conditions(name, source, &values)?;
        let variables = tera::Context::from_serialize(&values).map_err(|error| failed(error.to_string()))?;
        let mut output = Bounded(Vec::new());
        self.tera
            .render_to(name, &variables, &mut output)
            .map_err(|error| translate(&self.sources, name, &error))?;
        String::from_utf8(output.0).map_err(|error| failed(error.to_string()))
    }
}

/// Stands where Tera would escape for HTML.
fn refuse_unquoted(_value: &str, _output: &mut dyn io::Write) -> io::Result<()> {
    Err(io::Error::other(scan::UNQUOTED))
}

/// Output that ends in an error before it fills the memory.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST_OUTPUT {
            return Err(io::Error::other(format!("the output exceeds {LARGEST_OUTPUT} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Turns Tera's error into ours: one fact, with its place.
fn translate(sources: &BTreeMap<String, String>, name: &str, error: &tera::Error) -> TemplateError {
    use tera::ErrorKind::{RenderingError, SyntaxError};
    let (SyntaxError(report) | RenderingError(report)) = error.kind() else {
        return from_report(name, error);
    };
    let template = report.filename().to_owned();
    let is_undefined = ["not defined", "undefined"].iter().any(|word| report.message().contains(word));
    let source = sources.get(&template).filter(|_| is_undefined);
    let variable = source.map(|source| scan::path_at(source, report.span().range.start));
    let reason = match &variable {
        Some(variable) => format!("`{variable}` is not defined"),
        None => report.message().to_owned(),
    };
    TemplateError { template, line: Some(report.span().start_line), variable, reason }
}

/// Reads the place out of an error that Tera gives as text only, such as that of an unknown filter:
/// `error: …`, then ` --> template:line:column`.
fn from_report(name: &str, error: &tera::Error) -> TemplateError {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let mut lines = text.lines();
    let reason = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let place = lines.next().and_then(|line| line.trim_start().strip_prefix("--> "));
    let mut parts = place.unwrap_or(name).rsplitn(3, ':').skip(1);
    let line = parts.next().and_then(|line| line.parse().ok());
    let template = parts.next().unwrap_or(name).to_owned();
    TemplateError { template, line, variable: None, reason }
}

#[cfg(test)]
mod tests;
