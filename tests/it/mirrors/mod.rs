//! Several places for one registry's images.

mod told;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::attached::listing;
use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Body, Hostile, Request};
use crate::support::images::{Image, image, index, layer};
use crate::support::sandbox::{Run, Sandbox, names};
use crate::support::unruly::{Ask, Unruly, Whim, noise};

const IMAGE: &str = "copied.example/lab/app:1";

pub(crate) fn app() -> Image {
    index(&[image("linux", "amd64", &[layer("amd64")]), image("linux", "arm64", &[layer("arm64")])])
}

/// Writes a spec that takes the image from `from`, after asking `mirrors`.
pub(crate) fn sandbox(mirrors: &[&str], from: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[("copied.example", from)], &[IMAGE.to_owned()], "linux/amd64");
    let listed: Vec<String> =
        mirrors.iter().map(|url| format!("{{ from: \"{url}\", plainHttp: true }}")).collect();
    let mirrors = format!("plainHttp: true, mirrors: [{}] }}", listed.join(", "));
    sandbox.edit("seedkit.yaml", "plainHttp: true }", &mirrors);
    sandbox
}

/// Runs the program without a second attempt: what a place does is meant to last.
pub(crate) fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    Run::of(sandbox.prepare(arguments).env("SEEDKIT_RETRIES", "0"))
}

fn nobody() -> String {
    let authority = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{authority}")
}

#[test]
fn places_are_asked_in_their_order_until_one_has_it() {
    let app = app();
    let (empty, full) = (Hostile::start(|_| Answer::new(404, "")), listing(&app, &[], |_| None));
    let last = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[&empty.url(), &full.url()], &last.url());
    run(&sandbox, &["lock"]).succeeds();
    let mirrored = run(&sandbox, &["mirror"]).succeeds();
    assert!(
        !mirrored.stderr.contains("passed over"),
        "a mirror need not have everything: {}",
        mirrored.stderr
    );
    assert!(!empty.requests().is_empty() && !full.requests().is_empty());
    assert_eq!(last.requests(), []);
}

#[test]
fn a_place_that_is_down_or_refuses_is_passed_over_and_named() {
    let app = app();
    let (down, refusing) = (nobody(), Hostile::start(|_| Answer::new(403, "")));
    let last = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[&down, &refusing.url()], &last.url());
    let locked = run(&sandbox, &["lock", "--json"]).succeeds();
    let listed = locked.json()["passedOver"].as_array().unwrap().clone();
    let places: BTreeSet<&str> = listed.iter().map(|one| one["place"].as_str().unwrap()).collect();
    assert_eq!(places, BTreeSet::from([down.as_str(), &refusing.url()]));
    for (name, why) in [(&down, "the connection is refused"), (&refusing.url(), "answers 403")] {
        let said = locked.stderr.lines().find(|line| line.contains(&format!("`{name}` is passed over")));
        assert!(said.is_some_and(|line| line.contains(why)), "{}", locked.stderr);
    }
    run(&sandbox, &["mirror"]).succeeds();
}

#[test]
fn when_all_places_fail_the_error_has_the_reason_of_each() {
    let (down, refusing) = (nobody(), Hostile::start(|_| Answer::new(401, "")));
    let empty = Hostile::start(|_| Answer::new(404, ""));
    let sandbox = sandbox(&[&down, &refusing.url()], &empty.url());
    let failed = run(&sandbox, &["lock"]);
    let said = failed.fails(2);
    assert!(said.contains(&format!("none of 3 places gives `{IMAGE}`")), "{said}");
    for (name, why) in
        [(down, "the connection is refused"), (refusing.url(), "answers 401"), (empty.url(), "answers 404")]
    {
        let place = said.split(&format!("`{name}`: ")).nth(1).unwrap_or_else(|| panic!("{name} in {said}"));
        assert!(place.contains(why), "{name}: {said}");
    }
}

#[test]
fn each_place_gets_its_own_credentials_and_nobody_elses() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let app = app();
    let asking = |request: &Request| {
        let refusal = || Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\"");
        request.header("authorization").is_none().then(refusal)
    };
    // The first knows the user and lets nobody in; the last was never given anything.
    let first = Hostile::start(|_| Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""));
    let second = listing(&app, &[], asking);
    let last = Hostile::start(|_| Answer::new(404, ""));
    let sandbox = sandbox(&[&last.url(), &first.url(), &second.url()], &last.url());
    let auths = json!({ "auths": {
        first.authority(): { "auth": encode("one:first secret") },
        second.authority(): { "auth": encode("two:second secret") },
    }});
    sandbox.write("auth.json", auths.to_string());
    for arguments in [&["lock"], &["mirror"]] {
        let mut command = sandbox.prepare(arguments);
        command.env("REGISTRY_AUTH_FILE", sandbox.path("auth.json")).env("SEEDKIT_RETRIES", "0");
        let run = Run::of(&mut command).succeeds();
        assert!(!run.stderr.contains("secret") && !run.stderr.contains(&encode("one:first secret")));
    }
    let sent = |server: &Hostile| {
        let requests = server.requests();
        let mut sent: Vec<String> = requests
            .iter()
            .filter_map(|request| request.header("authorization"))
            .map(str::to_owned)
            .collect();
        sent.sort();
        sent.dedup();
        sent
    };
    assert_eq!(sent(&first), [format!("Basic {}", encode("one:first secret"))]);
    assert_eq!(sent(&second), [format!("Basic {}", encode("two:second secret"))]);
    assert_eq!(sent(&last), [""; 0]);
}

#[test]
fn what_one_place_gives_wrongly_or_in_part_comes_from_the_next() {
    let app = app();
    let amd64 = app.manifests[0].clone();
    let blob = app.blobs[0].clone();
    let (manifest, layer) = (amd64.descriptor.digest.to_string(), blob.descriptor.digest.to_string());
    let broken = listing(&app, &[], move |request| {
        if request.method == "GET" && request.target.ends_with(&manifest) {
            let mut other = amd64.bytes.clone();
            other.reverse();
            return Some(Answer::new(200, other).header("Content-Type", &amd64.descriptor.media_type));
        }
        let cut = || Body::Announced(blob.bytes[..20].to_vec(), blob.bytes.len() as u64);
        request.target.ends_with(&layer).then(|| Answer::with_body(cut()))
    });
    let good = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[&broken.url()], &good.url());
    let locked = run(&sandbox, &["lock"]).succeeds();
    assert!(locked.stderr.contains(&format!("`{}` is passed over", broken.url())), "{}", locked.stderr);
    let mirrored = run(&sandbox, &["mirror"]).succeeds();
    assert!(mirrored.stderr.contains(&format!("`{}` broke off", broken.url())), "{}", mirrored.stderr);
    let stored = sandbox.path("images/blobs/sha256").join(app.blobs[0].descriptor.digest.hex());
    assert_eq!(fs_err::read(stored).unwrap(), app.blobs[0].bytes);
}

/// A registry that gives other bytes for some blobs: as many, and with no other fault.
fn lying(app: &Image, lies: impl Fn(&str) -> bool + Send + Sync + 'static) -> Hostile {
    let contents = app.by_name();
    listing(app, &[], move |request| {
        let name = request.target.rsplit('/').next().unwrap();
        if !request.target.contains("/blobs/") || !lies(name) {
            return None;
        }
        let mut bytes = contents.get(name)?.bytes.clone();
        bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        Some(Answer::new(200, bytes))
    })
}

/// How often a server was asked for a blob.
fn asked(server: &Hostile, digest: &str) -> usize {
    server.requests().iter().filter(|request| request.target.ends_with(digest)).count()
}

fn partials(sandbox: &Sandbox) -> Vec<String> {
    let folder = sandbox.store().join("partial");
    if folder.exists() { names(&folder) } else { Vec::new() }
}

#[test]
fn a_blob_whose_bytes_are_wrong_comes_from_the_next_place_and_the_bad_one_is_named() {
    let app = app();
    let (bad, good) = (lying(&app, |_| true), listing(&app, &[], |_| None));
    let sandbox = sandbox(&[&bad.url()], &good.url());
    run(&sandbox, &["lock"]).succeeds();
    let mirrored = run(&sandbox, &["mirror", "--json"]).succeeds();
    let layout = sandbox.path("images/blobs/sha256");
    let mut needed = 0;
    for blob in &app.blobs {
        let digest = &blob.descriptor.digest.to_string();
        let path = layout.join(blob.descriptor.digest.hex());
        if !path.exists() {
            continue;
        }
        needed += 1;
        assert!(fs_err::read(path).unwrap() == blob.bytes, "{digest}");
        assert_eq!((asked(&bad, digest), asked(&good, digest)), (1, 1), "{digest}");
        let said = format!("`{}` is passed over: blob {digest} has the wrong content", bad.url());
        assert!(mirrored.stderr.contains(&said), "{said}: {}", mirrored.stderr);
        let listed = mirrored.json()["passedOver"].as_array().unwrap().iter().any(|complaint| {
            complaint["place"] == bad.url() && complaint["what"].as_str().unwrap().contains(digest)
        });
        assert!(listed, "{mirrored:?}");
    }
    assert_eq!(needed, 2, "a configuration and a layer");
    assert_eq!(partials(&sandbox), [""; 0]);
}

#[test]
fn when_every_place_gives_wrong_bytes_the_error_names_all_and_nothing_is_kept() {
    let app = app();
    let layer = app.blobs[0].descriptor.digest;
    let of_layer = |wanted: String| move |name: &str| name == wanted;
    let places = [(); 3].map(|()| lying(&app, of_layer(layer.to_string())));
    let [first, second, last] = &places;
    let sandbox = sandbox(&[&first.url(), &second.url()], &last.url());
    run(&sandbox, &["lock"]).succeeds();
    let failed = run(&sandbox, &["mirror"]);
    let said = failed.fails(2);
    for place in &places {
        let why = format!("`{}`: blob {layer} has the wrong content", place.url());
        assert!(said.contains(&why), "{why}: {said}");
        assert_eq!(asked(place, &layer.to_string()), 1);
    }
    assert!(said.contains(&format!("none of 3 places gives `{IMAGE}`")), "{said}");
    assert!(!sandbox.store().join("sha256").join(layer.hex()).exists());
    assert_eq!(partials(&sandbox), [""; 0]);
    assert!(!sandbox.path("images").exists());
}

#[test]
fn wrong_bytes_are_asked_for_once_more_and_the_rest_is_kept_if_they_come_again() {
    let app = app();
    let layer = app.blobs[0].descriptor.digest.to_string();
    // A single place, and one beside another that lacks the image.
    let lacking = Hostile::start(|_| Answer::new(404, ""));
    for (mirrors, times) in [(vec![], 1), (vec![lacking.url()], 1), (vec![], usize::MAX)] {
        let (name, count) = (layer.clone(), AtomicU64::new(0));
        let is_wrong =
            move |asked: &str| asked == name && count.fetch_add(1, Ordering::SeqCst) < times as u64;
        let server = lying(&app, is_wrong);
        let mirrors: Vec<&str> = mirrors.iter().map(String::as_str).collect();
        let sandbox = sandbox(&mirrors, &server.url());
        run(&sandbox, &["lock"]).succeeds();
        let mirrored = run(&sandbox, &["mirror"]);
        assert_eq!(asked(&server, &layer), 2, "{mirrored:?}");
        assert_eq!(partials(&sandbox), [""; 0]);
        if times == 1 {
            mirrored.succeeds();
            let stored = sandbox.path("images/blobs/sha256").join(app.blobs[0].descriptor.digest.hex());
            assert!(fs_err::read(stored).unwrap() == app.blobs[0].bytes);
            continue;
        }
        let said = mirrored.fails(2);
        let url = format!("{}/v2/lab/app/blobs/{layer}", server.url());
        assert!(said.contains(&format!("the answer to GET {url} is wrong")), "{said}");
        assert!(said.contains("hint: it was asked for more than once: name another place"), "{said}");
        // What else came is not asked for again.
        let config = app.blobs[1].descriptor.digest.to_string();
        let before = asked(&server, &config);
        run(&sandbox, &["mirror"]).fails(2);
        assert_eq!(asked(&server, &config), before);
    }
}

#[test]
fn a_manifest_that_is_wrong_is_asked_for_once_more() {
    let app = app();
    let amd64 = app.manifests[0].clone();
    let (name, count) = (amd64.descriptor.digest.to_string(), AtomicU64::new(0));
    let server = listing(&app, &[], move |request| {
        let is_first = request.target.ends_with(&name) && count.fetch_add(1, Ordering::SeqCst) == 0;
        let mut other = amd64.bytes.clone();
        other.reverse();
        let media_type = &amd64.descriptor.media_type;
        is_first.then(|| Answer::new(200, other).header("Content-Type", media_type))
    });
    run(&sandbox(&[], &server.url()), &["lock"]).succeeds();
}

#[test]
fn a_place_that_refuses_a_repository_or_is_wrong_again_and_again_is_not_asked_for_all_of_it() {
    let layers: Vec<_> = (0..12).map(|number| layer(&format!("layer {number}"))).collect();
    let app = image("linux", "amd64", &layers);
    let refusing = Hostile::start(|_| Answer::new(401, ""));
    let bad = lying(&app, |_| true);
    let good = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[&refusing.url(), &bad.url()], &good.url());
    run(&sandbox, &["lock"]).succeeds();
    let blobs = || bad.requests().iter().filter(|request| request.target.contains("/blobs/")).count();
    let before = (refusing.requests().len(), blobs());
    let mirrored = run(&sandbox, &["mirror", "--jobs", "1"]).succeeds();
    assert_eq!(refusing.requests().len() - before.0, 1, "one refusal is enough");
    assert_eq!(blobs() - before.1, 3, "and three wrong contents are");
    assert_eq!(mirrored.stderr.matches(&format!("`{}` is passed over", refusing.url())).count(), 1);
    let complaints = mirrored.stderr.matches(&format!("`{}` is passed over", bad.url())).count();
    assert_eq!(complaints, 3, "two wrong contents, and that it is not asked again: {}", mirrored.stderr);
}

#[test]
fn an_older_layout_that_lacks_most_of_an_image_is_no_reason_for_a_warning() {
    let app = app();
    let server = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[], &server.url());
    run(&sandbox, &["lock"]).succeeds();
    run(&sandbox, &["mirror"]).succeeds();
    fs_err::remove_dir_all(sandbox.store()).unwrap();
    fs_err::rename(sandbox.path("images"), sandbox.path("old")).unwrap();
    let blob = app.blobs[0].descriptor.digest.hex();
    fs_err::remove_file(sandbox.path("old/blobs/sha256").join(blob)).unwrap();
    sandbox.edit("seedkit.yaml", "mirrors: [] }", "mirrors: [{ from: \"oci:old\" }] }");
    let before = server.requests().len();
    let mirrored = run(&sandbox, &["mirror"]).succeeds();
    assert!(!mirrored.stderr.contains("passed over"), "{}", mirrored.stderr);
    let asked: Vec<String> = server.requests()[before..].iter().map(Request::line).collect();
    assert!(asked.len() == 1 && asked[0].contains("/blobs/"), "only what the layout lacks: {asked:?}");
}

#[test]
fn wrong_bytes_in_the_middle_of_which_a_place_broke_off_do_not_spoil_those_of_the_next() {
    let app = app();
    let blob = app.blobs[0].clone();
    let digest = blob.descriptor.digest.to_string();
    let name = digest.clone();
    let cut = listing(&app, &[], move |request| {
        let wrong = || Body::Announced(vec![b'?'; 20], blob.bytes.len() as u64);
        request.target.ends_with(&name).then(|| Answer::with_body(wrong()))
    });
    let good = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[&cut.url()], &good.url());
    run(&sandbox, &["lock"]).succeeds();
    let mirrored = run(&sandbox, &["mirror"]).succeeds();
    assert!(mirrored.stderr.contains(&format!("`{}` broke off", cut.url())), "{}", mirrored.stderr);
    let said = format!("`{}` is passed over: what came from it and others", cut.url());
    assert!(mirrored.stderr.contains(&said), "{}", mirrored.stderr);
    let stored = sandbox.path("images/blobs/sha256").join(app.blobs[0].descriptor.digest.hex());
    assert!(fs_err::read(stored).unwrap() == app.blobs[0].bytes);
    assert_eq!(partials(&sandbox), [""; 0]);
}

#[test]
fn a_large_blob_that_several_workers_fetch_comes_from_the_next_place_too() {
    let large = noise(66 << 20);
    let app = image("linux", "amd64", std::slice::from_ref(&large));
    let is_blob = |ask: &Ask<'_>| ask.request.target.contains("/blobs/");
    let bad = Unruly::registry(&app, move |ask| is_blob(ask).then_some(Whim::Wrong));
    let good = Unruly::registry(&app, |_| None);
    let sandbox = sandbox(&[&bad.url()], &good.url());
    run(&sandbox, &["lock"]).succeeds();
    let mirrored = run(&sandbox, &["mirror", "--jobs", "4"]).succeeds();
    let digest = &large.descriptor.digest;
    let said = format!("`{}` is passed over: blob {digest} has the wrong content", bad.url());
    assert!(mirrored.stderr.contains(&said), "{}", mirrored.stderr);
    let stored = sandbox.path("images/blobs/sha256").join(digest.hex());
    assert!(fs_err::read(stored).unwrap() == large.bytes);
    assert_eq!(good.sent_twice(&digest.to_string()), 0);
}
