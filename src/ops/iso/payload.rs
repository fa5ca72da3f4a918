//! What a node's seed holds beside the rendered files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{IsoError, Material};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::fetch::Equipment;
use crate::lockfile::{FileRole, LockedFile};
use crate::node::NodePath;
use crate::oci::{Platform, archive_names};
use crate::ops::pack::Packed;
use crate::seed::{Disc, OpsPackages, PayloadFile};
use crate::spec::{Node, NodeFile, Packages, Payload as Place, Spec};
use crate::tree::Content;

/// Where k3s looks for image tarballs on a node.
const IMAGES_FOLDER: &str = "/var/lib/rancher/k3s/agent/images";
/// Where bundles of ops packages lie on a node.
const OPS_FOLDER: &str = "/var/lib/seedkit/ops-packages";

/// What lies on a disc as it is.
pub(super) struct Payload {
    /// k3s, tarballs and the user's own files.
    pub(super) files: Vec<PayloadFile>,
    /// The images in the tarballs.
    pub(super) images: BTreeMap<String, Option<Digest>>,
    /// The ops packages for the node's architecture.
    pub(super) ops: Option<OpsPackages>,
}

impl Payload {
    /// Gathers what goes to `node`.
    ///
    /// `release` are the images of k3s' own tarballs by platform.
    pub(super) fn of(
        material: &Material<'_>,
        node: &Node,
        release: &BTreeMap<Platform, BTreeSet<String>>,
        equipment: &Equipment<'_>,
    ) -> Result<Self, IsoError> {
        let own = tarball_for(material, node);
        let known = own.iter().flat_map(|packed| &packed.images).map(|(name, digest)| (name, Some(*digest)));
        // Which digest these get is for the runtime to say, also where both tarballs have a name.
        let unknown = release.get(&node.platform).into_iter().flatten().map(|name| (name, None));
        let images = known.chain(unknown).map(|(name, digest)| (name.clone(), digest)).collect();
        Ok(Self { files: files(material, node, own, equipment)?, images, ops: ops(material, node) })
    }

    fn all(&self) -> impl Iterator<Item = &PayloadFile> {
        self.files.iter().chain(self.ops.iter().map(|ops| &ops.archive))
    }

    /// Returns where each file goes that is on the node's own disc.
    pub(super) fn destinations(&self) -> Vec<String> {
        let own = self.all().filter(|file| file.disc == Disc::Seed);
        own.map(|file| file.destination.to_string()).collect()
    }

    /// Returns what the disc of all nodes has to have for this one: destination and content by digest.
    pub(super) fn shared(&self) -> BTreeMap<Digest, (String, Content)> {
        let shared = self.all().filter(|file| file.disc == Disc::Shared);
        shared.map(|file| (file.digest, (file.destination.to_string(), file.content.clone()))).collect()
    }
}

/// Returns the images of the tarballs that k3s' own release has, where nodes get one, each read once.
pub(super) fn release_images(
    material: &Material<'_>,
    equipment: &Equipment<'_>,
) -> BTreeMap<Platform, BTreeSet<String>> {
    let Material { spec, locked, .. } = material;
    let platforms: BTreeSet<&Platform> = spec.nodes.iter().map(|node| &node.platform).collect();
    let mut images = BTreeMap::new();
    for platform in platforms {
        let Some(file) = locked.file(&FileRole::K3sAirgap(platform.clone())) else { continue };
        let names = archive_names::read(&equipment.store.path(&file.sha256));
        match names {
            Ok(names) => drop(images.insert(platform.clone(), names)),
            Err(error) => {
                equipment.reporter.warn(format!(
                    "no node waits for the images of `{}`: cannot list them: {error}",
                    file.source
                ));
            }
        }
    }
    images
}

/// Returns the tarball for the platform of `node`; one without images would be imported for nothing.
fn tarball_for<'a>(material: &Material<'a>, node: &Node) -> Option<&'a Packed> {
    let platforms = &material.locked.lockfile().platforms;
    let mut tarballs = platforms.iter().zip(&material.parts.tarballs);
    let (_, packed) = tarballs.find(|(platform, _)| **platform == node.platform)?;
    (!packed.images.is_empty()).then_some(packed)
}

fn files(
    material: &Material<'_>,
    node: &Node,
    own: Option<&Packed>,
    equipment: &Equipment<'_>,
) -> Result<Vec<PayloadFile>, IsoError> {
    let Material { spec, locked, .. } = material;
    let common = common_disc(spec);
    let stored = |role: FileRole, destination: NodePath, mode: u32, disc: Disc| {
        let LockedFile { sha256, size, .. } = locked.file(&role)?.clone();
        let content = Content::file(equipment.store.path(&sha256), sha256, size);
        Some(PayloadFile { destination, mode, content, digest: sha256, disc })
    };
    let platform = &node.platform;
    let binary =
        stored(FileRole::K3sBinary(platform.clone()), NodePath::own("/usr/local/bin/k3s"), 0o755, common);
    let airgap_role = FileRole::K3sAirgap(platform.clone());
    let airgap_path = locked.file(&airgap_role).map(|file| file_name(&file.source));
    let airgap_path = airgap_path.map(|name| format!("{IMAGES_FOLDER}/{name}").parse()).transpose()?;
    let airgap = airgap_path.and_then(|path| stored(airgap_role, path, 0o644, common));
    let own = own.map(|packed| packed_file(IMAGES_FOLDER, &packed.path, &packed.artifact, common));
    let users = spec.files_of(node).filter_map(|file| {
        let disc = if is_common(file, spec) { common } else { Disc::Seed };
        stored(FileRole::File(file.destination.to_string()), file.destination.clone().into(), file.mode, disc)
    });
    Ok(binary.into_iter().chain(airgap).chain(own).chain(users).collect())
}

fn ops(material: &Material<'_>, node: &Node) -> Option<OpsPackages> {
    let architecture = Packages::architecture(&node.platform)?;
    let bundle = material.parts.bundles.iter().find(|bundle| bundle.architecture == architecture)?;
    let archive = packed_file(OPS_FOLDER, &bundle.path, &bundle.artifact, common_disc(material.spec));
    Some(OpsPackages { name: bundle.name.clone(), archive })
}

/// Returns a file that was packed for the nodes, under its own name in `folder`.
fn packed_file(folder: &str, path: &Path, artifact: &Artifact, disc: Disc) -> PayloadFile {
    let name = path.file_name().unwrap_or_default().display();
    PayloadFile {
        destination: NodePath::own(format!("{folder}/{name}")),
        mode: 0o644,
        content: Content::file(path.to_owned(), artifact.digest, artifact.size),
        digest: artifact.digest,
        disc,
    }
}

/// Returns the disc for what every node of a platform has.
fn common_disc(spec: &Spec) -> Disc {
    match spec.seed.payload {
        Place::Embedded => Disc::Seed,
        Place::Shared => Disc::Shared,
    }
}

/// Holds for a file that any node, and any user of it, may read.
fn is_common(file: &NodeFile, spec: &Spec) -> bool {
    file.mode & 0o004 != 0 && spec.nodes.iter().all(|node| file.nodes.contains(&node.name))
}

fn file_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}
