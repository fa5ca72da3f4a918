//! A finished kit, read back: every file once, while it is hashed.
//!
//! Nothing that is found to be damaged stops the reading: it is remembered, and the rows say so.

mod alone;
mod disc;
mod node;
mod secret;
mod shell;
mod text;
mod unit;

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fs_err as fs;

pub(super) use disc::{Archive, DiscView, EXECUTABLE};
pub(super) use node::{
    AUTHORITIES, Command, K3S_CONFIG, MANIFESTS, Node, PlacedFile, REGISTRIES, Script, Source, Stage,
};
pub use secret::KnownSecret;
pub(super) use secret::{Contents, shown_after};
pub(super) use shell::{Joint, Statement, statements};
pub(super) use text::Text;
pub(super) use unit::Unit;

use super::rows::Part;
use super::verdict::Verdict;
use crate::artifact::Finding;
use crate::bill::{self, Bill, BillError};
use crate::digest::Digest;
use crate::inspect::InspectError;
use crate::lockfile::FileRole;
use crate::oci::layout::LayoutIndex;
use crate::progress::Reporter;
use crate::verify::{self, VerifyError};
use disc::Shelf;

/// The page's path in a kit.
pub const PAGE: &str = "report.html";
/// What names the images of the registry's layout.
pub(super) const LAYOUT_INDEX: &str = "images/index.json";
/// The largest text that is kept.
const LARGEST_TEXT: u64 = 64 << 20;

/// A finished kit, as the nodes and their administrators will find it, or a part of one.
#[derive(Debug)]
pub struct Kit {
    /// What it is if it is not a whole kit; then it has no bill.
    pub alone: Option<Part>,
    /// What it says of itself.
    pub(super) bill: Option<Bill>,
    /// When it is, in seconds since 1970: what certificates are compared with.
    pub(super) now: i64,
    /// What comparing every byte with its list said.
    pub verified: verify::Report,
    /// The digest of its list of digests, without the page, which shows it.
    pub(super) digest: Digest,
    /// The seeds, in the order of the bill; also those that are no valid seed.
    pub(super) seeds: Vec<Seed>,
    /// What the nodes become; one for each seed that cloud-init would read.
    pub(super) nodes: Vec<Node>,
    /// Image tarballs and bundles of the kit, by path.
    pub(super) archives: BTreeMap<String, Archive>,
    /// What the registry's layout names, if it can be read.
    pub(super) layout: Option<LayoutIndex>,
    /// Texts of the kit that hold no secret, by path.
    pub(super) texts: BTreeMap<String, Text>,
    /// What could not be read: path and reason.
    pub(super) unreadable: Vec<(String, String)>,
    /// What it was made with and must not show, if who asks knows that.
    pub(super) secrets: Vec<KnownSecret>,
}

/// One node's disc.
#[derive(Debug)]
pub(super) struct Seed {
    /// The node's name.
    pub(super) name: String,
    /// The disc's path.
    pub(super) path: String,
    /// What the bill says of the node.
    pub(super) billed: Option<bill::Node>,
    pub(super) disc: Option<DiscView>,
}

/// Says why a kit cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its bill cannot be used.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// Its list of digests cannot be used.
    #[error("the kit cannot be verified")]
    Verify(#[from] VerifyError),
    /// It is not a kit, and nothing else that can be looked into.
    #[error("cannot check `{0}`")]
    Look(PathBuf, #[source] InspectError),
    /// It is something of which no row speaks when it is alone.
    #[error("`{0}` is {1}, and cannot be checked by itself")]
    Alone(PathBuf, &'static str),
}

/// What one file of a kit was found to be.
enum Piece {
    Disc(Result<DiscView, String>),
    Archive(Box<Archive>),
    Layout(Result<LayoutIndex, String>),
    Text(Text),
}

impl Kit {
    /// Reads the kit in `folder` with `jobs` threads; `now` is in seconds since 1970.
    ///
    /// A disc, an archive of images or a layout is read as well, whoever made it: as a part of a kit that is not there.
    pub fn open(folder: &Path, now: i64, jobs: usize, reporter: &dyn Reporter) -> Result<Self, OpenError> {
        // What cannot be opened at all is best said of the bill, if it is a folder.
        let has_bill = folder.join(bill::FILE_NAME).exists();
        let is_kit = folder.is_dir() && (has_bill || !alone::is_layout(folder));
        if !is_kit {
            return Self::alone(folder, now, reporter);
        }
        let bill = bill::read(folder)?;
        let shelf = Shelf::new(bill.artifacts.values().map(|artifact| artifact.digest).collect());
        let pieces = Mutex::new(BTreeMap::new());
        let visit = |path: &str, input: &mut dyn BufRead| {
            if let Some(piece) = read_piece(folder, path, input, &shelf) {
                pieces
                    .lock()
                    .expect("no thread panics while it holds the lock")
                    .insert(path.to_owned(), piece);
            }
        };
        let verified = verify::kit_with(folder, jobs, reporter, &visit)?;
        let pieces = pieces.into_inner().expect("all threads have ended");
        let digest = verify::digest_without(folder, PAGE)?;
        Ok(Self::assemble(bill, now, (verified, digest), pieces))
    }

    /// Lets the checks look for what the kit was made with; without it they know the secrets that are in the kit.
    pub fn with_secrets(self, secrets: Vec<KnownSecret>) -> Self {
        Self { secrets, ..self }
    }

    /// Returns whether it is a part of a kit, of which nobody knows what else there is.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    fn assemble(
        bill: Bill,
        now: i64,
        (verified, digest): (verify::Report, Digest),
        pieces: BTreeMap<String, Piece>,
    ) -> Self {
        let (mut discs, mut archives, mut texts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut unreadable, mut layout) = (Vec::new(), None);
        for (path, piece) in pieces {
            match piece {
                Piece::Disc(Ok(disc)) => drop(discs.insert(path, disc)),
                Piece::Disc(Err(reason)) => unreadable.push((path, reason)),
                Piece::Archive(archive) => {
                    unreadable.extend(archive.problem().map(|reason| (path.clone(), reason)));
                    archives.insert(path, *archive);
                }
                Piece::Layout(Ok(index)) => layout = Some(index),
                Piece::Layout(Err(reason)) => unreadable.push((path, reason)),
                Piece::Text(text) => drop(texts.insert(path, text)),
            }
        }
        let shared = discs.values().find(|disc| disc.is_shared_payload());
        let seed = |node: &bill::Node| {
            let (name, path) = (node.name.clone(), node.seed.clone());
            Seed { name, path, billed: Some(node.clone()), disc: discs.get(&node.seed).cloned() }
        };
        let seeds: Vec<Seed> = bill.nodes.iter().map(seed).collect();
        let nodes = seeds.iter().filter_map(|seed| Node::of(seed, shared)).collect();
        let bill = Some(bill);
        let nothing = Self::nothing(now);
        Self { bill, verified, digest, seeds, nodes, archives, layout, texts, unreadable, ..nothing }
    }

    /// Returns the release of k3s; nothing is known of a part of a kit.
    pub(super) fn k3s(&self) -> &str {
        self.bill.as_ref().map_or("", |bill| &bill.k3s)
    }

    /// Returns the minor version of Kubernetes, such as 35 for `v1.35.0+k3s1`.
    pub(super) fn kubernetes_minor(&self) -> Option<u32> {
        self.k3s().strip_prefix("v1.")?.split('.').next()?.parse().ok()
    }

    /// Returns whether a file on the nodes is one that the spec brings along, and not one that was made.
    pub(super) fn is_users_own(&self, path: &str) -> bool {
        let mut files = self.bill.iter().flat_map(|bill| &bill.files);
        files.any(|file| matches!(&file.role, FileRole::File(destination) if destination == path))
    }

    /// Returns the images that the bill names.
    pub(super) fn images(&self) -> &[bill::Image] {
        self.bill.as_ref().map_or(&[], |bill| &bill.images)
    }

    /// Returns what the bill says of a finished file.
    pub(super) fn artifact(&self, path: &str) -> Option<&bill::Artifact> {
        self.bill.as_ref()?.artifacts.get(path)
    }

    /// Returns what is in an archive on a node: that of the kit's own artifact, if it is the same bytes.
    pub(super) fn archive<'a>(&'a self, file: &'a PlacedFile) -> Option<&'a Archive> {
        let own = file.archive.as_deref();
        own.or_else(|| {
            let mut artifacts = self.bill.as_ref()?.artifacts.iter();
            let (path, _) = artifacts.find(|(_, artifact)| Some(artifact.digest) == file.digest)?;
            self.archives.get(path)
        })
    }

    /// Returns the nodes that run the control plane.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_server())
    }

    /// Returns the path of the first server's disc; empty if there is no server.
    pub(super) fn first_server(&self) -> &str {
        self.servers().next().map_or("", |node| &node.seed)
    }
}

fn read_piece(folder: &Path, path: &str, input: &mut dyn BufRead, shelf: &Shelf) -> Option<Piece> {
    let is_top = !path.contains('/');
    if path.starts_with("seeds/") && path.ends_with(".iso") {
        return Some(Piece::Disc(DiscView::read(&folder.join(path), input, shelf)));
    }
    if is_top && (path.starts_with("airgap-images-") || path.starts_with("ops-packages-")) {
        let length = fs::metadata(folder.join(path)).map(|metadata| metadata.len()).unwrap_or_default();
        return Some(Piece::Archive(Box::new(Archive::read(Path::new(path), length, input))));
    }
    if path == LAYOUT_INDEX {
        let index = serde_json::from_reader(input.take(LARGEST_TEXT)).map_err(|error| error.to_string());
        return Some(Piece::Layout(index));
    }
    // The registry's key is nobody's business.
    let is_text = path.starts_with("registry/") && !path.ends_with(".key");
    is_text.then(|| Piece::Text(Text::read(input)))
}

/// SK0001
pub(super) fn bytes_are_listed(kit: &Kit, verdict: &mut Verdict) {
    for finding in &kit.verified.findings {
        let (path, what) = match finding {
            Finding::Bad { path, expected, actual } => {
                (path, format!("it has other content than the list says: {actual}, listed {expected}"))
            }
            Finding::Missing { path } => (path, "it is listed and not there".to_owned()),
            Finding::Extra { path } => (path, "it is there and not listed".to_owned()),
            Finding::Wrong { path, reason } => (path, reason.clone()),
        };
        verdict.of(path).fault("", what);
    }
}

/// SK0002
pub(super) fn artifacts_are_readable(kit: &Kit, verdict: &mut Verdict) {
    for (path, reason) in &kit.unreadable {
        verdict.of(path).fault("", reason);
    }
    for seed in kit.seeds.iter().filter(|seed| seed.disc.is_none()) {
        let is_named = kit.unreadable.iter().any(|(path, _)| *path == seed.path);
        if !is_named {
            let what = format!("`{}` is not in the kit", seed.path);
            verdict.of(bill::FILE_NAME).fault(format!("nodes: {}", seed.name), what);
        }
    }
}
