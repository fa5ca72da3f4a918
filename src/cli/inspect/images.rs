//! Images as people read them.

use crate::cli::table::{line, table};
use crate::digest::Digest;
use crate::inspect::{Form, Format, Image, Images};
use crate::progress::Bytes;
use crate::text::counted;

pub(super) fn text(images: &Images) -> String {
    let Images { form, compression, formats, count, bytes, unreferenced, images } = images;
    let format = |format: &Format| match format {
        Format::Oci => "OCI layout",
        Format::Docker => "docker save",
    };
    let formats: Vec<&str> = formats.iter().map(format).collect();
    let form = match form {
        Form::Folder => "a folder".to_owned(),
        Form::Archive if compression == "none" => "an archive".to_owned(),
        Form::Archive => format!("an archive, compressed by {compression}"),
    };
    let extra = match unreferenced {
        0 => String::new(),
        count => format!(", {} that no image needs", counted(*count, "blob")),
    };
    format!(
        "{}\n{}{}, {}{extra}\n\n",
        line(&format!("{form}: {}", formats.join(" and "))),
        table(["IMAGE", "PLATFORM", "DIGEST", "LAYERS", "SIZE"], images.iter().flat_map(rows)),
        match images.iter().map(|image| image.names.len()).sum::<usize>() {
            names if names > *count => format!("{} under {names} names", counted(*count, "image")),
            _ => counted(*count, "image"),
        },
        Bytes(*bytes)
    )
}

/// Returns a line for each platform, and one for each further name.
fn rows(image: &Image) -> Vec<[String; 5]> {
    let Image { names, digest, media_type: _, size, platforms } = image;
    let mut rows = Vec::new();
    for (number, platform) in platforms.iter().enumerate() {
        // The digest that others know it by: of the root, of one platform's manifest, else of the configuration.
        let own = platform.digest.as_ref().unwrap_or(&platform.config);
        let own = if number == 0 { digest.as_ref().unwrap_or(own) } else { own };
        let size = if number == 0 { Bytes(*size).to_string() } else { String::new() };
        let name = platform.platform.clone().unwrap_or_else(|| "-".to_owned());
        rows.push([String::new(), name, own.short().to_owned(), platform.layers.len().to_string(), size]);
    }
    if rows.is_empty() {
        let digest = digest.map_or_else(|| "-".to_owned(), Digest::short);
        rows.push(["", "-", &digest, "-", "-"].map(str::to_owned));
    }
    rows.resize_with(rows.len().max(names.len()), Default::default);
    for (row, name) in rows.iter_mut().zip(names) {
        row[0].clone_from(name);
    }
    if names.is_empty() {
        "(without a name)".clone_into(&mut rows[0][0]);
    }
    rows
}
