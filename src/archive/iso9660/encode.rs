//! Numbers, dates and sectors as ECMA-119 writes them.

use crate::epoch::Epoch;

/// The size of a logical block, and of a sector.
pub(super) const BLOCK: usize = 2048;

/// Returns how many blocks `bytes` take.
pub(super) fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK as u64)
}

/// Returns the free bytes of the block that `length` bytes have begun; a whole block if none has begun.
pub(super) fn room_in_block(length: usize) -> usize {
    BLOCK - length % BLOCK
}

/// Writes a 16-bit number little-endian, then big-endian (7.2.3).
pub(super) fn both_u16(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

/// Writes a 32-bit number little-endian, then big-endian (7.3.3).
pub(super) fn both_u32(number: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

/// Returns a text in UCS-2, big-endian; the text has no character outside the basic plane.
pub(super) fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Writes a date in the seven bytes of directory records (9.1.5) and Rock Ridge: UTC, years since 1900.
pub(super) fn short_date(epoch: Epoch) -> [u8; 7] {
    let date = epoch.date_time();
    let year = u8::try_from(date.year() - 1900).expect("an epoch lies between 1980 and 2100");
    [year, date.month().into(), date.day(), date.hour(), date.minute(), date.second(), 0]
}

/// Writes a date in the seventeen bytes of volume descriptors (8.4.26.1): sixteen digits and the offset, UTC.
pub(super) fn long_date(epoch: Epoch) -> [u8; 17] {
    let date = epoch.date_time();
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}00\0",
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute(),
        date.second()
    );
    text.as_bytes().try_into().expect("sixteen digits and one byte")
}

/// What stands where a volume descriptor has no date.
pub(super) const NO_DATE: [u8; 17] = *b"0000000000000000\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_utc() {
        let epoch = "1763683201".parse().unwrap();
        assert_eq!(short_date(epoch), [125, 11, 21, 0, 0, 1, 0]);
        assert_eq!(&long_date(epoch), b"2025112100000100\0");
        assert_eq!(short_date("4102444800".parse().unwrap())[0], 200);
    }

    #[test]
    fn numbers_stand_in_both_orders() {
        assert_eq!(both_u16(0x0102), [2, 1, 1, 2]);
        assert_eq!(both_u32(0x0102_0304), [4, 3, 2, 1, 1, 2, 3, 4]);
    }
}
