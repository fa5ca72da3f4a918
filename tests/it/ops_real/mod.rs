//! Ops packages of the real distribution, from the mirror that this machine's own apt uses to nodes without a
//! network. Where the mirror cannot be reached, these tests fail.

mod bare;
mod kept;
mod lab;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fs_err as fs;

use crate::opsbundle::debs::native;
use crate::opsbundle::node::{Node, suite};
use crate::support::apt::Apt;
use crate::support::oracle;
use lab::{Lab, Packed, Wish};

/// What the nodes of a cluster need.
const LIST: &str = "jq htop ethtool iproute2 dnsutils telnet psmisc sysstat iftop iotop dstat yq conntrack socat \
                    ebtables";
/// The same for a release in which some of these names are gone.
const LATER_LIST: &str = "jq htop ethtool iproute2 bind9-dnsutils inetutils-telnet psmisc sysstat iftop iotop yq \
                          conntrack socat ebtables";

/// Returns what this machine's own release and architecture are asked for.
fn wish() -> Wish {
    assert_eq!(suite(), "bookworm", "the list is that of another release than this machine's");
    let platform = if native() == "arm64" { "linux/arm64" } else { "linux/amd64" };
    Wish { codename: "bookworm", platform, names: LIST, baseline: None }
}

/// Returns the bundle that installs on every machine of the release.
fn whole() -> &'static Packed {
    static PACKED: OnceLock<Packed> = OnceLock::new();
    PACKED.get_or_init(|| Packed::new("whole", &wish()))
}

/// Returns the bundle for machines that have what anybody expects.
fn slim() -> &'static Packed {
    static PACKED: OnceLock<Packed> = OnceLock::new();
    PACKED.get_or_init(|| Packed::new("slim", &Wish { baseline: Some("{ priority: important }"), ..wish() }))
}

/// Returns the versions of all packages that are installed on a node, by name.
fn installed(node: &Node) -> BTreeMap<String, String> {
    let show = "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n'";
    let lines = node.run(show).succeeds().stdout;
    let packages = lines.lines().filter_map(|line| line.strip_prefix("installed ")?.split_once(' '));
    packages.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

/// Returns the names of what is newer than before.
///
/// # Panics
/// If anything is older now, or gone.
fn raised<'a>(before: &'a BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<&'a str> {
    let changed = before.iter().filter(|(name, version)| after.get(*name) != Some(*version));
    let changed: Vec<(&String, &String)> = changed.collect();
    for (name, old) in &changed {
        let new = after.get(*name).unwrap_or_else(|| panic!("{name} is gone"));
        oracle::run("dpkg", ["--compare-versions", new, "gt", old]);
    }
    changed.into_iter().map(|(name, _)| name.as_str()).collect()
}

/// Makes sure that nothing is left undone on a node, neither for dpkg nor for apt, which knows of no sources.
fn assert_whole(node: &Node) {
    let script = format!(
        "dpkg --audit; apt-get check -qq; apt-get -s install {LIST} | grep -F newly
         apt-get -s autoremove | grep -F newly"
    );
    let nothing = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";
    let run = node.run(&script).succeeds();
    assert_eq!((run.stdout, run.stderr.as_str()), (nothing.repeat(2), ""));
}

#[test]
fn the_same_lock_gives_the_same_bundle_where_no_network_is() {
    let Packed { lab, file, .. } = whole();
    lab.seedkit_without_network(&["pack", "packages", "-o", "again", "--locked", "--offline"]).succeeds();
    let again = lab.path("again").join(file.file_name().unwrap());
    assert!(fs::read(again).unwrap() == fs::read(file).unwrap(), "the bytes are others");
}

#[test]
fn three_suites_are_locked_in_150_mb_of_memory() {
    let lab = Lab::new("memory", &wish());
    lab.seedkit_within(150_000_000, &["lock"]).succeeds();
    assert_eq!(lab.locked(), whole().lab.locked());
}

/// Compares what is locked for a cluster's nodes with what apt chooses.
fn compare(lab: &Lab, wish: &Wish) {
    let architecture = wish.platform.strip_prefix("linux/").unwrap();
    let names: Vec<&str> = wish.names.split(' ').collect();
    let expected = Apt::fetch(wish.codename, architecture).install(&names).unwrap();
    let packages = lab.locked();
    // What goes with them only in case that the node has it is nothing that apt would choose.
    let chosen = packages.iter().filter(|package| !package.why.starts_with("of one source with "));
    let mut chosen: Vec<String> =
        chosen.map(|package| format!("{} {}", package.name, package.version)).collect();
    chosen.sort();
    assert_eq!(chosen, expected);
    assert!(packages.iter().all(|package| [architecture, "all"].contains(&&*package.architecture)));
}

#[test]
fn what_apt_would_choose_is_locked() {
    compare(&whole().lab, &wish());
}

fn lock_and_compare(name: &str, wish: &Wish) {
    let lab = Lab::new(name, wish);
    lab.seedkit(&["lock"]).succeeds();
    compare(&lab, wish);
}

#[test]
fn what_apt_would_choose_is_locked_for_another_architecture() {
    let platform = if native() == "arm64" { "linux/amd64" } else { "linux/arm64" };
    lock_and_compare("foreign", &Wish { platform, ..wish() });
}

#[test]
fn what_apt_would_choose_is_locked_for_a_later_release() {
    lock_and_compare("trixie", &Wish { codename: "trixie", names: LATER_LIST, ..wish() });
}
