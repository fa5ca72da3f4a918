//! A node that has nothing but what nothing works without, and one that has less than a bundle takes for granted.

use std::collections::BTreeMap;

use fs_err as fs;

use super::lab::Packed;
use super::{LIST, assert_whole, installed, raised, slim, whole, wish};
use crate::opsbundle::debs::native;
use crate::opsbundle::node::{Base, LOG, MARKER, Node};
use crate::support::apt::Apt;

/// A program or more of each package, and how it shows that it works, alone and without a terminal.
const PROGRAMS: [(&str, &[&str]); 15] = [
    ("conntrack", &["conntrack --version"]),
    ("dnsutils", &["dig -v", "host -V", "nslookup -version"]),
    ("dstat", &["dstat --version", "dstat --cpu --mem --nocolor 1 1"]),
    ("ebtables", &["ebtables --version"]),
    ("ethtool", &["ethtool --version"]),
    ("htop", &["htop --version"]),
    ("iftop", &["iftop -h"]),
    ("iotop", &["iotop --version"]),
    ("iproute2", &["ip -o link show lo", "ss -Htln", "bridge -V", "tc -V"]),
    ("jq", &["jq --version", "test \"$(printf '{\"a\":[1,2]}' | jq -c .a)\" = '[1,2]'"]),
    ("psmisc", &["killall --version", "fuser --version", "pstree"]),
    ("socat", &["socat -V", "test \"$(socat -u EXEC:'printf here' -)\" = here"]),
    ("sysstat", &["iostat", "mpstat", "pidstat", "sar -V"]),
    ("telnet", &["telnet --version"]),
    ("yq", &["yq --version", "test \"$(printf 'a: [1, 2]' | yq -c .a)\" = '[1,2]'"]),
];

/// Returns each command that fails, after its package.
fn failures(node: &Node) -> Vec<String> {
    let commands = PROGRAMS.iter().flat_map(|(package, commands)| commands.iter().map(move |c| (package, c)));
    let script: String = commands
        .map(|(package, command)| {
            format!("({command}) >/said 2>&1 || {{ echo '{package}:' $?; tail -n 3 /said; }}\n")
        })
        .collect();
    node.run(&script).succeeds().stdout.lines().map(str::to_owned).collect()
}

/// Returns the programs and libraries of packages that lack a library.
fn unlinked<'a>(node: &Node, packages: impl Iterator<Item = &'a str>) -> String {
    let packages: Vec<&str> = packages.collect();
    let script = format!(
        "dpkg-query -L {} | sort -u | while read -r file; do
             if test -f \"$file\" -a -x \"$file\"; then ldd \"$file\" 2>/dev/null | grep 'not found' || true; fi
         done",
        packages.join(" ")
    );
    node.run(&script).succeeds().stdout
}

/// Makes sure that what was raised was brought: the base may be a day older than the bundle.
fn assert_only_bundled(packed: &Packed, raised: &[&str]) {
    let packages = packed.manifest().packages;
    let is_bundled = |name: &&str| packages.iter().any(|package| package.name == **name);
    assert!(raised.iter().all(is_bundled), "{raised:?}");
}

/// Returns what is not as in every node, without the log.
fn changes(node: &Node) -> BTreeMap<String, std::time::SystemTime> {
    let changes = node.changes().into_iter().map(|(path, time)| (path.display().to_string(), time));
    changes.filter(|(path, _)| !path.ends_with(LOG)).collect()
}

#[test]
fn all_packages_install_on_a_bare_node_and_their_programs_run() {
    let packed = whole();
    let node = Node::new();
    // With or without the mirror's address, there is no network; but apt is to know of nothing.
    node.run("rm -r /etc/apt/sources.list.d/*; apt-get update; apt-mark showmanual >/manual").succeeds();
    let before = installed(&node);
    let missing = failures(&node).iter().filter(|line| line.ends_with(": 127")).count();
    assert!(missing >= PROGRAMS.len(), "only {missing} programs are missing on a bare node");

    let folder = node.unpack_archive(&packed.name, fs::read(&packed.file).unwrap());
    node.install(&folder).succeeds();
    assert_eq!(failures(&node), [""; 0]);
    let packages = packed.manifest().packages;
    let after = installed(&node);
    let brought = packages.iter().filter(|package| after.get(&package.name) == Some(&package.version));
    assert_eq!(unlinked(&node, brought.map(|package| package.name.as_str())), "");
    assert_only_bundled(packed, &raised(&before, &after));
    assert_whole(&node);
    let mut names: Vec<&str> = LIST.split(' ').collect();
    names.sort();
    assert_eq!(PROGRAMS.map(|(package, _)| package).as_slice(), names);
    let manual = node.run("apt-mark showmanual | grep -vxFf /manual").succeeds().stdout;
    assert_eq!(manual.lines().collect::<Vec<_>>(), names);

    // With the mirror's indices before its eyes, apt finds nothing to install or to upgrade in the list either.
    let apt = Apt::fetch(wish().codename, &native());
    apt.set_status(&node.read("/var/lib/dpkg/status").unwrap());
    assert_eq!(apt.install(&names).unwrap(), [""; 0]);

    let (marker, changed) = (node.read(MARKER).unwrap(), changes(&node));
    let said = node.install(&folder).succeeds().stdout;
    assert!(said.ends_with(&format!(" {} is installed already; nothing to do\n", packed.name)), "{said}");
    assert_eq!((node.read(MARKER).unwrap(), changes(&node)), (marker, changed));
}

#[test]
fn a_bundle_for_a_larger_base_installs_there_and_changes_nothing_on_a_bare_node() {
    let packed = slim();
    assert!(packed.manifest().packages.len() < whole().manifest().packages.len());
    let archive = fs::read(&packed.file).unwrap();
    let node = Node::new();
    let folder = node.unpack_archive(&packed.name, archive.clone());
    let run = node.install(&folder);
    assert_eq!((run.code, node.read("/var/lib/dpkg/status"), node.read(MARKER)), (Some(1), None, None));
    assert!(run.stderr.contains("you have held broken packages"), "{}", run.stderr);

    let node = Node::with(Base::Usual);
    let before = installed(&node);
    let folder = node.unpack_archive(&packed.name, archive.clone());
    node.install(&folder).succeeds();
    node.run("rm -r /etc/apt/sources.list.d/*").succeeds();
    assert_whole(&node);
    let after = installed(&node);
    assert_only_bundled(packed, &raised(&before, &after));
}
