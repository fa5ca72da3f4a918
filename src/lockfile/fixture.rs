//! A small lock for the tests of this module.

use super::{
    FileRole, LockedAttachment, LockedFile, LockedImage, LockedIndex, LockedPackage, LockedPackages,
    Lockfile, LooseFile, PackageOrigin, PackageRequest, Wanted, WantedFile, WantedImage,
};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::oci::Platform;

/// Returns a lock without ops packages.
pub(super) fn lockfile() -> Lockfile {
    let digest = Digest::sha256(b"x");
    let platform: Platform = "linux/amd64".parse().unwrap();
    let image = |name: &str| LockedImage {
        reference: name.parse().unwrap(),
        destination: None,
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        digest,
        size: 1,
        total_size: 2,
        manifests: 1,
        platforms: [(platform.clone(), digest)].into(),
        attached: Vec::new(),
    };
    Lockfile {
        epoch: Epoch::try_from(1_763_683_200).unwrap(),
        platforms: vec![platform.clone()],
        signatures: false,
        image_size: 4,
        files: vec![LockedFile {
            role: FileRole::File("/opt/a \"quoted\" name\\한글".to_owned()),
            source: "a\tb".to_owned(),
            sha256: digest,
            size: 3,
        }],
        images: vec![image("docker.io/a/b:1"), image("quay.io/a/b:1")],
        packages: None,
    }
}

/// Returns a lock whose first image is signed in both ways.
pub(super) fn signed() -> Lockfile {
    let mut lockfile = Lockfile { signatures: true, ..lockfile() };
    let subject = lockfile.images[0].digest;
    let attached = |tag: Option<String>, text: &str| LockedAttachment {
        subject,
        tag,
        digest: Digest::sha256(text.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: 7,
    };
    let tag = format!("sha256-{}.sig", subject.hex());
    lockfile.images[0].attached = vec![attached(None, "bill"), attached(Some(tag), "signature")];
    lockfile
}

/// Returns what the lock's spec wants.
pub(super) fn wanted() -> Wanted {
    let lockfile = lockfile();
    let image = |image: &LockedImage| WantedImage {
        reference: image.reference.clone(),
        destination: image.destination.clone(),
        origin: "images.txt:1".to_owned(),
    };
    let file =
        |file: &LockedFile| WantedFile { role: file.role.clone(), source: file.source.clone(), sha256: None };
    Wanted {
        platforms: lockfile.platforms.clone(),
        signatures: lockfile.signatures,
        images: lockfile.images.iter().map(image).collect(),
        files: lockfile.files.iter().map(file).collect(),
        packages: None,
    }
}

/// Returns ops packages for two architectures.
pub(super) fn packages() -> LockedPackages {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let request = PackageRequest {
        suite: "bookworm".to_owned(),
        names: strings(&["htop", "jq=1.6-2.1"]),
        recommends: false,
        baseline: "priority important".to_owned(),
        sources: strings(&["https://mirror.example/debian bookworm main", "file:lab bookworm main"]),
        extra: vec![LooseFile { path: "a b.deb".to_owned(), sha256: Some(Digest::sha256(b"extra")) }],
    };
    LockedPackages::new(
        request,
        vec![index("arm64"), index("amd64")],
        vec![package("arm64", "jq"), package("amd64", "libjq1"), package("amd64", "jq")],
    )
}

fn index(architecture: &str) -> LockedIndex {
    LockedIndex {
        suite: "bookworm".to_owned(),
        component: "main".to_owned(),
        architecture: architecture.to_owned(),
        url: "https://mirror.example/debian".to_owned(),
        date: Epoch::try_from(1_763_600_000).unwrap(),
        release: Digest::sha256(b"release"),
        signers: vec!["4CB50190207B4758A3F73A796ED0E7B82643E131".to_owned()],
        path: format!("main/binary-{architecture}/Packages.gz"),
        size: 5,
        digest: Digest::sha256(architecture.as_bytes()),
    }
}

fn package(target: &str, name: &str) -> LockedPackage {
    LockedPackage {
        target: target.to_owned(),
        name: name.to_owned(),
        version: "1:1.6~\"rc\"-2.1+b2".to_owned(),
        architecture: target.to_owned(),
        origin: PackageOrigin::Pool {
            suite: "bookworm".to_owned(),
            url: "https://mirror.example/debian".to_owned(),
            path: format!("pool/main/j/jq/{name}_1.6-2.1_{target}.deb"),
        },
        size: 6,
        sha256: Digest::sha256(name.as_bytes()),
        why: "requested".to_owned(),
        stanza: format!("Package: {name}\nDescription: a \"quoted\" \\ line\n of two"),
    }
}
