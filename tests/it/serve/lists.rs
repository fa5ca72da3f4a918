//! Lists: repositories, tags, and what is attached to an image.

use serde_json::{Value, json};

use super::Serving;
use crate::support::images::{Image, image, index, layer};
use crate::support::kits::attached;
use crate::support::oracle;

/// Follows the links of a list to its end; returns what each page holds.
fn pages(serving: &Serving, path: &str, key: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let answer = serving.get(&path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let listed = answer.json()[key].as_array().unwrap().clone();
        pages.push(listed.iter().map(|name| name.as_str().unwrap().to_owned()).collect());
        let link = answer.header("link");
        next = link.strip_prefix('<').map(|rest| {
            let (path, relation) = rest.split_once('>').unwrap();
            assert_eq!(relation, "; rel=\"next\"");
            path.to_owned()
        });
    }
    pages
}

#[test]
fn lists_come_in_pages_that_hold_everything_once() {
    let images: Vec<(String, Image)> = ["b", "a", "c.1", "c-1", "C"]
        .into_iter()
        .map(|tag| (format!("quay.io/lab/tags:{tag}"), image("linux", "amd64", &[layer(tag)])))
        .chain(
            (0..7)
                .map(|n| (format!("quay.io/lab/repository{n}:1"), image("linux", "amd64", &[layer("same")]))),
        )
        .collect();
    let images: Vec<(&str, &Image)> = images.iter().map(|(name, image)| (name.as_str(), image)).collect();
    let serving = Serving::of(&images, &[]);
    let whole = pages(&serving, "/v2/lab/tags/tags/list", "tags");
    assert_eq!(whole, [["C", "a", "b", "c-1", "c.1"]]);
    for limit in [1, 2, 5, 6] {
        let some = pages(&serving, &format!("/v2/lab/tags/tags/list?n={limit}&ns=quay.io"), "tags");
        assert!(some.iter().all(|page| page.len() <= limit) && some.len() == 5_usize.div_ceil(limit));
        assert_eq!(some.concat(), whole[0]);
    }
    let names = pages(&serving, "/v2/_catalog?n=3", "repositories");
    assert_eq!(names.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    assert_eq!(names.concat(), pages(&serving, "/v2/_catalog", "repositories")[0]);
    let nothing = serving.get("/v2/_catalog?n=0");
    assert_eq!((nothing.json(), nothing.header("link")), (json!({ "repositories": [] }), ""));
    let after = serving.get("/v2/lab/tags/tags/list?last=c");
    assert_eq!(after.json(), json!({ "name": "lab/tags", "tags": ["c-1", "c.1"] }));
    let bad = serving.get("/v2/_catalog?n=many");
    assert_eq!((bad.status, bad.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"));
}

#[test]
fn skopeo_lists_the_tags() {
    let serving = Serving::lab();
    let name = format!("docker://{}/rancher/mirrored-pause", serving.address());
    let certificates = serving.certificates();
    let arguments = ["list-tags", "--cert-dir", certificates.to_str().unwrap(), &name];
    let tags: Value = serde_json::from_str(&oracle::text("skopeo", arguments)).unwrap();
    assert_eq!(tags["Tags"], json!(["3.6"]));
}

#[test]
fn what_is_attached_to_an_image_is_listed_by_type_and_can_be_had() {
    const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    let subject = index(&[image("linux", "amd64", &[layer("signed")])]);
    let bill = attached(&subject, "application/spdx+json", EMPTY);
    let signature = attached(&subject, "", "application/vnd.example.signature+json");
    let of_bill = attached(&bill, "application/vnd.example.signature.of.bill", EMPTY);
    let other = image("linux", "amd64", &[layer("other")]);
    let serving = Serving::of(
        &[
            ("quay.io/lab/signed:1", &subject),
            ("quay.io/lab/other:1", &other),
            // As oras writes them: in the index, without a name.
            ("", &bill),
            ("", &signature),
            ("", &of_bill),
        ],
        &[],
    );
    let path = |subject: &Image| format!("/v2/lab/signed/referrers/{}", subject.root().digest);
    let list = |path: &str| {
        let answer = serving.get(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/vnd.oci.image.index.v1+json");
        (
            answer.json()["manifests"].as_array().unwrap().clone(),
            answer.header("oci-filters-applied").to_owned(),
        )
    };
    let describe = |artifact: &Image, artifact_type: &str| {
        let seedkit::store::Descriptor { media_type, digest, size } = artifact.root();
        json!({
            "mediaType": media_type, "digest": digest.to_string(), "size": size,
            "artifactType": artifact_type, "annotations": { "made": "by a test" },
        })
    };
    let (bill_entry, signature_entry) = (
        describe(&bill, "application/spdx+json"),
        describe(&signature, "application/vnd.example.signature+json"),
    );
    let (mut all, filters) = list(&path(&subject));
    all.sort_by_key(|one| one["artifactType"].to_string());
    assert_eq!((all, filters.as_str()), (vec![bill_entry.clone(), signature_entry], ""));
    for text in ["application/spdx+json", "application%2Fspdx%2Bjson"] {
        let (some, filters) = list(&format!("{}?artifactType={text}", path(&subject)));
        assert_eq!((some, filters.as_str()), (vec![bill_entry.clone()], "artifactType"), "{text}");
    }
    assert_eq!(list(&path(&bill)).0, [describe(&of_bill, "application/vnd.example.signature.of.bill")]);
    assert_eq!(list(&path(&of_bill)).0, [] as [Value; 0]);
    for artifact in [&bill, &signature, &of_bill] {
        let digest = &artifact.root().digest;
        assert_eq!(serving.get(&format!("/v2/lab/signed/manifests/{digest}")).status, 200);
        let blob = &artifact.blobs[1].descriptor.digest;
        assert_eq!(serving.get(&format!("/v2/lab/signed/blobs/{blob}")).status, 200);
        // They belong to the image, not to every repository.
        assert_eq!(serving.get(&format!("/v2/lab/other/manifests/{digest}")).status, 404);
    }
    let elsewhere = format!("/v2/lab/other/referrers/{}", subject.root().digest);
    assert_eq!(list(&elsewhere).0, [] as [Value; 0]);
}
