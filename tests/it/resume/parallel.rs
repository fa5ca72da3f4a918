//! Large blobs, of which several workers fetch parts.

use rustix::process::Signal;

use super::counting::{Counting, Ranges};
use super::{assert_layout_is_whole, ended_after, locked, partials};
use crate::support::images::{self, Content, Image};

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

#[test]
fn a_large_blob_killed_while_several_fetch_it_is_continued_where_its_beginning_ends() {
    let (image, layer) = large();
    let registry = Counting::start(&image, Ranges::Known);
    let sandbox = locked(&registry);
    let run = ended_after(&sandbox, &registry, 70 * MIB, Signal::KILL, "4");
    assert_eq!(run.code, None, "{run:?}");
    let kept = partials(&sandbox)[&layer.descriptor.digest.to_string()];
    registry.begin(None);
    sandbox.seedkit(&["mirror", "-q", "--jobs", "4"]).succeeds();
    assert_eq!(starts(&registry, &layer)[0], kept);
    assert!(kept > 0 && kept <= 70 * MIB, "{kept}");
    assert_layout_is_whole(&sandbox);
}
