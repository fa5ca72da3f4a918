//! Small packages of our own: for fixtures, not a replacement of dpkg-deb.

use std::io::{self, Write};
use std::num::NonZero;

use crate::archive::ar::{ArError, ArWriter};
use crate::archive::compress::{Compression, Compressor};
use crate::archive::tar::{TarError, write_tree};
use crate::deb::control::{InvalidStanza, Stanza};
use crate::deb::index::{InvalidIndex, PackageStanza};
use crate::epoch::Epoch;
use crate::tree::FileTree;

/// The longest path that needs no PAX header, which dpkg does not read.
const LONGEST_PATH: usize = 99;

/// Says why a package was not written.
#[derive(Debug, thiserror::Error)]
pub enum WritePackageError {
    /// The control file is malformed.
    #[error("the control file of the package is malformed")]
    Control(#[from] InvalidStanza),
    /// The control file says something that cannot be.
    #[error("the control file of the package cannot be used")]
    Index(#[from] InvalidIndex),
    /// A path is longer than dpkg reads.
    #[error("`{0}` is longer than 99 bytes, which this writer cannot put into a package")]
    LongPath(String),
    /// One of the inner archives was not written.
    #[error("cannot write the files of the package")]
    Tar(#[from] TarError),
    /// The outer archive was not written.
    #[error("cannot write the package")]
    Ar(#[from] ArError),
    /// The files were not compressed.
    #[error("cannot compress the files of the package")]
    Compress(#[source] io::Error),
}

/// Writes a package of a control file and the files that it installs.
pub fn write<W: Write>(
    control: &str,
    files: &FileTree,
    epoch: Epoch,
    output: W,
) -> Result<W, WritePackageError> {
    PackageStanza::describe(Stanza::parse(control)?, None)?;
    if let Some((path, _)) = files.iter().find(|(path, _)| path.as_str().len() > LONGEST_PATH) {
        return Err(WritePackageError::LongPath(path.to_string()));
    }
    let mut control_files = FileTree::new();
    control_files.insert_file("control", 0o644, control).expect("an empty tree has room for a file");
    let mut writer = ArWriter::new(output, epoch)?;
    writer.member("debian-binary", 0o644, b"2.0\n")?;
    writer.member("control.tar.gz", 0o644, &packed(&control_files, epoch)?)?;
    writer.member("data.tar.gz", 0o644, &packed(files, epoch)?)?;
    Ok(writer.finish()?)
}

fn packed(tree: &FileTree, epoch: Epoch) -> Result<Vec<u8>, WritePackageError> {
    let compressor = Compressor::new(Compression::Gzip, NonZero::<usize>::MIN, Vec::new());
    let compressor = write_tree(tree, epoch, compressor.map_err(WritePackageError::Compress)?)?;
    compressor.finish().map_err(WritePackageError::Compress)
}
