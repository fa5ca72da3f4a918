//! `seedkit push` to Debian's docker-registry, read back by skopeo and by plain requests.

mod cut;
mod kinds;
mod names;
mod ways;

use reqwest::Method;
use seedkit::digest::Digest;
use serde_json::Value;

use crate::support::oracle;
use crate::support::registry::Registry;
use crate::support::sandbox::Sandbox;

/// Pushes `kit` to a registry of plain HTTP and returns the result.
fn push(sandbox: &Sandbox, registry: &Registry, options: &[&str]) -> Value {
    let arguments = [&["push", "kit", registry.authority(), "--plain-http", "--json"], options].concat();
    sandbox.seedkit(&arguments).succeeds().json()
}

/// Returns the digest that a name stands for in a registry of plain HTTP, as skopeo sees it.
fn digest_by_skopeo(registry: &Registry, name: &str) -> String {
    let name = format!("docker://{}/{name}", registry.authority());
    let mut arguments = vec!["inspect".to_owned(), "--tls-verify=false".to_owned(), "--raw".to_owned()];
    if let Some((user, password)) = registry.credentials() {
        arguments.extend(["--creds".to_owned(), format!("{user}:{password}")]);
    }
    Digest::sha256(&oracle::run("skopeo", arguments.iter().chain([&name])).stdout).to_string()
}

/// Returns a manifest as it is in the registry.
fn manifest(registry: &Registry, repository: &str, name: &str) -> Value {
    let path = format!("/v2/{repository}/manifests/{name}");
    registry
        .send(Method::GET, &path, "", vec![])
        .text()
        .map(|text| serde_json::from_str(&text).unwrap())
        .unwrap()
}

/// Returns a number of a result.
fn number(result: &Value, key: &str) -> u64 {
    result[key].as_u64().unwrap_or_else(|| panic!("no {key} in {result}"))
}
