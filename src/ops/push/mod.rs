//! `seedkit push`: the images of a kit -> another registry.
//!
//! An image whose root is there already is passed over. Of the others blobs go first, each sent once and mounted
//! into the other repositories that need it; then manifests, children before parents; then names.

mod plan;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bill::{self, Bill, BillError};
use crate::digest::Digest;
use crate::fetch::failures::Failures;
use crate::fs::{LARGEST, read_text};
use crate::oci::inventory::Inventory;
use crate::oci::{Reference, SourceError};
use crate::ops::kit::{IMAGES, REGISTRY};
use crate::pki::{CertificateView, SubjectName};
use crate::progress::Reporter;
use crate::registry::{Client, ClientOptions, Endpoint};
use crate::secrets::names;
use crate::store::DiskStore;

use self::work::{Image, Work};

pub use plan::Naming;

/// What to push, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The kit.
    pub kit: &'a Path,
    /// Where it goes.
    pub endpoint: &'a Endpoint,
    /// How the registry is reached.
    pub client: &'a ClientOptions,
    /// The authority to trust there beside the system's; without one, the kit's own for the kit's own registry.
    pub ca_file: Option<&'a Path>,
    /// How images are called there.
    pub naming: Naming,
    /// The most bytes of one request.
    pub chunk: u64,
    /// How many requests run at once.
    pub jobs: usize,
    /// Where uploads are noted that do not end; without it, each run begins them anew.
    pub store: Option<&'a DiskStore>,
    /// Whether the rest is finished when something is not taken.
    pub keep_going: bool,
}

/// Why a kit is not in a registry.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It is not a kit.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// Its images cannot be read.
    #[error("cannot read the images of `{0}`")]
    Layout(PathBuf, #[source] SourceError),
    /// Two images want one name.
    #[error("`{first}` and `{second}` would both be `{name}`, and are different images")]
    Collision {
        /// The name in the registry.
        name: String,
        /// One image.
        first: Reference,
        /// The other.
        second: Reference,
    },
    /// The layout does not have what the bill lists.
    #[error("`{0}` is not whole in the kit")]
    NotWhole(Reference),
    /// There can be no connection.
    #[error(transparent)]
    Client(SourceError),
    /// The registry did not take something.
    #[error("cannot push `{0}`")]
    Registry(Reference, #[source] SourceError),
    /// Some images could not be pushed; all others are there.
    #[error("not all images can be pushed")]
    Several(#[source] Failures),
}

/// An image in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushedImage {
    /// Its name in the kit.
    pub reference: Reference,
    /// Its name in the registry, without the registry's own.
    pub name: String,
    /// The digest that the name stands for there.
    pub digest: Digest,
    /// Whether that is another one than in the kit: the registry does not take an index with platforms left out, so
    /// it got one that lists only those that are there.
    pub is_narrowed: bool,
    /// Whether it was there already.
    pub was_present: bool,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// The images, in the order of the bill.
    pub images: Vec<PushedImage>,
    /// Those that stay in the kit: a layer of theirs is in no registry, and this one refuses what is not whole.
    pub left_out: Vec<Reference>,
    /// Signatures and the like that are attached to them.
    pub attached: u64,
    /// Blobs that were sent.
    pub uploaded: u64,
    /// Blobs that the registry had in another repository.
    pub mounted: u64,
    /// Bytes of the blobs that were sent.
    pub bytes: u64,
}

/// Brings all images of a kit into a registry.
///
/// The first error, in the order of the bill, is returned, or all of them by those who keep going; what arrived stays there, and is not sent again.
pub fn run(options: &Options<'_>, reporter: &dyn Reporter) -> Result<Pushed, PushError> {
    let Options { kit, endpoint, client, ca_file, naming, chunk: _, jobs: _, store: _, keep_going: _ } =
        *options;
    let layout_error = |source| PushError::Layout(kit.to_owned(), source);
    let bill = bill::read(kit)?;
    let places = plan::places(&bill.images, naming)?;
    let inventory = Inventory::open(&kit.join(IMAGES)).map_err(layout_error)?;
    let (mut images, mut attached) = (Vec::new(), BTreeMap::new());
    for place in places {
        let not_whole = || PushError::NotWhole(place.reference.clone());
        let parts = plan::Parts::of(&inventory, &place.root).ok_or_else(not_whole)?;
        let narrowed = plan::narrow(&inventory, &parts.partial).map_err(layout_error)?;
        for plan::AttachedPlace { place, subject } in plan::attached(&inventory, &place, &parts) {
            let not_whole = || PushError::NotWhole(place.pinned());
            let parts = plan::Parts::of(&inventory, &place.root).ok_or_else(not_whole)?;
            let key = (place.repository.clone(), place.tag.clone());
            attached.insert(key, Image { place, parts, narrowed: BTreeMap::new(), subject });
        }
        images.push(Image { place, parts, narrowed, subject: None });
    }
    let attached: Vec<Image> = attached.into_values().collect();
    let ca_file = ca_file.map(Path::to_owned).or_else(|| own_authority(kit, &bill, endpoint));
    let endpoint = endpoint.clone().with_ca_file(ca_file);
    let registry = Client::new(client.clone()).and_then(|client| client.registry_to_push(endpoint));
    let registry = registry.map_err(PushError::Client)?;
    Work::new(&registry, &inventory, options, reporter).run(&images, &attached)
}

/// Returns the kit's own authority if the endpoint is the kit's own registry: at its address, or at a name that its
/// certificate has.
///
/// # Why
/// It counts nowhere else: who made the kit, or has its key, could stand in the way to a registry of others and read
/// the credentials that are sent there.
fn own_authority(kit: &Path, bill: &Bill, endpoint: &Endpoint) -> Option<PathBuf> {
    let folder = kit.join(REGISTRY);
    let host: SubjectName = endpoint.host().parse().ok()?;
    let is_at_its_address =
        || bill.registry.host().to_string().parse().is_ok_and(|own: SubjectName| own == host);
    let is_in_its_certificate = || {
        let certificate = read_text(&folder.join(names::SERVER), LARGEST).ok();
        certificate.and_then(|pem| CertificateView::from_pem(&pem).ok()).is_some_and(|own| own.covers(&host))
    };
    let authority = folder.join(names::AUTHORITY);
    (authority.is_file() && (is_at_its_address() || is_in_its_certificate())).then_some(authority)
}
