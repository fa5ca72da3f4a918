//! Bundles of ops packages: whole, damaged, foreign and hostile.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::Path;

use fs_err as fs;
use seedkit::opsbundle::{Bundle, BundleInput};
use seedkit::template::Templates;
use serde_json::{Value, json};

use crate::opsbundle::debs::{Debs, field};
use crate::support::oracle;
use crate::support::sandbox::{Run, Sandbox, files};

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                         License: MIT\n\nFiles: debian/*\nLicense: GPL-2+\n";

/// Writes a bundle of two packages, one of which is requested, into a folder; returns its file name.
pub(crate) fn write_bundle(folder: &Path) -> String {
    let debs = Debs::new();
    debs.add(
        "Package: ops-tool\nVersion: 2:1.0-1\nArchitecture: all\nDepends: ops-library",
        &[("usr/share/doc/ops-tool/copyright", COPYRIGHT), ("usr/bin/ops-tool", "#!/bin/sh\n")],
    );
    debs.add("Package: ops-library\nVersion: 1.5\nArchitecture: all", &[("usr/share/library", "library\n")]);
    let (packages, requested) = (debs.packages(), BTreeSet::from(["ops-tool".to_owned()]));
    let epoch = "1763683200".parse().unwrap();
    let input = BundleInput {
        suite: "bookworm",
        architecture: "amd64",
        requested: &requested,
        packages: &packages,
        epoch,
        signer: None,
    };
    let bundle = Bundle::plan(&input, &Templates::builtin()).unwrap();
    let file = fs::File::create(folder.join(bundle.file_name())).unwrap();
    bundle.write(NonZero::new(2).unwrap(), file).unwrap();
    bundle.file_name()
}

/// A sandbox with a bundle, and the same unpacked by tar in `open/`.
pub(super) struct Fixture {
    pub(super) sandbox: Sandbox,
    file_name: String,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let sandbox = Sandbox::new();
        let file_name = write_bundle(&sandbox.path(""));
        fs::create_dir(sandbox.path("open")).unwrap();
        let fixture = Self { sandbox, file_name };
        fixture.tar(&["-xzf", &format!("../{}", fixture.file_name)]);
        fixture
    }

    pub(super) fn name(&self) -> &str {
        self.file_name.strip_suffix(".tar.gz").unwrap()
    }

    /// Runs GNU tar where the bundle is unpacked.
    pub(super) fn tar(&self, arguments: &[&str]) {
        oracle::finish(oracle::command("tar").args(arguments).current_dir(self.sandbox.path("open")));
    }

    /// Returns the path of something in the unpacked bundle.
    pub(super) fn inside(&self, path: &str) -> String {
        format!("open/{}/{path}", self.name())
    }

    /// Packs what is in `open/` again, and inspects that.
    pub(super) fn inspect_repacked(&self) -> Run {
        self.tar(&["-czf", "../changed.tar.gz", self.name()]);
        self.sandbox.seedkit(&["inspect", "--json", "changed.tar.gz"])
    }

    /// Writes SHA256SUMS anew, by sha256sum.
    pub(super) fn sum_again(&self) {
        let folder = self.sandbox.path(self.inside(""));
        let script = "find * -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > ../sums && mv ../sums SHA256SUMS";
        oracle::finish(oracle::command("sh").args(["-euc", script]).current_dir(folder));
    }
}

/// Returns findings as `problem path`.
fn findings(run: &Run) -> Vec<String> {
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let result = run.json();
    let findings = result["findings"].as_array().unwrap().iter();
    findings.map(|finding| format!("{} {}", text(&finding["problem"]), text(&finding["path"]))).collect()
}

#[test]
fn a_bundle_is_listed_as_dpkg_and_sha256sum_see_it() {
    let fixture = Fixture::new();
    let result = fixture.sandbox.seedkit(&["inspect", "--json", &fixture.file_name]).succeeds().json();
    assert_eq!(result["kind"], "ops-bundle");
    assert_eq!(result["path"], fixture.file_name);
    assert_eq!(
        [&result["name"], &result["suite"], &result["architecture"], &result["epoch"], &result["requested"]],
        [
            &json!(fixture.name()),
            &json!("bookworm"),
            &json!("amd64"),
            &json!(1_763_683_200),
            &json!(["ops-tool"])
        ]
    );
    let pool = fixture.sandbox.path(fixture.inside("pool"));
    let mut bytes = 0;
    let packages: Vec<Value> = files(&pool)
        .iter()
        .map(|file| {
            let path = pool.join(file);
            let control = oracle::text("dpkg-deb", ["--field".as_ref(), path.as_os_str()]);
            let sum = oracle::text("sha256sum", [&path]);
            let size = fs::metadata(&path).unwrap().len();
            bytes += size;
            let name = field(&control, "Package");
            let licenses = if name == "ops-tool" { json!(["GPL-2+", "MIT"]) } else { json!([]) };
            json!({
                "name": name,
                "version": field(&control, "Version"),
                "architecture": "all",
                "file": format!("pool/{}", file.display()),
                "size": size,
                "sha256": format!("sha256:{}", sum.split(' ').next().unwrap()),
                "licenses": licenses,
                "why": "a test",
            })
        })
        .collect();
    assert_eq!(result["packages"], json!(packages));
    assert_eq!((&result["count"], &result["bytes"]), (&json!(2), &json!(bytes)));
    assert_eq!(result["findings"], json!([]));
}

#[test]
fn people_read_a_table() {
    let fixture = Fixture::new();
    let text = fixture.sandbox.seedkit(&["inspect", &fixture.file_name]).succeeds().stdout;
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines[..6],
        [
            fixture.name(),
            "  suite:         bookworm",
            "  architecture:  amd64",
            "  date:          2025-11-21T00:00:00Z",
            "  requested:     ops-tool",
            "",
        ]
    );
    let columns = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(columns(lines[6]), ["PACKAGE", "VERSION", "ARCHITECTURE", "SIZE", "LICENCES", "WHY"]);
    let [name, version, architecture, _, licences, why] = &columns(lines[8])[..] else { panic!("{text}") };
    assert_eq!(
        [name, version, architecture, licences, why],
        ["ops-tool", "2:1.0-1", "all", "GPL-2+, MIT", "a test"]
    );
    assert!(lines[9].starts_with("2 packages, "), "{text}");
    let verdict = format!("{}: everything in it is what it says it is", fixture.file_name);
    assert_eq!(lines.last(), Some(&verdict.as_str()));
}

#[test]
fn every_file_that_is_changed_missing_or_added_is_named() {
    let fixture = Fixture::new();
    let package = "pool/ops-library_1.5_all.deb";
    fixture.sandbox.write(&fixture.inside("stray"), "x");
    assert_eq!(findings(&fixture.inspect_repacked()), ["extra stray"]);
    fs::remove_file(fixture.sandbox.path(fixture.inside("stray"))).unwrap();
    let mut bytes = fs::read(fixture.sandbox.path(fixture.inside(package))).unwrap();
    let place = bytes.len() - 9;
    bytes[place] ^= 1;
    fixture.sandbox.write(&fixture.inside(package), &bytes);
    let found = findings(&fixture.inspect_repacked());
    assert!(found.contains(&format!("bad {package}")), "{found:?}");
    fs::remove_file(fixture.sandbox.path(fixture.inside(package))).unwrap();
    let run = fixture.inspect_repacked();
    assert!(findings(&run).contains(&format!("missing {package}")), "{}", run.stdout);
    assert_eq!(run.json()["packages"].as_array().unwrap().len(), 1);
    let text = fixture.sandbox.seedkit(&["inspect", "changed.tar.gz"]);
    assert_eq!(text.code, Some(1));
    assert!(text.stdout.contains(&format!("`{package}` is missing\n")), "{}", text.stdout);
    assert!(text.stdout.ends_with("findings\n"), "{}", text.stdout);
}

#[test]
fn sums_that_were_made_to_fit_do_not_hide_what_was_changed() {
    let fixture = Fixture::new();
    fixture.sandbox.edit(&fixture.inside("request"), "ops-tool\n", "ops-other\n");
    fixture.sum_again();
    // The name is made from the sums, the manifest from the request, and no package is called so.
    assert_eq!(findings(&fixture.inspect_repacked()), ["wrong SHA256SUMS", "wrong request", "wrong request"]);
    let fixture = Fixture::new();
    for package in ["ops-tool_1.0-1_all.deb", "ops-library_1.5_all.deb"] {
        fs::rename(
            fixture.sandbox.path(fixture.inside(&format!("pool/{package}"))),
            fixture.sandbox.path(format!("open/{package}")),
        )
        .unwrap();
    }
    // One package under the other's name: as the index says, and not what it says itself.
    fs::copy(
        fixture.sandbox.path("open/ops-tool_1.0-1_all.deb"),
        fixture.sandbox.path(fixture.inside("pool/ops-library_1.5_all.deb")),
    )
    .unwrap();
    fixture.sum_again();
    let found = findings(&fixture.inspect_repacked());
    for expected in
        ["wrong pool/ops-library_1.5_all.deb", "wrong manifest.json", "wrong Packages", "wrong SHA256SUMS"]
    {
        assert!(found.iter().any(|finding| finding == expected), "{expected}: {found:?}");
    }
}

#[test]
fn a_bundle_without_its_lists_still_shows_its_packages() {
    let fixture = Fixture::new();
    for name in ["manifest.json", "SHA256SUMS"] {
        fs::remove_file(fixture.sandbox.path(fixture.inside(name))).unwrap();
    }
    let run = fixture.inspect_repacked();
    assert_eq!(findings(&run), ["missing SHA256SUMS", "missing manifest.json"]);
    assert_eq!(run.json()["packages"][1]["version"], "2:1.0-1");
    fixture.sandbox.write(&fixture.inside("manifest.json"), "{\"version\": 2}");
    fixture.sandbox.write(&fixture.inside("SHA256SUMS"), "no sums\n");
    let run = fixture.inspect_repacked();
    assert_eq!(findings(&run), ["wrong SHA256SUMS", "wrong SHA256SUMS", "wrong manifest.json"]);
    assert!(run.stdout.contains("it has version 2, which this seedkit does not know"), "{}", run.stdout);
}

#[test]
fn links_and_files_beside_the_folder_are_findings() {
    let fixture = Fixture::new();
    fs_err::os::unix::fs::symlink("/etc/passwd", fixture.sandbox.path(fixture.inside("link"))).unwrap();
    fixture.sandbox.write("open/beside", "x");
    fixture.tar(&["-czf", "../changed.tar.gz", fixture.name(), "beside"]);
    let run = fixture.sandbox.seedkit(&["inspect", "--json", "changed.tar.gz"]);
    assert_eq!(findings(&run), ["wrong beside".to_owned(), format!("wrong {}/link", fixture.name())]);
}

#[test]
fn a_bundle_cut_or_changed_anywhere_is_never_called_whole() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.sandbox.path(&fixture.file_name)).unwrap();
    let reject = |bytes: &[u8], what: String| {
        fixture.sandbox.write("damaged.tar.gz", bytes);
        let run = fixture.sandbox.seedkit(&["inspect", "damaged.tar.gz"]);
        assert!(matches!(run.code, Some(1 | 2)), "{what}: {run:?}");
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("damaged.tar.gz") && !said.contains("panicked"), "{what}: {said}");
    };
    for part in 0..24 {
        let length = whole.len() * part / 24;
        reject(&whole[..length], format!("cut at {length}"));
        // Behind gzip's own header, where a time could be another one.
        let place = 10 + (whole.len() - 10) * part / 24;
        let mut changed = whole.clone();
        changed[place] ^= 0x10;
        reject(&changed, format!("changed at {place}"));
    }
    reject(&whole[..whole.len() - 1], "cut at the last byte".to_owned());
    fixture.sandbox.write("damaged.tar.gz", &whole[..whole.len() / 2]);
    let run = fixture.sandbox.seedkit(&["inspect", "damaged.tar.gz"]);
    let said = run.fails(2);
    assert!(said.starts_with("error: `damaged.tar.gz` is damaged, or no honest archive\n"), "{said}");
    assert!(
        said.contains("because: it is truncated: it ends in or after `ops-packages-bookworm-amd64-"),
        "{said}"
    );
}

#[test]
fn what_is_no_bundle_is_named_for_what_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("other/file", "x");
    sandbox.write("empty", "");
    sandbox.write("text", "hello\n".repeat(200));
    sandbox.write("short", "x");
    let tar = |arguments: &[&str]| {
        oracle::finish(oracle::command("tar").args(arguments).current_dir(sandbox.path("")));
    };
    tar(&["-czf", "other.tar.gz", "other"]);
    tar(&["-cJf", "other.tar.xz", "other"]);
    tar(&["-cf", "nothing.tar", "-T", "/dev/null"]);
    oracle::finish(oracle::command("gzip").args(["-k", "text"]).current_dir(sandbox.path("")));
    oracle::finish(oracle::command("mkfifo").arg("fifo").current_dir(sandbox.path("")));
    for (name, said) in [
        ("other.tar.gz", "an archive that begins with `other`"),
        ("other.tar.xz", "compressed by xz"),
        ("text", "a text"),
        ("short", "a text"),
        ("empty", "empty"),
        ("text.gz", "it is not a tar archive, or a damaged one"),
        ("other", "a folder without kit.json, oci-layout and index.json"),
        ("fifo", "neither a file nor a folder"),
        ("missing", "cannot read `missing`"),
    ] {
        let run = sandbox.seedkit(&["inspect", name]);
        let error = run.fails(2);
        assert!(error.contains(said) && error.contains(&format!("`{name}`")), "{name}: {error}");
    }
}
