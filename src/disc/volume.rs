//! Volume descriptors (ECMA-119, section 8): the primary one, and that of Joliet.

use super::record::{Record, both16, both32};
use super::{BLOCK, DiscFault, Image};

/// What every descriptor has after its type.
pub(super) const MAGIC: &[u8; 5] = b"CD001";
/// Descriptors begin after the system area.
const FIRST: u64 = 16;
/// Honest discs have four.
const MOST: u64 = 64;
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const TERMINATOR: u8 = 255;
/// UCS-2 of three levels.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];

/// What the descriptors of a disc say.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) id: String,
    /// How many blocks the disc says it has.
    pub(super) blocks: u32,
    pub(super) root: Root,
    pub(super) joliet: Option<Root>,
}

/// The folder at the top.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// Reads the descriptors.
pub(super) fn read(image: &Image) -> Result<Volume, DiscFault> {
    let mut primary: Option<Volume> = None;
    let mut joliet = None;
    for number in FIRST..FIRST + MOST {
        let offset = number * BLOCK;
        let descriptor = image.bytes(offset, BLOCK)?;
        let fault = |problem| DiscFault::Volume { offset, problem };
        if &descriptor[1..6] != MAGIC {
            return Err(fault("is none"));
        }
        match descriptor[0] {
            PRIMARY if primary.is_none() => {
                let root = root(&descriptor).map_err(fault)?;
                let blocks = both32(&descriptor, 80).ok_or(fault("says two things of the disc's length"))?;
                primary = Some(Volume { id: identifier(&descriptor[40..72]), blocks, root, joliet: None });
            }
            SUPPLEMENTARY if JOLIET.iter().any(|escape| descriptor[88..].starts_with(escape)) => {
                joliet = Some(root(&descriptor).map_err(fault)?);
            }
            TERMINATOR => break,
            // Boot records, and what other standards put here.
            _ => {}
        }
    }
    let volume = primary.ok_or(DiscFault::NoVolume)?;
    Ok(Volume { joliet, ..volume })
}

fn root(descriptor: &[u8]) -> Result<Root, &'static str> {
    if both16(descriptor, 128) != Some(2048) {
        return Err("has blocks of another length than 2048 bytes");
    }
    let record = Record::parse(&descriptor[156..190])?;
    if !record.is_folder {
        return Err("has no folder at the top");
    }
    Ok(Root { offset: record.offset, length: record.length })
}

/// Returns an identifier without the blanks after it, fit to be shown.
fn identifier(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    text.trim_end_matches([' ', '\0']).chars().flat_map(char::escape_debug).collect()
}
