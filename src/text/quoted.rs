//! Words of files that somebody named, in messages.

/// The longest name without a registry, a path, a tag or a digest that is taken for one of an image.
const LONGEST_BARE: usize = 32;
/// The longest run of letters and digits in a name; random ones are longer.
const LONGEST_WORD: usize = 20;

/// Returns a word of a file as a message may quote it: in backticks if it looks like a name, else its length alone.
///
/// # Why
/// A spec may name any file of a machine as a list of something, and messages go into the logs of pipelines: a key, a
/// token or a line of `/etc/shadow` must not get there because it is not an image.
pub fn quoted(word: &str) -> String {
    if is_name(word) { format!("`{word}`") } else { format!("a text of {} characters", word.chars().count()) }
}

/// Returns whether a word looks like the name of an image, a package or a field: nothing that looks random, and no
/// fields between colons.
pub fn is_name(word: &str) -> bool {
    let (name, digest) = word.split_once("@sha").unwrap_or((word, ""));
    let is_bare = !name.contains(['/', '.', ':']) && digest.is_empty();
    let is_inside = |character: char| character.is_alphanumeric() || "._-+:/@".contains(character);
    let words = || name.split(|character: char| !character.is_alphanumeric());
    !name.is_empty()
        && word.len() <= 300
        && (name.len() <= LONGEST_BARE || !is_bare)
        && name.chars().chain(digest.chars()).all(is_inside)
        && name.matches(':').count() <= 2
        && !["::", "//", "--"].iter().any(|odd| name.contains(odd))
        && words().all(is_word)
        && digest.rsplit(':').next().is_none_or(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns whether letters and digits were put together by a person, as far as that can be told.
fn is_word(word: &str) -> bool {
    let switches = |class: fn(char) -> bool| {
        let pairs = word.chars().zip(word.chars().skip(1));
        pairs.filter(|(one, other)| class(*one) != class(*other)).count()
    };
    let length = word.chars().count();
    length <= LONGEST_WORD
        && switches(char::is_uppercase) <= 3
        && (length <= 12 || switches(|character| character.is_ascii_digit()) <= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let digest = "0123456789abcdef".repeat(4);
        for name in [
            "nginx",
            "Rancher/pause:3.6",
            "192.168.6.1:5000/a/b:1",
            "rancher/k3s:v1.33.4+k3s1",
            "quay.io/prometheus-operator/prometheus-config-reloader:v0.80.1",
            &format!("alpine:3@sha256:{digest}"),
            "libjq1",
            "größe",
        ] {
            assert_eq!(quoted(name), format!("`{name}`"));
        }
    }

    #[test]
    fn what_may_be_secret_is_not() {
        for text in [
            "",
            "-----BEGIN",
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgx7",
            "dXNlcjpwYXNzd29yZA",
            "root:$y$j9T$K3n5mQ$Yd0:19000:0:99999:7:::",
            "daemon:*:19000:0:99999:7:::",
            "550e8400-e29b-41d4-a716-446655440000",
            "a8f5f167f44f4964",
            "https://user:word@host/path",
            "K10c41f::server:5f2b",
            "two words",
        ] {
            assert_eq!(quoted(text), format!("a text of {} characters", text.chars().count()), "{text}");
        }
    }
}
