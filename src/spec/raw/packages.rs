//! Packages for the nodes, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Debian packages to install on the nodes without a network.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Packages")]
pub(in crate::spec) struct RawPackages {
    /// The code name of the nodes' release, such as `bookworm`. Nodes of another one refuse the packages.
    #[schemars(required)]
    pub(in crate::spec) suite: Option<String>,
    /// The repositories to take packages from; at least one.
    #[schemars(required)]
    pub(in crate::spec) sources: Option<Vec<RawPackageSource>>,
    /// What the nodes have already, and need not be brought. Without it: nothing.
    pub(in crate::spec) baseline: Option<RawBaseline>,
    /// The packages to install, such as `jq` or `iproute2=6.1.0-3`. What they need comes along.
    pub(in crate::spec) names: Option<Vec<String>>,
    /// Whether to take what packages recommend, too; false unless told.
    pub(in crate::spec) recommends: Option<bool>,
    /// A key of your own to sign the bundle with. Without it: it is not signed, and apt is told to trust it.
    pub(in crate::spec) sign: Option<RawSign>,
    /// Loose `.deb` files to install, relative to the folder of this spec. What they need comes from the sources.
    pub(in crate::spec) extra: Option<Vec<String>>,
}

/// What signs the bundle of packages, and what the nodes know it by.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Sign")]
pub(in crate::spec) struct RawSign {
    /// The name of a file in the secrets folder: an armored private OpenPGP key without a passphrase.
    #[schemars(required)]
    pub(in crate::spec) secret: Option<String>,
    /// The file on the nodes that has its certificate, in `.asc` or `.gpg`. Without it: the one in the bundle.
    pub(in crate::spec) node_keyring: Option<String>,
}

/// A repository of Debian packages.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PackageSource")]
pub(in crate::spec) struct RawPackageSource {
    /// Its addresses, tried in order: the folder above `dists`. `http` will do, as the index is signed; so will
    /// `file:FOLDER`, relative to the folder of this spec.
    #[schemars(required)]
    pub(in crate::spec) urls: Option<Vec<String>>,
    /// The suites to take from it, such as `bookworm-updates`. Without it: the suite of the nodes.
    pub(in crate::spec) suites: Option<Vec<String>>,
    /// The components to take from it; `main` unless told.
    pub(in crate::spec) components: Option<Vec<String>>,
    /// The certificates that may sign it, armored or binary, relative to the folder of this spec. Without it: those of
    /// Debian 12 and 13, which come along.
    pub(in crate::spec) keyring: Option<String>,
}

/// What nodes have already: exactly one of `status`, `manifest` and `priority`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Baseline")]
pub(in crate::spec) struct RawBaseline {
    /// A copy of a node's `/var/lib/dpkg/status`, relative to the folder of this spec.
    pub(in crate::spec) status: Option<String>,
    /// The `.manifest` of the nodes' cloud image, relative to the folder of this spec.
    pub(in crate::spec) manifest: Option<String>,
    /// The packages that every installation has.
    pub(in crate::spec) priority: Option<BaselinePriority>,
}

/// Up to which priority an installation has all packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaselinePriority {
    /// What nothing works without.
    Required,
    /// That, and what one expects of any system.
    Important,
}
