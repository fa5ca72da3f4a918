//! What a suite of a repository has: its name, its time, its indices with their digests.
//!
//! See the Debian repository format, "Release files". Nothing here knows whether the text was signed:
//! [`signature::verify`](super::signature::verify) hands out the text to read.

mod index_file;

use std::collections::BTreeMap;

use time::{Date, Month, Time};

use super::control::{InvalidStanza, Stanza};
use super::name::{excerpt, is_architecture};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::tree::TreePath;

pub use index_file::{IndexFile, MissingIndex, WrongIndex};

/// A suite at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Who made it, such as `Debian`; empty if it does not say so.
    pub origin: String,
    /// Its name that moves on, such as `stable`; empty if it does not say so.
    pub suite: String,
    /// Its name that stays, such as `bookworm`; empty if it does not say so.
    pub codename: String,
    /// When it was made.
    pub date: Epoch,
    /// When it is too old to be used.
    pub valid_until: Option<Epoch>,
    /// The architectures that it has packages of.
    pub architectures: Vec<String>,
    /// The components, as they are named; their paths may be others.
    pub components: Vec<String>,
    /// Whether the packages of architecture `all` are only in an index of their own.
    pub has_index_of_all: bool,
    has_by_hash: bool,
    files: BTreeMap<String, Listed>,
}

/// A file as a [`Release`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

/// Says why a text is not a release.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRelease {
    /// It is not one stanza.
    #[error("the release is malformed")]
    Stanza(#[from] InvalidStanza),
    /// A field is missing.
    #[error("the release has no field {0}")]
    Missing(&'static str),
    /// A date is malformed.
    #[error("the release's {field} is not a date in UTC: `{value}`")]
    Date {
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// A line of the list of files is malformed.
    #[error("the release lists `{0}`, which is not `sha256 size path`")]
    File(String),
    /// A file is listed twice, in two ways.
    #[error("the release lists `{0}` twice, with different content")]
    Ambiguous(String),
}

impl Release {
    /// Reads the text of a `Release` file.
    pub fn parse(text: &str) -> Result<Self, InvalidRelease> {
        let stanza = Stanza::parse(text)?;
        let text = |field| stanza.get(field).unwrap_or_default().to_owned();
        let words = |field| -> Vec<String> {
            stanza.get(field).unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
        };
        let date = |field| stanza.get(field).map(|value| parse_date(field, value)).transpose();
        let architectures = words("Architectures");
        let has_all = architectures.iter().any(|architecture| architecture == "all");
        let is_in_each = words("No-Support-for-Architecture-all").iter().any(|kind| kind == "Packages");
        Ok(Self {
            origin: text("Origin"),
            suite: text("Suite"),
            codename: text("Codename"),
            date: date("Date")?.ok_or(InvalidRelease::Missing("Date"))?,
            valid_until: date("Valid-Until")?,
            architectures,
            components: words("Components"),
            has_index_of_all: has_all && !is_in_each,
            has_by_hash: stanza.get("Acquire-By-Hash") == Some("yes"),
            files: parse_files(stanza.get("SHA256").ok_or(InvalidRelease::Missing("SHA256"))?)?,
        })
    }

    /// Returns whether the release is too old at the time `now`.
    pub fn is_expired(&self, now: Epoch) -> bool {
        self.valid_until.is_some_and(|end| end <= now)
    }

    /// Returns a file by its path relative to the release.
    pub fn file(&self, path: &str) -> Option<&Listed> {
        self.files.get(path)
    }

    /// Returns the index of a component's packages of one architecture.
    ///
    /// A component may be listed by the last part of its name alone: that of `updates/main` is under `main`.
    pub fn packages(&self, component: &str, architecture: &str) -> Result<IndexFile, MissingIndex> {
        let path = |component: &str| format!("{component}/binary-{architecture}/Packages");
        let last = component.rsplit('/').next().unwrap_or(component);
        let unlisted = || MissingIndex::Unlisted(path(component).escape_debug().to_string());
        if !is_architecture(architecture) {
            return Err(unlisted());
        }
        let found = [component, last].map(path).into_iter().find_map(|path| IndexFile::find(self, &path));
        found.ok_or_else(unlisted)?
    }
}

/// Reads lines of `sha256 size path`.
fn parse_files(list: &str) -> Result<BTreeMap<String, Listed>, InvalidRelease> {
    let mut files = BTreeMap::new();
    for line in list.lines().map(str::trim_ascii).filter(|line| !line.is_empty()) {
        let (path, listed) = parse_file(line).ok_or_else(|| InvalidRelease::File(excerpt(line)))?;
        let earlier = files.insert(path.to_owned(), listed.clone());
        if earlier.is_some_and(|earlier| earlier != listed) {
            return Err(InvalidRelease::Ambiguous(path.to_owned()));
        }
    }
    Ok(files)
}

fn parse_file(line: &str) -> Option<(&str, Listed)> {
    let mut words = line.split_ascii_whitespace();
    let (hex, size, path) = (words.next()?, words.next()?, words.next()?);
    let is_number = size.bytes().all(|byte| byte.is_ascii_digit());
    let listed = Listed {
        size: size.parse().ok().filter(|_| is_number)?,
        digest: format!("sha256:{hex}").parse().ok()?,
    };
    let is_path = path.bytes().all(|byte| byte.is_ascii_graphic()) && path.parse::<TreePath>().is_ok();
    (words.next().is_none() && is_path).then_some((path, listed))
}

/// Reads a date such as `Sat, 09 Nov 2024 09:55:12 UTC` (RFC 1123).
fn parse_date(field: &'static str, value: &str) -> Result<Epoch, InvalidRelease> {
    let invalid = || InvalidRelease::Date { field, value: excerpt(value) };
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [_weekday, day, month, year, time, "UTC" | "GMT" | "+0000"] = words[..] else {
        return Err(invalid());
    };
    seconds(day, month, year, time).ok_or_else(invalid)
}

fn seconds(day: &str, month: &str, year: &str, time: &str) -> Option<Epoch> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = MONTHS.iter().position(|name| *name == month)? + 1;
    let month = Month::try_from(u8::try_from(number).ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let mut parts = time.split(':').map(|part| part.parse::<u8>().ok());
    let time = Time::from_hms(parts.next()??, parts.next()??, parts.next()??).ok()?;
    let seconds = date.with_time(time).assume_utc().unix_timestamp();
    parts.next().is_none().then_some(())?;
    Epoch::try_from(u64::try_from(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CONTENT: &str = "Package: a\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn line(bytes: &[u8], path: &str) -> String {
        format!(" {} {:>8} {path}\n", Digest::sha256(bytes).hex(), bytes.len())
    }

    fn release(files: &[String]) -> String {
        format!(
            "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 09 Nov 2024 09:55:12 UTC\n\
             Valid-Until: Sat, 16 Nov 2024 09:55:12 UTC\nAcquire-By-Hash: yes\nArchitectures: all amd64\n\
             Components: updates/main updates/contrib\nNo-Support-for-Architecture-all: Packages\n\
             SHA256:\n{}",
            files.concat()
        )
    }

    fn main_release() -> (Release, Vec<u8>) {
        let packed = gzip(CONTENT.as_bytes());
        let files = [
            line(&packed, "main/binary-amd64/Packages.gz"),
            line(CONTENT.as_bytes(), "main/binary-amd64/Packages"),
            line(b"x", "main/binary-amd64/Packages.xz"),
        ];
        (Release::parse(&release(&files)).unwrap(), packed)
    }

    #[test]
    fn a_release_says_what_it_is_and_until_when() {
        let (release, _) = main_release();
        assert_eq!([&release.origin, &release.suite, &release.codename], ["Debian", "stable", "bookworm"]);
        assert_eq!(release.date.to_string(), "2024-11-09T09:55:12Z");
        assert_eq!(release.components, ["updates/main", "updates/contrib"]);
        assert!(!release.has_index_of_all);
        let end = release.valid_until.unwrap();
        assert!(release.is_expired(end) && !release.is_expired(release.date));
    }

    #[test]
    fn an_index_is_found_by_component_or_its_last_part_and_read_back() {
        let (release, packed) = main_release();
        for component in ["main", "updates/main"] {
            let index = release.packages(component, "amd64").unwrap();
            assert_eq!(index.path, "main/binary-amd64/Packages.gz");
            let by_hash = format!("main/binary-amd64/by-hash/SHA256/{}", Digest::sha256(&packed).hex());
            assert_eq!(index.location(), by_hash);
            assert_eq!(index.unpack(&packed).unwrap(), CONTENT);
        }
        let error = release.packages("contrib", "amd64").unwrap_err().to_string();
        assert_eq!(error, "the release lists no index `contrib/binary-amd64/Packages`, compressed or not");
        assert!(release.packages("main", "../amd64").is_err());
    }

    #[test]
    fn bytes_that_are_not_the_listed_ones_are_refused_with_the_index_s_path() {
        let (release, packed) = main_release();
        let index = release.packages("main", "amd64").unwrap();
        let message = |bytes: &[u8]| index.unpack(bytes).unwrap_err().to_string();
        let truncated = message(&packed[..packed.len() - 1]);
        assert!(truncated.starts_with("the index `main/binary-amd64/Packages.gz` has "), "{truncated}");
        let mut flipped = packed.clone();
        flipped[12] ^= 1;
        assert!(message(&flipped).contains("hashes to"), "{}", message(&flipped));
    }

    #[test]
    fn never_more_is_unpacked_than_listed() {
        let bomb = gzip(&vec![b'a'; 10 << 20]);
        let files = [
            line(&bomb, "main/binary-amd64/Packages.gz"),
            line(b"twelve bytes", "main/binary-amd64/Packages"),
        ];
        let release = Release::parse(&release(&files)).unwrap();
        let error = release.packages("main", "amd64").unwrap().unpack(&bomb).unwrap_err();
        assert!(matches!(error, WrongIndex::Size { expected: 12, actual: 13, .. }), "{error}");
    }

    #[test]
    fn an_index_of_unknown_or_enormous_size_is_refused() {
        let unknown = Release::parse(&release(&[line(b"x", "main/binary-amd64/Packages.xz")])).unwrap();
        let error = unknown.packages("main", "amd64").unwrap_err();
        assert!(matches!(error, MissingIndex::UnknownContent(..)), "{error}");
        let digest = Digest::sha256(b"");
        let huge = format!(" {} 99999999999 main/binary-amd64/Packages\n", digest.hex());
        let huge = Release::parse(&release(&[huge])).unwrap().packages("main", "amd64").unwrap_err();
        assert!(matches!(huge, MissingIndex::TooLarge(..)), "{huge}");
    }

    #[test]
    fn what_is_no_release_is_refused_with_the_reason() {
        let good = release(&[line(b"x", "a")]);
        for (from, to, message) in [
            ("Date: Sat", "Other: Sat", "the release has no field Date"),
            ("SHA256:", "SHA512:", "the release has no field SHA256"),
            ("09 Nov", "31 Nov", "the release's Date is not a date in UTC: `Sat, 31 Nov"),
            ("UTC", "CET", "the release's Date is not a date in UTC"),
            (":12 UTC", ":12:12 UTC", "the release's Date is not a date in UTC"),
            (" a\n", " ../a\n", "which is not `sha256 size path`"),
            (" 1 a\n", " -1 a\n", "which is not `sha256 size path`"),
            (" 1 a\n", " 1\n", "which is not `sha256 size path`"),
            ("Suite: ", "Date: x\nSuite: ", "the release is malformed"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = Release::parse(&good.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(message), "{to}: {error}");
        }
        let twice = release(&[line(b"x", "a"), line(b"y", "a")]);
        let error = Release::parse(&twice).unwrap_err().to_string();
        assert_eq!(error, "the release lists `a` twice, with different content");
    }
}
