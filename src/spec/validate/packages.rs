//! Debian packages: which, where from, and what the nodes have already.

use std::collections::BTreeMap;
use std::path::{Path as Folder, PathBuf};

use super::sources::open_address;
use super::{Surroundings, file_path, optional_path, secret_name};
use crate::deb::relation;
use crate::deb::version::Version;
use crate::spec::model::{PackageBaseline, PackageSource, Packages, RepositoryAddress, Signing};
use crate::spec::raw::{RawBaseline, RawPackageSource, RawPackages, RawSign};
use crate::spec::report::Report;
use crate::text::Path;

/// Returns what to install; `None` only if there are errors in the report.
pub(super) fn packages(
    raw: RawPackages,
    surroundings: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> Option<Packages> {
    let RawPackages { suite, sources, baseline, names, recommends, sign, extra } = raw;
    let path = Path::root().key("packages");
    let folder = surroundings.folder;
    check_platforms(surroundings, &path, report);
    let suite = suite.and_then(|text| code_name(text, &path.key("suite"), report));
    let sources_path = path.key("sources");
    let sources = listed(sources, &sources_path, "source", report).unwrap_or_default();
    let sources: Vec<Option<PackageSource>> = sources
        .into_iter()
        .enumerate()
        .map(|(index, raw)| source(raw, suite.as_deref(), folder, &sources_path.index(index), report))
        .collect();
    let baseline = match baseline {
        None => Some(PackageBaseline::None),
        Some(raw) => self::baseline(raw, folder, &path.key("baseline"), report),
    };
    let [names_path, extra_path] = ["names", "extra"].map(|key| path.key(key));
    let (names, extra) = (names.unwrap_or_default(), extra.unwrap_or_default());
    let is_refused = report.is_refused(&names_path) || report.is_refused(&extra_path);
    if names.is_empty() && extra.is_empty() && !is_refused {
        let hint = "list packages under names, or .deb files under extra";
        report.error_with_hint(&path, "nothing is to be installed", hint);
    }
    check_names(&names, &names_path, report);
    let extra = self::extra(extra, folder, &extra_path, report);
    let sign = sign.map(|raw| signing(raw, &path.key("sign"), report));
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

fn signing(raw: RawSign, path: &Path, report: &mut Report<'_>) -> Option<Signing> {
    let RawSign { secret, node_keyring } = raw;
    let secret = secret.and_then(|name| secret_name(name, &path.key("secret"), report));
    if let Some(file) = &node_keyring {
        // It stands in a line of apt's sources, where a blank or a bracket would end it.
        let is_plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+-".contains(&byte));
        let is_known = [".asc", ".gpg"].iter().any(|end| file.ends_with(end));
        if !file.starts_with('/') || !is_plain || !is_known {
            let hint = "write an absolute path that ends in .asc or .gpg, such as /etc/apt/keyrings/site.asc";
            let message = format!("`{file}` is not a keyring that apt can be told of");
            report.error_with_hint(&path.key("nodeKeyring"), message, hint);
        }
    }
    Some(Signing { secret: secret?, node_keyring })
}

/// Packages are taken for all platforms of the spec.
fn check_platforms(surroundings: &Surroundings<'_>, path: &Path, report: &mut Report<'_>) {
    for platform in surroundings.platforms {
        if Packages::architecture(platform).is_none() {
            let message = format!("`{platform}` is among the platforms, and has no Debian packages here");
            report.error_with_hint(path, message, "packages are for linux/amd64, linux/arm64, linux/arm/v7");
        }
    }
}

/// Returns the items of a list that must have some; that it is not there at all the schema says.
fn listed<T>(items: Option<Vec<T>>, path: &Path, what: &str, report: &mut Report<'_>) -> Option<Vec<T>> {
    if items.as_ref().is_some_and(Vec::is_empty) {
        report.error(path, format!("there is no {what}"));
    }
    items
}

fn code_name(text: String, path: &Path, report: &mut Report<'_>) -> Option<String> {
    let is_code_name = text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_code_name {
        let hint = "write it as VERSION_CODENAME in the nodes' /etc/os-release, such as bookworm";
        report.error_with_hint(path, format!("`{text}` is not the code name of a release"), hint);
    }
    is_code_name.then_some(text)
}

fn source(
    raw: RawPackageSource,
    suite: Option<&str>,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<PackageSource> {
    let RawPackageSource { urls, suites, components, keyring } = raw;
    let urls = listed(urls, &path.key("urls"), "address", report);
    let urls = urls.map(|urls| self::addresses(&urls, folder, &path.key("urls"), report));
    let suites = suites.or_else(|| Some(vec![suite?.to_owned()]));
    let suites = listed(suites, &path.key("suites"), "suite", report);
    let components = components.unwrap_or_else(|| vec!["main".to_owned()]);
    let components = listed(Some(components), &path.key("components"), "component", report);
    check_parts(suites.as_deref(), &path.key("suites"), "suite", report);
    check_parts(components.as_deref(), &path.key("components"), "component", report);
    let keyring = optional_path(keyring, folder, &path.key("keyring"), report);
    Some(PackageSource { urls: urls?, suites: suites?, components: components?, keyring })
}

fn addresses(
    texts: &[String],
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Vec<RepositoryAddress> {
    let mut addresses: Vec<RepositoryAddress> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        let Some(address) = address(text, folder, &path, report) else { continue };
        if addresses.iter().any(|other| other.text(folder) == address.text(folder)) {
            report.error(&path, "this address is in the list twice");
        } else {
            addresses.push(address);
        }
    }
    addresses
}

fn address(text: &str, folder: &Folder, path: &Path, report: &mut Report<'_>) -> Option<RepositoryAddress> {
    match text.strip_prefix("file:") {
        Some(rest) if rest.starts_with("//") => {
            let hint = "write file:FOLDER, where FOLDER is relative to the folder of this spec, or begins with one `/`";
            report.error_with_hint(path, "`file://` names a machine, not a folder", hint);
            None
        }
        Some(rest) => file_path(rest, folder, path, report).map(RepositoryAddress::Folder),
        None => {
            let url = open_address(text, "name a mirror that needs none", path, report)?;
            if url.query().is_some() {
                report.error(path, "there is a `?` in this address");
            }
            Some(RepositoryAddress::Web(url))
        }
    }
}

/// Checks names that become parts of addresses, such as `bookworm-updates` and `updates/main`.
fn check_parts(texts: Option<&[String]>, path: &Path, what: &str, report: &mut Report<'_>) {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    let texts = texts.unwrap_or_default();
    for (index, text) in texts.iter().enumerate() {
        if text.len() > 128 || !text.split('/').all(is_part) {
            report.error(&path.index(index), format!("`{text}` is not the name of a {what}"));
        } else if texts[..index].contains(text) {
            report.error(&path.index(index), format!("`{text}` is in the list twice"));
        }
    }
}

fn baseline(
    raw: RawBaseline,
    folder: &Folder,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<PackageBaseline> {
    let RawBaseline { status, manifest, priority } = raw;
    match (status, manifest, priority) {
        (Some(file), None, None) => {
            file_path(&file, folder, &path.key("status"), report).map(PackageBaseline::Status)
        }
        (None, Some(file), None) => {
            file_path(&file, folder, &path.key("manifest"), report).map(PackageBaseline::Manifest)
        }
        (None, None, Some(priority)) => Some(PackageBaseline::Priority(priority)),
        (None, None, None) if report.is_refused(path) => None,
        (_, _, _) => {
            let message = "exactly one of status, manifest and priority is needed";
            report.error_with_hint(path, message, "remove baseline if nothing is to be taken for granted");
            None
        }
    }
}

/// Checks the packages that are asked for, each by itself and against those before it.
fn check_names(texts: &[String], path: &Path, report: &mut Report<'_>) {
    let mut seen: BTreeMap<&str, Option<Version<'_>>> = BTreeMap::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        let Some((name, version)) = request(text, &path, report) else { continue };
        match seen.get(name) {
            None => drop(seen.insert(name, version)),
            Some(Some(first)) if version.as_ref().is_some_and(|version| version != first) => {
                let message = format!("`{name}` is in the list with another version: {}", first.as_str());
                report.error_with_hint(
                    &path,
                    message,
                    "a node has one version of a package; keep one of the two",
                );
            }
            Some(_) => report.error(&path, format!("`{name}` is in the list twice")),
        }
    }
}

/// Takes `name` or `name=version` apart.
fn request<'text>(
    text: &'text str,
    path: &Path,
    report: &mut Report<'_>,
) -> Option<(&'text str, Option<Version<'text>>)> {
    let (name, version) = match text.split_once('=') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    // A bare name is the relation that is nothing but a name.
    let relations = relation::parse_list(name).unwrap_or_default();
    if !matches!(relations.as_slice(), [only] if only.name == name) {
        let hint = "write a name such as jq, or a name and a version such as jq=1.6-2.1";
        report.error_with_hint(path, format!("`{name}` is not the name of a Debian package"), hint);
        return None;
    }
    let Some(version) = version else { return Some((name, None)) };
    match Version::parse(version) {
        // Blanks around a version do not count, yet the text is kept.
        Ok(parsed) if parsed.as_str() == version => Some((name, Some(parsed))),
        Ok(_) => {
            report.error(path, "there is a blank in this version");
            None
        }
        Err(error) => {
            report.error(path, error.to_string());
            None
        }
    }
}

fn extra(texts: Vec<String>, folder: &Folder, path: &Path, report: &mut Report<'_>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = path.index(index);
        let Some(file) = file_path(text, folder, &path, report) else { continue };
        if file.extension().is_none_or(|extension| extension != "deb") {
            report.error(&path, format!("`{text}` is not a .deb file"));
        } else if files.contains(&file) {
            report.error(&path, format!("`{text}` is in the list twice"));
        } else {
            files.push(file);
        }
    }
    files
}
