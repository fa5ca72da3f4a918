//! Logins that are written into addresses, where everybody reads them: noticed, and never repeated.

/// What is said of a login that is written into an address.
pub const LOGIN: &str = "there is a user name or a password in this address";
/// What to do instead.
pub const LOGIN_HINT: &str =
    "log in with `docker login` or a credential helper; seedkit reads its configuration";

/// Returns whether a text has a user and a password before a host: `user:password@host`, with a scheme or without.
///
/// `image:tag@sha256:…` has none: what follows the `@` is a digest.
pub fn has_login(text: &str) -> bool {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let mut logins = text.match_indices('@').filter(|(at, _)| !is_digest(&text[at + 1..]));
    logins.any(|(at, _)| {
        // The password may be anything; a user has no path.
        text[..at].split_once(':').is_some_and(|(user, _)| !user.contains('/'))
    })
}

/// Returns what may be shown of a text: what is before the host of a login is left out.
pub fn without_login(text: &str) -> String {
    if !has_login(text) {
        return text.to_owned();
    }
    let scheme = text.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    // The password may have an `@` of its own: the host follows the last one, or the one before a digest.
    let end = text.rmatch_indices('@').find(|(at, _)| !is_digest(&text[at + 1..]));
    format!("{scheme}…@{}", end.map_or("", |(at, _)| &text[at + 1..]))
}

/// Returns whether a text is a digest, and nothing follows it.
fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("sha512:"));
    hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_known_in_addresses_of_every_kind_and_left_out() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        for (text, shown) in [
            ("user:hidden@host/app:1", "…@host/app:1"),
            ("https://user:hidden@host/app", "https://…@host/app"),
            ("https://user:hid/den#x?@y@host", "https://…@host"),
            (":hidden@host:5000", "…@host:5000"),
            ("docker://user:hidden@host/app:1", "docker://…@host/app:1"),
            (&format!("user:hidden@host/app:1{digest}"), &format!("…@host/app:1{digest}")),
            ("user:hid@sha256:den@host", "…@host"),
        ] {
            assert!(has_login(text), "{text}");
            assert_eq!(without_login(text), shown);
        }
        for text in [
            "alpine",
            "quay.io/lab/app:1",
            &format!("quay.io:5000/lab/app:1{digest}"),
            "somebody@host",
            "https://host/a:b@c",
            "/etc/a:b@c",
            "52:54:00:12:34:56",
        ] {
            assert!(!has_login(text), "{text}");
            assert_eq!(without_login(text), text);
        }
    }
}
