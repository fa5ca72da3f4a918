//! What files are called where their own name does not fit.
//!
//! Rock Ridge holds every name as it is. The two trees beside it have rules of their own, and readers that
//! know no Rock Ridge see these names:
//!
//! * ECMA-119, level 2 and 3: capitals, digits and `_`, 31 characters, `;1` after a file. Nearly every name
//!   changes.
//! * Joliet: 64 characters of the basic plane, without `* / : ; ? \` and control characters. Long names are
//!   cut before their extension.
//!
//! # Why
//! Names that clash only by case are legal on the target (`README` beside `readme`), so they are no error;
//! but Windows, which reads Joliet, would show one of the two. One of them is renamed in the Joliet tree
//! alone. Case is folded in ASCII only: more would depend on the Unicode tables of the toolchain.

use std::collections::{BTreeMap, BTreeSet};

/// What an entry is called in the trees other than Rock Ridge, as written to the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identifiers {
    /// In the primary tree: ASCII.
    pub(super) primary: Vec<u8>,
    /// In the Joliet tree: UCS-2, big-endian.
    pub(super) joliet: Vec<u8>,
}

/// The longest name of the primary tree, with its dot, without its version.
const PRIMARY_LIMIT: usize = 31;
/// The longest name of the Joliet tree, in UCS-2 units.
const JOLIET_LIMIT: usize = 64;
/// The longest end of a Joliet name that counts as an extension, with its dot.
const JOLIET_EXTENSION_LIMIT: usize = 16;

/// Gives the entries of one directory their identifiers; they must come in a fixed order.
#[derive(Debug, Default)]
pub(super) struct Namer {
    primary: UniqueNames,
    joliet: UniqueNames,
}

impl Namer {
    /// Names a directory.
    pub(super) fn directory(&mut self, name: &str) -> Identifiers {
        let primary = self.primary.claim(&primary_text(name), "", PRIMARY_LIMIT);
        Identifiers { primary: primary.into_bytes(), joliet: self.joliet(name) }
    }

    /// Names a file or a link.
    pub(super) fn file(&mut self, name: &str) -> Identifiers {
        let (stem, extension) = split(name);
        let extension: String = primary_text(extension).chars().skip(1).take(3).collect();
        let primary = self.primary.claim(&primary_text(stem), &format!(".{extension}"), PRIMARY_LIMIT);
        Identifiers { primary: format!("{primary};1").into_bytes(), joliet: self.joliet(name) }
    }

    fn joliet(&mut self, name: &str) -> Vec<u8> {
        let (stem, extension) = match split(name) {
            (_, extension) if extension.chars().count() > JOLIET_EXTENSION_LIMIT => (name, ""),
            parts => parts,
        };
        super::encode::ucs2(&self.joliet.claim(&joliet_text(stem), &joliet_text(extension), JOLIET_LIMIT))
    }
}

/// Splits a name before its last dot; a name such as `.bashrc` has no extension.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        Some(_) | None => (name, ""),
    }
}

fn primary_text(text: &str) -> String {
    let replace = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    text.chars().map(replace).collect::<String>().to_ascii_uppercase()
}

fn joliet_text(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '*' | '/' | ':' | ';' | '?' | '\\' | '\0'..='\u{1f}' | '\u{10000}'.. => '_',
            other => other,
        })
        .collect()
}

/// The names of one directory in one tree, no two of which differ only in ASCII case or in a trailing dot.
#[derive(Debug, Default)]
struct UniqueNames {
    taken: BTreeSet<String>,
    /// How often each wish was not granted: where to go on counting, so that a thousand clashes stay cheap.
    clashes: BTreeMap<String, usize>,
}

impl UniqueNames {
    /// Returns `stem` and `extension` cut to `limit` characters, with a number between them if need be.
    fn claim(&mut self, stem: &str, extension: &str, limit: usize) -> String {
        let with_suffix = |suffix: &str| {
            let room = limit - extension.chars().count() - suffix.len();
            let stem: String = stem.chars().take(room).collect();
            format!("{stem}{suffix}{extension}")
        };
        let wish = with_suffix("");
        if self.taken.insert(fold(&wish)) {
            return wish;
        }
        let clashes = self.clashes.entry(fold(&wish)).or_default();
        loop {
            *clashes += 1;
            let name = with_suffix(&format!("_{clashes}"));
            if self.taken.insert(fold(&name)) {
                return name;
            }
        }
    }
}

fn fold(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joliet_names(names: &[&str]) -> Vec<String> {
        let mut namer = Namer::default();
        names
            .iter()
            .map(|name| {
                let bytes = namer.file(name).joliet;
                let units: Vec<_> =
                    bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
                String::from_utf16(&units).unwrap()
            })
            .collect()
    }

    fn primary_names(names: &[&str]) -> Vec<String> {
        let mut namer = Namer::default();
        names.iter().map(|name| String::from_utf8(namer.file(name).primary).unwrap()).collect()
    }

    #[test]
    fn joliet_names_are_legal_and_unique_without_case() {
        let names =
            joliet_names(&["README", "Readme", "a:b", "a_b", "readme_1", "😀.txt", "설치.sh", "x", "x."]);
        let expected = ["README", "Readme_1", "a_b", "a_b_1", "readme_1_1", "_.txt", "설치.sh", "x", "x_1."];
        assert_eq!(names, expected);
    }

    #[test]
    fn long_joliet_names_keep_their_extension() {
        let stem = "n".repeat(100);
        let names = joliet_names(&[&format!("{stem}.zst"), &format!("{stem}2.zst"), &format!("v1.{stem}")]);
        let expected = [
            format!("{}.zst", "n".repeat(60)),
            format!("{}_1.zst", "n".repeat(58)),
            format!("v1.{}", "n".repeat(61)),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn primary_names_keep_to_the_capitals() {
        let names =
            primary_names(&["user-data", "user_data", "a.tar.zst", ".bashrc", "x.yaml", &"n".repeat(40)]);
        let long = format!("{}.;1", "N".repeat(30));
        assert_eq!(names, ["USER_DATA.;1", "USER_DATA_1.;1", "A_TAR.ZST;1", "_BASHRC.;1", "X.YAM;1", &long]);
    }

    #[test]
    fn a_directory_and_a_file_share_no_primary_name() {
        let mut namer = Namer::default();
        assert_eq!(namer.directory("opt").primary, b"OPT");
        assert_eq!(namer.file("OPT").primary, b"OPT_1.;1");
    }

    #[test]
    fn ten_thousand_clashes_are_resolved() {
        let names: Vec<_> = (0..10_000).map(|number| format!("{}{number:05}", "n".repeat(70))).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let unique: BTreeSet<_> = joliet_names(&names).into_iter().collect();
        assert_eq!(unique.len(), names.len());
        assert!(unique.iter().all(|name| name.len() <= 64));
    }
}
