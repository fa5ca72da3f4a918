//! The user that is made on each node.

use std::str::FromStr;

use super::list;

/// Accounts and groups that systems have already, one a line, with where they were read in comments before them.
const TAKEN: &str = include_str!("accounts.txt");

/// What useradd takes (`LOGIN_NAME_MAX` of utmp).
const LONGEST: usize = 32;

/// Says why a text is not the name of a user to make.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUserName {
    /// No system takes it.
    #[error("`{0}` is not a user name")]
    Misspelt(String),
    /// cloud-init makes no account that is there, and useradd none whose group is there.
    #[error("`{0}` is an account or a group that systems have already")]
    Taken(String),
}

/// The name of the user that is made: lower-case letters, digits, `-` and `_`, and nobody else's.
///
/// `root` is taken as well, and accepted: SSH lets it in with a key.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub struct UserName(String);

impl UserName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is the account that every system has, and that may do everything.
    pub fn is_root(&self) -> bool {
        self.0 == "root"
    }

    /// Returns the folder that is theirs on each node.
    pub fn home(&self) -> String {
        if self.is_root() { "/root".to_owned() } else { format!("/home/{self}") }
    }
}

impl Default for UserName {
    fn default() -> Self {
        Self("k3s".to_owned())
    }
}

impl FromStr for UserName {
    type Err = InvalidUserName;

    fn from_str(text: &str) -> Result<Self, InvalidUserName> {
        let is_user = text.len() <= LONGEST
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        if !is_user {
            return Err(InvalidUserName::Misspelt(text.chars().take(100).collect()));
        }
        if text != "root" && list::has(TAKEN, text) {
            return Err(InvalidUserName::Taken(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_that_no_system_has_already() {
        for name in ["k3s", "ops", "_ops", "ubuntu", "root", &"a".repeat(32)] {
            assert_eq!(name.parse::<UserName>().unwrap().as_str(), name);
        }
        for name in ["", "Ops", "1a", "a b", "ops$", "a.b", &"a".repeat(33)] {
            assert_eq!(name.parse::<UserName>(), Err(InvalidUserName::Misspelt(name.to_owned())));
        }
        for name in ["daemon", "www-data", "sudo", "sshd", "systemd-network", "_apt"] {
            assert_eq!(name.parse::<UserName>(), Err(InvalidUserName::Taken(name.to_owned())));
        }
    }

    #[test]
    fn what_is_taken_is_sorted_and_could_be_a_user() {
        let names: Vec<&str> = list::entries(TAKEN).collect();
        assert!(names.is_sorted() && names.len() > 70, "{names:?}");
        for name in names {
            assert_ne!(name.parse::<UserName>(), Err(InvalidUserName::Misspelt(name.to_owned())));
        }
    }
}
