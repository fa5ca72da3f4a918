//! Images as the OCI specifications define them: references, platforms, manifests, graphs, layouts.
//!
//! Manifests are bytes first: they are hashed, stored and passed on exactly as they were served, and only
//! *looked into* through [`Manifest`]. Nothing here opens a connection.

pub mod archive_names;
pub mod attached;
pub mod graph;
pub mod import;
pub mod inventory;
pub mod layout;
mod layout_source;
mod manifest;
mod platform;
mod reference;
mod source;
mod source_files;

pub use attached::AttachmentSource;
pub use graph::Graph;
pub use layout_source::LayoutSource;
pub use manifest::{Child, Kind, MANIFEST_LIMIT, Manifest, ManifestError, media_type};
pub use platform::{InvalidPlatform, Platform};
pub use reference::{DOCKER_HUB, InvalidReference, Reference};
pub use source::{BlobPart, ImageSource, SourceError, SourceErrorKind};
pub(crate) use source_files::members::resolve_link;
