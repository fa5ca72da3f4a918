//! What a node can be told, whatever its role: the rules that a spec is checked by and a seed is built from.
//!
//! A rule stands here once, in the constructor of a type: what the type accepts, a seed can place, and what it
//! refuses, a spec refuses at its line.

mod account;
mod card;
mod disk;
mod list;
mod place;
mod time_zone;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::secrets::SecretText;
pub use account::{InvalidUserName, UserName};
pub use card::{InterfaceName, NetworkCard};
pub use disk::{DiskSize, DiskTraits, InstallDisk, NoSuchDisk};
pub use place::{Destination, NodePath, Unplaceable, owned_by_system};
pub use time_zone::TimeZone;

/// What boots from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// A cloud image, which is configured on its first boot.
    #[default]
    CloudImage,
    /// Ubuntu's server installer, which takes its configuration from the seed.
    Autoinstall,
}

impl Flavour {
    /// Returns its name in the spec, which is also the folder of its templates.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudImage => "cloud-image",
            Self::Autoinstall => "autoinstall",
        }
    }
}

/// A small file of a node that may hold a secret.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// Where it goes.
    pub destination: NodePath,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Its content.
    pub text: SecretText,
}
