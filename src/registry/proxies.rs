//! The proxies that requests go through.

use reqwest::blocking;
use reqwest::{NoProxy, Proxy};

use super::{Echo, Proxies};
use crate::oci::{SourceError, SourceErrorKind};
use crate::secrets::SecretText;

/// Has a client use `proxies`.
pub(super) fn proxied(
    builder: blocking::ClientBuilder,
    proxies: &Proxies,
    echo: &Echo,
) -> Result<blocking::ClientBuilder, SourceError> {
    let Proxies { https, http, all, none } = proxies;
    let none = none.as_deref().and_then(NoProxy::from_string);
    type Make = fn(&str) -> reqwest::Result<Proxy>;
    // The special ones come first: reqwest takes the first that fits.
    let makers: [(&str, &Option<SecretText>, Make); 3] = [
        ("https", https, |url| Proxy::https(url)),
        ("http", http, |url| Proxy::http(url)),
        ("all", all, |url| Proxy::all(url)),
    ];
    let mut builder = builder;
    for (which, url, make) in makers {
        let Some(url) = url.as_ref().map(SecretText::expose_line).filter(|url| !url.is_empty()) else {
            continue;
        };
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        echo.remember_proxy(&with_scheme);
        let proxy = make(&with_scheme).map_err(|_| {
            // Neither the URL nor reqwest's error about it: both may hold the proxy's password.
            let message = format!("the proxy for {which} URLs is not given as a URL");
            SourceError::new(SourceErrorKind::Connection, message)
        })?;
        builder = builder.proxy(proxy.no_proxy(none.clone()));
    }
    Ok(builder)
}
