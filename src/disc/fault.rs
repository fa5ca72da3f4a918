//! Why a disc cannot be read, or is not an honest one.

use std::io;

use super::walk::{DEEPEST, MOST_ENTRIES};

/// Says why a file is not a disc that can be read.
#[derive(Debug, thiserror::Error)]
pub enum DiscFault {
    /// Reading failed.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// Something that the disc points to is beyond its end.
    #[error("it is truncated: it has no {length} bytes at byte {offset}")]
    Truncated {
        /// Where they should be.
        offset: u64,
        /// How many there should be.
        length: u64,
    },
    /// There is no primary volume descriptor.
    #[error("it has no primary volume descriptor")]
    NoVolume,
    /// A descriptor says something that cannot be, or that no disc of today has.
    #[error("its volume descriptor at byte {offset} {problem}")]
    Volume {
        /// Where it is.
        offset: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A record of a folder is malformed.
    #[error("the record at byte {offset} of the folder `{folder}` {problem}")]
    Record {
        /// The folder; empty for the top.
        folder: String,
        /// Where it is.
        offset: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name is none.
    #[error("the folder `{folder}` has an entry with the name `{name}`, which cannot be")]
    Name {
        /// The folder; empty for the top.
        folder: String,
        /// The name, escaped.
        name: String,
    },
    /// A reader would have to choose between two.
    #[error("it has `{0}` twice")]
    Duplicate(String),
    /// The way down has no end.
    #[error("the folder `{0}` is one that is above or beside it too")]
    Loop(String),
    /// Deeper than any honest disc.
    #[error("it has folders in folders, more than {DEEPEST} deep")]
    TooDeep,
    /// More than any honest disc has.
    #[error("it has more than {MOST_ENTRIES} files and folders, or longer lists of them than that")]
    TooMany,
}
