//! What is said when a registry gives nothing: the image, the URL without its secrets, the status, the registry's own
//! words, and what to do.

use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Hostile};
use crate::support::images;
use crate::support::proxy::Proxy;
use crate::support::registry::Registry;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::tls::Certificate;

/// Locks one image from the registry at `url`; returns all that is said of the failure, with the registry as `$HOST`.
fn said(url: &str, environment: &[(&str, &str)]) -> String {
    let sandbox = Sandbox::new();
    let images = ["registry.example/some/app:1".to_owned()];
    write_spec(&sandbox, &[("registry.example", url)], &images, "linux/amd64");
    let mut command = sandbox.prepare(&["lock", "--retries", "1", "--retry-for", "60"]);
    let run = Run::of(command.envs(environment.iter().copied()));
    assert!(!run.stderr.contains("hidden"), "{run:?}");
    run.fails(2).replace(url.split("://").nth(1).unwrap(), "$HOST")
}

/// Returns the whole message about the one image that cannot be locked.
fn message(why: &str, hints: &[&str]) -> String {
    let mut text = format!(
        "error: 1 of 1 images cannot be resolved\n  - `registry.example/some/app:1` (seedkit.yaml): cannot resolve \
         `registry.example/some/app:1`: {why}"
    );
    for hint in hints {
        text += &format!("\n  hint: {hint}");
    }
    text
}

const URL: &str = "http://$HOST/v2/some/app/manifests/1";

#[test]
fn refusals_name_the_status_the_registrys_own_words_and_what_to_do() {
    let errors =
        |code: &str, message: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    let log_in = "log in with `docker login HOST`, or set REGISTRY_AUTH_FILE";
    for (status, words, why, hint) in [
        (
            401,
            errors("UNAUTHORIZED", "authentication required"),
            format!("HEAD {URL} answers 401 Unauthorized (no credentials for `$HOST` were found)"),
            log_in,
        ),
        (
            403,
            errors("DENIED", "requested access to the resource is denied"),
            format!(
                "GET {URL} answers 403 Forbidden: DENIED: requested access to the resource is denied (no credentials \
                 for `$HOST` were found)"
            ),
            log_in,
        ),
        (
            404,
            errors("MANIFEST_UNKNOWN", "manifest unknown"),
            format!("GET {URL} answers 404 Not Found: MANIFEST_UNKNOWN: manifest unknown"),
            "check the image's name and tag; a registry also says \"not found\" for what you may not see: log in with \
             `docker login HOST` or `skopeo login HOST`",
        ),
        (
            429,
            errors("TOOMANYREQUESTS", "You have reached your pull rate limit"),
            format!(
                "HEAD {URL} answers 429 Too Many Requests; it says Retry-After: 3600 (no credentials for `$HOST` were \
                 found)"
            ),
            "wait and run the same command again, or let it wait with --retry-for: what is whole is kept; logging in \
             raises the limit",
        ),
        (
            503,
            errors("UNAVAILABLE", "down for maintenance"),
            format!("HEAD {URL} answers 503 Service Unavailable; it says Retry-After: 3600"),
            "check name, route and proxy (HTTPS_PROXY, NO_PROXY)",
        ),
    ] {
        let server = Hostile::start(move |_| {
            let answer = Answer::new(status, words.clone());
            if [429, 503].contains(&status) { answer.header("Retry-After", "3600") } else { answer }
        });
        assert_eq!(said(&server.url(), &[]), message(&why, &[hint]), "{status}");
    }
}

#[test]
fn a_way_that_is_blocked_is_named_with_what_to_do() {
    let untrusted = Registry::start_with_tls(Certificate::new());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, why, hint) in [
        (
            untrusted.url(),
            "HEAD https://$HOST/v2/some/app/manifests/1 gets no answer: the server's certificate is not from an \
             authority that is trusted here",
            "name its authority's certificate in `sources.HOST.caFile`, or a bundle in SSL_CERT_FILE; a proxy that \
             opens TLS has an authority of its own",
        ),
        (
            untrusted.url().replace("https", "http"),
            "GET http://$HOST/v2/some/app/manifests/1 answers 400 Bad Request: the server speaks TLS on this port, \
             and was asked in plain http",
            "write `https://` instead of `http://`",
        ),
        (
            format!("http://{nobody}"),
            "HEAD http://$HOST/v2/some/app/manifests/1 gets no answer (2 attempts): the connection is refused",
            "check name, route and proxy (HTTPS_PROXY, NO_PROXY)",
        ),
        (
            "http://seedkit-no-such-host.invalid".to_owned(),
            "HEAD http://$HOST/v2/some/app/manifests/1 gets no answer: the host's name has no address",
            "check name, route and proxy (HTTPS_PROXY, NO_PROXY)",
        ),
    ] {
        assert_eq!(said(&url, &[]), message(why, &[hint]), "{url}");
    }
}

#[test]
fn a_proxy_that_refuses_is_told_from_the_registry_behind_it() {
    let server = Registry::start_with_tls(Certificate::new());
    let proxy = Proxy::start_with(Some("Basic bWU6cHc="));
    let url = format!("http://me:hidden@{}", proxy.authority());
    assert_eq!(
        said(&server.url(), &[("HTTPS_PROXY", &url)]),
        message(
            "HEAD https://$HOST/v2/some/app/manifests/1 gets no answer: the proxy does not open the way: proxy \
             authorization required",
            &["check HTTPS_PROXY and its user and password; NO_PROXY names what is reached directly"]
        )
    );
}

#[test]
fn a_platform_that_the_image_does_not_have_is_named_with_those_it_has() {
    let server = Registry::start();
    images::image("linux", "arm64", &[images::layer("arm")]).put(&server, "some/app", "1");
    let expected = "error: 1 of 1 images cannot be resolved\n  - `registry.example/some/app:1` (seedkit.yaml): \
                    `registry.example/some/app:1` has no image for linux/amd64; it has linux/arm64\n  hint: take the \
                    platform out of `platforms`, or choose an image that has it";
    assert_eq!(said(&server.url(), &[]), expected);
}
