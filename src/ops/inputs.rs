//! What a spec takes from this machine.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::fetch::files;
use crate::lockfile::FileRole;
use crate::spec::{Checksum, Origin, PackageBaseline, Place, RepositoryAddress, Spec};

/// Says that something which is not a secret would be read from the secrets folder.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be `{path}`, which is in the secrets folder")]
pub struct InSecrets {
    what: String,
    path: PathBuf,
}

/// Returns everything on this machine that the spec takes something from, and where it is run.
pub(super) fn of(spec: &Spec) -> impl Iterator<Item = (String, PathBuf)> {
    let own = [("the spec", spec.folder.clone()), ("the current folder", PathBuf::from("."))];
    own.map(|(what, path)| (what.to_owned(), path)).into_iter().chain(read(spec)).chain(copied(spec))
}

/// Returns the files that go to nodes as they are.
fn copied(spec: &Spec) -> impl Iterator<Item = (String, PathBuf)> {
    files::of_spec(spec).into_iter().filter_map(|file| match &file.source.place {
        Place::Path(path) => Some((file.role.to_string(), path.clone())),
        Place::Url(_) => None,
    })
}

/// Refuses to read keys and tokens as lists, archives and packages: what is said of them goes into logs. Nor are they
/// copied to nodes, or rendered: what a node needs of them is put there by seedkit itself.
pub fn outside_secrets(spec: &Spec, secrets: &Path) -> Result<(), InSecrets> {
    let secrets = resolved(secrets);
    let templates = spec.templates.iter().map(|path| ("the folder of templates".to_owned(), path.clone()));
    match read(spec)
        .chain(copied(spec))
        .chain(templates)
        .find(|(_, path)| resolved(path).starts_with(&secrets))
    {
        Some((what, path)) => Err(InSecrets { what, path }),
        None => Ok(()),
    }
}

/// Returns the files and folders that are read to be understood, not to be copied or trusted.
fn read(spec: &Spec) -> impl Iterator<Item = (String, PathBuf)> {
    let sources = spec.sources.iter().flat_map(|(registry, source)| {
        let paths = source.places.iter().filter_map(|place| match &place.from {
            Origin::Layout(path) | Origin::LayoutArchive(path) | Origin::DockerArchive(path) => Some(path),
            Origin::Registry(_) => None,
        });
        paths.map(move |path| (format!("the images that `{registry}` comes from"), path.clone()))
    });
    let lists =
        spec.images.lists.iter().map(|list| ("a list in `images.lists`".to_owned(), list.path.clone()));
    let files = files::of_spec(spec).into_iter().flat_map(|file| {
        let is_read = !matches!(file.role, FileRole::File(_));
        let own = Some(&file.source.place).filter(|_| is_read);
        let sums = file.source.checksum.as_ref().and_then(|checksum| match checksum {
            Checksum::List { place, .. } => Some(place),
            Checksum::Sha256(_) => None,
        });
        let role = file.role.to_string();
        let paths = own.into_iter().chain(sums).filter_map(|place| match place {
            Place::Path(path) => Some(path.clone()),
            Place::Url(_) => None,
        });
        paths.map(move |path| (role.clone(), path)).collect::<Vec<_>>()
    });
    let packages = spec.packages.iter().flat_map(|packages| {
        let urls = packages.sources.iter().flat_map(|source| &source.urls).filter_map(|url| match url {
            RepositoryAddress::Folder(path) => Some(path),
            RepositoryAddress::Web(_) => None,
        });
        let baseline = match &packages.baseline {
            PackageBaseline::Status(path) | PackageBaseline::Manifest(path) => Some(path),
            PackageBaseline::None | PackageBaseline::Priority(_) => None,
        };
        let paths = packages.extra.iter().chain(urls).chain(baseline);
        paths.map(|path| ("a part of `packages`".to_owned(), path.clone()))
    });
    sources.chain(lists).chain(files).chain(packages)
}

/// Returns a path without links, whether or not its end exists yet.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|ancestor| Some((ancestor, fs::canonicalize(ancestor).ok()?)));
    match found {
        Some((ancestor, real)) => match absolute.strip_prefix(ancestor) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            Ok(_) | Err(_) => real,
        },
        None => absolute,
    }
}
