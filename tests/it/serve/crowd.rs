//! Many nodes at once.

use std::io::Read;
use std::sync::Barrier;

use seedkit::digest::{Algorithm, Hasher};

use super::{Serving, client};
use crate::support::images::{image, large_layer};

/// How many pull at once.
const CROWD: usize = 200;
/// More than the sockets of one connection hold: what is not read is not sent.
const LARGE: usize = 8 * 1024 * 1024;
/// What serving the crowd may add to the memory of serving nobody, in KiB: 320 KiB for each connection.
const ALLOWED: u64 = 64 * 1024;

#[test]
fn two_hundred_pull_at_once_in_bounded_memory() {
    let layer = large_layer(7, LARGE);
    let digest = layer.descriptor.digest;
    let size = layer.bytes.len();
    let serving = Serving::of(&[("quay.io/lab/large:1", &image("linux", "amd64", &[layer]))], &[]);
    let url = serving.url(&format!("/v2/lab/large/blobs/{digest}"));
    let idle = serving.memory("VmRSS");
    let all_began = Barrier::new(CROWD + 1);
    // It opens a connection for each request that runs at the same time.
    let client = client(&serving);
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                let mut answer = client.get(&url).send().unwrap();
                let mut beginning = vec![0; 100_000];
                answer.read_exact(&mut beginning).unwrap();
                all_began.wait();
                let mut hasher = Hasher::new(Algorithm::Sha256);
                hasher.update(&beginning);
                let rest = std::io::copy(&mut answer, &mut hasher).unwrap();
                assert_eq!((rest as usize + beginning.len(), hasher.finish()), (size, digest));
            });
        }
        all_began.wait();
    });
    let peak = serving.memory("VmHWM");
    assert!(peak < idle + ALLOWED, "{idle} KiB before, {peak} KiB at most");
}
