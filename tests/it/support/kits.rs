//! Kits as far as those need them that read images out of one.

use fs_err as fs;
use serde_json::{Value, json};

use super::images::{Content, Image};
use super::sandbox::Sandbox;

/// The media type of OCI manifests.
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Writes `kit` with a layout of `images`, each under its full name, and a bill of those that have one.
///
/// A name may be two: the image's own and, after a space, that in the private registry.
pub(crate) fn write_kit(sandbox: &Sandbox, images: &[(&str, &Image)]) {
    let layout: Vec<(&str, &Image)> =
        images.iter().map(|(name, image)| (name.split(' ').next().unwrap(), *image)).collect();
    write_layout(sandbox, &layout);
    let named = images.iter().filter(|(name, _)| !name.is_empty());
    let billed: Vec<Value> = named
        .map(|(name, image)| {
            let mut names = name.split(' ');
            let seedkit::store::Descriptor { media_type, digest, size } = image.root();
            let mut entry = json!({
                "reference": names.next(), "mediaType": media_type, "digest": digest.to_string(),
                "totalSize": size, "platforms": {},
            });
            if let Some(destination) = names.next() {
                entry["destination"] = destination.into();
            }
            entry
        })
        .collect();
    let bill = json!({
        "version": 1, "name": "lab", "madeBy": "a test", "epoch": 1_763_683_200, "k3s": "v1.35.0+k3s1",
        "registry": "192.168.6.1:5000", "platforms": ["linux/amd64"], "nodes": [], "files": [], "images": billed,
        "artifacts": {},
    });
    sandbox.write("kit/kit.json", bill.to_string());
}

/// Writes the layout of `kit`, or replaces it, with `images`, each under its full name; one without is not named.
pub(crate) fn write_layout(sandbox: &Sandbox, images: &[(&str, &Image)]) {
    let layout = sandbox.path("kit/images");
    let _there_or_not = fs::remove_dir_all(&layout);
    let mut manifests = Vec::new();
    for (name, image) in images {
        image.write_layout(&layout);
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let mut root = index["manifests"][0].clone();
        root["annotations"] =
            if name.is_empty() { json!({}) } else { json!({ "org.opencontainers.image.ref.name": name }) };
        manifests.push(root);
    }
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

/// Makes an artifact that is attached to `subject`; without an `artifact_type` its configuration says what it is.
pub(crate) fn attached(subject: &Image, artifact_type: &str, config_type: &str) -> Image {
    let config = Content::new(config_type, b"{}".to_vec());
    let blob = Content::new("text/plain", artifact_type.as_bytes().to_vec());
    let describe = |content: &Content| {
        let seedkit::store::Descriptor { media_type, digest, size } = &content.descriptor;
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
    };
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": describe(&config), "layers": [describe(&blob)],
        "subject": describe(subject.manifests.last().unwrap()), "annotations": { "made": "by a test" },
    });
    if !artifact_type.is_empty() {
        manifest["artifactType"] = json!(artifact_type);
    }
    let mut artifact = subject.clone();
    artifact.manifests = vec![Content::new(OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap())];
    artifact.blobs = vec![config, blob];
    artifact
}
