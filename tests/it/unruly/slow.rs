//! Servers that are never silent, and never get on either.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use seedkit::oci::ImageSource;
use seedkit::progress::Event;
use seedkit::registry::{ClientOptions, Clock, RetryPolicy};
use seedkit::store::DiskStore;

use super::{Scene, image_of, in_turn};
use crate::registry::{reference, registry_at};
use crate::support::hostile::{Answer, Body, Meter};
use crate::support::images;
use crate::support::patience::Heard;
use crate::support::unruly::{Ask, Unruly, Whim, noise};

/// A clock that each look moves on by a second, in which a server may send one more piece.
#[derive(Debug, Default)]
struct Dripping {
    /// The looks, and the time that was waited.
    state: Mutex<(u32, Duration)>,
    looked: Condvar,
}

impl Clock for Dripping {
    fn now(&self) -> Duration {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.looked.notify_all();
        Duration::from_secs(u64::from(state.0)) + state.1
    }

    fn wait(&self, duration: Duration) {
        self.state.lock().unwrap().1 += duration;
    }
}

impl Dripping {
    /// Lets a piece of one answer out after each look from now on.
    fn meter(self: &Arc<Self>) -> Meter {
        let clock = Arc::clone(self);
        let sent = AtomicU32::new(self.state.lock().unwrap().0);
        Meter(Arc::new(move |_| {
            let sent = sent.fetch_add(1, Ordering::SeqCst);
            let state = clock.state.lock().unwrap();
            drop(clock.looked.wait_while(state, |(looks, _)| sent >= *looks).unwrap());
            Ok(true)
        }))
    }
}

/// A registry whose layer of so many bytes, or whose manifest, comes as `whim` says; no real time passes.
fn scene(
    size: usize,
    whim: impl Fn(&Ask<'_>, Meter) -> Option<Whim> + Send + Sync + 'static,
) -> (Scene, Arc<Heard>) {
    let layer = noise(size);
    let clock = Arc::<Dripping>::default();
    let dripping = Arc::clone(&clock);
    let server = Unruly::registry(&image_of(&layer), move |ask| whim(ask, dripping.meter()));
    let heard = Arc::<Heard>::default();
    let retry = RetryPolicy { clock, reporter: heard.clone(), ..RetryPolicy::default() };
    // Silence is what these tests are not about.
    let options = ClientOptions { read_timeout: Duration::from_secs(600), retry, ..ClientOptions::default() };
    let registry = registry_at(options, &server.url(), None);
    let reference = reference(&registry, "some/app:1");
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    let (_, patience) = crate::support::patience::options();
    (Scene { server, registry, reference, patience, layer, store, _folder: folder }, heard)
}

/// Returns why requests were sent again.
fn reasons(heard: &Heard) -> Vec<String> {
    let reason = |event| {
        let Event::Retrying { reason, .. } = event else { panic!("{event:?}") };
        reason
    };
    heard.events().into_iter().map(reason).collect()
}

const TOO_SLOW: &str = "fewer than 1200 bytes came in 60 s";

#[test]
fn a_blob_that_drips_goes_on_by_another_request_where_it_was() {
    let (scene, heard) = scene(100_000, |ask, meter| {
        let is_layer = ask.request.target.contains("/blobs/");
        (is_layer && ask.number == 0).then_some(Whim::Drops(1, meter))
    });
    scene.fetch().unwrap();
    scene.assert_stored("drips");
    let asked = scene.asked();
    let [first, second] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(first, "whole");
    let from = second.strip_prefix("bytes=").and_then(|range| range.strip_suffix("-99999")).unwrap();
    // Each read took a second, in which a byte or two came.
    let from: usize = from.parse().unwrap();
    assert!((60..180).contains(&from), "{second}");
    assert_eq!(reasons(&heard), [TOO_SLOW]);
}

#[test]
fn a_blob_that_always_drips_is_given_up_and_the_error_says_why() {
    let (scene, heard) =
        scene(100_000, |ask, meter| ask.request.target.contains("/blobs/").then_some(Whim::Drops(1, meter)));
    let error = std::error::Error::source(&scene.fetch().unwrap_err()).unwrap().to_string();
    assert!(error.ends_with("breaks off (5 attempts)"), "{error}");
    scene.assert_nothing_stored("drips");
    assert_eq!(reasons(&heard), [TOO_SLOW; 4]);
    assert_eq!(scene.asked().len(), 5);
}

#[test]
fn a_slow_line_is_no_failure() {
    // A modem's line that eight downloads share: 137 bytes a second, of which a look at the clock lets out half.
    let (scene, heard) = scene(20_000, |_, meter| Some(Whim::Drops(64, meter)));
    scene.fetch().unwrap();
    scene.assert_stored("slow");
    assert_eq!(scene.asked(), ["whole"]);
    assert_eq!(reasons(&heard), [""; 0]);
}

#[test]
fn a_manifest_that_drips_and_a_refusal_that_does_are_asked_for_again() {
    let whims = |meter: &Meter| {
        let refusal = Answer::with_body(Body::Drops(vec![b' '; 10_000], 1, meter.clone())).status(503);
        in_turn(&[Some(Whim::Says(refusal)), Some(Whim::Drops(1, meter.clone()))])
    };
    let (scene, heard) = scene(100, move |ask, meter| {
        let is_manifest = ask.name.starts_with("sha256:") && ask.request.target.contains("/manifests/");
        is_manifest.then(|| whims(&meter)(ask)).flatten()
    });
    let image = images::image("linux", "amd64", std::slice::from_ref(&scene.layer));
    let bytes = scene.registry.manifest(&scene.reference, image.root()).unwrap();
    assert_eq!(bytes, image.manifests[0].bytes);
    assert_eq!(reasons(&heard), ["503", TOO_SLOW]);
}
