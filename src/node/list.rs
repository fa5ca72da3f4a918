//! Lists of what systems have already: one entry a line, with where they were read in comments before them.

/// Returns the entries.
pub(super) fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

/// Returns whether a name is among the entries; one that ends in `*` is all names that begin so.
pub(super) fn has(list: &'static str, name: &str) -> bool {
    entries(list).any(|entry| match entry.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => entry == name,
    })
}
