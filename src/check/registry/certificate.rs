//! The registry's certificate, as Go's TLS on a node would judge it, and the trust of the system.

use std::collections::BTreeSet;

use itertools::Itertools as _;

use super::{FILE, mirrors};
use crate::check::kit::{Kit, Node};
use crate::check::verdict::Verdict;
use crate::digest::Digest;
use crate::pki::{CertificateView, SubjectName};
use crate::yaml;

const CERTIFICATE: &str = "registry/registry.crt";
const DAY: i64 = 24 * 60 * 60;
/// How many days before its end a certificate is near it.
const SOON: i64 = 30;
/// Where the cluster's authorities lie on a server.
const AUTHORITIES: &str = "/var/lib/rancher/k3s/server/tls/";
/// Where a system looks for authorities to trust.
const TRUST: &str = "/usr/local/share/ca-certificates/";

/// SK0401
pub(super) fn is_accepted(kit: &Kit, verdict: &mut Verdict) {
    let Some(text) = kit.texts.get(CERTIFICATE) else {
        verdict.not_applicable("the kit has no certificate for its registry");
        return;
    };
    let chain = match CertificateView::bundle_from_pem(&text.text()) {
        Ok(chain) => chain,
        Err(error) => return verdict.fault(CERTIFICATE, "", error.to_string()),
    };
    let Some(leaf) = chain.first() else { return verdict.fault(CERTIFICATE, "", "it has no certificate") };
    let mut wanted: BTreeSet<String> = kit
        .nodes
        .iter()
        .flat_map(mirrors)
        .flat_map(|(_, endpoints)| endpoints)
        .filter(|endpoint| endpoint.scheme.as_deref() != Some("http"))
        .map(|endpoint| endpoint.host().to_owned())
        .collect();
    wanted.extend(kit.bill.iter().map(|bill| bill.registry.host().to_string()));
    for host in wanted {
        let is_covered = host.parse::<SubjectName>().is_ok_and(|name| leaf.covers(&name));
        if !is_covered {
            let names = leaf.names().iter().join(", ");
            let names = if names.is_empty() { "nothing" } else { &names };
            let what = format!("it is not for `{host}`: its alternative names are {names}");
            verdict.fault(CERTIFICATE, "subject alternative names", what);
        }
    }
    if !leaf.is_for_servers() {
        verdict.fault(CERTIFICATE, "extended key usage", "it is not for servers");
    }
    dates(kit, &chain, verdict);
    for node in &kit.nodes {
        signer(node, &chain, verdict);
    }
}

fn dates(kit: &Kit, chain: &[CertificateView], verdict: &mut Verdict) {
    for certificate in chain {
        let place = format!("validity of {}", certificate.subject());
        if certificate.not_before() > kit.now - DAY {
            let what = "it began less than a day ago: to a node whose clock is behind it is of the future";
            verdict.fault(CERTIFICATE, place, what);
            verdict.only_today();
        } else if certificate.not_after() <= kit.now {
            verdict.fault(CERTIFICATE, place, "it has ended");
            verdict.only_today();
        } else if certificate.days_left(kit.now) < SOON {
            let what = format!("it ends in {} days", certificate.days_left(kit.now));
            verdict.warning(CERTIFICATE, place, what);
            verdict.only_today();
        }
    }
}

/// A node trusts what its `ca_file` holds, and nothing else for this endpoint.
fn signer(node: &Node, chain: &[CertificateView], verdict: &mut Verdict) {
    for path in ca_files(node) {
        let Some(text) = node.files.get(&path).and_then(|file| file.text.as_ref()) else { continue };
        let trusted = match CertificateView::bundle_from_pem(&text.text()) {
            Ok(trusted) => trusted,
            Err(error) => {
                verdict.fault(&node.seed, &path, error.to_string());
                continue;
            }
        };
        let Some(last) = chain.last() else { continue };
        let is_linked = chain.windows(2).all(|pair| pair[0].is_signed_by(&pair[1]));
        let is_trusted = |one: &CertificateView| trusted.iter().any(|authority| one.is_signed_by(authority));
        if !is_linked || !(is_trusted(last) || chain.first().is_some_and(is_trusted)) {
            let what = format!("{CERTIFICATE}, by {}, is not signed by what it holds", chain[0].issuer());
            verdict.fault(&node.seed, &path, what);
        }
    }
}

/// Returns the paths of the authorities that a node is told to trust for its registry.
fn ca_files(node: &Node) -> BTreeSet<String> {
    let root = node.yaml(FILE);
    let configs = root.iter().flat_map(|root| root.entries_at(&["configs"]));
    configs.filter_map(|(_, config)| config.text_at(&["tls", "ca_file"])).collect()
}

/// SK0407
pub(super) fn cluster_is_not_trusted(kit: &Kit, verdict: &mut Verdict) {
    let of_cluster: BTreeSet<Digest> = kit
        .nodes
        .iter()
        .flat_map(|node| node.files.iter())
        .filter(|(path, _)| path.starts_with(AUTHORITIES) && path.ends_with(".crt"))
        .filter_map(|(_, file)| file.text.as_ref())
        .flat_map(|text| digests(&text.text()))
        .collect();
    if of_cluster.is_empty() {
        verdict.not_applicable("k3s makes the cluster's authorities itself, so none is in the seeds");
        return;
    }
    for node in &kit.nodes {
        for (path, text) in trusted(node) {
            if digests(&text).iter().any(|digest| of_cluster.contains(digest)) {
                verdict.fault(&node.seed, path, "it makes the system trust the cluster's CA");
            }
        }
        for path in ca_files(node) {
            let text = node.files.get(&path).and_then(|file| file.text.as_ref());
            let is_shared =
                text.is_some_and(|text| digests(&text.text()).iter().any(|one| of_cluster.contains(one)));
            if is_shared {
                verdict.fault(
                    &node.seed,
                    path,
                    "it is the cluster's CA, and the registry needs one of its own",
                );
            }
        }
    }
}

fn digests(pem: &str) -> Vec<Digest> {
    let views = CertificateView::bundle_from_pem(pem).unwrap_or_default();
    views.iter().map(CertificateView::digest).collect()
}

/// Returns what the system is made to trust, with its place.
fn trusted(node: &Node) -> Vec<(String, String)> {
    let files = node.files.iter().filter(|(path, _)| path.starts_with(TRUST));
    let mut found: Vec<(String, String)> = files
        .filter_map(|(_, file)| Some((file.place.clone(), file.text.as_ref()?.text().into_owned())))
        .collect();
    for key in ["ca_certs", "ca-certs"] {
        let list = node.cloud_config.iter().flat_map(|config| config.items_at(&[key, "trusted"]));
        let texts = list.filter_map(yaml::Node::text);
        found.extend(texts.map(|text| (format!("user-data: {key}.trusted"), text)));
    }
    found
}
