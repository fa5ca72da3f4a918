//! Certificates as people read them.

use crate::cli::table::{date, fields, line};
use crate::inspect::{Certificate, Certificates};

pub(super) fn text(certificates: &Certificates) -> String {
    let Certificates { certificates } = certificates;
    certificates.iter().map(one).collect()
}

fn one(certificate: &Certificate) -> String {
    let Certificate { subject, issuer, serial, names, other_names, not_before, not_after, .. } = certificate;
    let Certificate { days_left, is_authority, is_for_servers, is_root, fingerprint, .. } = certificate;
    let mut uses = Vec::new();
    if *is_authority {
        uses.push("signs certificates");
    }
    if *is_for_servers {
        uses.push("TLS server");
    }
    let all_names: Vec<&str> = names.iter().chain(other_names).map(String::as_str).collect();
    let all = [
        ("issuer", format!("{issuer}{}", if *is_root { " (itself)" } else { "" })),
        ("names", if all_names.is_empty() { "none".to_owned() } else { all_names.join(", ") }),
        ("use", if uses.is_empty() { "other".to_owned() } else { uses.join(", ") }),
        ("valid", format!("{} to {}", date(*not_before), date(*not_after))),
        ("days left", days_left.to_string()),
        ("serial", serial.clone()),
        ("fingerprint", format!("SHA-256 {fingerprint}")),
    ];
    format!("{}{}\n", line(subject), fields("  ", 13, all))
}
