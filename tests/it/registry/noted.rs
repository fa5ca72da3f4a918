//! Uploads that a run did not end, and what the next one makes of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::registry::BlobUpload;
use seedkit::store::DiskStore;
use tempfile::TempDir;

use super::push::{blob, methods, options, registry_to_push, upload_of, uploading};
use crate::support::hostile::{Answer, Hostile};

const SUBJECT: &str = "an upload";

/// A store whose one note is about [`SUBJECT`].
struct Notes {
    store: DiskStore,
    folder: TempDir,
}

impl Notes {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: DiskStore::open(folder.path()).unwrap(), folder }
    }

    fn path(&self) -> PathBuf {
        let name = format!("partial/note-{}", Digest::sha256(SUBJECT.as_bytes()).hex());
        self.folder.path().join(name)
    }

    /// Pushes 2500 bytes in three chunks; returns them if they were taken.
    fn push(&self, url: &str) -> Option<Vec<u8>> {
        let (descriptor, bytes) = blob(2500);
        let upload = BlobUpload { note: self.store.note(SUBJECT), ..upload_of(&descriptor, &bytes) };
        let result = registry_to_push(options(), url).push_blob("some/app", upload, &|_| ());
        result.is_ok().then_some(bytes)
    }

    /// Writes what an earlier run may have noted.
    fn write(&self, text: &str) {
        self.store.note(SUBJECT).unwrap().write(text).unwrap();
    }
}

/// A registry of which nothing more is to be had once two chunks are there, until that is allowed.
fn breaking() -> (Hostile, Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>) {
    let is_broken = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&is_broken);
    let (server, arrived) = uploading(move |number, _, _| {
        (number > 2 && now.load(Ordering::SeqCst)).then(|| Answer::new(403, ""))
    });
    (server, arrived, is_broken)
}

#[test]
fn an_upload_that_a_run_did_not_end_goes_on_in_the_next_one() {
    let notes = Notes::new();
    let (server, arrived, is_broken) = breaking();
    assert!(notes.push(&server.url()).is_none());
    let mode = fs::metadata(notes.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "who has the address of an upload may write to it");
    is_broken.store(false, Ordering::SeqCst);
    assert!(notes.push(&server.url()).unwrap() == *arrived.lock().unwrap());
    assert_eq!(methods(&server), "POST PATCH PATCH PATCH GET PATCH PUT");
    assert!(!notes.path().exists(), "it has nothing to say");
}

#[test]
fn an_upload_that_the_registry_has_forgotten_or_goes_not_on_with_begins_anew() {
    for (status, expected) in [(404, "GET POST"), (204, "GET PATCH POST")] {
        let notes = Notes::new();
        let (server, arrived) = uploading(move |number, request, _| match (number, status) {
            (0, 404) => Some(Answer::new(404, "")),
            (0, _) => Some(Answer::new(204, "").header("Range", "0-999")),
            (1, 204) => Some(Answer::new(416, "")),
            _ => {
                assert!(!request.target.contains("old"), "{}", request.target);
                None
            }
        });
        notes.write(&format!("{}/v2/some/app/blobs/uploads/old", server.url()));
        assert!(notes.push(&server.url()).unwrap() == *arrived.lock().unwrap());
        assert_eq!(methods(&server), format!("{expected} PATCH PATCH PATCH PUT"));
        assert!(!notes.path().exists());
    }
}

#[test]
fn a_note_that_is_none_or_leads_elsewhere_is_not_followed() {
    for text in ["", "\u{0}", "no address", "http://169.254.169.254/upload", "file:///etc/passwd"] {
        let notes = Notes::new();
        let (server, arrived) = uploading(|_, _, _| None);
        notes.write(text);
        assert!(notes.push(&server.url()).unwrap() == *arrived.lock().unwrap());
        assert_eq!(methods(&server), "POST PATCH PATCH PATCH PUT", "{text:?}");
    }
}

#[test]
fn a_note_that_somebody_else_has_is_left_alone() {
    let notes = Notes::new();
    notes.write("http://127.0.0.1:1/upload");
    let _elsewhere = notes.store.note(SUBJECT).unwrap();
    assert!(notes.store.note(SUBJECT).is_none());
    let (server, _) = uploading(|_, _, _| None);
    assert!(notes.push(&server.url()).is_some());
    assert!(notes.path().exists());
}
