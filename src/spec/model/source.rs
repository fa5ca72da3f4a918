//! Where images are pulled from.

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
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display)]
pub enum Origin {
    /// A registry; `http` only where the spec allows it; a path is put before the repositories.
    #[display("{}", _0.as_str().trim_end_matches('/'))]
    Registry(Url),
    /// A folder that is an OCI image layout.
    #[display("oci:{}", _0.display())]
    Layout(PathBuf),
    /// An OCI image layout in a tarball.
    #[display("oci-archive:{}", _0.display())]
    LayoutArchive(PathBuf),
    /// A tarball as `docker save` writes it.
    #[display("docker-archive:{}", _0.display())]
    DockerArchive(PathBuf),
}
