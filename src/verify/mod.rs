//! Is every byte of a kit what the kit says it is?
//!
//! Reads a finished kit as anybody else would: `SHA256SUMS` and the files. It shares no code with what wrote
//! them, and finds exactly what `sha256sum -c` finds, plus files that nobody listed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Serialize;

use crate::artifact::{ArtifactList, Finding, InvalidSums, SUMS};
use crate::bill;
use crate::digest::{Algorithm, Digest, HashingReader, PIECE};
use crate::parallel;
use crate::progress::{Event, Reporter};
use crate::tree::TreePath;

/// The most bytes a list may have: far above a kit of a million files.
const SUMS_LIMIT: u64 = 256 * 1024 * 1024;

/// What a verification saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many files were hashed.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// All that is wrong, sorted.
    pub findings: Vec<Finding>,
}

/// Why a folder cannot be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder has neither a list nor a bill.
    #[error("`{0}` is not a kit")]
    NotAKit(PathBuf),
    /// The kit's list is gone.
    #[error("the kit `{0}` has no {SUMS}")]
    NoSums(PathBuf),
    /// The folder or its list cannot be read.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] io::Error),
    /// The list is malformed.
    #[error("`{0}` is not a list of digests")]
    Sums(PathBuf, #[source] InvalidSums),
}

/// What is shown each listed file while it is hashed, by its path in the kit, from several threads; what it leaves
/// unread is hashed all the same.
pub type Visitor<'a> = dyn Fn(&str, &mut dyn BufRead) + Sync + 'a;

/// Hashes every file of the kit in `folder` with `jobs` threads.
pub fn kit(folder: &Path, jobs: usize, reporter: &dyn Reporter) -> Result<Report, VerifyError> {
    kit_with(folder, jobs, reporter, &|_, _| {})
}

/// Does the same, and lets somebody else read along: every file is read once for both.
pub fn kit_with(
    folder: &Path,
    jobs: usize,
    reporter: &dyn Reporter,
    visitor: &Visitor<'_>,
) -> Result<Report, VerifyError> {
    let listed = read_sums(folder)?;
    let mut present = files_of(folder)?;
    present.remove(SUMS);
    // No list can name what was made of it.
    present.remove(&format!("{SUMS}.sig"));
    let missing = listed.keys().filter(|path| !present.contains_key(*path));
    let mut findings: BTreeSet<Finding> =
        missing.map(|path| Finding::Missing { path: path.clone() }).collect();
    let (mut known, extra): (Vec<_>, Vec<_>) =
        present.into_iter().partition(|(path, _)| listed.contains_key(path));
    findings.extend(extra.into_iter().map(|(path, _)| Finding::Extra { path }));
    let bytes = known.iter().map(|(_, size)| size).sum();
    // The largest first, or one thread is left with it while the others have nothing to do.
    known.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    reporter.report(Event::Planned { bytes, items: known.len() as u64 });
    let work = Work { folder, listed: &listed, visitor };
    findings.extend(parallel::map(&known, jobs, |file| work.verify(file, reporter)).into_iter().flatten());
    Ok(Report { files: known.len(), bytes, findings: findings.into_iter().collect() })
}

/// Returns the digest of the list in `folder` without the line of the file `path`: what
/// `grep -v '  PATH$' SHA256SUMS | sha256sum` prints.
pub fn digest_without(folder: &Path, path: &str) -> Result<Digest, VerifyError> {
    let text = read_text(folder)?;
    let end = format!("  {path}");
    let lines = text.lines().filter(|line| !line.ends_with(&end));
    Ok(Digest::sha256(lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes()))
}

fn read_sums(folder: &Path) -> Result<BTreeMap<String, Digest>, VerifyError> {
    let path = folder.join(SUMS);
    ArtifactList::parse_sums(&read_text(folder)?).map_err(|source| VerifyError::Sums(path, source))
}

fn read_text(folder: &Path) -> Result<String, VerifyError> {
    let path = folder.join(SUMS);
    crate::fs::read_text(&path, SUMS_LIMIT).map_err(|source| unreadable(folder, path, source))
}

/// Says whether the list is what is missing, or all of a kit.
fn unreadable(folder: &Path, path: PathBuf, source: io::Error) -> VerifyError {
    if source.kind() != io::ErrorKind::NotFound {
        VerifyError::Read(path, source)
    } else if folder.join(bill::FILE_NAME).exists() {
        VerifyError::NoSums(folder.to_owned())
    } else {
        VerifyError::NotAKit(folder.to_owned())
    }
}

/// Returns every entry of the folder that is not a folder, with its length; links count, and are not followed.
fn files_of(folder: &Path) -> Result<BTreeMap<String, u64>, VerifyError> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry
            .map_err(|error| VerifyError::Read(error.path().unwrap_or(folder).to_owned(), error.into()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).expect("the walk stays below its root");
        let size = entry.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        files.insert(relative.to_string_lossy().into_owned(), size);
    }
    Ok(files)
}

/// What all threads share.
struct Work<'a> {
    folder: &'a Path,
    listed: &'a BTreeMap<String, Digest>,
    visitor: &'a Visitor<'a>,
}

impl Work<'_> {
    fn verify(&self, (path, size): &(String, u64), reporter: &dyn Reporter) -> Option<Finding> {
        let found = self.hash_one(path, &self.listed[path]);
        reporter.report(Event::Advanced(*size));
        reporter.report(Event::ItemFinished(path.clone()));
        found
    }

    fn hash_one(&self, path: &str, expected: &Digest) -> Option<Finding> {
        let wrong = |reason: String| Some(Finding::wrong(path, reason));
        if let Err(error) = path.parse::<TreePath>() {
            return wrong(error.to_string());
        }
        let file = self.folder.join(path);
        // A link could lead anywhere, and would not survive a FAT disk; a kit has none.
        if !fs::symlink_metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
            return wrong("it is not a regular file".to_owned());
        }
        match fs::File::open(&file).and_then(|file| self.read(path, file.into_parts().0)) {
            Ok(actual) if actual == *expected => None,
            Ok(actual) => Some(Finding::Bad { path: path.to_owned(), expected: *expected, actual }),
            Err(error) => wrong(format!("it cannot be read: {error}")),
        }
    }

    /// Shows a file to the visitor and returns the digest of all of it.
    fn read(&self, path: &str, file: std::fs::File) -> io::Result<Digest> {
        let mut reader = BufReader::with_capacity(PIECE, HashingReader::new(Algorithm::Sha256, file));
        (self.visitor)(path, &mut reader);
        reader.into_inner().finish().map(|(digest, _)| digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn each_bad_missing_extra_and_odd_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let sum = |content: &[u8]| Digest::sha256(content).hex().to_owned();
        for (name, content) in [("good", "g"), ("bad", "b"), ("extra", "e")] {
            fs::write(root.join(name), content).unwrap();
        }
        fs_err::os::unix::fs::symlink("good", root.join("link")).unwrap();
        let sums = format!(
            "{}  bad\n{}  good\n{}  link\n{}  missing\n",
            sum(b"other"),
            sum(b"g"),
            sum(b"g"),
            sum(b"m")
        );
        fs::write(root.join(SUMS), sums).unwrap();
        // What `ssh-keygen -Y sign` makes of the list.
        fs::write(root.join("SHA256SUMS.sig"), "signature").unwrap();
        let report = kit(root, 4, &Silent).unwrap();
        let messages: Vec<String> = report.findings.iter().map(|f| f.to_string()).collect();
        assert_eq!(messages.len(), 4, "{messages:?}");
        for (message, part) in messages.iter().zip([
            "`bad` has other content",
            "`missing` is missing",
            "`extra` is not listed",
            "`link`: it is not a regular file",
        ]) {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_list_with_paths_that_leave_the_kit_finds_nothing_outside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SUMS), format!("{}  ../../etc/hostname\n", "0".repeat(64))).unwrap();
        let report = kit(folder.path(), 1, &Silent).unwrap();
        assert_eq!(report.findings, [Finding::Missing { path: "../../etc/hostname".to_owned() }]);
    }
}
