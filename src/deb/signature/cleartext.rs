//! Takes a text apart that carries its own signatures, as `InRelease` does.
//!
//! ```text
//! file   = "-----BEGIN PGP SIGNED MESSAGE-----" *( "Hash:" names ) blank-line
//!          *( line | "- " line-that-begins-with-a-hyphen ) armor
//! armor  = "-----BEGIN PGP SIGNATURE-----" … "-----END PGP SIGNATURE-----"
//! ```
//!
//! See RFC 9580, section 7.
//!
//! # Why
//! Not rPGP's own reader: its time grows with the square of the number of lines, and what it hands out has
//! other line ends than the text to read. Here what is hashed and what is read are made of the same lines.

use super::InvalidSignedText;

const MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";

/// A signed text in its parts; nothing is known yet about whether the signatures are good.
pub(super) struct Cleartext<'text> {
    /// Without escapes, and without blanks at the ends of lines, which no signature covers.
    lines: Vec<&'text str>,
    /// The signatures, with their armor.
    pub(super) armor: &'text str,
}

impl<'text> Cleartext<'text> {
    /// Takes `text` apart; it is an error if anything stands before or after.
    pub(super) fn parse(text: &'text str) -> Result<Self, InvalidSignedText> {
        let mut rest = text;
        let mut number = 0;
        let mut next = || {
            let line = take_line(&mut rest)?;
            number += 1;
            Some((line, number))
        };
        if next().is_none_or(|(line, _)| line != MESSAGE) {
            return Err(InvalidSignedText::Begin);
        }
        loop {
            match next() {
                Some(("", _)) => break,
                Some((line, _)) if line.starts_with("Hash: ") => {}
                Some((_, line)) => return Err(InvalidSignedText::Header(line)),
                None => return Err(InvalidSignedText::End),
            }
        }
        let mut lines = Vec::new();
        loop {
            let (line, number) = next().ok_or(InvalidSignedText::End)?;
            if line == SIGNATURE {
                break;
            }
            let escaped = line.strip_prefix("- ");
            if escaped.is_none() && line.starts_with('-') {
                return Err(InvalidSignedText::Unescaped(number));
            }
            let line = escaped.unwrap_or(line);
            // Signatures cover a carriage return in different ways in different programs.
            if line.contains('\r') {
                return Err(InvalidSignedText::CarriageReturn(number));
            }
            lines.push(line.trim_end_matches([' ', '\t']));
        }
        Ok(Self { lines, armor: armor(rest)? })
    }

    /// Returns the text as it is to be read: every line with a line end.
    pub(super) fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Returns the text as it was signed: CR LF between the lines, none after the last.
    pub(super) fn signed(&self) -> String {
        self.lines.join("\r\n")
    }
}

/// Cuts the first line off, and its line end, of which a carriage return is a part.
fn take_line<'text>(rest: &mut &'text str) -> Option<&'text str> {
    if rest.is_empty() {
        return None;
    }
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    Some(line.strip_suffix('\r').unwrap_or(line))
}

/// Returns the armor whose first line was just read; only blanks may follow it.
fn armor(body: &str) -> Result<&str, InvalidSignedText> {
    let (inside, after) = body.split_once(END).ok_or(InvalidSignedText::End)?;
    if !after.trim_ascii().is_empty() {
        return Err(InvalidSignedText::Trailing);
    }
    if inside.contains("-----") { Err(InvalidSignedText::Trailing) } else { Ok(inside) }
}

/// Returns the armor's lines with both of its ends, as rPGP reads them.
pub(super) fn with_ends(inside: &str) -> String {
    format!("{SIGNATURE}\n{inside}{END}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(body: &str) -> String {
        format!("{MESSAGE}\nHash: SHA512\n\n{body}{SIGNATURE}\n\nAAAA\n{END}\n")
    }

    #[test]
    fn what_is_read_and_what_is_signed_are_the_same_lines() {
        let file = file("A: 1 \t\n- -dashed\n\nlast\n");
        let found = Cleartext::parse(&file).unwrap();
        assert_eq!(found.text(), "A: 1\n-dashed\n\nlast\n");
        assert_eq!(found.signed(), "A: 1\r\n-dashed\r\n\r\nlast");
        assert_eq!(with_ends(found.armor), format!("{SIGNATURE}\n\nAAAA\n{END}\n"));
        let with_carriage_returns = file.replace('\n', "\r\n");
        assert_eq!(Cleartext::parse(&with_carriage_returns).unwrap().signed(), found.signed());
    }

    #[test]
    fn what_another_reader_could_take_for_signed_is_refused() {
        let good = file("A: 1\n");
        for (hostile, message) in [
            (format!("\n{good}"), "does not begin with"),
            (format!("Extra: 1\n{good}"), "does not begin with"),
            (good.replacen("Hash: SHA512", "Extra: 1", 1), "line 2 is not a header"),
            (good.replacen("\n\n", "\n \n", 1), "line 3 is not a header"),
            (format!("{good}Extra: 1\n"), "follows the signature"),
            (good.clone() + &good, "follows the signature"),
            (file("-dashed\n"), "line 4 begins with a hyphen"),
            (file(&format!("{MESSAGE}\n")), "line 4 begins with a hyphen"),
            (file("A: 1\rB: 2\n"), "line 4 has a carriage return"),
            (good.replace("AAAA", "-----BEGIN x-----"), "follows the signature"),
            (good[..good.len() - 10].to_owned(), "ends too early"),
            (good[..52].to_owned(), "ends too early"),
            (String::new(), "does not begin with"),
        ] {
            let error = Cleartext::parse(&hostile).err().unwrap().to_string();
            assert!(error.contains(message), "{hostile}: {error}");
        }
    }
}
