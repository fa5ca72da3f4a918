//! The report on a kit as a page, outside of the kit.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::inputs::resolved;
use crate::check::BEGINNING;
use crate::fs::{open_regular, write_atomic};

/// A place where a page may be written.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
}

/// Why a page is not written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It would be one file more in the kit.
    #[error("`{0}` is in the kit, which would no longer be what it lists")]
    Inside(PathBuf),
    /// Something else stands there.
    #[error("`{0}` exists and is not a report of seedkit; it is left alone")]
    Other(PathBuf),
    /// The file system refuses.
    #[error("cannot write the report to `{0}`")]
    Write(PathBuf, #[source] io::Error),
}

impl Target {
    /// Makes sure that the page of `kit` may go to `path`: outside of the kit, where there is nothing, nothing in it,
    /// or an older page.
    pub fn new(kit: &Path, path: &Path) -> Result<Self, PageError> {
        let owned = || path.to_owned();
        if resolved(path).starts_with(resolved(kit)) {
            return Err(PageError::Inside(owned()));
        }
        let mut beginning = Vec::new();
        let most = BEGINNING.len() as u64;
        match open_regular(path).and_then(|file| file.take(most).read_to_end(&mut beginning)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) if beginning.is_empty() || beginning == BEGINNING.as_bytes() => {}
            Ok(_) | Err(_) => return Err(PageError::Other(owned())),
        }
        Ok(Self { path: owned() })
    }

    /// Writes the page, whole or not at all.
    pub fn write(&self, page: &str) -> Result<(), PageError> {
        write_atomic(&self.path, page.as_bytes(), 0o644)
            .map_err(|source| PageError::Write(self.path.clone(), source))
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn only_an_older_page_an_empty_file_or_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (kit, path) = (folder.path().join("kit"), folder.path().join("page.html"));
        let page = format!("{BEGINNING}rest");
        Target::new(&kit, &path).unwrap().write(&page).unwrap();
        Target::new(&kit, &path).unwrap().write("").unwrap();
        Target::new(&kit, &path).unwrap();
        fs::write(&path, "apiVersion: seedkit/v1\n").unwrap();
        assert!(matches!(Target::new(&kit, &path), Err(PageError::Other(..))));
        assert!(matches!(Target::new(&kit, folder.path()), Err(PageError::Other(..))));
        let nowhere = Target::new(&kit, &folder.path().join("no/page.html")).unwrap();
        assert!(matches!(nowhere.write(&page), Err(PageError::Write(..))));
    }

    #[test]
    fn a_page_that_is_not_listed_does_not_get_into_the_kit() {
        let folder = tempfile::tempdir().unwrap();
        let kit = folder.path().join("kit");
        fs::create_dir(&kit).unwrap();
        fs_err::os::unix::fs::symlink(&kit, folder.path().join("link")).unwrap();
        for path in ["kit/report.html", "link/seeds/page.html"] {
            assert!(matches!(Target::new(&kit, &folder.path().join(path)), Err(PageError::Inside(..))));
        }
    }
}
