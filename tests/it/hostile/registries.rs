//! Registries that are made to break their reader: what asks one ends, soon and in little memory, whatever it answers.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use seedkit::digest::Digest;
use seedkit::oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

use super::{MOST_MEMORY, for_platform};
use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Body, Hostile, Request};
use crate::support::images::{self, Content};
use crate::support::kits::write_kit;
use crate::support::sandbox::Sandbox;

const NAME: &str = "hostile.example/some/app:1";
/// The longest that a command may take, most of it waiting; alone on two cores the slowest takes less than half of it.
const LONGEST: Duration = Duration::from_secs(10);
/// The configuration of every image here.
const CONFIG: &str = r#"{"os":"linux","architecture":"amd64"}"#;

/// The manifest of a request, by its tag or digest, its referrers, its blob, or anything else.
type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A registry, and what `lock` says of it.
struct Case {
    what: &'static str,
    answers: Handler,
    says: &'static str,
}

fn case(
    what: &'static str,
    says: &'static str,
    answers: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Case {
    Case { what, answers: Arc::new(answers), says }
}

/// The same answer to everything.
fn always(what: &'static str, says: &'static str, answer: Answer) -> Case {
    case(what, says, move |_| answer.clone())
}

fn manifest(media_type: &str, document: &Value) -> Answer {
    Answer::new(200, document.to_string()).header("Content-Type", media_type)
}

fn gone() -> Answer {
    Answer::new(404, r#"{"errors":[]}"#)
}

fn name(request: &Request) -> &str {
    request.target.split('?').next().unwrap().rsplit('/').next().unwrap()
}

fn described(media_type: &str, document: &Value) -> Value {
    let content = document.to_string();
    json!({ "mediaType": media_type, "digest": Digest::sha256(content.as_bytes()), "size": content.len() })
}

fn index(children: &[Value], note: usize) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children,
            "annotations": { "note": note.to_string() } })
}

/// An image that may be attached to another, and have layers.
fn image(subject: Option<&Value>, layers: &[Value], note: usize) -> Value {
    let config =
        json!({ "mediaType": OCI_CONFIG, "digest": Digest::sha256(CONFIG.as_bytes()), "size": CONFIG.len() });
    let mut image = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
                            "annotations": { "note": note.to_string() } });
    if let Some(subject) = subject {
        image["subject"] = subject.clone();
        image["artifactType"] = json!("application/x");
    }
    image
}

/// Documents by their digests.
fn by_digest(documents: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    let digest = |document: &Value| Digest::sha256(document.to_string().as_bytes()).to_string();
    documents.into_iter().map(|document| (digest(&document), document)).collect()
}

/// Answers with a document by its tag or digest, or with the one configuration.
fn answer(root: &Value, documents: &BTreeMap<String, Value>, request: &Request) -> Answer {
    let document = match name(request) {
        "1" => Some(root),
        name if name == Digest::sha256(CONFIG.as_bytes()).to_string() => return Answer::new(200, CONFIG),
        name => documents.get(name),
    };
    document.map_or_else(gone, |document| manifest(document["mediaType"].as_str().unwrap(), document))
}

/// A registry of one image with all that is below it.
fn registry_of(what: &'static str, says: &'static str, root: Value, below: Vec<Value>) -> Case {
    let documents = by_digest(below.into_iter().chain([root.clone()]));
    case(what, says, move |request| answer(&root, &documents, request))
}

fn graphs() -> Vec<Case> {
    let runnable = |note| for_platform(&described(OCI_MANIFEST, &image(None, &[], note)), "amd64");
    let many: Vec<_> = (0..15_000).map(|note| image(None, &[], note)).collect();
    let all: Vec<_> = (0..15_000).map(runnable).collect();
    let mut deep = vec![index(&[runnable(0)], 0)];
    for depth in 1..500 {
        deep.push(index(&[described(OCI_INDEX, &deep[depth - 1])], depth));
    }
    let deepest = deep.pop().unwrap();
    let layer = |digit: u8| json!({ "mediaType": images::OCI_PLAIN_LAYER, "digest": Digest::sha256(&[digit]), "size": 1_u64 << 63 });
    let vast = image(None, &[layer(0), layer(1), layer(2)], 0);
    let index_of_vast = index(&[for_platform(&described(OCI_MANIFEST, &vast), "amd64")], 0);
    let itself = index(&[json!({ "mediaType": OCI_INDEX, "digest": Digest::sha256(b"1"), "size": 300 })], 0);
    vec![
        registry_of("an index of 15 000 images", "more than 1000 manifests", index(&all, 0), many),
        registry_of("indexes 500 deep", "more than 8 deep", deepest, deep),
        registry_of("layers of 2^63 bytes", "larger than images are", index_of_vast, vec![vast]),
        case("an index that is its own child", "instead of 300", move |_| manifest(OCI_INDEX, &itself)),
    ]
}

fn bodies() -> Vec<Case> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&[b' '; 1 << 20]).unwrap();
    // Members one after the other unpack as one: 3 GB.
    let bomb = packed.finish().unwrap().repeat(3000);
    let endless = || Answer::with_body(Body::Endless(vec![b' '; 1 << 16]));
    let nested = Answer::new(200, "[".repeat(4_000_000)).header("Content-Type", OCI_MANIFEST);
    let other = |request: &Request| match request.method.as_str() {
        "HEAD" => manifest(OCI_MANIFEST, &image(None, &[], 0))
            .header("Docker-Content-Digest", &Digest::sha256(b"another").to_string()),
        _ => manifest(OCI_MANIFEST, &image(None, &[], 0)),
    };
    vec![
        always(
            "a manifest without end",
            "is longer than the 4194304 bytes",
            endless().header("Content-Type", OCI_MANIFEST),
        ),
        always("an error without end", "403 Forbidden", endless().status(403)),
        always(
            "a gzip bomb",
            "(Content-Encoding: gzip)",
            Answer::new(200, bomb).header("Content-Encoding", "gzip").header("Content-Type", OCI_MANIFEST),
        ),
        always("brackets without end", "is not a manifest", nested),
        always(
            "a length of 2^64-1",
            "gets no answer",
            Answer::with_body(Body::Announced(b"{}".to_vec(), u64::MAX)).header("Content-Type", OCI_MANIFEST),
        ),
        case("two bodies for one digest", "is wrong", other),
    ]
}

fn heads() -> Vec<Case> {
    let long = "x".repeat(64 << 20);
    let many = (0..100_000).fold(Answer::new(200, ""), |answer, _| answer.header("X-Some", "header"));
    let challenge = format!("Bearer {}", r#"a="b","#.repeat(50_000));
    vec![
        always("a header of 64 MB", "gets no answer", Answer::new(200, "").header("X-Some", &long)),
        always("100 000 headers", "gets no answer", many),
        always("a redirect to itself", "more than 10 times", Answer::redirect("")),
        case("a redirect ever on", "more than 10 times", |request| {
            Answer::redirect(&format!("{}x", request.target))
        }),
        always("a challenge of 300 kB", "401", Answer::new(401, "{}").header("WWW-Authenticate", &challenge)),
    ]
}

/// Registries that want a token, of a server that answers so.
fn tokens() -> Vec<Case> {
    let case = |what, says, token: fn() -> Answer| {
        case(what, says, move |request| {
            if request.target.starts_with("/token") {
                return token();
            }
            let host = request.header("host").unwrap();
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="x""#);
            Answer::new(401, "{}").header("WWW-Authenticate", &challenge)
        })
    };
    vec![
        case("a token server that sends on to itself", "more than 10 times", || Answer::redirect("/token")),
        case("a token without end", "is longer than", || {
            Answer::with_body(Body::Endless(vec![b'x'; 1 << 16]))
        }),
        case("a token of 1 MB", "401", || {
            Answer::new(200, format!(r#"{{"token":"{}"}}"#, "x".repeat(1_000_000)))
        }),
        case("tokens that are never right", "401", || Answer::new(200, r#"{"token":"x","expires_in":0}"#)),
        case("a token server that wants a token", "401", || {
            Answer::new(401, "{}").header("WWW-Authenticate", r#"Bearer realm="/token""#)
        }),
    ]
}

/// Registries of an image to which too much is attached.
fn attached() -> Vec<Case> {
    let root = image(None, &[], 0);
    let documents = by_digest([root.clone()]);
    let pages = {
        let (root, documents) = (root.clone(), documents.clone());
        move |request: &Request| {
            if !request.target.contains("/referrers/") {
                return answer(&root, &documents, request);
            }
            let next = format!("<{}?page>; rel=\"next\"", request.target.split('?').next().unwrap());
            manifest(OCI_INDEX, &index(&[], 0)).header("Link", &next)
        }
    };
    let many: Vec<Value> = (0..15_000)
        .map(|number| {
            json!({ "mediaType": OCI_MANIFEST, "digest":
        Digest::sha256(number.to_string().as_bytes()), "size": 300 })
        })
        .collect();
    let list = index(&many, 0);
    let listed = {
        let (root, documents) = (root.clone(), documents);
        move |request: &Request| {
            if request.target.contains("/referrers/") {
                return manifest(OCI_INDEX, &list);
            }
            answer(&root, &documents, request)
        }
    };
    // Each is attached to the one before.
    let mut chain = vec![root.clone()];
    let mut lists = BTreeMap::new();
    for number in 1..100 {
        let subject = described(OCI_MANIFEST, &chain[number - 1]);
        let next = image(Some(&subject), &[], number);
        let list = index(&[described(OCI_MANIFEST, &next)], 0);
        lists.insert(subject["digest"].as_str().unwrap().to_owned(), list);
        chain.push(next);
    }
    let documents = by_digest(chain);
    let chained = move |request: &Request| {
        if request.target.contains("/referrers/") {
            return lists.get(name(request)).map_or_else(gone, |list| manifest(OCI_INDEX, list));
        }
        answer(&root, &documents, request)
    };
    vec![
        case("referrers on pages without end", "more than 100 pages", pages),
        case("15 000 referrers", "more than 1000 signatures", listed),
        case("signatures of signatures", "more than 8 deep", chained),
    ]
}

#[test]
fn every_command_that_asks_a_hostile_registry_ends_soon_and_in_little_memory() {
    let honest_image = images::image("linux", "amd64", &[images::layer("honest")]);
    for Case { what, answers, says } in
        graphs().into_iter().chain(bodies()).chain(heads()).chain(tokens()).chain(attached())
    {
        let sandbox = Sandbox::new();
        let contents = honest_image.by_name();
        let honest = Hostile::start(move |request| {
            contents.get(name(request)).map_or_else(gone, |Content { descriptor, bytes }| {
                Answer::new(200, bytes.clone()).header("Content-Type", &descriptor.media_type)
            })
        });
        let hostile = Hostile::start(move |request| answers(request));
        let source = |url: &str| {
            write_spec(&sandbox, &[("hostile.example", url)], &[NAME.to_owned()], "linux/amd64");
            sandbox.edit("seedkit.yaml", "k3s: false", "k3s: false\n  signatures: true");
        };
        source(&hostile.url());
        let said = end_soon(&sandbox, what, &["lock"]);
        assert!(said.contains(says), "{what}: {said}");
        // What was locked of an honest one is asked of it.
        source(&honest.url());
        sandbox.seedkit(&["lock", "-q"]).succeeds();
        source(&hostile.url());
        end_soon(&sandbox, what, &["mirror"]);
        end_soon(&sandbox, what, &["build"]);
        write_kit(&sandbox, &[("quay.io/lab/x:1", &honest_image)]);
        end_soon(&sandbox, what, &["push", "kit", hostile.authority(), "--plain-http"]);
    }
}

/// Runs a command that fails, but does not panic, nor take long or much; returns what it says.
fn end_soon(sandbox: &Sandbox, what: &str, command: &[&str]) -> String {
    let begin = Instant::now();
    let (run, peak) = sandbox.seedkit_measured(&[&["-q"], command].concat());
    let elapsed = begin.elapsed();
    let said: String = run.stderr.chars().take(1000).collect();
    let shown = format!("{what}: {command:?}: {peak} KiB, {elapsed:?}: {said}");
    assert_eq!(run.code, Some(2), "{shown}");
    assert!(peak < MOST_MEMORY, "{shown}");
    assert!(elapsed < LONGEST, "{shown}");
    run.stderr
}
