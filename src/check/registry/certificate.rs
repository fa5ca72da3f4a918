//! The registry's certificate, as Go's TLS on a node would judge it, and the trust of the system.

use std::collections::BTreeSet;

use itertools::Itertools as _;

use super::{FILE, endpoints};
use crate::check::kit::{AUTHORITIES, Kit, Node, Text};
use crate::check::verdict::{Found, Verdict};
use crate::digest::Digest;
use crate::pki::{CertificateView, SubjectName};
use crate::yaml;

const CERTIFICATE: &str = "registry/registry.crt";
const DAY: i64 = 24 * 60 * 60;
/// How many days before its end a certificate is near it.
const SOON: i64 = 30;
/// Where a system looks for authorities to trust.
const TRUST: &str = "/usr/local/share/ca-certificates/";

/// SK0401
pub(in crate::check) fn is_accepted(kit: &Kit, verdict: &mut Verdict) {
    let Some(text) = kit.texts.get(CERTIFICATE) else {
        return verdict.not_applicable("the kit has no certificate for its registry");
    };
    let mut found = verdict.of(CERTIFICATE);
    let chain = match CertificateView::bundle_from_pem(&text.text()) {
        Ok(chain) => chain,
        Err(error) => return found.fault("", error.to_string()),
    };
    let Some(leaf) = chain.first() else { return found.fault("", "it has no certificate") };
    let asked = kit.nodes.iter().flat_map(endpoints);
    let asked = asked.filter(|endpoint| endpoint.scheme.as_deref() != Some("http"));
    let mut wanted: BTreeSet<String> = asked.map(|endpoint| endpoint.host().to_owned()).collect();
    wanted.extend(kit.bill.iter().map(|bill| bill.registry.host().to_string()));
    for host in wanted {
        let is_covered = host.parse::<SubjectName>().is_ok_and(|name| leaf.covers(&name));
        if !is_covered {
            let names = leaf.names().iter().join(", ");
            let names = if names.is_empty() { "nothing" } else { &names };
            let what = format!("it is not for `{host}`: its alternative names are {names}");
            found.fault("subject alternative names", what);
        }
    }
    if !leaf.is_for_servers() {
        found.fault("extended key usage", "it is not for servers");
    }
    for certificate in &chain {
        date(kit.now, certificate, &mut found);
    }
    for node in &kit.nodes {
        signer(node, &chain, &mut verdict.of(&node.seed));
    }
}

fn date(now: i64, certificate: &CertificateView, found: &mut Found<'_>) {
    let place = format!("validity of {}", certificate.subject());
    if certificate.not_before() > now - DAY {
        found.fault(
            place,
            "it began less than a day ago: to a node whose clock is behind it is of the future",
        );
    } else if certificate.not_after() <= now {
        found.fault(place, "it has ended");
    } else if certificate.days_left(now) < SOON {
        found.warning(place, format!("it ends in {} days", certificate.days_left(now)));
    } else {
        return;
    }
    found.only_today();
}

/// A node trusts what its `ca_file` holds, and nothing else for this endpoint.
fn signer(node: &Node, chain: &[CertificateView], found: &mut Found<'_>) {
    let (Some(leaf), Some(last)) = (chain.first(), chain.last()) else { return };
    for path in ca_files(node) {
        let Some(text) = node.text(&path) else { continue };
        let trusted = match CertificateView::bundle_from_pem(&text.text()) {
            Ok(trusted) => trusted,
            Err(error) => {
                found.fault(path, error.to_string());
                continue;
            }
        };
        let is_linked = chain.windows(2).all(|pair| pair[0].is_signed_by(&pair[1]));
        let is_trusted = |one: &CertificateView| trusted.iter().any(|authority| one.is_signed_by(authority));
        if !is_linked || !(is_trusted(last) || is_trusted(leaf)) {
            let what = format!("{CERTIFICATE}, by {}, is not signed by what it holds", leaf.issuer());
            found.fault(path, what);
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
pub(in crate::check) fn cluster_is_not_trusted(kit: &Kit, verdict: &mut Verdict) {
    let files = kit.nodes.iter().flat_map(|node| node.below(AUTHORITIES));
    let texts = files.filter(|(path, _)| path.ends_with(".crt")).filter_map(|(_, file)| file.text.as_ref());
    let of_cluster: BTreeSet<Digest> = texts.flat_map(Text::certificates).map(|view| view.digest()).collect();
    if of_cluster.is_empty() {
        let reason = "k3s makes the cluster's authorities itself, so none is in the seeds";
        return verdict.not_applicable(reason);
    }
    let is_shared = |text: &Text| text.certificates().iter().any(|view| of_cluster.contains(&view.digest()));
    for node in &kit.nodes {
        let mut found = verdict.of(&node.seed);
        for (place, text) in trusted(node) {
            if is_shared(&text) {
                found.fault(place, "it makes the system trust the cluster's CA");
            }
        }
        for path in ca_files(node) {
            if node.text(&path).is_some_and(is_shared) {
                found.fault(path, "it is the cluster's CA, and the registry needs one of its own");
            }
        }
    }
}

/// Returns what the system is made to trust, with its place.
fn trusted(node: &Node) -> Vec<(String, Text)> {
    let files = node.below(TRUST).filter_map(|(_, file)| Some((file.place.clone(), file.text.clone()?)));
    let keys = ["ca_certs", "ca-certs"].into_iter().flat_map(|key| {
        let list = node.cloud_config.iter().flat_map(move |config| config.items_at(&[key, "trusted"]));
        let texts = list.filter_map(yaml::Node::text).map(|text| Text { bytes: text.into_bytes() });
        texts.map(move |text| (format!("user-data: {key}.trusted"), text))
    });
    files.chain(keys).collect()
}
