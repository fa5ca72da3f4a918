//! The environment, the clock, the home folder and the current folder: read here, and nowhere else.
#![expect(clippy::disallowed_methods, reason = "this is the one module that reads them for all others")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::epoch::{Epoch, InvalidEpoch};
use crate::registry::Proxies;
use crate::secrets::SecretText;

/// Says why there is no time to build with.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableTime {
    /// The variable is not a number, or one that no format can hold.
    #[error("cannot use SOURCE_DATE_EPOCH")]
    Variable(#[source] InvalidEpoch),
    /// The clock was never set.
    #[error("cannot use the clock's time")]
    Clock(#[source] InvalidEpoch),
}

/// Returns what the process was started with, its name first.
pub(super) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

/// Returns whether a variable is set, to nothing.
pub(super) fn is_empty(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Returns the value of a variable; `None` if it is unset, empty or not UTF-8.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the proxies that the usual variables name, in capitals or not.
pub(super) fn proxies() -> Proxies {
    let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
    Proxies {
        https: either("HTTPS_PROXY").map(SecretText::from),
        // Only in lower case: a web server puts a request's `Proxy:` header into HTTP_PROXY (httpoxy).
        http: variable("http_proxy").map(SecretText::from),
        all: either("ALL_PROXY").map(SecretText::from),
        none: either("NO_PROXY"),
    }
}

/// Returns seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns a number that differs between runs and machines, so that they do not all ask a server again at once.
pub(super) fn jitter_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (u64::from(std::process::id()) << 32) ^ since.as_secs() ^ u64::from(since.subsec_nanos())
}

/// Returns the time as a log line begins with it, in UTC.
pub(super) fn now_text() -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    OffsetDateTime::now_utc().format(&format).unwrap_or_default()
}

/// Returns `SOURCE_DATE_EPOCH`, else the clock's time.
pub(super) fn epoch() -> anyhow::Result<Epoch> {
    match variable("SOURCE_DATE_EPOCH") {
        Some(text) => Ok(text.parse().map_err(UnusableTime::Variable)?),
        None => clock(),
    }
}

/// Returns the clock's time, whatever `SOURCE_DATE_EPOCH` says: certificates are judged by it.
pub(super) fn clock() -> anyhow::Result<Epoch> {
    let seconds = u64::try_from(now()).unwrap_or(0);
    Ok(Epoch::try_from(seconds).map_err(UnusableTime::Clock)?)
}

/// Returns the cache folder that the user's settings imply.
pub(super) fn default_cache_folder() -> anyhow::Result<PathBuf> {
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache
        .or_else(home)
        .context("HOME is not set, so the store has no place: name one with --cache-dir")?;
    Ok(cache.join("seedkit"))
}

/// Returns the path of this program, whatever it was started as.
pub(super) fn program() -> anyhow::Result<String> {
    text(std::env::current_exe().context("cannot learn where this program is")?)
}

/// Returns a path that means the same in every folder.
pub(super) fn absolute(path: &Path) -> anyhow::Result<String> {
    text(std::path::absolute(path).with_context(|| format!("cannot use `{}`", path.display()))?)
}

fn text(path: PathBuf) -> anyhow::Result<String> {
    path.into_os_string().into_string().map_err(|path| anyhow::anyhow!("`{}` is not UTF-8", path.display()))
}

/// Returns the files that may hold registry credentials, in the order in which they are asked.
///
/// `REGISTRY_AUTH_FILE`, then Docker's configuration, then Podman's.
pub(super) fn credential_files() -> Vec<PathBuf> {
    let docker = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")))
        .map(|folder| folder.join("config.json"));
    let podman = variable("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("containers/auth.json"));
    variable("REGISTRY_AUTH_FILE").map(PathBuf::from).into_iter().chain(docker).chain(podman).collect()
}
