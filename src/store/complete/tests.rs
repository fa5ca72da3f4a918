use std::cell::RefCell;
use std::path::PathBuf;

use fs_err as fs;

use super::*;

const CONTENT: &[u8] = b"0123456789abcdef";

fn descriptor() -> Descriptor {
    Descriptor {
        media_type: "application/octet-stream".to_owned(),
        digest: Digest::sha256(CONTENT),
        size: CONTENT.len() as u64,
    }
}

/// A store with what an earlier run left of [`CONTENT`].
fn store_with(kept: &[u8]) -> (tempfile::TempDir, DiskStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
    fs::write(partial_of(&store), kept).unwrap();
    (folder, store)
}

fn partial_of(store: &DiskStore) -> PathBuf {
    store.root().join(FOLDER).join(name_of(&descriptor().digest))
}

/// Gives the rest of `content`.
fn rest(content: &'static [u8]) -> impl FnMut(&Kept) -> Result<Opened<&'static [u8]>, ()> {
    move |kept| {
        let from = kept.length.min(content.len() as u64);
        Ok(Opened::at(kept.length, &content[from as usize..]))
    }
}

fn left(store: &DiskStore) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(store.root().join(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_an_earlier_run_left_is_hashed_and_only_the_rest_is_fetched() {
    for kept in [&b""[..], b"0", b"0123456789", CONTENT] {
        let (_folder, store) = store_with(kept);
        let mut heard = 0;
        let fetched = store.complete(&descriptor(), rest(CONTENT), |bytes| heard += bytes).unwrap();
        assert_eq!((fetched, heard), (Some(16 - kept.len() as u64), 16));
        assert!(store.check(&descriptor()).unwrap());
        assert_eq!(left(&store), [] as [&str; 0]);
        assert_eq!(store.complete(&descriptor(), rest(b""), |_| {}).unwrap(), None);
    }
}

#[test]
fn a_wrong_or_too_long_remainder_is_thrown_away_and_everything_fetched_anew_once() {
    for kept in [&b"0123x"[..], b"xxxxxxxxxxxxxxxx", b"0123456789abcdefg"] {
        let (_folder, store) = store_with(kept);
        let opened = RefCell::new(vec![]);
        let open = |kept: &Kept| {
            opened.borrow_mut().push(kept.length);
            rest(CONTENT)(kept)
        };
        store.complete(&descriptor(), open, |_| {}).unwrap();
        let expected = if kept.len() == 5 { vec![5, 0] } else { vec![0] };
        assert_eq!(opened.into_inner(), expected);
        assert!(store.check(&descriptor()).unwrap());
        assert_eq!(left(&store), [] as [&str; 0]);
    }
}

#[test]
fn a_source_that_lies_is_asked_twice_at_most_and_nothing_of_it_is_kept() {
    for (lie, times) in [(&b"0123456789abcdeX"[..], 2), (b"0123456789abcdef!", 2)] {
        let (_folder, store) = store_with(b"01234");
        let mut opened = 0;
        let open = |kept: &Kept| {
            opened += 1;
            rest(lie)(kept)
        };
        let error = store.complete(&descriptor(), open, |_| {}).unwrap_err();
        assert!(matches!(error, CompleteError::Store(StoreError::Mismatch(_))), "{error:?}");
        assert_eq!((opened, left(&store)), (times, vec![]));
    }
}

#[test]
fn what_came_before_an_end_stays_and_nothing_stays_of_nothing() {
    for (cut, expected) in [(&b"0123456"[..], Some(&b"0123456"[..])), (b"", None)] {
        let (_folder, store) = store_with(b"");
        let error = store.complete(&descriptor(), rest(cut), |_| {}).unwrap_err();
        assert!(
            matches!(error, CompleteError::Store(StoreError::Mismatch(Mismatch::Truncated { .. }))),
            "{error:?}"
        );
        assert_eq!(fs::read(partial_of(&store)).ok().as_deref(), expected);
        store.complete(&descriptor(), |_| Err::<Opened<&[u8]>, ()>(()), |_| {}).unwrap_err();
        assert_eq!(fs::read(partial_of(&store)).ok().as_deref(), expected);
    }
}

#[test]
fn the_entity_tag_is_kept_with_the_bytes_that_it_came_with() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    let digest = descriptor().digest;
    let wanted = Wanted { digest: &digest, size: Size::AtMost(100) };
    let seen = RefCell::new(vec![]);
    let fetch = |tag: Option<&str>, from: Option<u64>, reader: io::Chain<&'static [u8], Cut>| {
        let open = |kept: &Kept| {
            seen.borrow_mut().push((kept.length, kept.entity_tag.clone()));
            let from = from.unwrap_or(kept.length);
            Ok::<_, ()>(Opened { entity_tag: tag.map(str::to_owned), ..Opened::at(from, reader) })
        };
        let mut open = Some(open);
        match store.complete_staged(&wanted, |kept| open.take().expect("opened once")(kept), |_| {}) {
            Ok(Completed::Staged { size, fetched, .. }) => Some((size, fetched)),
            Ok(Completed::Present) | Err(_) => None,
        }
    };
    let cut = |bytes: &'static [u8]| bytes.chain(Cut { is_cut: true });
    let whole = |bytes: &'static [u8]| bytes.chain(Cut { is_cut: false });
    assert_eq!(fetch(None, None, cut(b"01234")), None);
    assert_eq!(fetch(None, Some(0), cut(b"01")), None);
    assert_eq!(fetch(Some("\"a\""), Some(0), cut(b"01234")), None);
    assert_eq!(fetch(Some("\"a\""), None, cut(b"567")), None);
    // Changed: from the beginning, under another tag.
    assert_eq!(fetch(Some("\"b\""), Some(0), cut(b"012")), None);
    assert_eq!(fetch(Some("\"b\""), None, whole(b"3456789abcdef")), Some((16, 13)));
    let tag = |tag: &str| Some(format!("\"{tag}\""));
    let expected = [(0, None), (5, None), (2, None), (5, tag("a")), (8, tag("a")), (3, tag("b"))];
    assert_eq!(seen.into_inner(), expected);
    assert_eq!(left(&store), [] as [&str; 0]);
}

/// The end of a content, or of a connection.
struct Cut {
    is_cut: bool,
}

impl Read for Cut {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if self.is_cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(0) }
    }
}

#[test]
fn who_comes_second_waits_and_finds_the_content_there() {
    let (_folder, store) = store_with(b"0123");
    let opened = std::sync::atomic::AtomicUsize::new(0);
    let fetched: Vec<_> = std::thread::scope(|scope| {
        let complete = || {
            let open = |kept: &Kept| {
                opened.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                rest(CONTENT)(kept)
            };
            store.complete(&descriptor(), open, |_| {}).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(complete)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(fetched.iter().flatten().collect::<Vec<_>>(), [&12]);
    assert_eq!(opened.into_inner(), 1);
    assert_eq!(left(&store), [] as [&str; 0]);
}

#[test]
fn what_nobody_continues_is_forgotten_and_what_is_in_use_is_not() {
    let (_folder, store) = store_with(b"0123");
    fs::write(store.root().join(FOLDER).join("sha256-alone.tag"), "\"a\"").unwrap();
    store.forget_partials(1).unwrap();
    assert_eq!(left(&store), [name_of(&descriptor().digest)]);
    let in_use = Partial::claim(&store.root().join(FOLDER), &name_of(&descriptor().digest), || false);
    store.forget_partials(u64::MAX).unwrap();
    assert_eq!(left(&store).len(), 1);
    drop(in_use);
    store.forget_partials(u64::MAX).unwrap();
    assert_eq!(left(&store), [] as [&str; 0]);
    // What is whole in the store needs no part of it.
    fs::write(partial_of(&store), "0123").unwrap();
    store.push(&descriptor(), CONTENT, |_| {}).unwrap();
    store.forget_partials(1).unwrap();
    assert_eq!(left(&store), [] as [&str; 0]);
}

// The tag was written through a link, and a note too: a file elsewhere got their content.
#[test]
fn links_and_second_names_among_the_parts_are_taken_out_and_never_written_through() {
    use fs_err::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    fs::write(&precious, "0123 mine").unwrap();
    let put: [fn(&std::path::Path, &std::path::Path) -> io::Result<()>; 2] =
        [|from, to| symlink(from, to), |from, to| fs::hard_link(from, to)];
    for put in put {
        let (_folder, store) = store_with(b"");
        let [part, tag] =
            ["", ".tag"].map(|end| PathBuf::from(format!("{}{end}", partial_of(&store).display())));
        let note = store.note("upload").unwrap();
        note.write("there").unwrap();
        drop(note);
        let named_note = |name: &String| name.starts_with("note-").then(|| part.with_file_name(name));
        let note = left(&store).iter().find_map(named_note).unwrap();
        for path in [&part, &tag, &note] {
            let _there_or_not = fs::remove_file(path);
            put(&precious, path).unwrap();
        }
        let cut = (&CONTENT[..6]).chain(Cut { is_cut: true });
        let opened = Opened { entity_tag: Some("\"a\"".to_owned()), ..Opened::at(0, cut) };
        let mut opened = Some(opened);
        store
            .complete(
                &descriptor(),
                |kept| {
                    assert_eq!(*kept, Kept { total: Some(16), ..Kept::default() });
                    opened.take().ok_or(())
                },
                |_| {},
            )
            .unwrap_err();
        store.note("upload").unwrap().write("elsewhere").unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "0123 mine");
        assert_eq!(
            (fs::read(&part).unwrap(), fs::read(&tag).unwrap()),
            (CONTENT[..6].to_vec(), b"\"a\"".to_vec())
        );
        store.complete(&descriptor(), rest(CONTENT), |_| {}).unwrap();
        assert!(store.is_whole(&descriptor()));
    }
}

#[test]
fn links_among_the_parts_are_forgotten_with_them() {
    let (_folder, store) = store_with(b"");
    let _ = fs::remove_file(partial_of(&store));
    fs_err::os::unix::fs::symlink("/dev/zero", partial_of(&store)).unwrap();
    store.forget_partials(1).unwrap();
    assert_eq!(left(&store), [] as [&str; 0]);
}
