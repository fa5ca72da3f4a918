//! Layouts and archives of images, exchanged with skopeo, and as somebody hostile would make them.

mod hostile_archives;
mod hostile_layouts;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::fs::Sharing;
use seedkit::oci::layout::{LayoutIndex, LayoutWriter};
use seedkit::oci::{Graph, ImageSource, LayoutSource, Reference, graph};
use serde_json::Value;

use crate::support::images::{Image, attested_index, image, index, large_layer, layer, zstd_layer};
use crate::support::mirror::Mirror;
use crate::support::oracle;

const AMD64: &str = "linux/amd64";
const NAME: &str = "quay.io/a/b:1";

/// Returns an image for amd64 whose bytes skopeo leaves as they are: it compresses what is not.
fn sample() -> Image {
    image("linux", "amd64", &[layer("one"), zstd_layer("two"), layer("three")])
}

/// Returns all that an error says, cause by cause.
fn whole_text(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Resolves `name` and reads its graph for amd64.
fn read_graph(source: &LayoutSource, name: &str) -> Result<Graph, String> {
    let reference: Reference = name.parse().unwrap();
    let root = source.resolve(&reference).map_err(|error| whole_text(&error))?;
    graph::read(source, &reference, &root, &[AMD64.parse().unwrap()]).map_err(|error| whole_text(&error))
}

/// Reads all content of an image, and verifies it.
fn read_contents(source: &LayoutSource, name: &str) -> Result<BTreeMap<Digest, Vec<u8>>, String> {
    let graph = read_graph(source, name)?;
    let mut contents = BTreeMap::new();
    for content in graph.contents() {
        let mut bytes = Vec::new();
        let mut reader = source.blob(&name.parse().unwrap(), content).map_err(|error| whole_text(&error))?;
        reader.read_to_end(&mut bytes).map_err(|error| whole_text(&error))?;
        let (found, size) = (Digest::sha256(&bytes), bytes.len() as u64);
        if (&found, size) != (&content.digest, content.size) {
            return Err(format!("{} has the content {found}", content.digest));
        }
        contents.insert(found, bytes);
    }
    Ok(contents)
}

/// Returns all content of an image that a test made.
fn contents_of(image: &Image) -> BTreeMap<Digest, Vec<u8>> {
    let contents = image.blobs.iter().chain(&image.manifests);
    contents.map(|content| (content.descriptor.digest, content.bytes.clone())).collect()
}

fn skopeo_copy(from: &str, to: &str) {
    oracle::run("skopeo", ["--insecure-policy", "copy", "--quiet", "--all", from, to]);
}

/// Lets skopeo copy an image to a place such as `oci:PATH:NAME`, and returns the path.
fn copied_by_skopeo(image: &Image, transport: &str, folder: &Path) -> PathBuf {
    let layout = folder.join("made");
    image.write_layout(&layout);
    let copy = folder.join("copy");
    skopeo_copy(
        &format!("oci:{}:latest", layout.display()),
        &format!("{transport}:{}:{NAME}", copy.display()),
    );
    copy
}

#[test]
fn layouts_and_archives_that_skopeo_writes_are_read_with_their_digests() {
    let single = sample();
    let attested = attested_index(std::slice::from_ref(&single));
    for image in [single, attested] {
        for transport in ["oci", "oci-archive"] {
            let folder = tempfile::tempdir().unwrap();
            let copy = copied_by_skopeo(&image, transport, folder.path());
            let source = match transport {
                "oci" => LayoutSource::folder(&copy),
                _ => LayoutSource::oci_archive(&copy),
            };
            let found = read_contents(&source.unwrap(), NAME).unwrap();
            assert!(found == contents_of(&image), "{transport}: {:?}", found.keys());
        }
    }
}

#[test]
fn an_archive_of_docker_save_is_read_with_its_configuration_and_the_layers_that_it_names() {
    let image = image("linux", "amd64", &[layer("one"), layer("two"), layer("one")]);
    let folder = tempfile::tempdir().unwrap();
    let copy = copied_by_skopeo(&image, "docker-archive", folder.path());
    let source = LayoutSource::docker_archive(&copy).unwrap();
    let contents = read_contents(&source, NAME).unwrap();
    let graph = read_graph(&source, NAME).unwrap();
    let manifest = &graph.root().manifest;
    let config = &manifest.config.as_ref().unwrap().descriptor.digest;
    assert_eq!(config, &image.blobs.last().unwrap().descriptor.digest);
    // Docker saves layers uncompressed; the configuration names them so.
    let document: Value = serde_json::from_slice(&contents[config]).unwrap();
    let layers: Vec<String> =
        manifest.children.iter().map(|layer| layer.descriptor.digest.to_string()).collect();
    assert_eq!(document["rootfs"]["diff_ids"], serde_json::json!(layers));
    let again = LayoutSource::docker_archive(&copy).unwrap();
    assert_eq!(read_graph(&again, NAME).unwrap(), graph);
}

#[test]
fn an_image_saved_by_its_id_is_listed_by_its_digest_and_found_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = image("linux", "amd64", &[layer("one")]);
    let copy = copied_by_skopeo(&image, "docker-archive", folder.path());
    let (extracted, archive) = (folder.path().join("extracted"), folder.path().join("unnamed"));
    fs::create_dir(&extracted).unwrap();
    oracle::run("tar", ["-xf".as_ref(), copy.as_os_str(), "-C".as_ref(), extracted.as_os_str()]);
    let documents = extracted.join("manifest.json");
    let text = fs::read_to_string(&documents).unwrap().replace(&format!("[\"{NAME}\"]"), "null");
    fs::remove_file(&documents).unwrap();
    fs::write(&documents, text).unwrap();
    oracle::run(
        "tar",
        ["-cf".as_ref(), archive.as_os_str(), "-C".as_ref(), extracted.as_os_str(), ".".as_ref()],
    );
    let source = LayoutSource::docker_archive(&archive).unwrap();
    let digest = {
        let named = LayoutSource::docker_archive(&copy).unwrap();
        read_graph(&named, NAME).unwrap().root().descriptor.digest
    };
    let error = read_graph(&source, NAME).unwrap_err();
    assert!(error.ends_with(&format!("has no image `{NAME}`; it has {digest}")), "{error}");
    read_contents(&source, &format!("quay.io/a/b@{digest}")).unwrap();
}

#[test]
fn the_airgap_tarball_is_a_source_of_its_images_in_both_forms() {
    let (one, two) = (sample(), image("linux", "amd64", &[layer("other")]));
    let mirror = Mirror::of(&[(NAME, &one), ("alpine:3", &two)], &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    let tarball = folder.path().join("airgap-images.tar");
    fs::write(&tarball, mirror.tarball(AMD64)).unwrap();
    let layouts = LayoutSource::oci_archive(&tarball).unwrap();
    assert!(read_contents(&layouts, "docker.io/library/alpine:3").unwrap() == contents_of(&two));
    let saved = LayoutSource::docker_archive(&tarball).unwrap();
    let blobs = read_contents(&saved, NAME).unwrap();
    assert!(one.blobs.iter().all(|blob| blobs.contains_key(&blob.descriptor.digest)));
}

/// Writes the layout of a kit into `folder`.
fn write_layout(mirror: &Mirror, folder: &Path) {
    let writer = LayoutWriter::create(folder).unwrap();
    for content in mirror.images.iter().flat_map(|(_, graph)| graph.contents()) {
        writer.add_blob(content, &mirror.store.path(&content.digest), Sharing::Links).unwrap();
    }
    let roots = mirror.images.iter().map(|(reference, graph)| (reference, &graph.root().descriptor));
    writer.finish(&LayoutIndex::of(roots, Reference::to_string)).unwrap();
}

#[test]
fn skopeo_finds_every_name_of_a_layout_and_copies_its_image() {
    let images =
        ["tag", "pinned", "digest", "here", "there"].map(|name| image("linux", "amd64", &[layer(name)]));
    let digest = |position: usize| &images[position].root().digest;
    let names = [
        "alpine:3.18".to_owned(),
        format!("quay.io/a/pinned:1@{}", digest(1)),
        format!("quay.io/a/digest@{}", digest(2)),
        "registry.k8s.io/same/path:1".to_owned(),
        "registry.example:5000/same/path:1".to_owned(),
    ];
    let named: Vec<(&str, &Image)> = names.iter().map(String::as_str).zip(&images).collect();
    let mirror = Mirror::of(&named, &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("images");
    write_layout(&mirror, &layout);
    let source = LayoutSource::folder(&layout).unwrap();
    for ((reference, graph), (name, image)) in mirror.images.iter().zip(named) {
        let place = format!("oci:{}:{reference}", layout.display());
        let raw = oracle::run("skopeo", ["inspect", "--raw", &place]).stdout;
        assert_eq!(Digest::sha256(&raw), graph.root().descriptor.digest, "{reference}");
        let target = tempfile::tempdir().unwrap();
        skopeo_copy(&place, &format!("dir:{}", target.path().display()));
        assert!(read_contents(&source, name).unwrap() == contents_of(image), "{name}");
    }
}

#[test]
fn a_layout_has_sorted_images_no_empty_folders_and_shares_its_files_with_the_store() {
    let image = index(&[sample(), image("linux", "arm64", &[layer("arm")])]);
    let mirror = Mirror::of(&[("quay.io/z/z:1", &image), ("quay.io/a/a:1", &image)], &[AMD64]);
    let folder = tempfile::tempdir().unwrap();
    write_layout(&mirror, folder.path());
    let mut files = oracle::text("find", [folder.path().to_str().unwrap(), "-printf", "%y %P\\n"]);
    for blob in mirror.images[0].1.contents() {
        let path = folder.path().join("blobs/sha256").join(blob.digest.hex());
        oracle::run("cmp", [&path, &mirror.store.path(&blob.digest)]);
        files = files.replace(&format!("f blobs/sha256/{}\n", blob.digest.hex()), "");
    }
    let mut left: Vec<&str> = files.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["d ", "d blobs", "d blobs/sha256", "f index.json", "f oci-layout"]);
    let index = fs::read(folder.path().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let names = index["manifests"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|image| &image["annotations"]["io.containerd.image.name"]).collect();
    assert_eq!(names, ["quay.io/a/a:1", "quay.io/z/z:1"]);
}

#[test]
fn a_part_of_a_blob_is_the_same_bytes_in_a_folder_and_in_archives() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let image = image("linux", "amd64", &[large_layer(3, 100_000)]);
    let sources = [
        LayoutSource::folder(&copied_by_skopeo(&image, "oci", folders[0].path())).unwrap(),
        LayoutSource::oci_archive(&copied_by_skopeo(&image, "oci-archive", folders[1].path())).unwrap(),
    ];
    let reference: Reference = NAME.parse().unwrap();
    let blob = &image.blobs.iter().max_by_key(|blob| blob.bytes.len()).unwrap();
    for source in sources {
        let end = blob.descriptor.size;
        for part in [0..end, 0..7, 5_000..60_000, end - 1..end] {
            let mut bytes = Vec::new();
            let opened = source.blob_part(&reference, &blob.descriptor, part.clone()).unwrap();
            opened.reader.take(part.end - part.start).read_to_end(&mut bytes).unwrap();
            assert!(bytes == blob.bytes[part.start as usize..part.end as usize], "{part:?}");
        }
    }
}
