//! The way to a registry: names, certificates, proxies.

use fs_err as fs;
use seedkit::oci::{ImageSource, SourceErrorKind};
use seedkit::registry::{Client, ClientOptions, Fault, PlainHttp, Proxies};

use super::{fault, options, reference, registry_at};
use crate::support::hostile::{Answer, Hostile};
use crate::support::images;
use crate::support::oracle;
use crate::support::proxy::Proxy;
use crate::support::registry::Registry;
use crate::support::tls::Certificate;

/// Resolves at `url` and returns the fault that it meets.
fn fault_at(url: &str, options: ClientOptions, ca_file: Option<std::path::PathBuf>) -> Fault {
    let registry = registry_at(options, url, ca_file);
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Connection, "{error}");
    fault(&error).unwrap_or_else(|| panic!("{error:?}")).clone()
}

#[test]
fn a_connection_that_fails_says_why() {
    let server = Registry::start_with_tls(Certificate::new());
    let (tls, plain) = (server.url(), server.url().replace("https", "http"));
    let open = Registry::start();
    let other = Certificate::for_names("DNS:elsewhere.test");
    let misnamed = Hostile::start_with_tls(&other, |_| Answer::new(200, ""));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, ca_file, expected) in [
        (tls.clone(), None, Fault::UnknownAuthority),
        (tls.clone(), Some(Certificate::new().authority()), Fault::UnknownAuthority),
        (misnamed.url(), Some(other.authority()), Fault::WrongName),
        (open.url().replace("http", "https"), None, Fault::NotTls),
        (plain, None, Fault::NotPlain),
        (format!("http://{nobody}"), None, Fault::Refused),
        ("http://seedkit-no-such-host.invalid".to_owned(), None, Fault::UnknownHost),
    ] {
        assert_eq!(fault_at(&url, options(), ca_file), expected, "{url}");
    }
}

#[test]
fn the_bundle_of_the_options_replaces_that_of_the_system() {
    let certificate = Certificate::new();
    let server = Hostile::start_with_tls(&certificate, |_| Answer::new(200, "content"));
    let fetch = |bundle| {
        let options = ClientOptions { ca_bundle: bundle, ..options() };
        let file = Client::new(options).unwrap().fetch_file(&server.url(), 9, PlainHttp::Refused)?;
        Ok::<_, seedkit::oci::SourceError>(std::io::read_to_string(file.reader).unwrap())
    };
    assert_eq!(fetch(Some(certificate.authority())).unwrap(), "content");
    assert_eq!(fault(&fetch(None).unwrap_err()), Some(&Fault::UnknownAuthority));
}

#[test]
fn a_certificate_of_an_authority_as_the_servers_own_is_recognised() {
    let certificate = Certificate::self_signed();
    let server = Hostile::start_with_tls(&certificate, |_| Answer::new(200, "content"));
    let found = fault_at(&server.url(), options(), Some(certificate.certificate()));
    assert_eq!(found, Fault::AuthorityAsServer);
}

#[test]
fn nobody_is_sent_from_https_to_plain_http() {
    let certificate = Certificate::new();
    let plain = Hostile::start(|_| Answer::new(200, "content"));
    let location = plain.url() + "/blob?signature=hidden";
    let server = Hostile::start_with_tls(&certificate, move |_| Answer::redirect(&location));
    let registry = registry_at(options(), &server.url(), Some(certificate.authority()));
    let error = registry.resolve(&reference(&registry, "some/app:1")).unwrap_err();
    assert_eq!(error.kind, SourceErrorKind::Invalid);
    assert!(error.message.ends_with("is redirected from https to plain http at 127.0.0.1"), "{error}");
    assert_eq!(plain.requests(), []);
}

fn proxies(url: &str, none: Option<&str>) -> ClientOptions {
    let all = Some(url.to_owned().into());
    let none = none.map(str::to_owned);
    ClientOptions { proxies: Proxies { all, none, ..Proxies::default() }, ..ClientOptions::default() }
}

#[test]
fn proxies_are_used_for_both_schemes_and_not_for_exceptions() {
    let image = images::image("linux", "amd64", &[images::layer("through a proxy")]);
    for server in [Registry::start(), Registry::start_with_tls(Certificate::new())] {
        image.put(&server, "some/app", "1");
        let proxy = Proxy::start_with(Some("Basic bWU6cCZ3"));
        let url = format!("me:p%26w@{}", proxy.authority());
        let resolve = |options| {
            let registry = registry_at(options, &server.url(), server.ca_file());
            registry.resolve(&reference(&registry, "some/app:1"))
        };
        assert_eq!(&resolve(proxies(&url, None)).unwrap(), image.root());
        let expected = match server.ca_file() {
            Some(_) => format!("CONNECT {}", server.authority()),
            None => format!("HEAD {}/v2/some/app/manifests/1", server.url()),
        };
        assert_eq!(proxy.requests(), [expected]);
        resolve(proxies(&url, Some("example.com, 127.0.0.0/8"))).unwrap();
        assert_eq!(proxy.requests().len(), 1);
        let error = resolve(proxies(&format!("me:hidden@{}", proxy.authority()), None)).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Connection);
        assert!(!format!("{error:?}").contains("hidden"));
        let text = format!("{error} {}", fault(&error).map_or(String::new(), Fault::to_string));
        assert!(text.contains("407") || text.contains("proxy authorization required"), "{text}");
    }
}

#[test]
fn a_proxy_that_is_not_a_url_is_refused_without_showing_it() {
    let error = Client::new(proxies("http://me:hidden@:0:0/", None)).unwrap_err();
    assert_eq!(error.to_string(), "the proxy for all URLs is not given as a URL");
    assert!(!format!("{error:?}").contains("hidden"));
    assert!(!format!("{:?}", proxies("http://me:hidden@h/", None)).contains("hidden"));
}

#[test]
fn a_ca_file_that_openssl_cannot_use_either_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let openssl = oracle::command("openssl").args(["x509", "-noout", "-in"]).arg(&path).output().unwrap();
    assert!(!openssl.status.success());
    let endpoint = seedkit::registry::Endpoint::of("r.lan").unwrap().with_ca_file(Some(path.clone()));
    let error = Client::new(options()).unwrap().registry(endpoint).unwrap_err();
    assert_eq!(error.message, format!("the CA file `{}` cannot be used", path.display()));
}
