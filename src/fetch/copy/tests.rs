use std::convert::Infallible;

use itertools::Itertools as _;

use super::*;
use crate::progress::Silent;

#[derive(Debug, thiserror::Error)]
#[error("blob {0} is refused")]
struct Refused(u64);

/// Images that are lists of blobs, each blob known by its size; notes what is done with them.
struct Notes<'a> {
    images: &'a [&'a [u64]],
    refused: Option<u64>,
    done: Mutex<Vec<String>>,
}

impl Notes<'_> {
    fn note(&self, text: String) {
        self.done.lock().unwrap().push(text);
    }
}

impl Copying for Notes<'_> {
    type Opened = usize;
    type Copied = usize;
    type Help = Infallible;
    type Error = Refused;
    const OPENS_ALL_FIRST: bool = true;

    fn name(&self, image: usize) -> String {
        format!("image {image}")
    }

    fn open(&self, image: usize) -> Result<(usize, Vec<Descriptor>), Refused> {
        let blob = |size: &u64| {
            let digest = Digest::sha256(&size.to_be_bytes());
            Descriptor { media_type: String::new(), digest, size: *size }
        };
        Ok((image, self.images[image].iter().map(blob).collect()))
    }

    fn bring(&self, blob: &Descriptor, needing: &[usize], _wake: &(dyn Fn() + Sync)) -> Result<(), Refused> {
        self.note(format!("blob {} for {needing:?}", blob.size));
        if self.refused == Some(blob.size) { Err(Refused(blob.size)) } else { Ok(()) }
    }

    fn help(&self) -> Option<Infallible> {
        None
    }

    fn assist(&self, help: Infallible) {
        match help {}
    }

    fn finish(&self, image: usize, opened: usize) -> Result<usize, Refused> {
        assert_eq!(image, opened);
        self.note(format!("image {image}"));
        Ok(image)
    }
}

const IMAGES: [&[u64]; 4] = [&[10, 30], &[20, 30], &[], &[40]];

fn copy(
    refused: Option<u64>,
    jobs: usize,
    keep_going: bool,
) -> (Result<Copied<usize>, Refused>, Vec<String>) {
    let notes = Notes { images: &IMAGES, refused, done: Mutex::default() };
    let result = run(&notes, IMAGES.len(), Workers { jobs, keep_going, reporter: &Silent });
    (result, notes.done.into_inner().unwrap())
}

#[test]
fn blobs_go_once_the_largest_first_and_an_image_is_finished_with_its_last_one() {
    let (copied, done) = copy(None, 1, false);
    assert_eq!(copied.unwrap().images, [Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!(
        done,
        [
            "image 2",
            "blob 40 for [3]",
            "image 3",
            "blob 30 for [0, 1]",
            "blob 20 for [1]",
            "image 1",
            "blob 10 for [0]",
            "image 0"
        ]
    );
    for jobs in [0, 2, 8] {
        let (copied, mut parallel) = copy(None, jobs, false);
        assert_eq!(copied.unwrap().failed, []);
        parallel.sort();
        assert!(parallel.iter().eq(done.iter().sorted()), "{parallel:?}");
    }
}

#[test]
fn what_fails_ends_the_run_or_only_the_images_that_need_it() {
    let (copied, done) = copy(Some(30), 1, false);
    assert_eq!(copied.unwrap_err().to_string(), "blob 30 is refused");
    assert_eq!(done.last().unwrap(), "blob 30 for [0, 1]");
    let (copied, done) = copy(Some(30), 1, true);
    let Copied { images, failed } = copied.unwrap();
    assert_eq!(images, [None, None, Some(2), Some(3)]);
    assert!(done.contains(&"blob 10 for [0]".to_owned()), "{done:?}");
    let failed: Vec<_> =
        failed.iter().map(|failure| (failure.name.as_str(), failure.reasons.join("; "))).collect();
    assert_eq!(
        failed,
        [
            ("image 0", "blob 30 is refused".to_owned()),
            ("image 1", "it has a blob that `image 0` has too; blob 30 is refused".to_owned())
        ]
    );
}
