//! The tokens with which nodes join: made once, kept in the secrets, checked when a user brought them.
//!
//! The grammar is that of k3s, `pkg/clientaccess/token.go`: `K10<CA hash>::<user>:<password>` is the full
//! form, any other text the short one. What k3s would die of at its first start is refused here.
//!
//! # Why
//! Servers and agents get different tokens: a server token is an administrator's password, and it must not
//! lie on a worker's ISO. Bootstrap tokens (`abcdef.0123456789abcdef`, what `k3s token generate` prints) are
//! refused for both: they are fatal as a server token, and an agent needs them created in a running cluster.

use crate::secrets::SecretText;

const LONGEST_TOKEN: usize = 512;

/// A token that k3s accepts in `token:` or `agent-token:`.
#[derive(Debug, Clone)]
pub struct Token {
    text: SecretText,
    authority_hash: Option<String>,
}

/// Says why a text is not a usable token; the token itself is never repeated in it.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum InvalidToken {
    /// Nothing at all.
    #[error("the token is empty")]
    Empty,
    /// More than any token needs.
    #[error("the token has more than {LONGEST_TOKEN} characters")]
    TooLong,
    /// Characters that some file on the way to k3s would read as its own.
    #[error("the token holds a character other than letters, digits, `-`, `_`, `.`, `+`, `/` and `=`")]
    Characters,
    /// k3s: "failed to normalize server token".
    #[error(
        "the token has the form of a bootstrap token, as `k3s token generate` prints it; k3s cannot start with it"
    )]
    Bootstrap,
    /// `K10` without 64 hexadecimal digits and `::`.
    #[error("the token begins with `K10` but not with `K10`, 64 lower-case hexadecimal digits and `::`")]
    AuthorityHash,
    /// The part after `::`.
    #[error("the token begins with `K10` but does not end with `server:<password>` or `node:<password>`")]
    Credentials,
}

impl Token {
    /// Checks a token that lies in the secrets; line ends after it are dropped.
    pub fn from_secret(secret: &SecretText) -> Result<Self, InvalidToken> {
        let text = secret.expose_line();
        if text.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if text.len() > LONGEST_TOKEN {
            return Err(InvalidToken::TooLong);
        }
        let authority_hash = match text.strip_prefix("K10") {
            Some(rest) => Some(parse_full_form(rest)?.to_owned()),
            None => {
                check_password(text)?;
                None
            }
        };
        Ok(Self { text: SecretText::from(text.to_owned()), authority_hash })
    }

    /// Returns the token as it is written to k3s' configuration.
    pub fn text(&self) -> &SecretText {
        &self.text
    }

    /// Returns the SHA-256 of the cluster's CA that a full token demands, in hexadecimal; `None` for a short one.
    ///
    /// A first server starts with a full token only if that very CA was made beforehand and lies on the node.
    pub fn authority_hash(&self) -> Option<&str> {
        self.authority_hash.as_deref()
    }
}

/// Makes a server or agent token: 256 random bits in hexadecimal, and a line end.
///
/// To be called once for each: the token is kept in the secrets and is an input afterwards.
pub fn generate_token() -> Result<SecretText, getrandom::Error> {
    generate_hex::<32>()
}

/// Makes the password with which one node proves its name, in the form of k3s' own: 128 random bits.
///
/// It belongs in `/etc/rancher/node/password`. A node that is rebuilt with it may take its name again.
pub fn generate_node_password() -> Result<SecretText, getrandom::Error> {
    generate_hex::<16>()
}

fn generate_hex<const BYTES: usize>() -> Result<SecretText, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(SecretText::from(hex + "\n"))
}

/// Reads what follows `K10` and returns the hash.
fn parse_full_form(rest: &str) -> Result<&str, InvalidToken> {
    let (hash, credentials) = rest.split_once("::").ok_or(InvalidToken::AuthorityHash)?;
    // k3s compares the hash as text, and makes it in lower case.
    if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(InvalidToken::AuthorityHash);
    }
    match credentials.split_once(':') {
        Some(("server" | "node", password)) if !password.is_empty() => check_password(password)?,
        Some(_) => return Err(InvalidToken::Credentials),
        None if is_bootstrap_form(credentials) => return Err(InvalidToken::Bootstrap),
        None => return Err(InvalidToken::Credentials),
    }
    Ok(hash)
}

fn check_password(text: &str) -> Result<(), InvalidToken> {
    // No quotes, `#`, `:` or blanks: they mean something in YAML, in shells and in the token itself.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err(InvalidToken::Characters);
    }
    if is_bootstrap_form(text) { Err(InvalidToken::Bootstrap) } else { Ok(()) }
}

/// Tells whether kubeadm would take `text` for a bootstrap token: `[a-z0-9]{6}\.[a-z0-9]{16}`.
fn is_bootstrap_form(text: &str) -> bool {
    let is_part = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| is_part(id, 6) && is_part(secret, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn parse(text: &str) -> Result<Token, InvalidToken> {
        Token::from_secret(&SecretText::from(text.to_owned()))
    }

    #[test]
    fn a_generated_token_is_64_hex_digits_and_accepted() {
        let (one, other) = (generate_token().unwrap(), generate_token().unwrap());
        assert_ne!(one, other);
        let token = Token::from_secret(&one).unwrap();
        let text = token.text().expose();
        assert!(text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(generate_node_password().unwrap().expose_line().len(), 32);
    }

    #[test]
    fn short_and_full_tokens_are_told_apart() {
        assert_eq!(parse("aSimple-token_1.2\r\n").unwrap().authority_hash(), None);
        for user in ["server", "node"] {
            let token = parse(&format!("K10{HASH}::{user}:secret")).unwrap();
            assert_eq!(token.authority_hash(), Some(HASH));
        }
    }

    #[test]
    fn what_k3s_would_die_of_is_refused() {
        for (text, reason) in [
            ("", InvalidToken::Empty),
            ("\n", InvalidToken::Empty),
            (&"x".repeat(513), InvalidToken::TooLong),
            ("two words", InvalidToken::Characters),
            ("user:password", InvalidToken::Characters),
            ("line\nline", InvalidToken::Characters),
            ("it's", InvalidToken::Characters),
            ("abcdef.0123456789abcdef", InvalidToken::Bootstrap),
            ("K10", InvalidToken::AuthorityHash),
            ("K10abc::server:secret", InvalidToken::AuthorityHash),
            (&format!("K10{}::server:secret", HASH.to_uppercase()), InvalidToken::AuthorityHash),
            (&format!("K10{HASH}::server:"), InvalidToken::Credentials),
            (&format!("K10{HASH}::root:secret"), InvalidToken::Credentials),
            (&format!("K10{HASH}::secret"), InvalidToken::Credentials),
            (&format!("K10{HASH}::abcdef.0123456789abcdef"), InvalidToken::Bootstrap),
        ] {
            assert_eq!(parse(text).unwrap_err(), reason, "{text}");
        }
    }
}
