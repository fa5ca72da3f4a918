//! Authorization, one repository at a time: known from before, or got from the registry's token server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::body::{Body, until_whole};
use super::challenge::{Bearer, Challenge};
use super::credentials::{Credential, Credentials, Lookup};
use super::endpoint::{Endpoint, PlainHttp, parse_url, shown};
use super::refusal::refused;
use super::request::Request;
use super::transport::Transport;
use crate::oci::{SourceError, SourceErrorKind};
use crate::secrets::SecretText;

const LARGEST_ANSWER: u64 = 1024 * 1024;
/// What a token is taken to live, where its server does not say (Docker's token specification).
const USUAL_LIFETIME: u64 = 60;
const LONGEST_LIFETIME: u64 = 24 * 60 * 60;

/// What goes into the `Authorization` header, and how long it is good for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// The header, marked as sensitive.
    pub(super) header: HeaderValue,
    /// By the clock of the transport's patience.
    until: Option<Duration>,
    /// Counts the grants of a repository, so that of many refused at once only one fetches the next.
    number: u64,
}

/// What is wanted of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading alone.
    Pull,
    /// Writing too.
    Push,
}

/// What is known of one repository.
#[derive(Debug, Default)]
struct Slot {
    grant: Option<Grant>,
    /// What the registry wanted for it, if it ever said so.
    challenge: Option<Challenge>,
}

/// A grant after a request was refused.
pub(super) struct Renewed {
    /// The grant.
    pub(super) grant: Grant,
    /// Whether it was given just now, for this request.
    pub(super) is_of_now: bool,
}

/// The authorizations for one registry.
#[derive(Debug)]
pub(super) struct Authorizer {
    access: Access,
    transport: Arc<Transport>,
    credentials: Arc<Credentials>,
    endpoint: Endpoint,
    /// The registry's first challenge: others of its repositories are asked with a token at once.
    learned: Mutex<Option<Challenge>>,
    repositories: Mutex<BTreeMap<String, Arc<Mutex<Slot>>>>,
}

impl Authorizer {
    /// Returns an authorizer that knows nothing yet.
    pub(super) fn new(
        transport: Arc<Transport>,
        credentials: Arc<Credentials>,
        endpoint: Endpoint,
        access: Access,
    ) -> Self {
        let (learned, repositories) = (Mutex::default(), Mutex::default());
        Self { access, transport, credentials, endpoint, learned, repositories }
    }

    /// Returns the grant for a repository, without asking the registry what it wants: `None` if it has wanted
    /// nothing so far.
    pub(super) fn current(&self, repository: &str) -> Result<Option<Grant>, SourceError> {
        let slot = self.slot(repository);
        // The lock is held while a token is fetched: whoever else needs it waits for this one.
        let mut slot = lock(&slot);
        if let Some(grant) = slot.grant.as_ref().filter(|grant| self.is_good(grant)) {
            return Ok(Some(grant.clone()));
        }
        let learned = || Some(for_repository(lock(&self.learned).clone()?, self.access, repository));
        let Some(challenge) = slot.challenge.clone().or_else(learned) else { return Ok(None) };
        slot.grant = self.obtain(repository, &challenge, slot.next_number())?;
        Ok(slot.grant.clone())
    }

    /// Returns a new grant after a request with `used` was answered with `challenge`; `None` if there is none.
    pub(super) fn renew(
        &self,
        repository: &str,
        used: Option<&Grant>,
        challenge: &Challenge,
    ) -> Result<Option<Renewed>, SourceError> {
        let slot = self.slot(repository);
        let mut slot = lock(&slot);
        let used = used.map(|used| used.number);
        let is_newer = |grant: &&Grant| Some(grant.number) != used && self.is_good(grant);
        // Another thread was refused too, and was faster.
        if let Some(newer) = slot.grant.as_ref().filter(is_newer) {
            return Ok(Some(Renewed { grant: newer.clone(), is_of_now: false }));
        }
        if *challenge == Challenge::Basic && used.is_some() {
            return Ok(None);
        }
        slot.grant = self.obtain(repository, challenge, slot.next_number())?;
        let learned = of_all_repositories(challenge, self.access, repository);
        if slot.grant.is_some() {
            slot.challenge = Some(challenge.clone());
            if learned.is_some() {
                *lock(&self.learned) = learned;
            }
        }
        Ok(slot.grant.clone().map(|grant| Renewed { grant, is_of_now: true }))
    }

    /// Says whose credentials were used, for an error.
    pub(super) fn note(&self, repository: &str) -> String {
        let authority = self.endpoint.authority();
        match &*self.lookup(repository) {
            Lookup::Nothing => format!("no credentials for `{authority}` were found"),
            Lookup::Found { credential: _, file } => {
                format!("with the credentials for `{authority}` that `{}` names", file.display())
            }
            Lookup::Unusable(why) => format!("no credentials for `{authority}`: {why}"),
        }
    }

    fn lookup(&self, repository: &str) -> Arc<Lookup> {
        self.credentials.lookup(&self.endpoint.authority(), repository)
    }

    fn slot(&self, repository: &str) -> Arc<Mutex<Slot>> {
        let mut repositories = lock(&self.repositories);
        Arc::clone(repositories.entry(repository.to_owned()).or_default())
    }

    fn is_good(&self, grant: &Grant) -> bool {
        grant.until.is_none_or(|until| self.transport.patience().now() < until)
    }

    fn obtain(
        &self,
        repository: &str,
        challenge: &Challenge,
        number: u64,
    ) -> Result<Option<Grant>, SourceError> {
        let lookup = self.lookup(repository);
        let credential = match &*lookup {
            Lookup::Found { credential, file: _ } => Some(credential),
            Lookup::Nothing | Lookup::Unusable(_) => None,
        };
        match (challenge, credential) {
            (Challenge::Bearer(bearer), _) => {
                self.fetch_token(repository, bearer, credential, number).map(Some)
            }
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                Ok(Some(Grant { header: basic(user, password), until: None, number }))
            }
            (Challenge::Basic, Some(Credential::Identity(_)) | None) => Ok(None),
        }
    }

    fn fetch_token(
        &self,
        repository: &str,
        bearer: &Bearer,
        credential: Option<&Credential>,
        number: u64,
    ) -> Result<Grant, SourceError> {
        let request = self.token_request(repository, bearer, credential)?;
        let patience = self.transport.patience();
        let (asked_at, bytes) = until_whole(patience, || {
            let asked_at = patience.now();
            let answer = self.transport.send(&request)?;
            if !answer.status().is_success() {
                return Err(refused(answer, Some(&self.note(repository))).into());
            }
            Ok((asked_at, Body::new(answer, LARGEST_ANSWER).read_whole()?))
        })?;
        let token = Token::parse(&bytes).ok_or_else(|| {
            let shown = self.transport.echo().clean(&request.shown());
            let message = format!("{shown} answers with something that is not a token");
            SourceError::new(SourceErrorKind::Invalid, message)
        })?;
        Ok(Grant { header: token.header, until: Some(asked_at.saturating_add(token.lifetime)), number })
    }

    /// Makes the request for a token (Docker's token and OAuth2 specifications).
    fn token_request(
        &self,
        repository: &str,
        bearer: &Bearer,
        credential: Option<&Credential>,
    ) -> Result<Request, SourceError> {
        let Bearer { realm, service, scope } = bearer;
        // Credentials that came over TLS do not leave without it.
        let plain_http =
            if self.endpoint.base().scheme() == "http" { PlainHttp::Allowed } else { PlainHttp::Refused };
        let mut url = parse_url(realm, plain_http).map_err(|(realm, reason)| {
            let realm = self.transport.echo().clean(&realm);
            let message = format!("`{}` names the token server `{realm}`: {reason}", self.endpoint.url());
            SourceError::new(SourceErrorKind::Invalid, message)
        })?;
        // Over plain http anybody on the way could name a server that collects passwords.
        if plain_http == PlainHttp::Allowed
            && credential.is_some()
            && url.host_str() != self.endpoint.base().host_str()
        {
            let message = format!(
                "`{}` names a token server on another host, `{}`: over plain http no credentials are sent there",
                self.endpoint.url(),
                self.transport.echo().clean(&shown(&url))
            );
            return Err(SourceError::new(SourceErrorKind::Invalid, message));
        }
        let scope = scope.clone().unwrap_or_else(|| self.access.scope(repository));
        let service = service.iter().map(|service| ("service", service.as_str()));
        let parameters = service.chain([("scope", scope.as_str())]);
        let Some(Credential::Identity(token)) = credential else {
            url.query_pairs_mut().extend_pairs(parameters);
            let authorization = match credential {
                Some(Credential::Password { user, password }) => Some(basic(user, password)),
                Some(Credential::Identity(_)) | None => None,
            };
            return Ok(Request { authorization, ..Request::new(Method::GET, url) });
        };
        let identity = [
            ("grant_type", "refresh_token"),
            ("client_id", env!("CARGO_PKG_NAME")),
            ("refresh_token", token.expose_line()),
        ];
        Ok(Request { form: Some(form(parameters.chain(identity))), ..Request::new(Method::POST, url) })
    }
}

impl Slot {
    fn next_number(&self) -> u64 {
        self.grant.as_ref().map_or(0, |grant| grant.number + 1)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Access {
    fn scope(self, repository: &str) -> String {
        match self {
            Self::Pull => format!("repository:{repository}:pull"),
            Self::Push => format!("repository:{repository}:pull,push"),
        }
    }
}

/// Returns what other repositories will be challenged with, as far as that can be known: with the usual scope, which is
/// left open, or with one that names no repository, such as `aws`.
fn of_all_repositories(challenge: &Challenge, access: Access, repository: &str) -> Option<Challenge> {
    let Challenge::Bearer(bearer) = challenge else { return Some(challenge.clone()) };
    match &bearer.scope {
        Some(scope) if *scope != access.scope(repository) => {
            (!scope.starts_with("repository:")).then(|| challenge.clone())
        }
        Some(_) | None => Some(Challenge::Bearer(Bearer { scope: None, ..bearer.clone() })),
    }
}

fn for_repository(challenge: Challenge, access: Access, repository: &str) -> Challenge {
    match challenge {
        Challenge::Basic => Challenge::Basic,
        Challenge::Bearer(bearer) => {
            let scope = bearer.scope.or_else(|| Some(access.scope(repository)));
            Challenge::Bearer(Bearer { scope, ..bearer })
        }
    }
}

fn basic(user: &str, password: &SecretText) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{}", password.expose()));
    sensitive(&format!("Basic {encoded}")).expect("base64 has no characters that headers forbid")
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(value).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Encodes a form; the only encoder at hand is that of a URL's query.
fn form<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> SecretText {
    let mut url = Url::parse("form:").expect("a scheme alone is a URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned().into()
}

struct Token {
    header: HeaderValue,
    lifetime: Duration,
}

impl Token {
    /// Parses the answer of a token server.
    fn parse(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fields {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<u64>,
        }
        let Fields { token, access_token, expires_in } = serde_json::from_slice(bytes).ok()?;
        let token = token.filter(|token| !token.is_empty()).or(access_token)?;
        let header = sensitive(&format!("Bearer {token}")).filter(|_| !token.is_empty())?;
        let announced = expires_in.unwrap_or(USUAL_LIFETIME).min(LONGEST_LIFETIME);
        // Ten seconds for the way of a request; a token that lives shorter is used for half its life.
        Some(Self { header, lifetime: Duration::from_secs(announced - (announced / 2).min(10)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_given_up_before_its_server_does() {
        for (text, seconds) in [
            (r#"{"token":"t","expires_in":300}"#, 290),
            (r#"{"access_token":"t"}"#, 50),
            (r#"{"token":"","access_token":"t","expires_in":2}"#, 1),
            (r#"{"token":"t","expires_in":0}"#, 0),
            (r#"{"token":"t","expires_in":18446744073709551615}"#, 86390),
        ] {
            let token = Token::parse(text.as_bytes()).unwrap();
            assert_eq!(token.lifetime.as_secs(), seconds, "{text}");
            assert!(token.header.is_sensitive() && token.header == "Bearer t");
        }
        for text in
            ["", "<html>", "{}", r#"{"token":"a\nb"}"#, r#"{"token":""}"#, r#"{"token":"t","expires_in":-1}"#]
        {
            assert!(Token::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        let form = form([("a", "b c"), ("d", "e&f=g")].into_iter());
        assert_eq!(form.expose(), "a=b+c&d=e%26f%3Dg");
    }
}
