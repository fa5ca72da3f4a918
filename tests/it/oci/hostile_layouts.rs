//! Layouts in folders that are broken, or made to break their reader.

use std::os::unix::fs::symlink;
use std::path::Path;

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::oci::LayoutSource;
use seedkit::oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

use super::{NAME, read_contents, sample, whole_text};
use crate::support::oracle;

/// Writes a good layout, lets `spoil` work on it, and returns what reading its image says then.
fn error_after(spoil: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    sample().write_layout(&layout);
    rename_image(&layout, NAME);
    spoil(&layout);
    match LayoutSource::folder(&layout) {
        Ok(source) => read_contents(&source, NAME).map(|_| ()).unwrap_err(),
        Err(error) => whole_text(&error),
    }
}

fn rename_image(layout: &Path, name: &str) {
    let path = layout.join("index.json");
    let text = fs::read_to_string(&path).unwrap().replace(r#""latest""#, &json!(name).to_string());
    fs::write(path, text).unwrap();
}

/// Makes `document` the image of a layout.
fn put_root(layout: &Path, document: &[u8], media_type: &str) {
    let digest = Digest::sha256(document);
    fs::write(layout.join("blobs/sha256").join(digest.hex()), document).unwrap();
    let root = json!({
        "mediaType": media_type, "digest": digest, "size": document.len(),
        "annotations": { "org.opencontainers.image.ref.name": NAME },
    });
    fs::write(layout.join("index.json"), json!({ "schemaVersion": 2, "manifests": [root] }).to_string())
        .unwrap();
}

/// Returns the path of the blob at a place of the image's list of blobs, of its manifest for `None`.
fn blob(layout: &Path, position: Option<usize>) -> std::path::PathBuf {
    let image = sample();
    let digest = match position {
        Some(position) => &image.blobs[position].descriptor.digest,
        None => &image.root().digest,
    };
    layout.join("blobs/sha256").join(digest.hex())
}

/// Puts something else where a file was.
fn replace(path: &Path, by: impl FnOnce(&Path)) {
    fs::remove_file(path).unwrap();
    by(path);
}

fn fifo(path: &Path) {
    oracle::run("mkfifo", [path]);
}

#[test]
fn what_is_no_regular_file_is_named_and_never_waited_for() {
    let link = |target: &'static str| move |path: &Path| symlink(target, path).unwrap();
    let spoil_index = |by: &dyn Fn(&Path)| error_after(|layout| replace(&layout.join("index.json"), by));
    for error in [
        spoil_index(&fifo),
        spoil_index(&link("/dev/zero")),
        spoil_index(&link("/etc/passwd")),
        spoil_index(&link("index.json")),
        spoil_index(&|path| fs::create_dir(path).unwrap()),
        spoil_index(&|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ] {
        assert!(error.starts_with("`index.json` in `/") && error.contains("not a regular file"), "{error}");
    }
    for position in [None, Some(0), Some(3)] {
        for by in [fifo as fn(&Path), |path| symlink("/dev/zero", path).unwrap()] {
            let error = error_after(|layout| replace(&blob(layout, position), by));
            assert!(error.contains("`blobs/sha256/") && error.contains("not a regular file"), "{error}");
        }
    }
}

#[test]
fn a_folder_of_blobs_that_is_a_link_is_not_followed() {
    let error = error_after(|layout| {
        let elsewhere = layout.with_file_name("elsewhere");
        fs::rename(layout.join("blobs"), &elsewhere).unwrap();
        symlink(elsewhere, layout.join("blobs")).unwrap();
    });
    assert!(error.contains("not a regular file in regular folders"), "{error}");
}

#[test]
fn a_layout_whose_own_path_is_a_link_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, link) = (folder.path().join("layout"), folder.path().join("link"));
    sample().write_layout(&layout);
    rename_image(&layout, NAME);
    symlink(&layout, &link).unwrap();
    read_contents(&LayoutSource::folder(&link).unwrap(), NAME).unwrap();
}

#[test]
fn an_index_that_is_missing_malformed_or_too_large_is_named() {
    let write =
        |content: &'static str| move |layout: &Path| fs::write(layout.join("index.json"), content).unwrap();
    let grow = |layout: &Path| {
        let index = fs::File::options().write(true).open(layout.join("index.json")).unwrap();
        // Sparse: a hostile file that costs its maker nothing.
        index.set_len(1 << 40).unwrap();
    };
    let remove = |layout: &Path| fs::remove_file(layout.join("index.json")).unwrap();
    let remove_all = |layout: &Path| fs::remove_dir_all(layout).unwrap();
    for (error, expected) in [
        (error_after(remove), "has no file `index.json`"),
        (error_after(remove_all), "has no file `index.json`"),
        (error_after(grow), "has more than the 8388608 bytes that are accepted"),
        (error_after(write("<html>Login</html>")), "is malformed: expected value at line 1 column 1"),
        (error_after(write("")), "is malformed: EOF"),
        (error_after(write(r#"{"schemaVersion":2}"#)), "is malformed: missing field `manifests`"),
        (
            error_after(write(
                r#"{"schemaVersion":2,"manifests":[{"mediaType":"","digest":"sha256:../../etc","size":1}]}"#,
            )),
            "`sha256:../../etc` is not a digest",
        ),
        (
            error_after(write(r#"{"schemaVersion":2,"manifests":null}"#)),
            "has no image `quay.io/a/b:1`; it has no image at all",
        ),
    ] {
        assert!(error.contains(expected) && error.contains("/layout"), "{error}");
    }
}

#[test]
fn an_image_that_is_not_there_is_answered_with_those_that_are_printable_and_not_without_end() {
    let entry = |name: String| {
        json!({
            "mediaType": OCI_MANIFEST, "digest": Digest::sha256(b"x"), "size": 1,
            "annotations": { "org.opencontainers.image.ref.name": name },
        })
    };
    let with = |entries: Vec<Value>| {
        error_after(|layout| {
            let index = json!({ "schemaVersion": 2, "manifests": entries });
            fs::write(layout.join("index.json"), index.to_string()).unwrap();
        })
    };
    let many = with((0..20).map(|number| entry(format!("quay.io/x/{number:02}:1"))).collect());
    assert!(many.ends_with("`quay.io/x/06:1`, `quay.io/x/07:1` and 12 more"), "{many}");
    let escape = with(vec![entry("\u{1b}[2J".repeat(1000))]);
    assert!(escape.len() < 600 && !escape.contains('\u{1b}'), "{escape}");
    // A tag alone says nothing about the registry and the path.
    let tag_only = with(vec![entry("1".to_owned())]);
    assert!(tag_only.ends_with("has no image `quay.io/a/b:1`; it has `1`"), "{tag_only}");
}

#[test]
fn content_that_is_not_what_the_layout_says_is_refused() {
    let overwrite = |position, content: &'static [u8]| {
        error_after(|layout| fs::write(blob(layout, position), content).unwrap())
    };
    let remove = |position| error_after(|layout| fs::remove_file(blob(layout, position)).unwrap());
    let change = error_after(|layout| {
        let path = blob(layout, None);
        let text = fs::read_to_string(&path).unwrap().replacen("schemaVersion", "schemaVersiom", 1);
        fs::write(path, text).unwrap();
    });
    let manifest = sample().root().digest.to_string();
    for (error, expected) in [
        (change, "has the wrong content: it hashes to"),
        (overwrite(None, b"short"), "is truncated: 5 of"),
        (remove(None), "has no file `blobs/sha256/"),
    ] {
        assert!(error.contains(expected) && error.contains(manifest.rsplit(':').next().unwrap()), "{error}");
    }
    let layer = sample().blobs[0].descriptor.digest.to_string();
    assert!(overwrite(Some(0), b"other").starts_with(&format!("{layer} has the content")));
    assert!(remove(Some(0)).contains("has no file `blobs/sha256/"));
    // The manifest says where the image runs, and so is asked for before the layers.
    assert!(overwrite(Some(3), b"{}").contains("cannot read the configuration sha256:"));
}

#[test]
fn roots_that_are_no_image_are_refused_by_name() {
    let root = |document: &[u8], media_type| error_after(|layout| put_root(layout, document, media_type));
    let config = |platform: (&str, &str)| {
        error_after(|layout| {
            let config = json!({ "os": platform.0, "architecture": platform.1 }).to_string();
            let digest = Digest::sha256(config.as_bytes());
            fs::write(layout.join("blobs/sha256").join(digest.hex()), &config).unwrap();
            let config = json!({
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len(),
            });
            let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string();
            put_root(layout, manifest.as_bytes(), OCI_MANIFEST);
        })
    };
    let large = vec![b' '; (4 << 20) + 1];
    for (error, expected) in [
        (root(b"<html>Login</html>", OCI_MANIFEST), "begins with `<html>Login"),
        (root(br#"{"schemaVersion":1,"fsLayers":[]}"#, OCI_MANIFEST), "obsolete manifest schema 1"),
        (root(br#"{"schemaVersion":2}"#, OCI_MANIFEST), "has no `manifests` and no `config`"),
        (root(&large, OCI_MANIFEST), "has 4194305 bytes; at most 4194304 are accepted"),
        (root(br#"{"manifests":null}"#, OCI_INDEX), "has no image for linux/amd64; it has none"),
        (config(("linux", "s390x")), "has no image for linux/amd64; it has linux/s390x"),
        (config(("windows", "amd64")), "has no image for linux/amd64; it has windows/amd64"),
    ] {
        assert!(error.contains(expected) && error.contains("quay.io/a/b:1"), "{error}");
    }
}
