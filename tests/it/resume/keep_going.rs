//! `--keep-going`: the rest is finished, what failed is listed, nothing with holes is published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images::{self, Content, Image};
use crate::support::sandbox::Sandbox;

/// A registry of images by repository; while it is broken, what it is asked for of `missing` is not there.
fn registry(images: &[(&'static str, Image)], missing: Vec<String>, is_broken: &Arc<AtomicBool>) -> Hostile {
    let mut contents: BTreeMap<String, Content> = BTreeMap::new();
    for (name, image) in images {
        for content in image.manifests.iter().chain(&image.blobs) {
            contents.insert(format!("{name}/{}", content.descriptor.digest), content.clone());
        }
        let root = contents[&format!("{name}/{}", image.root().digest)].clone();
        contents.insert(format!("{name}/1"), root);
    }
    let is_broken = Arc::clone(is_broken);
    Hostile::start(move |request: &Request| {
        let mut parts = request.target.trim_start_matches("/v2/").split('/');
        let (repository, _, name) = (parts.next().unwrap(), parts.next(), parts.next().unwrap_or_default());
        let is_missing = is_broken.load(Ordering::SeqCst) && missing.iter().any(|missing| missing == name);
        match contents.get(&format!("{repository}/{name}")).filter(|_| !is_missing) {
            Some(content) => Answer::new(200, content.bytes.clone())
                .header("Content-Type", &content.descriptor.media_type)
                .header("Docker-Content-Digest", &content.descriptor.digest.to_string()),
            None => Answer::new(404, r#"{"errors":[{"code":"UNKNOWN","message":"not here"}]}"#),
        }
    })
}

fn image(layers: &[Content]) -> Image {
    images::index(&[images::image("linux", "amd64", layers)])
}

/// Returns kind and name of what failed, and checks that each has reasons down to the status.
fn failed(result: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let failures = result["failures"].as_array().unwrap();
    let of = |failure: &Value| {
        assert!(failure["reasons"].to_string().contains("404"), "{failure}");
        (text(&failure["kind"]), text(&failure["name"]))
    };
    failures.iter().map(of).collect()
}

#[test]
fn mirror_and_build_finish_the_rest_list_every_image_concerned_and_publish_nothing() {
    let [shared, own] = [images::layer("shared"), images::layer("b's own")];
    let all = [
        ("a", image(&[images::layer("a")])),
        ("b", image(&[shared.clone(), own])),
        ("c", image(&[images::layer("c")])),
        ("d", image(&[shared.clone(), images::layer("d")])),
    ];
    let is_broken = Arc::new(AtomicBool::new(false));
    let missing =
        vec![shared.descriptor.digest.to_string(), all[2].1.manifests[0].descriptor.digest.to_string()];
    let server = registry(&all, missing, &is_broken);
    let sandbox = Sandbox::new();
    let names: Vec<String> = all.iter().map(|(name, _)| format!("broken.example/{name}:1")).collect();
    write_spec(&sandbox, &[("broken.example", &server.url())], &names, "linux/amd64");
    sandbox.seedkit(&["lock", "-q"]).succeeds();
    fs_err::remove_dir_all(sandbox.store()).unwrap();
    is_broken.store(true, Ordering::SeqCst);
    let expected: Vec<_> =
        ["b", "c", "d"].map(|name| ("image".to_owned(), format!("broken.example/{name}:1"))).into();
    for (command, output) in [("mirror", "images"), ("build", "kit")] {
        let run = sandbox.seedkit(&[command, "-q", "--keep-going", "--json"]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(failed(&run.json()), expected, "{command}");
        assert_eq!((&run.json()["command"], &run.json()["version"]), (&command.into(), &1.into()));
        assert!(!run.stderr.contains("error:") && !sandbox.path(output).exists(), "{run:?}");
    }
    // One after the other, so that the shared layer is asked for as one of `b`.
    let text = sandbox.seedkit(&["mirror", "-q", "--keep-going", "--jobs", "1"]);
    assert_eq!(text.code, Some(1));
    // Of `d` it is said first.
    let of_d = text.stdout.split("failed: image broken.example/d:1").nth(1).unwrap();
    let shares = "\n  because: it has a blob that `broken.example/b:1` has too\n";
    assert!(of_d.starts_with(shares), "{}", text.stdout);
    assert!(text.stdout.starts_with("failed: image broken.example/b:1\n  because: "), "{}", text.stdout);
    // Without it the first error ends the run, as ever.
    sandbox.seedkit(&["mirror", "-q"]).fails(2);
    // Only what failed is asked for again.
    is_broken.store(false, Ordering::SeqCst);
    let before = server.requests().len();
    sandbox.seedkit(&["mirror", "-q", "--keep-going"]).succeeds();
    let asked: Vec<String> = server.requests()[before..].iter().map(Request::line).collect();
    let blobs = asked.iter().filter(|line| line.contains("/blobs/")).count();
    assert!(asked.iter().all(|line| !line.contains("/v2/a/")), "{asked:?}");
    assert_eq!(blobs, 3, "the shared layer, and the two of c: {asked:?}");
}

#[test]
fn lock_names_every_image_and_file_that_cannot_be_locked_and_writes_nothing() {
    let all = [("a", image(&[images::layer("a")])), ("b", image(&[images::layer("b")]))];
    let is_broken = Arc::new(AtomicBool::new(true));
    let missing = vec![all[1].1.manifests[0].descriptor.digest.to_string()];
    let server = registry(&all, missing, &is_broken);
    let sandbox = Sandbox::new();
    let names: Vec<String> = ["a", "absent", "b"].map(|name| format!("broken.example/{name}:1")).into();
    write_spec(&sandbox, &[("broken.example", &server.url())], &names, "linux/amd64");
    let url = format!("{}/k3s", server.url());
    let download = format!("{{ url: \"{url}\", sha256: {} }}", "a".repeat(64));
    sandbox.edit("seedkit.yaml", "{ path: k3s }", &download);
    let run = sandbox.seedkit(&["lock", "-q", "--keep-going", "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let kinds = failed(&run.json());
    assert_eq!(kinds.len(), 3, "{run:?}");
    assert_eq!(kinds[0].0, "file");
    let images: Vec<&str> = kinds[1..].iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(images, ["broken.example/absent:1", "broken.example/b:1"]);
    assert!(!sandbox.path("seedkit.lock").exists());
}
