//! Rock Ridge: what Unix says of a file, in the records' system use fields.
//!
//! ```text
//! fields = ( signature[2] length version data )*
//! ```
//!
//! `CE` says where the fields go on; `ST` ends them. Fields that are not known are passed over.

use super::record::both32;
use super::{BLOCK, DiscFault, Image};

/// What a field has before its data.
const HEADER: usize = 4;
/// The most areas that one record's fields go on in; Linux follows 31.
const MOST_AREAS: usize = 32;
/// The longest such area, which has to lie within one block for Linux.
const LONGEST_AREA: u64 = BLOCK;
/// The longest name or target; `PATH_MAX` of Linux.
const LONGEST: usize = 4096;

/// What the fields of one record say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields {
    /// `NM`: the name, if it is not in the record.
    pub(super) name: Option<Vec<u8>>,
    /// `PX`: the kind of file and its permissions.
    pub(super) mode: Option<u32>,
    /// `SL`: the target of a symbolic link.
    pub(super) target: Option<Vec<u8>>,
    /// `CL`: the block of the folder that this stands for, which lies elsewhere.
    pub(super) child: Option<u32>,
    /// `RE`: it is shown elsewhere, not here.
    pub(super) is_relocated: bool,
    /// `ZF`, `SF`: the content is not what it seems.
    pub(super) is_encoded: bool,
    /// Whether the next component of a target belongs to the last one.
    component_goes_on: bool,
    name_goes_on: bool,
}

/// Returns how many bytes come before the fields of every record, if the disc has Rock Ridge.
///
/// The first record of the top folder says so, in `SP`.
pub(super) fn skip_of(system_use: &[u8]) -> Option<usize> {
    match system_use {
        [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => Some(usize::from(*skip)),
        _ => None,
    }
}

/// Reads the fields of a record, wherever they go on.
pub(super) fn read(image: &Image, system_use: &[u8]) -> Result<Result<Fields, &'static str>, DiscFault> {
    let mut fields = Fields::default();
    let mut area = system_use.to_vec();
    for _ in 0..MOST_AREAS {
        let next = match fields.take_area(&area) {
            Ok(next) => next,
            Err(problem) => return Ok(Err(problem)),
        };
        let Some(Continuation { offset, length }) = next else { return Ok(Ok(fields)) };
        if length > LONGEST_AREA {
            return Ok(Err("goes on in a longer area than any reader follows"));
        }
        area = image.bytes(offset, length)?;
    }
    Ok(Err("goes on in more areas than any reader follows"))
}

/// Where fields go on.
struct Continuation {
    offset: u64,
    length: u64,
}

impl Fields {
    /// Takes in the fields of one area; returns where they go on.
    fn take_area(&mut self, area: &[u8]) -> Result<Option<Continuation>, &'static str> {
        let mut rest = area;
        let mut next = None;
        // What is too short for a field is padding.
        while rest.len() >= HEADER {
            let length = usize::from(rest[2]);
            if rest[0] == 0 && rest[2] == 0 {
                break;
            }
            if length < HEADER || length > rest.len() {
                return Err("has a malformed field of Rock Ridge");
            }
            let (field, after) = rest.split_at(length);
            rest = after;
            let malformed = "has a malformed field of Rock Ridge";
            match &field[..2] {
                b"ST" => break,
                b"CE" => {
                    let number = |at| both32(field, at).map(u64::from).ok_or(malformed);
                    next =
                        Some(Continuation { offset: number(4)? * BLOCK + number(12)?, length: number(20)? });
                }
                b"NM" => self.take_name(&field[HEADER..]).ok_or(malformed)?,
                b"PX" => self.mode = Some(both32(field, 4).ok_or(malformed)?),
                b"SL" => self.take_target(&field[HEADER..]).ok_or(malformed)?,
                b"CL" => self.child = Some(both32(field, 4).ok_or(malformed)?),
                b"RE" => self.is_relocated = true,
                b"ZF" | b"SF" => self.is_encoded = true,
                _ => {}
            }
        }
        Ok(next)
    }

    /// `NM`: flags, then a part of the name.
    fn take_name(&mut self, data: &[u8]) -> Option<()> {
        const GOES_ON: u8 = 1;
        let (flags, part) = data.split_first()?;
        let name = self.name.get_or_insert_default();
        // A second name that the first one does not announce.
        if !name.is_empty() && !self.name_goes_on {
            return None;
        }
        name.extend(part);
        self.name_goes_on = flags & GOES_ON != 0;
        (name.len() <= LONGEST).then_some(())
    }

    /// `SL`: flags, then components: flags, length, a part of the target.
    fn take_target(&mut self, data: &[u8]) -> Option<()> {
        const GOES_ON: u8 = 1;
        const CURRENT: u8 = 2;
        const PARENT: u8 = 4;
        const ROOT: u8 = 8;
        let (_flags, mut rest) = data.split_first()?;
        let target = self.target.get_or_insert_default();
        while let [flags, length, after @ ..] = rest {
            let (content, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            let is_start = target.is_empty() || target.ends_with(b"/");
            if !is_start && !self.component_goes_on {
                target.push(b'/');
            }
            match flags & (CURRENT | PARENT | ROOT) {
                CURRENT => target.push(b'.'),
                PARENT => target.extend(b".."),
                ROOT => target.extend(b"/"),
                _ => target.extend(content),
            }
            self.component_goes_on = flags & GOES_ON != 0;
        }
        (target.len() <= LONGEST && rest.is_empty()).then_some(())
    }
}
