//! Rock Ridge: what POSIX knows of a file and ECMA-119 does not.
//!
//! Every record of the primary tree carries *fields* behind its identifier: two letters, length, version,
//! content (SUSP, IEEE P1281). RRIP 1991A defines those that we write:
//!
//! * `SP` in the root's first record: the protocol is in use. `ER`: it is `RRIP_1991A`.
//! * `PX` mode, links, user 0, group 0. `TF` dates. `NM` the name. `SL` the target of a symbolic link.
//! * `CE`: further fields are in the directory's *continuation area*, at this block, offset and length.
//!
//! A piece of the continuation area lies inside one block; a longer one ends in another `CE`. Areas follow
//! the directory that uses them, because libarchive follows pointers forward only.

use super::encode::{both_u32, room_in_block, short_date};
use crate::epoch::Epoch;

const CE_LENGTH: usize = 28;
/// What an `NM` or `SL` has room for behind its flags: a field has at most 255 bytes.
const FIELD_ROOM: usize = 250;

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// One field, encoded.
pub(super) type Field = Vec<u8>;

fn field(signature: &[u8; 2], content: &[u8]) -> Field {
    let length = u8::try_from(content.len() + 4).expect("callers split what does not fit a field");
    let mut field = vec![signature[0], signature[1], length, 1];
    field.extend_from_slice(content);
    field
}

/// Announces the protocol; the first field of the root's first record.
pub(super) fn sharing_protocol() -> Field {
    field(b"SP", &[0xBE, 0xEF, 0])
}

/// Names the extension in use.
pub(super) fn extension_reference() -> Field {
    const IDENTIFIER: &str = "RRIP_1991A";
    const DESCRIPTION: &str =
        "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
    const SOURCE: &str = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  \
         SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.";
    let lengths = [IDENTIFIER, DESCRIPTION, SOURCE]
        .map(|text| u8::try_from(text.len()).expect("the texts above are short"));
    let mut content = lengths.to_vec();
    content.push(1);
    content.extend([IDENTIFIER, DESCRIPTION, SOURCE].concat().bytes());
    field(b"ER", &content)
}

/// Describes a directory with so many directories in it.
pub(super) fn directory(mode: u32, subdirectories: usize) -> Field {
    // A directory is linked from its parent, from its own `.` and from each child's `..`.
    posix(
        DIRECTORY | mode,
        u32::try_from(subdirectories + 2).expect("a volume has at most 65535 directories"),
    )
}

/// Describes a regular file.
pub(super) fn regular(mode: u32) -> Field {
    posix(REGULAR | mode, 1)
}

/// Describes a symbolic link.
pub(super) fn symlink() -> Field {
    posix(SYMLINK | 0o777, 1)
}

fn posix(mode: u32, links: u32) -> Field {
    field(b"PX", &[both_u32(mode), both_u32(links), both_u32(0), both_u32(0)].concat())
}

/// Dates the last modification, access and change.
pub(super) fn timestamps(epoch: Epoch) -> Field {
    const MODIFIED_ACCESSED_CHANGED: u8 = 0x02 | 0x04 | 0x08;
    let date = short_date(epoch);
    field(b"TF", &[&[MODIFIED_ACCESSED_CHANGED][..], &date, &date, &date].concat())
}

/// Gives the name as it is.
pub(super) fn name(name: &str) -> Vec<Field> {
    let pieces: Vec<_> = name.as_bytes().chunks(FIELD_ROOM).collect();
    continued(b"NM", &pieces.iter().map(|piece| piece.to_vec()).collect::<Vec<_>>())
}

/// Gives the target of a symbolic link; repeated and trailing slashes, which mean nothing, are dropped.
pub(super) fn target(target: &str) -> Vec<Field> {
    let mut components = Components { fields: vec![Vec::new()] };
    if target.starts_with('/') {
        components.push(Component::Root, "");
    }
    let mut texts = target.split('/').filter(|text| !text.is_empty()).peekable();
    while let Some(text) = texts.next() {
        match text {
            "." => components.push(Component::Current, ""),
            ".." => components.push(Component::Parent, ""),
            text => components.push_text(text.as_bytes(), texts.peek().is_none()),
        }
    }
    continued(b"SL", &components.fields)
}

/// The kinds of components, and their flags (RRIP 4.1.3.1).
#[derive(Debug, Clone, Copy)]
enum Component {
    Text = 0,
    TextThatGoesOn = 1,
    Current = 2,
    Parent = 4,
    Root = 8,
}

/// The components of a target, in as many `SL` as they need.
///
/// libarchive forgets the slash between two fields unless a component goes on from one to the other, so
/// fields end inside a component where they can.
struct Components {
    fields: Vec<Vec<u8>>,
}

impl Components {
    const HEADER: usize = 2;

    fn push_text(&mut self, mut text: &[u8], is_last: bool) {
        loop {
            let room = self.room().saturating_sub(Self::HEADER);
            // The next component has to begin in this field, if only with nothing.
            let reserve = if is_last { 0 } else { Self::HEADER };
            if text.len() + reserve <= room {
                return self.push(Component::Text, text);
            }
            let (here, rest) = text.split_at(room.min(text.len() - 1));
            if self.room() >= Self::HEADER {
                self.push(Component::TextThatGoesOn, here);
            }
            self.fields.push(Vec::new());
            text = rest;
        }
    }

    fn push(&mut self, component: Component, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        if Self::HEADER + text.len() > self.room() {
            self.fields.push(Vec::new());
        }
        let length = u8::try_from(text.len()).expect("a component is cut to what a field has room for");
        let field = self.fields.last_mut().expect("there is always one");
        field.extend([component as u8, length]);
        field.extend(text);
    }

    fn room(&self) -> usize {
        FIELD_ROOM - self.fields.last().map_or(0, Vec::len)
    }
}

/// Makes fields of one kind whose flags say that the next one goes on.
fn continued(signature: &[u8; 2], contents: &[Vec<u8>]) -> Vec<Field> {
    let last = contents.len().saturating_sub(1);
    let flagged = |(index, content): (usize, &Vec<u8>)| {
        field(signature, &[&[u8::from(index < last)], content.as_slice()].concat())
    };
    contents.iter().enumerate().map(flagged).collect()
}

/// The continuation area of one directory.
#[derive(Debug)]
pub(super) struct ContinuationArea {
    first_block: u32,
    bytes: Vec<u8>,
}

impl ContinuationArea {
    /// Starts an empty area, which will be written from `first_block` on.
    pub(super) fn starting_at(first_block: u32) -> Self {
        Self { first_block, bytes: Vec::new() }
    }

    /// Returns the bytes of the area.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns `fields` in at most `room` bytes: what does not fit goes into the area, behind a `CE`.
    pub(super) fn place(&mut self, fields: &[Field], room: usize) -> Vec<u8> {
        if length(fields) <= room {
            return fields.concat();
        }
        let kept = (0..fields.len())
            .rev()
            .find(|&count| length(&fields[..count]) + CE_LENGTH <= room)
            .expect("a record has room for a `CE`, and a block for more");
        let (here, elsewhere) = fields.split_at(kept);
        [here.concat(), self.store(elsewhere)].concat()
    }

    /// Puts `fields` into the area and returns the `CE` that points to them.
    fn store(&mut self, fields: &[Field]) -> Field {
        let wanted = length(fields);
        if wanted > room_in_block(self.bytes.len()) {
            let next_block = self.bytes.len().next_multiple_of(super::encode::BLOCK);
            self.bytes.resize(next_block, 0);
        }
        let start = self.bytes.len();
        let room = room_in_block(start);
        // Reserved before it is filled: what does not fit this block follows in the next ones.
        self.bytes.resize(start + wanted.min(room), 0);
        let piece = self.place(fields, room);
        self.bytes[start..start + piece.len()].copy_from_slice(&piece);
        self.pointer(start, piece.len())
    }

    fn pointer(&self, start: usize, length: usize) -> Field {
        let number = |number: usize| u32::try_from(number).expect("an area is shorter than 4 GiB");
        let block = self.first_block + number(start / super::encode::BLOCK);
        let offset = number(start % super::encode::BLOCK);
        field(b"CE", &[both_u32(block), both_u32(offset), both_u32(number(length))].concat())
    }
}

fn length(fields: &[Field]) -> usize {
    fields.iter().map(Vec::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_253_bytes_takes_two_fields() {
        let fields = name(&"n".repeat(253));
        assert_eq!(fields.iter().map(Vec::len).collect::<Vec<_>>(), [255, 8]);
        assert_eq!((fields[0][4], fields[1][4]), (1, 0));
    }

    #[test]
    fn targets_are_written_by_component() {
        let bytes = |content: &[u8]| vec![field(b"SL", content)];
        assert_eq!(target("/a"), bytes(&[0, 8, 0, 0, 1, b'a']));
        assert_eq!(target(".././/b/"), bytes(&[0, 4, 0, 2, 0, 0, 1, b'b']));
        assert_eq!(target("/"), bytes(&[0, 8, 0]));
    }

    #[test]
    fn fields_of_a_target_end_inside_a_component() {
        // Whatever its length, the second component does not end where the first field does.
        for length in 1..=255 {
            let fields = target(&format!("{}/{}/{}", "a".repeat(100), "b".repeat(length), "c".repeat(255)));
            let (mut last, mut rest) = (0xFF, &fields[0][5..]);
            while let [flags, length, text @ ..] = rest {
                (last, rest) = (*flags, &text[usize::from(*length)..]);
            }
            assert_eq!(last, Component::TextThatGoesOn as u8, "{length}");
            assert!(fields.iter().all(|field| field.len() <= 255));
        }
    }

    #[test]
    fn what_does_not_fit_goes_on_in_whole_blocks() {
        let mut area = ContinuationArea::starting_at(100);
        let fields: Vec<_> = (0..20).map(|byte| field(b"XX", &[byte; 246])).collect();
        let here = area.place(&fields, 300);
        assert_eq!(here.len(), 250 + CE_LENGTH);
        assert_eq!(here[250 + 4..250 + 8], 100_u32.to_le_bytes());
        let bytes = area.into_bytes();
        // 8 fields and a pointer in each full block, the remaining 3 in the third.
        assert_eq!(bytes.len(), 2 * 2048 + 3 * 250);
        assert_eq!(bytes[8 * 250..8 * 250 + 2], *b"CE");
        assert_eq!(bytes[8 * 250 + 4..8 * 250 + 8], 101_u32.to_le_bytes());
    }

    #[test]
    fn small_pieces_share_a_block_and_cross_none() {
        let mut area = ContinuationArea::starting_at(0);
        for _ in 0..10 {
            area.place(&[field(b"XX", &[0; 246]), field(b"XX", &[0; 246])], 40);
        }
        // Four pieces of 500 bytes fit a block.
        assert_eq!(area.into_bytes().len(), 2 * 2048 + 2 * 500);
    }
}
