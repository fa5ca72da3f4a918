//! k3s' configuration, tokens, and how nodes join.

pub(super) mod configuration;
mod leaks;
pub(super) mod secrets;
pub(super) mod tokens;
