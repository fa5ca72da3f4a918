//! The repository: what dpkg, apt and tar read out of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use seedkit::opsbundle::Bundle;

use super::debs::{Debs, field, native};
use super::{archive, bundle, bundle_for, tools};
use crate::support::oracle;

/// Unpacks the archive and returns the folder around the repository, and the repository.
fn unpacked(bundle: &Bundle) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.tar.gz");
    fs::write(&path, archive(bundle)).unwrap();
    oracle::run(
        "tar",
        ["--extract", "--file", path.to_str().unwrap(), "-C", folder.path().to_str().unwrap()],
    );
    let repository = folder.path().join(bundle.name());
    (folder, repository)
}

/// Returns each stanza's fields, by package; fields are in no order.
fn stanzas(index: &str) -> BTreeMap<String, BTreeMap<&str, &str>> {
    let stanzas = index.split("\n\n").filter(|stanza| !stanza.trim().is_empty());
    stanzas
        .map(|stanza| {
            let fields = stanza.trim().lines().map(|line| line.split_once(": ").unwrap());
            (field(stanza, "Package").to_owned(), fields.collect())
        })
        .collect()
}

#[test]
fn dpkg_and_apt_describe_the_pool_as_packages_does() {
    let (_folder, repository) = unpacked(&bundle(&tools().packages(), &["ops-tool"]));
    let index = fs::read_to_string(repository.join("Packages")).unwrap();
    for (program, arguments) in
        [("dpkg-scanpackages", ["--multiversion", "pool"]), ("apt-ftparchive", ["packages", "pool"])]
    {
        let output = oracle::finish(oracle::command(program).args(arguments).current_dir(&repository)).stdout;
        let described = String::from_utf8(output).unwrap();
        let mut described = stanzas(&described);
        for fields in described.values_mut() {
            fields.retain(|name, _| !["MD5sum", "SHA1", "SHA512"].contains(name));
        }
        assert_eq!(described, stanzas(&index), "{program}");
    }
    let zipped = oracle::run("gzip", ["-dc", repository.join("Packages.gz").to_str().unwrap()]).stdout;
    assert_eq!(zipped, index.as_bytes());
}

#[test]
fn sha256sum_agrees_with_every_digest() {
    let (_folder, repository) = unpacked(&bundle(&tools().packages(), &["ops-tool"]));
    let mut sha256sum = oracle::command("sha256sum");
    let checked =
        oracle::finish(sha256sum.args(["--check", "--strict", "SHA256SUMS"]).current_dir(&repository));
    let files = walkdir::WalkDir::new(&repository)
        .into_iter()
        .filter(|entry| entry.as_ref().unwrap().file_type().is_file());
    assert_eq!(String::from_utf8(checked.stdout).unwrap().lines().count(), files.count() - 1);
}

/// Returns what apt would do with the repository on a system that has nothing at all.
fn simulated(repository: &Path, architecture: &str, package: &str) -> String {
    let state = tempfile::tempdir().unwrap();
    let path = |name: &str| state.path().join(name).to_str().unwrap().to_owned();
    for folder in ["etc", "lists/partial", "archives/partial"] {
        fs::create_dir_all(path(folder)).unwrap();
    }
    fs::write(path("status"), "").unwrap();
    fs::write(path("sources.list"), format!("deb [trusted=yes] file:{} ./\n", repository.display())).unwrap();
    let options = [
        format!("Dir::Etc={}", path("etc")),
        format!("Dir::Etc::sourcelist={}", path("sources.list")),
        format!("Dir::State={}", path("")),
        format!("Dir::State::status={}", path("status")),
        format!("Dir::Cache={}", path("")),
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        "APT::Sandbox::User=root".to_owned(),
        "APT::Install-Recommends=false".to_owned(),
        "APT::Update::Error-Mode=any".to_owned(),
        // The bundle is dated in the future.
        "Acquire::Check-Date=false".to_owned(),
    ];
    let apt = || {
        let mut apt = oracle::command("apt-get");
        apt.args(options.iter().flat_map(|option| ["-o", option.as_str()]));
        apt
    };
    let said = oracle::finish(apt().arg("update"));
    assert_eq!(String::from_utf8(said.stderr).unwrap(), "", "apt warns");
    String::from_utf8(oracle::finish(apt().args(["--simulate", "install", package])).stdout).unwrap()
}

#[test]
fn apt_reads_the_repository_and_finds_the_closure_in_it() {
    let (_folder, repository) = unpacked(&bundle(&tools().packages(), &["ops-tool"]));
    let said = simulated(&repository, &native(), "ops-tool");
    let mut installed: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("Inst ")).collect();
    installed.sort();
    let names: Vec<_> = installed.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(names, ["ops-base", "ops-core", "ops-lib", "ops-tool"], "{said}");
    assert!(installed[3].contains("(2:1.0~rc1+b1-1 "), "{said}");
}

#[test]
fn apt_reads_a_repository_for_another_architecture() {
    let foreign = if native() == "arm64" { "amd64" } else { "arm64" };
    let debs = Debs::new();
    debs.add(&format!("Package: ops-tool\nVersion: 1\nArchitecture: {foreign}"), &[]);
    let (_folder, repository) = unpacked(&bundle_for(("trixie", foreign), &debs.packages(), &["ops-tool"]));
    assert!(simulated(&repository, foreign, "ops-tool").contains("Inst ops-tool (1 "));
}

#[test]
fn the_script_has_no_fault_that_shellcheck_knows() {
    let (_folder, repository) = unpacked(&bundle(&tools().packages(), &["ops-tool"]));
    let script = repository.join("install.sh");
    assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o7777, 0o755);
    oracle::run(
        "shellcheck",
        ["--shell=sh", "--enable=all", "--exclude=SC2250,SC2310,SC2312", script.to_str().unwrap()],
    );
}

#[test]
fn members_belong_to_root_and_have_one_time() {
    let bundle = bundle(&tools().packages(), &["ops-tool"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(bundle.file_name());
    fs::write(&path, archive(&bundle)).unwrap();
    let listing =
        oracle::text("tar", ["--list", "--verbose", "--numeric-owner", "--file", path.to_str().unwrap()]);
    for line in listing.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        assert_eq!((fields[1], fields[3], fields[4]), ("0/0", "2100-01-01", "00:00"), "{line}");
        let mode = if line.ends_with('/') || line.ends_with(".sh") { "rwxr-xr-x" } else { "rw-r--r--" };
        assert_eq!(&fields[0][1..], mode, "{line}");
    }
    assert!(listing.lines().all(|line| line.contains(bundle.name())), "{listing}");
}

#[test]
fn neither_umask_nor_time_zone_change_the_bytes() {
    let debs = tools();
    let expected = archive(&bundle(&debs.packages(), &["ops-tool"]));
    fs::write(debs.folder().join("expected"), expected).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "opsbundle::repository::elsewhere_the_bytes_are_the_same"]);
    command.env("TZ", "Asia/Seoul").env("LC_ALL", "C").current_dir(debs.folder());
    let output = String::from_utf8(oracle::finish(&mut command).stdout).unwrap();
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "runs in a process with another umask, in a folder of packages"]
fn elsewhere_the_bytes_are_the_same() {
    let mut packages = super::debs::packages(Path::new("."));
    packages.reverse();
    assert!(archive(&bundle(&packages, &["ops-tool"])) == fs::read("expected").unwrap());
}
