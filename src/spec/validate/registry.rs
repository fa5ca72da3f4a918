//! The registry that the nodes pull from.

use crate::net::{Host, MirroredRegistry, RegistryHost};
use crate::spec::model::{Auth, PasswordFrom, Registry};
use crate::spec::raw::{RawAuth, RawLifetime, RawPasswordFrom, RawRegistry};
use crate::spec::report::At;

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

pub(super) fn registry(raw: RawRegistry, at: &At<'_>) -> Draft {
    let RawRegistry { address, sans, mirrors, auth, lifetime } = raw;
    let address = address.and_then(|text| host(&text, &at.key("address")));
    address.iter().for_each(|address| warn_of_public(address, &at.key("address")));
    let sans = at.key("sans").list(sans, At::parse);
    let mirrors = mirrors.map(|mirrors| at.key("mirrors").list(Some(mirrors), |at, text| mirrored(text, at)));
    let auth = auth.map(|auth| self::auth(auth, &at.key("auth")));
    let RawLifetime { ca_days, server_days } = lifetime.unwrap_or_default();
    let ca_days = ca_days.unwrap_or(3650);
    let server_days = server_days.unwrap_or(825.min(ca_days));
    if server_days > ca_days {
        let message = format!("the certificate's {server_days} days outlast the authority's {ca_days}");
        at.key("lifetime").key("serverDays").error(message);
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
fn warn_of_public(address: &RegistryHost, at: &At<'_>) {
    let name = address.host().to_string();
    if PUBLIC.contains(&name.as_str()) {
        let message = format!("`{name}` is a public registry, and this is the address of the site's own");
        let hint = format!(
            "nodes would pull everything from whatever has the name {name} where they are: write the address of the \
             machine that serves the kit, such as 192.168.6.1:5000"
        );
        at.warning(message, hint);
    }
}

fn mirrored(text: &str, at: &At<'_>) -> Option<MirroredRegistry> {
    match text {
        "*" => Some(MirroredRegistry::Others),
        _ => host(text, at).map(MirroredRegistry::Host),
    }
}

/// Reads the name of a registry; what people put around it is named in the hint.
pub(super) fn host(text: &str, at: &At<'_>) -> Option<RegistryHost> {
    match at.without_login(text)?.parse::<RegistryHost>() {
        Ok(host) => Some(canonical(host)),
        Err(error) => {
            let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
            let bare = bare.split('/').next().unwrap_or(bare);
            match bare.parse::<RegistryHost>() {
                Ok(host) => at.refuse_with_hint(error.to_string(), format!("write {host}")),
                Err(_) => at.refuse(error.to_string()),
            }
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

fn auth(raw: RawAuth, at: &At<'_>) -> Option<Auth> {
    let RawAuth { username, password_from } = raw;
    if let Some(name) = &username
        && (name.is_empty() || name.contains(':') || name.chars().any(char::is_control))
    {
        let message = "a user name is not empty and has neither `:` nor control characters";
        at.key("username").error(message);
    }
    let password = password_from.and_then(|from| password(from, &at.key("passwordFrom")));
    Some(Auth { username: username?, password: password? })
}

pub(super) fn password(raw: RawPasswordFrom, at: &At<'_>) -> Option<PasswordFrom> {
    let RawPasswordFrom { env, secret, generate } = raw;
    match (env, secret, generate) {
        (Some(name), None, None) => {
            let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !is_name {
                let message = "this is not the name of an environment variable";
                at.key("env").error_with_hint(message, "this is the variable's name, not its value");
            }
            Some(PasswordFrom::Environment(name))
        }
        (None, Some(name), None) => at.key("secret").secret(name).map(PasswordFrom::Secret),
        (None, None, Some(name)) => at.key("generate").secret(name).map(PasswordFrom::Generated),
        (None, None, None) if at.is_refused() => None,
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => at
            .refuse_with_hint(
                "exactly one of env, secret and generate is needed",
                "write {env: NAME}, {secret: FILE} or {generate: FILE}",
            ),
    }
}
