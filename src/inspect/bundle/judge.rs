//! Does everything in a bundle say the same?

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;
use serde::Deserialize;

use super::contents::{
    Contents, Described, Found, INDEX, INDEX_GZ, INSTALLER, MANIFEST, RELEASE, REQUEST, is_package,
};
use super::{BundledPackage, OpsBundle, PREFIX};
use crate::artifact::Finding;
use crate::artifact::{ArtifactList, SUMS};
use crate::deb;
use crate::digest::Digest;
use crate::epoch::Epoch;

/// The version of `manifest.json` that is known here.
const MANIFEST_VERSION: u64 = 1;
/// What every bundle has.
const ALWAYS: [&str; 7] = [SUMS, MANIFEST, REQUEST, INDEX, INDEX_GZ, RELEASE, INSTALLER];

#[derive(Deserialize)]
struct Manifest {
    suite: String,
    architecture: String,
    epoch: Epoch,
    requested: Vec<String>,
    packages: Vec<Stated>,
}

/// What is said of a package in a list.
#[derive(Deserialize, PartialEq, Eq)]
struct Stated {
    name: String,
    version: String,
    architecture: String,
    file: String,
    size: u64,
    sha256: Digest,
    #[serde(default)]
    why: String,
}

/// Returns what the bundle holds, and all that contradicts.
pub(super) fn judge(folder: &str, contents: Contents) -> (OpsBundle, Vec<Finding>) {
    let Contents { files, texts, packages, unpacked_index, mut findings } = contents;
    let missing = ALWAYS.into_iter().filter(|path| !files.contains_key(*path));
    findings.extend(missing.map(|path| Finding::Missing { path: path.to_owned() }));
    findings.extend(texts.get(SUMS).into_iter().flat_map(|sums| judge_sums(sums, &files)));
    findings.extend(judge_name(folder, &files));
    findings.extend(judge_index(&files, &texts, &packages, unpacked_index.as_ref()));
    let manifest = texts.get(MANIFEST).and_then(|text| match parse_manifest(text) {
        Ok(manifest) => Some(manifest),
        Err(reason) => {
            findings.insert(Finding::wrong(MANIFEST, reason));
            None
        }
    });
    if let Some(manifest) = &manifest {
        findings.extend(judge_manifest(folder, manifest, &files, &packages));
    }
    let requested: Vec<String> = match (&manifest, texts.get(REQUEST)) {
        (_, Some(text)) => text.lines().map(str::to_owned).collect(),
        (Some(manifest), None) => manifest.requested.clone(),
        (None, None) => Vec::new(),
    };
    findings.extend(judge_request(&requested, manifest.as_ref(), &packages));
    let table = table(&files, packages, manifest.as_ref());
    let (suite, architecture) = named_for(folder).unwrap_or_default();
    let text = |name: &str| texts.get(name).cloned().unwrap_or_default();
    let bundle = OpsBundle {
        name: folder.to_owned(),
        suite: suite.to_owned(),
        architecture: architecture.to_owned(),
        epoch: manifest.map(|manifest| manifest.epoch),
        requested,
        count: table.len(),
        bytes: table.iter().map(|package| package.size).sum(),
        packages: table,
        index: text(INDEX),
        installer: text(INSTALLER),
    };
    (bundle, findings.into_iter().collect())
}

/// Returns the suite and the architecture that a bundle's name says.
fn named_for(folder: &str) -> Option<(&str, &str)> {
    let (rest, _id) = folder.strip_prefix(PREFIX)?.rsplit_once('-')?;
    rest.rsplit_once('-')
}

fn judge_sums(sums: &str, files: &BTreeMap<String, Found>) -> Vec<Finding> {
    let listed = match ArtifactList::parse_sums(sums) {
        Ok(listed) => listed,
        Err(error) => return vec![Finding::wrong(SUMS, error.to_string())],
    };
    let mut findings = Vec::new();
    for (path, expected) in &listed {
        match files.get(path) {
            Some(Found { digest, .. }) if digest == expected => {}
            Some(Found { digest, .. }) => {
                findings.push(Finding::Bad { path: path.clone(), expected: *expected, actual: *digest })
            }
            None => findings.push(Finding::Missing { path: path.clone() }),
        }
    }
    let extra = files.keys().filter(|path| *path != SUMS && !listed.contains_key(*path));
    findings.extend(extra.map(|path| Finding::Extra { path: path.clone() }));
    findings
}

/// The name ends in the first digits of the digest of SHA256SUMS, so that it stands for everything.
fn judge_name(folder: &str, files: &BTreeMap<String, Found>) -> Option<Finding> {
    let id = files.get(SUMS)?.digest.short();
    let is_right = folder.strip_suffix(&id).is_some_and(|rest| rest.ends_with('-'));
    (!is_right).then(|| {
        Finding::wrong(SUMS, format!("its digest begins with {id}, the bundle's name ends otherwise"))
    })
}

/// Compares what apt will read with the packages.
fn judge_index(
    files: &BTreeMap<String, Found>,
    texts: &BTreeMap<String, String>,
    packages: &BTreeMap<String, Described>,
    unpacked: Option<&Digest>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let (Some(index), Some(unpacked)) = (files.get(INDEX), unpacked)
        && index.digest != *unpacked
    {
        findings.push(Finding::wrong(INDEX_GZ, "it unpacks to something else than Packages"));
    }
    if let Some(release) = texts.get(RELEASE) {
        for path in [INDEX, INDEX_GZ] {
            let Some(Found { digest, size }) = files.get(path) else { continue };
            let line = format!(" {} {size} {path}", digest.hex());
            if !release.lines().any(|found| found == line) {
                findings.push(Finding::wrong(RELEASE, format!("it does not list {path} as it is")));
            }
        }
    }
    let Some(text) = texts.get(INDEX) else { return findings };
    match deb::index::parse(text) {
        Err(error) => findings.push(Finding::wrong(INDEX, error.to_string())),
        Ok(stanzas) => {
            let stated = stanzas.into_iter().filter_map(|stanza| {
                let file = stanza.file?;
                Some(Stated {
                    name: stanza.name.to_owned(),
                    version: stanza.version.to_string(),
                    architecture: stanza.architecture.to_owned(),
                    file: file.path.trim_start_matches("./").to_owned(),
                    size: file.size,
                    sha256: file.digest,
                    why: String::new(),
                })
            });
            let stated: Vec<Stated> = stated.collect();
            findings.extend(judge_list(INDEX, &stated, files, packages));
        }
    }
    findings
}

fn parse_manifest(text: &str) -> Result<Manifest, String> {
    // What comes after it decides whether the rest can be understood.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == MANIFEST_VERSION => {
            serde_json::from_value(value).map_err(|error| error.to_string())
        }
        Some(version) => Err(format!("it has version {version}, which this seedkit does not know")),
        None => Err("it has no version".to_owned()),
    }
}

fn judge_manifest(
    folder: &str,
    manifest: &Manifest,
    files: &BTreeMap<String, Found>,
    packages: &BTreeMap<String, Described>,
) -> Vec<Finding> {
    let Manifest { suite, architecture, epoch: _, requested: _, packages: stated } = manifest;
    let mut findings = judge_list(MANIFEST, stated, files, packages);
    if named_for(folder) != Some((suite, architecture)) {
        let reason = format!("it says {suite} and {architecture}, the bundle's name otherwise");
        findings.push(Finding::wrong(MANIFEST, reason));
    }
    let is_foreign =
        |package: &&Described| ![architecture.as_str(), "all"].contains(&package.architecture.as_str());
    let foreign = packages.iter().filter(|(_, package)| is_foreign(package));
    findings.extend(foreign.map(|(path, package)| {
        Finding::wrong(path, format!("it is for {}, the bundle for {architecture}", package.architecture))
    }));
    findings
}

/// Compares what a list says of the packages with what they are.
fn judge_list(
    list: &str,
    stated: &[Stated],
    files: &BTreeMap<String, Found>,
    packages: &BTreeMap<String, Described>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for Stated { name, version, architecture, file, size, sha256, why: _ } in stated {
        if !listed.insert(file.as_str()) {
            findings.push(Finding::wrong(list, format!("it lists `{}` twice", file.escape_debug())));
        }
        let Some(found) = files.get(file) else {
            findings
                .push(Finding::wrong(list, format!("it lists `{}`, which is missing", file.escape_debug())));
            continue;
        };
        let is_same_content = found.digest == *sha256 && found.size == *size;
        let is_same_package = packages.get(file).is_none_or(|package| {
            package.name == *name && package.version == *version && package.architecture == *architecture
        });
        if !is_same_content || !is_same_package {
            findings.push(Finding::wrong(file, format!("it is not what {list} says of it")));
        }
    }
    let unlisted = files.keys().filter(|path| is_package(path) && !listed.contains(path.as_str()));
    findings.extend(unlisted.map(|path| Finding::wrong(path, format!("{list} does not list it"))));
    findings
}

fn judge_request(
    requested: &[String],
    manifest: Option<&Manifest>,
    packages: &BTreeMap<String, Described>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if manifest.is_some_and(|manifest| manifest.requested != requested) {
        findings.push(Finding::wrong(REQUEST, format!("it is not what {MANIFEST} says was requested")));
    }
    let names: BTreeSet<&str> = packages.values().map(|package| package.name.as_str()).collect();
    let lost = requested.iter().filter(|name| !names.contains(name.as_str()));
    findings.extend(lost.map(|name| {
        Finding::wrong(REQUEST, format!("`{}` is requested, but not in the bundle", name.escape_debug()))
    }));
    findings
}

/// Returns the packages as they are; those that cannot be read, as the manifest says.
fn table(
    files: &BTreeMap<String, Found>,
    mut packages: BTreeMap<String, Described>,
    manifest: Option<&Manifest>,
) -> Vec<BundledPackage> {
    let stated: BTreeMap<&str, &Stated> = manifest
        .iter()
        .flat_map(|manifest| &manifest.packages)
        .map(|stated| (stated.file.as_str(), stated))
        .collect();
    let entry = |(path, found): (&String, &Found)| {
        let stated = stated.get(path.as_str());
        let said =
            |text: fn(&Stated) -> &String| stated.map(|stated| text(stated).clone()).unwrap_or_default();
        let described = packages.remove(path).unwrap_or_else(|| Described {
            name: said(|stated| &stated.name),
            version: said(|stated| &stated.version),
            architecture: said(|stated| &stated.architecture),
            licenses: Vec::new(),
        });
        let Described { name, version, architecture, licenses } = described;
        BundledPackage {
            name,
            version,
            architecture,
            file: path.clone(),
            size: found.size,
            sha256: found.digest,
            licenses,
            why: said(|stated| &stated.why),
        }
    };
    let packages = files.iter().filter(|(path, _)| is_package(path)).map(entry);
    packages.sorted_by(|one, other| (&one.name, &one.file).cmp(&(&other.name, &other.file))).collect()
}
