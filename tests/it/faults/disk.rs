//! Disks that are full, read-only or simple.

use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, debris, program};

/// Runs a build that cannot work on the mounted folder `disk`, lists what it leaves there, mends the disk, builds again.
///
/// Returns the failing run and what it left.
fn on_a_bad_disk(sandbox: &Sandbox, mount: &str, build: &str, mend: &str) -> (Run, String) {
    let script = format!(
        r#"mkdir -p disk
        mount -t tmpfs -o {mount} seedkit disk
        code=0
        "$SEEDKIT" {build} || code=$?
        find disk -mindepth 1 | sort >left
        mount -o remount,{mend} disk
        "$SEEDKIT" {build} >second 2>&1 || cat second
        "$SEEDKIT" verify --progress none "$([ -e kit ] && echo kit || echo disk/kit)" >verified
        exit "$code""#
    );
    let mut run = sandbox.with_own_mounts(&script);
    run.stderr = without_random_names(&run.stderr, sandbox);
    assert!(sandbox.read("verified").contains("are what the kit says they are"), "{run:?}");
    assert_eq!(debris(&sandbox.path("")), [] as [std::path::PathBuf; 0]);
    (run, sandbox.read("left"))
}

/// Writes the sandbox as `$SANDBOX`, and temporary names as `TEMPORARY`.
fn without_random_names(text: &str, sandbox: &Sandbox) -> String {
    let text = text.replace(sandbox.path("").to_str().unwrap().trim_end_matches('/'), "$SANDBOX");
    let mut parts = text.split(".seedkit-");
    let first = parts.next().unwrap_or_default().to_owned();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '-';
    parts.fold(first, |text, part| text + "TEMPORARY" + part.trim_start_matches(is_name))
}

const SPACE: &str = "hint: free some space (`df -h` and `df -i` say where it is short), or choose other places with \
                     --output and --cache-dir";

#[test]
fn what_a_disk_cannot_hold_is_known_before_anything_is_fetched() {
    for (mount, build, mend, error) in [
        (
            "ro",
            "build -f lab/seedkit.yaml -o disk/kit",
            "rw",
            "error: cannot write the kit `disk/kit`\n  \
             because: cannot create a temporary folder in `disk`: Read-only file system (os error 30)\n  \
             hint: choose a place that you may write to with --output or --cache-dir"
                .to_owned(),
        ),
        (
            "size=1m",
            "build -f lab/seedkit.yaml -o disk/kit",
            "size=64m",
            format!(
                "error: there is no room for the kit\n  \
                 because: `disk/kit` has 1.0 MiB free; the build needs up to 19.1 MiB\n  {SPACE}"
            ),
        ),
        (
            "size=1m",
            "build -f lab/seedkit.yaml -o kit --deliver disk/seeds",
            "size=64m",
            format!(
                "error: there is no room for the kit\n  \
                 because: `disk/seeds` has 1.0 MiB free; the build needs up to 3.1 MiB\n  {SPACE}"
            ),
        ),
        (
            "size=8k",
            "build -f lab/seedkit.yaml -o disk/kit --cache-dir disk/store",
            "size=64m",
            format!(
                "error: there is no room for the kit\n  \
                 because: `disk/store` has 8.0 KiB free; the build needs up to 19.1 MiB\n  {SPACE}"
            ),
        ),
    ] {
        let (run, left) = on_a_bad_disk(&Sandbox::lab(), mount, build, mend);
        assert_eq!(run.fails(2), error);
        assert_eq!(left.lines().filter(|line| !line.starts_with("disk/store")).count(), 0, "{left}");
        assert!(!run.stderr.contains("mirror images"), "{}", run.stderr);
    }
}

// What cannot be foreseen: a file system that runs out of something else than bytes.
#[test]
fn a_disk_that_fills_up_while_the_kit_is_written_leaves_nothing() {
    let build = "build -f lab/seedkit.yaml -o disk/kit";
    let (run, left) = on_a_bad_disk(&Sandbox::lab(), "size=64m,nr_inodes=40", build, "nr_inodes=1000");
    let error = run.fails(2);
    let written = "error: cannot mirror the images\n  \
                   because: cannot write the layout `$SANDBOX/disk/TEMPORARY/images`\n  \
                   because: cannot create `$SANDBOX/disk/TEMPORARY/images/blobs/sha256/";
    assert!(error.starts_with(written), "{error}");
    assert!(error.ends_with(&format!("`: No space left on device (os error 28)\n  {SPACE}")), "{error}");
    assert_eq!(left, "");
}

#[test]
fn a_disk_that_fills_up_while_the_store_is_filled_keeps_what_is_whole() {
    let build = "build -f lab/seedkit.yaml -o disk/kit --cache-dir disk/store";
    let (run, left) = on_a_bad_disk(&Sandbox::lab(), "size=64m,nr_inodes=20", build, "nr_inodes=1000");
    let error = run.fails(2);
    // Blobs are begun in one folder, which the first of them makes, manifests written in another, by several threads.
    let places = [
        ("partial", "create folder"),
        ("partial", "create a file in"),
        ("sha256", "create a temporary file in"),
    ];
    let is_named = places.iter().any(|(folder, what)| {
        error.ends_with(&format!(
            "\n  because: cannot write to the store `disk/store/{folder}`\n  because: cannot {what} \
             `disk/store/{folder}`: No space left on device (os error 28)\n  {SPACE}"
        ))
    });
    assert!(is_named, "{error}");
    let blobs = left.lines().filter(|line| line.starts_with("disk/store/sha256/")).count();
    assert!(blobs > 5 && !left.contains(".seedkit-"), "{left}");
}

#[test]
fn a_store_that_is_full_of_what_is_needed_may_be_read_only() {
    let sandbox = Sandbox::built_lab();
    let script = r#"mount --bind "$HOME/.cache/seedkit" "$HOME/.cache/seedkit"
        mount -o remount,bind,ro "$HOME/.cache/seedkit"
        exec "$SEEDKIT" build -f lab/seedkit.yaml -o kit"#;
    sandbox.with_own_mounts(script).succeeds();
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

#[test]
fn a_result_that_cannot_be_printed_is_an_error_and_the_kit_is_there() {
    let sandbox = Sandbox::lab();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Run::of(sandbox.prepare(&BUILD).stdout(full));
    let error = format!(
        "error: cannot print the result\n  because: No space left on device (os error 28)\n  {SPACE}"
    );
    assert_eq!(run.fails(2), error);
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

#[test]
fn nobody_needs_to_read_the_result() {
    let sandbox = Sandbox::lab();
    let script = format!(
        r#""$0" build -f {SPEC} -o kit 2>errors | true; "$0" schema 2>>errors | head -n 1 >first; cat errors >&2"#
    );
    let run = Run::of(sandbox.command("bash").args([
        "-o",
        "pipefail",
        "-c",
        &script,
        crate::support::sandbox::program(),
    ]))
    .succeeds();
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
    assert_eq!(sandbox.read("first"), "{\n");
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

// The signal of it kills whoever does not catch it: with what was begun, and without a word.
#[test]
fn a_file_beyond_a_users_limit_is_an_error_that_leaves_nothing() {
    for limit in [1, 1_000, 20_000, 300_000] {
        let sandbox = Sandbox::lab();
        let mut limited = sandbox.command("prlimit");
        let run = Run::of(limited.arg(format!("--fsize={limit}")).arg(program()).args(BUILD));
        let error = run.fails(2);
        assert!(error.contains("` ") || error.contains("`:"), "nothing is named: {error}");
        assert!(error.to_lowercase().contains("file too large"), "{limit}: {error}");
        assert!(
            error.contains("\n  hint: `ulimit -f unlimited` lifts a limit of this shell"),
            "{limit}: {error}"
        );
        let begun = [sandbox.path(""), sandbox.store()].map(|folder| debris(&folder)).concat();
        assert_eq!((begun, sandbox.path("kit").exists()), (Vec::new(), false), "{limit}");
        sandbox.seedkit(&BUILD).succeeds();
    }
}
