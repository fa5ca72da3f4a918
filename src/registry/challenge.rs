//! What a server wants to be told before it answers (RFC 9110, section 11.6.1).

/// One way to authenticate that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from elsewhere (Docker's token authentication).
    Bearer(Bearer),
}

/// Where a token comes from and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    /// The URL of the token server.
    pub(super) realm: String,
    /// The name under which the token server knows the registry.
    pub(super) service: Option<String>,
    /// What the token has to allow.
    pub(super) scope: Option<String>,
}

impl Challenge {
    /// Returns the best of the challenges in some `WWW-Authenticate` headers that we can meet: tokens first.
    pub(super) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let offered: Vec<Offer> = headers.flat_map(offers).collect();
        let offered = |scheme: &str| offered.iter().find(|offer| offer.scheme.eq_ignore_ascii_case(scheme));
        let bearer = offered("bearer").and_then(|offer| {
            Some(Self::Bearer(Bearer {
                realm: offer.parameter("realm")?,
                service: offer.parameter("service"),
                scope: offer.parameter("scope"),
            }))
        });
        bearer.or_else(|| offered("basic").map(|_| Self::Basic))
    }
}

struct Offer {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Offer {
    fn parameter(&self, name: &str) -> Option<String> {
        let mut found = self.parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.clone())
    }
}

/// Splits one header: `scheme name=value, name="value", scheme …`. What fits nowhere is passed over.
fn offers(header: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for item in split_outside_quotes(header) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        // A space before the first `=` ends the name of a scheme; without `=` the item is only that.
        let (scheme, name) = match name.trim().split_once(char::is_whitespace) {
            Some((scheme, name)) => (Some(scheme), name.trim()),
            None if item.contains('=') => (None, name.trim()),
            None => (Some(name.trim()), ""),
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_empty()) {
            offers.push(Offer { scheme: scheme.to_owned(), parameters: Vec::new() });
        }
        if let Some(offer) = offers.last_mut().filter(|_| !name.is_empty()) {
            offer.parameters.push((name.to_owned(), unquoted(value.trim())));
        }
    }
    offers
}

fn split_outside_quotes(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    header
        .split(move |character| {
            let was_escaped = is_escaped;
            is_escaped = is_quoted && character == '\\' && !was_escaped;
            if character == '"' && !was_escaped {
                is_quoted = !is_quoted;
            }
            character == ',' && !is_quoted
        })
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"') else { return value.to_owned() };
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    let mut is_escaped = false;
    inside
        .chars()
        .filter(|character| {
            is_escaped = *character == '\\' && !is_escaped;
            !is_escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let [service, scope] = [service, scope].map(|text| text.map(str::to_owned));
        Some(Challenge::Bearer(Bearer { realm: realm.to_owned(), service, scope }))
    }

    #[test]
    fn challenges_of_registries_are_understood() {
        let best = |header: &str| Challenge::best([header].into_iter());
        let realm = "https://auth.example/token";
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
                bearer(realm, Some("registry.example"), Some("repository:a/b:pull,push")),
            ),
            (r#"bearer  Realm = "https://auth.example/token" , error="x""#, bearer(realm, None, None)),
            (r"Bearer realm=https://auth.example/token", bearer(realm, None, None)),
            (r#"Basic realm="a, Bearer realm=b""#, Some(Challenge::Basic)),
            (
                r#"Basic realm="x", Bearer realm="https://auth.example/token",scope="a\"b""#,
                bearer(realm, None, Some("a\"b")),
            ),
            ("Basic", Some(Challenge::Basic)),
            (r#"Bearer service="no realm""#, None),
            ("Negotiate dG9rZW4=", None),
            ("", None),
            (r#"","=,"#, None),
        ] {
            assert_eq!(best(header), expected, "{header}");
        }
    }

    #[test]
    fn a_token_is_preferred_to_a_password_across_headers() {
        let headers = ["Basic realm=a", "Bearer realm=b"];
        assert_eq!(Challenge::best(headers.into_iter()), bearer("b", None, None));
    }
}
