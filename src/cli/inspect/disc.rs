//! A disc as people read it.

use crate::cli::table::{fields, line, table};
use crate::inspect::{DiscContents, DiscFile, K3sNode, Seed};
use crate::progress::Bytes;
use crate::text::counted;

pub(super) fn text(disc: &DiscContents) -> String {
    let DiscContents { volume_id, bytes, names, count, files, seed } = disc;
    let title = if seed.is_some() { "a seed" } else { "a disc" };
    let of_disc = [("label", volume_id.clone()), ("names", (*names).to_owned())];
    let all = of_disc.into_iter().chain(seed.iter().flat_map(seed_fields));
    let head = format!("{}{}\n", line(&format!("{title}, {}", Bytes(*bytes))), fields("  ", 13, all));
    let is_beside = |file: &&DiscFile| seed.is_none() || !file.path.starts_with("payload/");
    let row = |file: &DiscFile| {
        let mode = file.mode.clone().unwrap_or_else(|| "-".to_owned());
        [file.path.clone(), mode, Bytes(file.size).to_string()]
    };
    let listed = table(["FILE", "MODE", "SIZE"], files.iter().filter(is_beside).map(row));
    let payload = seed.as_ref().map(payload).unwrap_or_default();
    format!("{head}{listed}{payload}{}\n\n", counted(*count, "file"))
}

fn seed_fields(seed: &Seed) -> Vec<(&'static str, String)> {
    let Seed { instance_id, hostname, user_data, seed_id, k3s, payload_bytes: _, payload: _ } = seed;
    let unknown = || "unknown".to_owned();
    let mut fields = vec![
        ("node", hostname.clone().unwrap_or_else(unknown)),
        ("instance", instance_id.clone().unwrap_or_else(unknown)),
        ("user-data", user_data.to_string()),
    ];
    fields.extend(seed_id.clone().map(|id| ("payload", id)));
    if let Some(K3sNode { role, name: _, address, server }) = k3s {
        let address = address.as_ref().map(|address| format!(" at {address}")).unwrap_or_default();
        let server = server.as_ref().map(|server| format!(", joins {server}")).unwrap_or_default();
        fields.push(("k3s", format!("{role}{address}{server}")));
    }
    fields
}

fn payload(seed: &Seed) -> String {
    if seed.payload.is_empty() {
        return String::new();
    }
    let rows =
        seed.payload.iter().map(|file| [file.path.clone(), file.mode.clone(), Bytes(file.size).to_string()]);
    let (files, bytes) = (counted(rows.len(), "file"), Bytes(seed.payload_bytes));
    format!("\n{}{files} to place, {bytes}\n", table(["PAYLOAD", "MODE", "SIZE"], rows))
}
