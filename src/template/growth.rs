//! Bounds what a template may keep in memory, whatever it does with its values.
//!
//! The output is bounded while it is written; a value is not written until its expression ends. Three rules keep every
//! value small: a value that a template gave a name is not built up under another name or its own, filters refuse to
//! return more than [`LARGEST_VALUE`], and an expression joins [`MOST_JOINED`] values at most. Tera bounds `range`,
//! `indent` and the recursion of components itself.
//!
//! # Why
//! Doubling a value thirty times fills any memory, and Tera has no budget for it. What a rule refuses is named with its
//! line before anything runs; a limit of the process would end the whole build without a word.

use std::collections::BTreeSet;

use tera::{Error, Kwargs, State, StringInput, Tera, Value};

use super::TemplateError;
use super::scan::{Kind, blank_strings, names_set, paths, pieces};

/// The most bytes that a filter returns; cloud-init takes 512 KiB of user-data.
pub(super) const LARGEST_VALUE: usize = 1024 * 1024;
/// The most values that one expression joins by `~`.
const MOST_JOINED: usize = 64;
/// What makes one value of several.
const BUILDING: [char; 3] = ['~', '[', '{'];

/// Refuses a source whose values could grow without end.
pub(super) fn check(template: &str, source: &str) -> Result<(), TemplateError> {
    let code: Vec<_> =
        pieces(source).into_iter().filter(|piece| matches!(piece.kind, Kind::Tag | Kind::Print)).collect();
    let own: BTreeSet<String> = code.iter().flat_map(|piece| names_set(piece.text)).collect();
    for piece in &code {
        let blank = blank_strings(piece.text);
        let refuse = |variable: Option<String>, reason: String| {
            Err(TemplateError { template: template.to_owned(), line: Some(piece.line), variable, reason })
        };
        if blank.matches('~').count() >= MOST_JOINED {
            return refuse(None, format!("it joins more than {MOST_JOINED} values"));
        }
        let text = blank.trim_start();
        let keyword = text.split_whitespace().next().unwrap_or_default();
        let is_assignment = matches!(keyword, "set" | "set_global");
        if is_assignment && !text.contains('=') {
            return refuse(None, "a block cannot be given a name: write it where it is needed".to_owned());
        }
        let binds = is_assignment || keyword == "for" || text.starts_with('<');
        let expression = match keyword {
            "for" => text.split_once(" in ").map_or(text, |(_, expression)| expression),
            _ => text.split_once('=').map_or(text, |(_, expression)| expression),
        };
        let builds = expression.contains(BUILDING);
        let mentioned = paths(expression).into_iter().map(|path| path.text);
        let mut mentioned = mentioned.filter(|path| own.contains(path.split('.').next().unwrap_or_default()));
        if binds
            && builds
            && let Some(name) = mentioned.next()
        {
            let reason = format!(
                "a value is made of `{name}`, which has its own from this template, and could grow without end: make \
                 it of variables alone, or write it where it is needed"
            );
            return refuse(Some(name), reason);
        }
    }
    Ok(())
}

/// Returns a text that a filter made, if it is not too long.
pub(super) fn bounded(text: String) -> Result<String, Error> {
    if text.len() <= LARGEST_VALUE { Ok(text) } else { Err(too_long()) }
}

fn too_long() -> Error {
    Error::message(format!("a value exceeds {LARGEST_VALUE} bytes"))
}

/// Puts bounded filters in the place of those of Tera that multiply the length of what they are given.
pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("replace", |value: StringInput, arguments: Kwargs, _: &State| {
        let (text, from) = (value.as_str(), arguments.must_get::<&str>("from")?);
        let to = arguments.must_get::<StringInput>("to")?;
        let added = text.matches(from).count().saturating_mul(to.as_str().len());
        if text.len().saturating_add(added) > LARGEST_VALUE {
            return Err(too_long());
        }
        Ok(Value::from(text.replace(from, to.as_str())))
    });
    tera.register_filter("join", |values: &[Value], arguments: Kwargs, _: &State| {
        let separator = arguments.get::<StringInput>("sep")?;
        let separator = separator.as_ref().map_or("", |separator| separator.as_str());
        let mut joined = String::new();
        for (number, value) in values.iter().enumerate() {
            joined.push_str(if number == 0 { "" } else { separator });
            joined = bounded(joined + &value.to_string())?;
        }
        Ok::<_, Error>(Value::from(joined))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_on_its_own_values_is_refused_with_its_line() {
        for source in [
            "{% set x = 'a' %}\n{% set x = x ~ x %}",
            "{% for i in range(end=30) %}\n{% set_global x = x ~ x %}{% endfor %}",
            "{% set x = 'a' %}\n{% set y = [x, x] %}",
            "{% for a in nodes %}\n{% for b in [a ~ a] %}{% endfor %}{% endfor %}",
            "{% set x = {'a': 1} %}\n{% set y = {'a': x, 'b': x} %}",
            "\n{% set x %}{{ a | json }}{% endset %}",
        ] {
            let error = check("t", source).unwrap_err();
            assert_eq!(error.line, Some(2), "{source}: {error}");
        }
        assert!(check("t", &format!("{{{{ a{} | json }}}}", " ~ a".repeat(MOST_JOINED))).is_err());
    }

    #[test]
    fn what_people_write_is_taken() {
        for source in [
            "{% set x = node.name ~ '-' ~ cluster %}{{ x ~ x | json }}",
            "{% set i = 0 %}{% for n in nodes %}{% set_global i = i + 1 %}{% endfor %}",
            "{% for key, value in node.values | pairs %}{{ key | word }}{% endfor %}",
            "{% for line in text | split(pat=',') %}{% for word in line | split(pat=' ') %}{% endfor %}{% endfor %}",
            "{{ '~[{' | json }}{% if a.b == 'x ~ x' %}{% endif %}{% set x = first ~ 'x ~ x' %}",
        ] {
            assert_eq!(check("t", source), Ok(()), "{source}");
        }
    }
}
