//! Where every image and file comes from: the store first, then what the spec says, then the registry itself.

mod several;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use self::several::Several;
use crate::digest::Digest;
use crate::fetch::places::{Complaint, Conduct, Places, Subject};
use crate::fetch::whole::{self, Blob};
use crate::fs::open_regular;
use crate::oci::{
    AttachmentSource, BlobPart, ImageSource, LayoutSource, MANIFEST_LIMIT, Reference, SourceError,
    SourceErrorKind,
};
use crate::progress::Reporter;
use crate::registry::{Client, ClientOptions, Endpoint, InvalidEndpoint, PlainHttp, RateLimit, Registry};
use crate::spec::{Origin, Source, SourcePlace, Spec};
use crate::store::{
    CompleteError, Completed, Descriptor, DiskStore, Kept, Mismatch, Opened, StoreError, Wanted,
};
use crate::text::chain;

/// Whether there is a network, and how it is reached.
#[derive(Debug, Clone)]
pub enum Network {
    /// `--offline`: nothing may be asked for.
    Forbidden,
    /// Registries and servers may be asked.
    Allowed(ClientOptions),
}

/// All sources of a spec, opened when they are first needed. Manifests that were seen once stay in the store.
pub struct Sources {
    routes: BTreeMap<String, Source>,
    client: Option<Client>,
    opened: Mutex<BTreeMap<String, Route>>,
    conduct: Arc<Conduct>,
    store: DiskStore,
    /// What relative paths are relative to.
    folder: PathBuf,
}

/// What stands for a registry, and the registries in it.
struct Route {
    source: Arc<dyn AttachmentSource>,
    registries: Vec<Arc<Registry>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sources").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Sources {
    /// Returns the sources of `spec`.
    pub fn new(spec: &Spec, store: &DiskStore, network: Network) -> Result<Self, SourceError> {
        let client = match network {
            Network::Forbidden => None,
            Network::Allowed(options) => Some(Client::new(options)?),
        };
        let routes =
            spec.sources.iter().map(|(registry, source)| (registry.to_string(), source.clone())).collect();
        let (store, folder) = (store.clone(), spec.folder.clone());
        let (opened, conduct) = Default::default();
        Ok(Self { routes, client, opened, conduct, store, folder })
    }

    /// Returns the places of files that several have, of which none was asked yet.
    pub fn places(&self, urls: impl IntoIterator<Item = String>) -> Places<String> {
        Places::new(urls.into_iter().map(|url| (url.clone(), url)), &self.conduct)
    }

    /// Completes a file of a repository of packages, with what is missing from the first place that gives it right.
    pub fn complete(
        &self,
        path: &str,
        places: &Places<String>,
        wanted: &Descriptor,
        advance: impl Fn(u64),
    ) -> Result<Completed, CompleteError<SourceError>> {
        let (subject, digest) = (Subject::file(path), &wanted.digest);
        let open = |kept: &Kept| {
            // The digest vouches for the whole, whoever gave which part of it: nobody asks whether it is still the same.
            let kept = Kept { entity_tag: None, ..kept.clone() };
            let (_, opened) =
                places.open(&subject, digest, |base| self.repository_file(base, path, &kept))?;
            Ok(Opened { entity_tag: None, ..opened })
        };
        let is_to_be_had_again = |result: &_| match (result, whole::wrong(result)) {
            (_, Some(why)) => places.distrust(digest, &why.to_string()),
            // It stopped coming: the next place has the rest.
            (
                Err(CompleteError::Store(error @ (StoreError::Read { .. } | StoreError::Mismatch(_)))),
                None,
            ) => places.count() > 1 && places.distrust(digest, &chain(error).join(": ")),
            (Ok(_) | Err(_), None) => false,
        };
        whole::complete(&self.store, &Wanted::described(wanted), open, advance, is_to_be_had_again)
    }

    /// Opens what is missing of a file of a repository of packages, of which at most `kept.total` bytes are wanted.
    ///
    /// `base` is a [`RepositoryAddress`](crate::spec::RepositoryAddress) as a lock has it. Plain `http` will do: the
    /// signature of the repository, and the digests below it, vouch for what comes.
    pub fn repository_file(&self, base: &str, path: &str, kept: &Kept) -> Result<Opened, SourceError> {
        let limit = kept.total.unwrap_or(u64::MAX);
        let Some(folder) = base.strip_prefix("file:") else {
            let url = format!("{base}/{path}");
            return self.download_rest(&url, limit, PlainHttp::Allowed, kept);
        };
        let file = self.folder.join(folder).join(path);
        let file = open_regular(&file).map_err(|error| {
            let message = format!("cannot read `{}`", file.display());
            SourceError::new(SourceErrorKind::Local, message).caused_by(error)
        })?;
        Ok(Opened::at(0, Box::new(file.take(limit))))
    }

    /// Downloads a file of at most `limit` bytes; over plain `http` only where a digest vouches for what comes.
    pub fn download(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(self.download_rest(url, limit, plain_http, &Kept::default())?.reader)
    }

    /// Downloads what is missing of a file as [`Sources::download`] does.
    pub fn download_rest(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
        kept: &Kept,
    ) -> Result<Opened, SourceError> {
        self.client(url)?.fetch_rest(url, limit, plain_http, kept)
    }

    fn client(&self, what: &str) -> Result<&Client, SourceError> {
        self.client.as_ref().ok_or_else(|| {
            let message = format!("`{what}` is not in the store, and --offline forbids to ask for it");
            SourceError::new(SourceErrorKind::Offline, message)
        })
    }

    /// Returns the source for a registry's images; each is opened once.
    fn source_for(&self, reference: &Reference) -> Result<Arc<dyn AttachmentSource>, SourceError> {
        let registry = reference.registry();
        let mut opened = self.opened.lock().expect("nobody panics while opening a source");
        if let Some(Route { source, .. }) = opened.get(registry) {
            return Ok(Arc::clone(source));
        }
        let new = self.open(reference)?;
        let source = Arc::clone(&new.source);
        opened.insert(registry.to_owned(), new);
        Ok(source)
    }

    fn open(&self, reference: &Reference) -> Result<Route, SourceError> {
        let registry = reference.registry();
        let mut registries = Vec::new();
        let mut open_registry = |endpoint: Result<Endpoint, InvalidEndpoint>| {
            let opened = self.open_registry(reference, endpoint)?;
            registries.push(Arc::clone(&opened));
            Ok::<Arc<dyn AttachmentSource>, SourceError>(opened)
        };
        let mut opened: Vec<(String, Arc<dyn AttachmentSource>)> = Vec::new();
        match self.routes.get(registry) {
            None => opened.push((registry.to_owned(), open_registry(Endpoint::of(registry))?)),
            Some(Source { places }) => {
                for SourcePlace { from, ca_file } in places {
                    let source: Arc<dyn AttachmentSource> = match from {
                        Origin::Layout(path) => Arc::new(LayoutSource::folder(path)?),
                        Origin::LayoutArchive(path) => Arc::new(LayoutSource::oci_archive(path)?),
                        Origin::DockerArchive(path) => Arc::new(LayoutSource::docker_archive(path)?),
                        // The spec lets an `http` URL pass only where it says `plainHttp`.
                        Origin::Registry(url) => {
                            let endpoint = Endpoint::new(registry, url.as_str(), PlainHttp::Allowed);
                            open_registry(endpoint.map(|endpoint| {
                                endpoint.with_ca_file(ca_file.clone()).among_others(places.len() > 1)
                            }))?
                        }
                    };
                    opened.push((from.to_string(), source));
                }
            }
        }
        Ok(Route { source: Arc::new(Several::new(opened, &self.conduct)), registries })
    }

    fn open_registry(
        &self,
        reference: &Reference,
        endpoint: Result<Endpoint, InvalidEndpoint>,
    ) -> Result<Arc<Registry>, SourceError> {
        let invalid = |error| {
            let message = format!("the registry `{}` cannot be reached", reference.registry());
            SourceError::new(SourceErrorKind::Invalid, message).caused_by(error)
        };
        let endpoint = endpoint.map_err(invalid)?;
        Ok(Arc::new(self.client(&reference.to_string())?.registry(endpoint)?))
    }

    /// Warns of what places did, while others gave what was asked for; of each only once.
    pub fn say_complaints(&self, reporter: &dyn Reporter) {
        for complaint in self.conduct.take() {
            reporter.warn(complaint.to_string());
        }
    }

    /// Returns all that [`Sources::say_complaints`] ever warned of.
    pub fn complaints(&self) -> Vec<Complaint> {
        self.conduct.taken()
    }

    /// Returns what the registry that is asked for these images last said of how much may still be pulled.
    pub fn rate_limit(&self, registry: &str) -> Option<RateLimit> {
        let opened = self.opened.lock().expect("nobody panics while opening a source");
        opened.get(registry)?.registries.iter().find_map(|registry| registry.rate_limit())
    }
}

fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>, what: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Store, format!("cannot use the store for {what}")).caused_by(error)
}

impl ImageSource for Sources {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.source_for(reference)?.resolve(reference)
    }

    fn manifest(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let what = || format!("manifest {}", descriptor.digest);
        if descriptor.size <= MANIFEST_LIMIT {
            match self.store.read(descriptor) {
                Ok(Some(bytes)) => return Ok(bytes),
                // What rotted in the store is fetched again.
                Err(_) => {
                    self.store.evict(&descriptor.digest).map_err(|error| store_error(error, &what()))?
                }
                Ok(None) => {}
            }
        }
        let bytes = self.source_for(reference)?.manifest(reference, descriptor)?;
        self.store.push(descriptor, bytes.as_slice(), |_| {}).map_err(|error| store_error(error, &what()))?;
        Ok(bytes)
    }

    fn blob_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        part: Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        if !self.store.contains(descriptor) {
            return self.source_for(reference)?.blob_part(reference, descriptor, part);
        }
        let fail = |error| store_error(error, "a blob");
        let path = self.store.path(&descriptor.digest);
        let mut file = fs_err::File::open(&path).map_err(fail)?;
        file.seek(SeekFrom::Start(part.start)).map_err(fail)?;
        Ok(BlobPart::exact(file.take(part.end - part.start), format!("`{}`", path.display())))
    }

    fn is_remote(&self, reference: &Reference) -> bool {
        self.source_for(reference).is_ok_and(|source| source.is_remote(reference))
    }

    fn distrust(&self, reference: &Reference, descriptor: &Descriptor, why: &Mismatch) -> bool {
        self.source_for(reference).is_ok_and(|source| source.distrust(reference, descriptor, why))
    }

    /// Small blobs, such as the configurations that say an image's platform, stay in the store as manifests do.
    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        if descriptor.size <= MANIFEST_LIMIT {
            let blob = Blob { source: self, reference, descriptor };
            blob.fetch(&self.store, |_| {}, || {}).map_err(|error| match error {
                CompleteError::Open(error) => error,
                CompleteError::Store(error @ StoreError::Mismatch(_)) => {
                    let message = format!("a blob of `{reference}` is not what it should be");
                    SourceError::new(SourceErrorKind::Invalid, message).caused_by(error)
                }
                CompleteError::Store(error) => store_error(error, "a blob"),
            })?;
        }
        Ok(self.blob_part(reference, descriptor, 0..descriptor.size)?.reader)
    }
}

impl AttachmentSource for Sources {
    fn tagged(&self, reference: &Reference, tag: &str) -> Result<Option<Descriptor>, SourceError> {
        self.source_for(reference)?.tagged(reference, tag)
    }

    fn referrers(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        self.source_for(reference)?.referrers(reference, subject)
    }
}
