//! "Did you mean": the known name nearest to a misspelt one.

/// Returns the candidate nearest to `name`, if it is near enough to be what was meant.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the question whether the nearest candidate was meant.
pub(super) fn meant<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|nearest| format!("did you mean `{nearest}`?"))
}

/// Spelling without case and separators: `api_version` is `apiVersion` to whoever typed it.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_meaning_and_a_strange_one_nothing() {
        let names = ["address", "gateway", "mac", "nameservers", "authorizedKeys", "tls-san"];
        for (text, expected) in [
            ("adress", Some("address")),
            ("gatewya", Some("gateway")),
            ("Mac", Some("mac")),
            ("nameserver", Some("nameservers")),
            ("authorized_keys", Some("authorizedKeys")),
            ("tlssan", Some("tls-san")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, names), expected, "{text}");
        }
    }
}
