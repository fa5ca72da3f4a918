//! Signatures, attestations and bills of materials: found, locked, mirrored, served, pushed; judged by skopeo and curl.

use std::collections::BTreeMap;

use reqwest::Method;
use seedkit::digest::Digest;
use serde_json::{Value, json};

use crate::mirror::write_spec;
use crate::serve::Serving;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images::{Content, Image, image, index, layer};
use crate::support::kits::attached;
use crate::support::oracle;
use crate::support::registry::Registry;
use crate::support::sandbox::Sandbox;

const IMAGE: &str = "signed.example/lab/app:1";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SPDX: &str = "application/spdx+json";

/// Makes what `cosign sign`, `attest` or `attach sbom` stores under a tag: an image whose layer is the statement.
fn statement(media_type: &str, text: &str) -> Image {
    image("linux", "amd64", &[Content::new(media_type, text.as_bytes().to_vec())])
}

fn signature(text: &str) -> Image {
    statement("application/vnd.dev.cosign.simplesigning.v1+json", text)
}

fn tag(subject: &Image, end: &str) -> String {
    format!("{}{end}", subject.root().digest.to_string().replace(':', "-"))
}

/// Lists `attached` as naming `subject`, under the tag that clients keep for registries without a list of their own.
fn list_by_tag(registry: &Registry, repository: &str, subject: &Image, listed: &[&Image]) {
    let entries = listed.iter().map(|image| {
        let seedkit::store::Descriptor { media_type, digest, size } = image.root();
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
    });
    let list =
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries.collect::<Vec<_>>() });
    let target = format!("/v2/{repository}/manifests/{}", tag(subject, ""));
    registry.send(Method::PUT, &target, OCI_INDEX, list.to_string().into_bytes());
}

/// An image for two platforms with everything that can be attached to it.
struct Signed {
    registry: Registry,
    /// By tag, or by digest where there is none.
    attached: BTreeMap<String, Image>,
    image: Image,
}

impl Signed {
    fn new() -> Self {
        let registry = Registry::start();
        let child = image("linux", "amd64", &[layer("amd64")]);
        let other = image("linux", "arm64", &[layer("arm64")]);
        let image = index(&[child.clone(), other.clone()]);
        let bill = attached(&child, SPDX, "application/vnd.oci.empty.v1+json");
        let of_bill =
            attached(&bill, "application/vnd.example.signature", "application/vnd.oci.empty.v1+json");
        let mut all = BTreeMap::new();
        for (tag, image) in [
            (tag(&image, ".sig"), signature("of the index")),
            (tag(&child, ".sig"), signature("of amd64")),
            (tag(&child, ".att"), statement("application/vnd.dsse.envelope.v1+json", "{}")),
            (tag(&image, ".sbom"), statement("text/spdx", "SPDXVersion: SPDX-2.3")),
            (tag(&bill, ".sig"), signature("of the bill")),
            (bill.root().digest.to_string(), bill.clone()),
            (of_bill.root().digest.to_string(), of_bill.clone()),
        ] {
            all.insert(tag, image);
        }
        image.put(&registry, "lab/app", "1");
        for (tag, attached) in &all {
            attached.put(&registry, "lab/app", tag);
        }
        // Of a platform that nobody wants.
        signature("of arm64").put(&registry, "lab/app", &tag(&other, ".sig"));
        list_by_tag(&registry, "lab/app", &child, &[&bill]);
        list_by_tag(&registry, "lab/app", &bill, &[&of_bill]);
        Self { registry, attached: all, image }
    }

    /// Returns a sandbox whose spec wants the image, and what is attached to it.
    fn sandbox(&self) -> Sandbox {
        sandbox(&self.registry.url())
    }
}

fn sandbox(url: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[("signed.example", url)], &[IMAGE.to_owned()], "linux/amd64");
    sandbox.edit("seedkit.yaml", "images:\n", "images:\n  signatures: true\n");
    sandbox
}

/// Returns the digest of a manifest as skopeo reads it.
fn by_skopeo(options: &[&str], name: &str) -> String {
    let raw = oracle::run("skopeo", [&["inspect", "--raw"], options, &[name]].concat()).stdout;
    Digest::sha256(&raw).to_string()
}

#[test]
fn all_that_is_attached_to_an_image_and_its_platforms_is_locked_and_mirrored_by_digest() {
    let signed = Signed::new();
    let sandbox = signed.sandbox();
    let locked = sandbox.seedkit(&["lock", "--json"]).succeeds().json();
    assert_eq!(locked["attached"], signed.attached.len());
    let lock = sandbox.read("seedkit.lock");
    assert!(lock.contains("\nsignatures = true\n"), "{lock}");
    for (name, image) in &signed.attached {
        assert!(lock.contains(&format!("digest = \"{}\"\n", image.root().digest)), "{name}");
        assert_eq!(lock.contains(&format!("tag = \"{name}\"\n")), !name.contains(':'), "{name}");
    }
    assert_eq!(sandbox.seedkit(&["lock", "--json"]).succeeds().json()["isChanged"], false);
    let mirrored = sandbox.seedkit(&["mirror", "--json"]).succeeds().json();
    assert_eq!((&mirrored["images"], &mirrored["attached"]), (&json!(1), &json!(signed.attached.len())));
    let layout = sandbox.path("images");
    for (name, image) in &signed.attached {
        for content in image.manifests.iter().chain(&image.blobs) {
            let stored = fs_err::read(layout.join("blobs/sha256").join(content.descriptor.digest.hex()));
            assert_eq!(stored.unwrap(), content.bytes, "{name}");
        }
        if !name.contains(':') {
            let source = format!("oci:{}:signed.example/lab/app:{name}", layout.display());
            assert_eq!(by_skopeo(&[], &source), image.root().digest.to_string());
            let target = format!("dir:{}", sandbox.path("copy").display());
            oracle::run("skopeo", ["--insecure-policy", "copy", "--quiet", &source, &target]);
        }
    }
    let index: Value = serde_json::from_str(&sandbox.read("images/index.json")).unwrap();
    let runnable = |entry: &&Value| entry["annotations"]["io.containerd.image.name"].is_string();
    let named: Vec<&Value> = index["manifests"].as_array().unwrap().iter().filter(runnable).collect();
    assert_eq!(named.len(), 1, "what is attached is not an image for a container runtime: {index}");
}

#[test]
fn a_signature_that_is_replaced_after_locking_is_mirrored_as_it_was_locked() {
    let signed = Signed::new();
    let sandbox = signed.sandbox();
    sandbox.seedkit(&["lock"]).succeeds();
    let name = tag(&signed.image, ".sig");
    signature("another one").put(&signed.registry, "lab/app", &name);
    fs_err::remove_dir_all(sandbox.store()).unwrap();
    sandbox.seedkit(&["mirror", "--locked"]).succeeds();
    let source = format!("oci:{}:signed.example/lab/app:{name}", sandbox.path("images").display());
    assert_eq!(by_skopeo(&[], &source), signed.attached[&name].root().digest.to_string());
    assert_eq!(sandbox.seedkit(&["lock", "--json"]).succeeds().json()["isChanged"], true);
}

#[test]
fn a_kit_serves_and_pushes_what_is_attached_to_its_images() {
    let signed = Signed::new();
    let sandbox = signed.sandbox();
    sandbox.seedkit(&["build", "-q"]).succeeds();
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    assert_eq!(bill["images"][0]["attached"].as_array().unwrap().len(), signed.attached.len());
    let other = Registry::start();
    let push = || {
        let arguments = ["push", "kit", other.authority(), "--plain-http", "--json"];
        sandbox.seedkit(&arguments).succeeds().json()
    };
    assert_eq!(push()["attached"], signed.attached.len());
    for (name, image) in &signed.attached {
        let separator = if name.contains(':') { '@' } else { ':' };
        let name = format!("docker://{}/lab/app{separator}{name}", other.authority());
        assert_eq!(by_skopeo(&["--tls-verify=false"], &name), image.root().digest.to_string());
    }
    // What was signed anew arrives although the image is there.
    let sent = push();
    assert_eq!((&sent["uploaded"], &sent["images"][0]["wasPresent"]), (&json!(0), &json!(true)));
    let gone = signed.attached.iter().next().unwrap().1.root().digest;
    other.send(Method::DELETE, &format!("/v2/lab/app/manifests/{gone}"), "", vec![]);
    push();
    other.send(Method::GET, &format!("/v2/lab/app/manifests/{gone}"), "", vec![]);

    let serving = Serving::start(sandbox, &[]);
    let certificates = serving.certificates();
    let options = ["--cert-dir", certificates.to_str().unwrap()];
    let ca_file = serving.ca_file();
    for (name, image) in &signed.attached {
        let separator = if name.contains(':') { '@' } else { ':' };
        let source = format!("docker://{}/lab/app{separator}{name}", serving.address());
        assert_eq!(by_skopeo(&options, &source), image.root().digest.to_string());
    }
    let child = &signed.image.manifests[0].descriptor.digest;
    let url = format!("https://{}/v2/lab/app/referrers/{child}", serving.address());
    let arguments = ["--silent", "--show-error", "--fail", "--cacert", ca_file.to_str().unwrap(), &url];
    let list: Value = serde_json::from_str(&oracle::text("curl", arguments)).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["manifests"][0]["artifactType"], SPDX);
}

#[test]
fn without_the_switch_nothing_is_looked_for_and_with_it_an_old_lock_is_stale() {
    let signed = Signed::new();
    let sandbox = signed.sandbox();
    sandbox.edit("seedkit.yaml", "  signatures: true\n", "");
    assert_eq!(sandbox.seedkit(&["lock", "--json"]).succeeds().json()["attached"], 0);
    assert_eq!(sandbox.seedkit(&["mirror", "--json"]).succeeds().json()["attached"], 0);
    sandbox.edit("seedkit.yaml", "images:\n", "images:\n  signatures: true\n");
    let stale = sandbox.seedkit(&["mirror"]);
    assert!(stale.fails(1).contains("signatures are not locked"), "{}", stale.stderr);
}

/// A registry with a list of referrers of its own, in pages of one, for one image; `fault` may answer in its place.
pub(crate) fn listing(
    image: &Image,
    listed: &[Image],
    fault: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> Hostile {
    let all = listed.iter().chain([image]);
    let contents: BTreeMap<String, Content> = all
        .flat_map(|image| image.manifests.iter().chain(&image.blobs))
        .map(|content| (content.descriptor.digest.to_string(), content.clone()))
        .collect();
    let root = image.root().digest.to_string();
    let entries: Vec<Value> = listed
        .iter()
        .map(|image| {
            let seedkit::store::Descriptor { media_type, digest, size } = image.root();
            json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
        })
        .collect();
    Hostile::start(move |request| {
        if let Some(answer) = fault(request) {
            return answer;
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let name = path.rsplit('/').next().unwrap();
        if path.contains("/referrers/") {
            let page: usize = query.strip_prefix("page=").map_or(0, |page| page.parse().unwrap());
            let manifests: Vec<&Value> = entries.get(page).filter(|_| name == root).into_iter().collect();
            let list = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
            let answer = Answer::new(200, list.to_string()).header("Content-Type", OCI_INDEX);
            return if name == root && page + 1 < entries.len() {
                answer.header("Link", &format!("<{path}?page={}>; rel=\"next\"", page + 1))
            } else {
                answer
            };
        }
        let name = if name == "1" { root.as_str() } else { name };
        let Some(content) = contents.get(name) else { return Answer::new(404, "") };
        Answer::new(200, content.bytes.clone())
            .header("Content-Type", &content.descriptor.media_type)
            .header("Docker-Content-Digest", &content.descriptor.digest.to_string())
    })
}

#[test]
fn a_registrys_own_list_is_read_to_its_last_page() {
    let image = image("linux", "amd64", &[layer("listed")]);
    let listed =
        ["one", "two", "three"].map(|kind| attached(&image, kind, "application/vnd.oci.empty.v1+json"));
    let server = listing(&image, &listed, |_| None);
    let sandbox = sandbox(&server.url());
    assert_eq!(sandbox.seedkit(&["lock", "--json"]).succeeds().json()["attached"], 3);
    assert_eq!(sandbox.seedkit(&["mirror", "--json"]).succeeds().json()["attached"], 3);
}

#[test]
fn only_an_answer_that_there_is_none_means_that_there_is_none() {
    let image = image("linux", "amd64", &[layer("guarded")]);
    let liar = attached(&signature("something else"), "liar", "application/vnd.oci.empty.v1+json");
    type Fault = fn(&Request) -> Option<Answer>;
    let cases: [(&str, &[Image], Fault, Option<&str>); 6] = [
        ("none", &[], |_| None, None),
        ("no such request", &[], |r| r.target.contains("/referrers/").then(|| Answer::new(404, "")), None),
        (
            "list forbidden",
            &[],
            |r| r.target.contains("/referrers/").then(|| Answer::new(403, "")),
            Some("answers 403"),
        ),
        (
            "tag forbidden",
            &[],
            |r| r.target.ends_with(".att").then(|| Answer::new(403, "")),
            Some("answers 403"),
        ),
        (
            "no list",
            &[],
            |r| {
                let answer = || Answer::new(200, "{}").header("Content-Type", OCI_INDEX);
                r.target.contains("/referrers/").then(answer)
            },
            Some("is not a list of manifests"),
        ),
        ("listed wrongly", std::slice::from_ref(&liar), |_| None, Some("does not say so itself")),
    ];
    for (what, listed, fault, expected) in cases {
        let server = listing(&image, listed, fault);
        let sandbox = sandbox(&server.url());
        let run = sandbox.seedkit(&["lock"]);
        match expected {
            None => drop(run.succeeds()),
            Some(expected) => {
                let said = run.fails(2);
                assert!(
                    said.contains(IMAGE.trim_end_matches(":1")) && said.contains(expected),
                    "{what}: {said}"
                );
                assert!(said.contains("images.signatures: false"), "{what}: {said}");
            }
        }
    }
}
