//! The formats that hold many files, and the compression around them.
//!
//! Writers are functions of a [`FileTree`](crate::tree::FileTree) and an [`Epoch`](crate::epoch::Epoch): the
//! same ones give the same bytes, on any machine, with any number of cores. They write strictly from the
//! first byte to the last, so a pipe or a hash will do as output.

pub mod ar;
pub mod compress;
pub mod iso9660;
pub mod tar;
pub mod untar;

mod bounded;
mod content;

pub use bounded::Bounded;
pub use content::ContentError;
