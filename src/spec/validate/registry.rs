//! The registry that the nodes pull from.

use super::list;
use crate::net::{Host, MirroredRegistry, RegistryHost};
use crate::spec::model::{Auth, PasswordFrom, Registry};
use crate::spec::raw::{RawAuth, RawLifetime, RawPasswordFrom, RawRegistry};
use crate::spec::report::Report;
use crate::text::Path;

/// A registry as far as it could be read.
pub(super) struct Draft {
    pub(super) address: Option<RegistryHost>,
    sans: Vec<Host>,
    mirrors: Option<Vec<MirroredRegistry>>,
    /// `None` without one; an inner `None` for one that could not be read.
    auth: Option<Option<Auth>>,
    ca_days: u32,
    server_days: u32,
}

impl Draft {
    /// Returns the registry if nothing of it is missing.
    pub(super) fn finish(self) -> Option<Registry> {
        let Self { address, sans, mirrors, auth, ca_days, server_days } = self;
        let auth = match auth {
            None => None,
            Some(auth) => Some(auth?),
        };
        Some(Registry { address: address?, sans, mirrors, auth, ca_days, server_days })
    }
}

pub(super) fn registry(raw: RawRegistry, report: &mut Report<'_>) -> Draft {
    let RawRegistry { address, sans, mirrors, auth, lifetime } = raw;
    let path = Path::root().key("registry");
    let address = address.and_then(|text| host(&path.key("address"), &text, report));
    address.iter().for_each(|address| warn_of_public(&path.key("address"), address, report));
    let sans = list(sans, &path.key("sans"), |path, text| report.parse(path, Some(text)));
    let mirrors = mirrors
        .map(|mirrors| list(Some(mirrors), &path.key("mirrors"), |path, text| mirrored(path, text, report)));
    let auth = auth.map(|auth| self::auth(auth, &path.key("auth"), report));
    let RawLifetime { ca_days, server_days } = lifetime.unwrap_or_default();
    let ca_days = ca_days.unwrap_or(3650);
    let server_days = server_days.unwrap_or(825.min(ca_days));
    if server_days > ca_days {
        let message = format!("the certificate's {server_days} days outlast the authority's {ca_days}");
        report.error(&path.key("lifetime").key("serverDays"), message);
    }
    Draft { address, sans, mirrors, auth, ca_days, server_days }
}

/// The names of registries that everybody can pull from; Docker Hub's others were made one before.
const PUBLIC: [&str; 7] = [
    crate::oci::DOCKER_HUB,
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "quay.io",
    "registry.k8s.io",
];

/// Warns where the site's own registry would have the name of somebody else's.
fn warn_of_public(path: &Path, address: &RegistryHost, report: &mut Report<'_>) {
    let name = address.host().to_string();
    if PUBLIC.contains(&name.as_str()) {
        let message = format!("`{name}` is a public registry, and this is the address of the site's own");
        let hint = format!(
            "nodes would pull everything from whatever has the name {name} where they are: write the address of the \
             machine that serves the kit, such as 192.168.6.1:5000"
        );
        report.warning(path, message, hint);
    }
}

fn mirrored(path: &Path, text: &str, report: &mut Report<'_>) -> Option<MirroredRegistry> {
    match text {
        "*" => Some(MirroredRegistry::Others),
        _ => host(path, text, report).map(MirroredRegistry::Host),
    }
}

/// Reads the name of a registry; what people put around it is named in the hint.
pub(super) fn host(path: &Path, text: &str, report: &mut Report<'_>) -> Option<RegistryHost> {
    match text.parse::<RegistryHost>() {
        Ok(host) => Some(canonical(host)),
        Err(error) => {
            let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
            let bare = bare.split('/').next().unwrap_or(bare);
            match bare.parse::<RegistryHost>() {
                Ok(host) => report.error_with_hint(path, error.to_string(), format!("write {host}")),
                Err(_) => report.error(path, error.to_string()),
            }
            None
        }
    }
}

/// Docker Hub has several hosts and one name.
fn canonical(host: RegistryHost) -> RegistryHost {
    match host.to_string().as_str() {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            crate::oci::DOCKER_HUB.parse().expect("Docker Hub's name is a host")
        }
        _ => host,
    }
}

fn auth(raw: RawAuth, path: &Path, report: &mut Report<'_>) -> Option<Auth> {
    let RawAuth { username, password_from } = raw;
    if let Some(name) = &username
        && (name.is_empty() || name.contains(':') || name.chars().any(char::is_control))
    {
        let message = "a user name is not empty and has neither `:` nor control characters";
        report.error(&path.key("username"), message);
    }
    let password = password_from.and_then(|from| password(from, &path.key("passwordFrom"), report));
    Some(Auth { username: username?, password: password? })
}

pub(super) fn password(raw: RawPasswordFrom, path: &Path, report: &mut Report<'_>) -> Option<PasswordFrom> {
    let RawPasswordFrom { env, secret, generate } = raw;
    let mut secret_name = |name, key| super::secret_name(name, &path.key(key), report);
    match (env, secret, generate) {
        (Some(name), None, None) => {
            let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                let hint = "this is the variable's name, not its value";
                report.error_with_hint(
                    &path.key("env"),
                    "this is not the name of an environment variable",
                    hint,
                );
            }
            Some(PasswordFrom::Environment(name))
        }
        (None, Some(name), None) => secret_name(name, "secret").map(PasswordFrom::Secret),
        (None, None, Some(name)) => secret_name(name, "generate").map(PasswordFrom::Generated),
        (None, None, None) if report.is_refused(path) => None,
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            report.error_with_hint(
                path,
                "exactly one of env, secret and generate is needed",
                "write {env: NAME}, {secret: FILE} or {generate: FILE}",
            );
            None
        }
    }
}
