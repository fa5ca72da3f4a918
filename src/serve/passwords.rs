//! Basic authentication (RFC 7617) against a file of names and passwords.
//!
//! A line is `name:password` or, as `htpasswd -B` writes it, `name:` and a bcrypt hash. Comparisons take as long
//! for a wrong password as for an unknown name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use hyper::header::HeaderValue;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::digest::Digest;
use crate::secrets::{SecretsError, load_file};

/// What the hashes of bcrypt begin with.
const BCRYPT: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
/// What other hashes begin with, which are not understood.
const OTHER_HASHES: [&str; 6] = ["$apr1$", "$1$", "$5$", "$6$", "$y$", "{SHA}"];
/// Costs above this take seconds for each request.
const HIGHEST_COST: u32 = 14;
/// How many hashes are computed at once: each keeps a core busy.
const HASHES_AT_ONCE: usize = 2;

/// Why a file of passwords cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// It cannot be read, or others can read it.
    #[error("cannot use the file of passwords")]
    Read(#[from] SecretsError),
    /// It is not there.
    #[error("there is no `{0}`")]
    Missing(PathBuf),
    /// A line is not one of them.
    #[error("line {line} of `{path}` {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it; says nothing of its content.
        problem: &'static str,
    },
    /// It names nobody.
    #[error("`{0}` names nobody")]
    Empty(PathBuf),
}

/// Who may read, and how they prove it.
#[derive(derive_more::Debug)]
#[debug("Passwords({} users)", users.len())]
pub struct Passwords {
    users: BTreeMap<String, Password>,
    /// What unknown names are compared with.
    decoy: Password,
    /// The digest of the password that a user's hash was last found to fit: bcrypt is slow on purpose, and
    /// every request carries the password.
    proved: Mutex<BTreeMap<String, Digest>>,
    hashing: Semaphore,
}

#[derive(Clone)]
enum Password {
    /// The digest of a password: two of them have one length.
    Digest(Digest),
    Bcrypt(Arc<str>),
}

impl Passwords {
    /// Reads a file that nobody but its owner may read.
    pub fn load(path: &Path) -> Result<Self, PasswordsError> {
        let text = match load_file(path) {
            Ok(text) => text.ok_or_else(|| PasswordsError::Missing(path.to_owned()))?,
            Err(SecretsError::Empty(path)) => return Err(PasswordsError::Empty(path)),
            Err(error) => return Err(error.into()),
        };
        let mut users = BTreeMap::new();
        for (line, number) in text.expose().lines().zip(1..) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |problem| PasswordsError::Line { path: path.to_owned(), line: number, problem };
            let (name, password) = parse(line).map_err(fail)?;
            if users.insert(name.to_owned(), password).is_some() {
                return Err(fail("names somebody a second time"));
            }
        }
        let is_hash = |password: &&Password| matches!(password, Password::Bcrypt(_));
        let decoy = users.values().find(is_hash).or_else(|| users.values().next()).cloned();
        let decoy = decoy.ok_or_else(|| PasswordsError::Empty(path.to_owned()))?;
        Ok(Self { users, decoy, proved: Mutex::default(), hashing: Semaphore::new(HASHES_AT_ONCE) })
    }

    /// Returns whether an `Authorization` header proves who somebody is.
    pub(super) async fn accept(&self, header: Option<&HeaderValue>) -> bool {
        let Some((name, password)) = header.and_then(decode) else { return false };
        let user = self.users.get(&name);
        let is_right = self.compare(&name, user.unwrap_or(&self.decoy), password).await;
        is_right && user.is_some()
    }

    async fn compare(&self, name: &str, expected: &Password, password: String) -> bool {
        let given = Digest::sha256(password.as_bytes());
        let hash = match expected {
            Password::Digest(digest) => return is_equal(digest, &given),
            Password::Bcrypt(hash) => Arc::clone(hash),
        };
        let proved = self.proved.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if proved.is_some_and(|proved| is_equal(&proved, &given)) {
            return true;
        }
        let Ok(_permit) = self.hashing.acquire().await else { return false };
        let verify = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let is_right = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
        if is_right && self.users.contains_key(name) {
            self.proved.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), given);
        }
        is_right
    }
}

fn is_equal(one: &Digest, other: &Digest) -> bool {
    one.bytes().ct_eq(other.bytes()).into()
}

/// Reads `name:password` or `name:hash`.
fn parse(line: &str) -> Result<(&str, Password), &'static str> {
    let (name, password) = line.split_once(':').ok_or("has no colon between name and password")?;
    if name.is_empty() || password.is_empty() {
        return Err("has no name or no password");
    }
    if OTHER_HASHES.iter().any(|hash| password.starts_with(hash)) {
        return Err("has a hash that is not bcrypt's: make it with `htpasswd -B`");
    }
    if !BCRYPT.iter().any(|hash| password.starts_with(hash)) {
        return Ok((name, Password::Digest(Digest::sha256(password.as_bytes()))));
    }
    let parts: bcrypt::HashParts = password.parse().map_err(|_| "has a damaged hash")?;
    if parts.get_cost() > HIGHEST_COST {
        return Err("has a hash of a cost above 14, which takes too long for each request");
    }
    Ok((name, Password::Bcrypt(password.into())))
}

/// Reads the name and the password of an `Authorization: Basic` header.
fn decode(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `htpasswd -nbBC 4 hashed 's3cret pass:word'`
    const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuWqE.ZbojV4lW1JhHwMXr3EQklLDUc6y";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        crate::fs::create_new(&path, text.as_bytes(), mode).unwrap();
        (folder, path)
    }

    fn basic(text: &str) -> HeaderValue {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn the_right_password_and_no_other_opens() {
        let (_folder, path) = file(&format!("# users\r\n\nplain:a:b\nhashed:{HASH}\r\n"), 0o600);
        let passwords = Passwords::load(&path).unwrap();
        let accept = |header: Option<&HeaderValue>| block_on(passwords.accept(header));
        for right in ["plain:a:b", "hashed:s3cret pass:word", "hashed:s3cret pass:word"] {
            assert!(accept(Some(&basic(right))), "{right}");
        }
        for wrong in [
            "plain:a",
            "plain:",
            "hashed:s3cret",
            "hashed:",
            "other:a:b",
            "nobody",
            "",
            &format!("hashed:{HASH}"),
        ] {
            assert!(!accept(Some(&basic(wrong))), "{wrong}");
        }
        let unnamed = basic("other:s3cret pass:word");
        assert!(!accept(Some(&unnamed)) && !accept(Some(&unnamed)), "the decoy's password is nobody's");
        assert!(!accept(None));
        for header in ["Bearer abc", "Basic !!", "Basic", "basic"] {
            assert!(!accept(Some(&HeaderValue::from_static(header))), "{header}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let (_folder, path) = file("a:b\n", 0o640);
        let error = Passwords::load(&path).unwrap_err();
        let because = std::error::Error::source(&error).unwrap().to_string();
        assert!(because.contains("is open to other users (mode 0640)"), "{because}");
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named_and_not_repeated() {
        for (line, problem) in [
            ("secret", "has no colon between name and password"),
            (":secret", "has no name or no password"),
            ("secret:", "has no name or no password"),
            ("a:$apr1$secret", "has a hash that is not bcrypt's: make it with `htpasswd -B`"),
            ("a:$2y$05$secret", "has a damaged hash"),
            (
                &format!("a:{}", HASH.replace("$05$", "$15$")),
                "has a hash of a cost above 14, which takes too long for each request",
            ),
            ("first:again", "names somebody a second time"),
        ] {
            let (_folder, path) = file(&format!("first:x\n{line}\n"), 0o600);
            let message = Passwords::load(&path).unwrap_err().to_string();
            assert_eq!(message, format!("line 2 of `{}` {problem}", path.display()));
        }
        let (_folder, path) = file("# nobody\n", 0o600);
        assert!(Passwords::load(&path).unwrap_err().to_string().ends_with("names nobody"));
    }
}
