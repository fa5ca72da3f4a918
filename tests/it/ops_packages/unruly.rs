//! A mirror of packages whose every file breaks off once.

use fs_err as fs;

use super::repository::Repository;
use crate::support::sandbox::{self, SPEC};
use crate::support::unruly::{Unruly, Whim};

#[test]
fn releases_indices_and_packages_go_on_where_they_broke_off() {
    let repository = Repository::start();
    let folder = tempfile::tempdir().unwrap();
    repository.write_into(folder.path());
    let files: Vec<(String, Vec<u8>)> = sandbox::files(folder.path())
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(folder.path().join(&path)).unwrap())
        })
        .collect();
    let named: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let server = Unruly::files(&named, Some("\"1\""), |ask| (ask.number == 0).then_some(Whim::Cut(50)));
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
