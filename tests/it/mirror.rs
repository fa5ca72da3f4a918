//! `seedkit lock`, `mirror` and `pack` on real registries, read back by skopeo and containerd, and on registries
//! that lie.

use std::collections::BTreeMap;

use fs_err as fs;
use seedkit::digest::Digest;
use serde_json::Value;

use crate::support::containerd::Containerd;
use crate::support::hostile::{Answer, Body, Hostile, Request};
use crate::support::images::{self, Content, Image};
use crate::support::oracle;
use crate::support::registry::{PASSWORD, Registry, USER};
use crate::support::sandbox::{self, Run, Sandbox};
use crate::support::tls::Certificate;

/// Writes a spec that takes `images` from the registries at `sources`: pairs of a name and a URL.
pub(crate) fn write_spec(sandbox: &Sandbox, sources: &[(&str, &str)], images: &[String], platforms: &str) {
    sandbox.write("k3s", "#!/bin/sh\n");
    let binaries: String =
        platforms.split(", ").map(|platform| format!("    {platform}: {{ path: k3s }}\n")).collect();
    let inline: String = images.iter().map(|image| format!("    - \"{image}\"\n")).collect();
    let sources: String = sources
        .iter()
        .map(|(name, url)| format!("  {name}: {{ from: \"{url}\", plainHttp: true }}\n"))
        .collect();
    sandbox.write(
        "seedkit.yaml",
        format!(
            "apiVersion: seedkit/v1\nname: mirrored\nplatforms: [{platforms}]\n\
             k3s:\n  version: v1.35.0+k3s1\n  binary:\n{binaries}\
             registry:\n  address: 192.168.6.1:5000\n\
             images:\n  k3s: false\n  inline:\n{inline}sources:\n{sources}\
             nodes:\n  - name: n1\n    role: server\n    address: 192.168.6.10/24\n    gateway: 192.168.6.1\n    \
             nameservers: [192.168.6.1]\n    mac: \"52:54:00:06:00:10\"\n\
             allow:\n  - {{ id: SK0302, reason: \"no node boots from it\" }}\n"
        ),
    );
}

/// Returns the roots of a layout by the full reference that names them.
fn roots(sandbox: &Sandbox, layout: &str) -> BTreeMap<String, String> {
    let index: Value = serde_json::from_str(&sandbox.read(&format!("{layout}/index.json"))).unwrap();
    let root = |entry: &Value| {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
        (name.to_owned(), entry["digest"].as_str().unwrap().to_owned())
    };
    index["manifests"].as_array().unwrap().iter().map(root).collect()
}

#[test]
fn a_registry_with_tls_a_password_and_an_authority_of_its_own_is_mirrored() {
    let server = Registry::start_with_tls_and_password(Certificate::new());
    let image = images::image("linux", "amd64", &[images::layer("behind a password")]);
    image.push_with_skopeo(&server, "private/app:1");
    let (sandbox, name) = (Sandbox::new(), "private.example/private/app:1".to_owned());
    write_spec(&sandbox, &[("private.example", &server.url())], std::slice::from_ref(&name), "linux/amd64");
    let ca_file = format!("caFile: \"{}\"", server.ca_file().unwrap().display());
    sandbox.edit("seedkit.yaml", "plainHttp: true", &ca_file);
    let auth = format!(r#"{{"username":"{USER}","password":"{PASSWORD}"}}"#);
    sandbox.write("auth.json", format!(r#"{{"auths":{{"{}":{auth}}}}}"#, server.authority()));
    for command in ["lock", "mirror"] {
        let refused = sandbox.seedkit(&[command]);
        assert!(!refused.stderr.contains(PASSWORD) && refused.code == Some(2), "{refused:?}");
        let mut command = sandbox.prepare(&[command]);
        let run = Run::of(command.env("REGISTRY_AUTH_FILE", sandbox.path("auth.json"))).succeeds();
        assert!(!run.stderr.contains(PASSWORD), "{run:?}");
    }
    assert_eq!(roots(&sandbox, "images"), [(name, image.root().digest.to_string())].into());
}

/// Every kind of image that registries hold, by repository and tag; skopeo can read the first ones by name.
fn every_kind() -> Vec<(&'static str, Image)> {
    let base = images::layer("shared by several images");
    let amd64 = images::image("linux", "amd64", &[base.clone(), images::layer("one"), images::empty_layer()]);
    let arm64 = images::image("linux", "arm64", &[base.clone(), images::layer("two")]);
    let docker = images::docker_image("linux", "amd64", &[base.clone(), images::layer("three")]);
    let other = images::docker_image("linux", "arm64", std::slice::from_ref(&base));
    vec![
        ("multi", images::index(&[amd64.clone(), arm64.clone()])),
        ("single", amd64.clone()),
        ("attested", images::attested_index(&[amd64.clone(), arm64.clone()])),
        ("zstd", images::image("linux", "amd64", &[images::zstd_layer("four")])),
        ("plain", images::image("linux", "amd64", &[images::plain_layer("five")])),
        ("chart", images::helm_chart()),
        ("nested", images::index(&[images::index(&[amd64.clone(), arm64]), docker.clone()])),
        ("docker", docker.clone()),
        ("docker-list", images::docker_list(&[docker, other])),
        ("foreign", images::foreign_layer_image()),
    ]
}

#[test]
fn every_kind_of_image_arrives_with_its_digest_and_is_fetched_once() {
    let registry = Registry::start();
    let images = every_kind();
    for (name, image) in &images {
        image.put(&registry, &format!("kinds/{name}"), "1");
    }
    let names: Vec<String> = images.iter().map(|(name, _)| format!("kinds.example/kinds/{name}:1")).collect();
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[("kinds.example", &registry.url())], &names, "linux/amd64");
    sandbox.seedkit(&["lock"]).succeeds();
    let first = sandbox.seedkit(&["mirror", "--json"]).succeeds().json();
    assert_eq!(first["images"], images.len());
    assert!(first["fetched"].as_u64().unwrap() > 0);
    let expected: BTreeMap<String, String> = names
        .iter()
        .zip(&images)
        .map(|(name, (_, image))| (name.clone(), image.root().digest.to_string()))
        .collect();
    assert_eq!(roots(&sandbox, "images"), expected);
    let again = sandbox.seedkit(&["mirror", "--json"]).succeeds().json();
    assert_eq!((&again["fetched"], &again["bytes"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn skopeo_reads_and_copies_the_layout_with_the_original_digests() {
    let registry = Registry::start();
    let images: Vec<_> = every_kind().into_iter().take(5).collect();
    for (name, image) in &images {
        image.push_with_skopeo(&registry, &format!("kinds/{name}:1"));
    }
    let names: Vec<String> = images.iter().map(|(name, _)| format!("kinds.example/kinds/{name}:1")).collect();
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[("kinds.example", &registry.url())], &names, "linux/amd64, linux/arm64");
    // Not every image has both platforms: that is said, with what there is.
    let refused = sandbox.seedkit(&["lock"]);
    let message = refused.fails(2);
    assert!(
        message.contains("`kinds.example/kinds/single:1`") && message.contains("it has linux/amd64"),
        "{message}"
    );
    write_spec(&sandbox, &[("kinds.example", &registry.url())], &names, "linux/amd64");
    sandbox.seedkit(&["lock"]).succeeds();
    sandbox.seedkit(&["mirror"]).succeeds();
    let layout = sandbox.path("images");
    for (name, (_, image)) in names.iter().zip(&images) {
        let source = format!("oci:{}:{name}", layout.display());
        let raw = oracle::run("skopeo", ["inspect", "--raw", &source]).stdout;
        assert_eq!(Digest::sha256(&raw), image.root().digest, "{name}");
        let copy = sandbox.path("copy");
        oracle::run(
            "skopeo",
            ["--insecure-policy", "copy", "-q", &source, &format!("dir:{}", copy.display())],
        );
        fs::remove_dir_all(copy).unwrap();
    }
}

#[test]
fn two_registries_with_the_same_path_and_tag_coexist() {
    let (one, other) = (Registry::start(), Registry::start());
    let first = images::image("linux", "amd64", &[images::layer("first")]);
    let second = images::image("linux", "amd64", &[images::layer("second")]);
    first.put(&one, "same/path", "1");
    second.put(&other, "same/path", "1");
    let sandbox = Sandbox::new();
    let names = ["one.example/same/path:1".to_owned(), "other.example/same/path:1".to_owned()];
    write_spec(
        &sandbox,
        &[("one.example", &one.url()), ("other.example", &other.url())],
        &names,
        "linux/amd64",
    );
    sandbox.seedkit(&["build"]).succeeds();
    let found = roots(&sandbox, "kit/images");
    assert_eq!(found[&names[0]], first.root().digest.to_string());
    assert_eq!(found[&names[1]], second.root().digest.to_string());
}

#[test]
fn containerd_imports_the_kits_tarball_and_lists_exactly_the_expected_names() {
    let registry = Registry::start();
    let image = images::index(&[
        images::image("linux", "amd64", &[images::layer("a")]),
        images::image("linux", "arm64", &[images::layer("b")]),
    ]);
    image.put(&registry, "app/web", "1.0");
    images::helm_chart().put(&registry, "app/chart", "1.0");
    let sandbox = Sandbox::new();
    let digest = &image.root().digest;
    let names = [
        "names.example/app/web:1.0".to_owned(),
        format!("names.example/app/web@{digest}"),
        "names.example/app/chart:1.0".to_owned(),
    ];
    write_spec(&sandbox, &[("names.example", &registry.url())], &names, "linux/amd64");
    let packed = sandbox.seedkit(&["pack", "images", "-o", "out", "--json"]).succeeds().json();
    let tarball = sandbox.path(packed["tarballs"][0]["path"].as_str().unwrap());
    let containerd = Containerd::start();
    containerd.ctr(&["images", "import", tarball.to_str().unwrap()]);
    let mut listed: Vec<String> =
        containerd.ctr(&["images", "ls", "-q"]).lines().map(str::to_owned).collect();
    listed.sort();
    let by_digest = format!("names.example/app/web:sha256-{}", digest.short());
    assert_eq!(listed, ["names.example/app/web:1.0".to_owned(), by_digest]);
}

#[test]
fn a_registry_with_a_password_is_asked_with_the_users_credentials() {
    let registry = Registry::start_with_password();
    let image = images::image("linux", "amd64", &[images::layer("private")]);
    image.put(&registry, "private/app", "1");
    let sandbox = Sandbox::new();
    let name = format!("{}/private/app:1", registry.authority());
    write_spec(&sandbox, &[(registry.authority(), &registry.url())], &[name], "linux/amd64");
    let refused = sandbox.seedkit(&["lock"]);
    let message = refused.fails(2);
    assert!(message.contains("401") && message.contains("docker login"), "{message}");
    let auth = base64(&format!("{USER}:{PASSWORD}"));
    let config = serde_json::json!({"auths": {registry.authority(): {"auth": auth}}});
    sandbox.write("auth.json", config.to_string());
    let run = Run::of(sandbox.prepare(&["lock", "-v"]).env("REGISTRY_AUTH_FILE", sandbox.path("auth.json")));
    let run = run.succeeds();
    assert!(!run.stderr.contains(PASSWORD) && !run.stderr.contains(&auth));
    assert!(!sandbox.read("seedkit.lock").contains(PASSWORD));
}

fn base64(text: &str) -> String {
    let mut command = oracle::command("base64");
    command.arg("-w0");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    String::from_utf8(oracle::finish(command.arg(file.path())).stdout).unwrap()
}

/// A registry that serves one image, changed by `lie` where it names another answer.
fn lying(image: &Image, lie: impl Fn(&str, &Content) -> Option<Answer> + Send + Sync + 'static) -> Hostile {
    let contents = image.by_name();
    Hostile::start(move |request: &Request| {
        let path = request.target.as_str();
        let Some(content) = contents.get(path.rsplit('/').next().unwrap()) else {
            return Answer::new(404, "");
        };
        let kind = if path.contains("/blobs/") { "blob" } else { "manifest" };
        lie(kind, content).unwrap_or_else(|| {
            Answer::new(200, content.bytes.clone())
                .header("Content-Type", &content.descriptor.media_type)
                .header("Docker-Content-Digest", &content.descriptor.digest.to_string())
        })
    })
}

#[test]
fn each_blob_is_fetched_once_whoever_needs_it() {
    let base = images::layer("needed by three images");
    let image = images::index(&[
        images::image("linux", "amd64", &[base.clone(), base.clone(), images::layer("x")]),
        images::image("linux", "arm64", std::slice::from_ref(&base)),
    ]);
    let server = lying(&image, |_, _| None);
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..3).map(|number| format!("once.example/app{number}:1")).collect();
    write_spec(&sandbox, &[("once.example", &server.url())], &names, "linux/amd64, linux/arm64");
    sandbox.seedkit(&["lock"]).succeeds();
    sandbox.seedkit(&["mirror", "--jobs", "8"]).succeeds();
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(Request::line)
        .filter(|line| line.starts_with("GET") && line.contains("/blobs/"))
        .collect();
    let mut digests: Vec<&str> = asked.iter().filter_map(|line| line.split("sha256:").nth(1)).collect();
    let all = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), all, "{asked:?}");
}

#[test]
fn what_a_registry_lies_about_is_named_and_nothing_of_it_is_kept() {
    let layer = images::layer("the layer that the registry lies about");
    let image = images::image("linux", "amd64", std::slice::from_ref(&layer));
    let bytes = layer.bytes.clone();
    let about_layer = |answer: fn(Vec<u8>) -> Answer| {
        let (digest, bytes) = (layer.descriptor.digest, bytes.clone());
        move |_: &str, content: &Content| (content.descriptor.digest == digest).then(|| answer(bytes.clone()))
    };
    type Lie = Box<dyn Fn(&str, &Content) -> Option<Answer> + Send + Sync>;
    let manifest = |answer: fn() -> Answer| -> Lie {
        Box::new(move |kind: &str, _: &Content| (kind == "manifest").then(answer))
    };
    let cases: Vec<(&str, Lie, &str)> = vec![
        (
            "truncated",
            Box::new(about_layer(|bytes| {
                Answer::with_body(Body::Announced(bytes[..5].to_vec(), bytes.len() as u64))
            })),
            "ended before",
        ),
        ("endless", Box::new(about_layer(|bytes| Answer::with_body(Body::Endless(bytes)))), "longer than"),
        (
            "changed",
            Box::new(about_layer(|mut bytes| {
                bytes[20] ^= 1;
                Answer::new(200, bytes)
            })),
            "has the wrong content",
        ),
        (
            "longer",
            Box::new(about_layer(|mut bytes| {
                bytes.push(0);
                Answer::new(200, bytes)
            })),
            "bytes",
        ),
        ("gone", Box::new(about_layer(|_| Answer::new(404, ""))), "404"),
        ("html", manifest(|| Answer::new(200, "<html>Log in first</html>")), "<html>Log in"),
        ("schema 1", manifest(|| Answer::new(200, r#"{"schemaVersion":1,"fsLayers":[]}"#)), "schema 1"),
        ("too large", manifest(|| Answer::new(200, vec![b' '; 5 * 1024 * 1024])), "4194304"),
    ];
    for (what, lie, expected) in cases {
        let server = lying(&image, move |kind, content| lie(kind, content));
        let sandbox = Sandbox::new();
        let names = ["lying.example/app:1".to_owned()];
        write_spec(&sandbox, &[("lying.example", &server.url())], &names, "linux/amd64");
        let refused = sandbox.seedkit(&["build", "-q", "--retries", "0"]);
        let message = refused.fails(2);
        assert!(message.contains("lying.example/app:1") && message.contains(expected), "{what}: {message}");
        assert!(!sandbox.path("kit").exists(), "{what}");
        assert_eq!(sandbox::debris(&sandbox.path("")), Vec::<std::path::PathBuf>::new(), "{what}");
        let is_whole = |file: &std::path::PathBuf| !file.starts_with("partial");
        for file in sandbox::files(&sandbox.store()).into_iter().filter(is_whole) {
            let stored = fs::read(sandbox.store().join(&file)).unwrap();
            assert!(file.ends_with(Digest::sha256(&stored).hex()), "{what}: {file:?}");
        }
        let honest = lying(&image, |_, _| None);
        write_spec(&sandbox, &[("lying.example", &honest.url())], &names, "linux/amd64");
        sandbox.seedkit(&["build", "-q"]).succeeds();
    }
}

/// A layer of that many MiB that nothing compresses, made faster than noise could be: each piece differs a little.
fn noise_layer(size: usize) -> Content {
    let piece = images::large_layer(7, 1 << 20).bytes;
    let mut bytes = Vec::with_capacity(size << 20);
    for number in 0..size {
        bytes.extend_from_slice(&piece[..(1 << 20) - 8]);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    Content::new("application/vnd.oci.image.layer.v1.tar", bytes)
}

#[test]
fn mirroring_and_packing_600_mib_stays_below_56_mib_and_64_with_zstd() {
    let registry = Registry::start();
    let image = images::image("linux", "amd64", &[noise_layer(600)]);
    image.put(&registry, "large/app", "1");
    drop(image);
    let sandbox = Sandbox::new();
    let names = ["large.example/large/app:1".to_owned()];
    write_spec(&sandbox, &[("large.example", &registry.url())], &names, "linux/amd64");
    sandbox.seedkit(&["lock"]).succeeds();
    for (compression, most) in [("none", 56), ("zstd", 64)] {
        // The kernel's own count, asked by a small parent: Linux takes over a parent's peak at the start.
        let script = "import resource, subprocess, sys\n\
                      code = subprocess.call(sys.argv[1:], stdout=2)\n\
                      print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n\
                      sys.exit(code)";
        let spec = sandbox.read("seedkit.yaml");
        sandbox.write("packed.yaml", format!("{spec}pack: {{ compression: {compression} }}\n"));
        let mut command = sandbox.command("python3");
        command.args([
            "-c",
            script,
            sandbox::program(),
            "pack",
            "images",
            "-q",
            "-f",
            "packed.yaml",
            "-o",
            "out",
        ]);
        let run = Run::of(&mut command).succeeds();
        let peak: u64 = run.stdout.trim().parse().unwrap();
        assert!(peak < most * 1024, "{compression}: {peak} KiB");
    }
}
