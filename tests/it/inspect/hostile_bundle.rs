//! Bundles of packages that somebody has made to harm.

use std::io::Write as _;

use fs_err as fs;
use seedkit::inspect::Options;
use seedkit::progress::Silent;

use super::bundle::Fixture;
use crate::support::alone;
use crate::support::sandbox::Sandbox;

/// Returns an archive of such members, compressed: letter of the kind, path, content.
fn hostile(members: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (kind, path, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(*kind));
        header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend(header.as_bytes());
        tar.extend(*content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend([0; 1024]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn hostile_archives_are_refused_by_what_they_try() {
    const FOLDER: &str = "ops-packages-bookworm-amd64-0123456789ab";
    let sandbox = Sandbox::new();
    let folder = (b'5', FOLDER, &b""[..]);
    let up = format!("{FOLDER}/../../etc/cron.d/x");
    let twice = format!("{FOLDER}/request");
    for (members, said) in [
        (
            vec![folder, (b'0', up.as_str(), b"x")],
            format!("has the member `{up}`, which is not a path within an archive"),
        ),
        (
            vec![folder, (b'0', "/etc/passwd", b"x")],
            "has the member `/etc/passwd`, which is not a path".to_owned(),
        ),
        (
            vec![folder, (b'0', &twice, b"a\n"), (b'0', &twice, b"b\n")],
            format!("has the member `{twice}`, which is there twice"),
        ),
        (
            vec![folder, (b'4', &twice, b"")],
            format!("has the member `{twice}`, which is of the unknown kind `4`"),
        ),
    ] {
        sandbox.write("hostile.tar.gz", hostile(&members));
        let run = sandbox.seedkit(&["inspect", "hostile.tar.gz"]);
        let error = run.fails(2);
        assert!(error.contains("`hostile.tar.gz`") && error.contains(&said), "{error}");
    }
}

#[test]
fn texts_of_a_bundle_do_not_steer_a_terminal() {
    let fixture = Fixture::new();
    let manifest = fixture.inside("manifest.json");
    let text = fixture.sandbox.read(&manifest).replacen("a test", "\\u001b[2Jx\\nfake: everything", 1);
    fixture.sandbox.write(&manifest, text);
    fixture.tar(&["-czf", "../changed.tar.gz", fixture.name()]);
    let text = fixture.sandbox.seedkit(&["inspect", "changed.tar.gz"]).stdout;
    assert!(!text.contains('\u{1b}') && text.contains(r"\u{1b}[2Jx\nfake: everything"), "{text}");
}

#[test]
fn an_archive_that_unpacks_to_far_too_much_is_refused_in_little_memory() {
    alone::run(module_path!(), "a_bomb_alone");
}

/// Half a gibibyte of zeros in half a megabyte; where a list belongs, where a package belongs, and elsewhere.
#[test]
#[ignore = "asks for its own peak memory"]
fn a_bomb_alone() {
    const FOLDER: &str = "ops-packages-bookworm-amd64-0123456789ab";
    let folder = tempfile::tempdir().unwrap();
    for inside in ["SHA256SUMS", "pool/x.deb", "Packages.gz", "stray"] {
        let path = folder.path().join("bomb.tar.gz");
        let file = fs::File::create(&path).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::best());
        let mut header = tar::Header::new_gnu();
        header.set_path(format!("{FOLDER}/{inside}")).unwrap();
        header.set_size(512 << 20);
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        for _ in 0..512 {
            gzip.write_all(&[0; 1 << 20]).unwrap();
        }
        gzip.write_all(&[0; 1024]).unwrap();
        gzip.finish().unwrap();
        let error = seedkit::inspect::path(&path, &Options { now: 0, reporter: &Silent }).unwrap_err();
        let cause = format!("{:#}", anyhow::Error::new(error));
        assert!(cause.contains(inside) && cause.contains("it unpacks to more than the"), "{cause}");
    }
    // SHA256SUMS is kept up to its own limit.
    assert!(alone::peak_memory() < 160 * 1024, "{} KiB", alone::peak_memory());
}
