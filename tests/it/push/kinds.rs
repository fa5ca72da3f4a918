//! Every kind of image arrives as it is, and nothing is sent twice.

use std::collections::BTreeMap;
use std::sync::Mutex;

use fs_err as fs;
use seedkit::digest::Digest;

use super::{digest_by_skopeo, manifest, number, push};
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images::{
    Image, attested_index, docker_image, docker_list, empty_layer, foreign_layer_image, helm_chart, image,
    index, large_layer, layer, plain_layer, zstd_layer,
};
use crate::support::kits::{attached, write_kit};
use crate::support::oracle;
use crate::support::registry::Registry;
use crate::support::sandbox::Sandbox;

fn every_kind() -> Vec<(&'static str, Image)> {
    let base = layer("shared by several images");
    let amd64 = image("linux", "amd64", &[base.clone(), layer("one"), empty_layer(), empty_layer()]);
    let arm64 = image("linux", "arm64", &[base.clone(), layer("two")]);
    let docker = docker_image("linux", "amd64", &[base.clone(), layer("three")]);
    let other = docker_image("linux", "arm64", std::slice::from_ref(&base));
    vec![
        ("quay.io/kinds/multi:1", index(&[amd64.clone(), arm64.clone()])),
        ("quay.io/kinds/single:1", amd64.clone()),
        ("quay.io/kinds/attested:1", attested_index(&[amd64.clone(), arm64.clone()])),
        ("quay.io/kinds/zstd:1", image("linux", "amd64", &[zstd_layer("four"), plain_layer("five")])),
        ("quay.io/kinds/chart:1", helm_chart()),
        ("quay.io/kinds/nested:1", index(&[index(&[amd64, arm64]), docker.clone()])),
        ("quay.io/kinds/docker:1", docker.clone()),
        ("quay.io/kinds/list:1", docker_list(&[docker, other])),
        ("quay.io/kinds/foreign:1", foreign_layer_image()),
    ]
}

#[test]
fn every_kind_of_image_arrives_with_its_digest_and_only_once() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let images = every_kind();
    write_kit(&sandbox, &images.iter().map(|(name, image)| (*name, image)).collect::<Vec<_>>());
    let first = push(&sandbox, &registry, &[]);
    for (pushed, (name, image)) in first["images"].as_array().unwrap().iter().zip(&images) {
        let short = name.split_once('/').unwrap().1;
        let digest = image.root().digest.to_string();
        assert_eq!((&pushed["name"], &pushed["digest"]), (&short.into(), &digest.as_str().into()));
        assert_eq!((&pushed["isNarrowed"], &pushed["wasPresent"]), (&false.into(), &false.into()));
        assert_eq!(digest_by_skopeo(&registry, short), digest, "{name}");
    }
    // What several need is sent once, and mounted by the others.
    let mut blobs: Vec<_> = images.iter().flat_map(|(_, image)| &image.blobs).collect();
    blobs.sort_by_key(|one| one.descriptor.digest);
    blobs.dedup_by(|one, other| one.descriptor.digest == other.descriptor.digest);
    assert_eq!(number(&first, "uploaded"), blobs.len() as u64);
    assert_eq!(number(&first, "bytes"), blobs.iter().map(|blob| blob.descriptor.size).sum::<u64>());
    assert!(number(&first, "mounted") > 4, "{first}");
    let again = push(&sandbox, &registry, &[]);
    assert!(again["images"].as_array().unwrap().iter().all(|image| image["wasPresent"] == true), "{again}");
    assert_eq!((number(&again, "uploaded"), number(&again, "mounted"), number(&again, "bytes")), (0, 0, 0));
}

#[test]
fn a_new_image_brings_only_what_is_new() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let base = layer("base");
    let old = image("linux", "amd64", &[base.clone(), layer("old")]);
    let new = image("linux", "amd64", &[base, layer("new")]);
    write_kit(&sandbox, &[("quay.io/lab/old:1", &old)]);
    assert_eq!(number(&push(&sandbox, &registry, &[]), "uploaded"), 3);
    write_kit(&sandbox, &[("quay.io/lab/old:1", &old), ("quay.io/lab/new:1", &new)]);
    let result = push(&sandbox, &registry, &[]);
    assert_eq!((number(&result, "uploaded"), number(&result, "mounted")), (2, 1), "{result}");
    let newer = image("linux", "amd64", &[layer("base"), layer("newer")]);
    write_kit(&sandbox, &[("quay.io/lab/old:1", &old), ("quay.io/lab/old:2", &newer)]);
    assert_eq!(number(&push(&sandbox, &registry, &[]), "uploaded"), 2);
}

#[test]
fn a_large_blob_goes_in_chunks_and_arrives_whole() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start_with_password());
    let image = image("linux", "amd64", &[large_layer(3, 5 * 1024 * 1024 + 17), layer("small")]);
    write_kit(&sandbox, &[("quay.io/lab/large:1", &image)]);
    let (user, password) = registry.credentials().unwrap();
    let auth = base64_of(&format!("{user}:{password}"));
    sandbox.write("auth.json", format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.authority()));
    let mut command = sandbox.prepare(&[
        "push",
        "kit",
        registry.authority(),
        "--plain-http",
        "--chunk-size",
        "1",
        "--json",
    ]);
    let run = crate::support::sandbox::Run::of(command.env("REGISTRY_AUTH_FILE", sandbox.path("auth.json")));
    assert_eq!(number(&run.succeeds().json(), "uploaded"), 3);
    let copy = format!("dir:{}", sandbox.path("copy").display());
    let source = format!("docker://{}/lab/large:1", registry.authority());
    let credentials = format!("{user}:{password}");
    let options =
        ["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--src-creds", &credentials];
    oracle::run("skopeo", [&options[..], &["--override-arch", "amd64", &source, &copy]].concat());
    let large = &image.blobs[0];
    assert!(fs::read(sandbox.path("copy").join(large.descriptor.digest.hex())).unwrap() == large.bytes);
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn an_index_of_which_a_platform_is_left_out_is_narrowed_where_it_is_not_taken() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let both = [image("linux", "amd64", &[layer("amd64")]), image("linux", "arm64", &[layer("arm64")])];
    let [whole, partial] = [attested_index(&both), index(&[index(&both), index(&both[..1])])];
    write_kit(&sandbox, &[("quay.io/lab/attested:1", &whole), ("quay.io/lab/nested:1", &partial)]);
    // As a mirror for one platform leaves it: all manifests, and the blobs of that platform.
    let foreign = &both[1].blobs[0].descriptor.digest;
    fs::remove_file(sandbox.path(format!("kit/images/blobs/sha256/{}", foreign.hex()))).unwrap();
    let first = push(&sandbox, &registry, &[]);
    let images = first["images"].as_array().unwrap();
    for (pushed, original) in images.iter().zip([&whole, &partial]) {
        let (repository, _) = pushed["name"].as_str().unwrap().split_once(':').unwrap();
        let digest = pushed["digest"].as_str().unwrap();
        assert_eq!(
            (&pushed["isNarrowed"], digest == original.root().digest.to_string()),
            (&true.into(), false)
        );
        assert_eq!(digest_by_skopeo(&registry, &format!("{repository}:1")), digest);
        // skopeo copies it whole: nothing is listed that is not there.
        let copy = format!("dir:{}", sandbox.path(repository).display());
        fs::create_dir_all(sandbox.path(repository)).unwrap();
        let name = format!("docker://{}/{repository}:1", registry.authority());
        if repository != "lab/nested" {
            let options = ["--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false"];
            oracle::run("skopeo", [&options[..], &[&name, &copy]].concat());
        }
    }
    let narrowed = manifest(&registry, "lab/attested", "1");
    let children = narrowed["manifests"].as_array().unwrap();
    assert_eq!(children[0]["platform"]["architecture"], "amd64", "{narrowed}");
    assert_eq!(children[0]["digest"], both[0].root().digest.to_string());
    assert!(children.iter().all(|child| child["platform"]["architecture"] != "arm64"), "{narrowed}");
    let nested = manifest(&registry, "lab/nested", "1");
    let inner = nested["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(manifest(&registry, "lab/nested", inner)["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(nested["manifests"].as_array().unwrap().len(), 2);
    let again = push(&sandbox, &registry, &[]);
    assert!(again["images"].as_array().unwrap().iter().all(|image| image["wasPresent"] == true), "{again}");
}

#[test]
fn what_is_attached_goes_along_and_is_listed_under_a_tag_where_there_is_no_list() {
    const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let subject = index(&[image("linux", "amd64", &[layer("signed")])]);
    let bill = attached(&subject, "application/spdx+json", EMPTY);
    let of_bill = attached(&bill, "application/vnd.example.signature", EMPTY);
    let kit: [(&str, &Image); 3] = [("quay.io/lab/signed:1", &subject), ("", &bill), ("", &of_bill)];
    write_kit(&sandbox, &kit);
    push(&sandbox, &registry, &[]);
    for (about, artifact, artifact_type) in
        [(&subject, &bill, "application/spdx+json"), (&bill, &of_bill, "application/vnd.example.signature")]
    {
        let tag = about.root().digest.to_string().replace(':', "-");
        let list = manifest(&registry, "lab/signed", &tag);
        let listed = list["manifests"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "{list}");
        assert_eq!(listed[0]["digest"], artifact.root().digest.to_string());
        assert_eq!(listed[0]["artifactType"], artifact_type);
        manifest(&registry, "lab/signed", &artifact.root().digest.to_string());
    }
}

#[test]
fn an_image_that_is_not_whole_in_the_kit_is_not_begun() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let image = index(&[image("linux", "amd64", &[layer("only")])]);
    write_kit(&sandbox, &[("quay.io/lab/cut:1", &image)]);
    let blob = &image.blobs[0].descriptor.digest;
    fs::remove_file(sandbox.path(format!("kit/images/blobs/sha256/{}", blob.hex()))).unwrap();
    let run = sandbox.seedkit(&["push", "kit", registry.authority(), "--plain-http"]);
    let said = run.fails(2);
    assert!(said.contains("`quay.io/lab/cut:1` is not whole in the kit"), "{said}");
    assert!(said.contains("hint: `seedkit verify KIT` says what is missing"), "{said}");
}

/// A registry that takes everything but what ends in `refused`, to which it says `answer`.
fn refusing(refused: String, answer: Answer) -> Hostile {
    let kept = Mutex::new(BTreeMap::<String, String>::new());
    Hostile::start(move |request: &Request| {
        let target = request.target.replace("%3A", ":");
        let name = target.rsplit(['/', '=']).next().unwrap_or_default();
        match request.method.as_str() {
            "HEAD" | "GET" => match kept.lock().unwrap().get(&target) {
                Some(digest) => Answer::new(200, "").header("Docker-Content-Digest", digest),
                None => Answer::new(404, ""),
            },
            "POST" => Answer::new(202, "").header("Location", "/upload"),
            _ if name == refused => answer.clone(),
            _ => {
                kept.lock().unwrap().insert(target, Digest::sha256(&request.body).to_string());
                Answer::new(201, "")
            }
        }
    })
}

#[test]
fn an_image_that_is_refused_for_a_layer_that_no_registry_has_stays_and_the_others_arrive() {
    let sandbox = Sandbox::new();
    let [foreign, other] = [foreign_layer_image(), image("linux", "amd64", &[layer("other")])];
    write_kit(&sandbox, &[("quay.io/lab/foreign:foreign", &foreign), ("quay.io/lab/other:1", &other)]);
    let unknown = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    let server = refusing("foreign".to_owned(), Answer::new(500, unknown));
    let authority = server.url().replace("http://", "");
    let run = sandbox.seedkit(&[
        "push",
        "kit",
        &authority,
        "--plain-http",
        "--json",
        "--jobs",
        "1",
        "--retries",
        "0",
    ]);
    let run = run.succeeds();
    let result = run.json();
    assert!(run.stderr.contains("`quay.io/lab/foreign:foreign` stays in the kit"), "{run:?}");
    assert!(run.stderr.contains("MANIFEST_BLOB_UNKNOWN"), "{run:?}");
    assert_eq!(result["leftOut"], serde_json::json!(["quay.io/lab/foreign:foreign"]));
    let names: Vec<&str> =
        result["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lab/other:1"]);
}

#[test]
fn with_keep_going_all_other_images_are_pushed_and_what_failed_is_listed() {
    let images = ["a", "b", "c"].map(|name| image("linux", "amd64", &[layer(name)]));
    let sandbox = Sandbox::new();
    let [a, b, c] = &images;
    write_kit(&sandbox, &[("quay.io/lab/a:a", a), ("quay.io/lab/b:b", b), ("quay.io/lab/c:c", c)]);
    let denied = Answer::new(403, r#"{"errors":[{"code":"DENIED","message":"not this one"}]}"#);
    for refused in [b.blobs[0].descriptor.digest.to_string(), "b".to_owned()] {
        let server = refusing(refused.clone(), denied.clone());
        let authority = server.url().replace("http://", "");
        let arguments = ["push", "kit", &authority, "--plain-http", "--keep-going", "--json", "--jobs", "1"];
        let run = sandbox.seedkit(&arguments);
        assert_eq!(run.code, Some(1), "{run:?}");
        let failures = run.json()["failures"].as_array().unwrap().clone();
        let names: Vec<&str> = failures.iter().map(|failure| failure["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["quay.io/lab/b:b"], "{refused}");
        assert!(failures[0]["reasons"].to_string().contains("not this one"), "{failures:?}");
        let lines: Vec<String> = server.requests().iter().map(Request::line).collect();
        for name in ["a", "c"] {
            let stored = format!("PUT /v2/lab/{name}/manifests/{name}");
            assert!(lines.contains(&stored), "{refused}: {lines:?}");
        }
    }
}
