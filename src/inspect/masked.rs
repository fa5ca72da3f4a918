//! What must not be shown: no secret leaves this layer, whoever prints it.

/// What stands in the place of a secret.
pub(super) const MASK: &str = "***";

/// Returns an address without the user and password that it may have.
pub(super) fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{MASK}@{}", &rest[at + 1..]),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_of_addresses_are_masked() {
        for (address, shown) in [
            ("https://user:pass@host/path@x", "https://***@host/path@x"),
            ("https://to:k@en@host", "https://***@host"),
            ("https://host/path?user@", "https://host/path?user@"),
            ("plain/path@1", "plain/path@1"),
        ] {
            assert_eq!(without_credentials(address), shown);
        }
    }
}
