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
    user: User,
    password: SecretText,
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
    /// A token of servers where that of agents belongs, or the other way round.
    #[error(
        "the token is for `{found}`, and here belongs one for `{expected}`: `K10<hash>::{expected}:<password>`"
    )]
    User {
        /// Whom the token names.
        found: User,
        /// Whom it should name.
        expected: User,
    },
    /// The hash is that of another cluster's authority.
    #[error("the token begins with the hash of another certificate authority than the cluster's own")]
    ForeignAuthority,
    /// The hash is that of an authority which does not exist yet.
    #[error(
        "the token begins with the hash of a certificate authority, but k3s makes the cluster's own only when the \
         first server starts"
    )]
    UnknownAuthority,
}

/// Who joins with a token, as k3s names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum User {
    /// Servers: whoever has their token is an administrator.
    #[display("server")]
    Server,
    /// Agents.
    #[display("node")]
    Node,
}

impl Token {
    /// Checks a token that lies in the secrets, and is for `user`; line ends after it are dropped.
    pub fn from_secret(secret: &SecretText, user: User) -> Result<Self, InvalidToken> {
        let text = secret.expose_line();
        if text.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if text.len() > LONGEST_TOKEN {
            return Err(InvalidToken::TooLong);
        }
        let (authority_hash, password) = match text.strip_prefix("K10") {
            Some(rest) => {
                let (hash, found, password) = parse_full_form(rest)?;
                if found != user {
                    return Err(InvalidToken::User { found, expected: user });
                }
                (Some(hash.to_owned()), password)
            }
            None => (None, text),
        };
        check_password(password)?;
        Ok(Self { user, password: SecretText::from(password.to_owned()), authority_hash })
    }

    /// Returns the token's secret part, which is also its short form.
    pub fn password(&self) -> &SecretText {
        &self.password
    }

    /// Returns the token as nodes carry it: with the hash of the cluster's authority where it is known.
    ///
    /// With the hash, a node talks to no other cluster: it compares it before it sends the password.
    ///
    /// # Errors
    /// If the token in the secrets holds another hash, or any while none can be known.
    pub fn for_nodes(&self, authority_hash: Option<&str>) -> Result<SecretText, InvalidToken> {
        match (authority_hash, self.authority_hash.as_deref()) {
            (None, None) => Ok(self.password.clone()),
            (None, Some(_)) => Err(InvalidToken::UnknownAuthority),
            (Some(known), Some(own)) if known != own => Err(InvalidToken::ForeignAuthority),
            (Some(known), _) => {
                Ok(SecretText::from(format!("K10{known}::{}:{}", self.user, self.password.expose())))
            }
        }
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

/// Reads what follows `K10`: the hash, the user, the password.
fn parse_full_form(rest: &str) -> Result<(&str, User, &str), InvalidToken> {
    let (hash, credentials) = rest.split_once("::").ok_or(InvalidToken::AuthorityHash)?;
    // k3s compares the hash as text, and makes it in lower case.
    if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(InvalidToken::AuthorityHash);
    }
    match credentials.split_once(':') {
        Some((_, "")) => Err(InvalidToken::Credentials),
        Some(("server", password)) => Ok((hash, User::Server, password)),
        Some(("node", password)) => Ok((hash, User::Node, password)),
        Some(_) => Err(InvalidToken::Credentials),
        None if is_bootstrap_form(credentials) => Err(InvalidToken::Bootstrap),
        None => Err(InvalidToken::Credentials),
    }
}

fn check_password(text: &str) -> Result<(), InvalidToken> {
    // No quotes, `#`, `:` or blanks: they mean something in YAML, in shells and in the token itself.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+/=".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err(InvalidToken::Characters);
    }
    if is_bootstrap_form(text) { Err(InvalidToken::Bootstrap) } else { Ok(()) }
}

/// Returns whether kubeadm would take `text` for a bootstrap token: `[a-z0-9]{6}\.[a-z0-9]{16}`.
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
        Token::from_secret(&SecretText::from(text.to_owned()), User::Server)
    }

    #[test]
    fn a_generated_token_is_64_hex_digits_and_accepted() {
        let (one, other) = (generate_token().unwrap(), generate_token().unwrap());
        assert_ne!(one, other);
        let token = Token::from_secret(&one, User::Server).unwrap();
        let text = token.password().expose();
        assert!(text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(generate_node_password().unwrap().expose_line().len(), 32);
    }

    #[test]
    fn nodes_carry_the_hash_where_it_is_known() {
        let full = format!("K10{HASH}::server:secret");
        let agents = Token::from_secret(&SecretText::from("secret\n".to_owned()), User::Node).unwrap();
        let short = parse("secret\r\n").unwrap();
        let carried = |token: &Token, hash| token.for_nodes(hash).map(|text| text.expose().to_owned());
        assert_eq!(carried(&short, None), Ok("secret".to_owned()));
        assert_eq!(carried(&short, Some(HASH)), Ok(full.clone()));
        assert_eq!(carried(&agents, Some(HASH)), Ok(format!("K10{HASH}::node:secret")));
        let token = parse(&full).unwrap();
        assert_eq!(token.password().expose(), "secret");
        assert_eq!(carried(&token, Some(HASH)), Ok(full));
        let foreign = HASH.replace('0', "1");
        assert_eq!(carried(&token, Some(&foreign)), Err(InvalidToken::ForeignAuthority));
        assert_eq!(carried(&token, None), Err(InvalidToken::UnknownAuthority));
    }

    #[test]
    fn what_k3s_would_die_of_is_refused() {
        let node = InvalidToken::User { found: User::Node, expected: User::Server };
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
            (&format!("K10{HASH}::node:secret"), node),
            (&format!("K10{HASH}::server:a b"), InvalidToken::Characters),
            (&format!("K10{HASH}::abcdef.0123456789abcdef"), InvalidToken::Bootstrap),
            (&format!("K10{HASH}::server:abcdef.0123456789abcdef"), InvalidToken::Bootstrap),
        ] {
            assert_eq!(parse(text).unwrap_err(), reason, "{text}");
        }
    }
}
