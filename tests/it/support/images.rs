//! Images of every kind that registries hold, made on the fly, the same bytes each time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use fs_err as fs;
use reqwest::Method;
use seedkit::digest::Digest;
use seedkit::oci::media_type::{
    DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST,
};
use seedkit::store::Descriptor;
use serde_json::{Value, json};

use super::oracle;
use super::registry::Registry;

/// The media type of gzip-compressed OCI layers.
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The media type of zstd-compressed OCI layers.
pub(crate) const OCI_ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The media type of uncompressed OCI layers.
pub(crate) const OCI_PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The media type of Docker layers.
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The media type of Docker layers that no registry has.
pub(crate) const FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// One content with what refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Media type, digest, size.
    pub(crate) descriptor: Descriptor,
    /// The content itself.
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    /// Describes `bytes`.
    pub(crate) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        let (digest, size) = (Digest::sha256(&bytes), bytes.len() as u64);
        Self { descriptor: Descriptor { media_type: media_type.to_owned(), digest, size }, bytes }
    }

    fn refer(&self) -> Value {
        let Descriptor { media_type, digest, size } = &self.descriptor;
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
    }
}

/// A whole image: everything below one manifest or index.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// Layers and configurations; one may be there several times.
    pub(crate) blobs: Vec<Content>,
    /// Manifests, children before parents; the last one is the image's own.
    pub(crate) manifests: Vec<Content>,
    /// What it runs on, if it is one image for one platform.
    platform: Option<(&'static str, &'static str)>,
}

/// Makes a gzip-compressed layer with one file whose content is `text`.
pub(crate) fn layer(text: &str) -> Content {
    let tar = tarball(&format!("{}.txt", Digest::sha256(text.as_bytes()).short()), text.as_bytes());
    Content::new(OCI_LAYER, gzip(&tar))
}

/// Makes a gzip-compressed layer of about `size` bytes that cannot be compressed.
pub(crate) fn large_layer(seed: u64, size: usize) -> Content {
    // xorshift: noise that is the same each time.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let bytes: Vec<u8> = noise.take(size.div_ceil(8)).flatten().collect();
    Content::new(OCI_LAYER, gzip(&tarball("noise", &bytes)))
}

/// Makes a zstd-compressed layer.
pub(crate) fn zstd_layer(text: &str) -> Content {
    Content::new(OCI_ZSTD_LAYER, zstd::encode_all(&*tarball("zstd.txt", text.as_bytes()), 3).unwrap())
}

/// Makes a layer that is not compressed.
pub(crate) fn plain_layer(text: &str) -> Content {
    Content::new(OCI_PLAIN_LAYER, tarball("plain.txt", text.as_bytes()))
}

/// Makes the gzip-compressed tarball of nothing.
pub(crate) fn empty_layer() -> Content {
    Content::new(OCI_LAYER, gzip(&[0; 1024]))
}

/// Makes an OCI image for one platform, such as `linux` and `arm64`.
pub(crate) fn image(os: &'static str, architecture: &'static str, layers: &[Content]) -> Image {
    let config = configuration(OCI_CONFIG, os, architecture, layers);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.refer(),
        "layers": layers.iter().map(Content::refer).collect::<Vec<_>>(),
    });
    Image {
        manifests: vec![Content::new(OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap())],
        blobs: layers.iter().cloned().chain([config]).collect(),
        platform: Some((os, architecture)),
    }
}

/// Makes an image of Docker's schema 2, indented as Docker writes it: who serialises it anew changes its digest.
pub(crate) fn docker_image(os: &'static str, architecture: &'static str, layers: &[Content]) -> Image {
    let layers: Vec<Content> =
        layers.iter().map(|layer| Content::new(DOCKER_LAYER, layer.bytes.clone())).collect();
    let config = configuration(DOCKER_CONFIG, os, architecture, &layers);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config.refer(),
        "layers": layers.iter().map(Content::refer).collect::<Vec<_>>(),
    });
    Image {
        manifests: vec![Content::new(DOCKER_MANIFEST, serde_json::to_vec_pretty(&manifest).unwrap())],
        blobs: layers.into_iter().chain([config]).collect(),
        platform: Some((os, architecture)),
    }
}

/// Makes a Docker image with one layer of its own and one that is not in the registry, as Windows images have.
pub(crate) fn foreign_layer_image() -> Image {
    let (own, foreign) = (layer("beside a foreign layer"), layer("foreign"));
    let config = configuration(DOCKER_CONFIG, "linux", "amd64", &[foreign.clone(), own.clone()]);
    let mut elsewhere = Content::new(FOREIGN_LAYER, foreign.bytes).refer();
    elsewhere["urls"] = json!(["https://layers.invalid/foreign.tar.gz"]);
    let own = Content::new(DOCKER_LAYER, own.bytes);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config.refer(),
        "layers": [elsewhere, own.refer()],
    });
    Image {
        manifests: vec![Content::new(DOCKER_MANIFEST, serde_json::to_vec_pretty(&manifest).unwrap())],
        blobs: vec![own, config],
        platform: Some(("linux", "amd64")),
    }
}

/// Makes a Helm chart: an artifact whose manifest does not state its media type.
pub(crate) fn helm_chart() -> Image {
    let config = Content::new("application/vnd.cncf.helm.config.v1+json", br#"{"name":"chart"}"#.to_vec());
    let content = gzip(&tarball("chart/Chart.yaml", b"name: chart\n"));
    let chart = Content::new("application/vnd.cncf.helm.chart.content.v1.tar+gzip", content);
    let manifest = json!({ "schemaVersion": 2, "config": config.refer(), "layers": [chart.refer()] });
    Image {
        manifests: vec![Content::new(OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap())],
        blobs: vec![chart, config],
        platform: None,
    }
}

/// Makes an OCI index of images; those for no platform, and indexes, get no `platform`.
pub(crate) fn index(images: &[Image]) -> Image {
    join(OCI_INDEX, images, &[])
}

/// Makes a Docker manifest list, indented as Docker writes it.
pub(crate) fn docker_list(images: &[Image]) -> Image {
    join(DOCKER_LIST, images, &[])
}

/// Makes an OCI index as buildx does: every image has an attestation manifest of platform unknown/unknown.
pub(crate) fn attested_index(images: &[Image]) -> Image {
    let attestations: Vec<(Image, Digest)> = images
        .iter()
        .map(|image| {
            let about = image.root().digest;
            let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": about });
            let layer = Content::new("application/vnd.in-toto+json", statement.to_string().into_bytes());
            (self::image("unknown", "unknown", &[layer]), about)
        })
        .collect();
    join(OCI_INDEX, images, &attestations)
}

fn join(media_type: &str, images: &[Image], attestations: &[(Image, Digest)]) -> Image {
    let platforms = images.iter().map(|image| {
        let mut child = image.manifests.last().unwrap().refer();
        if let Some((os, architecture)) = image.platform {
            child["platform"] = json!({ "os": os, "architecture": architecture });
        }
        child
    });
    let attested = attestations.iter().map(|(attestation, about)| {
        let mut child = attestation.manifests[0].refer();
        child["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        child["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about.to_string(),
        });
        child
    });
    let children: Vec<Value> = platforms.chain(attested).collect();
    let list = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children });
    let bytes = match media_type {
        DOCKER_LIST => serde_json::to_vec_pretty(&list).unwrap(),
        _ => serde_json::to_vec(&list).unwrap(),
    };
    let parts = || images.iter().chain(attestations.iter().map(|(image, _)| image));
    let below = parts().flat_map(|image| image.manifests.clone());
    Image {
        manifests: below.chain([Content::new(media_type, bytes)]).collect(),
        blobs: parts().flat_map(|image| image.blobs.clone()).collect(),
        platform: None,
    }
}

impl Image {
    /// Returns the descriptor of the manifest or index that is the image.
    pub(crate) fn root(&self) -> &Descriptor {
        &self.manifests.last().unwrap().descriptor
    }

    /// Has an index say that it is for another platform than it is.
    pub(crate) fn listed_for(self, os: &'static str, architecture: &'static str) -> Self {
        Self { platform: Some((os, architecture)), ..self }
    }

    /// Returns every content by the last part of its path in a registry: its digest, and `1` for the image itself.
    pub(crate) fn by_name(&self) -> BTreeMap<String, Content> {
        let contents = self.manifests.iter().chain(&self.blobs);
        let named = contents.map(|content| (content.descriptor.digest.to_string(), content.clone()));
        let root = self.manifests.last().map(|root| ("1".to_owned(), root.clone()));
        named.chain(root).collect()
    }

    /// Writes an OCI layout with the image under the name `latest`. `folder` must not hold one yet.
    pub(crate) fn write_layout(&self, folder: &Path) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for content in self.blobs.iter().chain(&self.manifests) {
            fs::write(blobs.join(content.descriptor.digest.hex()), &content.bytes).unwrap();
        }
        let mut root = self.manifests.last().unwrap().refer();
        root["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        let index = json!({ "schemaVersion": 2, "manifests": [root] });
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }

    /// Copies the image with skopeo, byte for byte, to `repository:tag`. OCI images without nested indexes
    /// only: skopeo converts what is Docker's and does not copy the others.
    pub(crate) fn push_with_skopeo(&self, registry: &Registry, name: &str) {
        let folder = tempfile::tempdir().unwrap();
        self.write_layout(folder.path());
        let mut command = oracle::command("skopeo");
        command.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]);
        command.arg("--dest-tls-verify=false");
        if let Some((user, password)) = registry.credentials() {
            command.args(["--dest-username", user, "--dest-password", password]);
        }
        command.arg(format!("oci:{}:latest", folder.path().display()));
        oracle::finish(command.arg(format!("docker://{}/{name}", registry.authority())));
    }

    /// Puts the image under `repository:tag` by plain HTTP requests: any kind of image, as it is.
    pub(crate) fn put(&self, registry: &Registry, repository: &str, tag: &str) {
        for Content { descriptor, bytes } in &self.blobs {
            let session =
                registry.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), "", vec![]);
            let location = session.headers()["location"].to_str().unwrap();
            let to = format!("{location}&digest={}", descriptor.digest);
            registry.send(Method::PUT, &to, "application/octet-stream", bytes.clone());
        }
        for Content { descriptor, bytes } in &self.manifests {
            let is_root = descriptor == self.root();
            let name = if is_root { tag.to_owned() } else { descriptor.digest.to_string() };
            let to = format!("/v2/{repository}/manifests/{name}");
            registry.send(Method::PUT, &to, &descriptor.media_type, bytes.clone());
        }
    }
}

fn tarball(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip_or_same(layer: &Content) -> Vec<u8> {
    let mut tar = Vec::new();
    match layer.descriptor.media_type.as_str() {
        OCI_LAYER | DOCKER_LAYER => {
            let mut decoder = flate2::read::GzDecoder::new(&*layer.bytes);
            std::io::copy(&mut decoder, &mut tar).unwrap();
        }
        OCI_ZSTD_LAYER => tar = zstd::decode_all(&*layer.bytes).unwrap(),
        _ => tar.clone_from(&layer.bytes),
    }
    tar
}

fn configuration(media_type: &str, os: &str, architecture: &str, layers: &[Content]) -> Content {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| Digest::sha256(&gunzip_or_same(layer)).to_string()).collect();
    let config = json!({
        "os": os, "architecture": architecture, "config": { "Cmd": ["/bin/true"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    Content::new(media_type, serde_json::to_vec(&config).unwrap())
}

mod tests {
    use super::*;

    #[test]
    fn skopeo_finds_every_kind_of_image_byte_for_byte_in_the_registry() {
        let registry = Registry::start();
        let layers = [layer("base"), layer("more"), empty_layer(), empty_layer()];
        let both = [image("linux", "amd64", &layers), image("linux", "arm64", &layers[..1])];
        let docker = [docker_image("linux", "amd64", &layers), docker_image("linux", "arm64", &layers[1..])];
        for (tag, image) in [
            ("attested", attested_index(&both)),
            ("nested", index(&[index(&both), both[0].clone()])),
            ("docker", docker[0].clone()),
            ("list", docker_list(&docker)),
            ("foreign", foreign_layer_image()),
            ("chart", helm_chart()),
            ("other", image("linux", "amd64", &[zstd_layer("zstd"), plain_layer("plain")])),
        ] {
            image.put(&registry, "kinds/put", tag);
            let name = format!("docker://{}/kinds/put:{tag}", registry.authority());
            let raw = oracle::run("skopeo", ["inspect", "--tls-verify=false", "--raw", &name]).stdout;
            assert_eq!(&Digest::sha256(&raw), &image.root().digest, "{tag}");
        }
    }

    #[test]
    fn skopeo_fills_the_registry_without_changing_digests() {
        let registry = Registry::start_with_password();
        let image = attested_index(&[image("linux", "amd64", &[large_layer(1, 100_000)])]);
        image.push_with_skopeo(&registry, "filled/image:1");
        let answer = registry.send(Method::GET, "/v2/filled/image/tags/list", "", vec![]);
        assert!(answer.text().unwrap().contains(r#""tags":["1"]"#));
        let raw = registry.send(Method::GET, "/v2/filled/image/manifests/1", "", vec![]).text().unwrap();
        assert_eq!(raw, String::from_utf8(image.manifests.last().unwrap().bytes.clone()).unwrap());
    }
}
