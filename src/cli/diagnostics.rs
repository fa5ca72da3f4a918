//! Errors as the user sees them: what was being done, why it failed, what to do.
//!
//! A hint is never part of an error: it is chosen here, from the types in the error's chain.

mod iso;
mod packages;

mod kits;

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal};

use crate::check::OpenError;
use crate::cli::global::Color;
use crate::cli::progress::write_error;
use crate::cli::session::NoLock;
use crate::cluster::authorities::UnusableAuthorities;
use crate::cluster::tokens::InvalidToken;
use crate::fetch::files::FileError;
use crate::fetch::pulls::NoPullsLeft;
use crate::fetch::transfer::TransferError;
use crate::inspect::InspectError;
use crate::lockfile::LockfileError;
use crate::oci::graph::GraphError;
use crate::oci::{SourceError, SourceErrorKind};
use crate::ops::build::BuildError;
use crate::ops::ca::CaError;
use crate::ops::cluster::ClusterError;
use crate::ops::inputs::InSecrets;
use crate::ops::iso::IsoError;
use crate::ops::k3s::K3sError;
use crate::ops::lock::{CheckError, LockError};
use crate::ops::output::Irreplaceable;
use crate::ops::packages::PackagesError;
use crate::ops::preflight::PreflightError;
use crate::registry::Fault;
use crate::spec::SpecError;
use crate::store::StoreError;
use crate::text::chain;

/// How errors look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    is_coloured: bool,
}

impl Style {
    pub(super) fn new(color: Color) -> Self {
        let is_coloured = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stderr().is_terminal() && crate::cli::environment::variable("NO_COLOR").is_none()
            }
        };
        Self { is_coloured }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// What to do about a full disk.
const MORE_SPACE: &str = "free some space (`df -h` and `df -i` say where it is short), or choose other places \
                          with --output and --cache-dir";

/// Returns 1 where the answer is no, 2 where there is no answer.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<CheckError>() {
        Some(CheckError::Stale(_)) => 1,
        Some(CheckError::Wanted(_)) => 2,
        None if matches!(error.downcast_ref(), Some(BuildError::Unfit { .. })) => 1,
        None => 2,
    }
}

/// Prints an error with its causes, the things it lists, and hints.
pub(super) fn print(error: &anyhow::Error, style: Style) {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");
    for (level, message) in chain(error.as_ref()).into_iter().enumerate() {
        match level {
            0 => line(format!("{} {message}", style.paint("1;31", "error:"))),
            _ => line(format!("  because: {message}")),
        }
    }
    for item in items(error) {
        line(format!("  - {item}"));
    }
    for hint in hints(error) {
        line(format!("  {} {hint}", style.paint("1;36", "hint:")));
    }
    write_error(&text);
}

/// Returns the single things that an error is about, where it is about several.
fn items(error: &anyhow::Error) -> Vec<String> {
    let mut items = Vec::new();
    for cause in error.chain() {
        if let Some(CheckError::Stale(drift)) = cause.downcast_ref() {
            items.extend(drift.iter().map(ToString::to_string));
        }
        if let Some(BuildError::Unfit { findings }) = cause.downcast_ref() {
            items.extend(findings.iter().map(ToString::to_string));
        }
        if let Some(LockError::Images { failures, .. }) = cause.downcast_ref() {
            items.extend(failures.iter().map(|failure| chain(failure).join(": ")));
        }
    }
    items
}

fn hints(error: &anyhow::Error) -> Vec<String> {
    // What is read here is a finished kit, and nothing is written: advice about other places would mislead.
    if let Some(hint) = kits::hint(error) {
        return hint.map(str::to_owned).into_iter().collect();
    }
    let mut hints = Vec::new();
    let is_about_packages = error.chain().any(|cause| cause.is::<PackagesError>());
    for cause in error.chain() {
        // What a repository does not have is no image.
        if !is_about_packages || !speaks_of_images(cause) {
            hints.extend(hint_of(cause));
        }
        if let Some(LockError::Images { failures, .. }) = cause.downcast_ref() {
            hints.extend(failures.iter().flat_map(|failure| hint_of_graph(&failure.source)));
        }
    }
    let mut unique = Vec::new();
    for hint in hints {
        if !unique.contains(&hint) {
            unique.push(hint);
        }
    }
    unique
}

/// Returns whether the hint for an error is about names of images and logins.
fn speaks_of_images(cause: &(dyn std::error::Error + 'static)) -> bool {
    let is_such = |error: &SourceError| {
        use SourceErrorKind::{Denied, Local, NotFound};
        matches!(error.kind, Denied | Local | NotFound)
    };
    cause.downcast_ref().is_some_and(is_such)
}

fn hint_of(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(BuildError::Unfit { .. }) = cause.downcast_ref() {
        return Some(
            "`seedkit check --explain ID` tells the story behind a finding; `allow` in seedkit.yaml accepts one"
                .to_owned(),
        );
    }
    if let Some(CheckError::Stale(_)) = cause.downcast_ref() {
        return Some("run `seedkit lock`, review the difference, and commit it".to_owned());
    }
    if let Some(PreflightError::NoSpace { .. }) = cause.downcast_ref() {
        return Some(MORE_SPACE.to_owned());
    }
    if cause.is::<NoLock>() {
        return Some("run `seedkit lock`, review the result, and commit it".to_owned());
    }
    if let Some(FileError::Store { source: StoreError::Mismatch(_), .. }) = cause.downcast_ref() {
        return Some(
            "the file changed where it comes from: look at it, then correct its checksum in the spec or run \
             `seedkit lock`"
                .to_owned(),
        );
    }
    if let Some(TransferError::Store { source: StoreError::Mismatch(_), .. }) = cause.downcast_ref() {
        return Some(
            "run the same command again; if it says the same, the image is damaged where it comes from"
                .to_owned(),
        );
    }
    if let Some(error) = cause.downcast_ref::<LockfileError>() {
        return Some(hint_of_lockfile(error).to_owned());
    }
    if let Some(LockError::UnknownRelease { .. }) = cause.downcast_ref() {
        return Some(
            "give the release's own list as `k3s.images` (a path or URL of its k3s-images.txt), or set \
             `images.k3s: false`"
                .to_owned(),
        );
    }
    if cause.is::<NoPullsLeft>() {
        return Some(
            "wait until there are more, log in with `docker login HOST`, or name a mirror under `sources.HOST.mirrors`"
                .to_owned(),
        );
    }
    if cause.is::<InSecrets>() {
        return Some("if nothing in it is secret, move it to another folder".to_owned());
    }
    if cause.is::<Irreplaceable>() {
        return Some("choose another folder with --output, or move this one away".to_owned());
    }
    if let Some(error) = cause.downcast_ref::<CaError>() {
        return hint_of_ca(error).map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<ClusterError>() {
        return hint_of_cluster(error).map(str::to_owned);
    }
    if let Some(OpenError::Alone { .. }) = cause.downcast_ref() {
        return Some(
            "`check` takes a kit, a disc, or images in an archive or layout; `inspect` looks into more"
                .to_owned(),
        );
    }
    if let Some(InspectError::Unknown { .. }) = cause.downcast_ref() {
        return Some(format!("seedkit looks into {}", InspectError::KINDS));
    }
    if let Some(error) = cause.downcast_ref::<K3sError>() {
        return hint_of_k3s(error).map(str::to_owned);
    }
    if let Some(SpecError::Read { .. }) = cause.downcast_ref() {
        return Some("name the spec with --file, or make one with `seedkit init`".to_owned());
    }
    if let Some(error) = cause.downcast_ref::<IsoError>()
        && let Some(hint) = iso::hint_of(error)
    {
        return Some(hint.to_owned());
    }
    if let Some(error) = cause.downcast_ref::<PackagesError>() {
        return packages::hint_of(error).map(str::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<GraphError>() {
        return hint_of_graph(error);
    }
    if let Some(error) = cause.downcast_ref::<SourceError>() {
        return hint_of_source(error).map(str::to_owned);
    }
    if let Some(fault) = cause.downcast_ref::<Fault>() {
        return hint_of_fault(fault).map(str::to_owned);
    }
    let io_error = cause.downcast_ref::<std::io::Error>()?;
    let kind = io_error.kind();
    if kind == ErrorKind::StorageFull {
        return Some(MORE_SPACE.to_owned());
    }
    let is_refused = kind == ErrorKind::ReadOnlyFilesystem || kind == ErrorKind::PermissionDenied;
    is_refused.then(|| "choose a place that you may write to with --output or --cache-dir".to_owned())
}

fn hint_of_lockfile(error: &LockfileError) -> &'static str {
    match error {
        LockfileError::Malformed(_) | LockfileError::Duplicate { .. } => {
            "take it back from version control, or remove it and run `seedkit lock`"
        }
        LockfileError::Version { .. } => "use the seedkit that wrote it, or remove it and run `seedkit lock`",
    }
}

fn hint_of_ca(error: &CaError) -> Option<&'static str> {
    match error {
        CaError::NotCovered { .. } | CaError::Foreign(_) | CaError::NotValid { .. } => {
            Some("run `seedkit ca renew`: a new certificate for the registry under the same authority")
        }
        CaError::AuthorityNotValid { .. } => Some(
            "move `ca.crt` and `registry.crt` out of the secrets folder to have new ones made; nodes that run \
             already need the new `ca.crt`",
        ),
        CaError::Missing { .. } => Some("run `seedkit ca` to have what is missing made"),
        // The cause below has one, where there is something to do.
        CaError::Cluster(_)
        | CaError::Secrets(_)
        | CaError::Key { .. }
        | CaError::Certificate { .. }
        | CaError::Name(_)
        | CaError::Pki(_) => None,
    }
}

fn hint_of_cluster(error: &ClusterError) -> Option<&'static str> {
    match error {
        ClusterError::Incomplete { .. } => Some(
            "take the secrets back from a backup; if no node was ever started with them, remove all `cluster-*` to \
             have new ones made",
        ),
        ClusterError::Unusable(UnusableAuthorities::NotValid { .. }) => Some(
            "check this machine's clock; authorities of a running cluster are renewed with `k3s certificate \
             rotate-ca`",
        ),
        ClusterError::SharedWithRegistry { .. } => Some(
            "let the registry have an authority of its own: move its `ca.key`, `ca.crt` and `registry.crt` away",
        ),
        ClusterError::Token { source: InvalidToken::UnknownAuthority, .. } => Some(
            "keep the password alone in the file: what follows the last `:`. Or have the authorities made beforehand, \
             with `k3s.clusterCa: generate`",
        ),
        ClusterError::Token { source: InvalidToken::ForeignAuthority, .. } => Some(
            "keep the password alone in the file: what follows the last `:`; seedkit puts the right hash before it",
        ),
        ClusterError::Token { .. } => {
            Some("move the file away to have a new token made; nodes that run already need the old one")
        }
        ClusterError::Unusable(_)
        | ClusterError::Authority { .. }
        | ClusterError::Certificate { .. }
        | ClusterError::Key { .. }
        | ClusterError::Random(_)
        | ClusterError::Secrets(_)
        | ClusterError::ServiceKey(_) => None,
    }
}

fn hint_of_k3s(error: &K3sError) -> Option<&'static str> {
    match error {
        K3sError::NoPauseImage { .. } => Some(
            "add the image to `images.inline` and run `seedkit lock`; the list of another release names another one",
        ),
        K3sError::NotExecutable { .. } => Some(
            "look at the file: it may be an archive, or the page of a proxy; the release calls it k3s, k3s-arm64, \
             k3s-armhf, k3s-riscv64 or k3s-s390x",
        ),
        K3sError::WrongMachine { .. } => Some(
            "give each platform its own: the release calls them k3s (amd64), k3s-arm64, k3s-armhf, k3s-riscv64 and \
             k3s-s390x",
        ),
        K3sError::WrongVersion { .. } => {
            Some("correct `k3s.version`, or give the executable of that release; their images differ")
        }
        K3sError::Read { .. } => None,
    }
}

fn hint_of_graph(error: &GraphError) -> Option<String> {
    match error {
        GraphError::Source(source) => hint_of_source(source).map(str::to_owned),
        GraphError::NoSuchPlatform { .. } => {
            Some("take the platform out of `platforms`, or choose an image that has it".to_owned())
        }
        GraphError::Attachments { source, .. } => {
            let first = hint_of_source(source).map(|hint| format!("{hint}; or "));
            let without = "leave signatures out with `images.signatures: false`";
            Some(format!("{}{without}", first.unwrap_or_default()))
        }
        GraphError::NotAttached { .. } => Some(
            "leave signatures out with `images.signatures: false`, or ask who keeps the repository"
                .to_owned(),
        ),
        GraphError::Manifest { .. } | GraphError::SizesDiffer { .. } | GraphError::TooLarge { .. } => None,
    }
}

fn hint_of_source(error: &SourceError) -> Option<&'static str> {
    let fault = error.cause.as_ref().and_then(|cause| cause.downcast_ref());
    if let Some(hint) = fault.and_then(hint_of_fault) {
        return Some(hint);
    }
    Some(match error.kind {
        SourceErrorKind::NotFound => {
            "check the image's name and tag; a registry also says \"not found\" for what you may not see: log in \
             with `docker login HOST` or `skopeo login HOST`"
        }
        SourceErrorKind::Denied => "log in with `docker login HOST`, or set REGISTRY_AUTH_FILE",
        SourceErrorKind::RateLimited => {
            "wait and run the same command again, or let it wait with --retry-for: what is whole is kept; logging in \
             raises the limit"
        }
        SourceErrorKind::Connection => "check name, route and proxy (HTTPS_PROXY, NO_PROXY)",
        SourceErrorKind::Offline => "run it once without --offline where there is a network",
        SourceErrorKind::Invalid => {
            "something between here and the registry changes its answers, or it is broken"
        }
        SourceErrorKind::Local => {
            "check the path under `sources` in the spec; if it is right, have the layout or archive made anew"
        }
        SourceErrorKind::NotInLayout => {
            "check the image's name and tag, or add it: `skopeo copy docker://IMAGE oci:DIR:IMAGE`, with the full \
             name both times"
        }
        // The cause below has one.
        SourceErrorKind::Store => return None,
    })
}

/// Returns what to do about a connection that did not work; `None` where only the general advice helps.
fn hint_of_fault(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::UnknownAuthority | Fault::AuthorityAsServer => Some(
            "name its authority's certificate in `sources.HOST.caFile`, or a bundle in SSL_CERT_FILE; a proxy \
             that opens TLS has an authority of its own",
        ),
        Fault::WrongName => Some("use a name or address that the server's certificate covers"),
        Fault::Expired => Some("check this machine's clock, then the server's certificate"),
        Fault::NotTls => Some(
            "if the registry has no TLS, write `from: http://…` and `plainHttp: true` for it under `sources`",
        ),
        Fault::NotPlain => Some("write `https://` instead of `http://`"),
        Fault::Proxy(_) => {
            Some("check HTTPS_PROXY and its user and password; NO_PROXY names what is reached directly")
        }
        Fault::TimedOut | Fault::TooSlow(_) | Fault::Closed => {
            Some("run the same command again: what is whole is kept")
        }
        Fault::NameServer => Some("check this machine's name servers (/etc/resolv.conf) and its network"),
        Fault::UnknownHost | Fault::Unreachable | Fault::Refused | Fault::Tls(_) | Fault::Other(_) => None,
    }
}
