//! A lock as people read it.

use itertools::Itertools as _;

use crate::bill::{File, Image};
use crate::cli::table::{fields, line, table};
use crate::inspect::{Lock, PinnedPackage, PinnedPackages};
use crate::progress::Bytes;
use crate::text::counted;

pub(super) fn text(lock: &Lock) -> String {
    let Lock { epoch, platforms, signatures, image_size, images, files, packages } = lock;
    let head = fields("", 12, [("date", epoch.to_string()), ("platforms", platforms.iter().join(", "))]);
    let image = |image: &Image| {
        let name = match &image.destination {
            Some(destination) => format!("{} -> {destination}", image.reference),
            None => image.reference.to_string(),
        };
        let platforms = image.platforms.keys().join(", ");
        [name, image.digest.short().to_owned(), Bytes(image.total_size).to_string(), platforms]
    };
    let attached: usize = images.iter().map(|image| image.attached.len()).sum();
    let attached =
        if *signatures { format!(", {} attached", counted(attached, "manifest")) } else { String::new() };
    let images = format!(
        "{}{}{attached}, {} together\n",
        table(["IMAGE", "DIGEST", "SIZE", "PLATFORMS"], images.iter().map(image)),
        counted(images.len(), "image"),
        Bytes(*image_size)
    );
    let file = |File { role, source, digest, size }: &File| {
        [role.to_string(), digest.short().to_owned(), Bytes(*size).to_string(), source.clone()]
    };
    let listed = || format!("\n{}", table(["FILE", "DIGEST", "SIZE", "SOURCE"], files.iter().map(file)));
    let files = if files.is_empty() { String::new() } else { listed() };
    let packages = packages.as_ref().map(packages_text).unwrap_or_default();
    format!("{head}\n{images}{files}{packages}\n")
}

fn packages_text(packages: &PinnedPackages) -> String {
    let PinnedPackages { suite, names, count, bytes, packages } = packages;
    let row = |package: &PinnedPackage| {
        let PinnedPackage { name, target, version, size, why, .. } = package.clone();
        [name, target, version, Bytes(size).to_string(), why]
    };
    let table = table(["PACKAGE", "FOR", "VERSION", "SIZE", "WHY"], packages.iter().map(row));
    let asked = line(&format!("{suite}: {}", names.join(", ")));
    format!("\n{table}{}, {}; asked for: {asked}", counted(*count, "package"), Bytes(*bytes))
}
