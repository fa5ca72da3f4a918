//! What a kit was made with and must not show.

use crate::secrets::SecretText;

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
