//! A small file as its reader finds it, whatever it is.

use std::borrow::Cow;
use std::io::Read;

use crate::pki::CertificateView;
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

    /// Returns what a person would see, unless it is an archive, a program or something else that nobody reads.
    ///
    /// Text in an encoding of before UTF-8 counts as text as long as it has no byte that only binary files have.
    pub(in crate::check) fn readable(&self) -> Option<Cow<'_, str>> {
        let is_wide = self.bytes.starts_with(&[0xff, 0xfe]) || self.bytes.starts_with(&[0xfe, 0xff]);
        let is_binary = |byte: &u8| match byte {
            b'\t' | b'\n' | b'\r' | 0x08 | 0x0c | 0x1b => false,
            0..=0x1f | 0x7f => true,
            0x20..=0x7e | 0x80..=0xff => false,
        };
        let text = self.text();
        let is_text = match (is_wide, str::from_utf8(&self.bytes)) {
            (true, _) => !text.contains(['\0', '\u{fffd}']),
            (false, Ok(text)) => !text.contains('\0'),
            (false, Err(_)) => !self.bytes.iter().any(is_binary),
        };
        is_text.then_some(text)
    }

    /// Returns it as a YAML document, or what is wrong with it.
    pub(in crate::check) fn yaml(&self) -> Result<yaml::Document, String> {
        yaml::parse(self.text().as_bytes()).map_err(|finding| finding.to_string())
    }

    /// Returns the outermost value of a YAML document that has no faults.
    pub(in crate::check) fn root(&self) -> Option<yaml::Node> {
        self.yaml().ok().map(|document| document.root)
    }

    /// Returns the certificates in it; none if one of them cannot be read.
    pub(in crate::check) fn certificates(&self) -> Vec<CertificateView> {
        CertificateView::bundle_from_pem(&self.text()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(bytes: &[u8]) -> Option<String> {
        Text { bytes: bytes.to_vec() }.readable().map(Cow::into_owned)
    }

    #[test]
    fn texts_of_every_encoding_are_readable_and_archives_and_programs_are_not() {
        let wide: Vec<u8> = "\u{feff}{{ 한 }}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(readable("이름: {{ 한 }}\n".as_bytes()).as_deref(), Some("이름: {{ 한 }}\n"));
        assert_eq!(readable(&wide).as_deref(), Some("{{ 한 }}"));
        // `이름` in the encoding that Korean Windows had before.
        assert!(readable(b"\xc0\xcc\xb8\xa7: {{ x }}\n").is_some_and(|text| text.ends_with(": {{ x }}\n")));
        for binary in [
            b"{{p\0".as_slice(),
            b"\x1f\x8b\x08\0{{p",
            b"\x28\xb5\x2f\xfd\x04{{p",
            b"\xfd7zXZ\0{%x",
            b"\x7fELF\x02\x01\x01\0{{p",
            b"!<arch>\ndebian-binary   \x1f\x8b{{p",
            b"\xff\xfe{{p\0\0\0",
            b"\xff\xfe\x00\xdc{{",
        ] {
            assert_eq!(readable(binary), None, "{binary:?}");
        }
    }
}
