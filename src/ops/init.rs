//! `seedkit init`: files to start from. Nothing that exists is overwritten.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use itertools::Itertools as _;
use serde::Serialize;

/// The files, by name.
const FILES: [(&str, &str); 3] = [
    ("seedkit.yaml", include_str!("../../templates/init/seedkit.yaml")),
    ("images.txt", include_str!("../../templates/init/images.txt")),
    (".gitignore", include_str!("../../templates/init/gitignore")),
];

/// Why a folder was not begun.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Files are there already; nothing was written.
    #[error("{} {} already; nothing was written", .0.iter().map(|path| format!("`{}`", path.display())).join(", "),
            if .0.len() == 1 { "exists" } else { "exist" })]
    Exist(Vec<PathBuf>),
    /// The file system refused; what was written before is gone again.
    #[error("cannot write `{0}`; nothing was written")]
    Write(PathBuf, #[source] io::Error),
}

/// The files that were written.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Their paths.
    pub files: Vec<PathBuf>,
}

/// Writes a commented spec, an image list and `.gitignore` into `folder`; all of them or none.
pub fn run(folder: &Path) -> Result<Outcome, InitError> {
    let paths: Vec<PathBuf> = FILES.iter().map(|(name, _)| folder.join(name)).collect();
    // A link that leads nowhere is there, too.
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    let present: Vec<PathBuf> = paths.iter().filter(|path| is_there(path)).cloned().collect();
    if !present.is_empty() {
        return Err(InitError::Exist(present));
    }
    let new_folders: Vec<&Path> = folder.ancestors().take_while(|folder| !is_there(folder)).collect();
    let fail = |path: &Path, source| InitError::Write(path.to_owned(), source);
    let mut written = Vec::new();
    let mut write = || {
        crate::fs::create_folder(folder, 0o755).map_err(|source| fail(folder, source))?;
        for (path, (_, text)) in paths.iter().zip(FILES) {
            crate::fs::create_new(path, text.as_bytes(), 0o644).map_err(|source| fail(path, source))?;
            written.push(path);
        }
        Ok(())
    };
    if let Err(error) = write() {
        // What cannot be removed again is said by the next run.
        written.into_iter().map(fs::remove_file).for_each(drop);
        new_folders.into_iter().map(fs::remove_dir).for_each(drop);
        return Err(error);
    }
    Ok(Outcome { files: paths })
}
