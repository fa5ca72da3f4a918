//! Debian's formats: versions, relations between packages, indices, signed releases, packages themselves.
//!
//! Everything borrows from the text it was read from: an index of 60 000 packages is one text and a list.
//! Whatever comes from a mirror or a file of the user's is hostile: sizes are bounded, paths stay inside the
//! repository, a field that is there twice is refused, and an error names the package.
//!
//! The way from a mirror to packages: [`signature`] gives the signed text, [`release`] finds the index in it
//! and checks its bytes, [`index`] reads the packages, [`archive`] reads one of them. [`baseline`] reads what a
//! machine has already.

pub mod archive;
pub mod baseline;
pub mod certificates;
pub mod control;
pub mod index;
pub mod relation;
pub mod release;
pub mod signature;
pub mod version;

mod name;
mod packing;
