//! The short names of licences in a copyright file, where it says them in Debian's machine-readable format.
//!
//! See "Machine-readable debian/copyright file", version 1.0. Only the names are looked for: the files are
//! written by hand, and many are not quite as the format has it.

use std::collections::BTreeSet;

use crate::deb::name::excerpt;

/// The most licences that are listed.
const MOST: usize = 100;

/// Returns the short names, sorted, each once; none if the file is free text.
pub(super) fn names(copyright: &str) -> Vec<String> {
    let mut lines = copyright.lines().skip_while(|line| line.trim_ascii().is_empty());
    let is_machine_readable = lines.next().is_some_and(|first| first.starts_with("Format"));
    if !is_machine_readable {
        return Vec::new();
    }
    let values = lines.filter_map(|line| line.strip_prefix("License:")).map(str::trim_ascii);
    let names: BTreeSet<String> = values.filter(|name| !name.is_empty()).map(excerpt).collect();
    names.into_iter().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_given_once() {
        let text = "\nFormat: https://example.org/1.0/\nFiles: *\nLicense: MIT\n text\n\nFiles: b\nLicense: GPL-2+\n\n\
                    License: MIT\n License: not this\nLicense:\n";
        assert_eq!(names(text), ["GPL-2+", "MIT"]);
    }

    #[test]
    fn free_text_says_nothing() {
        assert_eq!(names("This is jq.\nLicense: MIT\n"), [] as [&str; 0]);
        assert_eq!(names(""), [] as [&str; 0]);
    }
}
