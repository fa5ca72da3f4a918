//! `seedkit serve`: a kit's layout as the registry of its nodes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use crate::bill::{self, Bill, BillError};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::fs::{LARGEST, read_text};
use crate::net::{Host, RegistryHost};
use crate::oci::inventory::Inventory;
use crate::oci::{Reference, SourceError};
use crate::ops::kit::{IMAGES, REGISTRY};
use crate::pki::{CertificateView, SubjectName};
use crate::progress::{Bytes, Reporter};
use crate::secrets::names;
use crate::serve::{
    Catalog, Identity, Limits, OwnName, Passwords, PasswordsError, Served, Server, Site, Stop, TlsError,
};
use crate::store::Descriptor;
use crate::template::{TemplateError, Templates};
use crate::text::counted;

/// File descriptors beside those of connections.
const OTHER_FILES: u64 = 64;
/// A connection, and the file that it sends.
const FILES_PER_CONNECTION: u64 = 2;
/// Days before its end from which a certificate is worth a warning.
const SOON: i64 = 30;
/// Ports below are for root, or for programs with the capability.
const FIRST_FREE_PORT: u16 = 1024;
/// What systemd waits longer than the server's own deadline.
const STOP_MARGIN: u64 = 5;
/// The template of the unit.
const UNIT: &str = "registry/serve.service.tera";

/// What to serve, where, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The kit.
    pub kit: &'a Path,
    /// Where to listen, if not on every address at the port of the kit's registry.
    pub listen: Option<SocketAddr>,
    /// A file of names and passwords.
    pub passwords: Option<&'a Path>,
    /// How much and how long.
    pub limits: Limits,
    /// What time it is.
    pub now: Epoch,
}

/// Why a kit cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It is not a kit.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// Its images cannot be served.
    #[error("cannot serve the images of `{0}`")]
    Layout(PathBuf, #[source] SourceError),
    /// Its certificate cannot be used.
    #[error("cannot serve `{0}` over TLS")]
    Tls(PathBuf, #[source] TlsError),
    /// The file of passwords cannot be used.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The operating system gives no threads.
    #[error("cannot serve")]
    Run(#[source] std::io::Error),
    /// The unit cannot be written.
    #[error("cannot write the unit")]
    Unit(#[from] TemplateError),
}

/// A kit that is listened for, and not served yet.
#[derive(Debug)]
pub struct Prepared {
    server: Server,
    /// The address that is listened on.
    pub address: SocketAddr,
    /// The registry as the nodes reach it.
    pub registry: RegistryHost,
}

/// Opens a kit, checks it, and begins to listen.
pub fn prepare(options: &Options<'_>, reporter: &dyn Reporter) -> Result<Prepared, ServeError> {
    let Options { kit, listen, passwords, limits, now } = *options;
    let Bill { registry, images, .. } = bill::read(kit)?;
    let own_names: Vec<OwnName> = images.iter().filter_map(own_name).collect();
    let inventory =
        Inventory::open(&kit.join(IMAGES)).map_err(|source| ServeError::Layout(kit.to_owned(), source))?;
    let catalog = Catalog::of(&inventory, &own_names);
    for digest in &inventory.damaged {
        let path = inventory.path(digest);
        let path = path.display();
        reporter.warn(format!(
            "`{path}` has another length than it should and is not served; `seedkit verify` says more"
        ));
    }
    for (image, blob) in gone(&inventory, &images) {
        let text = format!(
            "`{image}` cannot be pulled whole: its blob {blob} is not in the kit; `seedkit verify` lists all that is gone"
        );
        reporter.warn(text);
    }
    let identity = identity(kit, &registry, now, reporter)?;
    let passwords = passwords.map(Passwords::load).transpose()?;
    let limits = with_files(limits, reporter);
    let address = listen.unwrap_or_else(|| default_address(&registry));
    let site = Site { inventory: Arc::new(inventory), catalog, passwords };
    let fail = |source| ServeError::Listen(address, source);
    let server = Server::bind(address, identity, site, limits).map_err(fail)?;
    let address = server.address().map_err(fail)?;
    Ok(Prepared { server, address, registry })
}

impl Prepared {
    /// Returns the number of images, each name counted.
    pub fn image_count(&self) -> usize {
        self.server.site().catalog.image_count()
    }

    /// Returns the bytes of all contents.
    pub fn total_size(&self) -> u64 {
        self.server.site().catalog.total_size()
    }

    /// Serves until `stop` says so.
    pub fn run(self, stop: &Stop, reporter: &dyn Reporter) -> Result<Served, ServeError> {
        let served = self.server.run(stop, reporter).map_err(ServeError::Run)?;
        let Served { requests, bytes, cut, lost_lines } = served;
        if cut > 0 {
            reporter
                .warn(format!("{} took longer than --stop-timeout and were cut", counted(cut, "connection")));
        }
        if lost_lines > 0 {
            reporter
                .warn(format!("{lost_lines} lines of the log were lost: standard error was read too slowly"));
        }
        reporter.note(format!("stopped after {requests} requests, {} sent", Bytes(bytes)));
        Ok(served)
    }
}

/// Returns the images of which a blob is gone, each with one.
fn gone<'a>(
    inventory: &'a Inventory,
    images: &'a [bill::Image],
) -> impl Iterator<Item = (&'a Reference, Digest)> {
    let is_gone = |blob: &&Descriptor| {
        !inventory.damaged.contains(&blob.digest) && !inventory.blobs.contains_key(&blob.digest)
    };
    images.iter().filter_map(move |image| {
        let mut manifests = image.platforms.values().filter_map(|digest| inventory.manifests.get(digest));
        let blob = manifests.find_map(|held| held.manifest.blobs().find(is_gone))?;
        Some((&image.reference, blob.digest))
    })
}

/// Returns the name that an image list chose for this registry.
fn own_name(image: &bill::Image) -> Option<OwnName> {
    let (path, tag) = image.destination.as_deref()?.rsplit_once(':')?;
    Some(OwnName { path: path.to_owned(), tag: tag.to_owned(), root: image.digest })
}

/// Loads certificate and key; what nodes will complain of is a warning, because clocks behind an air gap are wrong.
fn identity(
    kit: &Path,
    registry: &RegistryHost,
    now: Epoch,
    reporter: &dyn Reporter,
) -> Result<Identity, ServeError> {
    let [certificate, key] = [names::SERVER, names::SERVER_KEY].map(|name| kit.join(REGISTRY).join(name));
    let identity =
        Identity::load(&certificate, &key).map_err(|source| ServeError::Tls(kit.to_owned(), source))?;
    if identity.is_key_open_to_others {
        let key = key.display();
        reporter.warn(format!("`{key}` is open to other users of this machine: type `chmod 600 '{key}'`"));
    }
    let view = read_text(&certificate, LARGEST).ok().and_then(|pem| CertificateView::from_pem(&pem).ok());
    let Some(view) = view else { return Ok(identity) };
    let days = view.days_left(now.date_time().unix_timestamp());
    if !view.is_valid_at(now.date_time().unix_timestamp()) {
        reporter.warn(format!("the certificate is not valid at {now}: `seedkit ca renew`, or set the clock"));
    } else if days < SOON {
        reporter
            .warn(format!("the certificate has {} left", counted(usize::try_from(days).unwrap_or(0), "day")));
    }
    let name: Option<SubjectName> = registry.host().to_string().parse().ok();
    if name.is_some_and(|name| !view.covers(&name)) {
        reporter.warn(format!("the certificate does not cover `{}`, by which nodes ask", registry.host()));
    }
    Ok(identity)
}

/// Returns every address of this machine, at the port that the nodes ask.
fn default_address(registry: &RegistryHost) -> SocketAddr {
    let all = match registry.host() {
        Host::Ip(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Host::Ip(IpAddr::V4(_)) | Host::Name(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    SocketAddr::new(all, registry.port())
}

/// Asks for as many file descriptors as the connections need, and takes fewer connections if there are not enough.
fn with_files(limits: Limits, reporter: &dyn Reporter) -> Limits {
    let connections = limits.connections as u64;
    let wanted = connections * FILES_PER_CONNECTION + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return limits;
    }
    let raised = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let is_raised = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok();
    let files = if is_raised { raised } else { current.unwrap_or(wanted) };
    let possible = (files.saturating_sub(OTHER_FILES) / FILES_PER_CONNECTION).max(1);
    if possible >= connections {
        return limits;
    }
    reporter.warn(format!(
        "only {possible} connections at once: the limit of open files (`ulimit -n`) is {files}"
    ));
    Limits { connections: usize::try_from(possible).unwrap_or(limits.connections), ..limits }
}

#[derive(Serialize)]
struct UnitContext<'a> {
    unit: Unit<'a>,
}

#[derive(Serialize)]
struct Unit<'a> {
    user: u32,
    command: &'a [String],
    stop_seconds: u64,
    files: u64,
    is_port_privileged: bool,
}

/// Returns a systemd unit that runs `command`, which serves a kit with `options`.
///
/// The kit must be one, and its key be there: the unit runs as its owner.
pub fn unit(options: &Options<'_>, command: &[String]) -> Result<String, ServeError> {
    let Options { kit, listen, passwords: _, limits, now: _ } = *options;
    let Bill { registry, .. } = bill::read(kit)?;
    let key = kit.join(REGISTRY).join(names::SERVER_KEY);
    let owner = fs::metadata(&key)
        .map_err(|source| ServeError::Tls(kit.to_owned(), TlsError::Read("key", source)))?;
    let address = listen.unwrap_or_else(|| default_address(&registry));
    let unit = Unit {
        user: owner.uid(),
        command,
        stop_seconds: limits.stop_timeout.as_secs() + STOP_MARGIN,
        files: limits.connections as u64 * FILES_PER_CONNECTION + OTHER_FILES,
        is_port_privileged: address.port() < FIRST_FREE_PORT,
    };
    Ok(Templates::builtin().render(UNIT, &UnitContext { unit })?)
}
