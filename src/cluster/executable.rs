//! What a k3s executable says of itself, read from its bytes: nothing is run.
//!
//! A release is an ELF file that holds its version and the pause image it starts every pod with as plain text, in the
//! command line that it shows; what it unpacks on a node is compressed, and not looked into. The file is read once,
//! from beginning to end, in pieces.
//!
//! # Why
//! *From the bytes*, because the pause image changes within a minor release (3.6 to 3.10.2 in July 2026), and no list
//! or table says so as surely as the executable.
//!
//! *Readings.* Go puts texts one after the other without anything between them: `mirrored-pause:3.6` before a text
//! that begins with a digit reads `mirrored-pause:3.62006`. A part of a real tag has one or two digits; what is longer
//! has several readings, and whoever knows the images chooses.

use std::collections::BTreeSet;
use std::io::{self, Read};

use memchr::memmem::Finder;

/// What stands before the tag of the pause image.
const PAUSE: &[u8] = b"rancher/mirrored-pause:";
/// What ends the Kubernetes version and begins the build's number.
const BUILD: &[u8] = b"+k3s";
/// The longest text that is looked at on either side of these.
const REACH: usize = 64;
/// What is kept of one piece for the next: a text that was not looked at yet, and what may belong before it.
const KEPT: usize = PAUSE.len() + 2 * REACH;
const PIECE: u64 = 1024 * 1024;
/// How much of a file is shown that is not an executable.
const SHOWN: usize = 16;

/// What a k3s executable says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// What kind of file it is.
    pub kind: Kind,
    /// The k3s releases that it names, such as `v1.35.0+k3s1`.
    pub versions: BTreeSet<String>,
    /// The pause images that it names.
    pub pauses: BTreeSet<Pause>,
}

/// What kind of file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file for a machine.
    Elf(Machine),
    /// A script, which can only stand in for k3s.
    Script,
    /// Nothing that Linux starts; its beginning in printable characters, unless it is a text of whatever kind.
    Other(String),
}

/// The machine that an ELF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
#[display("{}", self.architecture().unwrap_or_default())]
pub enum Machine {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
    /// 32-bit ARM, of whatever version.
    Arm,
    /// RISC-V of 64 bits.
    Riscv64,
    /// IBM Z.
    S390x,
    /// Any other: its number in the header, and its bits.
    #[display("machine {number} with {bits} bits")]
    Other {
        /// The field `e_machine`.
        number: u16,
        /// 32 or 64.
        bits: u8,
    },
}

impl Machine {
    /// Returns what the OCI specification calls the architecture; `None` for one that k3s is not released for.
    pub fn architecture(self) -> Option<&'static str> {
        match self {
            Self::Amd64 => Some("amd64"),
            Self::Arm64 => Some("arm64"),
            Self::Arm => Some("arm"),
            Self::Riscv64 => Some("riscv64"),
            Self::S390x => Some("s390x"),
            Self::Other { .. } => None,
        }
    }
}

/// A pause image: what follows `rancher/mirrored-pause:`, as far as it can belong to a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, derive_more::Display)]
#[display("{}", Self::image(_0))]
pub struct Pause(String);

impl Pause {
    /// Returns the tags that it can be, longest first; more than one only if another text runs on behind it.
    pub fn readings(&self) -> Vec<&str> {
        if is_tag(&self.0) {
            return vec![&self.0];
        }
        let ends = (1..self.0.len()).rev();
        ends.map(|end| &self.0[..end]).filter(|reading| is_tag(reading)).collect()
    }

    /// Returns the image's full name with one of the readings.
    pub fn image(reading: &str) -> String {
        format!("docker.io/rancher/mirrored-pause:{reading}")
    }
}

/// Returns whether a text has the form of the pause image's tags: two or three numbers of one or two digits.
fn is_tag(text: &str) -> bool {
    let is_number =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (2..=3).contains(&text.split('.').count()) && text.split('.').all(is_number)
}

/// Reads an executable to its end.
pub fn read(executable: impl Read) -> io::Result<Executable> {
    read_in_pieces(executable, PIECE)
}

fn read_in_pieces(mut executable: impl Read, piece: u64) -> io::Result<Executable> {
    let finders = [Finder::new(PAUSE), Finder::new(BUILD)];
    let [pause, build] = &finders;
    let mut found =
        Executable { kind: Kind::Other(String::new()), versions: BTreeSet::new(), pauses: BTreeSet::new() };
    let mut window = Vec::new();
    let mut is_first = true;
    loop {
        let is_end = executable.by_ref().take(piece).read_to_end(&mut window)? == 0;
        if is_first {
            found.kind = kind_of(&window);
            is_first = false;
        }
        // What is near the end of a piece is read with the next one, when all of it is there.
        let is_whole = |position: &usize| is_end || position + PAUSE.len() + REACH <= window.len();
        for position in pause.find_iter(&window).filter(is_whole) {
            found.pauses.extend(pause_at(&window[position + PAUSE.len()..]));
        }
        for position in build.find_iter(&window).filter(is_whole) {
            found.versions.extend(version_at(&window, position));
        }
        if is_end {
            return Ok(found);
        }
        window.drain(..window.len().saturating_sub(KEPT));
    }
}

/// Reads digits and dots; what ends in a dot does not belong to it.
fn pause_at(text: &[u8]) -> Option<Pause> {
    let run = run_of(text, |byte| byte.is_ascii_digit() || byte == b'.').trim_end_matches('.');
    let pause = Pause(run.to_owned());
    (!pause.readings().is_empty()).then_some(pause)
}

/// Reads a release around the `+k3s` at `position`: `v1.35.0+k3s1`, `v1.35.0-rc1+k3s1`.
fn version_at(window: &[u8], position: usize) -> Option<String> {
    let before = &window[position.saturating_sub(REACH)..position];
    let start = before.iter().rposition(|byte| *byte == b'v')?;
    let kubernetes = std::str::from_utf8(&before[start + 1..]).ok()?;
    let (numbers, candidate) = match kubernetes.split_once("-rc") {
        Some((numbers, candidate)) => (numbers, Some(candidate)),
        None => (kubernetes, None),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let build = run_of(&window[position + BUILD.len()..], |byte| byte.is_ascii_digit());
    let is_version =
        numbers.split('.').count() == 3 && numbers.split('.').chain(candidate).chain([build]).all(is_number);
    is_version.then(|| format!("v{kubernetes}+k3s{build}"))
}

/// Returns the characters at the beginning of `text` for which `belongs` holds; at most [`REACH`].
fn run_of(text: &[u8], belongs: impl Fn(u8) -> bool) -> &str {
    let length = text.iter().take(REACH).take_while(|byte| byte.is_ascii() && belongs(**byte)).count();
    std::str::from_utf8(&text[..length]).expect("these bytes are ASCII")
}

/// Looks at the beginning of a file (ELF specification, "ELF Header").
fn kind_of(start: &[u8]) -> Kind {
    if start.starts_with(b"#!") {
        return Kind::Script;
    }
    if let [0x7f, b'E', b'L', b'F', class, order, ..] = start
        && let Some([one, other]) = start.get(18..20)
    {
        let number = match order {
            2 => u16::from_be_bytes([*one, *other]),
            _ => u16::from_le_bytes([*one, *other]),
        };
        let bits = if *class == 2 { 64 } else { 32 };
        return Kind::Elf(match (number, bits) {
            (62, 64) => Machine::Amd64,
            (183, 64) => Machine::Arm64,
            (40, 32) => Machine::Arm,
            (243, 64) => Machine::Riscv64,
            (22, 64) => Machine::S390x,
            (number, bits) => Machine::Other { number, bits },
        });
    }
    let shown = &start[..start.len().min(SHOWN)];
    // A text that is not the page of a proxy may be anybody's secret.
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let is_private = !shown.is_empty() && shown.iter().all(is_text) && shown[0] != b'<';
    Kind::Other(if is_private { "…".to_owned() } else { shown.escape_ascii().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a few bytes at a time, as a slow disk does.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            (&mut self.0).take(length as u64).read(buffer)
        }
    }

    fn texts(text: &str) -> (Vec<String>, Vec<String>) {
        let found = read(text.as_bytes()).unwrap();
        let pauses = found.pauses.iter().map(ToString::to_string).collect();
        (found.versions.into_iter().collect(), pauses)
    }

    #[test]
    fn versions_and_pause_images_are_found_among_other_texts() {
        let (versions, pauses) =
            texts("abcv1.35.0+k3s1\0rancher/mirrored-pause:3.6schedulerrancher/mirrored-pause:3.6.\n");
        assert_eq!(versions, ["v1.35.0+k3s1"]);
        assert_eq!(pauses, ["docker.io/rancher/mirrored-pause:3.6"]);
        let (versions, pauses) =
            texts("v1.36.0-rc2+k3s12 v1.34.1+k3s1 mirrored-pause:9.9 rancher/mirrored-pause:3.10.2");
        assert_eq!(versions, ["v1.34.1+k3s1", "v1.36.0-rc2+k3s12"]);
        assert_eq!(pauses, ["docker.io/rancher/mirrored-pause:3.10.2"]);
    }

    #[test]
    fn what_only_looks_like_them_is_passed_over() {
        for text in [
            "",
            "v1.35.0-k3s1",
            "v1.35+k3s1",
            "1.35.0+k3s1",
            "v1.35.0+k3s",
            "v1.x.0+k3s1",
            "v1.35.0.1+k3s1",
            "+k3s1",
            "rancher/mirrored-pause:",
            "rancher/mirrored-pause:latest",
            "rancher/mirrored-pause:.",
            "rancher/mirrored-pause:3",
            "rancher/mirrored-pause:v3.6",
        ] {
            assert_eq!(texts(text), (Vec::new(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn a_tag_that_runs_into_the_next_text_has_several_readings() {
        for (run, readings) in [
            ("3.6", &["3.6"][..]),
            ("3.10.2", &["3.10.2"]),
            ("3.62006", &["3.62", "3.6"]),
            ("3.10.2192", &["3.10.21", "3.10.2", "3.10", "3.1"]),
            ("3.6.1.2", &["3.6.1", "3.6"]),
            ("2006", &[]),
        ] {
            assert_eq!(Pause(run.to_owned()).readings(), readings, "{run}");
        }
    }

    #[test]
    fn texts_are_whole_wherever_a_piece_ends() {
        let text = b"v1.35.0-rc1+k3s17\0rancher/mirrored-pause:3.10.2\0";
        let expected = {
            let found = read(&text[..]).unwrap();
            (found.versions, found.pauses)
        };
        assert_eq!((expected.0.len(), expected.1.len()), (1, 1));
        for offset in 0..1000 {
            let mut bytes = vec![b'.'; offset];
            bytes.extend(text);
            bytes.resize(offset + 400, b'7');
            let found = read_in_pieces(&bytes[..], 200).unwrap();
            assert_eq!((found.versions, found.pauses), expected, "at {offset}");
        }
        let found = read(Slow(text, 3)).unwrap();
        assert_eq!((found.versions, found.pauses), expected);
    }

    #[test]
    fn the_kind_of_a_file_is_read_from_its_beginning() {
        let elf = |class: u8, order: u8, machine: [u8; 2]| {
            let mut header = [0; 64];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
            header[18..20].copy_from_slice(&machine);
            read(&header[..]).unwrap().kind
        };
        for (class, order, machine, architecture) in [
            (2, 1, [62, 0], Some("amd64")),
            (2, 1, [183, 0], Some("arm64")),
            (1, 1, [40, 0], Some("arm")),
            (2, 1, [243, 0], Some("riscv64")),
            (2, 2, [0, 22], Some("s390x")),
            (1, 1, [3, 0], None),
            (1, 1, [62, 0], None),
        ] {
            let Kind::Elf(machine) = elf(class, order, machine) else { panic!("{machine:?} is an ELF file") };
            assert_eq!(machine.architecture(), architecture);
        }
        let kind = |bytes: &[u8]| read(bytes).unwrap().kind;
        assert_eq!(kind(b"#!/bin/sh\n"), Kind::Script);
        assert_eq!(kind(b""), Kind::Other(String::new()));
        assert_eq!(kind(b"\x7fELF"), Kind::Other("\\x7fELF".to_owned()));
        assert_eq!(kind(b"hunter2\n"), Kind::Other("…".to_owned()));
        assert_eq!(kind(b"<!DOCTYPE html>\n<html>"), Kind::Other("<!DOCTYPE html>\\n".to_owned()));
    }
}
