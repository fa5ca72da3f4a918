//! Secrets in files of a node that others than root may read, and keys that belong to no node at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;

use crate::check::kit::{KnownSecret, Node};
use crate::check::verdict::Found;
use crate::secrets::SecretText;

/// Shorter ones would be found where they are not meant.
const SHORTEST: usize = 8;

/// Looks for each secret in each file that others may read; for what is not a node's, in every file.
///
/// Each of the secrets has a name by which a sentence may call it.
pub(super) fn find(node: &Node, secrets: &[KnownSecret], found: &mut Found<'_>) {
    for secret in secrets {
        let needles = needles(&secret.text);
        let is_in = |bytes: &[u8]| needles.iter().any(|needle| memmem::find(bytes, needle).is_some());
        for file in node.files.values() {
            if !file.text.as_ref().is_some_and(|text| is_in(&text.bytes)) {
                continue;
            }
            // Without a mode cloud-init lets everybody read a file.
            let is_open = file.mode.as_deref().is_none_or(|mode| !mode.ends_with("00"));
            if secret.is_for_no_node {
                found.fault(&file.place, format!("it holds {}, which is not a node's", secret.name));
            } else if is_open {
                let what = format!("it holds {}, and others than root may read it", secret.name);
                found.fault(&file.place, what);
            }
        }
        for (place, _) in node.seed_texts().filter(|(_, text)| is_in(&text.bytes)) {
            found.fault(place, format!("it holds {}", secret.name));
        }
    }
}

/// Returns what shows a secret: its lines, without those that frame a key, as they are and in base64.
///
/// In base64 a text looks in three ways, by where it begins within three bytes.
fn needles(secret: &SecretText) -> Vec<Vec<u8>> {
    let lines = secret.expose().lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----"));
    let encoded = |line: &str| {
        (0..3)
            .map(move |skipped| {
                let part = &line.as_bytes()[skipped..];
                STANDARD_NO_PAD.encode(&part[..part.len() / 3 * 3]).into_bytes()
            })
            .collect::<Vec<_>>()
    };
    lines.flat_map(|line| [vec![line.as_bytes().to_vec()], encoded(line)].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_begins_and_however_it_is_written() {
        let secret = SecretText::from("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n".to_owned());
        let needles = needles(&secret);
        for before in ["", "x", "xy", "xyz"] {
            let plain = format!("{before}{}", secret.expose());
            for text in [plain.clone().into_bytes(), STANDARD_NO_PAD.encode(plain).into_bytes()] {
                assert!(needles.iter().any(|needle| memmem::find(&text, needle).is_some()), "{before}");
            }
        }
        assert!(self::needles(&SecretText::from("hunter2\n".to_owned())).is_empty());
    }
}
