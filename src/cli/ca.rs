//! `seedkit ca`

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::session::Session;
use crate::cli::{Answer, environment, ui};
use crate::ops::ca::{self, Shown};
use crate::pki::CertificateView;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit ca           make what is missing, or check that what is there fits
  seedkit ca show      what they say, and how many days they have left
  seedkit ca renew     a new certificate of the same authority: nodes stay as they are";

/// Arguments of `seedkit ca`.
#[derive(Debug, Args)]
pub(super) struct CaArguments {
    /// What to do [default: make what is missing].
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Show subject, names, days left and fingerprint.
    #[command(after_help = "Example:\n  seedkit ca show --json | jq .server.daysLeft")]
    Show,
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
    let spec = session.spec()?;
    let secrets = session.secrets(&spec)?;
    let now = environment::clock()?;
    match action {
        None => drop(ca::load_or_create(&spec, &secrets, now)?),
        Some(Action::Show) => {}
        Some(Action::Renew) => drop(ca::renew(&spec, &secrets, now)?),
    }
    print(session, &ca::show(&spec, &secrets)?)
}

fn print(session: &Session, shown: &Shown) -> anyhow::Result<Answer> {
    let Shown { authority, server, cluster } = shown;
    let (authority, server) = (describe(authority), describe(server));
    let cluster: Vec<CertificateResult> = cluster.iter().map(describe).collect();
    if session.global.json {
        return ui::print_json("ca", CaResult { authority, server, cluster });
    }
    let texts: Vec<String> = [&authority, &server].into_iter().chain(&cluster).map(text).collect();
    ui::print(&texts.join("\n"))
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
    let CertificateResult { subject, issuer, names, days_left, fingerprint, .. } = certificate;
    let names =
        if names.is_empty() { String::new() } else { format!("  names:       {}\n", names.join(", ")) };
    format!(
        "{subject}\n  issuer:      {issuer}\n{names}  days left:   {days_left}\n  fingerprint: SHA-256 {fingerprint}\n"
    )
}
