//! A lock as people read it.

use itertools::Itertools as _;

use crate::cli::table::{fields, line, table};
use crate::inspect::{Lock, PinnedPackages};
use crate::progress::Bytes;
use crate::text::counted;

pub(super) fn text(lock: &Lock) -> String {
    let Lock { epoch, platforms, signatures, image_size, images, files, packages } = lock;
    let head = fields("", 12, [("date", epoch.to_string()), ("platforms", platforms.iter().join(", "))]);
    let rows: Vec<[String; 4]> = images
        .iter()
        .map(|image| {
            let name = match &image.destination {
                Some(destination) => format!("{} -> {destination}", image.reference),
                None => image.reference.to_string(),
            };
            let platforms = image.platforms.keys().join(", ");
            [name, image.digest.short().to_owned(), Bytes(image.total_size).to_string(), platforms]
        })
        .collect();
    let attached: usize = images.iter().map(|image| image.attached.len()).sum();
    let attached =
        if *signatures { format!(", {} attached", counted(attached, "manifest")) } else { String::new() };
    let images = format!(
        "{}{}{attached}, {} together\n",
        table(["IMAGE", "DIGEST", "SIZE", "PLATFORMS"], &rows),
        counted(images.len(), "image"),
        Bytes(*image_size)
    );
    let rows: Vec<[String; 4]> = files
        .iter()
        .map(|file| {
            let size = Bytes(file.size).to_string();
            [file.role.to_string(), file.digest.short().to_owned(), size, file.source.clone()]
        })
        .collect();
    let files = if rows.is_empty() {
        String::new()
    } else {
        format!("\n{}", table(["FILE", "DIGEST", "SIZE", "SOURCE"], &rows))
    };
    let packages = packages.as_ref().map(packages_text).unwrap_or_default();
    format!("{head}\n{images}{files}{packages}\n")
}

fn packages_text(packages: &PinnedPackages) -> String {
    let PinnedPackages { suite, names, count, bytes, packages } = packages;
    let rows: Vec<[String; 5]> = packages
        .iter()
        .map(|package| {
            let [name, target, version, why] =
                [&package.name, &package.target, &package.version, &package.why].map(Clone::clone);
            [name, target, version, Bytes(package.size).to_string(), why]
        })
        .collect();
    let table = table(["PACKAGE", "FOR", "VERSION", "SIZE", "WHY"], &rows);
    let asked = line(&format!("{suite}: {}", names.join(", ")));
    format!("\n{table}{}, {}; asked for: {asked}", counted(*count, "package"), Bytes(*bytes))
}
