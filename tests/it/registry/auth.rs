//! Who gets which credentials.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use fs_err as fs;
use seedkit::oci::{ImageSource, SourceErrorKind};
use seedkit::registry::ClientOptions;

use super::{options, reference, registry_at};
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images::{self, Image};

/// Writes a Docker configuration that knows `authority`.
pub(super) fn configuration(folder: &Path, authority: &str, entry: &str) -> PathBuf {
    let path = folder.join("config.json");
    fs::write(&path, format!(r#"{{"auths":{{"{authority}":{entry}}}}}"#)).unwrap();
    path
}

pub(super) fn with_file(path: PathBuf) -> ClientOptions {
    ClientOptions { credential_files: vec![path], ..options() }
}

pub(super) fn app() -> Image {
    images::image("linux", "amd64", &[images::layer("app")])
}

/// Answers as a registry that holds one image does.
pub(super) fn content(image: &Image, request: &Request) -> Answer {
    let name = request.target.rsplit('/').next().unwrap();
    let all = || image.manifests.iter().chain(&image.blobs);
    let by_digest = all().find(|content| content.descriptor.digest.to_string() == name);
    let Some(found) = by_digest.or_else(|| image.manifests.last().filter(|_| name == "1")) else {
        return Answer::new(404, "{}");
    };
    Answer::new(200, found.bytes.clone())
        .header("Content-Type", &found.descriptor.media_type)
        .header("Docker-Content-Digest", &found.descriptor.digest.to_string())
}

/// A registry that wants a token of its own token server, which gives `token-1`, `token-2`, …
///
/// `is_good` decides which numbers the registry takes, `answer` what the token server says for a number.
fn with_tokens(
    is_good: impl Fn(usize) -> bool + Send + Sync + 'static,
    answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> Hostile {
    with_tokens_for(|repository| format!("repository:{repository}:pull"), is_good, answer)
}

/// The same, whose challenge for a repository has the scope that `scope` says.
fn with_tokens_for(
    scope: impl Fn(&str) -> String + Send + Sync + 'static,
    is_good: impl Fn(usize) -> bool + Send + Sync + 'static,
    answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> Hostile {
    let (image, given) = (app(), AtomicUsize::new(0));
    let own = Arc::new(OnceLock::<String>::new());
    let url = Arc::clone(&own);
    let server = Hostile::start(move |request| {
        if request.target.starts_with("/token") {
            return answer(request, given.fetch_add(1, Ordering::SeqCst) + 1);
        }
        let token = request.header("authorization").and_then(|header| header.strip_prefix("Bearer token-"));
        if token.is_some_and(|number| is_good(number.parse().unwrap())) {
            return content(&image, request);
        }
        let repository = request.target.split('/').skip(2).take(2).collect::<Vec<_>>().join("/");
        let challenge = format!(
            r#"Bearer realm="{}/token",service="registry.test",scope="{}""#,
            url.get().unwrap(),
            scope(&repository)
        );
        Answer::new(401, "{}").header("WWW-Authenticate", &challenge)
    });
    own.set(server.url()).unwrap();
    server
}

fn token(number: usize) -> Answer {
    Answer::new(200, format!(r#"{{"token":"token-{number}","expires_in":300}}"#))
}

fn lines(server: &Hostile) -> Vec<String> {
    server.requests().iter().map(Request::line).collect()
}

#[test]
fn a_token_is_fetched_once_per_repository_by_sixteen_threads() {
    let server = with_tokens(|_| true, |_, number| token(number));
    let registry = registry_at(options(), &server.url(), None);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let registry = &registry;
            scope.spawn(move || {
                let from = reference(registry, &format!("some/app{}:1", thread % 2));
                registry.resolve(&from).unwrap();
            });
        }
    });
    let tokens: Vec<String> =
        lines(&server).into_iter().filter(|line| line.starts_with("GET /token")).collect();
    let query = |name| format!("GET /token?service=registry.test&scope=repository%3Asome%2F{name}%3Apull");
    let mut sorted = tokens.clone();
    sorted.sort();
    assert_eq!(sorted, [query("app0"), query("app1")]);
}

#[test]
fn a_second_repository_is_asked_with_a_token_at_once() {
    let server = with_tokens(|_| true, |_, number| token(number));
    let registry = registry_at(options(), &server.url(), None);
    for name in ["some/app0:1", "some/app1:1", "some/app1:1"] {
        registry.resolve(&reference(&registry, name)).unwrap();
    }
    // Only the first is asked without a token, to learn what is wanted.
    let expected = ["HEAD /v2", "GET /tok", "HEAD /v2", "GET /tok", "HEAD /v2", "HEAD /v2"];
    let begins: Vec<String> = lines(&server).iter().map(|line| line[..8].to_owned()).collect();
    assert_eq!(begins, expected);
}

#[test]
fn a_registry_with_a_scope_of_its_own_is_asked_with_its_token_as_others_are() {
    for (scope, asked) in [
        // One for all, as public.ecr.aws has it; and one that is another repository's.
        (
            "aws",
            ["HEAD /v2", "GET /tok", "HEAD /v2", "HEAD /v2", "GET /tok", "HEAD /v2", "HEAD /v2"].as_slice(),
        ),
        (
            "repository:x:pull",
            &["HEAD /v2", "GET /tok", "HEAD /v2", "HEAD /v2", "HEAD /v2", "GET /tok", "HEAD /v2", "HEAD /v2"],
        ),
    ] {
        let server = with_tokens_for(move |_| scope.to_owned(), |_| true, |_, number| token(number));
        let registry = registry_at(options(), &server.url(), None);
        for name in ["some/app0:1", "some/app0:1", "some/app1:1", "some/app1:1"] {
            registry.resolve(&reference(&registry, name)).unwrap();
        }
        let begins: Vec<String> = lines(&server).iter().map(|line| line[..8].to_owned()).collect();
        assert_eq!(begins, asked, "{scope}");
        let tokens = lines(&server).into_iter().filter(|line| line.starts_with("GET /token"));
        let scope = format!("scope={}", scope.replace(':', "%3A"));
        assert!(tokens.clone().count() == 2 && tokens.into_iter().all(|line| line.ends_with(&scope)));
    }
}

#[test]
fn a_token_that_ends_sooner_than_its_server_says_is_replaced_whatever_the_scope() {
    for scope in ["aws", "repository:x:pull", "repository:some/app:pull"] {
        let uses = AtomicUsize::new(0);
        let server = with_tokens_for(
            move |_| scope.to_owned(),
            // Each token is good for two requests.
            move |number| number == 1 + uses.fetch_add(1, Ordering::SeqCst) / 2,
            |_, number| Answer::new(200, format!(r#"{{"token":"token-{number}"}}"#)),
        );
        let registry = registry_at(options(), &server.url(), None);
        for _ in 0..5 {
            registry.resolve(&reference(&registry, "some/app:1")).unwrap();
        }
    }
}

#[test]
fn over_plain_http_no_password_goes_to_a_token_server_on_another_host() {
    let elsewhere = Hostile::start(|_| token(1));
    let realm = elsewhere.url().replace("127.0.0.1", "localhost");
    let server = Hostile::start(move |_| {
        let challenge = format!(r#"Bearer realm="{realm}/token",service="s""#);
        Answer::new(401, "").header("WWW-Authenticate", &challenge)
    });
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path(), server.authority(), r#"{"auth":"bWU6cHc="}"#);
    let registry = registry_at(with_file(path), &server.url(), None);
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert!(error.message.contains("names a token server on another host, `http://localhost:"), "{error}");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_redirect_to_a_link_local_address_is_refused_before_anybody_is_asked() {
    let server = Hostile::start(|_| Answer::redirect("http://169.254.169.254/latest/meta-data"));
    let registry = registry_at(options(), &server.url(), None);
    let error = registry.blob(&reference(&registry, "some/app:1"), &app().blobs[0].descriptor).err().unwrap();
    assert!(error.message.ends_with("is redirected to the link-local address 169.254.169.254"), "{error}");
}

#[test]
fn an_expired_token_is_replaced_before_and_after_the_registry_notices() {
    // The server says a token lives no time, or says nothing and takes only every second one.
    let dead = with_tokens(
        |_| true,
        |_, number| Answer::new(200, format!(r#"{{"access_token":"token-{number}","expires_in":0}}"#)),
    );
    let registry = registry_at(options(), &dead.url(), None);
    for _ in 0..2 {
        registry.resolve(&reference(&registry, "some/app:1")).unwrap();
    }
    assert_eq!(lines(&dead).iter().filter(|line| line.starts_with("GET /token")).count(), 2);

    let image = app();
    let uses = AtomicUsize::new(0);
    let revoking = with_tokens(
        move |number| number == 1 + uses.fetch_add(1, Ordering::SeqCst) / 2,
        |_, number| token(number),
    );
    let registry = registry_at(options(), &revoking.url(), None);
    let from = reference(&registry, "some/app:1");
    for content in image.blobs.iter().chain(&image.blobs) {
        assert_eq!(super::read(&registry, &from, &content.descriptor).unwrap(), content.bytes);
    }
}

#[test]
fn a_registry_that_refuses_every_token_is_asked_twice_and_no_more() {
    let server = with_tokens(|_| false, |_, number| token(number));
    let registry = registry_at(options(), &server.url(), None);
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Denied);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_token_server_gets_the_password_and_the_registry_the_token() {
    let server = with_tokens(|_| true, |_, number| token(number));
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path(), server.authority(), r#"{"auth":"bWU6cHc="}"#);
    let registry = registry_at(with_file(path), &server.url(), None);
    registry.resolve(&reference(&registry, "some/app:1")).unwrap();
    let sent: Vec<_> =
        server.requests().iter().map(|r| r.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, [None, Some("Basic bWU6cHc=".to_owned()), Some("Bearer token-1".to_owned())]);
}

#[test]
fn an_identity_token_is_exchanged_by_post_and_never_redirected() {
    let server = with_tokens(
        |_| true,
        |request, number| match number {
            1 => token(number),
            _ => Answer::redirect("/token-elsewhere").header("X-Body", &request.body.len().to_string()),
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path(), server.authority(), r#"{"auth":"","identitytoken":"a&b"}"#);
    let registry = registry_at(with_file(path), &server.url(), None);
    registry.resolve(&reference(&registry, "some/app:1")).unwrap();
    let post = &server.requests()[1];
    assert_eq!(post.line(), "POST /token");
    assert_eq!(post.header("authorization"), None);
    assert_eq!(
        String::from_utf8_lossy(&post.body),
        "service=registry.test&scope=repository%3Asome%2Fapp%3Apull\
         &grant_type=refresh_token&client_id=seedkit&refresh_token=a%26b"
    );
    let error = registry.resolve(&reference(&registry, "other/app:1")).unwrap_err();
    assert!(error.message.contains("POST ") && error.message.contains("answers 307"), "{error}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_a_token_server_says_instead_of_a_token_is_an_error() {
    for (answer, kind, words) in [
        (Answer::new(200, "<html>"), SourceErrorKind::Invalid, "not a token"),
        (Answer::new(200, r#"{"token":"a\nb"}"#), SourceErrorKind::Invalid, "not a token"),
        (
            Answer::new(401, r#"{"details":"incorrect username or password"}"#),
            SourceErrorKind::Denied,
            "incorrect username or password",
        ),
        (Answer::new(429, "").header("Retry-After", "7"), SourceErrorKind::RateLimited, "Retry-After: 7"),
    ] {
        let server = with_tokens(|_| true, move |_, _| answer.clone());
        let registry = registry_at(options(), &server.url(), None);
        let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.message.contains(words) && error.message.contains("/token "), "{error}");
        assert!(!error.message.contains("scope="), "{error}");
    }
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_port() {
    for status_elsewhere in [200, 401] {
        let image = app();
        let layer = image.blobs[0].clone();
        let bytes = layer.bytes.clone();
        let elsewhere = Hostile::start(move |_| {
            Answer::new(status_elsewhere, bytes.clone())
                .header("WWW-Authenticate", r#"Bearer realm="http://127.0.0.1:1/token""#)
        });
        let location = format!("{}/cdn?signature=hidden", elsewhere.url());
        let server = Hostile::start(move |request| match request.header("authorization") {
            Some("Basic bWU6cHc=") => Answer::redirect(&location),
            _ => Answer::new(401, "").header("WWW-Authenticate", "Basic realm=test"),
        });
        let folder = tempfile::tempdir().unwrap();
        let path = configuration(folder.path(), server.authority(), r#"{"auth":"bWU6cHc="}"#);
        let registry = registry_at(with_file(path), &server.url(), None);
        let from = reference(&registry, "some/app:1");
        match registry.blob(&from, &layer.descriptor) {
            Ok(_) => assert_eq!(status_elsewhere, 200),
            Err(error) => {
                assert_eq!((status_elsewhere, error.kind), (401, SourceErrorKind::RefusedElsewhere));
                assert!(
                    error.message.contains("/cdn) answers 401") && !error.message.contains("credentials"),
                    "{error}"
                );
                assert!(!error.message.contains("hidden"), "{error}");
            }
        }
        let leaked: Vec<_> = elsewhere.requests().into_iter().map(|request| request.headers).collect();
        assert_eq!(leaked.len(), 1);
        assert_eq!(leaked[0].get("authorization"), None);
    }
}

#[test]
fn a_token_server_without_tls_gets_nothing_from_a_registry_with_tls() {
    let certificate = crate::support::tls::Certificate::new();
    let server = Hostile::start_with_tls(&certificate, |_| {
        Answer::new(401, "")
            .header("WWW-Authenticate", r#"Bearer realm="http://u:hidden@127.0.0.1:1/token?x=hidden""#)
    });
    let registry = registry_at(options(), &server.url(), Some(certificate.authority()));
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Invalid);
    assert!(error.message.contains("`http://127.0.0.1:1/token`: plain http is not allowed"), "{error}");
}
