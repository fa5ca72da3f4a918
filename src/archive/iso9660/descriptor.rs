//! Volume descriptors (ECMA-119, 8.4 and 8.5): what the volume is called and where its two trees begin.

use super::Volume;
use super::encode::{BLOCK, NO_DATE, both_u16, both_u32, long_date, ucs2};
use super::layout::PathTables;
use super::view::View;

impl Volume {
    /// Encodes the descriptor of one tree, in one block.
    ///
    /// Publisher, preparer and application stay blank: a tool's version in there would change the bytes.
    pub(super) fn descriptor(&self, view: View) -> Vec<u8> {
        let text = |content: &str, length: usize| padded(view, content, length);
        let PathTables { length, little_endian, big_endian } = *self.layout.tables.of(view);
        let (kind, escape_sequences): (u8, &[u8]) = match view {
            View::Primary => (1, b""),
            // UCS-2, level 3: any name of the Joliet specification.
            View::Joliet => (2, b"%/E"),
        };
        let mut bytes = header(kind);
        bytes.push(0);
        bytes.extend(text("", 32));
        bytes.extend(text(self.volume_id.as_str(), 32));
        bytes.extend([0; 8]);
        bytes.extend(both_u32(self.layout.blocks));
        bytes.extend(escape_sequences);
        bytes.resize(120, 0);
        bytes.extend([both_u16(1), both_u16(1), both_u16(BLOCK as u16)].concat());
        bytes.extend(both_u32(length));
        // Each kind of table may have a second copy; there is none.
        bytes.extend([little_endian.to_le_bytes(), [0; 4], big_endian.to_be_bytes(), [0; 4]].concat());
        bytes.extend(self.root_record(view));
        // Volume set, publisher, preparer, application; copyright, abstract and bibliographic file.
        for length in [128, 128, 128, 128, 37, 37, 37] {
            bytes.extend(text("", length));
        }
        let date = long_date(self.epoch);
        bytes.extend([date, date, NO_DATE, NO_DATE].concat());
        bytes.push(1);
        bytes.resize(BLOCK, 0);
        bytes
    }
}

/// Returns the descriptor that ends the set (8.3).
pub(super) fn terminator() -> Vec<u8> {
    let mut bytes = header(255);
    bytes.resize(BLOCK, 0);
    bytes
}

fn header(kind: u8) -> Vec<u8> {
    [&[kind][..], b"CD001", &[1]].concat()
}

/// Returns a text filled up with spaces; an odd byte that holds no UCS-2 unit is zero.
fn padded(view: View, content: &str, length: usize) -> Vec<u8> {
    let (mut bytes, space): (_, &[u8]) = match view {
        View::Primary => (content.as_bytes().to_vec(), b" "),
        View::Joliet => (ucs2(content), b"\0 "),
    };
    while bytes.len() + space.len() <= length {
        bytes.extend(space);
    }
    bytes.resize(length, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_filled_with_spaces_of_their_tree() {
        assert_eq!(padded(View::Primary, "ab", 4), b"ab  ");
        assert_eq!(padded(View::Joliet, "a", 5), b"\0a\0 \0");
    }
}
