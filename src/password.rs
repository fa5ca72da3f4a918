//! Hashes of passwords, as `/etc/shadow` holds them: SHA-512 crypt, which every Linux knows.
//!
//! ```text
//! $6$rounds=100000$<salt>$<hash>
//! ```
//!
//! # Why
//! A seed lies on a disc: whoever has it can try passwords against the hash. Twenty times the usual rounds make each
//! try slower, and a login by a fraction of a second. yescrypt would be better, and is not everywhere.

use sha_crypt::{
    Algorithm, CustomizedPasswordHasher, Params, PasswordHash as Parsed, PasswordVerifier, ShaCrypt,
};

use crate::secrets::SecretText;

/// Of the hashes made here.
const ROUNDS: u32 = 100_000;
/// A hash with more would keep a login, and us, busy for minutes.
const MOST_ROUNDS: u32 = 10_000_000;
/// Becomes 16 characters, the longest that counts.
const SALT_BYTES: usize = 12;
/// libcrypt takes at most 511 bytes.
const LONGEST_PASSWORD: usize = 256;

/// The SHA-512 crypt of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(SecretText);

/// Says why there is no hash; neither password nor hash is repeated in it.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum InvalidPassword {
    /// Nothing at all.
    #[error("the password is empty")]
    Empty,
    /// More than a login takes.
    #[error("the password has more than {LONGEST_PASSWORD} bytes")]
    TooLong,
    /// What no keyboard types, such as a second line.
    #[error("the password has a control character or more than one line")]
    Control,
    /// The operating system has no random numbers.
    #[error("cannot get random numbers for a salt")]
    Random(#[source] getrandom::Error),
    /// A text that is not a hash, or one of another kind.
    #[error("this is not a hash of a password: expected `$6$…`, as `openssl passwd -6` prints it")]
    Hash,
}

impl PasswordHash {
    /// Hashes a password with a salt of its own.
    ///
    /// To be called once for a password: the hash is kept in the secrets and is an input afterwards.
    pub fn generate(password: &SecretText) -> Result<Self, InvalidPassword> {
        let password = checked(password)?;
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(InvalidPassword::Random)?;
        let params = Params::new(ROUNDS).expect("the number of rounds is within the limits of the format");
        let hash = ShaCrypt::new(Algorithm::Sha512Crypt, params)
            .hash_password_customized(password.as_bytes(), &salt, None, None, params)
            .expect("a salt of letters and digits is always a valid field");
        Ok(Self(format!("{}\n", hash.as_str()).into()))
    }

    /// Reads a hash that was made here or by another program.
    pub fn from_secret(text: &SecretText) -> Result<Self, InvalidPassword> {
        if is_hash(text.expose_line()) { Ok(Self(text.clone())) } else { Err(InvalidPassword::Hash) }
    }

    /// Returns the hash as a line of the secrets folder, with its end.
    pub fn text(&self) -> &SecretText {
        &self.0
    }

    /// Returns whether this is the hash of `password`.
    pub fn is_of(&self, password: &SecretText) -> Result<bool, InvalidPassword> {
        let password = checked(password)?;
        let hash = Parsed::new(self.0.expose_line()).map_err(|_| InvalidPassword::Hash)?;
        Ok(ShaCrypt::SHA512.verify_password(password.as_bytes(), &hash).is_ok())
    }
}

fn checked(password: &SecretText) -> Result<&str, InvalidPassword> {
    let password = password.expose_line();
    if password.is_empty() {
        return Err(InvalidPassword::Empty);
    }
    if password.len() > LONGEST_PASSWORD {
        return Err(InvalidPassword::TooLong);
    }
    if password.chars().any(char::is_control) { Err(InvalidPassword::Control) } else { Ok(password) }
}

/// Returns whether `text` is `$6$`, perhaps `rounds=N$`, up to 16 characters of salt, `$` and 86 of a hash.
fn is_hash(text: &str) -> bool {
    let is_crypt =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    let Some(rest) = text.strip_prefix("$6$") else { return false };
    let rest = match rest.strip_prefix("rounds=").map(|rest| rest.split_once('$')) {
        None => rest,
        Some(Some((rounds, rest))) if is_number_of_rounds(rounds) => rest,
        Some(_) => return false,
    };
    rest.split_once('$').is_some_and(|(salt, hash)| {
        (1..=16).contains(&salt.len()) && hash.len() == 86 && is_crypt(salt) && is_crypt(hash)
    })
}

fn is_number_of_rounds(text: &str) -> bool {
    let is_plain = !text.starts_with(['0', '+']);
    is_plain && text.parse().is_ok_and(|rounds: u32| (Params::ROUNDS_MIN..=MOST_ROUNDS).contains(&rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretText {
        text.to_owned().into()
    }

    #[test]
    fn a_hash_is_of_its_password_alone_and_has_a_salt_of_its_own() {
        let password = secret("비밀 'quoted' \"$6$\" #\n");
        let (one, other) =
            (PasswordHash::generate(&password).unwrap(), PasswordHash::generate(&password).unwrap());
        assert_ne!(one, other);
        for hash in [&one, &other] {
            assert_eq!(PasswordHash::from_secret(hash.text()).as_ref(), Ok(hash));
            assert_eq!(hash.is_of(&password), Ok(true));
            assert_eq!(hash.is_of(&secret("비밀 'quoted' \"$6$\" # ")), Ok(false));
        }
        assert!(!format!("{one:?}").contains("$6$"));
    }

    #[test]
    fn passwords_that_nobody_can_type_are_refused() {
        for (text, error) in [
            ("", InvalidPassword::Empty),
            ("\n", InvalidPassword::Empty),
            ("two\nlines", InvalidPassword::Control),
            ("tab\there", InvalidPassword::Control),
            (&"x".repeat(257), InvalidPassword::TooLong),
        ] {
            assert_eq!(PasswordHash::generate(&secret(text)), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = "x".repeat(86);
        for text in [format!("$6$salt${hash}"), format!("$6$rounds=5000$salt${hash}\n")] {
            assert!(PasswordHash::from_secret(&secret(&text)).is_ok(), "{text}");
        }
        for text in [
            "".to_owned(),
            "password".to_owned(),
            format!("$5$salt${hash}"),
            format!("$y$j9T$salt${hash}"),
            format!("$6$${hash}"),
            format!("$6$saltsaltsaltsalts${hash}"),
            format!("$6$sa:t${hash}"),
            format!("$6$salt${hash}x"),
            format!("$6$salt${}:", "x".repeat(85)),
            format!("$6$rounds=999$salt${hash}"),
            format!("$6$rounds=999999999$salt${hash}"),
            format!("$6$rounds=+5000$salt${hash}"),
            format!("$6$rounds=${hash}"),
            format!("$6$salt${hash}\nx"),
        ] {
            assert_eq!(PasswordHash::from_secret(&secret(&text)), Err(InvalidPassword::Hash), "{text}");
        }
    }
}
