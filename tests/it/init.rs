//! `seedkit init`, through the program.

use fs_err as fs;

use crate::support::sandbox::{Run, Sandbox, copy_tree, lab};

// As on a machine behind a filter: the release's binary is a file of one's own, and images come from a layout. The
// template's `url` and `checksums` therefore become a `path`, and `sources` are added; nothing else is touched.
#[test]
fn init_writes_a_spec_that_builds() {
    let sandbox = Sandbox::new();
    let run = sandbox.seedkit(&["init", "mine"]).succeeds();
    assert_eq!(
        run.stdout.lines().filter(|line| line.starts_with("wrote mine/")).count(),
        3,
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("next: ") && run.stdout.contains("`seedkit build`"), "{}", run.stdout);
    let spec = sandbox.read("mine/seedkit.yaml");
    let binary = spec.find("      url: https://").unwrap();
    let end = spec[binary..].find("  # ").unwrap() + binary;
    let path = "      path: k3s\n";
    let sources = "sources:\n  docker.io: { from: \"oci:images\" }\n";
    sandbox.write("mine/seedkit.yaml", format!("{}{path}{}{sources}", &spec[..binary], &spec[end..]));
    copy_tree(&lab().join("images"), &sandbox.path("mine/images"));
    fs::copy(lab().join("k3s-stand-in.sh"), sandbox.path("mine/k3s")).unwrap();
    let run = Run::of(sandbox.prepare(&["build"]).current_dir(sandbox.path("mine"))).succeeds();
    assert!(run.stderr.contains("8 images"), "{}", run.stderr);
    sandbox.seedkit(&["verify", "mine/kit"]).succeeds();
    let ignored = sandbox.read("mine/.gitignore");
    for name in sandbox.names("mine").iter().filter(|name| ["kit", "secrets"].contains(&name.as_str())) {
        assert!(ignored.contains(name.as_str()), "{name} would be committed: {ignored}");
    }
}

#[test]
fn init_refuses_where_a_file_is_there_and_changes_nothing() {
    for name in ["seedkit.yaml", "images.txt", ".gitignore"] {
        let sandbox = Sandbox::new();
        sandbox.write(name, "mine");
        let run = sandbox.seedkit(&["init"]);
        assert!(
            run.fails(2).starts_with(&format!("error: `./{name}` exists already; nothing was written")),
            "{run:?}"
        );
        assert_eq!((sandbox.names(""), sandbox.read(name)), (vec![name.to_owned()], "mine".to_owned()));
    }
}

#[test]
fn init_names_all_that_is_there() {
    let sandbox = Sandbox::new();
    sandbox.write("lab/.gitignore", "mine");
    fs_err::os::unix::fs::symlink("nowhere", sandbox.path("lab/seedkit.yaml")).unwrap();
    let run = sandbox.seedkit(&["init", "lab"]);
    assert_eq!(
        run.fails(2),
        "error: `lab/seedkit.yaml`, `lab/.gitignore` exist already; nothing was written\n  \
         hint: name another folder, or move them away"
    );
    assert_eq!(sandbox.names("lab"), [".gitignore", "seedkit.yaml"]);
}

// With as many inodes as the first file, or the folder, needs.
#[test]
fn init_takes_back_what_it_wrote_when_it_cannot_write_the_rest() {
    for inodes in [2, 3, 4] {
        let sandbox = Sandbox::new();
        let script = format!(
            r#"mkdir disk
            mount -t tmpfs -o nr_inodes={inodes} seedkit disk
            code=0
            "$SEEDKIT" init disk/new/lab || code=$?
            find disk -mindepth 1 >left
            exit "$code""#
        );
        let run = sandbox.with_own_mounts(&script);
        assert!(
            run.fails(2).contains("nothing was written") && run.stderr.contains("free some space"),
            "{run:?}"
        );
        assert_eq!(sandbox.read("left"), "", "{inodes}");
    }
}
