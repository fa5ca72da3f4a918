//! Debian packages: which, where from, and what the nodes have already.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::sources::open_address;
use crate::deb::relation;
use crate::deb::version::Version;
use crate::oci::Platform;
use crate::spec::model::{PackageBaseline, PackageSource, Packages, RepositoryAddress, Signing};
use crate::spec::raw::{RawBaseline, RawPackageSource, RawPackages, RawSign};
use crate::spec::report::At;

/// Returns what to install; `None` only if there are errors in the report.
pub(super) fn packages(raw: RawPackages, platforms: &[Platform], at: &At<'_>) -> Option<Packages> {
    let RawPackages { suite, sources, baseline, names, recommends, sign, extra } = raw;
    check_platforms(platforms, at);
    let suite = suite.and_then(|text| code_name(text, &at.key("suite")));
    let sources_at = at.key("sources");
    let sources = listed(sources, "source", &sources_at).unwrap_or_default();
    let sources: Vec<Option<PackageSource>> =
        sources_at.items(sources).map(|(at, raw)| source(raw, suite.as_deref(), &at)).collect();
    let baseline = match baseline {
        None => Some(PackageBaseline::None),
        Some(raw) => self::baseline(raw, &at.key("baseline")),
    };
    let (names, extra) = (names.unwrap_or_default(), extra.unwrap_or_default());
    let is_refused = at.key("names").is_refused() || at.key("extra").is_refused();
    if names.is_empty() && extra.is_empty() && !is_refused {
        let hint = "list packages under names, or .deb files under extra";
        at.error_with_hint("nothing is to be installed", hint);
    }
    check_names(&names, &at.key("names"));
    let extra = self::extra(extra, &at.key("extra"));
    let sign = sign.map(|raw| signing(raw, &at.key("sign")));
    Some(Packages {
        suite: suite?,
        sources: sources.into_iter().collect::<Option<_>>()?,
        baseline: baseline?,
        names,
        recommends: recommends.unwrap_or(false),
        extra,
        sign: match sign {
            None => None,
            Some(sign) => Some(sign?),
        },
    })
}

fn signing(raw: RawSign, at: &At<'_>) -> Option<Signing> {
    let RawSign { secret, node_keyring } = raw;
    let secret = secret.and_then(|name| at.key("secret").secret(name));
    if let Some(file) = &node_keyring {
        // It stands in a line of apt's sources, where a blank or a bracket would end it.
        let is_plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+-".contains(&byte));
        let is_known = [".asc", ".gpg"].iter().any(|end| file.ends_with(end));
        if !file.starts_with('/') || !is_plain || !is_known {
            let hint = "write an absolute path that ends in .asc or .gpg, such as /etc/apt/keyrings/site.asc";
            let message = format!("`{file}` is not a keyring that apt can be told of");
            at.key("nodeKeyring").error_with_hint(message, hint);
        }
    }
    Some(Signing { secret: secret?, node_keyring })
}

/// Packages are taken for all platforms of the spec.
fn check_platforms(platforms: &[Platform], at: &At<'_>) {
    for platform in platforms {
        if Packages::architecture(platform).is_none() {
            let message = format!("`{platform}` is among the platforms, and has no Debian packages here");
            at.error_with_hint(message, "packages are for linux/amd64, linux/arm64, linux/arm/v7");
        }
    }
}

/// Returns the items of a list that must have some; that it is not there at all the schema says.
fn listed<T>(items: Option<Vec<T>>, what: &str, at: &At<'_>) -> Option<Vec<T>> {
    if items.as_ref().is_some_and(Vec::is_empty) {
        at.error(format!("there is no {what}"));
    }
    items
}

fn code_name(text: String, at: &At<'_>) -> Option<String> {
    let is_code_name = text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_code_name {
        let hint = "write it as VERSION_CODENAME in the nodes' /etc/os-release, such as bookworm";
        return at.refuse_with_hint(format!("`{text}` is not the code name of a release"), hint);
    }
    Some(text)
}

fn source(raw: RawPackageSource, suite: Option<&str>, at: &At<'_>) -> Option<PackageSource> {
    let RawPackageSource { urls, suites, components, keyring } = raw;
    let urls = listed(urls, "address", &at.key("urls")).map(|urls| addresses(&urls, &at.key("urls")));
    let suites = suites.or_else(|| Some(vec![suite?.to_owned()]));
    let suites = parts(suites, "suite", &at.key("suites"));
    let components = components.unwrap_or_else(|| vec!["main".to_owned()]);
    let components = parts(Some(components), "component", &at.key("components"));
    let keyring = keyring.and_then(|file| at.key("keyring").file(&file));
    Some(PackageSource { urls: urls?, suites: suites?, components: components?, keyring })
}

fn addresses(texts: &[String], at: &At<'_>) -> Vec<RepositoryAddress> {
    let mut addresses: Vec<RepositoryAddress> = Vec::new();
    for (at, text) in at.items(texts) {
        let Some(address) = address(text, &at) else { continue };
        if addresses.iter().any(|other| other.text(at.folder()) == address.text(at.folder())) {
            at.error("this address is in the list twice");
        } else {
            addresses.push(address);
        }
    }
    addresses
}

fn address(text: &str, at: &At<'_>) -> Option<RepositoryAddress> {
    match text.strip_prefix("file:") {
        Some(rest) if rest.starts_with("//") => {
            let hint = "write file:FOLDER, where FOLDER is relative to the folder of this spec, or begins with one `/`";
            at.refuse_with_hint("`file://` names a machine, not a folder", hint)
        }
        Some(rest) => at.file(rest).map(RepositoryAddress::Folder),
        None => {
            let url = open_address(text, "name a mirror that needs none", at)?;
            if url.query().is_some() {
                at.error("there is a `?` in this address");
            }
            Some(RepositoryAddress::Web(url))
        }
    }
}

/// Checks names that become parts of addresses, such as `bookworm-updates` and `updates/main`.
fn parts(texts: Option<Vec<String>>, what: &str, at: &At<'_>) -> Option<Vec<String>> {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    let texts = listed(texts, what, at)?;
    for (index, text) in texts.iter().enumerate() {
        if text.len() > 128 || !text.split('/').all(is_part) {
            at.index(index).error(format!("`{text}` is not the name of a {what}"));
        } else if texts[..index].contains(text) {
            at.index(index).refuse_again(text);
        }
    }
    Some(texts)
}

fn baseline(raw: RawBaseline, at: &At<'_>) -> Option<PackageBaseline> {
    let RawBaseline { status, manifest, priority } = raw;
    match (status, manifest, priority) {
        (Some(file), None, None) => at.key("status").file(&file).map(PackageBaseline::Status),
        (None, Some(file), None) => at.key("manifest").file(&file).map(PackageBaseline::Manifest),
        (None, None, Some(priority)) => Some(PackageBaseline::Priority(priority)),
        (None, None, None) if at.is_refused() => None,
        (_, _, _) => {
            let message = "exactly one of status, manifest and priority is needed";
            at.refuse_with_hint(message, "remove baseline if nothing is to be taken for granted")
        }
    }
}

/// Checks the packages that are asked for, each by itself and against those before it.
fn check_names(texts: &[String], at: &At<'_>) {
    let mut seen: BTreeMap<&str, Option<Version<'_>>> = BTreeMap::new();
    for (at, text) in at.items(texts) {
        let Some((name, version)) = request(text, &at) else { continue };
        match seen.get(name) {
            None => drop(seen.insert(name, version)),
            Some(Some(first)) if version.as_ref().is_some_and(|version| version != first) => {
                let message = format!("`{name}` is in the list with another version: {}", first.as_str());
                at.error_with_hint(message, "a node has one version of a package; keep one of the two");
            }
            Some(_) => at.refuse_again(name),
        }
    }
}

/// Takes `name` or `name=version` apart.
fn request<'text>(text: &'text str, at: &At<'_>) -> Option<(&'text str, Option<Version<'text>>)> {
    let (name, version) = match text.split_once('=') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    // A bare name is the relation that is nothing but a name.
    let relations = relation::parse_list(name).unwrap_or_default();
    if !matches!(relations.as_slice(), [only] if only.name == name) {
        let hint = "write a name such as jq, or a name and a version such as jq=1.6-2.1";
        return at.refuse_with_hint(format!("`{name}` is not the name of a Debian package"), hint);
    }
    let Some(version) = version else { return Some((name, None)) };
    match Version::parse(version) {
        // Blanks around a version do not count, yet the text is kept.
        Ok(parsed) if parsed.as_str() == version => Some((name, Some(parsed))),
        Ok(_) => at.refuse("there is a blank in this version"),
        Err(error) => at.refuse(error.to_string()),
    }
}

fn extra(texts: Vec<String>, at: &At<'_>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for (at, text) in at.items(texts) {
        let Some(file) = at.file(&text) else { continue };
        if file.extension().is_none_or(|extension| extension != "deb") {
            at.error(format!("`{text}` is not a .deb file"));
        } else if files.contains(&file) {
            at.refuse_again(text);
        } else {
            files.push(file);
        }
    }
    files
}
