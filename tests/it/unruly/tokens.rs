//! Tokens that run out in the middle of a blob, and token servers that cannot at the moment.

use std::sync::{Arc, OnceLock};

use seedkit::oci::{ImageSource, SourceErrorKind};

use super::{Scene, image_of};
use crate::support::hostile::Answer;
use crate::support::unruly::{Ask, Unruly, Whim, noise};

/// A registry that wants a token: `is_good` says which for which request, `unruly` what else happens.
fn with_tokens(
    is_good: impl Fn(&Ask<'_>, &str) -> bool + Send + Sync + 'static,
    unruly: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static,
) -> Scene {
    let layer = noise(300_000);
    let own = Arc::new(OnceLock::<String>::new());
    let url = Arc::clone(&own);
    let server = Unruly::registry(&image_of(&layer), move |ask| {
        if ask.name == "token" {
            let token = format!(r#"{{"token":"token-{}","expires_in":300}}"#, ask.number + 1);
            return unruly(ask).or_else(|| Some(Whim::Says(Answer::new(200, token))));
        }
        let token = ask.request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        if token.is_some_and(|token| is_good(ask, token)) {
            return unruly(ask);
        }
        let challenge = format!(r#"Bearer realm="{}/token",service="test""#, url.get().unwrap());
        Some(Whim::Says(Answer::new(401, "{}").header("WWW-Authenticate", &challenge)))
    });
    own.set(server.url()).unwrap();
    Scene::at(server, layer)
}

#[test]
fn a_token_that_runs_out_in_the_middle_of_a_blob_is_replaced_and_the_blob_goes_on() {
    // The first request has no token, the second one breaks off, and from then on the first token is too old.
    let scene = with_tokens(
        |ask, token| token == if ask.number < 2 { "token-1" } else { "token-2" },
        |ask| (ask.name.starts_with("sha256:") && ask.number == 1).then_some(Whim::Cut(100_000)),
    );
    scene.fetch().unwrap();
    scene.assert_stored("token");
    assert_eq!(scene.asked(), ["whole", "whole", "bytes=100000-299999", "bytes=100000-299999"]);
    assert_eq!(scene.server.asked("token").len(), 2);
    assert_eq!(scene.sent_twice(), 0);
    scene.assert_waits("token", &[]);
}

#[test]
fn no_token_follows_a_redirect_on_parts_retries_and_new_tokens() {
    let layer = noise(300_000);
    let name = layer.descriptor.digest.to_string();
    let busy = |status| Some(Whim::Says(Answer::new(status, "").header("Retry-After", "1")));
    let whims = [busy(503), Some(Whim::Cut(100_000)), busy(429), Some(Whim::Cut(50_000))];
    let elsewhere = Arc::new(Unruly::files(&[(&name, &layer.bytes)], None, super::in_turn(&whims)));
    // Another host, and not only another port.
    let host = elsewhere.authority().replace("127.0.0.1", "localhost");
    let location = format!("http://{host}/cdn/{name}?signature=hidden");
    let scene = with_tokens(
        |ask, token| token == if ask.number < 4 { "token-1" } else { "token-2" },
        move |ask| {
            let is_layer = ask.request.target.contains("/blobs/");
            is_layer.then(|| Whim::Says(Answer::redirect(&location)))
        },
    );
    scene.fetch().unwrap();
    scene.assert_stored("redirected");
    let rest = "bytes=100000-299999";
    assert_eq!(elsewhere.asked(&name), ["whole", "whole", rest, rest, "bytes=150000-299999"]);
    assert_eq!(elsewhere.sent_twice(&name), 0);
    assert_eq!(scene.server.asked("token").len(), 2);
    for request in elsewhere.requests() {
        assert_eq!(request.header("authorization"), None, "{request:?}");
        assert!(request.headers.values().all(|value| !value.contains("token-")), "{request:?}");
    }
}

#[test]
fn a_token_server_that_cannot_at_the_moment_is_asked_again() {
    let scene = with_tokens(
        |_, _| true,
        |ask| {
            let says = match (ask.name, ask.number) {
                ("token", 0) => Answer::new(503, "").header("Retry-After", "9"),
                ("token", 1) => Answer::hang_up(),
                _ => return None,
            };
            Some(Whim::Says(says))
        },
    );
    scene.fetch().unwrap();
    scene.assert_stored("token server");
    assert_eq!(scene.server.asked("token").len(), 3);
    scene.assert_waits("token server", &[9, 2]);
}

#[test]
fn a_new_token_is_tried_once_and_no_more() {
    let scene = with_tokens(|_, _| false, |_| None);
    let error = scene.registry.resolve(&scene.reference).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Denied);
    assert_eq!(scene.server.requests().len(), 3);
    scene.assert_waits("token", &[]);
}
