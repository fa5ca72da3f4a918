//! A folder of the user's, whose files replace templates of the same name.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use itertools::Itertools as _;
use walkdir::WalkDir;

use super::{BUILTIN, TemplateError, Templates};
use crate::fs::read_text;

/// A template larger than this is a mistake, such as a payload put into the wrong folder.
const LARGEST_TEMPLATE: u64 = 256 * 1024;

/// Says why a folder of templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read the templates in `{0}`")]
    Read(PathBuf, #[source] io::Error),
    /// A file replaces nothing.
    #[error("`{name}` in `{folder}` replaces no template; there are {known}")]
    Unknown {
        /// The file's path inside the folder.
        name: String,
        /// The folder.
        folder: PathBuf,
        /// The names that could be replaced.
        known: String,
    },
    /// A file is not a regular file inside the folder.
    #[error("template `{0}` is not a regular file inside its folder")]
    Outside(PathBuf),
    /// A file is too large.
    #[error("template `{0}` is larger than {LARGEST_TEMPLATE} bytes")]
    TooLarge(PathBuf),
    /// A file is not a template.
    #[error("`{0}` cannot replace the template")]
    Template(PathBuf, #[source] TemplateError),
}

impl Templates {
    /// Returns the compiled-in templates, each replaced by the file of its name in `folder` where there is one.
    ///
    /// Every file must replace something: a misspelt name would otherwise change nothing, silently.
    pub fn with_overrides(folder: &Path) -> Result<Self, OverrideError> {
        let unreadable = |source: io::Error| OverrideError::Read(folder.to_owned(), source);
        let root = fs::canonicalize(folder).map_err(unreadable)?;
        let mut sources = Self::builtin().sources;
        for entry in WalkDir::new(&root).min_depth(1).max_depth(8).sort_by_file_name() {
            let entry = entry.map_err(|error| unreadable(error.into()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let relative = entry.path().strip_prefix(&root).unwrap_or(entry.path());
            let name = relative.to_string_lossy().into_owned();
            let Some(source) = sources.get_mut(&name) else {
                let known = BUILTIN.iter().map(|(name, _)| format!("`{name}`")).join(", ");
                return Err(OverrideError::Unknown { name, folder: folder.to_owned(), known });
            };
            *source = read(&root, entry.path(), folder)?;
        }
        Self::new(sources).map_err(|source| OverrideError::Template(folder.to_owned(), source))
    }
}

/// Reads one file, which may be a link, though not to a place outside of `root`.
fn read(root: &Path, path: &Path, folder: &Path) -> Result<String, OverrideError> {
    let unreadable = |source: io::Error| OverrideError::Read(folder.to_owned(), source);
    let target = fs::canonicalize(path).map_err(unreadable)?;
    if !target.starts_with(root) || !fs::metadata(&target).map_err(unreadable)?.is_file() {
        return Err(OverrideError::Outside(path.to_owned()));
    }
    if fs::metadata(&target).map_err(unreadable)?.len() > LARGEST_TEMPLATE {
        return Err(OverrideError::TooLarge(path.to_owned()));
    }
    read_text(&target, LARGEST_TEMPLATE).map_err(unreadable)
}
