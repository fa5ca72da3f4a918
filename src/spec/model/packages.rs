//! Packages for the nodes.

use std::path::{Path, PathBuf};

use url::Url;

use crate::oci::Platform;
use crate::spec::raw::BaselinePriority;

/// Debian packages to install on the nodes without a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packages {
    /// The code name of the nodes' release.
    pub suite: String,
    /// Where to take packages from; at least one.
    pub sources: Vec<PackageSource>,
    /// What the nodes have already.
    pub baseline: PackageBaseline,
    /// What to install: `name` or `name=version`, no name twice; at least one, or a loose file.
    pub names: Vec<String>,
    /// Whether to take what packages recommend, too.
    pub recommends: bool,
    /// Loose `.deb` files to install besides; none twice.
    pub extra: Vec<PathBuf>,
    /// What signs the bundle.
    pub sign: Option<Signing>,
}

/// What signs the bundle of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The private key: a plain name in the secrets folder.
    pub secret: String,
    /// The file on the nodes that has the certificate: an absolute path of plain characters.
    pub node_keyring: Option<String>,
}

impl Packages {
    /// Returns what Debian calls the architecture of `platform`, if packages can be taken for it.
    pub fn architecture(platform: &Platform) -> Option<&'static str> {
        match (platform.os(), platform.architecture(), platform.variant()) {
            ("linux", "amd64", None) => Some("amd64"),
            ("linux", "arm64", None) => Some("arm64"),
            // Debian's armhf needs ARMv7: nothing of it runs on a v6.
            ("linux", "arm", Some("v7")) => Some("armhf"),
            _ => None,
        }
    }
}

/// A repository of Debian packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSource {
    /// Where it is; at least one, tried in order.
    pub urls: Vec<RepositoryAddress>,
    /// The suites to take from it; at least one, none twice.
    pub suites: Vec<String>,
    /// The components to take from it; at least one, none twice.
    pub components: Vec<String>,
    /// The certificates that may sign its indices; Debian's own, which come along, where there is none.
    pub keyring: Option<PathBuf>,
}

/// The folder above `dists` of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryAddress {
    /// On a server; as written, with or without a slash at its end.
    Web(Url),
    /// On this machine.
    Folder(PathBuf),
}

impl RepositoryAddress {
    /// Returns the address as a lock has it: a URL, or `file:` and a path that is relative to the spec's folder
    /// where it can be; without a slash at its end.
    pub fn text(&self, folder: &Path) -> String {
        let text = match self {
            Self::Web(url) => url.to_string(),
            Self::Folder(path) => format!("file:{}", path.strip_prefix(folder).unwrap_or(path).display()),
        };
        text.trim_end_matches('/').to_owned()
    }
}

/// What nodes have already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageBaseline {
    /// Nothing is taken for granted.
    None,
    /// What a copy of dpkg's status file says.
    Status(PathBuf),
    /// What the manifest of a cloud image says.
    Manifest(PathBuf),
    /// Everything up to a priority, and what that needs.
    Priority(BaselinePriority),
}
