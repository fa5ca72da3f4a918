//! Ops packages, and what would ask the network.

use std::collections::BTreeMap;
use std::path::Path;

use itertools::Itertools as _;

use super::kit::{Archive, Kit, Node, Stage, Statement, statements};
use super::plan::Plan;
use super::verdict::{Found, Verdict};
use crate::bill::Bill;
use crate::deb::baseline::{parse_manifest, parse_status};
use crate::deb::index;
use crate::deb::version::Version;
use crate::inspect::OpsBundle;
use crate::lockfile::LockedPackage;
use crate::spec::PackageBaseline;
use crate::yaml::{self, Value};

/// The unit that installs a bundle.
const UNIT: &str = "k8s-ops-packages.service";
/// Debian's releases; those of Ubuntu have AppArmor always.
const DEBIAN: [&str; 6] = ["bullseye", "bookworm", "trixie", "forky", "duke", "sid"];
/// Timers that take dpkg's lock at the first boot.
const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];
/// Keys of cloud-init and of the installer that fetch something.
const FETCHING: [&str; 13] = [
    "packages",
    "package_update",
    "package_upgrade",
    "apt_update",
    "apt_upgrade",
    "snap",
    "snaps",
    "ntp",
    "ubuntu_advantage",
    "ubuntu_pro",
    "ubuntu-pro",
    "ssh_import_id",
    "phone_home",
];
/// What keeps apt from asking.
const QUIET: [&str; 2] = ["DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1"];

/// Returns the bundles of a kit, with the path of each.
fn bundles(kit: &Kit) -> Vec<(&str, &Archive, &OpsBundle)> {
    kit.archives
        .iter()
        .filter_map(|(path, archive)| Some((path.as_str(), archive, archive.bundle()?)))
        .collect()
}

/// SK0601
pub(super) fn bundles_are_complete(kit: &Kit, verdict: &mut Verdict) {
    let bundles = bundles(kit);
    if bundles.is_empty() && !kit.nodes.iter().any(installs_bundle) {
        verdict.not_applicable("the kit has no ops packages");
    }
    for (path, archive, bundle) in bundles {
        let mut found = verdict.of(path);
        for finding in archive.findings() {
            found.fault("", finding.to_string());
        }
        for what in unsatisfied(bundle) {
            found.fault("Packages", what);
        }
    }
}

/// SK0601
pub(super) fn bundle_is_there(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    let unit = node.units.get(UNIT);
    let Some(path) = unit.and_then(|unit| unit.last("Unit", "ConditionPathExists")) else { return };
    if !node.files.contains_key(path) {
        let what = format!("`{path}` is not in the seed");
        return found.fault(format!("{UNIT}: ConditionPathExists="), what);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let bundle = bundles(kit).into_iter().find(|(known, _, _)| *known == name);
    if let (Some((_, _, bundle)), Some(platform)) = (bundle, &node.platform) {
        let architecture = platform.split('/').nth(1).unwrap_or_default();
        let wanted = if architecture == "arm" { "armhf" } else { architecture };
        if bundle.architecture != wanted {
            found.fault(path, format!("it is for {}, and the node is {platform}", bundle.architecture));
        }
    }
}

/// Returns whether a node is to install a bundle.
fn installs_bundle(node: &Node) -> bool {
    node.units.contains_key(UNIT)
}

/// Returns the dependencies that the bundle's own packages of that name do not satisfy. What a node has besides, the
/// kit does not say: locking has proved that, against the baseline of the spec.
fn unsatisfied(bundle: &OpsBundle) -> Vec<String> {
    let packages = match index::parse(&bundle.index) {
        Ok(packages) => packages,
        Err(error) => return vec![error.to_string()],
    };
    let mut versions: BTreeMap<&str, Vec<&Version<'_>>> = BTreeMap::new();
    for package in &packages {
        versions.entry(package.name).or_default().push(&package.version);
    }
    let mut found = Vec::new();
    for package in &packages {
        let groups = [package.depends(), package.pre_depends()].into_iter().flatten().flatten();
        for group in groups {
            let here =
                group.alternatives().iter().filter(|one| versions.contains_key(one.name)).collect::<Vec<_>>();
            let is_met = here.iter().any(|one| {
                one.constraint
                    .as_ref()
                    .is_none_or(|limit| versions[one.name].iter().any(|version| limit.allows(version)))
            });
            let may_be_elsewhere = here.len() < group.alternatives().len();
            if !is_met && !may_be_elsewhere {
                let names: Vec<&str> = here.iter().map(|one| one.name).collect();
                found.push(format!("`{}` needs another version of {}", package.name, names.join(" or ")));
            }
        }
    }
    found
}

/// What the spec says that the nodes' image has, by name; nothing where it gives no list.
fn baseline(plan: &Plan<'_>) -> Option<Vec<(String, String)>> {
    let read = |path: &Path| crate::fs::read_text(path, crate::fs::LARGEST).ok();
    let named = |name: &str, version: &Version<'_>| (name.to_owned(), version.to_string());
    match &plan.spec.packages.as_ref()?.baseline {
        PackageBaseline::Status(path) => {
            let text = read(path)?;
            let packages = parse_status(&text).ok()?;
            Some(packages.iter().map(|one| named(one.name, &one.version)).collect())
        }
        PackageBaseline::Manifest(path) => {
            let text = read(path)?;
            let packages = parse_manifest(&text, "amd64").ok()?;
            Some(packages.iter().map(|one| named(one.name, &one.version)).collect())
        }
        PackageBaseline::None | PackageBaseline::Priority(_) => None,
    }
}

/// Returns the packages that the lock pins, if it pins any.
fn locked<'a>(plan: &Plan<'a>) -> Option<&'a [LockedPackage]> {
    Some(&plan.lockfile?.packages.as_ref()?.packages)
}

/// SK0602
pub(super) fn nothing_gets_older(plan: &Plan<'_>, found: &mut Found<'_>) {
    let (Some(installed), Some(locked)) = (baseline(plan), locked(plan)) else {
        return found.not_applicable("there is no list of what the nodes' image has, or no lock");
    };
    for package in locked {
        let Ok(version) = Version::parse(&package.version) else { continue };
        let newer = installed
            .iter()
            .find(|(name, has)| *name == package.name && Version::parse(has).is_ok_and(|has| has > version));
        if let Some((name, has)) = newer {
            let what = format!("{} is locked, and the image has {has}", package.version);
            found.fault(format!("packages: {name}"), what);
        }
    }
}

/// SK0605
pub(super) fn debian_has_apparmor(plan: &Plan<'_>, found: &mut Found<'_>) {
    let suite = plan.spec.packages.as_ref().map(|packages| packages.suite.as_str());
    let is_debian = suite.is_some_and(|suite| DEBIAN.contains(&suite));
    let Some(installed) = baseline(plan).filter(|_| is_debian) else {
        return found.not_applicable("the spec does not say what a Debian image of the nodes has");
    };
    let is_there = installed.iter().any(|(name, _)| name == "apparmor");
    let is_locked = locked(plan).into_iter().flatten().any(|package| package.name == "apparmor");
    if !is_there && !is_locked {
        found.fault("packages.names", "neither the image nor the bundle has `apparmor`");
    }
}

/// SK0603
pub(super) fn nothing_asks_the_network(kit: &Kit, node: &Node, found: &mut Found<'_>) {
    for config in [&node.cloud_config, &node.autoinstall].into_iter().flatten() {
        for key in FETCHING.iter().filter(|key| config.at(&[key]).is_some_and(is_on)) {
            found.fault(format!("user-data: {key}"), "it is fetched from the network, and there is none");
        }
    }
    for (place, statement) in node.statements() {
        if let Some(what) = asks(kit, &statement) {
            found.fault(place, what);
        }
    }
}

/// Returns whether a key with this value has an effect.
fn is_on(value: &yaml::Node) -> bool {
    match &value.value {
        Value::Null | Value::Bool(false) => false,
        Value::Sequence(items) => !items.is_empty(),
        Value::Mapping(entries) => !entries.is_empty(),
        Value::Bool(true) | Value::Integer(_) | Value::Float(_) | Value::String(_) => true,
    }
}

/// Says what a statement asks of whom.
fn asks(kit: &Kit, statement: &Statement) -> Option<String> {
    let words = statement.unwrapped();
    let (program, rest) = words.split_first()?;
    let has = |names: &[&str]| rest.iter().any(|word| names.contains(word));
    let is_update = ["apt-get", "apt", "aptitude"].contains(program)
        && has(&["update", "upgrade", "dist-upgrade", "full-upgrade"]);
    let is_store = (*program == "snap" && has(&["install", "refresh"]))
        || (*program == "pip" || *program == "pip3") && has(&["install"])
        || (*program == "git" && has(&["clone", "fetch", "pull"]))
        || (["docker", "podman", "crictl", "nerdctl"].contains(program) && has(&["pull"]))
        || (*program == "helm" && has(&["repo", "pull"]));
    if is_update || is_store {
        return Some(format!("`{}` asks the network", words.join(" ")));
    }
    if !["curl", "wget"].contains(program) {
        return None;
    }
    let url = rest.iter().find(|word| word.contains("://"))?;
    let host = url.split("://").nth(1)?.split(['/', ':']).next().unwrap_or_default();
    let is_of_kit = |bill: &Bill| {
        bill.registry.host().to_string() == host
            || bill.nodes.iter().any(|node| node.name == host || node.address.address().to_string() == host)
    };
    let is_known = ["localhost", "127.0.0.1"].contains(&host)
        || host.starts_with('$')
        || kit.bill.as_ref().is_some_and(is_of_kit);
    (!is_known).then(|| format!("`{program}` asks {host}"))
}

/// SK0604
pub(super) fn installers_are_quiet(kit: &Kit, verdict: &mut Verdict) {
    for (path, _, bundle) in bundles(kit) {
        for wanted in QUIET.iter().filter(|wanted| !bundle.installer.contains(**wanted)) {
            verdict.of(path).fault("install.sh", format!("it does not set {wanted}"));
        }
    }
}

/// SK0604
pub(super) fn apt_asks_nothing(_: &Kit, node: &Node, found: &mut Found<'_>) {
    for command in node.commands.iter().filter(|command| command.stage != Stage::Install) {
        if command.statements().iter().any(installs) {
            found.fault(&command.place, "cloud-init runs apt, which may restart cloud-init");
        }
    }
    for script in node.scripts() {
        let is_quiet = QUIET.iter().all(|wanted| script.text.contains(wanted));
        if !is_quiet && statements(&script.text).iter().any(installs) {
            found.fault(script.place, format!("it runs apt without {}", QUIET.join(" and ")));
        }
    }
}

/// Returns whether a statement installs packages.
fn installs(statement: &Statement) -> bool {
    let words = statement.unwrapped();
    let is_apt = words.first().is_some_and(|program| ["apt-get", "apt", "dpkg"].contains(program));
    is_apt && words.iter().any(|word| ["install", "-i", "--install", "upgrade"].contains(word))
}

/// SK0606
pub(super) fn installers_wait(kit: &Kit, verdict: &mut Verdict) {
    let bundles = bundles(kit);
    if bundles.is_empty() {
        verdict.not_applicable("the kit has no ops packages");
    }
    for (path, _, bundle) in bundles {
        if !bundle.installer.contains("DPkg::Lock::Timeout") {
            verdict.of(path).fault("install.sh", "it does not set DPkg::Lock::Timeout");
        }
    }
}

/// SK0606
pub(super) fn timers_are_masked(_: &Kit, node: &Node, found: &mut Found<'_>) {
    if !installs_bundle(node) {
        return;
    }
    let statements = node.statements();
    let is_masked = |timer: &str| {
        statements.iter().map(|(_, one)| one.unwrapped()).any(|words| {
            words.first() == Some(&"systemctl") && words.contains(&"mask") && words.contains(&timer)
        })
    };
    let open = TIMERS.iter().filter(|timer| !is_masked(timer)).join(" and ");
    if !open.is_empty() {
        found.fault("user-data", format!("{open} may take dpkg's lock: not masked"));
    }
}
