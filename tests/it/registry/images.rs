//! Against Debian's docker-registry.

use std::sync::atomic::{AtomicUsize, Ordering};

use seedkit::digest::Digest;
use seedkit::oci::{ImageSource, SourceErrorKind};
use seedkit::registry::ClientOptions;

use super::{reference, registry_at};
use crate::support::images::{self, Image};
use crate::support::registry::Registry;
use crate::support::tls::Certificate;

fn client_of(server: &Registry) -> seedkit::registry::Registry {
    registry_at(ClientOptions::default(), &server.url(), server.ca_file())
}

/// Checks that everything below an image comes out of the registry as it went in.
fn assert_whole(registry: &seedkit::registry::Registry, name: &str, image: &Image) {
    let reference = reference(registry, name);
    assert_eq!(&registry.resolve(&reference).unwrap(), image.root(), "{name}");
    let pinned = reference.pinned(image.root().digest);
    assert_eq!(&registry.resolve(&pinned).unwrap(), image.root(), "{name}");
    for content in &image.manifests {
        assert_eq!(registry.manifest(&reference, &content.descriptor).unwrap(), content.bytes, "{name}");
    }
    for content in &image.blobs {
        let bytes = super::read(registry, &reference, &content.descriptor).unwrap();
        assert_eq!(Digest::sha256(&bytes), content.descriptor.digest, "{name}");
    }
}

#[test]
fn every_kind_of_image_arrives_byte_for_byte() {
    let server = Registry::start();
    let registry = client_of(&server);
    let layers = [images::layer("a"), images::large_layer(1, 3_000_000), images::empty_layer()];
    let [amd64, arm64] = ["amd64", "arm64"].map(|architecture| images::image("linux", architecture, &layers));
    let docker = ["amd64", "arm64"].map(|architecture| images::docker_image("linux", architecture, &layers));
    let zstd = images::image("linux", "amd64", &[images::zstd_layer("z"), images::plain_layer("p")]);
    for (tag, image) in [
        ("attested", images::attested_index(&[amd64.clone(), arm64.clone()])),
        ("nested", images::index(&[images::index(&[arm64]), amd64])),
        ("docker", docker[0].clone()),
        ("list", images::docker_list(&docker)),
        ("foreign", images::foreign_layer_image()),
        ("chart", images::helm_chart()),
        ("zstd", zstd),
    ] {
        image.put(&server, "some/images", tag);
        assert_whole(&registry, &format!("some/images:{tag}"), &image);
    }
}

#[test]
fn an_image_that_skopeo_pushed_arrives_over_tls() {
    let server = Registry::start_with_tls(Certificate::new());
    let image = images::image("linux", "amd64", &[images::layer("tls")]);
    image.push_with_skopeo(&server, "library/app:1");
    assert_whole(&client_of(&server), "library/app:1", &image);
}

#[test]
fn what_is_not_there_is_named_with_the_words_of_the_registry() {
    let server = Registry::start();
    let registry = client_of(&server);
    let absent = reference(&registry, "absent/image:1");
    let error = registry.resolve(&absent).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot resolve `{absent}`: GET {}/v2/absent/image/manifests/1 answers 404 Not Found: \
             MANIFEST_UNKNOWN: manifest unknown",
            server.url()
        )
    );
    let blob = images::layer("absent").descriptor;
    let error = registry.blob(&absent, &blob).err().unwrap();
    assert_eq!(error.kind, SourceErrorKind::ContentNotFound);
    assert!(error.message.starts_with(&format!("cannot get a blob of `{absent}`: GET ")), "{error}");
    assert!(error.message.contains(&blob.digest.to_string()), "{error}");
    let error = registry.manifest(&absent, &blob).unwrap_err();
    assert!(error.message.starts_with(&format!("cannot get a manifest of `{absent}`: GET ")), "{error}");
}

#[test]
fn sixteen_threads_share_one_registry() {
    let server = Registry::start();
    let layers: Vec<_> = (0..32).map(|seed| images::large_layer(seed, 300_000)).collect();
    let image = images::image("linux", "amd64", &layers);
    image.put(&server, "many/layers", "1");
    let registry = client_of(&server);
    let from = reference(&registry, "many/layers:1");
    let (next, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(layer) = layers.get(next.fetch_add(1, Ordering::SeqCst)) {
                    assert_eq!(super::read(&registry, &from, &layer.descriptor).unwrap(), layer.bytes);
                    good.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(good.into_inner(), 32);
}
