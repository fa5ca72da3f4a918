//! Images in archives and layouts: those of seedkit, and those that skopeo and containerd write.

mod damage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fs_err as fs;
use seedkit::digest::Digest;
use serde_json::{Value, json};

use crate::support::containerd::Containerd;
use crate::support::images::{
    Image, attested_index, docker_image, docker_list, foreign_layer_image, helm_chart, image, index, layer,
    plain_layer, zstd_layer,
};
use crate::support::mirror::Mirror;
use crate::support::oracle;
use crate::support::sandbox::Sandbox;

/// An image for amd64 and one for arm64.
fn both() -> [Image; 2] {
    [image("linux", "amd64", &[layer("one"), layer("two")]), image("linux", "arm64", &[layer("arm")])]
}

/// Runs skopeo where the sandbox's commands run.
fn skopeo(sandbox: &Sandbox, arguments: &[&str]) -> Vec<u8> {
    let mut command = oracle::command("skopeo");
    oracle::finish(command.arg("--insecure-policy").args(arguments).current_dir(sandbox.path(""))).stdout
}

/// Returns the result for something without findings.
fn inspect(sandbox: &Sandbox, path: &str) -> Value {
    let result = sandbox.seedkit(&["inspect", "--json", path]).succeeds().json();
    assert_eq!((&result["kind"], &result["findings"]), (&json!("images"), &json!([])));
    result
}

/// Returns names and platforms of each image.
fn listed(result: &Value) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let all = |value: &Value| value.as_array().unwrap().clone();
    let image = |image: &Value| {
        let names: Vec<String> = all(&image["names"]).iter().map(text).collect();
        (names.join(" "), all(&image["platforms"]).iter().map(|one| text(&one["platform"])).collect())
    };
    all(&result["images"]).iter().map(image).collect()
}

fn bytes_below(folder: &Path) -> u64 {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum()
}

#[test]
fn the_tarball_and_the_layout_of_a_kit_list_what_was_locked() {
    let sandbox = Sandbox::built_lab();
    let bill: Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    let locked: BTreeMap<String, Digest> = bill["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            (
                image["reference"].as_str().unwrap().to_owned(),
                image["digest"].as_str().unwrap().parse().unwrap(),
            )
        })
        .collect();
    let tarball = sandbox.names("kit").into_iter().find(|name| name.starts_with("airgap-images-")).unwrap();
    for (path, form, formats) in [
        (format!("kit/{tarball}"), "archive", json!(["oci", "docker"])),
        ("kit/images".to_owned(), "folder", json!(["oci"])),
    ] {
        let result = inspect(&sandbox, &path);
        assert_eq!(
            (&result["form"], &result["formats"], &result["compression"]),
            (&json!(form), &formats, &json!("none"))
        );
        let mut found = BTreeMap::new();
        for image in result["images"].as_array().unwrap() {
            for name in image["names"].as_array().unwrap() {
                found.insert(
                    name.as_str().unwrap().to_owned(),
                    image["digest"].as_str().unwrap().parse::<Digest>().unwrap(),
                );
            }
        }
        assert_eq!(found, locked, "{path}");
        assert_eq!(result["unreferenced"], 0);
    }
    assert_eq!(inspect(&sandbox, "kit/images")["bytes"], bytes_below(&sandbox.path("kit/images")));
    // As those who load it list it.
    let tags: Value =
        serde_json::from_slice(&skopeo(&sandbox, &["list-tags", &format!("docker-archive:kit/{tarball}")]))
            .unwrap();
    let tags: BTreeSet<String> =
        tags["Tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
    let names: BTreeSet<String> = listed(&inspect(&sandbox, &format!("kit/{tarball}")))
        .into_keys()
        .flat_map(|names| names.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(names, tags);
}

#[test]
fn every_form_of_an_image_is_listed_with_the_platforms_that_are_there() {
    let sandbox = Sandbox::new();
    let docker = |architecture| docker_image("linux", architecture, &[layer("docker")]);
    let images = [
        ("quay.io/forms/attested:1", attested_index(&both())),
        ("quay.io/forms/docker:1", docker("amd64")),
        ("quay.io/forms/index:1", index(&both())),
        ("quay.io/forms/list:1", docker_list(&[docker("arm64"), docker("amd64")])),
        ("quay.io/forms/nested:1", index(&[index(&both()), image("linux", "s390x", &[layer("z")])])),
        ("quay.io/forms/plain:1", image("linux", "amd64", &[plain_layer("plain"), zstd_layer("zstd")])),
    ];
    let borrowed: Vec<(&str, &Image)> = images.iter().map(|(name, image)| (*name, image)).collect();
    // The tarball is for one platform, and the indexes still name the other.
    let mirror = Mirror::of(&borrowed, &["linux/amd64"]);
    sandbox.write("airgap.tar", mirror.tarball("linux/amd64"));
    let result = inspect(&sandbox, "airgap.tar");
    for (found, (name, image)) in result["images"].as_array().unwrap().iter().zip(&images) {
        assert_eq!(found["names"], json!([name]));
        assert_eq!(found["digest"], image.root().digest.to_string(), "{name}");
        assert_eq!(found["mediaType"], image.root().media_type, "{name}");
    }
    for (name, platforms) in listed(&result) {
        assert_eq!(platforms, ["linux/amd64"], "{name}");
    }
    for (name, image, platforms) in [
        ("index", index(&both()), &["linux/amd64", "linux/arm64"][..]),
        ("attested", attested_index(&both()), &["linux/amd64", "linux/arm64", "-", "-"]),
        ("chart", helm_chart(), &["-"]),
        ("foreign", foreign_layer_image(), &["linux/amd64"]),
    ] {
        fs::create_dir(sandbox.path(name)).unwrap();
        image.write_layout(&sandbox.path(name));
        let result = inspect(&sandbox, name);
        assert_eq!(
            listed(&result),
            BTreeMap::from([("latest".to_owned(), platforms.iter().map(|one| (*one).to_owned()).collect())])
        );
        let index = fs::metadata(sandbox.path(name).join("index.json")).unwrap().len();
        let documents = index + fs::metadata(sandbox.path(name).join("oci-layout")).unwrap().len();
        let size = result["images"][0]["size"].as_u64().unwrap();
        assert_eq!(size + documents, bytes_below(&sandbox.path(name)), "{name}");
    }
}

#[test]
fn what_skopeo_writes_is_read_as_skopeo_reads_it() {
    const NAME: &str = "docker.io/library/thing:1.5";
    let sandbox = Sandbox::new();
    let source = image("linux", "arm64", &[layer("one"), layer("two"), layer("one")]);
    fs::create_dir(sandbox.path("source")).unwrap();
    source.write_layout(&sandbox.path("source"));
    for (transport, path, form, format) in [
        ("docker-archive", "saved.tar", "archive", "docker"),
        ("oci-archive", "oci.tar", "archive", "oci"),
        ("oci", "layout", "folder", "oci"),
    ] {
        let target = format!("{transport}:{path}:{NAME}");
        skopeo(&sandbox, &["copy", "--quiet", "oci:source:latest", &target]);
        let result = inspect(&sandbox, path);
        assert_eq!((&result["form"], &result["formats"]), (&json!(form), &json!([format])));
        assert_eq!(listed(&result), BTreeMap::from([(NAME.to_owned(), vec!["linux/arm64".to_owned()])]));
        let [found] = &result["images"].as_array().unwrap()[..] else { panic!("{result}") };
        let seen = if transport == "docker-archive" { format!("{transport}:{path}") } else { target };
        let config = Digest::sha256(&skopeo(&sandbox, &["inspect", "--config", "--raw", &seen]));
        assert_eq!(found["platforms"][0]["config"], config.to_string(), "{transport}");
        assert_eq!(found["platforms"][0]["layers"], 3, "{transport}");
        if format == "oci" {
            let manifest = Digest::sha256(&skopeo(&sandbox, &["inspect", "--raw", &seen]));
            assert_eq!(found["digest"], manifest.to_string());
        } else {
            assert_eq!(found["digest"], Value::Null);
        }
    }
}

#[test]
fn compressed_archives_say_the_same_as_plain_ones() {
    let sandbox = Sandbox::new();
    let source = image("linux", "amd64", &[layer("one"), layer("two")]);
    fs::create_dir(sandbox.path("source")).unwrap();
    source.write_layout(&sandbox.path("source"));
    skopeo(
        &sandbox,
        &[
            "copy",
            "--quiet",
            "oci:source:latest",
            "docker-archive:k3s-airgap-images-amd64.tar:docker.io/x/y:1",
        ],
    );
    let plain = inspect(&sandbox, "k3s-airgap-images-amd64.tar");
    for (program, ending, compression) in [("zstd", "zst", "zstd"), ("gzip", "gz", "gzip")] {
        let mut command = oracle::command(program);
        let arguments = ["-q", "-k", "k3s-airgap-images-amd64.tar"];
        oracle::finish(command.args(arguments).current_dir(sandbox.path("")));
        let path = format!("k3s-airgap-images-amd64.tar.{ending}");
        let mut result = inspect(&sandbox, &path);
        assert_eq!(result["compression"], compression);
        result["compression"] = json!("none");
        result["path"] = plain["path"].clone();
        assert_eq!(result, plain);
        // Cut in two, it is nothing.
        let whole = fs::read(sandbox.path(&path)).unwrap();
        sandbox.write(&path, &whole[..whole.len() / 2]);
        assert!(
            sandbox.seedkit(&["inspect", &path]).fails(2).contains(&format!("`{path}` is damaged")),
            "{path}"
        );
    }
}

/// Written by `docker save` of Debian's docker.io 20.10.24 and compressed by zstd: three images that were loaded from
/// the lab's airgap tarball. The airgap tarballs of k3s are made in the same way.
#[test]
fn what_docker_saves_is_listed_as_docker_loaded_it() {
    let sandbox = Sandbox::lab();
    let saved = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/saved/docker-20.10.tar.zst");
    fs::copy(saved, sandbox.path("k3s-airgap-images-amd64.tar.zst")).unwrap();
    let result = inspect(&sandbox, "k3s-airgap-images-amd64.tar.zst");
    assert_eq!((&result["formats"], &result["compression"]), (&json!(["docker"]), &json!("zstd")));
    let names = ["quay.io/lab/hello:1.0", "rancher/klipper-lb:v0.4.13", "rancher/mirrored-pause:3.6"];
    let platforms = vec!["linux/amd64".to_owned()];
    let expected = names.map(|name| (name.to_owned(), platforms.clone())).into();
    assert_eq!(listed(&result), expected);
    for image in result["images"].as_array().unwrap() {
        // An image's ID is the digest of its configuration, which the lab's layout has under that name.
        let id = image["platforms"][0]["config"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        assert!(sandbox.path(format!("lab/images/blobs/sha256/{id}")).is_file(), "{image}");
    }
}

#[test]
fn what_containerd_exports_is_listed_as_containerd_lists_it() {
    let sandbox = Sandbox::new();
    let images = [("docker.io/library/one:1", index(&both())), ("quay.io/x/two:2", both()[0].clone())];
    let borrowed: Vec<(&str, &Image)> = images.iter().map(|(name, image)| (*name, image)).collect();
    let mirror = Mirror::of(&borrowed, &["linux/amd64"]);
    sandbox.write("in.tar", mirror.tarball("linux/amd64"));
    let containerd = Containerd::start();
    let [input, output] = ["in.tar", "out.tar"].map(|name| sandbox.path(name).display().to_string());
    containerd.ctr(&["images", "import", "--platform", "linux/amd64", &input]);
    let names = images.iter().map(|(name, _)| *name);
    let export: Vec<&str> =
        ["images", "export", "--platform", "linux/amd64", &output].into_iter().chain(names).collect();
    containerd.ctr(&export);
    let result = inspect(&sandbox, "out.tar");
    let expected =
        images.iter().map(|(name, _)| ((*name).to_owned(), vec!["linux/amd64".to_owned()])).collect();
    assert_eq!(listed(&result), expected);
}

#[test]
fn people_read_a_table_of_images() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("layout")).unwrap();
    let image = index(&both());
    image.write_layout(&sandbox.path("layout"));
    let text = sandbox.seedkit(&["inspect", "layout"]).succeeds().stdout;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(text.lines().next(), Some("a folder: OCI layout"));
    assert_eq!(lines[2], ["IMAGE", "PLATFORM", "DIGEST", "LAYERS", "SIZE"]);
    assert_eq!(lines[3][..4], ["latest", "linux/amd64", &image.root().digest.short(), "2"]);
    assert_eq!(lines[4], ["linux/arm64", &both()[1].root().digest.short(), "1"]);
    assert!(text.ends_with("\n\nlayout: everything in it is what it says it is\n"), "{text}");
}
