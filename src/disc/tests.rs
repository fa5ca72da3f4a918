//! Discs of our own writer, changed where a hostile one would be; the programs of others write in `tests/it/disc`.

use std::io::Write as _;

use super::*;
use crate::archive::iso9660::{self, Options};
use crate::tree::FileTree;

/// The first blocks hold nothing; descriptors are in the next ones.
const PRIMARY: usize = 16 * 2048;

/// Returns the image of a disc with such files, and no padding at its end.
fn image(paths: &[&str]) -> Vec<u8> {
    let mut tree = FileTree::new();
    for path in paths {
        tree.insert_file(path, 0o640, format!("content of {path}")).unwrap();
    }
    tree.insert("link", crate::tree::Entry::Symlink { target: "../up/and/down".to_owned() }).unwrap();
    let options = Options { volume_id: "CIDATA".parse().unwrap(), epoch: "1763683200".parse().unwrap() };
    let mut image = Vec::new();
    iso9660::plan(&tree, &options).unwrap().write(&mut image).unwrap();
    image
}

fn open(image: &[u8]) -> Result<Disc, DiscFault> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(image).unwrap();
    Disc::open(file)
}

fn content(disc: &Disc, path: &str) -> String {
    let mut text = String::new();
    disc.open_content(disc.file(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Returns where in an image some bytes are, once.
fn find(image: &[u8], bytes: &[u8]) -> usize {
    let mut found = image.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes);
    let place = found.next().unwrap().0;
    assert!(found.next().is_none(), "{bytes:?} is there twice");
    place
}

/// Returns where the record of an identifier begins, in the folders of ISO 9660 itself.
fn record(image: &[u8], identifier: &[u8]) -> usize {
    find(image, &[&[identifier.len() as u8], identifier].concat()) - 32
}

fn set_both(image: &mut [u8], at: usize, value: u32) {
    image[at..at + 4].copy_from_slice(&value.to_le_bytes());
    image[at + 4..at + 8].copy_from_slice(&value.to_be_bytes());
}

fn get(image: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(image[at..at + 4].try_into().unwrap())
}

#[test]
fn a_disc_is_read_down_to_its_bytes() {
    let disc = open(&image(&["a/b/c.txt", "a-b", "Ü 가"])).unwrap();
    let listed: Vec<(&str, Option<u32>)> =
        disc.entries().iter().map(|entry| (entry.path.as_str(), entry.mode)).collect();
    let (file, folder, link) = (Some(0o640), Some(0o755), Some(0o777));
    assert_eq!(
        listed,
        [("a", folder), ("a-b", file), ("a/b", folder), ("a/b/c.txt", file), ("link", link), ("Ü 가", file)]
    );
    assert_eq!(disc.entries()[4].kind, EntryKind::Link("../up/and/down".to_owned()));
    assert_eq!((disc.volume_id(), disc.names()), ("CIDATA", Names::RockRidge));
    assert_eq!(content(&disc, "a/b/c.txt"), "content of a/b/c.txt");
    assert_eq!(disc.file("a/b"), None);
    assert_eq!(disc.length(), disc.stated_length());
}

#[test]
fn a_disc_cut_anywhere_has_no_content_from_beyond_its_end() {
    let image = image(&["a/b", "c"]);
    for length in (0..image.len()).step_by(97) {
        match open(&image[..length]) {
            Err(_) => {}
            Ok(disc) => {
                assert!(disc.length() < disc.stated_length());
                assert_eq!(content(&disc, "a/b"), "content of a/b");
                assert_eq!(content(&disc, "c"), "content of c");
            }
        }
    }
}

#[test]
fn no_byte_of_a_disc_makes_the_reader_panic_or_go_on_for_ever() {
    let image = image(&["a/b", "c", &"n".repeat(250)]);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&image).unwrap();
    // Most of the first blocks are zeros; every sixteenth of these will do.
    let is_chosen = |position: &usize| image[*position] != 0 || position.is_multiple_of(16);
    for position in (PRIMARY..PRIMARY + 24 * 2048).filter(is_chosen) {
        let change = [0x01, 0x80, 0xff][position % 3];
        file.write_all_at(&[image[position] ^ change], position as u64).unwrap();
        if let Ok(disc) = Disc::open(file.try_clone().unwrap()) {
            for entry in disc.entries() {
                if let EntryKind::File(content) = &entry.kind {
                    let read = io::copy(&mut disc.open_content(content), &mut io::sink()).unwrap();
                    assert_eq!(read, content.size());
                }
            }
        }
        file.write_all_at(&image[position..=position], position as u64).unwrap();
    }
}

#[test]
fn a_folder_that_is_in_itself_is_a_loop() {
    let mut image = image(&["folder/file"]);
    let root = get(&image, PRIMARY + 156 + 2);
    let record = record(&image, b"FOLDER");
    set_both(&mut image, record + 2, root);
    let fault = open(&image).unwrap_err();
    assert_eq!(fault.to_string(), "the folder `folder` is one that is above or beside it too");
}

#[test]
fn numbers_that_differ_in_their_two_forms_are_refused() {
    let mut image = image(&["file"]);
    let place = record(&image, b"FILE.;1") + 2;
    image[place] ^= 1;
    let fault = open(&image).unwrap_err().to_string();
    assert!(fault.contains("says two things of where the content is"), "{fault}");
}

#[test]
fn contents_and_folders_beyond_the_end_are_refused() {
    for (field, value) in [(2, 0x00ff_ffff), (10, 0xffff_f000)] {
        for identifier in [&b"FILE.;1"[..], b"FOLDER"] {
            let mut image = image(&["file", "folder/x"]);
            let place = record(&image, identifier) + field;
            set_both(&mut image, place, value);
            let fault = open(&image).unwrap_err();
            assert!(matches!(fault, DiscFault::Truncated { .. } | DiscFault::TooMany), "{fault}");
        }
    }
}

#[test]
fn names_that_are_paths_are_refused() {
    for (name, change) in [
        (&b"NM\x09\x01\x00abcd"[..], &b"NM\x09\x01\x00../x"[..]),
        (b"NM\x09\x01\x00abcd", b"NM\x09\x01\x00a\x1b[2"),
    ] {
        let mut image = image(&["abcd"]);
        let place = find(&image, name);
        image[place..place + change.len()].copy_from_slice(change);
        let fault = open(&image).unwrap_err().to_string();
        assert!(fault.contains("which cannot be") && !fault.contains('\u{1b}'), "{fault}");
    }
    let mut image = image(&["abcd", "efgh"]);
    let place = find(&image, b"NM\x09\x01\x00efgh");
    image[place + 5..place + 9].copy_from_slice(b"abcd");
    assert_eq!(open(&image).unwrap_err().to_string(), "it has `abcd` twice");
}

#[test]
fn fields_that_go_on_for_ever_end() {
    // A long name goes on elsewhere; there the fields are made to go on in themselves.
    let mut image = image(&[&"n".repeat(250)]);
    let places: Vec<usize> =
        image.windows(4).enumerate().filter(|(_, field)| *field == b"CE\x1c\x01").map(|(at, _)| at).collect();
    let place = *places.last().unwrap();
    let (block, offset) = (get(&image, place + 4), get(&image, place + 12));
    let area = block as usize * 2048 + offset as usize;
    let mut field = b"CE\x1c\x01".to_vec();
    field.resize(28, 0);
    set_both(&mut field, 4, block);
    set_both(&mut field, 12, offset);
    set_both(&mut field, 20, 28);
    image[area..area + 28].copy_from_slice(&field);
    set_both(&mut image, place + 20, 28);
    let fault = open(&image).unwrap_err().to_string();
    assert!(fault.contains("goes on in more areas than any reader follows"), "{fault}");
}

#[test]
fn what_is_no_disc_is_refused() {
    assert!(matches!(open(b"").unwrap_err(), DiscFault::Truncated { .. }));
    let mut other = image(&["a"]);
    other[PRIMARY + 1] = b'X';
    assert!(open(&other).unwrap_err().to_string().contains("its volume descriptor at byte 32768 is none"));
    let mut none = image(&["a"]);
    none[PRIMARY] = 0;
    assert_eq!(open(&none).unwrap_err().to_string(), "it has no primary volume descriptor");
    let mut blocks = image(&["a"]);
    blocks[PRIMARY + 128..PRIMARY + 132].copy_from_slice(&[0, 2, 2, 0]);
    assert!(open(&blocks).unwrap_err().to_string().contains("blocks of another length"));
}
