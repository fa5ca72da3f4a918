//! What a kit was made with and must not show: neither in its files, nor in what is said of them.

use std::collections::BTreeSet;

use super::{Kit, REGISTRIES};
use crate::k3s;
use crate::secrets::SecretText;
use crate::yaml;

/// What stands in place of a secret's content.
const HIDDEN: &str = "[secret]";
/// Shorter texts would be found where they are not meant.
const SHORTEST: usize = 4;
/// How the names of keys, variables and options end whose value is a secret.
const NAMES: [&str; 7] = ["token", "password", "passwd", "secret", "auth", "psk", "_private"];

/// A secret that a kit was made with, and must not show.
#[derive(Debug, Clone)]
pub struct KnownSecret {
    /// Its name in the secrets folder.
    pub name: String,
    /// Its content.
    pub text: SecretText,
    /// Whether no node needs it.
    pub is_for_no_node: bool,
}

/// The contents that no finding may quote.
#[derive(derive_more::Debug)]
#[debug("{HIDDEN}")]
pub(in crate::check) struct Contents(BTreeSet<String>);

impl Contents {
    /// Gathers what a kit was made with, and what its seeds show to be secret.
    pub(in crate::check) fn of(kit: &Kit) -> Self {
        let mut texts: BTreeSet<String> = BTreeSet::new();
        for secret in &kit.secrets {
            gather(secret.text.expose(), &mut texts);
        }
        for node in &kit.nodes {
            let registries = node.yaml(REGISTRIES);
            let network = node.network.as_ref().map(|(_, network)| network);
            let documents = [node.user.as_ref(), node.k3s_config.as_ref(), network, registries.as_ref()];
            documents.into_iter().flatten().for_each(|document| look_through(document, &mut texts));
        }
        Self(texts)
    }

    /// Returns a text with no secret in it.
    pub(in crate::check) fn out_of(&self, text: &str) -> String {
        // What is a part of another one comes after it.
        let mut texts: Vec<&String> = self.0.iter().filter(|secret| text.contains(*secret)).collect();
        texts.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let known = texts.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN));
        let words: Vec<&str> = known.split(' ').collect();
        let before = std::iter::once("").chain(words.iter().copied());
        let shown: Vec<String> = before.zip(&words).map(|(before, word)| shown_after(before, word)).collect();
        shown.join(" ")
    }
}

/// Takes the lines of a secret, but for those that frame a key.
fn gather(secret: &str, texts: &mut BTreeSet<String>) {
    let lines = secret.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----"));
    for line in lines {
        // Of a token, the password is what it is worth.
        let password = line.rsplit_once(':').map(|(_, password)| password);
        let password = password.filter(|password| line.starts_with("K10") && password.len() >= SHORTEST);
        texts.extend([line].into_iter().chain(password).map(str::to_owned));
    }
}

fn look_through(node: &yaml::Node, texts: &mut BTreeSet<String>) {
    for (key, value) in node.entries() {
        let name = k3s::flag_of(&key.name);
        // What is true or false says nothing that could be kept secret.
        let said = value.texts().into_iter().filter(|text| !["true", "false"].contains(&text.as_str()));
        for text in said.filter(|text| is_named(name) || k3s::is_secret(name, text)) {
            gather(&text, texts);
        }
        look_through(value, texts);
    }
    node.items().iter().for_each(|item| look_through(item, texts));
}

/// Returns a word of a command without the secret that it seems to be, or to have in it.
pub(in crate::check) fn shown_after(before: &str, word: &str) -> String {
    let end = word.trim_end_matches(['`', '\'', '"', ',', ';', ':']).len();
    match seems_secret(before, &word[..end]) {
        Some((from, to)) => format!("{}{HIDDEN}{}", &word[..from], &word[to..]),
        None => word.to_owned(),
    }
}

/// Returns whether what has this name is a secret.
fn is_named(name: &str) -> bool {
    NAMES.iter().any(|end| name.to_ascii_lowercase().ends_with(end))
}

/// Returns which bytes of a word seem to be a secret.
fn seems_secret(before: &str, word: &str) -> Option<(usize, usize)> {
    let quotes = ['`', '\'', '"'];
    let start = word.len() - word.trim_start_matches(quotes).len();
    let is_value = |at: usize| word.len() > at && !word[at..].starts_with(['$', '-', '[']);
    let is_told = (before.starts_with("--") && is_named(before)) || ["Bearer", "Basic"].contains(&before);
    if is_told && is_value(start) {
        return Some((start, word.len()));
    }
    if let Some(at) = word.find('=').filter(|at| is_named(&word[..*at]) && is_value(at + 1)) {
        return Some((at + 1, word.len()));
    }
    if let Some(at) = word.find("K10").filter(|at| word[*at..].contains("::")) {
        return Some((at, word.len()));
    }
    if let Some(at) = word.match_indices('$').map(|(at, _)| at).find(|at| is_hash(&word[*at..])) {
        return Some((at, word.len()));
    }
    // A user and a password before a host, and not a name before a digest.
    let start = word.find("://").map_or(start, |at| at + 3);
    let host = word[start..].find('/').map_or(word.len(), |at| start + at);
    let at = start + word[start..host].rfind('@')?;
    let has_password = word[start..at].contains(':') && !word[at..].starts_with("@sha");
    has_password.then_some((start, at))
}

/// Returns whether a text begins with a hash of a password, such as `$6$salt$…` (crypt(5)).
fn is_hash(text: &str) -> bool {
    let mut parts = text.splitn(3, '$').skip(1);
    let kind = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"./$=,".contains(&byte);
    (1..=2).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && rest.len() >= 16
        && rest.bytes().take(16).all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_seems_secret_is_hidden_and_nothing_else() {
        let contents = Contents(BTreeSet::from(["hunter22".to_owned(), "hunter22-and-more".to_owned()]));
        for (text, shown) in [
            ("`hunter22-and-more` and `hunter22`", "`[secret]` and `[secret]`"),
            ("`k3s agent --token abc` is", "`k3s agent --token [secret]` is"),
            ("`--agent-token=abc`", "`--agent-token=[secret]`"),
            ("`K3S_TOKEN=abc k3s agent`", "`K3S_TOKEN=[secret] k3s agent`"),
            ("`curl -H 'Authorization: Bearer abc'`", "`curl -H 'Authorization: Bearer [secret]'`"),
            ("`usermod -p $6$salt$0123456789abcdef root`", "`usermod -p [secret] root`"),
            ("`K10ab::server:cd` is not an", "`[secret]` is not an"),
            ("`https://me:abc@a.example/x`", "`https://[secret]@a.example/x`"),
            ("`me:abc@a.example`", "`[secret]@a.example`"),
        ] {
            assert_eq!(contents.out_of(text), shown);
        }
        for text in [
            "`a.example/b:1@sha256:0123` is not a full name with a tag",
            "`cp --token-file /etc/x $TOKEN` is not the token that",
            "`--token $token` and `TOKEN=$token`",
            "user-data: getty@tty1.service: it names `k3s@a.service`",
            "a b  c",
        ] {
            assert_eq!(contents.out_of(text), text);
        }
    }
}
