//! `Release` of a flat repository, as apt reads it.
//!
//! ```text
//! field*  "SHA256:\n"  ( " " hex " " size " " path "\n" )*
//! ```
//!
//! The uncompressed `Packages` is listed too: without it apt says that the repository provides none.

use time::macros::format_description;

use super::BundleInput;
use crate::digest::Digest;

/// Returns the text, which vouches for `files`.
pub(super) fn text(input: &BundleInput<'_>, files: [(&str, &[u8]); 2]) -> String {
    let BundleInput { suite, architecture, epoch, requested: _, packages: _, signer: _ } = input;
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] UTC"
    );
    let date = epoch.date_time().format(&format).expect("an epoch has every part of a date");
    let sums: String = files
        .iter()
        .map(|(path, bytes)| format!(" {} {} {path}\n", Digest::sha256(bytes).hex(), bytes.len()))
        .collect();
    format!(
        "Origin: seedkit\nLabel: ops-packages\nSuite: {suite}\nCodename: {suite}\nDate: {date}\n\
         Architectures: {architecture} all\nSHA256:\n{sums}"
    )
}
