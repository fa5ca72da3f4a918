//! Where every image and file comes from: the store first, then what the spec says, then the registry itself.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::oci::{ImageSource, LayoutSource, MANIFEST_LIMIT, Reference, SourceError, SourceErrorKind};
use crate::spec::{Origin, Source, Spec};
use crate::store::{Descriptor, DiskStore};

/// Whether there is a network, and how it is reached.
#[derive(Debug, Clone)]
pub enum Network {
    /// `--offline`: nothing may be asked for.
    Forbidden,
    /// Registries and servers may be asked.
    Allowed {
        /// Files that may hold registry credentials, in the order in which they are asked.
        credential_files: Vec<PathBuf>,
        /// The proxy for `https`, which may hold credentials.
        https_proxy: Option<String>,
        /// The proxy for `http`.
        http_proxy: Option<String>,
        /// Hosts that are reached without a proxy.
        no_proxy: Option<String>,
        /// Certificate authorities to trust instead of the system's.
        certificate_file: Option<PathBuf>,
    },
}

/// All sources of a spec, opened when they are first needed. Manifests that were seen once stay in the store.
pub struct Sources {
    routes: BTreeMap<String, Source>,
    opened: Mutex<BTreeMap<String, Arc<dyn ImageSource>>>,
    store: DiskStore,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sources").field("routes", &self.routes).finish_non_exhaustive()
    }
}
impl Sources {
    /// Returns the sources of `spec`.
    pub fn new(spec: &Spec, store: &DiskStore, _network: Network) -> Result<Self, SourceError> {
        let routes =
            spec.sources.iter().map(|(registry, source)| (registry.to_string(), source.clone())).collect();
        Ok(Self { routes, opened: Mutex::default(), store: store.clone() })
    }

    /// Downloads a file.
    pub fn download(&self, _url: &str) -> Result<Box<dyn Read + Send>, SourceError> {
        Err(not_yet("downloads"))
    }

    /// Returns the source for a registry's images; each is opened once.
    fn source_for(&self, registry: &str) -> Result<Arc<dyn ImageSource>, SourceError> {
        let mut opened = self.opened.lock().expect("nobody panics while opening a source");
        if let Some(source) = opened.get(registry) {
            return Ok(Arc::clone(source));
        }
        let source = self.open(registry)?;
        opened.insert(registry.to_owned(), Arc::clone(&source));
        Ok(source)
    }

    fn open(&self, registry: &str) -> Result<Arc<dyn ImageSource>, SourceError> {
        let Some(source) = self.routes.get(registry) else {
            return Err(not_yet(registry));
        };
        Ok(match &source.from {
            Origin::Layout(path) => Arc::new(LayoutSource::folder(path)?),
            Origin::LayoutArchive(path) => Arc::new(LayoutSource::oci_archive(path)?),
            Origin::DockerArchive(path) => Arc::new(LayoutSource::docker_archive(path)?),
            Origin::Registry(_) => return Err(not_yet(registry)),
        })
    }
}

fn not_yet(what: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Connection, format!("{what}: the network comes with the next commit"))
}

fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>, what: &str) -> SourceError {
    SourceError::new(SourceErrorKind::Local, format!("cannot use the store for {what}")).caused_by(error)
}

impl ImageSource for Sources {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        self.source_for(reference.registry())?.resolve(reference)
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
        let bytes = self.source_for(reference.registry())?.manifest(reference, descriptor)?;
        self.store.push(descriptor, bytes.as_slice(), |_| {}).map_err(|error| store_error(error, &what()))?;
        Ok(bytes)
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        if self.store.contains(descriptor) {
            let path = self.store.path(&descriptor.digest);
            let file = fs_err::File::open(path).map_err(|error| store_error(error, "a blob"))?;
            return Ok(Box::new(file));
        }
        self.source_for(reference.registry())?.blob(reference, descriptor)
    }
}
