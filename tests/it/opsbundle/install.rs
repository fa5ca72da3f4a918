//! The script, run on nodes without a network.

use seedkit::opsbundle::Bundle;

use super::debs::Debs;
use super::node::{LOG, MARKER, Node};
use super::{bundle, tools};

fn ops() -> Bundle {
    bundle(&tools().packages(), &["ops-notes", "ops-tool"])
}

/// What [`ops`] leaves on a node that had none of it.
const INSTALLED: [&str; 5] =
    ["ops-base 1.0", "ops-core 1.0-1", "ops-lib 1.5-1", "ops-notes 1.2", "ops-tool 2:1.0~rc1+b1-1"];

/// Returns what the log says, without the times and without apt's own words.
fn own_lines(node: &Node) -> Vec<String> {
    let log = node.read(LOG).unwrap();
    let is_time = |word: &str| word.len() == 20 && word.starts_with("20") && word.ends_with('Z');
    let lines = log.lines().filter_map(|line| line.split_once(' ').filter(|(time, _)| is_time(time)));
    lines.map(|(_, text)| text.to_owned()).collect()
}

/// Returns apt's warnings and errors.
fn apts_complaints(node: &Node) -> Vec<String> {
    let log = node.read(LOG).unwrap();
    log.lines().filter(|line| line.starts_with("W: ") || line.starts_with("E: ")).map(str::to_owned).collect()
}

/// Settings, sources, pins and hooks with which apt would install nothing.
const HOSTILE: &str = r#"
APT::Default-Release "stable";
APT::Install-Recommends "true";
APT::Get::AutomaticRemove "true";
APT::Update::Pre-Invoke { "false"; };
APT::Update::Post-Invoke { "false"; };
APT::Update::Post-Invoke-Success { "touch /hooked"; };
DPkg::Pre-Invoke { "false"; };
DPkg::Pre-Install-Pkgs { "false"; };
DPkg::Post-Invoke { "false"; };
DPkg::Options { "--force-confnew"; "--no-act"; };
Acquire::Languages { "ko"; };
Acquire::GzipIndexes "true";
"#;

#[test]
fn a_bundle_installs_whatever_the_node_has_told_apt() {
    let node = Node::new();
    node.put("/etc/apt/apt.conf.d/99hostile", HOSTILE);
    for file in ["/etc/apt/preferences", "/etc/apt/preferences.d/pin"] {
        node.put(file, "Package: *\nPin: origin \"\"\nPin-Priority: -1\n");
    }
    node.put("/etc/apt/sources.list.d/gone.list", "deb http://192.0.2.1/debian stable main\n");
    node.put("/var/lib/apt/lists/kept", "of another source\n");
    node.put("/etc/ops-tool.conf", "of the administrator\n");
    node.put(LOG, "from before\n");
    let bundle = ops();
    let folder = node.unpack(&bundle);
    // From a shell with odd settings, with input that is meant for something else, or with none at all.
    let script = format!(
        "dpkg --add-architecture s390x; rm -r /var/cache/apt; umask 077
         export APT_CONFIG=/etc/apt/apt.conf.d/99hostile DPKG_ROOT=/nonexistent TMPDIR=/nonexistent LANG=ko
         echo yes | env -u HOME sh '{folder}/install.sh'; unset DPKG_ROOT; sh '{folder}/install.sh' <&-
         dpkg --audit >&2; ops-tool; stat -c %a /usr/bin/ops-tool {MARKER}; ls -A /tmp; ! test -e /var/cache/apt"
    );
    let run = node.run(&script).succeeds();
    let expected = vec!["lib", "755", "644"];
    assert_eq!((run.stdout.lines().skip(3).collect::<Vec<_>>(), run.stderr.as_str()), (expected, ""));
    assert_eq!(node.installed(), INSTALLED);
    let automatic = node.run("rm /etc/apt/apt.conf.d/99hostile; apt-mark showauto 'ops-*'").succeeds().stdout;
    assert_eq!(automatic, "ops-base\nops-core\nops-lib\n");
    assert_eq!(node.read("/etc/ops-tool.conf").unwrap(), "of the administrator\n");
    assert_eq!(node.read("/var/lib/apt/lists/kept").unwrap(), "of another source\n");
    assert_eq!(node.read("/hooked"), None);
    assert_eq!(apts_complaints(&node), Vec::<String>::new());
}

#[test]
fn log_and_marker_say_what_was_installed() {
    let node = Node::new();
    let bundle = ops();
    node.put(LOG, "from before\n");
    node.install(&node.unpack(&bundle)).succeeds();
    let marker = node.read(MARKER).unwrap();
    let (head, packages): (Vec<_>, Vec<_>) = marker.lines().partition(|line| !line.starts_with("package "));
    assert_eq!((head.len(), head[0]), (2, format!("bundle {}", bundle.name()).as_str()));
    assert!(head[1].starts_with("installed 20") && head[1].ends_with('Z'), "{marker}");
    assert_eq!(packages, INSTALLED.map(|package| format!("package {package}")));
    let name = bundle.name();
    assert_eq!(
        own_lines(&node),
        [format!("installing {name}; {LOG} has the details"), format!("{name} is installed")]
    );
    let log = node.read(LOG).unwrap();
    assert!(
        log.starts_with("from before\n") && log.contains("\nSetting up ops-tool (2:1.0~rc1+b1-1) "),
        "{log}"
    );
}

#[test]
fn the_scripts_of_packages_see_nothing_of_the_callers_environment() {
    let node = Node::new();
    let folder = node.unpack(&ops());
    node.run(&format!("export PERL5LIB=/nonexistent LANG=ko; sh '{folder}/install.sh'")).succeeds();
    let environment = node.read("/environment").unwrap();
    // PATH is apt's own, the others those of dpkg and the shell.
    let is_ours =
        |line: &&str| !["DPKG_", "PATH=", "PWD=", "SHLVL=", "_="].iter().any(|name| line.starts_with(name));
    let mut lines: Vec<_> = environment.lines().filter(is_ours).collect();
    lines.sort();
    let expected = [
        "APT_LISTCHANGES_FRONTEND=none",
        "DEBIAN_FRONTEND=noninteractive",
        "DEBIAN_PRIORITY=critical",
        "HOME=/root",
        "LC_ALL=C.UTF-8",
        "NEEDRESTART_MODE=l",
        "NEEDRESTART_SUSPEND=1",
        "OPS_PACKAGES=alone",
        "UCF_FORCE_CONFFOLD=1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn installing_again_changes_nothing_and_says_so() {
    let node = Node::new();
    let bundle = ops();
    let folder = node.unpack(&bundle);
    node.install(&folder).succeeds();
    let changes =
        || node.changes().into_iter().filter(|(path, _)| !path.ends_with(LOG.trim_start_matches('/')));
    let before: Vec<_> = changes().collect();
    let said = node.install(&folder).succeeds().stdout;
    assert!(said.ends_with(&format!(" {} is installed already; nothing to do\n", bundle.name())), "{said}");
    assert_eq!(changes().collect::<Vec<_>>(), before);
    // Somebody removed a package, and runs the script to have it back.
    node.run("dpkg --remove ops-notes").succeeds();
    node.install(&folder).succeeds();
    assert_eq!(node.installed(), INSTALLED);
}

#[test]
fn nothing_gets_older_and_nothing_is_upgraded_without_need() {
    let before = Debs::new();
    let newer = before.add("Package: ops-tool\nVersion: 3:1.0\nDepends: ops-lib", &[]);
    let older = before.add("Package: ops-lib\nSource: ops-suite\nVersion: 1.0", &[]);
    let sibling = before.add("Package: ops-data\nSource: ops-suite\nVersion: 1.0\nArchitecture: all", &[]);
    let held = before.add("Package: ops-notes\nVersion: 1.0\nArchitecture: all", &[]);
    let node = Node::new();
    node.install_debs(&[&newer, &older, &sibling, &held]);
    node.run("apt-mark hold ops-notes").succeeds();
    let folder = node
        .unpack(&bundle(&tools().packages(), &["ops-core", "ops-extra", "ops-lib", "ops-notes", "ops-tool"]));
    node.install(&folder).succeeds();
    let expected = [
        "ops-base 1.0",
        "ops-core 1.0-1",
        "ops-data 1.0",
        "ops-extra 1.0",
        "ops-lib 1.5-1",
        "ops-notes 1.0",
        "ops-tool 3:1.0",
    ];
    assert_eq!(node.installed(), expected);
    let marker = node.read(MARKER).unwrap();
    assert!(
        marker.contains("\npackage ops-notes 1.0\n") && marker.contains("\npackage ops-tool 3:1.0\n"),
        "{marker}"
    );
}

#[test]
fn a_lock_that_another_program_holds_is_waited_for() {
    let before = Debs::new();
    let script = "#!/bin/sh\necho >/started\nread -r line </release\n";
    let slow = before.add("Package: slow\nVersion: 1\nArchitecture: all", &[("DEBIAN/postinst", script)]);
    let node = Node::new();
    node.put("/slow.deb", fs_err::read(slow).unwrap());
    let folder = node.unpack(&ops());
    let script = format!(
        "mkfifo /started /release /lines; touch {LOG}
         dpkg -i /slow.deb >/dev/null & read -r line </started
         sh '{folder}/install.sh' & installer=$!
         tail --pid=$installer -f {LOG} >/lines & grep -q -m 1 'Waiting for cache lock' </lines
         echo >/release; wait $installer; rm /started /release /lines"
    );
    node.run(&script).succeeds();
    assert_eq!(node.installed(), INSTALLED);
}

#[test]
fn a_failed_installation_leaves_no_marker_and_is_finished_by_the_next_one() {
    let debs = tools();
    let script = "#!/bin/sh\ntest -e /mended || { echo 'ops-last is broken' >&2; exit 1; }\n";
    debs.add("Package: ops-last\nVersion: 1\nArchitecture: all", &[("DEBIAN/postinst", script)]);
    let node = Node::new();
    let folder = node.unpack(&bundle(&debs.packages(), &["ops-last", "ops-tool"]));
    node.put(MARKER, "bundle of-before\n");
    let failed = node.install(&folder);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for said in [&failed.stderr, &node.read(LOG).unwrap()] {
        assert!(said.contains("ops-last is broken"), "{said}");
        assert!(
            said.ends_with(&format!(" error: apt cannot install the bundle; {LOG} has the reason\n")),
            "{said}"
        );
    }
    assert_eq!(node.read(MARKER), None);
    // The power is cut: dpkg's journal is on the disk, and its state says less than what was done.
    node.put("/mended", "");
    node.run(
        "cd /var/lib/dpkg; sed -n '/^Package: ops-last$/,/^$/p' status >updates/0001; test -s updates/0001",
    )
    .succeeds();
    node.install(&folder).succeeds();
    assert_eq!(node.installed().iter().filter(|package| package.starts_with("ops-last ")).count(), 1);
    assert_eq!(node.run("dpkg --audit; ls /var/lib/dpkg/updates").succeeds().stdout, "");
    assert!(node.read(MARKER).is_some());
}
