//! Servers that misbehave on command: what comes is right, or the error says exactly what is wrong; no byte is sent
//! twice without need, and nothing that is wrong is kept.

mod bodies;
mod commands;
mod files;
mod heads;
mod messages;
mod slow;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seedkit::oci::{ImageSource, Reference};
use seedkit::registry::{ClientOptions, Registry};
use seedkit::store::{DiskStore, StoreError};

use crate::registry::{reference, registry_at};
use crate::support::images::{self, Content, Image};
use crate::support::patience::{self, Patience};
use crate::support::sandbox;
use crate::support::unruly::{Ask, Unruly, Whim, noise};

/// An image of one layer.
fn image_of(layer: &Content) -> Image {
    images::image("linux", "amd64", std::slice::from_ref(layer))
}

/// A client of an unruly registry that has one image of one layer, and an empty store.
struct Scene {
    server: Unruly,
    registry: Registry,
    reference: Reference,
    patience: Patience,
    layer: Content,
    store: DiskStore,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// Sets it up; `whim` is for requests of the layer.
    fn with_layer(layer: Content, whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static) -> Self {
        let name = layer.descriptor.digest.to_string();
        let server =
            Unruly::registry(&image_of(&layer), move |ask| if ask.name == name { whim(ask) } else { None });
        Self::at(server, layer)
    }

    /// Sets it up with a layer of incompressible bytes.
    fn new(size: usize, whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static) -> Self {
        Self::with_layer(noise(size), whim)
    }

    fn at(server: Unruly, layer: Content) -> Self {
        let (options, patience) = patience::options();
        let registry = registry_at(options, &server.url(), None);
        let reference = reference(&registry, "some/app:1");
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path()).unwrap();
        Self { server, registry, reference, patience, layer, store, _folder: folder }
    }

    /// Has the client wait only shortly for a server that is silent on purpose.
    fn impatient(self) -> Self {
        let (options, patience) = patience::options();
        let options = ClientOptions { read_timeout: patience::SILENCE, ..options };
        let registry = registry_at(options, &self.server.url(), None);
        Self { registry, patience, ..self }
    }

    /// Fetches the layer into the store.
    fn fetch(&self) -> Result<(), StoreError> {
        let descriptor = &self.layer.descriptor;
        let content = self.registry.blob(&self.reference, descriptor).unwrap();
        self.store.push(descriptor, content, |_| {})
    }

    /// Returns for which ranges the layer was asked.
    fn asked(&self) -> Vec<String> {
        self.server.asked(&self.layer.descriptor.digest.to_string())
    }

    /// Returns how many bytes of the layer were sent twice.
    fn sent_twice(&self) -> usize {
        self.server.sent_twice(&self.layer.descriptor.digest.to_string())
    }

    /// Checks that the store has the layer and nothing else.
    fn assert_stored(&self, what: &str) {
        assert!(
            self.store.read(&self.layer.descriptor).unwrap().as_ref() == Some(&self.layer.bytes),
            "{what}"
        );
        assert_eq!(sandbox::files(self.store.root()).len(), 1, "{what}");
    }

    /// Checks that the store has nothing.
    fn assert_nothing_stored(&self, what: &str) {
        assert_eq!(sandbox::files(self.store.root()), Vec::<PathBuf>::new(), "{what}");
    }

    /// Checks the waits as [`assert_waits`] does.
    fn assert_waits(&self, what: &str, seconds: &[u64]) {
        assert_waits(&self.patience, what, seconds);
    }
}

/// Checks that these were the waits, of each of which jitter may have taken up to a half.
fn assert_waits(patience: &Patience, what: &str, seconds: &[u64]) {
    let waits = patience.clock.waits();
    let fits = |(wait, seconds): (&Duration, &u64)| {
        let full = Duration::from_secs(*seconds);
        *wait <= full && *wait >= full / 2
    };
    let is_all = waits.len() == seconds.len() && waits.iter().zip(seconds).all(fits);
    assert!(is_all, "{what}: {waits:?} instead of {seconds:?}");
}

/// Makes a whim that follows a list, and then is none.
fn in_turn(whims: &[Option<Whim>]) -> impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + use<> {
    let whims: Arc<[Option<Whim>]> = whims.into();
    move |ask| whims.get(ask.number).cloned().flatten()
}
