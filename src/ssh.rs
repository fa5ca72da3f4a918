//! SSH keys: the pair seedkit makes for the user, and the public keys a user brings.
//!
//! A [`KeyPair`] is Ed25519 in OpenSSH's own format, so that `ssh -i` takes the file as it is. An
//! [`AuthorizedKey`] is one line that `sshd` will accept; nothing that is not such a line gets into a seed.
//!
//! # Why
//! The lines are checked here and not by the crate that writes our keys: it knows fewer types than `sshd`,
//! and a line that `sshd` skips in silence locks the user out of a machine without a network.

use std::str::FromStr;

use ::ssh_key::private::{Ed25519Keypair, KeypairData};
use ::ssh_key::{LineEnding, PrivateKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secrets::SecretText;

/// `sshd` reads lines of at most 8 KiB in older versions; an RSA key of 16384 bits has 2.8 KiB.
const LONGEST_LINE: usize = 8 * 1024;

/// The bytes of the shortest RSA modulus that `sshd` takes from OpenSSH 9.1 on (`RequiredRSASize`).
const SHORTEST_RSA: usize = 1024 / 8;

/// The key types that `sshd` takes in Debian 12, Ubuntu 22.04 and later, and the number of fields of each.
const KEY_TYPES: [(&str, usize); 7] = [
    ("ssh-ed25519", 2),
    ("ssh-rsa", 3),
    ("ecdsa-sha2-nistp256", 3),
    ("ecdsa-sha2-nistp384", 3),
    ("ecdsa-sha2-nistp521", 3),
    ("sk-ssh-ed25519@openssh.com", 3),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 4),
];

/// An Ed25519 key pair, as two files would hold it.
#[derive(Debug, Clone)]
pub struct KeyPair {
    private: SecretText,
    public: AuthorizedKey,
}

/// One line of `authorized_keys`: options if any, type, base64, comment; never a line end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
pub struct AuthorizedKey(String);

/// Says why a key pair cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyPairError {
    /// The operating system has no random numbers.
    #[error("cannot get random numbers for an SSH key")]
    Random(#[source] getrandom::Error),
    /// The comment would break the line.
    #[error("the comment of an SSH key is one line of at most 200 characters")]
    Comment,
    /// The text is not an OpenSSH private key.
    #[error("the SSH private key is not in OpenSSH format (`BEGIN OPENSSH PRIVATE KEY`)")]
    Format(#[source] ::ssh_key::Error),
    /// The pair belongs to a type that cannot log in.
    #[error("the public half of the SSH private key is not usable")]
    Public(#[source] InvalidAuthorizedKey),
}

/// Says why a text is not a line of `authorized_keys`; a private key is never repeated in it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidAuthorizedKey {
    /// The wrong half was pasted.
    #[error("this is a private key: give the public one, the line in the file whose name ends in `.pub`")]
    PrivateKey,
    /// A second line could smuggle in a second key.
    #[error("an SSH public key is one line: this text holds a line end or another control character")]
    NotOneLine,
    /// Longer than what `sshd` reads.
    #[error("an SSH public key has at most {LONGEST_LINE} characters, this one has {0}")]
    TooLong(usize),
    /// No known type, with or without options before it.
    #[error("`{0}` is not an SSH public key: expected a type such as `ssh-ed25519`, then base64")]
    Type(String),
    /// The base64 part is missing or damaged, as by a copy that stopped too early.
    #[error("the `{key_type}` key is damaged: {reason}")]
    Damaged {
        /// The type it claims to be.
        key_type: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl KeyPair {
    /// Makes a pair with random numbers of the operating system.
    ///
    /// To be called once for each lab: the pair is kept in the secrets and is an input afterwards.
    pub fn generate_ed25519(comment: &str) -> Result<Self, KeyPairError> {
        if comment.chars().any(char::is_control) || comment.len() > 200 {
            return Err(KeyPairError::Comment);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeyPairError::Random)?;
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, comment).map_err(KeyPairError::Format)?;
        let text = key.to_openssh(LineEnding::LF).map_err(KeyPairError::Format)?;
        Self::from_openssh(SecretText::from(text.to_string()))
    }

    /// Reads a private key; its public half lies in the clear even if a passphrase protects the rest.
    pub fn from_openssh(private: SecretText) -> Result<Self, KeyPairError> {
        let key = PrivateKey::from_openssh(private.expose()).map_err(KeyPairError::Format)?;
        let line = key.public_key().to_openssh().map_err(KeyPairError::Format)?;
        let public = line.parse().map_err(KeyPairError::Public)?;
        Ok(Self { private, public })
    }

    /// Returns the private key file, to be written with mode 0600.
    pub fn private(&self) -> &SecretText {
        &self.private
    }

    /// Returns the public key, with the comment.
    pub fn public(&self) -> &AuthorizedKey {
        &self.public
    }
}

impl AuthorizedKey {
    /// Returns the line, without a line end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a line without options has the same key, whatever its comment.
    pub fn is_same_key(&self, line: &str) -> bool {
        self.0.split_whitespace().take(2).eq(line.split_whitespace().take(2))
    }
}

impl FromStr for AuthorizedKey {
    type Err = InvalidAuthorizedKey;

    /// Reads one line as sshd(8) describes it under "AUTHORIZED_KEYS FILE FORMAT"; spaces around it are dropped.
    fn from_str(text: &str) -> Result<Self, InvalidAuthorizedKey> {
        // First of all, so that no other message repeats a part of it.
        if text.contains("PRIVATE KEY") {
            return Err(InvalidAuthorizedKey::PrivateKey);
        }
        let line = text.trim();
        if line.len() > LONGEST_LINE {
            return Err(InvalidAuthorizedKey::TooLong(line.len()));
        }
        if line.chars().any(|character| character.is_control() && character != '\t') {
            return Err(InvalidAuthorizedKey::NotOneLine);
        }
        let key = if key_type(line).is_some() { line } else { after_options(line) };
        let Some((name, fields)) = key_type(key) else {
            return Err(InvalidAuthorizedKey::Type(line.chars().take(30).collect()));
        };
        let damaged = |reason| InvalidAuthorizedKey::Damaged { key_type: name, reason };
        let encoded = key
            .split_ascii_whitespace()
            .nth(1)
            .ok_or_else(|| damaged("there is no base64 after the type"))?;
        let blob = STANDARD.decode(encoded).map_err(|_| damaged("what follows the type is not base64"))?;
        let blob = split_fields(&blob).ok_or_else(|| damaged("it ends too early"))?;
        if blob.first() != Some(&name.as_bytes()) {
            return Err(damaged("its base64 holds a key of another type"));
        }
        if blob.len() != fields || blob.iter().any(|field| field.is_empty()) {
            return Err(damaged("it has too many or too few fields"));
        }
        if name == "ssh-rsa" && blob[2].iter().skip_while(|byte| **byte == 0).count() < SHORTEST_RSA {
            return Err(damaged("it has fewer than 1024 bits, and sshd refuses it"));
        }
        Ok(Self(line.to_owned()))
    }
}

/// Returns the type with which `line` begins, and how many fields a key of this type has.
fn key_type(line: &str) -> Option<(&'static str, usize)> {
    let word = line.split_ascii_whitespace().next()?;
    KEY_TYPES.into_iter().find(|(name, _)| *name == word)
}

/// Returns what follows the options: they end at the first blank outside of double quotes.
fn after_options(line: &str) -> &str {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (position, byte) in line.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => is_quoted = !is_quoted,
            b' ' | b'\t' if !is_quoted => return line[position..].trim_start(),
            _ => {}
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    ""
}

/// Splits the wire format (RFC 4251, section 5, `string`): a length of four bytes before each field.
fn split_fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn a_pair_is_read_back_as_it_was_made() {
        let made = KeyPair::generate_ed25519("seedkit lab").unwrap();
        let read = KeyPair::from_openssh(made.private().clone()).unwrap();
        assert_eq!(read.public(), made.public());
        assert!(
            made.public().as_str().starts_with("ssh-ed25519 ")
                && made.public().as_str().ends_with(" seedkit lab")
        );
        assert!(!format!("{made:?}").contains("PRIVATE"), "{made:?}");
    }

    #[test]
    fn two_pairs_differ() {
        let public = || KeyPair::generate_ed25519("").unwrap().public().clone();
        assert_ne!(public(), public());
    }

    #[test]
    fn a_comment_that_breaks_the_line_is_refused() {
        assert!(matches!(KeyPair::generate_ed25519("a\nssh-rsa"), Err(KeyPairError::Comment)));
    }

    #[test]
    fn lines_with_options_and_blanks_are_accepted() {
        let options = r#"restrict,command="echo \"a b\" ssh-rsa",from="10.0.0.0/8""#;
        for line in
            [GOOD.to_owned(), format!("  {GOOD}\n"), format!("{options} {GOOD}"), GOOD.replace(' ', "\t")]
        {
            assert_eq!(line.parse::<AuthorizedKey>().unwrap().as_str(), line.trim(), "{line}");
        }
    }

    #[test]
    fn what_sshd_would_skip_is_refused_with_the_reason() {
        let (key_type, blob) =
            ("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti");
        for (line, reason) in [
            (format!("{GOOD}\n{GOOD}"), "one line"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn".to_owned(), "private key"),
            ("x".repeat(9000), "at most 8192 characters"),
            (String::new(), "expected a type"),
            (format!("ssh-dss {blob}"), "expected a type"),
            (format!("command=\"{GOOD}"), "expected a type"),
            (key_type.to_owned(), "no base64"),
            (format!("{key_type} {}!", &blob[1..]), "not base64"),
            (format!("{key_type} {}", &blob[..blob.len() - 4]), "ends too early"),
            (format!("ssh-rsa {blob}"), "another type"),
            (format!("{key_type} AAAAC3NzaC1lZDI1NTE5"), "too few fields"),
        ] {
            let message = line.parse::<AuthorizedKey>().unwrap_err().to_string();
            assert!(message.contains(reason), "{line}: {message}");
        }
    }
}
