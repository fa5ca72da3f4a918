//! The certificates that come along, compared with those of Debian's own package.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fs_err as fs;
use seedkit::deb::certificates;
use seedkit::deb::release::Release;
use seedkit::deb::signature::verify;

use super::{lists_folder, now};
use crate::support::oracle;

/// Returns the fingerprint and the last day of each certificate in a file, as GnuPG reads it.
fn listed(file: &Path) -> BTreeMap<String, String> {
    let home = tempfile::tempdir().unwrap();
    let mut gpg = oracle::command("gpg");
    gpg.arg("--homedir").arg(home.path()).args(["--batch", "--quiet", "--no-auto-check-trustdb"]);
    let output = oracle::finish(gpg.args(["--show-keys", "--with-colons"]).arg(file));
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |line: &str, number: usize| line.split(':').nth(number).unwrap().to_owned();
    let certificates = text.split("\npub:").map(|block| block.trim_start_matches("pub:"));
    let mut found = BTreeMap::new();
    for block in certificates {
        let fingerprint = block.lines().find(|line| line.starts_with("fpr:")).unwrap();
        let day = oracle::text("date", ["-u", "-d", &format!("@{}", field(block, 5)), "+%F"]);
        found.insert(field(fingerprint, 9), day.trim().to_owned());
    }
    found
}

#[test]
fn they_are_those_of_debian_s_package_and_the_list_of_them_is_true() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deb/certificates");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut fingerprints = BTreeSet::new();
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "README.md" {
            continue;
        }
        let installed = Path::new("/usr/share/keyrings").join(name.replace(".asc", ".gpg"));
        let own = listed(&file);
        assert_eq!(own, listed(&installed), "{name} is not as in the installed debian-archive-keyring");
        for (fingerprint, day) in own {
            let line = format!("| `{name}` | {fingerprint} | {day} |");
            assert!(readme.contains(&line), "README.md lacks: {line}");
            fingerprints.insert(fingerprint);
        }
        files += 1;
    }
    let found: BTreeSet<String> =
        certificates::debian().fingerprints().iter().map(ToString::to_string).collect();
    assert_eq!((found, files), (fingerprints, 6));
}

#[test]
fn they_verify_the_releases_that_apt_has_fetched() {
    let mut verified = 0;
    for entry in fs::read_dir(lists_folder()).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with("InRelease") {
            continue;
        }
        let text = fs::read(&file).unwrap();
        // Whoever has other sources as well is not stopped by them.
        if !String::from_utf8_lossy(&text).contains("\nOrigin: Debian\n") {
            continue;
        }
        let found = verify(&text, &certificates::debian(), now()).unwrap();
        assert_eq!(Release::parse(&found.text).unwrap().origin, "Debian");
        verified += 1;
    }
    assert!(verified > 0, "no release of Debian in apt's lists: run `apt-get update`");
}
