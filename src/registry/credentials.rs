//! Credentials that people keep for `docker` and `podman`.
//!
//! Files and helpers are read by `docker_credential`; which names to ask it for, and what its failures mean, is
//! decided here. A configuration that cannot be used does not stop an anonymous download: the reason is told
//! when the server then refuses.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use docker_credential::{CredentialRetrievalError as Failure, DockerCredential};
use serde::Deserialize;

use crate::fs::{LARGEST, read_bounded};
use crate::oci::DOCKER_HUB;
use crate::secrets::SecretText;

/// The key of Docker Hub, kept since its first version; helpers know it by no other.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// How to tell a server who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// Name and password, or an access token in its place.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: SecretText,
    },
    /// A token that the token server exchanges for others (OAuth2's refresh token).
    Identity(SecretText),
}

/// What was found for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Nothing: ask anonymously.
    Nothing,
    /// Credentials.
    Found {
        /// The credentials.
        credential: Credential,
        /// The file that has them or names the helper that has.
        file: PathBuf,
    },
    /// There may be some, for this reason out of reach.
    Unusable(String),
}

/// The files with credentials, and what helpers have answered.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    files: Vec<PathBuf>,
    hosts: Mutex<BTreeMap<String, Arc<Lookup>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    auths: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

impl Credentials {
    /// Returns the credentials in `files`, of which the first that has some is taken.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self { files, hosts: Mutex::default() }
    }

    /// Finds the credentials for a repository at `authority`, which is `host[:port]` or `docker.io`.
    pub(super) fn lookup(&self, authority: &str, repository: &str) -> Arc<Lookup> {
        let full = format!("{authority}/{repository}");
        let scopes = full.rmatch_indices('/').map(|(end, _)| &full[..end]);
        // Podman keeps credentials for parts of a registry; the registry itself follows below.
        let scopes: Vec<&str> =
            std::iter::once(full.as_str()).chain(scopes).filter(|scope| *scope != authority).collect();
        let scoped = self.search(|configuration, bytes| {
            let is_known =
                |scope: &&&str| configuration.auths.as_ref().is_some_and(|auths| auths.contains_key(**scope));
            scopes.iter().find(is_known).map_or(Ok(None), |scope| ask(bytes, scope))
        });
        if scoped != Lookup::Nothing {
            return Arc::new(scoped);
        }
        // The lock is held while a helper runs: helpers may ask people, and once is enough.
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hosts.entry(authority.to_owned());
        Arc::clone(known.or_insert_with(|| {
            let names =
                if authority == DOCKER_HUB { &[DOCKER_HUB_KEY, DOCKER_HUB][..] } else { &[authority] };
            Arc::new(self.search(|configuration, bytes| {
                names
                    .iter()
                    .find_map(|name| match ask(bytes, name) {
                        Ok(found) => found.map(|found| Ok(Some(found))),
                        Err(why) => Some(Err(helper_named(configuration, name, why))),
                    })
                    .unwrap_or(Ok(None))
            }))
        }))
    }

    /// Goes through the files with `find`; the first that has something, or cannot be used, decides.
    fn search(&self, find: impl Fn(&Configuration, &[u8]) -> Result<Option<Credential>, String>) -> Lookup {
        for file in &self.files {
            let shown = file.display();
            let bytes = match read_bounded(file, LARGEST) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => return Lookup::Unusable(format!("`{shown}` cannot be read")),
            };
            // The parser's error may quote what it read.
            let Ok(configuration) = serde_json::from_slice::<Configuration>(&bytes) else {
                return Lookup::Unusable(format!("`{shown}` is not a Docker configuration"));
            };
            match find(&configuration, &bytes) {
                Ok(None) => {}
                Ok(Some(credential)) => return Lookup::Found { credential, file: file.clone() },
                Err(why) => return Lookup::Unusable(format!("`{shown}`: {why}")),
            }
        }
        Lookup::Nothing
    }
}

/// Asks one configuration, and the helper it names, for one server.
fn ask(configuration: &[u8], server: &str) -> Result<Option<Credential>, String> {
    match docker_credential::get_credential_from_reader(configuration, server) {
        // Helpers answer so for a server that they do not know.
        Ok(DockerCredential::UsernamePassword(user, password)) if user.is_empty() && password.is_empty() => {
            Ok(None)
        }
        Ok(DockerCredential::UsernamePassword(user, password)) if user == "<token>" => {
            Ok(Some(Credential::Identity(password.into())))
        }
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Credential::Password { user, password: password.into() }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credential::Identity(token.into()))),
        Err(Failure::NoCredentialConfigured | Failure::ConfigNotFound) => Ok(None),
        Err(Failure::HelperFailure { stdout, stderr, helper: _ })
            if [&stdout, &stderr].iter().any(|said| said.contains("credentials not found")) =>
        {
            Ok(None)
        }
        // What a helper printed is not shown: it handles secrets.
        Err(Failure::HelperFailure { helper, stdout: _, stderr: _ }) => {
            Err(format!("`{helper} get` fails for `{server}`"))
        }
        Err(Failure::HelperCommunicationError) => Err("the credential helper cannot be run".to_owned()),
        Err(Failure::MalformedHelperResponse) => {
            Err("the credential helper does not speak its protocol".to_owned())
        }
        Err(Failure::CredentialDecodingError) => Err(format!("the entry for `{server}` is not base64")),
        Err(Failure::CredentialMismatchError) => Err(format!(
            "the entry for `{server}` contradicts itself: `auth` is not `username` and `password`"
        )),
        Err(Failure::ConfigReadError) => Err("it is not a Docker configuration".to_owned()),
    }
}

fn helper_named(configuration: &Configuration, server: &str, why: String) -> String {
    let Configuration { auths: _, creds_store, cred_helpers } = configuration;
    let helper = cred_helpers.as_ref().and_then(|helpers| helpers.get(server)).or(creds_store.as_ref());
    match helper.filter(|_| why.starts_with("the credential helper")) {
        Some(helper) => why.replacen(
            "the credential helper",
            &format!("the credential helper `docker-credential-{helper}`"),
            1,
        ),
        None => why,
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn lookup(files: &[&str], authority: &str, repository: &str) -> Lookup {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().enumerate().map(|(number, content)| {
            let path = folder.path().join(number.to_string());
            fs::write(&path, content).unwrap();
            path
        });
        let paths = std::iter::once(folder.path().join("absent")).chain(paths).collect();
        Lookup::clone(&Credentials::new(paths).lookup(authority, repository))
    }

    fn user(found: &Lookup) -> &str {
        match found {
            Lookup::Found { credential: Credential::Password { user, .. }, .. } => user,
            Lookup::Found { credential: Credential::Identity(_), .. } => "identity",
            Lookup::Nothing => "nothing",
            Lookup::Unusable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn the_most_precise_entry_of_the_first_file_that_has_one_is_taken() {
        let password = |user: &str| format!(r#"{{"username":"{user}","password":"p"}}"#);
        let first = format!(
            r#"{{"auths":{{"quay.io":{},"quay.io/org":{},"quay.io/org/app":{},"https://index.docker.io/v1/":{}}}}}"#,
            password("host"),
            password("org"),
            password("app"),
            password("hub")
        );
        let second = format!(
            r#"{{"auths":{{"quay.io":{},"r.lan:5000":{},"ghcr.io":{{"identitytoken":"t"}}}}}}"#,
            password("late"),
            password("port")
        );
        for (authority, repository, expected) in [
            ("quay.io", "org/app", "app"),
            ("quay.io", "org/app/sub", "app"),
            ("quay.io", "org/apple", "org"),
            ("quay.io", "organic", "host"),
            ("docker.io", "library/alpine", "hub"),
            ("r.lan:5000", "a", "port"),
            ("ghcr.io", "a/b", "identity"),
            ("r.lan", "a", "nothing"),
        ] {
            assert_eq!(user(&lookup(&[&first, &second], authority, repository)), expected, "{authority}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_a_reason_without_a_secret() {
        for (content, reason) in [
            (r#"{"auths":{"r.lan":{"auth":"hidden!"}}}"#, "not base64"),
            (r#"{"auths":"hidden"}"#, "not a Docker configuration"),
            (r#"{"credsStore":"seedkit-absent"}"#, "`docker-credential-seedkit-absent` cannot be run"),
            (r#"{"credHelpers":{"r.lan":"seedkit-absent"}}"#, "`docker-credential-seedkit-absent` cannot"),
        ] {
            let Lookup::Unusable(why) = lookup(&[content], "r.lan", "a") else { panic!("{content}") };
            assert!(why.contains(reason), "{why}");
            assert!(!why.contains("hidden"), "{why}");
        }
    }

    #[test]
    fn passwords_do_not_show_in_debug() {
        let content = r#"{"auths":{"r.lan":{"username":"u","password":"hidden"}}}"#;
        assert!(!format!("{:?}", lookup(&[content], "r.lan", "a")).contains("hidden"));
    }
}
