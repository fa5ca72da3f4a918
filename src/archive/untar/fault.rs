//! Why an archive is not read.

use std::io;

/// The most bytes of a long name or a PAX header; an honest one has a few thousand.
pub(super) const LARGEST_EXTENSION: u64 = 1 << 20;
/// The most members.
pub(super) const MOST_MEMBERS: usize = 200_000;
/// The most bytes of all paths and targets of links; they are in memory.
pub(super) const MOST_PATHS: usize = 16 << 20;

/// Says why an archive cannot be read, or is not an honest one.
#[derive(Debug, thiserror::Error)]
pub enum TarFault {
    /// The input failed: it is damaged where it is compressed, or unpacks to too much.
    #[error("it cannot be read {}", .0.as_ref().map_or("at all".to_owned(), |place| format!("beyond `{place}`")))]
    Read(Option<String>, #[source] io::Error),
    /// It ends before its end.
    #[error("it is truncated: it ends {}", .0.as_ref().map_or("at once".to_owned(), |place| format!("in or after `{place}`")))]
    Truncated(Option<String>),
    /// What should be a header is none.
    #[error("it is not a tar archive, or a damaged one: there is no valid header at byte {0}")]
    Header(u64),
    /// A header's extension is larger than any honest one, or malformed.
    #[error(
        "it has a malformed long name or PAX header, or one of more than {LARGEST_EXTENSION} bytes, at byte {0}"
    )]
    Extension(u64),
    /// A path leaves the archive, or steers terminals.
    #[error("it has the member `{0}`, which is not a path within an archive")]
    Path(String),
    /// A reader would have to choose between two.
    #[error("it has the member `{0}`, which is there twice")]
    Duplicate(String),
    /// A device, a socket, a sparse file.
    #[error("it has the member `{0}`, which is of the unknown kind `{1}`")]
    Kind(String, char),
    /// More than any honest archive has.
    #[error("it has more than {MOST_MEMBERS} members, or more than {MOST_PATHS} bytes of paths")]
    TooMany,
}
