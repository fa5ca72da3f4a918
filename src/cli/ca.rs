//! `seedkit ca`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use itertools::Itertools as _;
use serde::Serialize;

use crate::cli::session::Session;
use crate::cli::table::{date, fields, line};
use crate::cli::{Answer, environment};
use crate::ops::ca::{self, Shown};
use crate::pki::CertificateView;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit ca           make what is missing, or check that what is there fits
  seedkit ca show      what they say, and how many days they have left
  seedkit ca show kit  the same of a kit, without its spec and secrets
  seedkit ca renew     a new certificate of the same authority: nodes stay as they are";

/// Arguments of `seedkit ca`.
#[derive(Debug, Args)]
pub(super) struct CaArguments {
    /// What to do [default: make what is missing].
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show subject, names, last day, days left and fingerprint.
    #[command(
        after_help = "Examples:\n  seedkit ca show --json | jq .server.daysLeft\n  seedkit ca show kit"
    )]
    Show {
        /// A kit whose certificates are shown [default: those in the secrets folder].
        kit: Option<PathBuf>,
    },
    /// Renew the registry's certificate under the same authority.
    #[command(after_help = "Example:\n  seedkit ca renew && seedkit build")]
    Renew,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateResult {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
    days_left: i64,
    fingerprint: String,
}

#[derive(Serialize)]
struct CaResult {
    authority: CertificateResult,
    server: CertificateResult,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster: Vec<CertificateResult>,
}

pub(super) fn run(arguments: CaArguments, session: &Session) -> anyhow::Result<Answer> {
    let CaArguments { action } = arguments;
    if let Some(Action::Show { kit: Some(kit) }) = action {
        return print(session, &ca::show_kit(&kit)?);
    }
    let spec = session.spec()?;
    let secrets = session.secrets(&spec)?;
    let done = match action {
        None => ca::load_or_create(&spec, &secrets, environment::clock()?).map(drop),
        Some(Action::Show { .. }) => Ok(()),
        Some(Action::Renew) => ca::renew(&spec, &secrets, environment::clock()?).map(drop),
    };
    // A look leaves nothing behind.
    let shown = done.and_then(|()| ca::show(&spec, &secrets)).inspect_err(|_| secrets.forget_unused())?;
    print(session, &shown)
}

fn print(session: &Session, shown: &Shown) -> anyhow::Result<Answer> {
    let Shown { authority, server, cluster } = shown;
    let (authority, server) = (describe(authority), describe(server));
    let cluster: Vec<CertificateResult> = cluster.iter().map(describe).collect();
    session.show("ca", &CaResult { authority, server, cluster }, |CaResult { authority, server, cluster }| {
        [authority, server].into_iter().chain(cluster).map(text).join("\n")
    })
}

fn describe(view: &CertificateView) -> CertificateResult {
    CertificateResult {
        subject: view.subject().to_owned(),
        issuer: view.issuer().to_owned(),
        names: view.names().iter().map(ToString::to_string).collect(),
        not_before: view.not_before(),
        not_after: view.not_after(),
        days_left: view.days_left(environment::now()),
        fingerprint: view.fingerprint(),
    }
}

fn text(certificate: &CertificateResult) -> String {
    let CertificateResult { subject, issuer, names, not_before: _, not_after, days_left, fingerprint } =
        certificate;
    let names = (!names.is_empty()).then(|| ("names", names.join(", ")));
    let rest = [
        ("valid until", date(*not_after)),
        ("days left", days_left.to_string()),
        ("fingerprint", format!("SHA-256 {fingerprint}")),
    ];
    let all = std::iter::once(("issuer", issuer.clone())).chain(names).chain(rest);
    line(subject) + &fields("  ", 13, all)
}
