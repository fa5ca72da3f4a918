//! `seedkit build`: everything in order, verified, published by one rename.

mod error;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use error::BuildError;

use crate::artifact::{Artifact, ArtifactList, Finding, SUMS};
use crate::bill;
use crate::check::{self, Kit};
use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::fetch::places::Complaint;
use crate::fs::{
    EVERYTHING, GIT_IGNORE, LARGEST, Sharing, Staging, create_folder, hide_from_git, read_text, write_atomic,
};
use crate::lockfile::FILE_NAME;
use crate::oci::Reference;
use crate::ops::ca::Certificates;
use crate::ops::deliver;
use crate::ops::iso;
use crate::ops::kit::{self, Origins};
use crate::ops::mirror::Target;
use crate::ops::output;
use crate::ops::pack::Packed;
use crate::ops::packages::PackedBundle;
use crate::ops::parts::{self, Parts, PartsError};
use crate::ops::preflight;
use crate::progress::{Bytes, Reporter, step};
use crate::secrets::names;
use crate::verify;

/// What a build is made from, and where it goes.
#[derive(Debug)]
pub struct Options<'a> {
    /// What it is made from.
    pub parts: parts::Options<'a>,
    /// The kit's final place; what is there is replaced when the new kit is whole.
    pub output: &'a Path,
    /// Whether the blobs of its images may be other names of the store's.
    pub sharing: Sharing,
    /// A folder that the finished seeds are copied to.
    pub deliver: Option<&'a Path>,
}

/// A finished kit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The kit's folder.
    pub kit: PathBuf,
    /// Everything in it, without the blobs of its image layout.
    pub artifacts: ArtifactList,
    /// How many images it has.
    pub images: usize,
    /// How many blobs were fetched for it.
    pub fetched: u64,
    /// What places did while another one gave what was asked for.
    pub passed_over: Vec<Complaint>,
    /// How many known failures it was checked for, and how that went.
    pub check: check::Summary,
    /// The seeds that were copied elsewhere.
    pub delivered: Vec<PathBuf>,
}

/// Builds the kit.
pub fn run(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Outcome, BuildError> {
    let Options { parts: made_from, output, sharing, deliver: target } = options;
    let parts::Options { spec, locked, secrets, sources, .. } = *made_from;
    let write_error = |source| BuildError::Write(output.to_path_buf(), source);
    let owners = [("the secrets", secrets.folder()), ("the store", equipment.store.root())];
    let delivered = target.map(|target| ("the folder that seeds are delivered to", target));
    let others: Vec<_> = owners.into_iter().chain(delivered).collect();
    output::check(output, output::Kind::Kit, spec, &others)?;
    for folder in std::iter::once(*output).chain(*target) {
        output::outside(folder, &owners)?;
    }
    iso::look_for_secrets(spec, secrets, equipment)?;
    preflight::check(spec, locked, output, *target, equipment)?;
    let staging = Staging::beside(output).map_err(write_error)?;
    hide_from_git(staging.path(), EVERYTHING).map_err(write_error)?;
    let build = Build { options, equipment, folder: staging.path() };
    let layout = staging.path().join(kit::IMAGES);
    let layout = Target { folder: &layout, sharing: *sharing };
    let parts = parts::make(made_from, staging.path(), Some(layout), equipment)?;
    let mut contents = build.contents(&parts);
    contents.origins.insert(GIT_IGNORE.to_owned(), vec!["seedkit".to_owned()]);
    build.seeds(&parts, &mut contents)?;
    let (mut artifacts, kit) = build.seal(contents)?;
    let report = build.check(&kit)?;
    build.page(&kit, &report, &mut artifacts)?;
    let artifacts = kit::without_blobs(artifacts);
    parts.mirrored.confirm(&staging.path().join(kit::IMAGES), equipment).map_err(PartsError::from)?;
    warn_of_another_authority(output, &parts.certificates, equipment.reporter);
    staging.publish().map_err(write_error)?;
    let delivered = hand_on(options, equipment)?;
    let key = [output.join(kit::REGISTRY).join(names::SERVER_KEY)];
    let copies = (target.unwrap_or(output), delivered.as_slice());
    output::warn_of_readable(&[(output, &key), copies], equipment.reporter);
    Ok(Outcome {
        kit: output.to_path_buf(),
        artifacts,
        images: parts.mirrored.images.len(),
        fetched: parts.mirrored.fetched,
        passed_over: sources.complaints(),
        check: report.summary,
        delivered,
    })
}

/// Says that the kit which is replaced was made with other keys: its nodes and those of the new one do not fit together.
fn warn_of_another_authority(output: &Path, certificates: &Certificates, reporter: &dyn Reporter) {
    let authority = output.join(kit::REGISTRY).join(names::AUTHORITY);
    let Ok(old) = read_text(&authority, LARGEST) else { return };
    if old.trim() != certificates.authority.pem().trim() {
        reporter.warn(format!(
            "the kit that was at `{}` has another certificate authority: nodes that were booted from it do not trust \
             this kit's registry; bring its secrets back, or boot all nodes anew",
            output.display()
        ));
    }
}

/// What is in the kit so far, and what it was made from.
#[derive(Default)]
struct Contents {
    artifacts: ArtifactList,
    origins: Origins,
    /// Images of which a layer is in no registry.
    incomplete: BTreeSet<Reference>,
}

impl Contents {
    fn insert(&mut self, path: &str, artifact: &Artifact, made_from: Vec<String>) {
        self.artifacts.insert(path.to_owned(), artifact.clone());
        self.origins.insert(path.to_owned(), made_from);
    }
}

/// A build under way: each method is one step.
struct Build<'a> {
    options: &'a Options<'a>,
    equipment: &'a Equipment<'a>,
    folder: &'a Path,
}

impl Build<'_> {
    fn step<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<(T, String), BuildError>,
    ) -> Result<T, BuildError> {
        step(self.equipment.reporter, name, work)
    }

    /// Lists the parts, with what they were made from.
    fn contents(&self, parts: &Parts) -> Contents {
        let mut contents = Contents::default();
        for name in ["index.json", "oci-layout"] {
            contents.origins.insert(format!("{}/{name}", kit::IMAGES), vec![FILE_NAME.to_owned()]);
        }
        for Packed { path, artifact, images, foreign } in &parts.tarballs {
            contents.insert(&self.name(path), artifact, images.keys().cloned().collect());
            contents.incomplete.extend(foreign.iter().cloned());
        }
        let signing = self.options.parts.spec.packages.as_ref().and_then(|packages| packages.sign.as_ref());
        let secret = signing.map(|signing| signing.secret.clone());
        for PackedBundle { path, artifact, .. } in &parts.bundles {
            let made_from = std::iter::once(FILE_NAME.to_owned()).chain(secret.clone()).collect();
            contents.insert(&self.name(path), artifact, made_from);
        }
        contents
    }

    /// Writes what the registry's machine needs: certificate, key, and the nodes' view of it.
    fn registry(
        &self,
        certificates: &Certificates,
        registries: &[u8],
        contents: &mut Contents,
    ) -> Result<(), BuildError> {
        let Certificates { authority, server_pem, server_key, .. } = certificates;
        let folder = self.folder.join(kit::REGISTRY);
        let files = [
            (names::AUTHORITY, authority.pem().as_bytes(), 0o644, names::AUTHORITY),
            (names::SERVER, server_pem.as_bytes(), 0o644, names::SERVER),
            (names::SERVER_KEY, server_key.expose().as_bytes(), 0o600, names::SERVER_KEY),
            // It may hold the password that the nodes log in with.
            ("registries.yaml", registries, 0o600, "seedkit.yaml"),
        ];
        create_folder(&folder, 0o755).map_err(|source| self.write_error(source))?;
        for (name, bytes, mode, origin) in files {
            write_atomic(&folder.join(name), bytes, mode).map_err(|source| self.write_error(source))?;
            contents.origins.insert(format!("{}/{name}", kit::REGISTRY), vec![origin.to_owned()]);
        }
        Ok(())
    }

    fn seeds(&self, parts: &Parts, contents: &mut Contents) -> Result<(), BuildError> {
        let parts::Options { spec, locked, secrets, .. } = self.options.parts;
        let material = iso::Material { spec, locked, parts };
        let folder = self.folder.join(kit::SEEDS);
        self.step("write seeds", || {
            let planned = iso::plan(&material, &spec.nodes, secrets, self.equipment)?;
            let registries = iso::registries_yaml(&planned).unwrap_or_default();
            self.registry(&parts.certificates, registries, contents)?;
            create_folder(&folder, 0o755).map_err(|source| self.write_error(source))?;
            let discs = iso::write(planned, &folder, locked.epoch(), self.equipment)?;
            let bytes: u64 = discs.iter().map(|disc| disc.artifact.size).sum();
            let summary = format!("{} discs, {}", discs.len(), Bytes(bytes));
            for iso::WrittenDisc { path, artifact, made_from } in discs {
                contents.insert(&self.name(&path), &artifact, made_from);
            }
            Ok(((), summary))
        })
    }

    /// Returns the path of a file within the kit.
    fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.folder).unwrap_or(path).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<Artifact, BuildError> {
        write_atomic(&self.folder.join(name), bytes, 0o644).map_err(|source| self.write_error(source))?;
        Ok(Artifact { digest: Digest::sha256(bytes), size: bytes.len() as u64 })
    }

    /// Lists everything, writes the bill and the sums, and reads it all back.
    fn seal(&self, contents: Contents) -> Result<(ArtifactList, Kit), BuildError> {
        let parts::Options { spec, locked, now, .. } = self.options.parts;
        let list = |known: &ArtifactList| {
            kit::list(self.folder, known, self.equipment).map_err(|source| self.write_error(source))
        };
        self.step("verify", || {
            let mut all = list(&contents.artifacts)?;
            let mut bill = kit::bill(spec, locked.lockfile(), &all, &contents.origins);
            for image in &mut bill.images {
                image.is_incomplete = contents.incomplete.contains(&image.reference);
            }
            all.insert(bill::FILE_NAME, self.write(bill::FILE_NAME, &bill.to_json())?);
            self.write(SUMS, all.to_sums().as_bytes())?;
            let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
            let opened = Kit::open(self.folder, now, self.equipment.jobs, self.equipment.reporter)?;
            let opened = opened.with_secrets(iso::known_secrets(spec, self.options.parts.secrets)?);
            let verify::Report { files, bytes, findings } = &opened.verified;
            if !findings.is_empty() {
                self.evict_wrong_blobs(findings);
                return Err(BuildError::Unsound(findings.clone()));
            }
            let summary = format!("{files} files, {}", Bytes(*bytes));
            Ok(((all, opened), summary))
        })
    }

    /// Stops at an error, and says whatever else was found.
    fn check(&self, kit: &Kit) -> Result<check::Report, BuildError> {
        self.step("check", || {
            let report = check::kit(kit);
            if report.has_errors() {
                return Err(BuildError::Unfit(report.errors().cloned().collect()));
            }
            for finding in report.findings.iter().filter(|finding| finding.severity != check::Severity::Note)
            {
                let text = match &finding.allowed {
                    Some(reason) => format!("{finding}; accepted: {reason}"),
                    None => finding.to_string(),
                };
                self.equipment.reporter.warn(text);
            }
            let summary = report.summary.to_string();
            Ok((report, summary))
        })
    }

    /// Writes the report as a page. It comes last, since it shows the digest of all that is listed before it.
    fn page(&self, kit: &Kit, report: &check::Report, all: &mut ArtifactList) -> Result<(), BuildError> {
        let Some(page) = check::page(kit, report) else { return Ok(()) };
        all.insert(check::PAGE, self.write(check::PAGE, page.as_bytes())?);
        self.write(SUMS, all.to_sums().as_bytes()).map(drop)
    }

    /// A blob that rotted in the store must not spoil the next build as well.
    fn evict_wrong_blobs(&self, findings: &[Finding]) {
        for finding in findings {
            let Finding::Bad { path, .. } = finding else { continue };
            if let Some(digest) = kit::blob_digest(path) {
                // Failing to remove it leaves the error that is about to be reported anyway.
                let _reported_by_the_caller = self.equipment.store.evict(&digest);
            }
        }
    }

    fn write_error(&self, source: std::io::Error) -> BuildError {
        BuildError::Write(self.options.output.to_owned(), source)
    }
}

fn hand_on(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Vec<PathBuf>, BuildError> {
    let Options { output, deliver, .. } = options;
    let Some(target) = deliver else { return Ok(Vec::new()) };
    step(equipment.reporter, "deliver", || {
        let delivered = deliver::seeds(output, target, equipment.reporter)?;
        let summary = format!("{} seeds to `{}`", delivered.len(), target.display());
        Ok((delivered, summary))
    })
}
