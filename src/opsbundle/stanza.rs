//! One stanza of `Packages`: the distribution's, with another `Filename`.
//!
//! ```text
//! stanza = field+
//! field  = name ":" value "\n" ( (" " | "\t") value "\n" )*
//! ```
//!
//! `Filename`, `Size` and `SHA256` are written anew, at the end. MD5 and SHA-1 are left out: weak hashes that
//! nothing reads. So is `Phased-Update-Percentage`, by which apt would leave a package out on most machines.
//! Every other field stays as it is, byte by byte.

use std::collections::BTreeSet;

use super::BundledPackage;

/// A stanza of Debian has at most some 30 KB.
const LARGEST: usize = 1 << 20;
const DROPPED: [&str; 3] = ["md5sum", "sha1", "phased-update-percentage"];

/// Says why a stanza cannot be published.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StanzaError {
    /// A reader would take it for something else.
    #[error("line {0} is not a field: `{1}`")]
    Line(usize, String),
    /// Readers differ in which of the two they believe.
    #[error("it has the field `{0}` twice")]
    Duplicate(String),
    /// It is that of another package.
    #[error("its `{field}` is `{found}`, but the package's is `{expected}`")]
    Contradiction {
        /// The field.
        field: &'static str,
        /// What the stanza says, if anything.
        found: String,
        /// What is known of the package.
        expected: String,
    },
    /// Nothing sensible is that large.
    #[error("it has {0} bytes")]
    TooLarge(usize),
}

/// Returns the stanza that `Packages` has for a package which lies at `path`.
pub(super) fn published(package: &BundledPackage, path: &str) -> Result<String, StanzaError> {
    if package.stanza.len() > LARGEST {
        return Err(StanzaError::TooLarge(package.stanza.len()));
    }
    let fields = fields(&package.stanza)?;
    refuse_duplicates(&fields)?;
    let size = package.content.size().to_string();
    for (name, expected) in
        [("Package", &package.name), ("Version", &package.version), ("Architecture", &package.architecture)]
    {
        refuse_contradiction(find(&fields, name).unwrap_or_default(), name, expected)?;
    }
    let known = [("Size", size.as_str()), ("SHA256", &package.sha256.hex())];
    for (name, expected) in known {
        refuse_contradiction(find(&fields, name).unwrap_or(expected), name, expected)?;
    }
    let is_kept = |field: &&Field<'_>| {
        let is_rewritten = ["filename", "size", "sha256"].contains(&field.key.as_str());
        !is_rewritten && !DROPPED.contains(&field.key.as_str())
    };
    let mut text: String = fields.iter().filter(is_kept).map(|field| field.text).collect();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("Filename: {path}\n"));
    known.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\n")));
    Ok(text)
}

/// A field with its continuation lines.
struct Field<'a> {
    /// Its name in lower case: names do not depend on case.
    key: String,
    /// What follows the colon on its first line.
    value: &'a str,
    /// All of it, as written.
    text: &'a str,
}

/// Cuts a stanza into its fields.
fn fields(stanza: &str) -> Result<Vec<Field<'_>>, StanzaError> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let mut start = 0;
    for (index, line) in stanza.trim_end_matches('\n').split_inclusive('\n').enumerate() {
        let text = line.trim_end_matches('\n');
        let refused = || StanzaError::Line(index + 1, text.escape_debug().take(100).collect());
        let end = start + line.len();
        // A blank line would end the stanza, and let what follows pass for another package.
        if line.trim().is_empty() || line.contains(['\0', '\r']) {
            return Err(refused());
        }
        match fields.last_mut() {
            Some(field) if line.starts_with([' ', '\t']) => {
                field.text = &stanza[end - line.len() - field.text.len()..end];
            }
            Some(_) | None => {
                let (name, value) = line.split_once(':').ok_or_else(refused)?;
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(refused());
                }
                fields.push(Field { key: name.to_ascii_lowercase(), value: value.trim(), text: line });
            }
        }
        start = end;
    }
    Ok(fields)
}

fn refuse_duplicates(fields: &[Field<'_>]) -> Result<(), StanzaError> {
    let mut seen = BTreeSet::new();
    match fields.iter().find(|field| !seen.insert(field.key.as_str())) {
        Some(field) => Err(StanzaError::Duplicate(field.key.clone())),
        None => Ok(()),
    }
}

fn find<'a>(fields: &[Field<'a>], name: &str) -> Option<&'a str> {
    fields.iter().find(|field| field.key.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn refuse_contradiction(found: &str, field: &'static str, expected: &str) -> Result<(), StanzaError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (found.to_owned(), expected.to_owned());
    Err(StanzaError::Contradiction { field, found, expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn package(stanza: &str) -> BundledPackage {
        BundledPackage {
            name: "tool".to_owned(),
            version: "1:2-3".to_owned(),
            architecture: "amd64".to_owned(),
            stanza: stanza.to_owned(),
            content: "deb".into(),
            sha256: Digest::sha256(b"deb"),
            why: String::new(),
        }
    }

    const START: &str = "Package: tool\nVersion: 1:2-3\nArchitecture: amd64\n";

    #[test]
    fn only_the_place_and_the_weak_hashes_change() {
        let kept = "Depends: libc6 (>= 2.36),\n # no comment\n\tz | y\nX-Odd:\nDescription: 도구\n .\n  indented: text\n";
        let hex = Digest::sha256(b"deb").hex().to_owned();
        let dropped = format!(
            "Filename: pool/main/t/tool.deb\nSize: 3\nMD5sum: 0\nSHA1: 1\nsha256: {hex}\nPhased-Update-Percentage: 10\n"
        );
        let expected = format!("{START}{kept}Filename: pool/x.deb\nSize: 3\nSHA256: {hex}\n");
        for given in [
            format!("{START}{dropped}{kept}"),
            format!("{START}{kept}{dropped}\n\n"),
            format!("{START}{}", kept.trim_end()),
        ] {
            assert_eq!(published(&package(&given), "pool/x.deb").unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn what_readers_would_understand_differently_is_refused() {
        for (rest, expected) in [
            ("\nPackage: evil\n", "line 4 is not a field: ``"),
            (" \t\nPackage: evil\n", "line 4 is not a field: ` \\t`"),
            ("no field\n", "line 4 is not a field: `no field`"),
            ("Two Words: x\n", "line 4 is not a field: `Two Words: x`"),
            ("Odd: x\r\n", "line 4 is not a field: `Odd: x\\r`"),
            ("package: evil\n", "it has the field `package` twice"),
            ("Size: 4\n", "its `Size` is `4`, but the package's is `3`"),
            ("SHA256: 00\n", "its `SHA256` is `00`, but the package's is `"),
        ] {
            let error = published(&package(&format!("{START}{rest}")), "x").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error:?}");
        }
    }

    #[test]
    fn a_stanza_of_another_package_is_refused() {
        for (from, to) in [("tool", "fool"), ("1:2-3", "2-3"), ("amd64", "arm64"), ("Package", "Packages")] {
            let error = published(&package(&START.replace(from, to)), "x").unwrap_err();
            assert!(matches!(error, StanzaError::Contradiction { .. }), "{error}");
        }
        let error = published(&package(&format!(" {START}")), "x").unwrap_err();
        assert!(matches!(error, StanzaError::Line(1, _)), "{error}");
    }
}
