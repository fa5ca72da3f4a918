//! The lab's repository of packages: made by seedkit, judged by apt, and installed on a node.

use std::path::Path;
use std::process::Command;

use fs_err as fs;

use super::node::Node;
use crate::support::oracle;
use crate::support::sandbox::{SPEC, Sandbox, files, lab};

#[path = "../../../examples/make-lab-packages/repository.rs"]
mod repository;

#[test]
fn the_lab_has_the_repository_that_its_maker_makes() {
    let made = repository::files().unwrap();
    let folder = files(&lab().join(repository::FOLDER));
    let mut committed: Vec<String> =
        folder.iter().map(|path| format!("{}/{}", repository::FOLDER, path.display())).collect();
    committed.push("packages-test-key.asc".to_owned());
    committed.sort();
    let mut names: Vec<&String> = made.keys().collect();
    names.sort();
    assert_eq!(committed.iter().collect::<Vec<_>>(), names);
    for (path, bytes) in made {
        let is_same = fs::read(lab().join(&path)).unwrap() == bytes;
        assert!(is_same, "{path} is out of date: `cargo run --example make-lab-packages`");
    }
}

/// Returns an apt that has nothing but the repository in `folder`, trusted by the lab's certificate alone.
fn apt(state: &Path, folder: &Path) -> Command {
    let path = |name: &str| state.join(name).display().to_string();
    for name in ["etc", "lists/partial", "archives/partial"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    fs::write(path("status"), "").unwrap();
    let key = folder.with_file_name("packages-test-key.asc");
    let source = format!("deb [signed-by={}] file:{} bookworm main\n", key.display(), folder.display());
    fs::write(path("sources.list"), source).unwrap();
    let mut apt = oracle::command("apt-get");
    for option in [
        format!("Dir::Etc={}", path("etc")),
        format!("Dir::Etc::sourcelist={}", path("sources.list")),
        format!("Dir::State={}", path("")),
        format!("Dir::State::status={}", path("status")),
        format!("Dir::Cache={}", path("")),
        "APT::Architecture=amd64".to_owned(),
        "APT::Architectures=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "APT::Install-Recommends=false".to_owned(),
        "APT::Update::Error-Mode=any".to_owned(),
    ] {
        apt.arg("-o").arg(option);
    }
    apt
}

#[test]
fn apt_trusts_the_lab_s_repository_and_chooses_what_the_lock_has() {
    let state = tempfile::tempdir().unwrap();
    let folder = lab().join(repository::FOLDER);
    let said = oracle::finish(apt(state.path(), &folder).arg("update"));
    assert_eq!(String::from_utf8(said.stderr).unwrap(), "", "apt warns");
    let said =
        oracle::finish(apt(state.path(), &folder).args(["--simulate", "install", "seedkit-lab-hello"]));
    let said = String::from_utf8(said.stdout).unwrap();
    let mut chosen: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()).collect();
    chosen.sort_unstable();
    let lock: seedkit::lockfile::Lockfile =
        fs::read_to_string(lab().join("seedkit.lock")).unwrap().parse().unwrap();
    let locked: Vec<String> =
        lock.packages.unwrap().packages.into_iter().map(|package| package.name).collect();
    assert_eq!(chosen, locked);
}

#[test]
fn apt_refuses_the_lab_s_repository_if_a_byte_of_its_release_changes() {
    let sandbox = Sandbox::lab();
    let release = "lab/packages/dists/bookworm/InRelease";
    sandbox.write(release, sandbox.read(release).replace("Label: seedkit lab", "Label: seedkit lob"));
    let state = tempfile::tempdir().unwrap();
    let mut update = apt(state.path(), &sandbox.path("lab/packages"));
    let output = update.arg("update").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("BADSIG"), "{said}");
}

#[test]
fn the_lab_s_bundle_installs_and_its_program_runs() {
    let sandbox = Sandbox::lab();
    sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out", "--locked", "--offline"]).succeeds();
    let [bundle] = &sandbox.names("out")[..] else { panic!("{:?}", sandbox.names("out")) };
    let node = Node::new();
    // The machine that the tests run on may be of another release.
    node.put("/etc/os-release", "VERSION_CODENAME=bookworm\n");
    node.put(&format!("/opt/{bundle}"), fs::read(sandbox.path("out").join(bundle)).unwrap());
    let folder = bundle.strip_suffix(".tar.gz").unwrap();
    let script =
        format!("cd /opt; tar -xf {bundle}; sh {folder}/install.sh >&2; seedkit-lab-hello; dpkg --audit");
    let run = node.run(&script).succeeds();
    assert_eq!(run.stdout, "hello from the ops packages of the lab\n");
    let show = "dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\\n' 'seedkit-lab-*' | grep ^ii";
    assert_eq!(
        node.run(show).succeeds().stdout.lines().collect::<Vec<_>>(),
        ["ii  seedkit-lab-base 1:1.2-1", "ii  seedkit-lab-hello 1.0-1", "ii  seedkit-lab-words-en 1.0-1"]
    );
}
