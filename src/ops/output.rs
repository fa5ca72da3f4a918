//! What an output folder may replace: nothing, an empty folder, or an older one of its own kind.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::spec::{Origin, Spec};

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
            Self::Kit => super::kit::BILL,
            Self::Layout => "oci-layout",
        }
    }
}

/// Why a folder is left alone.
#[derive(Debug, thiserror::Error)]
pub enum Irreplaceable {
    /// Something else stands there.
    #[error("`{}` exists and is not {}; it is left alone", .path.display(), .kind.name())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What was to be written.
        kind: Kind,
    },
    /// It holds images that the spec takes from there.
    #[error("`{}` holds the images that `{registry}` comes from; it is left alone", .path.display())]
    Source {
        /// The folder.
        path: PathBuf,
        /// The registry whose source it is.
        registry: String,
    },
}

/// Makes sure that `output` may be replaced.
pub fn check(output: &Path, kind: Kind, spec: &Spec) -> Result<(), Irreplaceable> {
    let path = || output.to_owned();
    match fs::read_dir(output) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(_) => return Err(Irreplaceable::Other { path: path(), kind }),
        Ok(mut entries) => {
            if entries.next().is_some() && !output.join(kind.marker()).is_file() {
                return Err(Irreplaceable::Other { path: path(), kind });
            }
        }
    }
    let is_inside = |source: &Path| match (fs::canonicalize(source), fs::canonicalize(output)) {
        (Ok(source), Ok(output)) => source.starts_with(output),
        _ => false,
    };
    for (registry, source) in &spec.sources {
        let (Origin::Layout(from) | Origin::LayoutArchive(from) | Origin::DockerArchive(from)) = &source.from
        else {
            continue;
        };
        if is_inside(from) {
            return Err(Irreplaceable::Source { path: path(), registry: registry.to_string() });
        }
    }
    Ok(())
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
        check(&output, Kind::Kit, &spec).unwrap();
        fs::create_dir(&output).unwrap();
        check(&output, Kind::Kit, &spec).unwrap();
        fs::write(output.join("thesis.txt"), "").unwrap();
        assert!(matches!(check(&output, Kind::Kit, &spec), Err(Irreplaceable::Other { .. })));
        fs::write(output.join("kit.json"), "").unwrap();
        check(&output, Kind::Kit, &spec).unwrap();
        assert!(matches!(check(&output, Kind::Layout, &spec), Err(Irreplaceable::Other { .. })));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(check(&file, Kind::Kit, &spec), Err(Irreplaceable::Other { .. })));
    }

    #[test]
    fn a_layout_is_not_replaced_by_what_is_taken_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let images = folder.path().join("images");
        fs::create_dir(&images).unwrap();
        fs::write(images.join("oci-layout"), "").unwrap();
        let error = check(&images, Kind::Layout, &spec).unwrap_err();
        assert!(matches!(error, Irreplaceable::Source { .. }), "{error}");
    }
}
