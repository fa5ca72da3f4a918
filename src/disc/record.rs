//! Directory records (ECMA-119, section 9.1), and numbers that are there twice.

use super::BLOCK;

const FLAG_DIRECTORY: u8 = 0x02;
const FLAG_ASSOCIATED: u8 = 0x04;
const FLAG_MORE_EXTENTS: u8 = 0x80;
/// What a record has before its name.
const FIXED: usize = 33;

/// One record, as it is on the disc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) identifier: &'a [u8],
    /// Where the content begins, in bytes.
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) is_folder: bool,
    /// A second fork, which nobody means.
    pub(super) is_associated: bool,
    /// Whether the next record goes on with the same file.
    pub(super) has_more: bool,
    /// Where Rock Ridge has its fields.
    pub(super) system_use: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record that fills `bytes`.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        if bytes.len() < FIXED + 1 {
            return Err("is shorter than any record");
        }
        let name = usize::from(bytes[32]);
        let identifier = bytes.get(FIXED..FIXED + name).ok_or("has a name that does not fit into it")?;
        // The name is padded to an even offset.
        let system_use = bytes.get((FIXED + name).next_multiple_of(2)..).unwrap_or_default();
        let extent = both32(bytes, 2).ok_or("says two things of where the content is")?;
        let length = both32(bytes, 10).ok_or("says two things of how long the content is")?;
        let flags = bytes[25];
        if bytes[26] != 0 || bytes[27] != 0 {
            return Err("is of an interleaved file, which is not read");
        }
        if name == 0 {
            return Err("has no name");
        }
        Ok(Self {
            identifier,
            // The content comes after an extended attribute record, if there is one.
            offset: (u64::from(extent) + u64::from(bytes[1])) * BLOCK,
            length,
            is_folder: flags & FLAG_DIRECTORY != 0,
            is_associated: flags & FLAG_ASSOCIATED != 0,
            has_more: flags & FLAG_MORE_EXTENTS != 0,
            system_use,
        })
    }

    /// Whether it is `.` or `..`.
    pub(super) fn is_dot(&self) -> bool {
        matches!(self.identifier, [0 | 1])
    }
}

/// Reads a number that is there in both byte orders, one after the other; `None` if they differ.
pub(super) fn both32(bytes: &[u8], at: usize) -> Option<u32> {
    let field: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    let [a, b, c, d, e, f, g, h] = field;
    let (little, big) = (u32::from_le_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    (little == big).then_some(little)
}

/// Reads a short number that is there in both byte orders; `None` if they differ.
pub(super) fn both16(bytes: &[u8], at: usize) -> Option<u16> {
    let field: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    let [a, b, c, d] = field;
    let (little, big) = (u16::from_le_bytes([a, b]), u16::from_be_bytes([c, d]));
    (little == big).then_some(little)
}
