//! What is wrong with a text.

use super::login::without_login;

/// Says why a text is not what it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not {expected}")]
pub struct Invalid {
    text: String,
    expected: &'static str,
}

impl Invalid {
    /// Says that `text`, cut where it is long and without a login, is not what was `expected`.
    pub fn new(text: &str, expected: &'static str) -> Self {
        Self { text: without_login(text).chars().take(100).collect(), expected }
    }
}
