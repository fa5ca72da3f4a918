//! Where every image and file comes from: the store first, then what the spec says, then the registry itself.

mod doubts;
mod failover;
mod whole;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub use self::failover::{Complaint, none_of};
use self::failover::{Complaints, Failover};
pub use self::whole::{Streamed, fetch_whole, is_to_be_had_elsewhere};
use crate::digest::Digest;
use crate::fs::open_regular;
use crate::oci::{
    AttachmentSource, BlobPart, ImageSource, LayoutSource, MANIFEST_LIMIT, Reference, SourceError,
    SourceErrorKind,
};
use crate::progress::Reporter;
use crate::registry::{
    Client, ClientOptions, Endpoint, FetchedFile, InvalidEndpoint, KeptPart, PlainHttp, RateLimit, Registry,
};
use crate::spec::{Origin, Source, SourcePlace, Spec};
use crate::store::{CompleteError, Descriptor, DiskStore, Mismatch, StoreError};

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
    opened: Mutex<BTreeMap<String, Opened>>,
    complaints: Arc<Complaints>,
    store: DiskStore,
    /// What relative paths are relative to.
    folder: PathBuf,
}

/// What stands for a registry, and the registries in it.
struct Opened {
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
        let (opened, complaints) = Default::default();
        Ok(Self { routes, client, opened, complaints, store, folder })
    }

    /// Opens what is missing of a file of a repository of packages; tells where in the file that begins.
    ///
    /// The digest of the whole must vouch for it: nobody asks whether the file is still the same.
    pub fn rest_of_repository_file(
        &self,
        base: &str,
        path: &str,
        kept: &KeptPart,
    ) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        let limit = kept.total.unwrap_or(u64::MAX);
        if base.starts_with("file:") {
            return Ok((0, self.repository_file(base, path, limit)?));
        }
        let file = self.download_rest(&format!("{base}/{path}"), limit, PlainHttp::Allowed, kept)?;
        Ok((file.from, file.reader))
    }

    /// Opens a file of a repository of packages, of which at most `limit` bytes are wanted.
    ///
    /// `base` is a [`RepositoryAddress`](crate::spec::RepositoryAddress) as a lock has it. Plain `http` will do: the
    /// signature of the repository, and the digests below it, vouch for what comes.
    pub fn repository_file(
        &self,
        base: &str,
        path: &str,
        limit: u64,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let Some(folder) = base.strip_prefix("file:") else {
            return self.download(&format!("{base}/{path}"), limit, PlainHttp::Allowed);
        };
        let file = self.folder.join(folder).join(path);
        let file = open_regular(&file).map_err(|error| {
            let message = format!("cannot read `{}`", file.display());
            SourceError::new(SourceErrorKind::Local, message).caused_by(error)
        })?;
        Ok(Box::new(file.take(limit)))
    }

    /// Downloads a file of at most `limit` bytes; over plain `http` only where a digest vouches for what comes.
    pub fn download(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(self.client(url)?.fetch_file(url, limit, plain_http)?.reader)
    }

    /// Downloads what is missing of a file as [`Sources::download`] does.
    pub fn download_rest(
        &self,
        url: &str,
        limit: u64,
        plain_http: PlainHttp,
        kept: &KeptPart,
    ) -> Result<FetchedFile, SourceError> {
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
        if let Some(Opened { source, .. }) = opened.get(registry) {
            return Ok(Arc::clone(source));
        }
        let new = self.open(reference)?;
        let source = Arc::clone(&new.source);
        opened.insert(registry.to_owned(), new);
        Ok(source)
    }

    fn open(&self, reference: &Reference) -> Result<Opened, SourceError> {
        let registry = reference.registry();
        let Some(Source { places }) = self.routes.get(registry) else {
            return self.open_registry(reference, Endpoint::of(registry));
        };
        let mut opened = Vec::new();
        for place in places {
            opened.push((place.from.to_string(), self.open_place(reference, place, places.len() > 1)?));
        }
        if opened.len() == 1 {
            return Ok(opened.remove(0).1);
        }
        let registries = opened.iter().flat_map(|(_, opened)| opened.registries.clone()).collect();
        let places = opened.into_iter().map(|(name, opened)| (name, opened.source));
        Ok(Opened { source: Arc::new(Failover::new(places, &self.complaints)), registries })
    }

    fn open_place(
        &self,
        reference: &Reference,
        place: &SourcePlace,
        has_others: bool,
    ) -> Result<Opened, SourceError> {
        let SourcePlace { from, ca_file } = place;
        let layout: LayoutSource = match from {
            Origin::Layout(path) => LayoutSource::folder(path)?,
            Origin::LayoutArchive(path) => LayoutSource::oci_archive(path)?,
            Origin::DockerArchive(path) => LayoutSource::docker_archive(path)?,
            Origin::Registry(url) => {
                // The spec lets an `http` URL pass only where it says `plainHttp`.
                let endpoint = Endpoint::new(reference.registry(), url.as_str(), PlainHttp::Allowed);
                let endpoint =
                    endpoint.map(|endpoint| endpoint.with_ca_file(ca_file.clone()).among_others(has_others));
                return self.open_registry(reference, endpoint);
            }
        };
        Ok(Opened { source: Arc::new(layout), registries: Vec::new() })
    }

    fn open_registry(
        &self,
        reference: &Reference,
        endpoint: Result<Endpoint, InvalidEndpoint>,
    ) -> Result<Opened, SourceError> {
        let invalid = |error| {
            let message = format!("the registry `{}` cannot be reached", reference.registry());
            SourceError::new(SourceErrorKind::Invalid, message).caused_by(error)
        };
        let endpoint = endpoint.map_err(invalid)?;
        let registry = Arc::new(self.client(&reference.to_string())?.registry(endpoint)?);
        Ok(Opened { source: Arc::<Registry>::clone(&registry), registries: vec![registry] })
    }

    /// Warns of what places did, while others gave what was asked for; of each only once.
    pub fn say_complaints(&self, reporter: &dyn Reporter) {
        for complaint in self.complaints.take() {
            reporter.warn(complaint.to_string());
        }
    }

    /// Returns all that [`Sources::say_complaints`] ever warned of.
    pub fn complaints(&self) -> Vec<Complaint> {
        self.complaints.taken()
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
        let mut file = fs_err::File::open(self.store.path(&descriptor.digest)).map_err(fail)?;
        file.seek(SeekFrom::Start(part.start)).map_err(fail)?;
        Ok(BlobPart::exact(file.take(part.end - part.start)))
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
            let wanted = (reference, descriptor);
            fetch_whole(self, &self.store, wanted, |_| {}, || {}).map_err(|error| match error {
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
