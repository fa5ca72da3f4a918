//! The registry's certificate and its authority, as the page shows them.

use serde::Serialize;
use time::OffsetDateTime;

use crate::check::kit::Kit;
use crate::pki::CertificateView;

/// The certificates of a kit, each with what it is.
const FILES: [(&str, &str); 2] =
    [("registry/registry.crt", "The registry’s certificate"), ("registry/ca.crt", "Its authority")];

/// A moment, for people and for programs.
#[derive(Serialize)]
pub(super) struct Instant {
    pub(super) seconds: i64,
    pub(super) iso: String,
    pub(super) text: String,
}

impl Instant {
    /// Returns the moment so many seconds after 1970 began.
    pub(super) fn of(seconds: i64) -> Self {
        let iso = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let text = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
        let date = OffsetDateTime::from_unix_timestamp(seconds).ok();
        let written = |format| date.and_then(|date| date.format(format).ok());
        Self {
            seconds,
            iso: written(iso).unwrap_or_default(),
            text: written(text).unwrap_or_else(|| format!("{seconds} s after 1970")),
        }
    }
}

/// One certificate.
#[derive(Serialize)]
pub(super) struct Certificate {
    what: String,
    path: &'static str,
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: Instant,
    not_after: Instant,
    fingerprint: String,
}

/// How long something is valid, to be counted when the page is opened.
#[derive(Serialize)]
pub(super) struct Clock {
    what: String,
    not_before: Instant,
    not_after: Instant,
}

/// Returns the certificates, and what is wrong with those that cannot be read.
pub(super) fn of(kit: &Kit) -> (Vec<Certificate>, Vec<String>) {
    let (mut certificates, mut faults) = (Vec::new(), Vec::new());
    for (path, what) in FILES {
        let Some(text) = kit.texts.get(path) else {
            faults.push(format!("{path} is not in the kit"));
            continue;
        };
        match CertificateView::bundle_from_pem(&text.text()) {
            Ok(views) => {
                for (number, view) in views.iter().enumerate() {
                    let what = if number == 0 { what } else { "A certificate that follows it" };
                    certificates.push(describe(path, what, view));
                }
            }
            Err(error) => faults.push(format!("{path}: {error}")),
        }
    }
    (certificates, faults)
}

/// Returns what the top of the page counts down: the registry's certificate alone, since authorities outlive it.
pub(super) fn clocks(certificates: &[Certificate]) -> Vec<Clock> {
    let first = certificates.iter().find(|certificate| certificate.path == FILES[0].0);
    let clock = |certificate: &Certificate| Clock {
        what: FILES[0].1.to_owned(),
        not_before: Instant::of(certificate.not_before.seconds),
        not_after: Instant::of(certificate.not_after.seconds),
    };
    first.map(clock).into_iter().collect()
}

fn describe(path: &'static str, what: &str, view: &CertificateView) -> Certificate {
    let names = view.names().iter().map(ToString::to_string);
    Certificate {
        what: what.to_owned(),
        path,
        subject: view.subject().to_owned(),
        issuer: view.issuer().to_owned(),
        names: names.chain(view.other_names().iter().cloned()).collect(),
        not_before: Instant::of(view.not_before()),
        not_after: Instant::of(view.not_after()),
        fingerprint: view.fingerprint(),
    }
}

#[cfg(test)]
mod tests {
    use super::Instant;

    #[test]
    fn a_moment_is_written_for_people_and_for_programs() {
        let instant = Instant::of(1_763_683_200);
        assert_eq!(
            (instant.iso.as_str(), instant.text.as_str()),
            ("2025-11-21T00:00:00Z", "2025-11-21 00:00 UTC")
        );
        assert_eq!(Instant::of(i64::MAX).text, "9223372036854775807 s after 1970");
    }
}
