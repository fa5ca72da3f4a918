//! From the spec as written to the spec as meant.
//!
//! Every function takes what was written and where, reports all that is wrong with it, and returns what it
//! means if that is known. Nothing stops at the first error.

mod addresses;
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

use super::model::{Allowance, Seed, Spec, Ssh};
use super::raw::{ApiVersion, RawAllowance, RawPack, RawSeed, RawSpec, RawSsh};
use super::report::At;
use super::suggest;
use crate::k3s::{Settings, is_api_name};
use crate::net::{self, Host, Scope};
use crate::node::{InvalidUserName, TimeZone, UserName};
use crate::oci::Platform;

/// Returns what the spec means; `None` only if there are errors in the report.
pub(super) fn spec(raw: RawSpec, at: &At<'_>) -> Option<Spec> {
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
    let platforms = self::platforms(platforms.unwrap_or_default(), &at.key("platforms"));
    let name = name.and_then(|text| at.key("name").parse(&text));
    let mut nodes = nodes::nodes(nodes, &platforms, &at.key("nodes"));
    let k3s = k3s::k3s(k3s.unwrap_or_default(), &platforms, &at.key("k3s"));
    let registry = registry::registry(registry.unwrap_or_default(), &at.key("registry"));
    nodes::together(&nodes, &k3s, &at.key("k3s"));
    let images = images::images(images.unwrap_or_default(), &at.key("images"));
    let sources = images::sources(sources.unwrap_or_default(), &at.key("sources"));
    let ssh = self::ssh(ssh.unwrap_or_default(), &at.key("ssh"));
    let files = files::node_files(files.unwrap_or_default(), &nodes, &ssh.user, &at.key("files"));
    let packages = packages.map(|raw| packages::packages(raw, &platforms, &at.key("packages")));
    let RawPack { compression } = pack.unwrap_or_default();
    let templates = templates.and_then(|text| at.key("templates").file(&text));
    let seed = self::seed(seed.unwrap_or_default(), &mut nodes, &k3s.config, &at.key("seed"));
    let networks = network::Networks { nodes: &nodes, config: &k3s.config, hosts: &seed.hosts };
    networks.check(registry.address.as_ref(), at);
    let deliver = deliver.and_then(|text| at.key("deliver").file(&text));
    let allow = self::allow(allow.unwrap_or_default(), &at.key("allow"));
    let ApiVersion::V1 = api_version?;
    Some(Spec {
        folder: at.folder().to_owned(),
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

fn platforms(written: Vec<String>, at: &At<'_>) -> Vec<Platform> {
    if written.is_empty() && !at.is_refused() {
        at.error_with_hint("there is no platform", "write [linux/amd64]");
    }
    let mut platforms: Vec<Platform> = Vec::new();
    for (at, text) in at.items(written) {
        match platform(&text, &at) {
            Some(platform) if platforms.contains(&platform) => at.refuse_again(platform),
            platform => platforms.extend(platform),
        }
    }
    platforms
}

/// The architectures that k3s is released for; images of others exist, nodes do not.
const ARCHITECTURES: [&str; 5] = ["amd64", "arm64", "arm", "s390x", "riscv64"];

fn platform(text: &str, at: &At<'_>) -> Option<Platform> {
    let platform: Platform = at.parse(text)?;
    if platform.os() != "linux" || !ARCHITECTURES.contains(&platform.architecture()) {
        let hint = format!("k3s runs on linux with {}", ARCHITECTURES.join(", "));
        return at.refuse_with_hint(format!("`{platform}` is not a platform of k3s"), hint);
    }
    Some(platform)
}

fn ssh(raw: RawSsh, at: &At<'_>) -> Ssh {
    let RawSsh { user, authorized_keys, console_password_from } = raw;
    let user = user.and_then(|text| self::user(&text, &at.key("user"))).unwrap_or_default();
    let console_password =
        console_password_from.and_then(|from| registry::password(from, &at.key("consolePasswordFrom")));
    let authorized_keys = at.key("authorizedKeys").list(authorized_keys, At::parse);
    Ssh { user, authorized_keys, console_password }
}

fn user(text: &str, at: &At<'_>) -> Option<UserName> {
    match text.parse::<UserName>() {
        Ok(user) => {
            if user.is_root() {
                let hint = "a user of its own has sudo too, and the log says who did what";
                at.warning("root can do everything, and a key opens it over SSH", hint);
            }
            Some(user)
        }
        Err(error @ InvalidUserName::Misspelt(_)) => at.refuse_with_hint(
            error.to_string(),
            "use lower-case letters, digits, `-` and `_`, at most 32, a letter first",
        ),
        Err(error @ InvalidUserName::Taken(_)) => at.refuse_with_hint(
            error.to_string(),
            "it keeps its shell, which lets nobody in; write a name of your own, such as ops",
        ),
    }
}

fn seed(raw: RawSeed, nodes: &mut [nodes::Draft<'_>], config: &Settings, at: &At<'_>) -> Seed {
    let RawSeed { flavour, disk, payload, timezone, ntp, hosts } = raw;
    let (flavour, payload) = (flavour.unwrap_or_default(), payload.unwrap_or_default());
    nodes::disks(nodes, flavour, disk, &at.key("disk"));
    let timezone = timezone.and_then(|text| {
        let hint = suggest::meant(&text, TimeZone::names())
            .unwrap_or_else(|| "write a name such as Asia/Seoul or Etc/UTC".to_owned());
        at.key("timezone").parse_with_hint(&text, &hint)
    });
    let ntp = at.key("ntp").list(ntp, |at, text| time_server(text, nodes, at));
    let hosts = self::hosts(hosts.unwrap_or_default(), nodes, config, &at.key("hosts"));
    Seed { flavour, payload, timezone, ntp, hosts }
}

fn time_server(text: &str, nodes: &[nodes::Draft<'_>], at: &At<'_>) -> Option<Host> {
    let host = at.parse(text)?;
    let is_machine = match &host {
        Host::Ip(address) => match net::scope(*address) {
            Scope::Machine => {
                !nodes.iter().any(|node| node.address.is_some_and(|network| network.keeps(*address)))
            }
            // Of IPv6, it needs the name of a card as well.
            Scope::Link => address.is_ipv4(),
            Scope::Oneself | Scope::Nobody => false,
        },
        Host::Name(name) => net::own_name(name).is_none(),
    };
    if !is_machine {
        let hint = "write the name or address of a time server; without ntp the nodes ask their system's own";
        return at.refuse_with_hint(format!("`{host}` is not a machine that nodes can ask"), hint);
    }
    if let Host::Ip(address) = host
        && net::scope(address) == Scope::Link
    {
        let hint = "that is right only where the machines' host answers there, as a cloud's does";
        at.warning(format!("`{address}` is another machine on every link, or none"), hint);
    }
    Some(host)
}

/// Reads the names that go to `/etc/hosts` beside those of the nodes.
fn hosts(
    written: BTreeMap<String, String>,
    nodes: &[nodes::Draft<'_>],
    config: &Settings,
    at: &At<'_>,
) -> BTreeMap<String, IpAddr> {
    let mut hosts = BTreeMap::new();
    for (written, address) in written {
        let at = at.key(&written);
        let name = match at.parse(&written) {
            Some(Host::Name(name)) => name,
            Some(Host::Ip(_)) => {
                at.error_with_hint("this is an address, not a name", "write name: address");
                continue;
            }
            None => continue,
        };
        let is_node = nodes.iter().any(|node| node.is_named(&name));
        if is_node || net::own_name(&name).is_some() || hosts.contains_key(&name) {
            at.error_with_hint("this name is in /etc/hosts already", "remove it");
        } else if is_api_name(&name, config) {
            let message =
                "this is the API's name in the cluster, and what runs in the nodes' network would miss it";
            at.error_with_hint(message, "write another name, and add it to k3s.config.tls-san");
        }
        let Some(address) = at.address(&address) else { continue };
        if net::scope(address) == Scope::Nobody {
            at.error_with_hint(
                format!("`{address}` is not the address of a machine"),
                "write one, or 127.0.0.1",
            );
        }
        hosts.insert(name, address);
    }
    hosts
}

/// Reads the accepted findings; which ids there are, only a check knows.
fn allow(raw: Vec<RawAllowance>, at: &At<'_>) -> Vec<Allowance> {
    let mut allowed: Vec<Allowance> = Vec::new();
    for (at, RawAllowance { id, reason }) in at.items(raw) {
        let (Some(id), Some(reason)) = (id, reason) else { continue };
        let digits = id.strip_prefix("SK").unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let hint = "write an id such as SK0108; `seedkit check` names them";
            at.key("id").error_with_hint(format!("`{id}` is not the id of a finding"), hint);
        } else if allowed.iter().any(|known| known.id == id) {
            at.key("id").refuse_again(id);
        } else if reason.trim().is_empty() {
            let hint = "say why the finding is accepted: every report shows it";
            at.key("reason").error_with_hint("the reason is empty", hint);
        } else {
            allowed.push(Allowance { id, reason: reason.trim().to_owned() });
        }
    }
    allowed
}
