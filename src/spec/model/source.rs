//! Where images are pulled from.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// Where to pull a registry's images from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The places, in the order in which they are asked; at least one.
    pub places: Vec<SourcePlace>,
}

/// One place to pull images from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlace {
    /// The place.
    pub from: Origin,
    /// The certificate authority to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// A place that images are pulled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A registry; `http` only where the spec allows it; a path is put before the repositories.
    Registry(Url),
    /// A folder that is an OCI image layout.
    Layout(PathBuf),
    /// An OCI image layout in a tarball.
    LayoutArchive(PathBuf),
    /// A tarball as `docker save` writes it.
    DockerArchive(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(url) => formatter.write_str(url.as_str().trim_end_matches('/')),
            Self::Layout(path) => write!(formatter, "oci:{}", path.display()),
            Self::LayoutArchive(path) => write!(formatter, "oci-archive:{}", path.display()),
            Self::DockerArchive(path) => write!(formatter, "docker-archive:{}", path.display()),
        }
    }
}
