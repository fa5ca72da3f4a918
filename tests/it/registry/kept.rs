//! Registries that say that they stored a manifest.

use seedkit::digest::Digest;

use super::push::{blob, options, registry_to_push};
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images::{image, layer};
use crate::support::kits::write_kit;
use crate::support::sandbox::Sandbox;

/// What a registry says of a manifest after it took it: its digest in a header, and its bytes.
type Kept = (Option<Digest>, Option<Vec<u8>>);

/// A registry that takes everything, and has of each manifest what `kept` makes of it.
fn taking(kept: impl Fn(&[u8]) -> Kept + Send + Sync + 'static) -> Hostile {
    let (_, sent) = blob(10);
    Hostile::start(move |request: &Request| {
        let (digest, bytes) = kept(&sent);
        match request.method.as_str() {
            "POST" => Answer::new(202, "").header("Location", "/upload"),
            "HEAD" if request.target.contains("/blobs/") => Answer::new(200, ""),
            "HEAD" | "GET" => match bytes {
                None => Answer::new(404, ""),
                Some(bytes) => digest.iter().fold(Answer::new(200, bytes), |answer, digest| {
                    answer.header("Docker-Content-Digest", &digest.to_string())
                }),
            },
            _ => Answer::new(201, ""),
        }
    })
}

// Whatever followed 201 Created was believed.
#[test]
fn a_registry_that_keeps_nothing_or_something_else_of_a_manifest_is_caught() {
    let (descriptor, bytes) = blob(10);
    let (sent, other) = (descriptor.digest, Digest::sha256(b"other"));
    let nothing = format!("the registry keeps nothing of {sent}: it is not there when it is asked for");
    let changed = format!("the registry keeps {other} in the place of {sent}: it changes manifests");
    let whole = |sent: &[u8]| Some(sent.to_vec());
    let cases: [(Hostile, Option<&String>); 6] = [
        (taking(move |bytes| (Some(sent), whole(bytes))), None),
        (taking(move |bytes| (None, whole(bytes))), None),
        (taking(|_| (None, None)), Some(&nothing)),
        (taking(move |bytes| (Some(other), whole(bytes))), Some(&changed)),
        (taking(|_| (None, Some(b"other".to_vec()))), Some(&changed)),
        (
            Hostile::start(move |_| Answer::new(201, "").header("Docker-Content-Digest", &other.to_string())),
            Some(&changed),
        ),
    ];
    for (server, expected) in cases {
        let registry = registry_to_push(options(), &server.url());
        let result = registry.push_manifest("some/app", "1", &descriptor, bytes.clone());
        let cause = result.err().map(|error| {
            let origin = format!("PUT {}/v2/some/app/manifests/1 is answered with 201 Created", server.url());
            assert_eq!(error.message, origin);
            error.cause.unwrap().to_string()
        });
        assert_eq!(cause.as_ref(), expected);
    }
}

#[test]
fn a_push_to_a_registry_that_keeps_nothing_fails_and_names_it() {
    let sandbox = Sandbox::new();
    write_kit(&sandbox, &[("quay.io/lab/hello:1", &image("linux", "amd64", &[layer("hello")]))]);
    let server = taking(|_| (None, None));
    let run = sandbox.seedkit(&["push", "kit", server.authority(), "--plain-http"]);
    let said = run.fails(2);
    assert!(said.contains("cannot push `quay.io/lab/hello:1`"), "{said}");
    assert!(
        said.contains(server.authority()) && said.contains("the registry keeps nothing of sha256:"),
        "{said}"
    );
}
