//! `seedkit init`: files to start from. Nothing that exists is overwritten.

use std::io;
use std::path::{Path, PathBuf};

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
    /// A file is there already; nothing was written.
    #[error("`{0}` exists already; nothing was written")]
    Exists(PathBuf),
    /// The file system refused.
    #[error("cannot write `{0}`")]
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
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(InitError::Exists(path.clone()));
    }
    let fail = |path: &Path, source| InitError::Write(path.to_owned(), source);
    crate::fs::create_folder(folder, 0o755).map_err(|source| fail(folder, source))?;
    for (path, (_, text)) in paths.iter().zip(FILES) {
        crate::fs::create_new(path, text.as_bytes(), 0o644).map_err(|source| fail(path, source))?;
    }
    Ok(Outcome { files: paths })
}
