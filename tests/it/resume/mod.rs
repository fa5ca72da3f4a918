//! Runs that are ended at any byte, and what the next one fetches: only what is missing.

mod counting;
mod files;
mod keep_going;
mod parallel;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::{Pid, Signal};

use crate::mirror::write_spec;
use crate::support::images::{self, Content, Image};
use crate::support::oracle;
use crate::support::sandbox::{self, Run, Sandbox};
use counting::{Counting, Ranges, Then};

const NAME: &str = "cut.example/app:1";

/// An image of blobs of very different sizes, some megabytes together.
fn sample() -> Image {
    let sizes = [3_000_000, 1_700_000, 900_000, 900_001, 400_000, 150_000, 64_000, 5_000];
    let layers: Vec<Content> =
        sizes.iter().enumerate().map(|(seed, size)| images::large_layer(seed as u64, *size)).collect();
    images::image("linux", "amd64", &layers)
}

/// A locked spec of one image from a registry.
fn locked(registry: &Counting) -> Sandbox {
    let sandbox = Sandbox::new();
    write_spec(&sandbox, &[("cut.example", &registry.url())], &[NAME.to_owned()], "linux/amd64");
    sandbox.seedkit(&["lock", "-q"]).succeeds();
    sandbox
}

/// Returns what the store keeps of blobs that are not whole, by their digests.
fn partials(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let folder = sandbox.store().join("partial");
    let names = if folder.exists() { sandbox::names(&folder) } else { vec![] };
    let length = |name: &String| fs::metadata(folder.join(name)).unwrap().len();
    names.iter().map(|name| (name.replacen('-', ":", 1), length(name))).collect()
}

/// Lets somebody else read the layout: every blob has its digest, and skopeo copies the image.
fn assert_layout_is_whole(sandbox: &Sandbox) {
    let folder = sandbox.path("images");
    let sums: String = sandbox::names(&folder.join("blobs/sha256"))
        .iter()
        .map(|name| format!("{name}  blobs/sha256/{name}\n"))
        .collect();
    fs::write(folder.join("SUMS"), sums).unwrap();
    let mut command = oracle::command("sha256sum");
    oracle::finish(command.args(["--check", "--quiet", "SUMS"]).current_dir(&folder));
    let copy = sandbox.path("copy");
    let from = format!("oci:{}:{NAME}", folder.display());
    let to = format!("dir:{}", copy.display());
    oracle::run("skopeo", ["--insecure-policy", "copy", "--quiet", &from, &to]);
    fs::remove_dir_all(copy).unwrap();
    assert_eq!(partials(sandbox), BTreeMap::new());
}

/// Numbers that look chosen at random, and are the same in every run.
fn moments(seed: u64, below: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |number| {
        Some(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .skip(1)
    .map(move |number| (number >> 16) % below)
}

/// Runs `mirror` until the registry has sent so many bytes, and what then happens to it has ended it.
fn ended_after(sandbox: &Sandbox, registry: &Counting, limit: u64, signal: Signal, jobs: &str) -> Run {
    registry.begin(Some((limit, Then::Signal(signal))));
    let child = sandbox.spawn(&["mirror", "-q", "--jobs", jobs]);
    registry.set_client(Pid::from_child(&child));
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn a_run_killed_at_any_byte_is_completed_by_the_next_which_fetches_only_the_rest() {
    let image = sample();
    let total: u64 = image.blobs.iter().map(|blob| blob.descriptor.size).sum();
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    for (round, moment) in moments(20, total).take(20).enumerate() {
        let jobs = [1, 4][round % 2];
        let when = format!("killed after {moment} of {total} bytes, {jobs} jobs");
        let store = sandbox.store();
        for folder in [store, sandbox.path("images")] {
            if folder.exists() {
                fs::remove_dir_all(folder).unwrap();
            }
        }
        let run = ended_after(&sandbox, &registry, moment, Signal::KILL, &jobs.to_string());
        assert_eq!(run.code, None, "{when}: {run:?}");
        let (kept, first) = (partials(&sandbox), registry.sent());
        registry.begin(None);
        sandbox.seedkit(&["mirror", "-q", "--jobs", &jobs.to_string()]).succeeds();
        let (second, asked) = (registry.sent(), registry.asked());
        // Asked for once, and from where the kept bytes end: nothing that is on the disk comes again.
        let from: BTreeMap<String, u64> = asked.iter().cloned().collect();
        assert_eq!(from.len(), asked.len(), "{when}: {asked:?}");
        for (digest, from) in &from {
            assert_eq!(kept.get(digest).copied().unwrap_or(0), *from, "{when}: {digest}");
        }
        let size = |digest: &str| {
            let is_it = |blob: &&Content| blob.descriptor.digest.to_string() == digest;
            image.blobs.iter().find(is_it).unwrap().descriptor.size
        };
        for (digest, sent) in &second {
            assert_eq!(*sent, size(digest) - kept.get(digest).copied().unwrap_or(0), "{when}: {digest}");
        }
        // A byte comes twice only if it was on its way to a worker when that was killed.
        let both = second.keys().filter(|digest| first.contains_key(*digest)).count();
        assert!(both <= jobs, "{when}: {both} blobs were sent in both runs");
        assert_layout_is_whole(&sandbox);
    }
}

/// Leaves bytes of a blob in the store, as a killed run does.
fn keep(sandbox: &Sandbox, blob: &Content, bytes: &[u8]) -> PathBuf {
    let folder = sandbox.store().join("partial");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("sha256-{}", blob.descriptor.digest.hex()));
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_blob_is_continued_whatever_the_registry_knows_of_ranges() {
    let layer = images::large_layer(1, 1_000_000);
    let image = images::image("linux", "amd64", std::slice::from_ref(&layer));
    let size = layer.descriptor.size;
    let digest = layer.descriptor.digest.to_string();
    for (ranges, asked, sent) in [
        (Ranges::Known, vec![700_000], size - 700_000),
        (Ranges::Ignored, vec![0], size),
        (Ranges::Refused, vec![0], size),
    ] {
        let registry = Counting::start(&image, ranges);
        let sandbox = locked(&registry);
        keep(&sandbox, &layer, &layer.bytes[..700_000]);
        registry.begin(None);
        let result = sandbox.seedkit(&["mirror", "--json"]).succeeds().json();
        let of_layer: Vec<u64> =
            registry.asked().into_iter().filter(|(name, _)| *name == digest).map(|(_, from)| from).collect();
        assert_eq!((of_layer, registry.sent()[&digest]), (asked, sent), "{ranges:?}");
        assert!(result["bytes"].as_u64().unwrap() < size, "what was kept did not come now: {result}");
        assert_layout_is_whole(&sandbox);
    }
    // What comes is not what was asked for: the whole is, then.
    let registry = Counting::start(&image, Ranges::Wrong);
    let sandbox = locked(&registry);
    keep(&sandbox, &layer, &layer.bytes[..700_000]);
    registry.begin(None);
    sandbox.seedkit(&["mirror", "-q"]).succeeds();
    assert_layout_is_whole(&sandbox);
}

#[test]
fn kept_bytes_that_are_wrong_are_thrown_away_once() {
    let layer = images::large_layer(1, 1_000_000);
    let image = images::image("linux", "amd64", std::slice::from_ref(&layer));
    let digest = layer.descriptor.digest.to_string();
    let mut wrong = layer.bytes[..700_000].to_vec();
    wrong[350_000] ^= 1;
    let mut long = layer.bytes.clone();
    long.push(0);
    for (bytes, expected) in [(&wrong, vec![700_000, 0]), (&long, vec![0])] {
        let registry = Counting::start(&image, Ranges::Known);
        let sandbox = locked(&registry);
        keep(&sandbox, &layer, bytes);
        registry.begin(None);
        sandbox.seedkit(&["mirror", "-q"]).succeeds();
        let asked = registry.asked().into_iter().filter(|(name, _)| *name == digest);
        assert_eq!(asked.map(|(_, from)| from).collect::<Vec<_>>(), expected);
        assert_layout_is_whole(&sandbox);
    }
}

#[test]
fn two_processes_on_one_store_fetch_each_blob_once() {
    let image = sample();
    let total: u64 = image.blobs.iter().map(|blob| blob.descriptor.size).sum();
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    fs::remove_dir_all(sandbox.store()).unwrap();
    registry.begin(None);
    let children = ["images", "others"].map(|output| sandbox.spawn(&["mirror", "-q", "-o", output]));
    for child in children {
        Run::from(child.wait_with_output().unwrap()).succeeds();
    }
    assert_eq!(registry.sent().values().sum::<u64>(), total);
    assert_layout_is_whole(&sandbox);
    let names = |layout: &str| sandbox::names(&sandbox.path(layout).join("blobs/sha256"));
    assert_eq!(names("images"), names("others"));
}

#[test]
fn a_disk_that_is_full_while_a_blob_is_continued_keeps_what_fits() {
    let layer = images::large_layer(1, 3_000_000);
    let image = images::image("linux", "amd64", std::slice::from_ref(&layer));
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    let digest = layer.descriptor.digest.to_string();
    let kept = keep(&sandbox, &layer, &layer.bytes[..1_000_000]);
    let script = format!(
        r#"mkdir -p disk
        mount -t tmpfs -o size=2m seedkit disk
        mkdir -p disk/store/partial
        cp {} disk/store/partial/
        code=0
        "$SEEDKIT" mirror -q --cache-dir disk/store 2>first || code=$?
        stat -c %s disk/store/partial/* >left
        mount -o remount,size=64m disk
        "$SEEDKIT" mirror -q --cache-dir disk/store
        exit "$code""#,
        kept.display()
    );
    fs::rename(&kept, sandbox.path("kept")).unwrap();
    fs::copy(sandbox.path("kept"), &kept).unwrap();
    registry.begin(None);
    let run = sandbox.with_own_mounts(&script);
    let first = sandbox.read("first");
    assert_eq!(run.code, Some(2), "{run:?} {first}");
    assert!(first.contains("No space left on device") && first.contains("hint: free some space"), "{first}");
    let left: u64 = sandbox.read("left").trim().parse().unwrap();
    assert!(left > 1_000_000 && left < layer.descriptor.size, "{left}");
    let asked: Vec<u64> =
        registry.asked().into_iter().filter(|(name, _)| *name == digest).map(|(_, from)| from).collect();
    assert_eq!(asked, [1_000_000, left]);
    fs::remove_file(&kept).unwrap();
    assert_layout_is_whole(&sandbox);
}

#[test]
fn an_interrupt_ends_within_a_second_though_the_registry_says_nothing_and_what_came_is_kept() {
    let layer = images::large_layer(1, 3_000_000);
    let image = images::image("linux", "amd64", std::slice::from_ref(&layer));
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    let ends_within = |signal| {
        // What an earlier run kept would not be sent again, and the limit never reached.
        let partial = sandbox.store().join("partial");
        if partial.exists() {
            fs::remove_dir_all(partial).unwrap();
        }
        registry.begin(Some((2_000_000, Then::Stall)));
        let child = sandbox.spawn(&["mirror", "--progress", "plain"]);
        registry.wait_for_limit();
        while partials(&sandbox).values().all(|kept| *kept == 0) {
            std::thread::yield_now();
        }
        let started = Instant::now();
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        let took = started.elapsed();
        assert_eq!(run.code, Some(130), "{run:?}");
        assert!(run.stderr.contains("what is whole or can be continued stays"), "{run:?}");
        assert!(!run.stderr.contains("error:"), "{run:?}");
        assert_eq!(sandbox::debris(&sandbox.path("")), [] as [PathBuf; 0]);
        assert_eq!(sandbox::debris(&sandbox.home()), [] as [PathBuf; 0]);
        took
    };
    for signal in [Signal::INT, Signal::TERM] {
        // A machine that is busy may hold one run up, and hardly each of five.
        let is_soon = (0..5).any(|_| ends_within(signal) < Duration::from_secs(1));
        assert!(is_soon, "{signal:?}");
    }
    let kept = partials(&sandbox);
    registry.begin(None);
    sandbox.seedkit(&["mirror", "-q"]).succeeds();
    let digest = layer.descriptor.digest.to_string();
    assert!(registry.asked().contains(&(digest.clone(), kept[&digest])), "{:?}", registry.asked());
    assert_layout_is_whole(&sandbox);
}
