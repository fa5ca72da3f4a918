//! The k3s release and its configuration.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Surroundings;
use super::registry::password;
use super::sources::file_source;
use crate::k3s::{self, Known, Settings};
use crate::net::DnsLabel;
use crate::oci::{Platform, Reference};
use crate::spec::model::{FileSource, K3s, K3sVersion, PasswordFrom};
use crate::spec::raw::{ClusterCa, RawFileSource, RawK3s, RawPasswordFrom, Role};
use crate::spec::report::Report;
use crate::spec::suggest;
use crate::text::Path;

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

pub(super) fn k3s(raw: RawK3s, surroundings: &Surroundings<'_>, report: &mut Report<'_>) -> Draft {
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
    let path = Path::root().key("k3s");
    let version = report.parse(&path.key("version"), version.as_deref());
    let config = settings(config, Role::Server, &path.key("config"), report);
    let agent_config = settings(agent_config, Role::Agent, &path.key("agentConfig"), report);
    Draft {
        cluster_ca: self::cluster_ca(cluster_ca, version.as_ref(), &path.key("clusterCa"), report),
        binary: binary.map(|raw| by_platform(raw, &path.key("binary"), surroundings, report)),
        airgap: by_platform(airgap.unwrap_or_default(), &path.key("airgap"), surroundings, report),
        images: images.and_then(|raw| file_source(raw, surroundings.folder, &path.key("images"), report)),
        config_from: settings_from(config_from, &config, Role::Server, &path.key("configFrom"), report),
        agent_config_from: settings_from(
            agent_config_from,
            &agent_config,
            Role::Agent,
            &path.key("agentConfigFrom"),
            report,
        ),
        first_server: report.parse(&path.key("firstServer"), first_server.as_deref()),
        version,
        config,
        agent_config,
    }
}

/// The first minor release whose every patch takes authorities that are signed by others (k3s#6615, January 2023).
const KNOWS_CHAINS: (u32, u32) = (1, 27);

fn cluster_ca(
    written: Option<ClusterCa>,
    version: Option<&K3sVersion>,
    path: &Path,
    report: &mut Report<'_>,
) -> ClusterCa {
    let cluster_ca = written.unwrap_or_default();
    if let (ClusterCa::Generate, Some(version)) = (cluster_ca, version)
        && version.minor() < KNOWS_CHAINS
    {
        let message = format!("k3s {version} is too old for authorities that it did not make itself");
        report.error_with_hint(path, message, "take k3s 1.27 or newer, or remove clusterCa");
    }
    cluster_ca
}

fn by_platform(
    raw: BTreeMap<String, RawFileSource>,
    path: &Path,
    surroundings: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<Platform, FileSource> {
    let mut sources = BTreeMap::new();
    for (name, raw) in raw {
        let path = path.key(&name);
        let platform = super::platform(&path, &name, report);
        let source = file_source(raw, surroundings.folder, &path, report);
        let Some(platform) = platform else { continue };
        if !surroundings.platforms.contains(&platform) {
            let message = format!("`{platform}` is not among the platforms of this spec");
            report.error_with_hint(&path, message, format!("add {platform} to platforms, or remove this"));
        }
        let Some(source) = source else { continue };
        if sources.insert(platform.clone(), source).is_some() {
            report
                .error(&path, format!("`{name}` is another spelling of `{platform}`, which is here already"));
        }
    }
    sources
}

fn settings(
    written: Option<Map<String, Value>>,
    role: Role,
    path: &Path,
    report: &mut Report<'_>,
) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in written.unwrap_or_default() {
        let path = path.key(&key);
        if let Err(error) = settings.insert(key.clone(), value.clone()) {
            report.error_with_hint(&path, error.to_string(), format!("remove it: {}", error.reason));
            continue;
        }
        let flag = k3s::flag_of(&key);
        check_flag(flag, role, &path, report);
        if scalars(&value).iter().any(|value| k3s::is_secret(flag, &value.to_string())) {
            let place = match role {
                Role::Server => "k3s.configFrom",
                Role::Agent => "k3s.agentConfigFrom",
            };
            let hint = format!(
                "write {place}: {{{key}: {{secret: FILE}}}}, where FILE lies in the secrets folder, or {{env: NAME}}"
            );
            report.error_with_hint(&path, "this is a secret, and whoever reads the spec reads it", hint);
        }
        check_flag_value(&value, &path, report);
        match flag {
            "kubelet-arg" => check_kubelet_arguments(&value, &path, report),
            "pause-image" => check_pause_image(&value, &path, report),
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
    path: &Path,
    report: &mut Report<'_>,
) -> BTreeMap<String, PasswordFrom> {
    let mut settings = BTreeMap::new();
    for (key, from) in written.unwrap_or_default() {
        let path = path.key(&key);
        let flag = k3s::flag_of(&key);
        if let Err(error) = k3s::refuse_own(&key) {
            report.error_with_hint(&path, error.to_string(), format!("remove it: {}", error.reason));
            continue;
        }
        check_flag(flag, role, &path, report);
        if known.get(&key).is_some() {
            report.error(&path, "this flag has a value in the spec already");
        } else if k3s::known(flag) != Known::Nowhere && !k3s::may_be_secret(flag) {
            let hint = "write its value under config or agentConfig, where it is checked";
            report.error_with_hint(&path, "this is not a secret", hint);
        }
        if let Some(from) = password(from, &path, report) {
            settings.insert(key, from);
        }
    }
    settings
}

/// Returns the values of a flag: one, or those of a list.
fn scalars(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn check_flag(flag: &str, role: Role, path: &Path, report: &mut Report<'_>) {
    if flag.starts_with('-') {
        let hint = format!("write {}", flag.trim_start_matches('-'));
        report.error_with_hint(path, "flags stand here without `--`", hint);
        return;
    }
    match (k3s::known(flag), role) {
        (Known::Everywhere, _) | (Known::OnServers, Role::Server) => {}
        (Known::OnServers, Role::Agent) => {
            let message = "k3s agent has no such flag, and passes over it";
            report.warning(path, message, "move it to k3s.config, which is for the servers");
        }
        (Known::Nowhere, _) => {
            let hint = suggest::meant(flag, k3s::keys(role == Role::Server))
                .unwrap_or_else(|| "check it against `k3s server --help` of this release".to_owned());
            let message = "k3s has no flag of this name that seedkit knows, and would pass over it";
            report.warning(path, message, hint);
        }
    }
}

fn check_flag_value(value: &Value, path: &Path, report: &mut Report<'_>) {
    let is_scalar = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
    if !scalars(value).iter().all(is_scalar) {
        let hint = "write `key=value` texts in a list where a flag takes pairs";
        report.error_with_hint(path, "a flag has one value, or a list of them", hint);
    }
}

fn check_pause_image(value: &Value, path: &Path, report: &mut Report<'_>) {
    let Some(text) = value.as_str() else {
        let hint = "write one such as rancher/mirrored-pause:3.6";
        report.error_with_hint(path, "this is not an image", hint);
        return;
    };
    report.parse::<Reference>(path, Some(text));
}

/// The kubelet of Kubernetes 1.35 does not start with this flag, and containerd never heeded it.
fn check_kubelet_arguments(value: &Value, path: &Path, report: &mut Report<'_>) {
    for (index, argument) in scalars(value).iter().enumerate() {
        if argument
            .as_str()
            .is_some_and(|text| text.trim_start_matches('-').starts_with("pod-infra-container-image"))
        {
            let path = if value.is_array() { path.index(index) } else { path.clone() };
            let message =
                "pod-infra-container-image has no effect, and stops the kubelet from Kubernetes 1.35 on";
            report.error_with_hint(&path, message, "remove it; k3s' own setting is pause-image");
        }
    }
}
