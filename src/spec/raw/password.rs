//! Where passwords are, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where a password is: exactly one of `env`, `secret` and `generate`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PasswordFrom")]
pub(in crate::spec) struct RawPasswordFrom {
    /// The name of an environment variable.
    pub(in crate::spec) env: Option<String>,
    /// The name of a file in the secrets folder; one line end at its end is not part of the password.
    pub(in crate::spec) secret: Option<String>,
    /// The name of a file in the secrets folder; a password of 128 random bits is made there if there is none.
    pub(in crate::spec) generate: Option<String>,
}
