//! From the spec as written to the spec as meant.
//!
//! Every function takes what was written and where, reports all that is wrong with it, and returns what it
//! means if that is known. Nothing stops at the first error.

mod files;
mod images;
mod k3s;
mod network;
mod nodes;
mod packages;
mod registry;
mod sources;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path as Folder, PathBuf};

use super::model::{Allowance, Seed, Spec, Ssh};
use super::raw::{ApiVersion, RawAllowance, RawPack, RawSeed, RawSpec, RawSsh};
use super::report::Report;
use super::suggest;
use crate::net::Host;
use crate::node::TimeZone;
use crate::oci::Platform;
use crate::text::Path;

/// Returns what the spec means; `None` only if there are errors in the report.
pub(super) fn spec(raw: RawSpec, folder: &Folder, report: &mut Report<'_>) -> Option<Spec> {
    let RawSpec {
        api_version,
        name,
        platforms,
        k3s,
        registry,
        images,
        sources,
        files,
        packages,
        nodes,
        ssh,
        pack,
        templates,
        seed,
        deliver,
        allow,
    } = raw;
    let root = Path::root();
    let platforms = self::platforms(platforms.unwrap_or_default(), &root.key("platforms"), report);
    let surroundings = Surroundings { folder, platforms: &platforms };
    let name = report.parse(&root.key("name"), name.as_deref());
    let mut nodes = nodes::nodes(nodes, &surroundings, report);
    let k3s = k3s::k3s(k3s.unwrap_or_default(), &surroundings, report);
    let registry = registry::registry(registry.unwrap_or_default(), report);
    nodes::together(&nodes, &k3s, report);
    let images = images::images(images, folder, report);
    let sources = images::sources(sources.unwrap_or_default(), folder, report);
    let files = files::node_files(files.unwrap_or_default(), folder, &nodes, report);
    let packages = packages.map(|raw| packages::packages(raw, &surroundings, report));
    let ssh = self::ssh(ssh.unwrap_or_default(), report);
    let RawPack { compression } = pack.unwrap_or_default();
    let templates = optional_path(templates, folder, &root.key("templates"), report);
    let seed = self::seed(seed.unwrap_or_default(), &mut nodes, report);
    let networks = network::Networks { nodes: &nodes, config: k3s.config.as_map(), hosts: &seed.hosts };
    networks.check(registry.address.as_ref(), report);
    let deliver = optional_path(deliver, folder, &root.key("deliver"), report);
    let allow = self::allow(allow.unwrap_or_default(), report);
    let ApiVersion::V1 = api_version?;
    Some(Spec {
        folder: folder.to_owned(),
        name: name?,
        k3s: k3s.finish()?,
        registry: registry.finish()?,
        images,
        sources,
        files: files?,
        packages: match packages {
            None => None,
            Some(packages) => Some(packages?),
        },
        nodes: nodes.into_iter().map(nodes::Draft::finish).collect::<Option<_>>()?,
        ssh,
        compression: compression.unwrap_or_default(),
        templates,
        seed,
        deliver,
        allow,
        platforms,
    })
}

/// What the parts of a spec are read against.
struct Surroundings<'a> {
    /// The folder that paths are relative to.
    folder: &'a Folder,
    /// The platforms of the spec.
    platforms: &'a [Platform],
}

fn platforms(written: Vec<String>, path: &Path, report: &mut Report<'_>) -> Vec<Platform> {
    if written.is_empty() && !report.is_refused(path) {
        report.error_with_hint(path, "there is no platform", "write [linux/amd64]");
    }
    let mut platforms: Vec<Platform> = Vec::new();
    for (index, text) in written.iter().enumerate() {
        let path = path.index(index);
        let Some(platform) = self::platform(&path, text, report) else { continue };
        if platforms.contains(&platform) {
            report.error(&path, format!("`{platform}` is in the list twice"));
        } else {
            platforms.push(platform);
        }
    }
    platforms
}

/// Reads the texts of a list, each with its own path; those that `read` refuses are left out.
fn list<T>(
    texts: Option<Vec<String>>,
    path: &Path,
    mut read: impl FnMut(&Path, &str) -> Option<T>,
) -> Vec<T> {
    let texts = texts.unwrap_or_default();
    texts.iter().enumerate().filter_map(|(index, text)| read(&path.index(index), text)).collect()
}

/// The architectures that k3s is released for; images of others exist, nodes do not.
const ARCHITECTURES: [&str; 5] = ["amd64", "arm64", "arm", "s390x", "riscv64"];

fn platform(path: &Path, text: &str, report: &mut Report<'_>) -> Option<Platform> {
    let platform: Platform = report.parse(path, Some(text))?;
    if platform.os() != "linux" || !ARCHITECTURES.contains(&platform.architecture()) {
        let hint = format!("k3s runs on linux with {}", ARCHITECTURES.join(", "));
        report.error_with_hint(path, format!("`{platform}` is not a platform of k3s"), hint);
        return None;
    }
    Some(platform)
}

fn ssh(raw: RawSsh, report: &mut Report<'_>) -> Ssh {
    let RawSsh { user, authorized_keys, console_password_from } = raw;
    let path = Path::root().key("ssh");
    let user = user.unwrap_or_else(|| "k3s".to_owned());
    let is_user = user.len() <= 32
        && user.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && user
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if !is_user {
        let hint = "use lower-case letters, digits, `-` and `_`, at most 32, a letter first";
        report.error_with_hint(&path.key("user"), format!("`{user}` is not a user name"), hint);
    }
    let console_password = console_password_from
        .and_then(|from| registry::password(from, &path.key("consolePasswordFrom"), report));
    let path = path.key("authorizedKeys");
    let authorized_keys = list(authorized_keys, &path, |path, text| report.parse(path, Some(text)));
    Ssh { user, authorized_keys, console_password }
}

fn seed(raw: RawSeed, nodes: &mut [nodes::Draft], report: &mut Report<'_>) -> Seed {
    let RawSeed { flavour, disk, payload, timezone, ntp, hosts } = raw;
    let path = Path::root().key("seed");
    let (flavour, payload) = (flavour.unwrap_or_default(), payload.unwrap_or_default());
    nodes::disks(nodes, flavour, disk, report);
    let timezone = timezone.and_then(|text| {
        let hint = suggest::meant(&text, TimeZone::names())
            .unwrap_or_else(|| "write a name such as Asia/Seoul or Etc/UTC".to_owned());
        report.parse_with_hint(&path.key("timezone"), &text, &hint)
    });
    let ntp = list(ntp, &path.key("ntp"), |path, text| report.parse(path, Some(text)));
    let hosts = self::hosts(hosts.unwrap_or_default(), nodes, &path.key("hosts"), report);
    Seed { flavour, payload, timezone, ntp, hosts }
}

/// Reads the names that go to `/etc/hosts` beside those of the nodes.
fn hosts(
    written: BTreeMap<String, String>,
    nodes: &[nodes::Draft],
    path: &Path,
    report: &mut Report<'_>,
) -> BTreeMap<String, IpAddr> {
    let mut hosts = BTreeMap::new();
    for (written, address) in written {
        let path = path.key(&written);
        let name = match written.parse() {
            Ok(Host::Name(name)) => name,
            Ok(Host::Ip(_)) => {
                report.error_with_hint(&path, "this is an address, not a name", "write name: address");
                continue;
            }
            Err(error) => {
                report.error(&path, error.to_string());
                continue;
            }
        };
        let is_node = nodes.iter().any(|node| node.name.as_ref().is_some_and(|own| own.as_str() == name));
        if is_node || name == "localhost" || hosts.contains_key(&name) {
            report.error_with_hint(&path, "this name is in /etc/hosts already", "remove it");
        }
        let address = report.parse_address(&path, Some(&address));
        hosts.extend(address.map(|address| (name, address)));
    }
    hosts
}

/// Reads the accepted findings; which ids there are, only a check knows.
fn allow(raw: Vec<RawAllowance>, report: &mut Report<'_>) -> Vec<Allowance> {
    let mut allowed: Vec<Allowance> = Vec::new();
    for (index, RawAllowance { id, reason }) in raw.into_iter().enumerate() {
        let path = Path::root().key("allow").index(index);
        let (Some(id), Some(reason)) = (id, reason) else { continue };
        let digits = id.strip_prefix("SK").unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let hint = "write an id such as SK0108; `seedkit check` names them";
            report.error_with_hint(&path.key("id"), format!("`{id}` is not the id of a finding"), hint);
        } else if allowed.iter().any(|known| known.id == id) {
            report.error(&path.key("id"), format!("`{id}` is in the list twice"));
        } else if reason.trim().is_empty() {
            let hint = "say why the finding is accepted: every report shows it";
            report.error_with_hint(&path.key("reason"), "the reason is empty", hint);
        } else {
            allowed.push(Allowance { id, reason: reason.trim().to_owned() });
        }
    }
    allowed
}

/// Reads the name of a file in the secrets folder.
fn secret_name(name: String, path: &Path, report: &mut Report<'_>) -> Option<String> {
    let is_plain = !name.starts_with('.')
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !is_plain {
        let hint = "use letters, digits, `.`, `_` and `-`; the file lies in the secrets folder itself";
        report.error_with_hint(path, "this is not the name of a secrets file", hint);
    }
    is_plain.then_some(name)
}

/// Reads a path, which is relative to where the spec was found.
fn file_path(text: &str, folder: &Folder, path: &Path, report: &mut Report<'_>) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        report.error(path, "this is not a path");
        return None;
    }
    Some(folder.join(text))
}

fn optional_path(
    text: Option<String>,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    text.and_then(|text| file_path(&text, folder, path, report))
}
