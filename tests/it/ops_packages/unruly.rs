//! Mirrors of packages that break off, are cut for good, or give wrong bytes.

use std::sync::Arc;

use fs_err as fs;
use seedkit::digest::Digest;

use super::repository::{Repository, USUAL};
use crate::opsbundle::debs::Debs;
use crate::support::hostile::Answer;
use crate::support::sandbox::{self, Run, SPEC};
use crate::support::unruly::{Ask, Trap, Unruly, Whim, noise};

#[test]
fn releases_indices_and_packages_go_on_where_they_broke_off() {
    let repository = Repository::start();
    let files = contents(&repository);
    let server = serve(&files, |ask| (ask.number == 0).then_some(Whim::Cut(50)));
    let sandbox = repository.lab("tool");
    sandbox.edit(SPEC, &repository.server.url(), &server.url());
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["pack", "packages", "-f", SPEC, "-o", "out"]).succeeds();
    assert_eq!(repository.server.requests(), []);
    for name in ["InRelease", "Packages", "library-1.deb", "tool-0.deb"] {
        let last = files.iter().find(|(file, _)| file == name).unwrap().1.len() - 1;
        assert_eq!(server.asked(name), ["whole".to_owned(), format!("bytes=50-{last}")], "{name}");
        assert_eq!(server.sent_twice(name), 0, "{name}");
    }
}

/// A repository whose index and whose tool are large enough to be cut in the middle.
fn large() -> Repository {
    let debs = Debs::new();
    let noise: String = noise(200_000).bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let package = |name: &str| format!("Package: {name}\nVersion: 1:2.0-1\nArchitecture: all");
    debs.add(&package("tool"), &[("usr/share/tool", &noise)]);
    debs.add(&package("bystander"), &[]);
    let repository = Repository::of("bookworm", &debs);
    let index = repository.index("amd64");
    let stanza = index.split("\n\n").find(|stanza| stanza.starts_with("Package: bystander\n")).unwrap();
    let another = |number| stanza.replacen("bystander", &format!("bystander-{number}"), 1);
    let more: String = (0..1000).map(|number| format!("\n{}\n", another(number).trim())).collect();
    repository.set_index("amd64", index.trim_end().to_owned() + "\n" + &more);
    repository.publish(USUAL);
    repository
}

/// Returns all files of a repository by their names.
fn contents(repository: &Repository) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    repository.write_into(folder.path());
    let content = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(folder.path().join(&path)).unwrap())
    };
    sandbox::files(folder.path()).into_iter().map(content).collect()
}

/// Serves them, with a whim.
fn serve(
    files: &[(String, Vec<u8>)],
    whim: impl Fn(&Ask<'_>) -> Option<Whim> + Send + Sync + 'static,
) -> Unruly {
    let named: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    Unruly::files(&named, Some("\"1\""), whim)
}

const LOCK: [&str; 3] = ["lock", "-f", SPEC];
const PACK: [&str; 6] = ["pack", "packages", "-f", SPEC, "-o", "out"];

#[test]
fn an_index_and_a_package_go_on_after_a_kill_and_after_a_cut_where_the_last_run_left_them() {
    const KEPT: usize = 100_000;
    let repository = large();
    let files = contents(&repository);
    for (name, is_killed) in
        [("Packages", true), ("Packages", false), ("tool-0.deb", true), ("tool-0.deb", false)]
    {
        let what = format!("{name}, {}", if is_killed { "killed" } else { "cut" });
        let trap = Trap::after(KEPT);
        let spring = Arc::clone(&trap);
        let server = serve(&files, move |ask| match (ask.name == name && ask.number == 0, is_killed) {
            (true, true) => Some(spring.whim()),
            (true, false) => Some(Whim::Cut(KEPT)),
            (false, _) => None,
        });
        let sandbox = repository.lab("tool");
        sandbox.edit(SPEC, &repository.server.url(), &server.url());
        let mut arguments = LOCK.to_vec();
        if name != "Packages" {
            sandbox.seedkit(&LOCK).succeeds();
            arguments = PACK.to_vec();
        }
        let content = &files.iter().find(|(file, _)| file == name).unwrap().1;
        let digest = Digest::sha256(content);
        let kept = sandbox.store().join("partial").join(format!("sha256-{}", digest.hex()));
        let child = sandbox.spawn(&[&arguments[..], &["--retries", "0"]].concat());
        trap.set(&child, kept.clone());
        let ended = Run::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, if is_killed { None } else { Some(2) }, "{what}: {ended:?}");
        assert_eq!(fs::metadata(&kept).unwrap().len(), KEPT as u64, "{what}");
        sandbox.seedkit(&arguments).succeeds();
        let rest = format!("bytes={KEPT}-{}", content.len() - 1);
        assert_eq!(server.asked(name), ["whole".to_owned(), rest], "{what}");
        assert!(!kept.exists(), "{what}");
        let stored = fs::read(sandbox.store().join("sha256").join(digest.hex())).unwrap();
        assert!(stored == *content, "{what}");
    }
}

#[test]
fn a_package_that_is_wrong_or_breaks_off_at_one_mirror_comes_from_the_next() {
    let repository = large();
    let files = contents(&repository);
    let (name, content) = files.iter().find(|(name, _)| name == "tool-0.deb").unwrap();
    let whole = "whole".to_owned();
    for (whim, why, asked) in [
        (Whim::Wrong, "has the wrong content", whole),
        (Whim::Cut(100_000), "breaks off", format!("bytes=100000-{}", content.len() - 1)),
    ] {
        let bad = serve(&files, move |ask| (ask.name == "tool-0.deb").then(|| whim.clone()));
        let good = serve(&files, |_| None);
        let sandbox = repository.lab("tool");
        let urls = format!("{}/debian\", \"{}", bad.url(), good.url());
        sandbox.edit(SPEC, &repository.server.url(), &urls);
        sandbox.seedkit(&LOCK).succeeds();
        let packed = sandbox.seedkit(&[&PACK[..], &["--retries", "0"]].concat()).succeeds();
        let said = packed.stderr.lines().find(|line| line.contains("is passed over"));
        let said = said.unwrap_or_else(|| panic!("{packed:?}"));
        assert!(said.contains(&format!("`{}/debian`", bad.url())) && said.contains(why), "{said}");
        assert_eq!((bad.asked(name), good.asked(name)), (vec!["whole".to_owned()], vec![asked]), "{why}");
        let stored = fs::read(sandbox.store().join("sha256").join(Digest::sha256(content).hex())).unwrap();
        assert!(stored == *content, "{why}");
        assert_eq!(good.asked("Packages"), [""; 0], "the first mirror has the index");
    }
}

#[test]
fn an_index_that_is_wrong_at_one_mirror_and_a_release_that_is_not_there_come_from_the_next() {
    let repository = large();
    let files = contents(&repository);
    let unavailable = || Whim::Says(Answer::new(503, ""));
    let down = serve(&files, move |_| Some(unavailable()));
    let bad = serve(&files, |ask| (ask.name == "Packages").then_some(Whim::Wrong));
    let good = serve(&files, |_| None);
    let sandbox = repository.lab("tool");
    let urls = format!("{}/debian\", \"{}/debian\", \"{}", down.url(), bad.url(), good.url());
    sandbox.edit(SPEC, &repository.server.url(), &urls);
    let locked = sandbox.seedkit(&[&LOCK[..], &["--retries", "0"]].concat()).succeeds();
    for (server, why) in [(&down, "answers 503"), (&bad, "has the wrong content")] {
        let begin = format!("`{}/debian` is passed over: ", server.url());
        let said = locked.stderr.lines().find(|line| line.contains(&begin));
        assert!(said.is_some_and(|line| line.contains(why)), "{locked:?}");
    }
    assert_eq!((bad.asked("Packages").len(), good.asked("Packages").len()), (1, 1));
    assert_eq!(good.asked("InRelease"), [""; 0]);
}

#[test]
fn with_keep_going_the_other_packages_are_fetched_and_what_is_missing_is_listed() {
    let repository = Repository::start();
    let sandbox = repository.lab("tool");
    sandbox.seedkit(&LOCK).succeeds();
    let path = "pool/library-1.deb";
    let library = repository.file(path);
    repository.remove(path);
    let run = sandbox.seedkit(&[&PACK[..], &["--keep-going", "--json"]].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    let failures = run.json()["failures"].clone();
    assert_eq!((&failures[0]["kind"], &failures[0]["name"]), (&"package".into(), &"library".into()));
    assert!(failures[0]["reasons"].to_string().contains("answers 404"), "{failures}");
    assert_eq!(failures.as_array().unwrap().len(), 1);
    let stored = |bytes: &[u8]| sandbox.store().join("sha256").join(Digest::sha256(bytes).hex()).exists();
    assert!(stored(&repository.file("pool/tool-0.deb")) && !stored(&library));
    assert_eq!(sandbox::files(&sandbox.path("out")), [""; 0].map(std::path::PathBuf::from));
    let before = repository.server.requests().len();
    repository.set(path, library);
    sandbox.seedkit(&PACK).succeeds();
    let asked =
        repository.server.requests()[before..].iter().map(|request| request.line()).collect::<Vec<_>>();
    assert_eq!(asked, ["GET /debian/pool/library-1.deb"]);
}
