//! Large blobs, of which several workers fetch parts.

use fs_err as fs;
use rustix::process::{Pid, Signal};

use super::counting::{Counting, Ranges, Then};
use super::{assert_layout_is_whole, ended_after, locked, partials};
use crate::support::images::{self, Content, Image};
use crate::support::sandbox::{Run, Sandbox};

const MIB: u64 = 1024 * 1024;

/// An image with one layer of 100 MiB, and that layer; a large one made of noise would take long.
fn large() -> (Image, Content) {
    let piece = images::large_layer(7, 1 << 20).bytes;
    let mut bytes = Vec::with_capacity(100 << 20);
    for number in 0..100_u64 {
        bytes.extend_from_slice(&piece[..(1 << 20) - 8]);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let layer = Content::new("application/vnd.oci.image.layer.v1.tar", bytes);
    (images::image("linux", "amd64", std::slice::from_ref(&layer)), layer)
}

/// Returns where the parts of a blob begin that were asked for, sorted.
fn starts(registry: &Counting, layer: &Content) -> Vec<u64> {
    let digest = layer.descriptor.digest.to_string();
    let mut starts: Vec<u64> =
        registry.asked().into_iter().filter(|(name, _)| *name == digest).map(|(_, from)| from).collect();
    starts.sort_unstable();
    starts
}

#[test]
fn idle_workers_fetch_parts_of_a_large_blob_and_no_byte_is_fetched_by_two() {
    let (image, layer) = large();
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    registry.begin_gated(4);
    let result = sandbox.seedkit(&["mirror", "--jobs", "4", "--json"]).succeeds().json();
    assert_eq!(result["bytes"], layer.descriptor.size);
    let starts = starts(&registry, &layer);
    assert!(starts.len() >= 4 && starts[0] == 0, "{starts:?}");
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
    assert!(starts.iter().all(|start| start % (16 * MIB) == 0), "{starts:?}");
    assert_layout_is_whole(&sandbox);
}

#[test]
fn one_stream_carries_a_large_blob_where_ranges_are_not_known_or_wrong() {
    let (image, layer) = large();
    for ranges in [Ranges::Ignored, Ranges::Refused, Ranges::Wrong] {
        let registry = Counting::start(&image, ranges);
        let sandbox = locked(&registry);
        registry.begin(None);
        sandbox.seedkit(&["mirror", "-q", "--jobs", "4"]).succeeds();
        // The stream, and the three who found out that they cannot help; a wrong part is answered by asking for the whole.
        let starts = starts(&registry, &layer);
        assert!(
            starts.len() <= 7 && starts.iter().filter(|start| **start == 0).count() <= 4,
            "{ranges:?} {starts:?}"
        );
        assert_layout_is_whole(&sandbox);
    }
}

/// Returns how many bytes the store keeps of a blob, at its beginning and in parts further behind.
fn kept(sandbox: &Sandbox) -> u64 {
    partials(sandbox).values().sum()
}

#[test]
fn whatever_ends_a_run_nothing_that_came_of_a_large_blob_comes_again() {
    let (image, layer) = large();
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    // The rest of the image, so that only the large blob is counted.
    registry.begin(Some((3 * MIB, Then::HangUp)));
    sandbox.seedkit(&["mirror", "-q", "--jobs", "4", "--retries", "0"]).fails(2);
    assert!(kept(&sandbox) > 0);
    let ends = [Some(Signal::KILL), Some(Signal::INT), None, Some(Signal::KILL), Some(Signal::TERM), None];
    for (round, signal) in ends.into_iter().enumerate() {
        let before = kept(&sandbox);
        let then = if signal.is_some() { Then::Stall } else { Then::HangUp };
        registry.begin(Some((12 * MIB, then)));
        let child = sandbox.spawn(&["mirror", "-q", "--jobs", "4", "--retries", "0"]);
        registry.wait_for_limit();
        if let Some(signal) = signal {
            // All that was sent is on the disk, in whichever file.
            while kept(&sandbox) < before + registry.sent().values().sum::<u64>() {
                std::thread::yield_now();
            }
            rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        }
        let run = Run::from(child.wait_with_output().unwrap());
        assert!(!matches!(run.code, Some(0)), "round {round}: {run:?}");
        let (after, sent) = (kept(&sandbox), registry.sent().values().sum::<u64>());
        // Of what was on its way when the registry hung up, the kernel may have thrown some away.
        let is_all = if signal.is_some() { after == before + sent } else { after > before };
        assert!(is_all, "round {round}: {sent} bytes came, {before} were kept, {after} are now: {run:?}");
    }
    let before = kept(&sandbox);
    registry.begin(None);
    let result = sandbox.seedkit(&["mirror", "--json", "--jobs", "4"]).succeeds().json();
    let missing = layer.descriptor.size - before;
    assert_eq!(
        (registry.sent()[&layer.descriptor.digest.to_string()], result["bytes"].as_u64()),
        (missing, Some(missing))
    );
    assert_layout_is_whole(&sandbox);
}

#[test]
fn parts_of_a_large_blob_that_rotted_are_thrown_away_and_the_whole_is_fetched_once() {
    let (image, layer) = large();
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    let run = ended_after(&sandbox, &registry, 70 * MIB, Signal::KILL, "4");
    assert_eq!(run.code, None, "{run:?}");
    let folder = sandbox.store().join("partial");
    let part = folder.join(format!("sha256-{}.{}", layer.descriptor.digest.hex(), 32 * MIB));
    fs::write(&part, vec![0; 1000]).unwrap();
    // What no program of ours left there.
    fs::write(part.with_extension("17"), b"x").unwrap();
    registry.begin(None);
    sandbox.seedkit(&["mirror", "-q", "--jobs", "4"]).succeeds();
    assert!(registry.sent()[&layer.descriptor.digest.to_string()] <= 2 * layer.descriptor.size);
    assert_layout_is_whole(&sandbox);
}
