//! What a manifest refers to: a tolerant look into its raw bytes.
//!
//! The view knows OCI and Docker schema 2, manifests and indexes, artifacts, attestations. It never writes a
//! manifest back. What current container runtimes refuse is refused here: schema 1 by name, and documents
//! that one reader takes for an image and another for an index.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Platform;
use crate::digest::Digest;
use crate::store::Descriptor;

/// The most bytes a manifest may have, as registries limit it (OCI distribution specification, "Pushing Manifests").
pub const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// The media types of manifests and configurations.
pub mod media_type {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// Docker image manifest, version 2 schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// All that can be asked for as a manifest.
    pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];
    /// What the media types of all layers begin with that a container runtime unpacks, as containerd tells them.
    pub(super) const LAYERS: [&str; 2] =
        ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];
}

/// What a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A list of manifests: OCI index or Docker list.
    Index,
    /// One image that a container runtime can unpack.
    Image,
    /// A manifest that is not a runnable image: chart, signature, SBOM, attestation.
    ///
    /// Signatures and attestations often have the configuration of an image; their layers tell them apart.
    Artifact,
}

/// One content that a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The content.
    pub descriptor: Descriptor,
    /// For children of an index: the platform, if stated and meaningful.
    pub platform: Option<Platform>,
    /// For attestation manifests of an index: the manifest they are about.
    pub attests: Option<Digest>,
    /// The layer is not in the registry (foreign, nondistributable); its URLs are elsewhere.
    pub is_foreign: bool,
}

impl Child {
    fn is_layer(&self) -> bool {
        media_type::LAYERS.iter().any(|layer| self.descriptor.media_type.starts_with(layer))
    }
}

/// A look into a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What it is.
    pub kind: Kind,
    /// The media type that the document states, or that its shape implies.
    pub media_type: String,
    /// The configuration; indexes have none.
    pub config: Option<Child>,
    /// The layers in order, for an index the manifests in order.
    pub children: Vec<Child>,
    /// The manifest this one is attached to.
    pub subject: Option<Descriptor>,
    /// What kind of artifact it is: what it states, else the media type of its configuration.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Why bytes are no manifest that can be mirrored.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, such as the HTML of a login page.
    #[error("the manifest {0} is not JSON: it begins with `{1}`")]
    NotJson(Digest, String, #[source] serde_json::Error),
    /// Docker's first schema, which no current runtime runs.
    #[error("the image has the obsolete manifest schema 1, which current container runtimes refuse")]
    SchemaOne,
    /// JSON, yet neither a manifest nor an index.
    #[error("the document {0} is neither a manifest nor an index: {1}")]
    Unknown(Digest, String),
}

impl ManifestError {
    /// Returns whether it is a document of another kind, rather than damaged or a web page.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::SchemaOne | Self::Unknown { .. } => true,
            Self::NotJson { .. } => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    annotations: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<RawPlatform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl RawPlatform {
    /// Attestations have the platform `unknown/unknown`, which nothing runs on.
    fn into_platform(self) -> Option<Platform> {
        Platform::from_parts(&self.os, &self.architecture, self.variant.as_deref())
            .filter(|platform| platform.os() != "unknown")
    }
}

impl RawDescriptor {
    fn into_descriptor(self) -> Descriptor {
        Descriptor { media_type: self.media_type, digest: self.digest, size: self.size }
    }

    fn into_child(self) -> Child {
        let Self { media_type, digest, size, platform, annotations } = self;
        let annotation = |key: &str| annotations.as_ref().and_then(|all| all.get(key));
        let is_attestation =
            annotation("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest");
        let attests = annotation("vnd.docker.reference.digest")
            .filter(|_| is_attestation)
            .and_then(|digest| digest.parse().ok());
        Child {
            // By the media type alone: other layers may name further places, and are in the registry too.
            is_foreign: media_type.contains("nondistributable") || media_type.contains(".foreign."),
            platform: platform.and_then(RawPlatform::into_platform),
            attests,
            descriptor: Descriptor { media_type, digest, size },
        }
    }
}

impl RawManifest {
    /// Tells an index from an image. Documents that can be taken for both are refused, as containerd refuses
    /// them: the digest of one content would stand for two (CVE-2021-41190).
    fn is_index(&self, served_as: Option<&str>) -> Result<bool, &'static str> {
        let is_index_type = |name: &str| [media_type::OCI_INDEX, media_type::DOCKER_LIST].contains(&name);
        let stated: Vec<bool> =
            served_as.into_iter().chain(known(self.media_type.as_deref())).map(is_index_type).collect();
        let is_index = match (self.manifests.is_some(), self.config.is_some() || self.layers.is_some()) {
            (true, true) => return Err("it has `manifests`, and `config` or `layers` too"),
            (true, false) => true,
            (false, true) => false,
            // `manifests: null` is written in the wild for an empty index.
            (false, false) if stated.contains(&true) => true,
            (false, false) => return Err("it has no `manifests` and no `config`"),
        };
        if stated.iter().all(|stated| *stated == is_index) {
            Ok(is_index)
        } else if is_index {
            Err("it is an index by its content, an image by its media type")
        } else {
            Err("it is an image by its content, an index by its media type")
        }
    }
}

/// Returns a media type if it is one of a manifest; servers also say `text/plain` and worse.
fn known(media_type: Option<&str>) -> Option<&str> {
    media_type.filter(|media_type| media_type::MANIFESTS.contains(media_type))
}

impl Manifest {
    /// Looks into `bytes`; `served_as` is the media type that came with them, if any.
    ///
    /// The media type is the one served, else the one stated, else what the shape implies; others than those
    /// of manifests do not count.
    pub fn parse(bytes: &[u8], served_as: Option<&str>) -> Result<Self, ManifestError> {
        let digest = || Digest::sha256(bytes);
        let unknown = |reason: &str| ManifestError::Unknown(digest(), reason.to_owned());
        let raw: RawManifest = serde_json::from_slice(bytes).map_err(|source| {
            if source.is_data() {
                unknown(&source.to_string())
            } else {
                ManifestError::NotJson(
                    digest(),
                    String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).escape_debug().collect(),
                    source,
                )
            }
        })?;
        if raw.schema_version == Some(1) {
            return Err(ManifestError::SchemaOne);
        }
        let served_as = known(served_as);
        let is_index = raw.is_index(served_as).map_err(unknown)?;
        let implied = if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
        let stated = served_as.or(known(raw.media_type.as_deref())).unwrap_or(implied).to_owned();
        let subject = raw.subject.map(RawDescriptor::into_descriptor);
        let children = if is_index { raw.manifests } else { raw.layers }.unwrap_or_default();
        let children: Vec<Child> = children.into_iter().map(RawDescriptor::into_child).collect();
        let config = match raw.config.filter(|_| !is_index).map(RawDescriptor::into_child) {
            None if !is_index => return Err(unknown("it has `layers` and no `config`")),
            config => config,
        };
        let config_type = config.as_ref().map(|config| config.descriptor.media_type.as_str());
        let is_runnable = raw.artifact_type.is_none()
            && subject.is_none()
            && config_type
                .is_some_and(|name| [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG].contains(&name))
            && children.iter().all(Child::is_layer);
        let kind = match (is_index, is_runnable) {
            (true, _) => Kind::Index,
            (false, true) => Kind::Image,
            (false, false) => Kind::Artifact,
        };
        let stated_type = raw.artifact_type.filter(|text| !text.is_empty());
        let artifact_type = stated_type.or_else(|| config_type.map(str::to_owned));
        // Of a kind that nobody expects, they say nothing.
        let annotations =
            raw.annotations.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
        Ok(Self { kind, media_type: stated, config, children, subject, artifact_type, annotations })
    }

    /// Returns the platform of an image's configuration, which is what runtimes go by.
    pub fn platform_of_config(config: &[u8]) -> Option<Platform> {
        serde_json::from_slice::<RawPlatform>(config).ok()?.into_platform()
    }

    /// Returns the manifests that an index lists; none of anything else.
    pub fn manifests(&self) -> impl Iterator<Item = &Descriptor> {
        let is_index = self.kind == Kind::Index;
        self.children.iter().filter(move |_| is_index).map(|child| &child.descriptor)
    }

    /// Returns the blobs (not manifests) that are needed to have this manifest whole: configuration, layers.
    ///
    /// Foreign layers are not among them: no registry has them.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let is_index = self.kind == Kind::Index;
        self.config
            .iter()
            .chain(self.children.iter().filter(move |_| !is_index))
            .filter(|child| !child.is_foreign)
            .map(|child| &child.descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn image(config_type: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config_type}","digest":"sha256:{HEX}","size":0}},
            "layers":[{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"sha256:{HEX}",
            "size":0,"urls":["https://example.invalid/"]}}]}}"#
        )
    }

    #[test]
    fn images_and_artifacts_are_told_apart_by_their_configuration() {
        let kind = |config_type| Manifest::parse(image(config_type).as_bytes(), None).unwrap().kind;
        assert_eq!(kind(media_type::OCI_CONFIG), Kind::Image);
        assert_eq!(kind(media_type::DOCKER_CONFIG), Kind::Image);
        assert_eq!(kind("application/vnd.cncf.helm.config.v1+json"), Kind::Artifact);
    }

    #[test]
    fn signatures_and_attestations_are_no_images_although_their_configuration_says_so() {
        for layer in ["application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.in-toto+json"] {
            let text = image(media_type::OCI_CONFIG)
                .replace("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", layer);
            assert_eq!(Manifest::parse(text.as_bytes(), None).unwrap().kind, Kind::Artifact);
        }
    }

    #[test]
    fn a_document_that_can_be_taken_for_an_image_and_an_index_is_refused() {
        let (image, index) = (image(media_type::OCI_CONFIG), r#"{"schemaVersion":2,"manifests":[]}"#);
        let both = image.replacen('{', r#"{"manifests":[],"#, 1);
        let stated = image.replacen('{', &format!(r#"{{"mediaType":"{}","#, media_type::DOCKER_LIST), 1);
        for (text, served_as, expected) in [
            (both.as_str(), None, "`manifests`, and `config`"),
            (&image, Some(media_type::OCI_INDEX), "an image by its content, an index"),
            (&stated, Some(media_type::OCI_MANIFEST), "an image by its content, an index"),
            (index, Some(media_type::DOCKER_MANIFEST), "an index by its content, an image"),
        ] {
            let error = Manifest::parse(text.as_bytes(), served_as).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_index_of_nothing_may_be_null() {
        let manifest = Manifest::parse(br#"{"manifests":null}"#, Some(media_type::OCI_INDEX)).unwrap();
        assert_eq!((manifest.kind, manifest.children.len()), (Kind::Index, 0));
    }

    #[test]
    fn media_types_that_are_of_no_manifest_do_not_count() {
        let text = image(media_type::OCI_CONFIG).replacen('{', r#"{"mediaType":"text/html","#, 1);
        let manifest = Manifest::parse(text.as_bytes(), Some("application/json")).unwrap();
        assert_eq!(manifest.media_type, media_type::OCI_MANIFEST);
    }

    #[test]
    fn foreign_layers_are_not_fetched() {
        let manifest = Manifest::parse(image(media_type::OCI_CONFIG).as_bytes(), None).unwrap();
        assert!(manifest.children[0].is_foreign);
        assert_eq!(manifest.blobs().count(), 1);
    }

    #[test]
    fn attestations_name_what_they_attest_and_have_no_platform() {
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"sha256:{HEX}","size":2,
            "platform":{{"os":"unknown","architecture":"unknown"}},
            "annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"sha256:{HEX}"}}}}]}}"#,
            media_type::OCI_MANIFEST
        );
        let manifest = Manifest::parse(index.as_bytes(), None).unwrap();
        assert_eq!(manifest.kind, Kind::Index);
        assert_eq!(manifest.children[0].platform, None);
        assert_eq!(manifest.children[0].attests, Some(format!("sha256:{HEX}").parse().unwrap()));
    }

    #[test]
    fn what_is_no_manifest_is_refused_by_name() {
        let error = |bytes: &[u8]| Manifest::parse(bytes, None).unwrap_err().to_string();
        assert!(error(b"<html><body>Login</body>").contains("begins with `<html><body>Login"));
        assert!(error(br#"{"schemaVersion":1,"fsLayers":[]}"#).contains("schema 1"));
        assert!(error(br#"{"hello":"world"}"#).contains("neither a manifest nor an index"));
        assert!(error(br#"[1]"#).contains("neither a manifest nor an index"));
    }
}
