//! What servers say, without the logins that they were sent.
//!
//! A registry, a token server or a proxy may repeat what it was asked with: in the text of an error, the place of a
//! redirect, a header. Our errors quote these, and logs keep them. All that is quoted passes through [`Echo::clean`].
//!
//! # Why
//! The secrets are those of the whole run and not of one request: where an upload or a list goes on is an address that
//! the answer before it gave.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::request::Request;

/// What has fewer characters cannot be hidden: it is part of many words.
const SHORTEST: usize = 4;

/// What stands in the place of a secret.
const HIDDEN: &str = "…";

/// The secrets that servers were sent, in all forms that they are known to come back in; clones share them.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("[secrets]")]
pub struct Echo(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Headers and forms that were taken apart.
    seen: BTreeSet<String>,
    /// In lower case: hosts come back so.
    forms: BTreeSet<String>,
}

impl Echo {
    /// Returns a text of a server with all secrets hidden.
    pub fn clean(&self, text: &str) -> String {
        let known = self.lock();
        let lower = text.to_ascii_lowercase();
        let places = known.forms.iter().flat_map(|form| lower.match_indices(form.as_str()));
        let mut places: Vec<(usize, usize)> = places.map(|(at, form)| (at, at + form.len())).collect();
        places.sort_unstable();
        let (mut cleaned, mut done) = (String::new(), 0);
        for (start, end) in places {
            if start >= done {
                cleaned += &text[done..start];
                cleaned += HIDDEN;
            }
            done = done.max(end);
        }
        cleaned + &text[done..]
    }

    /// Remembers what a request is sent with.
    pub(super) fn remember(&self, request: &Request) {
        let header = request.authorization.as_ref().and_then(|value: &HeaderValue| value.to_str().ok());
        let form = request.form.as_ref().map(|form| form.expose());
        for text in [header, form].into_iter().flatten() {
            if !self.lock().seen.insert(text.to_owned()) {
                continue;
            }
            match text.split_once(' ') {
                Some(("Basic", encoded)) => self.remember_login(encoded),
                Some((_, token)) => self.add(token),
                None => {
                    let fields = url::form_urlencoded::parse(text.as_bytes());
                    fields.filter(|(key, _)| key == "refresh_token").for_each(|(_, token)| self.add(&token));
                }
            }
        }
    }

    /// Remembers the login of a proxy, if its URL has one.
    pub(super) fn remember_proxy(&self, url: &str) {
        let Some((user, password)) = Url::parse(url).ok().and_then(|url| {
            let decode = |text: &str| {
                let text = percent_encoding::percent_decode_str(text);
                text.decode_utf8_lossy().into_owned()
            };
            Some((decode(url.username()), decode(url.password()?)))
        }) else {
            return;
        };
        self.remember_login(&STANDARD.encode(format!("{user}:{password}")));
    }

    /// Remembers `user:password` in base64.
    fn remember_login(&self, encoded: &str) {
        let login = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        self.add(encoded.trim_end_matches('='));
        if let Some((_, password)) = login.as_deref().and_then(|login| login.split_once(':')) {
            self.add(password);
        }
    }

    /// Takes in a secret with all its forms.
    fn add(&self, secret: &str) {
        let secret = secret.trim();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let json = serde_json::Value::from(secret).to_string();
        let html = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];
        let html = html.into_iter().fold(secret.to_owned(), |text, (from, to)| text.replace(from, to));
        let forms = [
            secret.to_owned(),
            form.replace('+', "%20"),
            form,
            in_path(secret),
            json.trim_matches('"').to_owned(),
            html,
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        let is_long_enough = |form: &String| form.chars().count() >= SHORTEST;
        let forms = forms.into_iter().filter(is_long_enough).map(|form| form.to_ascii_lowercase());
        self.lock().forms.extend(forms);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // What is behind the lock is whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a text as a URL has it in its path, where fewer characters are encoded than in a form.
fn in_path(text: &str) -> String {
    let mut url = Url::parse("http://host").expect("it is a URL");
    url.set_path(text);
    url.path().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;
    use crate::secrets::SecretText;

    fn request(authorization: Option<&str>, form: Option<&str>) -> Request {
        let url = Url::parse("https://registry.example/v2/").unwrap();
        let form = form.map(|form| SecretText::from(form.to_owned()));
        let authorization = authorization.map(|text| HeaderValue::from_str(text).unwrap());
        Request { authorization, form, ..Request::new(Method::GET, url) }
    }

    #[test]
    fn a_login_is_hidden_in_every_form_that_comes_back() {
        let echo = Echo::default();
        let encoded = STANDARD.encode(r#"me:S3cret "pass/word"#);
        echo.remember(&request(Some(&format!("Basic {encoded}")), None));
        for (said, cleaned) in [
            (r#"no: S3cret "pass/word!"#, "no: …!"),
            ("https://S3cret%20%22pass%2Fword.example/", "https://….example/"),
            ("q=S3cret+%22pass%2fword&x", "q=…&x"),
            ("/v2/S3cret%20%22pass/word/", "/v2/…/"),
            (r#"{"said": "S3cret \"pass/word"}"#, r#"{"said": "…"}"#),
            ("<b>s3CRET &quot;pass/word</b>", "<b>…</b>"),
            (&format!("Authorization: Basic {encoded}"), "Authorization: Basic …"),
            (&STANDARD.encode(r#"S3cret "pass/word"#), "…=="),
            ("nothing of it, me", "nothing of it, me"),
        ] {
            assert_eq!(echo.clean(said).trim_end_matches('='), cleaned.trim_end_matches('='), "{said}");
        }
        assert_eq!(format!("{echo:?}"), "[secrets]");
    }

    #[test]
    fn tokens_and_the_logins_of_proxies_are_hidden_and_what_is_too_short_is_not() {
        let echo = Echo::default();
        echo.remember(&request(Some("Bearer eyJhbGci.token"), None));
        echo.remember(&request(None, Some("grant_type=refresh_token&refresh_token=a%2Fb+cd")));
        echo.remember(&request(Some(&format!("Basic {}", STANDARD.encode("me:abc"))), None));
        echo.remember_proxy("http://user:p%40ssword@proxy.example:3128");
        assert_eq!(
            echo.clean("eyJhbGci.token, a/b cd, refresh_token, abc, user:p@ssword"),
            "…, …, refresh_token, abc, user:…"
        );
        assert_eq!(echo.clean("overlaps: p@sswordp@ssword"), "overlaps: ……");
    }
}
