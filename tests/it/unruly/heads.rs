//! Answers of servers that cannot at the moment, do not answer, or want to be left alone.

use std::time::Duration;

use seedkit::oci::{ImageSource, SourceErrorKind};
use seedkit::progress::Event;
use seedkit::registry::Fault;

use super::{Scene, in_turn};
use crate::registry::{fault, reference, registry_at};
use crate::support::hostile::{Answer, Hostile};
use crate::support::images;
use crate::support::patience;
use crate::support::tls::Certificate;
use crate::support::unruly::{Unruly, Whim};

/// A registry that answers every request for a manifest's tag like this, in turn, before it does its duty.
fn answering(answers: &[Answer]) -> Scene {
    let whims: Vec<_> = answers.iter().cloned().map(Whim::Says).map(Some).collect();
    let whim = in_turn(&whims);
    let layer = images::layer("app");
    let server =
        Unruly::registry(&super::image_of(&layer), move |ask| if ask.name == "1" { whim(ask) } else { None });
    Scene::at(server, layer)
}

fn manifests_asked(scene: &Scene) -> usize {
    scene.server.requests().iter().filter(|request| request.target.ends_with("/manifests/1")).count()
}

#[test]
fn a_rate_limit_is_waited_for_as_long_as_the_server_says() {
    let limited = |headers: &[(&str, &str)]| {
        headers.iter().fold(Answer::new(429, "{}"), |answer, (name, value)| answer.header(name, value))
    };
    let at = |date: &'static str| ("Retry-After", date);
    const NOW: (&str, &str) = ("Date", "Sun, 22 Nov 2026 10:00:00 GMT");
    for (what, answer, exactly) in [
        ("seconds", limited(&[at("20")]), Some(20)),
        ("a date", limited(&[at("Sun, 22 Nov 2026 10:01:30 GMT"), NOW]), Some(90)),
        ("a date that is over", limited(&[at("Sun, 22 Nov 2026 09:00:00 GMT"), NOW]), Some(0)),
        ("no second", limited(&[at("0")]), Some(0)),
        ("a date of no known time", limited(&[at("Sun, 22 Nov 2026 10:01:30 GMT")]), None),
        ("nothing", limited(&[]), None),
        ("nonsense", limited(&[at("soon")]), None),
    ] {
        let scene = answering(&[answer]);
        scene.registry.resolve(&scene.reference).unwrap();
        assert_eq!(manifests_asked(&scene), 2, "{what}");
        let waits = scene.patience.clock.waits();
        match exactly {
            Some(0) => assert!(waits.is_empty(), "{what}: {waits:?}"),
            Some(seconds) => assert_eq!(waits, [Duration::from_secs(seconds)], "{what}"),
            None => scene.assert_waits(what, &[1]),
        }
        let event = Event::Retrying {
            host: scene.server.authority().to_owned(),
            reason: "429".to_owned(),
            wait: waits.first().copied().unwrap_or_default(),
            attempt: 2,
            attempts: Some(5),
        };
        assert_eq!(scene.patience.heard.events(), [event], "{what}");
    }
}

#[test]
fn a_storm_is_sat_out_and_whatever_follows_it_is_taken() {
    let scene = answering(&[
        Answer::new(500, "<html>oops"),
        Answer::new(503, ""),
        Answer::hang_up(),
        Answer::silence(),
    ])
    .impatient();
    scene.registry.resolve(&scene.reference).unwrap();
    scene.assert_waits("storm", &[1, 2, 4, 8]);
    let reasons = scene.patience.heard.events().into_iter().map(|event| {
        let Event::Retrying { reason, .. } = event else { panic!("{event:?}") };
        reason
    });
    let expected = [
        "500",
        "503",
        "the connection ended before the answer was complete",
        "nothing came within the time allowed",
    ];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
}

#[test]
fn a_storm_without_end_is_an_error_with_the_words_of_the_last_answer() {
    let overloaded = r#"{"errors":[{"code":"UNAVAILABLE","message":"overloaded"}]}"#;
    let scene = answering(&vec![Answer::new(503, overloaded); 9]);
    let error = scene.registry.resolve(&scene.reference).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Connection);
    // The body of an answer to HEAD is empty, whatever the server says.
    let expected = format!(
        "cannot resolve `{}`: HEAD {}/v2/some/app/manifests/1 answers 503 Service Unavailable (5 attempts)",
        scene.reference,
        scene.server.url()
    );
    assert_eq!(error.message, expected);
    assert_eq!(manifests_asked(&scene), 5);

    let scene = Scene::new(100, move |_| Some(Whim::Says(Answer::new(503, overloaded))));
    let error = scene.registry.blob(&scene.reference, &scene.layer.descriptor).err().unwrap();
    let expected = "answers 503 Service Unavailable (5 attempts): UNAVAILABLE: overloaded";
    assert!(error.message.ends_with(expected), "{error}");

    let silent = answering(&vec![Answer::hang_up(); 9]);
    let error = silent.registry.resolve(&silent.reference).unwrap_err();
    assert!(error.message.ends_with("/v2/some/app/manifests/1 gets no answer (5 attempts)"), "{error}");
    assert_eq!(fault(&error), Some(&Fault::Closed));
    silent.assert_waits("silent", &[1, 2, 4, 8]);
}

#[test]
fn what_will_not_change_is_asked_for_once() {
    for status in [401, 403, 404, 410, 418, 501, 505] {
        let scene = Scene::new(100, move |_| Some(Whim::Says(Answer::new(status, "{}"))));
        let error = scene.registry.blob(&scene.reference, &scene.layer.descriptor).err().unwrap();
        assert!(error.message.contains(&format!("answers {status}")), "{error}");
        assert!(!error.message.contains("attempts"), "{error}");
        assert_eq!((scene.asked().len(), scene.patience.clock.waits()), (1, vec![]), "{status}");
    }
    let untrusted = Hostile::start_with_tls(&Certificate::new(), |_| Answer::new(200, ""));
    for url in [untrusted.url().as_str(), "http://seedkit-no-such-host.invalid"] {
        let (options, patience) = patience::options();
        let registry = registry_at(options, url, None);
        let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
        assert!(matches!(fault(&error), Some(Fault::UnknownAuthority | Fault::UnknownHost)), "{error:?}");
        assert!(patience.clock.waits().is_empty(), "{url}");
    }
    assert_eq!(untrusted.requests(), []);
}

#[test]
fn a_host_that_asks_for_more_patience_than_there_is_is_left_alone_from_then_on() {
    let scene = answering(&[Answer::new(429, "").header("Retry-After", "3600")]);
    let error = scene.registry.resolve(&scene.reference).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::RateLimited);
    assert!(error.message.contains("answers 429 Too Many Requests; it says Retry-After: 3600"), "{error}");
    let error = scene.registry.resolve(&scene.reference).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::RateLimited);
    let expected = format!("is not sent: `{}` wants no request for another 3600 s", scene.server.authority());
    assert!(error.message.ends_with(&expected), "{error}");
    assert_eq!((scene.server.requests().len(), scene.patience.clock.waits()), (1, vec![]));
}

#[test]
fn a_manifest_that_breaks_off_is_asked_for_again() {
    let layer = images::layer("app");
    let image = super::image_of(&layer);
    let root = image.root().clone();
    let name = root.digest.to_string();
    let whim = in_turn(&[Some(Whim::Cut(30)), Some(Whim::Stall(30)), None]);
    let server = Unruly::registry(&image, move |ask| if ask.name == name { whim(ask) } else { None });
    let scene = Scene::at(server, layer).impatient();
    assert_eq!(scene.registry.manifest(&scene.reference, &root).unwrap(), image.manifests[0].bytes);
    assert_eq!(scene.server.asked(&root.digest.to_string()), ["whole"; 3]);
    scene.assert_waits("manifest", &[2]);
}

#[test]
fn connections_are_used_again_after_answers_that_did_not_help() {
    let scene = answering(&vec![Answer::new(503, r#"{"errors":[]}"#); 3]);
    scene.registry.resolve(&scene.reference).unwrap();
    assert!(scene.server.requests().iter().all(|request| request.connection == 0));
}
