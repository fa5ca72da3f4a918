//! A disc of a kit: its label, and every file on it with its digest.
//!
//! The folders are read by [`Disc`]; then the whole image passes by once, and every file takes its share of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::text::{LARGEST, Text};
use crate::archive::compress::Compression;
use crate::artifact::Finding;
use crate::cluster::executable::{self, Executable};
use crate::digest::{Algorithm, Digest, Hasher, PIECE};
use crate::disc::{Content, Disc, EntryKind, Names};
use crate::inspect::{self, Images, InspectError, Inspected, Inspection, OpsBundle};
use crate::text::chain;

/// The most bytes of small files that are kept of one disc.
const MOST_KEPT: usize = 64 << 20;
/// Where the k3s executable lies, by the end of its path.
pub(in crate::check) const EXECUTABLE: &str = "/usr/local/bin/k3s";
/// The folders of a payload whose files are looked into.
pub(super) const ARCHIVES: [&str; 2] =
    ["/var/lib/rancher/k3s/agent/images/", "/var/lib/seedkit/ops-packages/"];
/// The label of the disc that all nodes share.
const SHARED_LABEL: &str = "SEEDKIT_PAYLOAD";

/// What a disc has.
#[derive(Debug, Clone)]
pub(in crate::check) struct DiscView {
    pub(in crate::check) volume_id: String,
    pub(in crate::check) names: Names,
    /// Whether it is a bridge with UDF.
    pub(in crate::check) is_udf: bool,
    /// The length that it says it has.
    pub(in crate::check) stated_length: u64,
    pub(in crate::check) length: u64,
    /// Whether its file ends before its files do; none of them was read then.
    pub(in crate::check) is_cut: bool,
    /// The files, by path.
    pub(in crate::check) files: BTreeMap<String, DiscFile>,
}

/// One file of a disc.
#[derive(Debug, Clone)]
pub(in crate::check) struct DiscFile {
    pub(in crate::check) size: u64,
    pub(in crate::check) digest: Digest,
    /// Its bytes, if they are few.
    pub(in crate::check) text: Option<Text>,
    /// What a k3s executable says of itself.
    pub(in crate::check) executable: Option<Arc<Executable>>,
    /// What is in an archive that is not an artifact of the kit itself.
    pub(in crate::check) archive: Option<Arc<Archive>>,
}

/// An archive of images or packages, looked into.
#[derive(Debug)]
pub(in crate::check) struct Archive {
    content: Result<(Inspected, Vec<Finding>), String>,
}

impl Archive {
    /// Reads an archive as it streams by.
    pub(super) fn read(path: &Path, length: u64, input: impl BufRead) -> Self {
        Self::of(inspect::archive(path, length, input))
    }

    /// Takes what was read of an archive, or of a layout.
    pub(super) fn of(read: Result<Inspection, InspectError>) -> Self {
        let content = match read {
            Ok(inspection) => Ok((inspection.artifact, inspection.findings)),
            Err(error) => Err(chain(&error).join(": ")),
        };
        Self { content }
    }

    /// Returns why it cannot be read.
    pub(in crate::check) fn problem(&self) -> Option<String> {
        self.content.as_ref().err().cloned()
    }

    /// Returns the images in it.
    pub(in crate::check) fn images(&self) -> Option<&Images> {
        match &self.content {
            Ok((Inspected::Images(images), _)) => Some(images),
            Ok(_) | Err(_) => None,
        }
    }

    /// Returns the packages in it.
    pub(in crate::check) fn bundle(&self) -> Option<&OpsBundle> {
        match &self.content {
            Ok((Inspected::OpsBundle(bundle), _)) => Some(bundle),
            Ok(_) | Err(_) => None,
        }
    }

    /// Returns what is not what it says it is.
    pub(in crate::check) fn findings(&self) -> &[Finding] {
        self.content.as_ref().map_or(&[], |(_, findings)| findings)
    }
}

/// What several discs of a kit have, looked into once.
pub(super) struct Shelf {
    artifacts: BTreeSet<Digest>,
    executables: Mutex<BTreeMap<Digest, Arc<Executable>>>,
    archives: Mutex<BTreeMap<Digest, Arc<Archive>>>,
}

impl Shelf {
    /// Begins with what lies in the kit by itself, and is looked into there.
    pub(super) fn new(artifacts: BTreeSet<Digest>) -> Self {
        Self { artifacts, executables: Mutex::default(), archives: Mutex::default() }
    }
}

/// Returns what is kept under a digest, or makes it. Two threads may make the same; one of them is kept.
fn kept<T>(shelf: &Mutex<BTreeMap<Digest, Arc<T>>>, digest: &Digest, make: impl FnOnce() -> T) -> Arc<T> {
    let look = || shelf.lock().expect("no thread panics while it holds the lock");
    if let Some(known) = look().get(digest) {
        return Arc::clone(known);
    }
    let made = Arc::new(make());
    Arc::clone(look().entry(*digest).or_insert(made))
}

impl DiscView {
    /// Reads the disc at `path`, whose bytes also come from `input`.
    pub(super) fn read(path: &Path, input: &mut dyn BufRead, shelf: &Shelf) -> Result<Self, String> {
        let file = crate::fs::open_regular(path).map_err(|error| error.to_string())?;
        let is_udf = is_udf(&file);
        let disc = Disc::open(file).map_err(|error| chain(&error).join(": "))?;
        let is_short = disc.stated_length() > disc.length();
        let (loaded, is_cut) = match load(&disc, input) {
            Ok(loaded) => (loaded, false),
            Err(error) if is_short && error.kind() == io::ErrorKind::UnexpectedEof => (Loaded::new(), true),
            Err(error) => return Err(chain(&error).join(": ")),
        };
        let is_shared = disc.volume_id() == SHARED_LABEL;
        let mut files = BTreeMap::new();
        for entry in disc.entries() {
            let EntryKind::File(content) = &entry.kind else { continue };
            let Some((digest, text)) = loaded.get(content) else { continue };
            let look = Look { disc: &disc, content, digest, shelf };
            let (is_program, is_packed) = if is_shared { look.kind() } else { kind_by_path(&entry.path) };
            let executable = is_program.then(|| look.executable());
            let archive = is_packed.then(|| look.archive(&entry.path)).flatten();
            let (digest, size, text) = (*digest, content.size(), text.clone());
            files.insert(entry.path.clone(), DiscFile { size, digest, text, executable, archive });
        }
        let (names, stated_length, length) = (disc.names(), disc.stated_length(), disc.length());
        Ok(Self {
            volume_id: disc.volume_id().to_owned(),
            names,
            is_udf,
            stated_length,
            length,
            is_cut,
            files,
        })
    }

    /// Returns whether its files have the names that a node looks for: a payload's are longer than Joliet takes.
    pub(in crate::check) fn has_names(&self) -> bool {
        match self.names {
            Names::RockRidge => true,
            Names::Joliet => !self.files.keys().any(|path| path.starts_with("payload/")),
            Names::Plain => false,
        }
    }

    /// Returns whether it is the disc that all nodes share.
    pub(super) fn is_shared_payload(&self) -> bool {
        self.volume_id == SHARED_LABEL
    }

    /// Returns a small file.
    pub(in crate::check) fn text(&self, path: &str) -> Option<&Text> {
        self.files.get(path)?.text.as_ref()
    }
}

/// One content of a disc, of which its bytes do not tell enough.
struct Look<'a> {
    disc: &'a Disc,
    content: &'a Content,
    digest: &'a Digest,
    shelf: &'a Shelf,
}

impl Look<'_> {
    /// Tells from the first bytes whether it is a program, and whether it is an archive: on the disc that all nodes
    /// share, names say nothing.
    fn kind(&self) -> (bool, bool) {
        let mut start = Vec::new();
        let _shown_by_the_digest = self.disc.open_content(self.content).take(512).read_to_end(&mut start);
        let is_program = start.starts_with(b"\x7fELF") || start.starts_with(b"#!");
        let is_packed =
            Compression::detect(&start) != Compression::None || start.get(257..262) == Some(b"ustar");
        (is_program, is_packed)
    }

    fn executable(&self) -> Arc<Executable> {
        // What cannot be read twice was not read the first time either.
        let unreadable = || Executable {
            kind: executable::Kind::Other(String::new()),
            versions: BTreeSet::new(),
            pauses: BTreeSet::new(),
        };
        let read = || executable::read(self.disc.open_content(self.content)).unwrap_or_else(|_| unreadable());
        kept(&self.shelf.executables, self.digest, read)
    }

    fn archive(&self, path: &str) -> Option<Arc<Archive>> {
        if self.shelf.artifacts.contains(self.digest) {
            return None;
        }
        let input = || BufReader::with_capacity(PIECE, self.disc.open_content(self.content));
        let read = || Archive::read(Path::new(path), self.content.size(), input());
        Some(kept(&self.shelf.archives, self.digest, read))
    }
}

/// Returns whether a file of a node's own disc is the k3s executable, and whether it is an archive.
fn kind_by_path(path: &str) -> (bool, bool) {
    (path.ends_with(EXECUTABLE), ARCHIVES.iter().any(|folder| path.contains(folder)))
}

/// Looks for the descriptors of UDF between those of ISO 9660 (ECMA-167, part 2).
fn is_udf(file: &File) -> bool {
    (16..64).any(|block: u64| {
        let mut identifier = [0; 5];
        file.read_exact_at(&mut identifier, block * 2048 + 1).is_ok()
            && (&identifier == b"NSR02" || &identifier == b"NSR03")
    })
}

type Loaded<'a> = BTreeMap<&'a Content, (Digest, Option<Text>)>;

/// Hashes every content while the image passes by, and keeps the small ones.
fn load<'a>(disc: &'a Disc, input: &mut dyn BufRead) -> io::Result<Loaded<'a>> {
    let file = |entry: &'a crate::disc::Entry| match &entry.kind {
        EntryKind::File(content) => Some(content),
        EntryKind::Folder | EntryKind::Link(_) | EntryKind::Special => None,
    };
    let contents: Vec<&Content> =
        disc.entries().iter().filter_map(file).collect::<BTreeSet<_>>().into_iter().collect();
    let mut runs: Vec<(u64, u64, usize)> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        runs.extend(
            content.extents().filter(|run| run.1 > 0).map(|(offset, length)| (offset, length, index)),
        );
    }
    let is_in_order = |content: &&Content| {
        let offsets: Vec<u64> = content.extents().map(|(offset, _)| offset).collect();
        offsets.is_sorted()
    };
    runs.sort_unstable();
    let lies_apart = runs.windows(2).all(|pair| pair[0].0.saturating_add(pair[0].1) <= pair[1].0);
    if !lies_apart || !contents.iter().all(is_in_order) {
        return Err(io::Error::other("its files lie over each other"));
    }
    let mut taken: Vec<(Hasher, Vec<u8>)> =
        contents.iter().map(|_| (Hasher::new(Algorithm::Sha256), Vec::new())).collect();
    let (mut position, mut kept) = (0, 0);
    for (offset, length, index) in runs {
        pass(input, offset - position, |_| {})?;
        let (hasher, bytes) = &mut taken[index];
        let is_small = contents[index].size() < LARGEST as u64 && kept < MOST_KEPT;
        pass(input, length, |piece| {
            hasher.update(piece);
            if is_small {
                bytes.extend_from_slice(piece);
                kept += piece.len();
            }
        })?;
        position = offset + length;
    }
    let finish = |(content, (hasher, bytes)): (&'a Content, (Hasher, Vec<u8>))| {
        let text = (bytes.len() as u64 == content.size()).then_some(Text { bytes });
        (content, (hasher.finish(), text))
    };
    Ok(contents.into_iter().zip(taken).map(finish).collect())
}

/// Passes so many bytes on.
fn pass(input: &mut dyn BufRead, length: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let piece = input.fill_buf()?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        take(&piece[..most]);
        input.consume(most);
        left -= most as u64;
    }
    Ok(())
}
