use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::oci::BlobPart;
use crate::oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};

/// Contents in memory; notes what it is asked for.
#[derive(Default)]
struct Memory {
    contents: Mutex<BTreeMap<Digest, Vec<u8>>>,
    asked: Mutex<Vec<Digest>>,
}

impl ImageSource for Memory {
    fn resolve(&self, reference: &Reference) -> Result<Descriptor, SourceError> {
        panic!("`{reference}` is resolved already")
    }

    fn manifest(
        &self,
        _: &Reference,
        Descriptor { digest, .. }: &Descriptor,
    ) -> Result<Vec<u8>, SourceError> {
        self.asked.lock().unwrap().push(*digest);
        let missing = || SourceError::new(SourceErrorKind::NotFound, format!("no {digest}"));
        self.contents.lock().unwrap().get(digest).cloned().ok_or_else(missing)
    }

    fn blob_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        part: std::ops::Range<u64>,
    ) -> Result<BlobPart, SourceError> {
        Ok(BlobPart::of_whole(
            std::io::Cursor::new(self.manifest(reference, descriptor)?),
            part.start,
            String::new(),
        ))
    }
}

impl Memory {
    /// Keeps `content` and returns its descriptor.
    fn put(&self, media_type: &str, content: &Value) -> Value {
        let bytes = serde_json::to_vec(content).unwrap();
        let (digest, size) = (Digest::sha256(&bytes), bytes.len());
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": size });
        self.contents.lock().unwrap().insert(digest, bytes);
        descriptor
    }

    /// Makes an image whose configuration says that it runs on `platform`.
    fn image(&self, platform: &str, layer: &str) -> Value {
        let config = self.put(OCI_CONFIG, &with_platform(json!({ "of": layer }), platform));
        let layer = self.put("application/vnd.oci.image.layer.v1.tar+gzip", &json!(layer));
        self.put(OCI_MANIFEST, &json!({ "schemaVersion": 2, "config": config, "layers": [layer] }))
    }

    fn index(&self, children: &[Value]) -> Value {
        self.put(OCI_INDEX, &json!({ "schemaVersion": 2, "manifests": children }))
    }

    fn attestation(&self, about: &Value) -> Value {
        let config =
            self.put(OCI_CONFIG, &with_platform(json!({ "about": about["digest"] }), "unknown/unknown"));
        let layer = self.put("application/vnd.in-toto+json", &json!({ "subject": about["digest"] }));
        let mut child =
            self.put(OCI_MANIFEST, &json!({ "schemaVersion": 2, "config": config, "layers": [layer] }));
        child["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about["digest"],
        });
        on("unknown/unknown", &child)
    }

    /// Reads the graph below `root`, and returns it with what was asked for.
    fn read(&self, root: &Value, platforms: &[&str]) -> (Result<Graph, GraphError>, Vec<Digest>) {
        let platforms: Vec<Platform> = platforms.iter().map(|platform| platform.parse().unwrap()).collect();
        let root: Descriptor = serde_json::from_value(root.clone()).unwrap();
        let graph = read(self, &"quay.io/a/b:1".parse().unwrap(), &root, &platforms);
        (graph, std::mem::take(&mut self.asked.lock().unwrap()))
    }

    fn graph(&self, root: &Value, platforms: &[&str]) -> Graph {
        self.read(root, platforms).0.unwrap()
    }

    /// Returns all that an error says.
    fn error(&self, root: &Value, platforms: &[&str]) -> String {
        let error = self.read(root, platforms).0.unwrap_err();
        match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }
}

/// Adds the parts of a platform, as configurations and descriptors write them.
fn with_platform(mut value: Value, platform: &str) -> Value {
    let parts = ["os", "architecture", "variant"].into_iter().zip(platform.split('/'));
    parts.for_each(|(key, part)| value[key] = json!(part));
    value
}

/// States a child's platform.
fn on(platform: &str, child: &Value) -> Value {
    let mut child = child.clone();
    child["platform"] = with_platform(json!({}), platform);
    child
}

fn digest(descriptor: &Value) -> Digest {
    serde_json::from_value(descriptor["digest"].clone()).unwrap()
}

/// Returns which of `descriptors` the graph has whole.
fn whole(graph: &Graph, descriptors: &[&Value]) -> Vec<bool> {
    let is_whole = |wanted: &Digest| {
        let node = graph.nodes.iter().find(|node| node.descriptor.digest == *wanted);
        node.unwrap().is_whole
    };
    descriptors.iter().map(|descriptor| is_whole(&digest(descriptor))).collect()
}

#[test]
fn an_index_keeps_all_its_manifests_and_the_layers_of_wanted_platforms_with_their_attestations() {
    let memory = Memory::default();
    let (amd, arm) = (memory.image("linux/amd64", "a"), memory.image("linux/arm64", "b"));
    let (about_amd, about_arm) = (memory.attestation(&amd), memory.attestation(&arm));
    let root = memory.index(&[
        about_arm.clone(),
        on("linux/amd64", &amd),
        on("linux/arm64/v8", &arm),
        about_amd.clone(),
    ]);
    let graph = memory.graph(&root, &["linux/arm64"]);
    assert_eq!(whole(&graph, &[&amd, &arm, &about_amd, &about_arm]), [false, true, false, true]);
    assert_eq!(graph.blobs().len(), 4);
    assert_eq!(graph.platforms, BTreeMap::from([("linux/arm64".parse().unwrap(), digest(&arm))]));
    assert_eq!(graph.root().descriptor.digest, digest(&root));
    let sizes: u64 = graph.contents().map(|content| content.size).sum();
    assert_eq!((graph.contents().count(), graph.total_size()), (5 + 4, sizes));
}

#[test]
fn attestations_and_stated_platforms_cost_no_request_for_a_configuration() {
    let memory = Memory::default();
    let image = memory.image("linux/amd64", "a");
    let root = memory.index(&[on("linux/amd64", &image), memory.attestation(&image)]);
    let (graph, asked) = memory.read(&root, &["linux/amd64"]);
    assert_eq!((graph.unwrap().nodes.len(), asked.len()), (3, 3));
}

#[test]
fn a_child_without_a_stated_platform_is_narrowed_by_its_configuration() {
    let memory = Memory::default();
    let (amd, arm) = (memory.image("linux/amd64", "a"), memory.image("linux/arm64/v8", "b"));
    let nowhere = memory.image("unknown/unknown", "c");
    let chart_config = memory.put("application/vnd.cncf.helm.config.v1+json", &json!({}));
    let chart = memory.put(OCI_MANIFEST, &json!({ "config": chart_config, "layers": [] }));
    let root = memory.index(&[amd.clone(), arm.clone(), on("unknown/unknown", &nowhere), chart.clone()]);
    let graph = memory.graph(&root, &["linux/arm64"]);
    assert_eq!(whole(&graph, &[&amd, &arm, &nowhere, &chart]), [false, true, false, true]);
}

#[test]
fn what_is_wanted_on_one_way_is_whole_although_another_way_does_not_want_it() {
    let memory = Memory::default();
    let image = memory.image("linux/amd64", "a");
    let inner = memory.index(std::slice::from_ref(&image));
    for children in [
        [on("linux/arm64", &image), on("linux/amd64", &image)],
        [on("linux/arm64", &inner), on("linux/amd64", &inner)],
        [on("linux/arm64", &inner), image.clone()],
    ] {
        let root = memory.index(&children);
        let (graph, asked) = memory.read(&root, &["linux/amd64"]);
        let graph = graph.unwrap();
        assert_eq!(whole(&graph, &[&image]), [true], "{children:?}");
        let manifests: Vec<_> = graph.nodes.iter().map(|node| &node.descriptor.digest).collect();
        let once: BTreeSet<_> = manifests.iter().collect();
        assert_eq!((once.len(), manifests.last().unwrap()), (manifests.len(), &&digest(&root)));
        assert!(asked.iter().filter(|asked| **asked == digest(&image)).count() == 1, "{asked:?}");
    }
}

#[test]
fn images_of_nested_indexes_are_found_and_a_stated_platform_goes_first() {
    let memory = Memory::default();
    let [stated, deep] = ["a", "b"].map(|layer| memory.image("linux/amd64", layer));
    let nested = memory.index(&[memory.index(&[on("linux/amd64", &deep)])]);
    let platform = "linux/amd64".parse().unwrap();
    let chosen = |children: &[Value]| memory.graph(&memory.index(children), &["linux/amd64"]).platforms;
    assert_eq!(chosen(std::slice::from_ref(&nested))[&platform], digest(&deep));
    // As containerd chooses.
    assert_eq!(chosen(&[nested, on("linux/amd64", &stated)])[&platform], digest(&stated));
}

#[test]
fn a_platform_that_is_missing_is_named_with_those_that_exist() {
    let memory = Memory::default();
    let image = memory.image("linux/amd64", "a");
    let index = memory.index(&[
        on("linux/amd64", &image),
        on("linux/arm", &memory.image("linux/arm", "b")),
        memory.attestation(&image),
    ]);
    for (root, wanted, available) in [
        (&index, "linux/s390x", "linux/amd64, linux/arm/v7"),
        (&image, "linux/arm64", "linux/amd64"),
        (&memory.image("", ""), "linux/amd64", "none that is stated"),
    ] {
        let expected = format!("`quay.io/a/b:1` has no image for {wanted}; it has {available}");
        assert_eq!(memory.error(root, &[wanted]), expected);
    }
}

#[test]
fn an_artifact_is_whole_and_has_no_platforms() {
    let memory = Memory::default();
    let config = memory.put("application/vnd.oci.empty.v1+json", &json!({}));
    let layer = memory.put("text/plain", &json!("content"));
    let root = memory.put(OCI_MANIFEST, &json!({ "config": config, "layers": [layer] }));
    let graph = memory.graph(&root, &["linux/amd64"]);
    assert_eq!((graph.platforms.len(), graph.blobs().len()), (0, 2));
}

#[test]
fn lengths_that_contradict_each_other_are_refused_wherever_they_stand() {
    let memory = Memory::default();
    let image = memory.image("linux/amd64", "a");
    let lie = |descriptor: &Value| {
        let mut descriptor = descriptor.clone();
        descriptor["size"] = json!(1);
        descriptor
    };
    let layer = memory.put("application/vnd.oci.image.layer.v1.tar", &json!("layer"));
    let twice = json!({ "config": layer, "layers": [layer, lie(&layer)] });
    for root in [
        memory.index(&[on("linux/amd64", &image), on("linux/arm64", &lie(&image))]),
        memory.put(OCI_MANIFEST, &twice),
    ] {
        let error = memory.error(&root, &["linux/amd64"]);
        assert!(error.contains("`quay.io/a/b:1` announces sha256:") && error.contains(" 1 bytes"), "{error}");
    }
}

#[test]
fn an_image_larger_than_images_are_is_refused_with_what_there_is_too_much_of() {
    let memory = Memory::default();
    let sized = |media_type: &str, size: u64| json!({ "mediaType": media_type, "digest": Digest::sha256(b"x"), "size": size });
    let deep = (0..10).fold(memory.image("linux/amd64", "a"), |child, _| memory.index(&[child]));
    let empty =
        |number: u32| memory.put(OCI_INDEX, &json!({ "manifests": [], "annotations": { "number": number } }));
    let many: Vec<Value> = (0..1000).map(empty).collect();
    let config = json!({ "config": sized(OCI_CONFIG, 9 << 20), "layers": [] });
    for (root, expected) in [
        (sized(OCI_MANIFEST, (4 << 20) + 1), "4194305 bytes; at most 4194304"),
        (memory.put(OCI_MANIFEST, &config), "the configuration sha256:"),
        (deep, "more than 8 deep"),
        (memory.index(&many), "more than 1000 manifests"),
    ] {
        let error = memory.error(&root, &["linux/amd64"]);
        assert!(error.starts_with("`quay.io/a/b:1` is larger than images are: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn repeated_digests_without_end_cost_no_time() {
    let memory = Memory::default();
    let image = memory.image("linux/amd64", "a");
    // Without memory of what was seen this would be 2000 to the power of 7 visits.
    let root = (0..7).fold(image, |child, _| memory.index(&vec![child; 2000]));
    let (graph, asked) = memory.read(&root, &["linux/amd64"]);
    assert_eq!((graph.unwrap().nodes.len(), asked.len()), (8, 9));
}
