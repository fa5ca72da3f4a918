//! Is the k3s executable the release that the spec names, for the platform that it is for, and does it find the
//! image that it starts every pod with? Asked as soon as it is in the store, before anything is packed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fs_err as fs;
use serde_json::Value;

use crate::cluster::executable::{self, Executable, Kind, Machine, Pause};
use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::lockfile::{FileRole, LockedFile, Lockfile};
use crate::oci::{Platform, Reference, archive_names};
use crate::progress::Event;
use crate::spec::{Role, Spec};

/// Why a k3s executable cannot be that of the cluster.
#[derive(Debug, thiserror::Error)]
pub enum K3sError {
    /// The store refuses.
    #[error("cannot read the k3s executable for {0} from `{1}`")]
    Read(Platform, PathBuf, #[source] std::io::Error),
    /// It is something else.
    #[error("`{place}`, the k3s executable for {platform}, is not an executable: it begins with `{start}`")]
    NotExecutable {
        /// The platform.
        platform: Platform,
        /// Where it comes from.
        place: String,
        /// Its beginning.
        start: String,
    },
    /// It is for another machine.
    #[error("`{place}`, the k3s executable for {platform}, is one for {machine}")]
    WrongMachine {
        /// The platform.
        platform: Platform,
        /// Where it comes from.
        place: String,
        /// What it is for.
        machine: Machine,
    },
    /// It is another release.
    #[error("`{place}`, the k3s executable for {platform}, is {found}, and the spec says {wanted}")]
    WrongVersion {
        /// The platform.
        platform: Platform,
        /// Where it comes from.
        place: String,
        /// The releases that it names.
        found: String,
        /// The release of the spec.
        wanted: String,
    },
    /// No pod would start.
    #[error("`{image}`, {reason} for every pod, is not among the images for {platform}{others}")]
    NoPauseImage {
        /// The platform.
        platform: Platform,
        /// The image.
        image: String,
        /// Who says so.
        reason: String,
        /// Other pause images that are there.
        others: String,
    },
}

/// Checks the executable of every platform that a node has; returns what could not be found out.
pub fn check(spec: &Spec, lockfile: &Lockfile, equipment: &Equipment<'_>) -> Result<Vec<Event>, K3sError> {
    let mut check = Check { spec, lockfile, equipment, read: BTreeMap::new(), remarks: Vec::new() };
    let platforms: BTreeSet<&Platform> = spec.nodes.iter().map(|node| &node.platform).collect();
    for platform in platforms {
        if let Some(file) = lockfile.file(&FileRole::K3sBinary(platform.clone())) {
            check.executable(platform, file)?;
        }
    }
    Ok(check.remarks)
}

/// A pause image that must be there.
struct Wanted {
    /// Its name; one of several that it can be.
    names: Vec<String>,
    /// As it is shown.
    shown: String,
    /// Who wants it.
    reason: String,
}

struct Check<'a> {
    spec: &'a Spec,
    lockfile: &'a Lockfile,
    equipment: &'a Equipment<'a>,
    /// By digest: each file is read once.
    read: BTreeMap<Digest, Executable>,
    remarks: Vec<Event>,
}

impl Check<'_> {
    fn executable(&mut self, platform: &Platform, file: &LockedFile) -> Result<(), K3sError> {
        let LockedFile { sha256, source: place, .. } = file;
        let executable = self.read(platform, sha256)?;
        let Executable { kind, versions, pauses } = &executable;
        let (platform, place) = (platform.clone(), place.clone());
        let is_script = match kind {
            Kind::Other(start) => {
                return Err(K3sError::NotExecutable { platform, place, start: start.clone() });
            }
            Kind::Elf(machine) if machine.architecture() != Some(platform.architecture()) => {
                return Err(K3sError::WrongMachine { platform, place, machine: *machine });
            }
            Kind::Elf(_) => false,
            Kind::Script => true,
        };
        if is_script {
            let text = format!("`{place}` is a script, not an ELF file; it can only stand in for k3s");
            self.remarks.push(Event::Note(text));
        }
        let wanted = self.spec.k3s.version.as_str();
        if versions.is_empty() {
            self.remark(is_script, format!("`{place}` does not say which release of k3s it is"));
        } else if !versions.contains(wanted) {
            let found = versions.iter().cloned().collect::<Vec<_>>().join(" or ");
            return Err(K3sError::WrongVersion { platform, place, found, wanted: wanted.to_owned() });
        }
        self.pause_images(&platform, pauses, (&place, is_script))
    }

    /// Checks what the nodes of `platform` start pods with: what the spec says, or what k3s says itself.
    fn pause_images(
        &mut self,
        platform: &Platform,
        pauses: &BTreeSet<Pause>,
        (place, is_script): (&str, bool),
    ) -> Result<(), K3sError> {
        let spec = self.spec;
        if spec.k3s.config.get("system-default-registry").is_some() {
            let text = "with system-default-registry pods start from images of other names: \
                        the pause image was not looked for"
                .to_owned();
            self.remark(false, text);
            return Ok(());
        }
        let mut is_own = false;
        let nodes = spec.nodes.iter().filter(|node| node.platform == *platform);
        for role in nodes.map(|node| node.role).collect::<BTreeSet<_>>() {
            let (key, config) = match role {
                Role::Server => ("k3s.config.pause-image", &spec.k3s.config),
                Role::Agent => ("k3s.agentConfig.pause-image", &spec.k3s.agent_config),
            };
            match config.get("pause-image").map(image_of) {
                Some(image) => {
                    let wanted = Wanted {
                        names: vec![image.clone()],
                        shown: image,
                        reason: format!("which `{key}` sets"),
                    };
                    self.require(platform, wanted)?;
                }
                // What another container runtime starts pods with is its own affair.
                None => is_own |= config.get("container-runtime-endpoint").is_none(),
            }
        }
        if is_own { self.own_pause_image(platform, pauses, (place, is_script)) } else { Ok(()) }
    }

    fn own_pause_image(
        &mut self,
        platform: &Platform,
        pauses: &BTreeSet<Pause>,
        (place, is_script): (&str, bool),
    ) -> Result<(), K3sError> {
        if pauses.is_empty() {
            let text =
                format!("`{place}` does not say which pause image it starts pods with: none was looked for");
            self.remark(is_script, text);
            return Ok(());
        }
        let shown = pauses.iter().map(ToString::to_string).collect::<Vec<_>>().join("` or `");
        if pauses.len() > 1 {
            let text = format!("`{place}` names several pause images: `{shown}`; one of them will do");
            self.remark(false, text);
        }
        let readings = pauses.iter().flat_map(Pause::readings);
        let wanted = Wanted {
            names: readings.map(Pause::image).collect(),
            shown,
            reason: format!("which k3s {} needs", self.spec.k3s.version),
        };
        self.require(platform, wanted)
    }

    fn require(&mut self, platform: &Platform, wanted: Wanted) -> Result<(), K3sError> {
        let names = self.image_names(platform);
        let Wanted { names: wanted, shown: image, reason } = wanted;
        if wanted.iter().any(|name| names.contains(name)) || self.has_release_tarball(platform, &wanted) {
            return Ok(());
        }
        let is_pause =
            |name: &&String| name.rsplit_once(':').is_some_and(|(name, _)| name.ends_with("pause"));
        let others: Vec<String> = names.iter().filter(is_pause).map(|name| format!("`{name}`")).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!("; there is {}", others.join(", ")),
        };
        Err(K3sError::NoPauseImage { platform: platform.clone(), image, reason, others })
    }

    /// Returns the names of the images that go into the tarball of `platform`, as containerd knows them.
    fn image_names(&self, platform: &Platform) -> BTreeSet<String> {
        let images = self.lockfile.images.iter();
        let images = images.filter(|image| image.platforms.contains_key(platform));
        images.map(|image| image.reference.tagged_name()).collect()
    }

    /// Returns whether there is a tarball of the release's own with one of the images; reading it takes a while.
    fn has_release_tarball(&mut self, platform: &Platform, wanted: &[String]) -> bool {
        let Some(file) = self.lockfile.file(&FileRole::K3sAirgap(platform.clone())) else { return false };
        let names = archive_names::read(&self.equipment.store.path(&file.sha256));
        match names {
            Ok(names) => wanted.iter().any(|name| names.contains(name)),
            Err(error) => {
                let text = format!("cannot look for the pause image in `{}`: {error}", file.source);
                self.remark(false, text);
                true
            }
        }
    }

    fn read(&mut self, platform: &Platform, digest: &Digest) -> Result<Executable, K3sError> {
        if let Some(known) = self.read.get(digest) {
            return Ok(known.clone());
        }
        let path = self.equipment.store.path(digest);
        let executable = fs::File::open(&path)
            .and_then(executable::read)
            .map_err(|source| K3sError::Read(platform.clone(), path, source))?;
        self.read.insert(*digest, executable.clone());
        Ok(executable)
    }

    /// Remembers what could not be found out: of a script that is no surprise.
    fn remark(&mut self, is_expected: bool, text: String) {
        self.remarks.push(if is_expected { Event::Note(text) } else { Event::Warning(text) });
    }
}

/// Returns the full name of an image in the spec, which validation has read before.
fn image_of(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_or_else(|_| text.to_owned(), |image: Reference| image.tagged_name())
}
