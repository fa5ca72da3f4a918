//! The repository of the lab: four small packages, written and signed by seedkit itself.
//!
//! `seedkit-lab-hello` is what is asked for. It needs a library by version, and words in one of two languages: an
//! alternative of a real package and a virtual one, which another package provides too and nobody gets.

use std::collections::BTreeMap;

use seedkit::deb::archive;
use seedkit::deb::signature::SigningKey;
use seedkit::digest::Digest;
use seedkit::epoch::Epoch;
use seedkit::tree::FileTree;

/// Where the repository is, in the folder of the lab's spec.
pub(crate) const FOLDER: &str = "packages";
/// The certificate that it is signed with.
const CERTIFICATE: &str = "packages-test-key.asc";

/// The time of the lab's lock, 2025-11-21.
const EPOCH: u64 = 1_763_683_200;
const DATE: &str = "Fri, 21 Nov 2025 00:00:00 UTC";
const SUITE: &str = "bookworm";
/// All packages are for any architecture; each has an index all the same.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

struct LabPackage {
    name: &'static str,
    version: &'static str,
    relations: &'static str,
    description: &'static str,
    /// Path, mode and content.
    files: &'static [(&'static str, u32, &'static str)],
}

const HELLO: &str = "#!/bin/sh\n\
    # Says hello in the words that are installed: a proof that the lab's ops packages work.\n\
    exec /usr/lib/seedkit-lab/say hello\n";
const SAY: &str = "#!/bin/sh\n\
    # Says something in every language that there are words of.\n\
    set -eu\n\
    for words in /usr/share/seedkit-lab/*/\"$1\"; do\n\
    \x20   cat \"$words\"\n\
    done\n";

const PACKAGES: [LabPackage; 4] = [
    LabPackage {
        name: "seedkit-lab-base",
        version: "1:1.2-1",
        relations: "",
        description: "what the programs of seedkit's lab have in common",
        files: &[("usr/lib/seedkit-lab/say", 0o755, SAY)],
    },
    LabPackage {
        name: "seedkit-lab-hello",
        version: "1.0-1",
        relations: "Depends: seedkit-lab-base (>= 1:1.0), seedkit-lab-words-en (>= 1.0) | seedkit-lab-words\n\
                    Recommends: seedkit-lab-words-ko\n",
        description: "program of seedkit's lab that says hello",
        files: &[("usr/bin/seedkit-lab-hello", 0o755, HELLO)],
    },
    LabPackage {
        name: "seedkit-lab-words-en",
        version: "1.0-1",
        relations: "Provides: seedkit-lab-words\n",
        description: "words of seedkit's lab in English",
        files: &[("usr/share/seedkit-lab/en/hello", 0o644, "hello from the ops packages of the lab\n")],
    },
    LabPackage {
        name: "seedkit-lab-words-ko",
        version: "1.0-1",
        relations: "Provides: seedkit-lab-words\n",
        description: "words of seedkit's lab in Korean",
        files: &[("usr/share/seedkit-lab/ko/hello", 0o644, "랩의 운영 패키지에서 인사드립니다\n")],
    },
];

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nCopyright: the authors of seedkit\nLicense: MIT or Apache-2.0\n";

/// Returns all files by their path in the folder of the lab's spec.
pub(crate) fn files() -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let epoch = Epoch::try_from(EPOCH)?;
    let key = SigningKey::parse(include_str!("test-key.asc"))?;
    let mut files = BTreeMap::new();
    let mut index = String::new();
    for package in &PACKAGES {
        let (path, deb) = (package.path(), package.deb(epoch)?);
        let place =
            format!("Filename: {path}\nSize: {}\nSHA256: {}\n\n", deb.len(), Digest::sha256(&deb).hex());
        index += &(package.control() + &place);
        files.insert(format!("{FOLDER}/{path}"), deb);
    }
    let packed = gzip(index.as_bytes())?;
    let mut listed = String::new();
    for architecture in ARCHITECTURES {
        let path = format!("main/binary-{architecture}/Packages");
        for (path, bytes) in [(path.clone(), index.as_bytes()), (path.clone() + ".gz", &packed)] {
            listed += &format!(" {} {} {path}\n", Digest::sha256(bytes).hex(), bytes.len());
        }
        files.insert(format!("{FOLDER}/dists/{SUITE}/{path}.gz"), packed.clone());
    }
    let release = format!(
        "Origin: seedkit\nLabel: seedkit lab\nSuite: {SUITE}\nCodename: {SUITE}\nDate: {DATE}\n\
         Architectures: {}\nComponents: main\nDescription: a few packages to try seedkit with\nSHA256:\n{listed}",
        ARCHITECTURES.join(" ")
    );
    let release = key.sign(&release, epoch)?;
    files.insert(format!("{FOLDER}/dists/{SUITE}/InRelease"), release.into_bytes());
    files.insert(CERTIFICATE.to_owned(), key.armored_certificate()?.into_bytes());
    Ok(files)
}

impl LabPackage {
    fn control(&self) -> String {
        let Self { name, version, relations, description, files: _ } = self;
        format!(
            "Package: {name}\nSource: seedkit-lab\nVersion: {version}\nArchitecture: all\n\
             Maintainer: seedkit <lab@seedkit.example>\n{relations}Section: misc\nPriority: optional\n\
             Description: {description}\n Made to try seedkit with; of no other use.\n"
        )
    }

    /// Returns its place in the repository; the epoch of the version is not in it, as with Debian's own.
    fn path(&self) -> String {
        let version = self.version.split_once(':').map_or(self.version, |(_epoch, rest)| rest);
        format!("pool/main/s/seedkit-lab/{}_{version}_all.deb", self.name)
    }

    fn deb(&self, epoch: Epoch) -> anyhow::Result<Vec<u8>> {
        let mut tree = FileTree::new();
        for (path, mode, content) in self.files {
            tree.insert_file(path, *mode, *content)?;
        }
        tree.insert_file(&format!("usr/share/doc/{}/copyright", self.name), 0o644, COPYRIGHT)?;
        Ok(archive::write(&self.control(), &tree, epoch, Vec::new())?)
    }
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    use seedkit::archive::compress::{Compression, Compressor};
    let mut compressor = Compressor::new(Compression::Gzip, std::num::NonZero::<usize>::MIN, Vec::new())?;
    std::io::Write::write_all(&mut compressor, bytes)?;
    compressor.finish()
}
