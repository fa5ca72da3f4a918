//! The k3s release and its configuration.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::registry::password;
use super::sources::file_source;
use crate::k3s::{self, COMPONENTS, Known, Settings, scalars};
use crate::net::DnsLabel;
use crate::oci::{Platform, Reference};
use crate::spec::model::{FileSource, K3s, K3sVersion, PasswordFrom};
use crate::spec::raw::{ClusterCa, RawFileSource, RawK3s, RawPasswordFrom, Role};
use crate::spec::report::At;
use crate::spec::suggest;

/// A k3s release as far as it could be read.
pub(super) struct Draft {
    version: Option<K3sVersion>,
    pub(super) binary: Option<BTreeMap<Platform, FileSource>>,
    airgap: BTreeMap<Platform, FileSource>,
    images: Option<FileSource>,
    pub(super) config: Settings,
    pub(super) agent_config: Settings,
    pub(super) config_from: BTreeMap<String, PasswordFrom>,
    agent_config_from: BTreeMap<String, PasswordFrom>,
    cluster_ca: ClusterCa,
    pub(super) first_server: Option<DnsLabel>,
}

impl Draft {
    /// Returns the release if nothing of it is missing.
    pub(super) fn finish(self) -> Option<K3s> {
        Some(K3s {
            version: self.version?,
            binary: self.binary?,
            airgap: self.airgap,
            images: self.images,
            config: self.config,
            agent_config: self.agent_config,
            config_from: self.config_from,
            agent_config_from: self.agent_config_from,
            cluster_ca: self.cluster_ca,
            first_server: self.first_server,
        })
    }
}

pub(super) fn k3s(raw: RawK3s, platforms: &[Platform], at: &At<'_>) -> Draft {
    let RawK3s {
        version,
        binary,
        airgap,
        images,
        config,
        agent_config,
        config_from,
        agent_config_from,
        cluster_ca,
        first_server,
    } = raw;
    let version = version.and_then(|text| at.key("version").parse(&text));
    let config = settings(config, Role::Server, &at.key("config"));
    let agent_config = settings(agent_config, Role::Agent, &at.key("agentConfig"));
    Draft {
        cluster_ca: self::cluster_ca(cluster_ca, version.as_ref(), &at.key("clusterCa")),
        binary: binary.map(|raw| by_platform(raw, platforms, &at.key("binary"))),
        airgap: by_platform(airgap.unwrap_or_default(), platforms, &at.key("airgap")),
        images: images.and_then(|raw| file_source(raw, &at.key("images"))),
        config_from: settings_from(config_from, &config, Role::Server, &at.key("configFrom")),
        agent_config_from: settings_from(
            agent_config_from,
            &agent_config,
            Role::Agent,
            &at.key("agentConfigFrom"),
        ),
        first_server: first_server.and_then(|text| at.key("firstServer").parse(&text)),
        version,
        config,
        agent_config,
    }
}

/// The first minor release whose every patch takes authorities that are signed by others (k3s#6615, January 2023).
const KNOWS_CHAINS: (u32, u32) = (1, 27);

fn cluster_ca(written: Option<ClusterCa>, version: Option<&K3sVersion>, at: &At<'_>) -> ClusterCa {
    let cluster_ca = written.unwrap_or_default();
    if let (ClusterCa::Generate, Some(version)) = (cluster_ca, version)
        && version.minor() < KNOWS_CHAINS
    {
        let message = format!("k3s {version} is too old for authorities that it did not make itself");
        at.error_with_hint(message, "take k3s 1.27 or newer, or remove clusterCa");
    }
    cluster_ca
}

fn by_platform(
    raw: BTreeMap<String, RawFileSource>,
    platforms: &[Platform],
    at: &At<'_>,
) -> BTreeMap<Platform, FileSource> {
    let mut sources = BTreeMap::new();
    for (name, raw) in raw {
        let at = at.key(&name);
        let platform = super::platform(&name, &at);
        let source = file_source(raw, &at);
        let Some(platform) = platform else { continue };
        if !platforms.contains(&platform) {
            let message = format!("`{platform}` is not among the platforms of this spec");
            at.error_with_hint(message, format!("add {platform} to platforms, or remove this"));
        }
        let Some(source) = source else { continue };
        if sources.insert(platform.clone(), source).is_some() {
            at.error(format!("`{name}` is another spelling of `{platform}`, which is here already"));
        }
    }
    sources
}

fn settings(written: Option<Map<String, Value>>, role: Role, at: &At<'_>) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in written.unwrap_or_default() {
        let at = at.key(&key);
        if let Err(error) = settings.insert(key.clone(), value.clone()) {
            at.error_with_hint(error.to_string(), format!("remove it: {}", error.reason));
            continue;
        }
        let flag = k3s::flag_of(&key);
        check_flag(flag, role, &at);
        if scalars(&value).iter().any(|value| k3s::is_secret(flag, &value.to_string())) {
            let place = match role {
                Role::Server => "k3s.configFrom",
                Role::Agent => "k3s.agentConfigFrom",
            };
            let hint = format!(
                "write {place}: {{{key}: {{secret: FILE}}}}, where FILE lies in the secrets folder, or {{env: NAME}}"
            );
            at.error_with_hint("this is a secret, and whoever reads the spec reads it", hint);
        }
        check_flag_value(flag, &value, &at);
        match flag {
            "kubelet-arg" => check_kubelet_arguments(&value, &at),
            "docker" | "container-runtime-endpoint" => {
                let message =
                    "the images of the kit go to k3s' own containerd, and no other runtime has them";
                at.warning(message, "remove it, or import them on each node");
            }
            "disable" => check_components(&settings.texts(&key), &at),
            "pause-image" => check_pause_image(&value, &at),
            k3s::API_PORT_KEY if settings.api_port().is_err() => {
                at.error_with_hint("this is not a port", "write one number from 1 to 65535");
            }
            _ => {}
        }
    }
    settings
}

/// Reads where secret settings are; `known` are those that stand in the spec.
fn settings_from(
    written: Option<BTreeMap<String, RawPasswordFrom>>,
    known: &Settings,
    role: Role,
    at: &At<'_>,
) -> BTreeMap<String, PasswordFrom> {
    let mut settings = BTreeMap::new();
    for (key, from) in written.unwrap_or_default() {
        let at = at.key(&key);
        let flag = k3s::flag_of(&key);
        if let Err(error) = k3s::refuse_own(&key) {
            at.error_with_hint(error.to_string(), format!("remove it: {}", error.reason));
            continue;
        }
        check_flag(flag, role, &at);
        if known.get(&key).is_some() {
            at.error("this flag has a value in the spec already");
        } else if k3s::known(flag) != Known::Nowhere && !k3s::may_be_secret(flag) {
            let hint = "write its value under config or agentConfig, where it is checked";
            at.error_with_hint("this is not a secret", hint);
        }
        settings.extend(password(from, &at).map(|from| (key, from)));
    }
    settings
}

fn check_flag(flag: &str, role: Role, at: &At<'_>) {
    if flag.starts_with('-') {
        let hint = format!("write {}", flag.trim_start_matches('-'));
        at.error_with_hint("flags stand here without `--`", hint);
        return;
    }
    match (k3s::known(flag), role) {
        (Known::Everywhere, _) | (Known::OnServers, Role::Server) => {}
        (Known::OnServers, Role::Agent) => {
            let message = "k3s agent has no such flag, and passes over it";
            at.warning(message, "move it to k3s.config, which is for the servers");
        }
        (Known::Nowhere, _) => {
            let hint = suggest::meant(flag, k3s::keys(role == Role::Server))
                .unwrap_or_else(|| "check it against `k3s server --help` of this release".to_owned());
            at.warning("k3s has no flag of this name that seedkit knows, and would pass over it", hint);
        }
    }
}

/// Returns the values of a flag, each with its place.
fn placed<'a>(value: &'a Value, at: &At<'a>) -> Vec<(At<'a>, &'a Value)> {
    match value {
        Value::Array(values) => at.items(values).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            vec![(at.clone(), value)]
        }
    }
}

fn check_flag_value(flag: &str, value: &Value, at: &At<'_>) {
    let is_scalar = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
    if !scalars(value).iter().all(is_scalar) {
        let hint = "write `key=value` texts in a list where a flag takes pairs";
        at.error_with_hint("a flag has one value, or a list of them", hint);
    }
    for (at, value) in placed(value, at) {
        if let Some(misfit) = k3s::misfit(flag, value) {
            at.error(misfit);
        }
    }
}

/// k3s passes over a name that it does not know, and deploys what was to be left out.
fn check_components(names: &[&str], at: &At<'_>) {
    for name in names.iter().filter(|name| !COMPONENTS.contains(name)) {
        let hint = suggest::meant(name, COMPONENTS)
            .unwrap_or_else(|| format!("k3s deploys {}", COMPONENTS.join(", ")));
        at.warning(format!("`{name}` is not a component of k3s, which passes over it"), hint);
    }
}

fn check_pause_image(value: &Value, at: &At<'_>) {
    match value.as_str() {
        Some(text) => drop(at.parse::<Reference>(text)),
        None => at.error_with_hint("this is not an image", "write one such as rancher/mirrored-pause:3.6"),
    }
}

/// The kubelet of Kubernetes 1.35 does not start with this flag, and containerd never heeded it.
fn check_kubelet_arguments(value: &Value, at: &At<'_>) {
    for (at, argument) in placed(value, at) {
        if argument
            .as_str()
            .is_some_and(|text| text.trim_start_matches('-').starts_with("pod-infra-container-image"))
        {
            let message =
                "pod-infra-container-image has no effect, and stops the kubelet from Kubernetes 1.35 on";
            at.error_with_hint(message, "remove it; k3s' own setting is pause-image");
        }
    }
}
