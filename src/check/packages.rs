//! Ops packages, and what would ask the network.

use std::collections::BTreeMap;

use super::Check;
use super::kit::{Archive, Kit, Node, Stage, Statement, statements};
use super::plan::Plan;
use super::verdict::Verdict;
use crate::bill::Bill;
use crate::deb;
use crate::inspect::OpsBundle;
use crate::spec::PackageBaseline;
use crate::yaml::Value;

pub(super) const CHECKS: &[Check] = &[
    Check::kit("SK0601", bundles_are_complete),
    Check::plan("SK0602", nothing_gets_older),
    Check::kit("SK0603", nothing_asks_the_network),
    Check::kit("SK0604", apt_asks_nothing),
    Check::plan("SK0605", debian_has_apparmor),
    Check::kit("SK0606", apt_waits_for_its_lock),
];

/// The unit that installs a bundle.
const UNIT: &str = "k8s-ops-packages.service";
/// Debian's releases; those of Ubuntu have AppArmor always.
const DEBIAN: [&str; 6] = ["bullseye", "bookworm", "trixie", "forky", "duke", "sid"];
/// Timers that take dpkg's lock at the first boot.
const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];
/// The largest list of installed packages.
const LARGEST_BASELINE: u64 = 64 << 20;

/// Returns the bundles of a kit, with the path of each.
fn bundles(kit: &Kit) -> Vec<(&str, &Archive, &OpsBundle)> {
    kit.archives
        .iter()
        .filter_map(|(path, archive)| Some((path.as_str(), archive, archive.bundle()?)))
        .collect()
}

/// SK0601
fn bundles_are_complete(kit: &Kit, verdict: &mut Verdict) {
    let bundles = bundles(kit);
    if bundles.is_empty() && kit.nodes.iter().all(|node| !node.units.contains_key(UNIT)) {
        verdict.not_applicable("the kit has no ops packages");
    }
    for (path, archive, bundle) in &bundles {
        for finding in archive.findings() {
            verdict.fault(path, "", finding.to_string());
        }
        for what in unsatisfied(bundle) {
            verdict.fault(path, "Packages", what);
        }
    }
    for node in &kit.nodes {
        let Some(unit) = node.units.get(UNIT) else { continue };
        let Some(path) = unit.last("Unit", "ConditionPathExists") else { continue };
        let name = path.rsplit('/').next().unwrap_or(path);
        let bundle = bundles.iter().find(|(known, _, _)| *known == name).map(|(_, _, bundle)| bundle);
        if !node.files.contains_key(path) {
            verdict.fault(
                &node.seed,
                format!("{UNIT}: ConditionPathExists="),
                format!("`{path}` is not in the seed"),
            );
        } else if let (Some(bundle), Some(platform)) = (bundle, &node.platform) {
            let architecture = platform.split('/').nth(1).unwrap_or_default();
            let wanted = if architecture == "arm" { "armhf" } else { architecture };
            if bundle.architecture != wanted {
                let what = format!("it is for {}, and the node is {platform}", bundle.architecture);
                verdict.fault(&node.seed, path, what);
            }
        }
    }
}

/// Returns the dependencies that the bundle's own packages of that name do not satisfy. What a node has besides, the
/// kit does not say: locking has proved that, against the baseline of the spec.
fn unsatisfied(bundle: &OpsBundle) -> Vec<String> {
    let packages = match deb::index::parse(&bundle.index) {
        Ok(packages) => packages,
        Err(error) => return vec![error.to_string()],
    };
    let mut versions: BTreeMap<&str, Vec<&deb::version::Version<'_>>> = BTreeMap::new();
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
    let read = |path: &std::path::Path| -> Option<String> {
        let file = fs_err::File::open(path).ok()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, LARGEST_BASELINE), &mut text).ok()?;
        Some(text)
    };
    match &plan.spec.packages.as_ref()?.baseline {
        PackageBaseline::Status(path) => {
            let text = read(path)?;
            let packages = deb::baseline::parse_status(&text).ok()?;
            Some(packages.iter().map(|one| (one.name.to_owned(), one.version.to_string())).collect())
        }
        PackageBaseline::Manifest(path) => {
            let text = read(path)?;
            let packages = deb::baseline::parse_manifest(&text, "amd64").ok()?;
            Some(packages.iter().map(|one| (one.name.to_owned(), one.version.to_string())).collect())
        }
        PackageBaseline::None | PackageBaseline::Priority(_) => None,
    }
}

/// SK0602
fn nothing_gets_older(plan: &Plan<'_>, verdict: &mut Verdict) {
    let (Some(installed), Some(locked)) =
        (baseline(plan), plan.lockfile.and_then(|lock| lock.packages.as_ref()))
    else {
        verdict.not_applicable("there is no list of what the nodes' image has, or no lock");
        return;
    };
    for package in &locked.packages {
        let Ok(version) = deb::version::Version::parse(&package.version) else { continue };
        let newer = installed.iter().find(|(name, has)| {
            *name == package.name && deb::version::Version::parse(has).is_ok_and(|has| has > version)
        });
        if let Some((name, has)) = newer {
            verdict.fault(
                plan.file,
                format!("packages: {name}"),
                format!("{} is locked, and the image has {has}", package.version),
            );
        }
    }
}

/// SK0605
fn debian_has_apparmor(plan: &Plan<'_>, verdict: &mut Verdict) {
    let suite = plan.spec.packages.as_ref().map(|packages| packages.suite.as_str());
    let is_debian = suite.is_some_and(|suite| DEBIAN.contains(&suite));
    let Some(installed) = baseline(plan).filter(|_| is_debian) else {
        verdict.not_applicable("the spec does not say what a Debian image of the nodes has");
        return;
    };
    let is_there = installed.iter().any(|(name, _)| name == "apparmor");
    let locked = plan.lockfile.and_then(|lock| lock.packages.as_ref());
    let is_locked =
        locked.is_some_and(|locked| locked.packages.iter().any(|package| package.name == "apparmor"));
    if !is_there && !is_locked {
        verdict.fault(plan.file, "packages.names", "neither the image nor the bundle has `apparmor`");
    }
}

/// SK0603
fn nothing_asks_the_network(kit: &Kit, verdict: &mut Verdict) {
    for node in &kit.nodes {
        for config in [&node.cloud_config, &node.autoinstall].into_iter().flatten() {
            keys(node, config, verdict);
        }
        for (place, statement) in all(node) {
            if let Some(what) = asks(kit, &statement) {
                verdict.fault(&node.seed, place, what);
            }
        }
    }
}

/// Keys of cloud-init and of the installer that fetch something.
fn keys(node: &Node, config: &crate::yaml::Node, verdict: &mut Verdict) {
    let is_on = |value: &crate::yaml::Node| match &value.value {
        Value::Null | Value::Bool(false) => false,
        Value::Sequence(items) => !items.is_empty(),
        Value::Mapping(entries) => !entries.is_empty(),
        Value::Bool(true) | Value::Integer(_) | Value::Float(_) | Value::String(_) => true,
    };
    for key in [
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
    ] {
        if config.at(&[key]).is_some_and(is_on) {
            verdict.fault(
                &node.seed,
                format!("user-data: {key}"),
                "it is fetched from the network, and there is none",
            );
        }
    }
}

/// Returns every statement that a node runs, with its place.
fn all(node: &Node) -> Vec<(String, Statement)> {
    let mut found: Vec<(String, Statement)> = Vec::new();
    for command in &node.commands {
        found.extend(command.statements().into_iter().map(|one| (command.place.clone(), one)));
    }
    for (_, file, script) in node.scripts() {
        found.extend(
            statements(&script).into_iter().map(|one| (format!("{}: line {}", file.place, one.line), one)),
        );
    }
    for (name, unit) in &node.units {
        for (key, command) in unit.commands() {
            found.extend(statements(command).into_iter().map(|one| (format!("{name}: {key}="), one)));
        }
    }
    found
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
fn apt_asks_nothing(kit: &Kit, verdict: &mut Verdict) {
    const QUIET: [&str; 2] = ["DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1"];
    let installs = |one: &Statement| {
        let words = one.unwrapped();
        let is_apt = words.first().is_some_and(|program| ["apt-get", "apt", "dpkg"].contains(program));
        is_apt && words.iter().any(|word| ["install", "-i", "--install", "upgrade"].contains(word))
    };
    for (path, _, bundle) in bundles(kit) {
        for wanted in QUIET.iter().filter(|wanted| !bundle.installer.contains(**wanted)) {
            verdict.fault(path, "install.sh", format!("it does not set {wanted}"));
        }
    }
    for node in &kit.nodes {
        for command in node.commands.iter().filter(|command| command.stage != Stage::Install) {
            if command.statements().iter().any(installs) {
                verdict.fault(
                    &node.seed,
                    &command.place,
                    "cloud-init runs apt, which may restart cloud-init",
                );
            }
        }
        for (_, file, script) in node.scripts() {
            let is_quiet = QUIET.iter().all(|wanted| script.contains(wanted));
            if statements(&script).iter().any(installs) && !is_quiet {
                verdict.fault(
                    &node.seed,
                    &file.place,
                    format!("it runs apt without {}", QUIET.join(" and ")),
                );
            }
        }
    }
}

/// SK0606
fn apt_waits_for_its_lock(kit: &Kit, verdict: &mut Verdict) {
    let bundles = bundles(kit);
    for (path, _, bundle) in &bundles {
        if !bundle.installer.contains("DPkg::Lock::Timeout") {
            verdict.fault(path, "install.sh", "it does not set DPkg::Lock::Timeout");
        }
    }
    for node in kit.nodes.iter().filter(|node| node.units.contains_key(UNIT)) {
        let masked = |timer: &&&str| {
            all(node).iter().any(|(_, one)| {
                let words = one.unwrapped();
                words.first() == Some(&"systemctl") && words.contains(&"mask") && words.contains(*timer)
            })
        };
        let open: Vec<&str> = TIMERS.iter().filter(|timer| !masked(timer)).copied().collect();
        if !open.is_empty() {
            verdict.fault(
                &node.seed,
                "user-data",
                format!("{} may take dpkg's lock: not masked", open.join(" and ")),
            );
        }
    }
    if bundles.is_empty() {
        verdict.not_applicable("the kit has no ops packages");
    }
}
