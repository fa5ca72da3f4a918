//! One side of a comparison: a lock or a kit as named things.

use std::collections::BTreeMap;
use std::path::Path;

use itertools::Itertools as _;
use serde::Serialize;

use super::{DiffError, Things};
use crate::bill::{self, Bill};
use crate::epoch::Epoch;
use crate::inspect::{self, Certificate, Certificates, Inspected, Inspection, Lock, OpsBundle, Options};

/// What a side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// A lock.
    Lock,
    /// A kit.
    Kit,
}

/// What things are about, in the order in which people read of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// What holds for the whole: the time, the release of k3s, the registry.
    Settings,
    /// The nodes and their seeds.
    Nodes,
    /// The images.
    Images,
    /// The ops packages.
    Packages,
    /// The files of a lock, the artifacts of a kit.
    Files,
    /// The registry's certificates.
    Certificates,
}

/// One named thing: how large it is, and all that makes it what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// Its length in bytes, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its properties by name.
    #[serde(flatten)]
    pub properties: BTreeMap<String, String>,
}

impl Thing {
    fn of<const N: usize>(size: Option<u64>, properties: [(&str, String); N]) -> Self {
        let properties = properties.map(|(name, value)| (name.to_owned(), value));
        Self { size, properties: properties.into() }
    }

    fn value(value: String) -> Self {
        Self::of(None, [("value", value)])
    }
}

/// Reads a side.
pub(super) fn read(path: &Path, options: &Options<'_>) -> Result<(Side, Things), DiffError> {
    match inspect(path, options)?.artifact {
        Inspected::Lock(lock) => Ok((Side::Lock, lock_things(lock))),
        Inspected::Kit(kit) => Ok((Side::Kit, kit_things(path, kit, options)?)),
        Inspected::OpsBundle(_) | Inspected::Images(_) | Inspected::Disc(_) | Inspected::Certificates(_) => {
            Err(DiffError::Kind(path.to_owned()))
        }
    }
}

/// Looks into something that has to be whole.
fn inspect(path: &Path, options: &Options<'_>) -> Result<Inspection, DiffError> {
    let owned = || path.to_owned();
    let inspection = inspect::path(path, options).map_err(|source| DiffError::Inspect(owned(), source))?;
    match inspection.findings.first() {
        Some(finding) => Err(DiffError::Damaged(owned(), finding.to_string())),
        None => Ok(inspection),
    }
}

fn lock_things(lock: Lock) -> Things {
    let Lock { epoch, platforms, signatures, image_size: _, images, files, packages } = lock;
    let mut settings = settings([
        ("date", epoch.to_string()),
        ("platforms", platforms.iter().join(", ")),
        ("signatures", signatures.to_string()),
    ]);
    let images = images.into_iter().map(|image| {
        let properties = [
            ("digest", image.digest.to_string()),
            ("destination", image.destination.unwrap_or_default()),
            ("attached", image.attached.len().to_string()),
        ];
        (image.reference.to_string(), Thing::of(Some(image.total_size), properties))
    });
    let files = files.into_iter().map(|file| {
        let properties = [("digest", file.digest.to_string()), ("source", file.source)];
        (file.role.to_string(), Thing::of(Some(file.size), properties))
    });
    let (images, files) = (images.collect(), files.collect());
    let mut pinned = BTreeMap::new();
    if let Some(packages) = packages {
        settings.insert("suite".to_owned(), Thing::value(packages.suite));
        settings.insert("requested packages".to_owned(), Thing::value(packages.names.join(", ")));
        pinned = packages
            .packages
            .into_iter()
            .map(|package| {
                let properties = [("version", package.version), ("digest", package.sha256.to_string())];
                (of_target(&package.name, &package.target), Thing::of(Some(package.size), properties))
            })
            .collect();
    }
    BTreeMap::from([
        (Subject::Settings, settings),
        (Subject::Images, images),
        (Subject::Packages, pinned),
        (Subject::Files, files),
    ])
}

fn kit_things(folder: &Path, kit: Bill, options: &Options<'_>) -> Result<Things, DiffError> {
    let Bill { name, made_by, epoch, k3s, registry, platforms, nodes, allow: _, files: _, images, artifacts } =
        kit;
    let settings = settings([
        ("name", name),
        ("made by", made_by),
        ("date", epoch.to_string()),
        ("k3s", k3s),
        ("registry", registry.to_string()),
        ("platforms", platforms.iter().join(", ")),
    ]);
    let images = images.into_iter().map(|image| {
        (
            image.reference.to_string(),
            Thing::of(Some(image.total_size), [("digest", image.digest.to_string())]),
        )
    });
    let mut packages = BTreeMap::new();
    let mut certificates = BTreeMap::new();
    for path in artifacts.keys() {
        // These are compared by their contents; other parts of a kit are compared by their digests.
        if !path.starts_with("ops-packages-") && !path.ends_with(".crt") {
            continue;
        }
        match inspect(&folder.join(path), options)?.artifact {
            Inspected::OpsBundle(bundle) => packages.extend(bundle_things(bundle)),
            Inspected::Certificates(file) => certificates.extend(certificate_things(path, file)),
            Inspected::Images(_) | Inspected::Disc(_) | Inspected::Lock(_) | Inspected::Kit(_) => {}
        }
    }
    let of_node = |node: bill::Node| {
        let bill::Node { name, role, address, platform, seed } = node;
        let artifact = artifacts.get(&seed);
        let digest = artifact.map(|artifact| artifact.digest.to_string()).unwrap_or_default();
        let properties = [
            ("role", role.name().to_owned()),
            ("address", address.to_string()),
            ("platform", platform.to_string()),
            ("seed", digest),
        ];
        (name, Thing::of(artifact.map(|artifact| artifact.size), properties))
    };
    let seeds: Vec<String> = nodes.iter().map(|node| node.seed.clone()).collect();
    let files = artifacts.iter().filter(|(path, _)| !seeds.contains(path) && !path.ends_with(".crt")).map(
        |(path, bill::Artifact { digest, size, made_from: _ })| {
            (without_hash(path), Thing::of(Some(*size), [("digest", digest.to_string())]))
        },
    );
    Ok(BTreeMap::from([
        (Subject::Settings, settings),
        (Subject::Images, images.collect()),
        (Subject::Packages, packages),
        (Subject::Certificates, certificates),
        (Subject::Files, files.collect()),
        (Subject::Nodes, nodes.into_iter().map(of_node).collect()),
    ]))
}

fn settings<const N: usize>(values: [(&str, String); N]) -> BTreeMap<String, Thing> {
    values.into_iter().map(|(name, value)| (name.to_owned(), Thing::value(value))).collect()
}

fn bundle_things(bundle: OpsBundle) -> impl Iterator<Item = (String, Thing)> {
    let target = bundle.architecture;
    bundle.packages.into_iter().map(move |package| {
        let properties = [("version", package.version), ("digest", package.sha256.to_string())];
        (of_target(&package.name, &target), Thing::of(Some(package.size), properties))
    })
}

fn certificate_things(path: &str, file: Certificates) -> impl Iterator<Item = (String, Thing)> {
    let certificates = file.certificates.into_iter().enumerate();
    let path = path.to_owned();
    certificates.map(move |(number, certificate)| {
        let Certificate { subject, issuer, names, not_after, fingerprint, .. } = certificate;
        let properties = [
            ("subject", subject),
            ("issuer", issuer),
            ("names", names.join(", ")),
            ("not after", date(not_after)),
            ("fingerprint", fingerprint),
        ];
        let name = if number == 0 { path.clone() } else { format!("{path} ({})", number + 1) };
        (name, Thing::of(None, properties))
    })
}

/// Returns a time as people write it; one outside of the calendar in seconds.
fn date(seconds: i64) -> String {
    let epoch = u64::try_from(seconds).ok().and_then(|seconds| Epoch::try_from(seconds).ok());
    epoch.map_or_else(|| seconds.to_string(), |epoch| epoch.to_string())
}

/// Returns the name of a package for nodes of one architecture, as dpkg writes it.
fn of_target(name: &str, target: &str) -> String {
    format!("{name}:{target}")
}

/// Returns a path without the digits by which k3s tells new files from old ones: another content is a change, not
/// another file.
fn without_hash(path: &str) -> String {
    let is_hash = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (stem, extension) = path.find(".tar").map_or((path, ""), |start| path.split_at(start));
    match stem.rsplit_once('-') {
        Some((name, hash)) if is_hash(hash) => format!("{name}-*{extension}"),
        Some(_) | None => path.to_owned(),
    }
}
