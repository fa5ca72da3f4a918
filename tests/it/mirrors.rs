//! Several places for one registry's images, and registries that count what is pulled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::attached::listing;
use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Body, Hostile, Request};
use crate::support::images::{Image, image, index, layer};
use crate::support::sandbox::{Run, Sandbox, names};
use crate::support::unruly::{Ask, Unruly, Whim, noise};

const IMAGE: &str = "copied.example/lab/app:1";

fn app() -> Image {
    index(&[image("linux", "amd64", &[layer("amd64")]), image("linux", "arm64", &[layer("arm64")])])
}

/// Writes a spec that takes the image from `from`, after asking `mirrors`.
fn sandbox(mirrors: &[&str], from: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[("copied.example", from)], &[IMAGE.to_owned()], "linux/amd64");
    let listed: Vec<String> =
        mirrors.iter().map(|url| format!("{{ from: \"{url}\", plainHttp: true }}")).collect();
    let mirrors = format!("plainHttp: true, mirrors: [{}] }}", listed.join(", "));
    sandbox.edit("seedkit.yaml", "plainHttp: true }", &mirrors);
    sandbox
}

/// Runs the program without a second attempt: what a place does is meant to last.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
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

/// A registry that counts pulls as Docker Hub does, and has `left` of them.
fn counting(app: &Image, left: u64) -> (Hostile, Arc<AtomicU64>) {
    let remaining = Arc::new(AtomicU64::new(left));
    let counter = Arc::clone(&remaining);
    let contents = app.by_name();
    let server = listing(app, &[], move |request| {
        if !request.target.contains("/manifests/") {
            return None;
        }
        let content = contents.get(request.target.rsplit('/').next().unwrap())?;
        let counts = u64::from(request.method == "GET");
        let left = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(counts));
        let Ok(left) = left else { return Some(Answer::new(429, "")) };
        let answer = Answer::new(200, content.bytes.clone())
            .header("Content-Type", &content.descriptor.media_type)
            .header("Docker-Content-Digest", &content.descriptor.digest.to_string())
            .header("ratelimit-limit", "100;w=21600")
            .header("ratelimit-remaining", &format!("{};w=21600", left - counts));
        Some(answer)
    });
    (server, remaining)
}

fn pulls(run: &Run) -> Value {
    run.json()["pulls"].clone()
}

#[test]
fn how_many_pulls_are_needed_and_left_is_said_before_the_first() {
    let app = app();
    let (server, left) = counting(&app, 76);
    let sandbox = sandbox(&[], &server.url());
    let locked = run(&sandbox, &["lock", "--json"]).succeeds();
    let expected = |needed, is_at_least, remaining| {
        json!([{ "registry": "copied.example", "needed": needed, "isAtLeast": is_at_least,
                 "remaining": remaining, "limit": 100, "windowSeconds": 21600 }])
    };
    assert_eq!(pulls(&locked), expected(1, true, 76));
    let said = "`copied.example`: at least 1 pull is needed, 76 of 100 left in 6 h";
    assert!(locked.stderr.contains(said), "{}", locked.stderr);
    assert_eq!(left.load(Ordering::SeqCst), 73, "an index and two images");
    // What is in the store is not pulled again, and not counted.
    assert_eq!(pulls(&run(&sandbox, &["mirror", "--json"]).succeeds()), json!([]));
    assert_eq!(left.load(Ordering::SeqCst), 73);
    fs_err::remove_dir_all(sandbox.store()).unwrap();
    let mirrored = run(&sandbox, &["mirror", "--json"]).succeeds();
    assert_eq!(pulls(&mirrored), expected(3, false, 73));
    assert!(mirrored.stderr.contains("`copied.example`: 3 pulls are needed, 73 of 100 left in 6 h"));
    assert_eq!(left.load(Ordering::SeqCst), 70);
}

#[test]
fn too_few_pulls_are_a_warning_and_none_at_all_is_an_error_before_the_first() {
    let app = app();
    let (server, _) = counting(&app, 2);
    let sandbox = sandbox(&[], &server.url());
    run(&sandbox, &["lock"]).fails(2);
    let (server, left) = counting(&app, 70);
    let again = self::sandbox(&[], &server.url());
    run(&again, &["lock"]).succeeds();
    fs_err::remove_dir_all(again.store()).unwrap();
    left.store(1, Ordering::SeqCst);
    let failed = run(&again, &["mirror"]);
    let warning =
        "warning: `copied.example`: 3 pulls are needed, 1 of 100 left in 6 h: what is fetched is kept";
    assert!(failed.stderr.contains(warning), "{}", failed.stderr);
    assert!(failed.fails(2).contains("answers 429"), "{}", failed.stderr);
    // The one that was pulled is kept; of the rest nothing is tried.
    let gets = |server: &Hostile| server.requests().iter().filter(|request| request.method == "GET").count();
    let before = gets(&server);
    let failed = run(&again, &["mirror"]);
    let said = failed.fails(2);
    assert!(
        said.contains("`copied.example` allows no more pulls now (0 of 100 in 6 h), and 2 pulls are needed")
    );
    assert!(said.contains("hint: wait until there are more, log in"), "{said}");
    assert_eq!(gets(&server), before);
}
