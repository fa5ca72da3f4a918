//! `seedkit build`: everything in order, verified, published by one rename.

mod error;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use error::BuildError;

use crate::artifact::{Artifact, ArtifactList};
use crate::check::{self, Kit};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fetch::failures::Failures;
use crate::fetch::files;
use crate::fetch::sources::Sources;
use crate::fs::{EVERYTHING, GIT_IGNORE, Staging, create_folder, hide_from_git, write_atomic};
use crate::lockfile::{FILE_NAME, Locked};
use crate::ops::ca::{self, Certificates};
use crate::ops::deliver;
use crate::ops::iso;
use crate::ops::k3s;
use crate::ops::kit::{self, Origins};
use crate::ops::mirror::{self, Mirrored};
use crate::ops::output;
use crate::ops::pack::{self, Packed};
use crate::ops::packages::{self, PackedBundle};
use crate::ops::preflight;
use crate::progress::{Bytes, Event, step};
use crate::secrets::Secrets;
use crate::spec::{Node, Spec};
use crate::verify::{self, Finding, SUMS};

/// How many days before the end of a certificate a build warns.
const SOON: i64 = 30;

/// What a build is made from, and where it goes.
#[derive(Debug)]
pub struct Options<'a> {
    /// The spec.
    pub spec: &'a Spec,
    /// The lock that fits it.
    pub locked: &'a Locked,
    /// Where images and files come from.
    pub sources: &'a Sources,
    /// Keys and tokens.
    pub secrets: &'a Secrets,
    /// When it is: certificates that are missing are made for this time, and all must be valid at it. Everything
    /// else in the kit carries the lock's time.
    pub now: Epoch,
    /// The kit's final place; what is there is replaced when the new kit is whole.
    pub output: &'a Path,
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
    /// How many known failures it was checked for, and how that went.
    pub check: check::Summary,
    /// The seeds that were copied elsewhere.
    pub delivered: Vec<PathBuf>,
}

/// Builds the kit.
pub fn run(options: &Options<'_>, equipment: &Equipment<'_>) -> Result<Outcome, BuildError> {
    let Options { spec, locked, secrets, output, deliver: target, .. } = options;
    let write_error = |source| BuildError::Write { kit: output.to_path_buf(), source };
    let mut others = vec![("the secrets", secrets.folder()), ("the store", equipment.store.root())];
    others.extend(target.map(|target| ("the folder that seeds are delivered to", target)));
    output::check(output, output::Kind::Kit, spec, &others)?;
    preflight::check(spec, locked, output, *target, equipment)?;
    let staging = Staging::beside(output).map_err(write_error)?;
    hide_from_git(staging.path(), EVERYTHING).map_err(write_error)?;
    let build = Build { options, equipment, folder: staging.path() };
    let mut contents = Contents::default();
    contents.origins.insert(GIT_IGNORE.to_owned(), vec!["seedkit".to_owned()]);
    if equipment.keep_going {
        build.fetch_all()?;
    }
    build.fetch_files()?;
    let mirrored = build.mirror(&mut contents)?;
    let certificates = build.certificates()?;
    let tarballs = build.pack(&mirrored, &mut contents)?;
    let bundles = build.packages(&mut contents)?;
    let packed = (&tarballs[..], &bundles[..]);
    build.seeds(&certificates, packed, &mut contents)?;
    let (mut artifacts, kit) = build.seal(contents)?;
    let report = build.check(&kit)?;
    build.page(&kit, &report, &mut artifacts)?;
    let artifacts = kit::without_blobs(artifacts);
    staging.publish().map_err(write_error)?;
    Ok(Outcome {
        kit: output.to_path_buf(),
        artifacts,
        images: mirrored.images.len(),
        fetched: mirrored.fetched,
        check: report.summary,
        delivered: hand_on(options, equipment)?,
    })
}

/// Makes the seeds of some nodes, and nothing else, in the folder [`Options::output`].
pub fn seeds(
    options: &Options<'_>,
    nodes: &[&Node],
    equipment: &Equipment<'_>,
) -> Result<Vec<(String, Artifact)>, BuildError> {
    let Options { spec, locked, output, secrets, .. } = *options;
    let build = Build { options, equipment, folder: output };
    create_folder(output, 0o755)
        .and_then(|()| hide_from_git(output, kit::SEED_PATTERNS))
        .map_err(|source| build.write_error(source))?;
    // What is packed is needed only until it is in the seeds.
    let scratch = Staging::beside(&output.join("payload")).map_err(|source| build.write_error(source))?;
    let build = Build { folder: scratch.path(), ..build };
    build.fetch_files()?;
    let mirrored = build.step("mirror images", || {
        let mirrored = mirror::fetch(locked, options.sources, equipment)?;
        let summary = mirrored.summary();
        Ok((mirrored, summary))
    })?;
    let certificates = build.certificates()?;
    let tarballs = build.pack(&mirrored, &mut Contents::default())?;
    let bundles = build.packages(&mut Contents::default())?;
    let material = iso::Material {
        spec,
        locked,
        certificates: &certificates,
        tarballs: &tarballs,
        bundles: &bundles,
        folder: scratch.path(),
    };
    build.step("write seeds", || {
        let planned = iso::plan(&material, nodes.iter().copied(), secrets, equipment)?;
        let discs = iso::write(planned, output, locked.epoch(), equipment)?;
        let summary = format!("{} discs", discs.len());
        let path = |name: &str| output.join(name).display().to_string();
        Ok((discs.into_iter().map(|disc| (path(&disc.file_name), disc.artifact)).collect(), summary))
    })
}

/// What is in the kit so far, and what it was made from.
#[derive(Default)]
struct Contents {
    artifacts: ArtifactList,
    origins: Origins,
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

    /// Brings everything into the store, whatever fails of it, before anything is made of it.
    fn fetch_all(&self) -> Result<(), BuildError> {
        let Options { spec, locked, sources, .. } = self.options;
        self.step("fetch everything", || {
            let mut failures = Failures(Vec::new());
            failures.note(("file", "the files"), files::fetch(locked, spec, sources, self.equipment));
            failures.note(("image", "the images"), mirror::fetch(locked, sources, self.equipment));
            if let Some(locked) = &locked.lockfile().packages {
                let fetched = packages::fetch(locked, spec, sources, self.equipment);
                failures.note(("packages", "ops packages"), fetched);
            }
            failures.into_result().map_err(BuildError::Several)?;
            Ok(((), "all of it".to_owned()))
        })
    }

    fn fetch_files(&self) -> Result<(), BuildError> {
        let Options { spec, locked, sources, .. } = self.options;
        self.step("fetch files", || {
            files::fetch(locked, spec, sources, self.equipment)?;
            for remark in k3s::check(spec, locked.lockfile(), self.equipment)? {
                self.equipment.reporter.report(remark);
            }
            Ok(((), format!("{} files", locked.lockfile().files.len())))
        })
    }

    fn mirror(&self, contents: &mut Contents) -> Result<Mirrored, BuildError> {
        let Options { locked, sources, .. } = self.options;
        for name in ["index.json", "oci-layout"] {
            contents.origins.insert(format!("{}/{name}", kit::IMAGES), vec![FILE_NAME.to_owned()]);
        }
        self.step("mirror images", || {
            let mirrored = mirror::fetch(locked, sources, self.equipment)?;
            mirror::write_layout(&mirrored, &self.folder.join(kit::IMAGES), self.equipment)?;
            let summary = mirrored.summary();
            Ok((mirrored, summary))
        })
    }

    fn certificates(&self) -> Result<Certificates, BuildError> {
        let Options { spec, secrets, now, .. } = self.options;
        self.step("certificates", || {
            let certificates = ca::load_or_create(spec, secrets, *now)?;
            let days = certificates.days_left(*now);
            if days < SOON {
                let text =
                    format!("the registry's certificates end in {days} days: look at `seedkit ca show`");
                self.equipment.reporter.report(Event::Warning { text });
            }
            let what = if certificates.is_new { "made" } else { "loaded" };
            Ok((certificates, format!("{what}; the registry is {}", spec.registry.address)))
        })
    }

    fn pack(&self, mirrored: &Mirrored, contents: &mut Contents) -> Result<Vec<Packed>, BuildError> {
        let Options { spec, locked, .. } = self.options;
        let mut tarballs = Vec::new();
        for platform in &locked.lockfile().platforms {
            let options = pack::Options {
                platform,
                compression: spec.compression.into(),
                epoch: locked.epoch(),
                folder: self.folder,
            };
            let packed = self.step(&format!("pack images for {platform}"), || {
                let packed = pack::images(mirrored, &options, self.equipment)?;
                let summary = format!("{} images, {}", packed.names.len(), Bytes(packed.artifact.size));
                Ok((packed, summary))
            })?;
            for reference in &packed.foreign {
                let text = format!("`{reference}` stays out of the tarball: a layer of it is in no registry");
                self.equipment.reporter.report(Event::Warning { text });
            }
            contents.artifacts.insert(packed.file_name.clone(), packed.artifact.clone());
            contents.origins.insert(packed.file_name.clone(), packed.names.clone());
            tarballs.push(packed);
        }
        Ok(tarballs)
    }

    /// Packs the ops packages, where the spec wants some.
    fn packages(&self, contents: &mut Contents) -> Result<Vec<PackedBundle>, BuildError> {
        let Options { spec, locked, sources, secrets, now, .. } = self.options;
        let Some(locked) = &locked.lockfile().packages else { return Ok(Vec::new()) };
        self.step("pack ops packages", || {
            packages::fetch(locked, spec, sources, self.equipment)?;
            let key = packages::signing_key(spec, secrets, *now)?;
            let bundles = packages::bundles(spec, locked, key.as_ref(), self.folder, self.equipment)?;
            let bytes: u64 = bundles.iter().map(|bundle| bundle.artifact.size).sum();
            let summary = format!("{} packages, {}", locked.packages.len(), Bytes(bytes));
            let signing = spec.packages.as_ref().and_then(|packages| packages.sign.as_ref());
            let secret = signing.map(|signing| signing.secret.clone());
            for PackedBundle { file_name, artifact, .. } in &bundles {
                let made_from = std::iter::once(FILE_NAME.to_owned()).chain(secret.clone()).collect();
                contents.origins.insert(file_name.clone(), made_from);
                contents.artifacts.insert(file_name.clone(), artifact.clone());
            }
            Ok((bundles, summary))
        })
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
            (ca::names::AUTHORITY, authority.pem().as_bytes(), 0o644, ca::names::AUTHORITY),
            (ca::names::SERVER, server_pem.as_bytes(), 0o644, ca::names::SERVER),
            (ca::names::SERVER_KEY, server_key.expose().as_bytes(), 0o600, ca::names::SERVER_KEY),
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

    fn seeds(
        &self,
        certificates: &Certificates,
        (tarballs, bundles): (&[Packed], &[PackedBundle]),
        contents: &mut Contents,
    ) -> Result<(), BuildError> {
        let Options { spec, locked, secrets, .. } = *self.options;
        let material = iso::Material { spec, locked, certificates, tarballs, bundles, folder: self.folder };
        let folder = self.folder.join(kit::SEEDS);
        self.step("write seeds", || {
            let planned = iso::plan(&material, &spec.nodes, secrets, self.equipment)?;
            let registries = iso::registries_yaml(&planned).unwrap_or_default();
            self.registry(certificates, registries, contents)?;
            create_folder(&folder, 0o755).map_err(|source| self.write_error(source))?;
            let discs = iso::write(planned, &folder, locked.epoch(), self.equipment)?;
            let bytes: u64 = discs.iter().map(|disc| disc.artifact.size).sum();
            let summary = format!("{} discs, {}", discs.len(), Bytes(bytes));
            for iso::WrittenDisc { file_name, artifact, made_from } in discs {
                let path = format!("{}/{file_name}", kit::SEEDS);
                contents.artifacts.insert(path.clone(), artifact);
                contents.origins.insert(path, made_from);
            }
            Ok(((), summary))
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<Artifact, BuildError> {
        write_atomic(&self.folder.join(name), bytes, 0o644).map_err(|source| self.write_error(source))?;
        Ok(Artifact { digest: Digest::sha256(bytes), size: bytes.len() as u64 })
    }

    /// Lists everything, writes the bill and the sums, and reads it all back.
    fn seal(&self, contents: Contents) -> Result<(ArtifactList, Kit), BuildError> {
        let Options { spec, locked, now, .. } = self.options;
        let list = |known: &ArtifactList| {
            kit::list(self.folder, known, self.equipment).map_err(|source| self.write_error(source))
        };
        self.step("verify", || {
            let mut all = list(&contents.artifacts)?;
            let bill = kit::bill(spec, locked.lockfile(), &all, &contents.origins);
            all.insert(kit::BILL, self.write(kit::BILL, &bill)?);
            self.write(SUMS, all.to_sums().as_bytes())?;
            let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
            let opened = Kit::open(self.folder, now, self.equipment.jobs, self.equipment.reporter)?;
            let verify::Report { files, bytes, findings } = &opened.verified;
            if !findings.is_empty() {
                self.evict_wrong_blobs(findings);
                return Err(BuildError::Unsound { findings: findings.clone() });
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
                return Err(BuildError::Unfit { findings: report.errors().cloned().collect() });
            }
            for finding in report.findings.iter().filter(|finding| finding.severity != check::Severity::Note)
            {
                let text = match &finding.allowed {
                    Some(reason) => format!("{finding}; accepted: {reason}"),
                    None => finding.to_string(),
                };
                self.equipment.reporter.report(Event::Warning { text });
            }
            let summary = report.summary.to_string();
            Ok((report, summary))
        })
    }

    /// Writes the report as a page. It comes last, since it shows the digest of all that is listed before it.
    fn page(&self, kit: &Kit, report: &check::Report, all: &mut ArtifactList) -> Result<(), BuildError> {
        let page = check::page(kit, report);
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
        BuildError::Write { kit: self.options.output.to_owned(), source }
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
