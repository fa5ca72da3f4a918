//! A small file as its reader finds it, whatever it is.

use std::borrow::Cow;
use std::io::Read;

use crate::yaml;

/// The largest text that is kept: as much as the YAML parser takes, and one byte to show that there is more.
pub(super) const LARGEST: usize = yaml::MAXIMUM_SIZE + 1;

/// The bytes of a small file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct Text {
    pub(in crate::check) bytes: Vec<u8>,
}

impl Text {
    /// Reads no more than what is kept of a text; a file that cannot be read is hashed as such elsewhere.
    pub(super) fn read(input: &mut dyn std::io::BufRead) -> Self {
        let mut bytes = Vec::new();
        let _shown_by_the_digest = input.take(LARGEST as u64).read_to_end(&mut bytes);
        Self { bytes }
    }

    /// Returns what a person would see, in whatever encoding it was saved.
    pub(in crate::check) fn text(&self) -> Cow<'_, str> {
        let wide = |from: fn([u8; 2]) -> u16| {
            let units = self.bytes[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
            Cow::Owned(char::decode_utf16(units).map(|one| one.unwrap_or('\u{fffd}')).collect())
        };
        match self.bytes.as_slice() {
            [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
            [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
            [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
            all => String::from_utf8_lossy(all),
        }
    }

    /// Returns it as a YAML document, or what is wrong with it.
    pub(in crate::check) fn yaml(&self) -> Result<yaml::Document, String> {
        yaml::parse(self.text().as_bytes()).map_err(|finding| finding.to_string())
    }

    /// Returns the outermost value of a YAML document that has no faults.
    pub(in crate::check) fn root(&self) -> Option<yaml::Node> {
        self.yaml().ok().map(|document| document.root)
    }
}
