//! What an output folder may replace: nothing, an empty folder, or an older one of its own kind; and who may read it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::ops::inputs::{self, resolved};
use crate::progress::Reporter;
use crate::spec::Spec;

/// What is written, and by which file an older one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A kit.
    Kit,
    /// An OCI image layout.
    Layout,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kit => "a kit",
            Self::Layout => "an image layout",
        }
    }

    fn marker(self) -> &'static str {
        match self {
            Self::Kit => crate::bill::FILE_NAME,
            Self::Layout => "oci-layout",
        }
    }
}

/// Why a folder is left alone.
#[derive(Debug, thiserror::Error)]
pub enum Irreplaceable {
    /// Something else stands there.
    #[error("`{}` exists and is not {}; it is left alone", .0.display(), .1.name())]
    Other(PathBuf, Kind),
    /// Something that must outlive it is in it.
    #[error("`{0}` holds {1}; it is left alone")]
    Holds(PathBuf, String),
    /// It is in something that is not for this.
    #[error("`{0}` is in {1}: nothing else is written there")]
    Within(PathBuf, String),
}

/// Refuses a folder that is in one of `owners`, which have names for people: among keys and blobs nothing else belongs.
pub fn outside(folder: &Path, owners: &[(&str, &Path)]) -> Result<(), Irreplaceable> {
    let resolved_folder = resolved(folder);
    let owner = owners.iter().find(|(_, owner)| resolved_folder.starts_with(resolved(owner)));
    owner.map_or(Ok(()), |(what, _)| Err(Irreplaceable::Within(folder.to_owned(), (*what).to_owned())))
}

/// Makes sure that `output` may be replaced: what is there is of the same kind, and nothing of `spec` or `others`,
/// which have names for people, is in it.
pub fn check(output: &Path, kind: Kind, spec: &Spec, others: &[(&str, &Path)]) -> Result<(), Irreplaceable> {
    let path = || output.to_owned();
    let others = others.iter().map(|(what, inside)| ((*what).to_owned(), inside.to_path_buf()));
    let resolved_output = resolved(output);
    for (what, inside) in inputs::of(spec).chain(others) {
        if resolved(&inside).starts_with(&resolved_output) {
            return Err(Irreplaceable::Holds(path(), what));
        }
    }
    match fs::read_dir(output) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(_) => Err(Irreplaceable::Other(path(), kind)),
        Ok(mut entries) => {
            let is_replaceable = entries.next().is_none() || output.join(kind.marker()).is_file();
            if is_replaceable { Ok(()) } else { Err(Irreplaceable::Other(path(), kind)) }
        }
    }
}

/// Warns, once, of folders in which everybody may read what was written for its owner alone.
///
/// Each folder comes with such files of it. A file system that keeps no permissions, as that of a Windows drive under
/// WSL, refuses nothing and changes nothing.
pub fn warn_of_readable(written: &[(&Path, &[PathBuf])], reporter: &dyn Reporter) {
    let is_readable =
        |file: &PathBuf| fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    let readable = written.iter().filter(|(_, files)| files.iter().any(is_readable));
    let folders: Vec<String> = readable.map(|(folder, _)| format!("`{}`", folder.display())).collect();
    if folders.is_empty() {
        return;
    }
    let text = format!(
        "every user of this machine can read the tokens and keys in {}: the file system keeps no permissions, as that \
         of a Windows drive under WSL; keep this on the Linux file system, or close the folder on Windows: \
         `icacls FOLDER /inheritance:r /grant:r %USERNAME%:(OI)(CI)F`",
        folders.join(" and ")
    );
    reporter.warn(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(folder: &Path) -> Spec {
        let lab = include_bytes!("../../fixtures/lab/seedkit.yaml");
        crate::spec::parse(lab, folder).unwrap().0
    }

    #[test]
    fn only_an_older_one_of_its_kind_an_empty_folder_or_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(Path::new("/elsewhere"));
        let output = folder.path().join("kit");
        check(&output, Kind::Kit, &spec, &[]).unwrap();
        fs::create_dir(&output).unwrap();
        check(&output, Kind::Kit, &spec, &[]).unwrap();
        fs::write(output.join("thesis.txt"), "").unwrap();
        assert!(matches!(check(&output, Kind::Kit, &spec, &[]), Err(Irreplaceable::Other(..))));
        fs::write(output.join("kit.json"), "").unwrap();
        check(&output, Kind::Kit, &spec, &[]).unwrap();
        assert!(matches!(check(&output, Kind::Layout, &spec, &[]), Err(Irreplaceable::Other(..))));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(check(&file, Kind::Kit, &spec, &[]), Err(Irreplaceable::Other(..))));
    }

    #[test]
    fn a_layout_is_not_replaced_by_what_is_taken_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let images = folder.path().join("images");
        fs::create_dir(&images).unwrap();
        fs::write(images.join("oci-layout"), "").unwrap();
        let error = check(&images, Kind::Layout, &spec, &[]).unwrap_err();
        assert!(matches!(error, Irreplaceable::Holds(..)), "{error}");
    }

    // A kit that was replaced took the keys of the cluster with it.
    #[test]
    fn what_must_outlive_a_kit_cannot_be_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let kit = folder.path().join("kit");
        fs::create_dir_all(kit.join("lab")).unwrap();
        fs::write(kit.join("kit.json"), "").unwrap();
        fs_err::os::unix::fs::symlink(&kit, folder.path().join("link")).unwrap();
        let elsewhere = spec(Path::new("/elsewhere"));
        let message = |output: &Path, spec: &Spec, others: &[(&str, &Path)]| {
            check(output, Kind::Kit, spec, others).unwrap_err().to_string()
        };
        let holds = |what: &str| format!("`{}` holds {what}; it is left alone", kit.display());
        for inside in [kit.join("secrets"), folder.path().join("link/not/yet/there"), kit.clone()] {
            assert_eq!(message(&kit, &elsewhere, &[("the secrets", &inside)]), holds("the secrets"));
        }
        check(&kit, Kind::Kit, &elsewhere, &[("the secrets", &folder.path().join("kit-secrets"))]).unwrap();
        assert_eq!(message(&kit, &spec(&kit.join("lab")), &[]), holds("the spec"));
        assert_eq!(
            message(Path::new("."), &elsewhere, &[]),
            "`.` holds the current folder; it is left alone"
        );
        assert_eq!(message(Path::new("/"), &elsewhere, &[]), "`/` holds the spec; it is left alone");
    }
}
