//! Secrets that were lost or came back, and what stands in the way of keeping them.

use std::path::Path;

use fs_err as fs;

use super::would_be_committed;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, program};

#[test]
fn secrets_from_a_backup_and_what_a_full_disk_left_are_hidden_from_git_as_well() {
    let sandbox = Sandbox::built_lab();
    Run::of(sandbox.command("git").args(["init", "--quiet", "."])).succeeds();
    let is_hidden = || !would_be_committed(&sandbox).iter().any(|path| path.starts_with("lab/secrets/"));
    assert!(is_hidden());
    let list = sandbox.path("lab/secrets/.gitignore");
    for damage in [|list: &Path| fs::remove_file(list).unwrap(), |list: &Path| fs::write(list, "").unwrap()] {
        damage(&list);
        assert!(!is_hidden());
        sandbox.seedkit(&["ca", "-f", SPEC, "show"]).succeeds();
        assert!(is_hidden());
    }
}

#[test]
fn a_full_disk_leaves_no_empty_list_for_git() {
    let sandbox = Sandbox::lab();
    fs::remove_dir_all(sandbox.path("lab/secrets")).unwrap_or_default();
    let script = r#"mkdir disk && mount -t tmpfs -o size=64k,nr_inodes=1000 none disk
        mkdir -m 700 disk/secrets
        dd if=/dev/zero of=disk/fill bs=1k 2>/dev/null || true
        "$SEEDKIT" ca -f lab/seedkit.yaml --secrets disk/secrets && exit 1
        ls -A disk/secrets"#;
    assert_eq!(sandbox.with_own_mounts(script).succeeds().stdout, "");
}

#[test]
fn a_key_that_was_lost_is_named_and_none_is_made_in_its_place() {
    for (key, certificate) in [("ca.key", "ca.crt"), ("registry.key", "registry.crt")] {
        let sandbox = Sandbox::built_lab();
        fs::remove_file(sandbox.path(format!("lab/secrets/{key}"))).unwrap();
        let run = sandbox.seedkit(&["ca", "-f", SPEC]);
        let error = run.fails(2);
        let what = format!("the secrets folder has `{certificate}`, but not its private key `{key}`");
        assert!(error.contains(&what) && error.contains("from a backup"), "{error}");
        assert!(!sandbox.path(format!("lab/secrets/{key}")).exists());
    }
}

#[test]
fn a_key_for_people_is_not_made_anew_beside_the_public_half_of_another() {
    let sandbox = Sandbox::built_lab();
    let key = sandbox.path("lab/secrets/id_ed25519");
    let moved = sandbox.path("moved");
    fs::rename(&key, &moved).unwrap();
    let run = sandbox.seedkit(&BUILD);
    let error = run.fails(2);
    let what = "the secrets folder has `id_ed25519.pub`, but not its private key `id_ed25519`";
    assert!(error.contains(what) && error.contains("know only the old key"), "{error}");
    assert!(!key.exists());
    // Another key is not taken for it, and the same one with another comment is.
    let mut keygen = sandbox.command("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "other", "-f", "other"]);
    Run::of(&mut keygen).succeeds();
    fs::rename(sandbox.path("other"), &key).unwrap();
    let run = sandbox.seedkit(&["iso", "-f", SPEC, "-o", "seeds"]);
    let error = run.fails(2);
    assert!(error.contains("`id_ed25519.pub` in the secrets folder is not the public half"), "{error}");
    fs::rename(&moved, &key).unwrap();
    let public = key.with_extension("pub");
    let renamed = fs::read_to_string(&public).unwrap().replace("seedkit lab", "operators");
    fs::write(&public, renamed).unwrap();
    sandbox.seedkit(&BUILD).succeeds();
}

#[test]
fn a_kit_made_with_other_keys_than_the_one_before_is_said() {
    let sandbox = Sandbox::built_lab();
    let warning = "`kit` has another certificate authority: nodes that were booted from it do not trust";
    assert!(!sandbox.seedkit(&BUILD).succeeds().stderr.contains(warning));
    fs::rename(sandbox.path("lab/secrets"), sandbox.path("lost")).unwrap();
    let run = sandbox.seedkit(&BUILD).succeeds();
    assert!(run.stderr.contains(warning), "{run:?}");
}

#[test]
fn nothing_is_written_among_the_secrets_or_into_the_store() {
    let sandbox = Sandbox::built_lab();
    let before = crate::support::sandbox::files(&sandbox.path("lab/secrets"));
    for (arguments, place) in [
        (&["build", "-f", SPEC, "-o", "lab/secrets/kit"][..], "`lab/secrets/kit` is in the secrets"),
        (&["build", "-f", SPEC, "-o", "kit", "--deliver", "lab/secrets"], "`lab/secrets` is in the secrets"),
        (&["iso", "-f", SPEC, "-o", "lab/secrets/seeds"], "`lab/secrets/seeds` is in the secrets"),
        (&["iso", "-f", SPEC, "-o", "store/seeds", "--cache-dir", "store"], "`store/seeds` is in the store"),
        (&["mirror", "-f", SPEC, "-o", "store/out", "--cache-dir", "store"], "`store/out` is in the store"),
    ] {
        let run = sandbox.seedkit(arguments);
        assert!(run.fails(2).contains(&format!("{place}: nothing else is written there")), "{run:?}");
    }
    assert_eq!(crate::support::sandbox::files(&sandbox.path("lab/secrets")), before);
}

#[test]
fn tokens_that_were_lost_are_named_and_one_for_all_is_refused() {
    let sandbox = Sandbox::built_lab();
    let folder = sandbox.path("lab/secrets");
    assert!(!sandbox.seedkit(&BUILD).succeeds().stderr.contains("anew"));
    fs::remove_file(folder.join("server-token")).unwrap();
    let run = sandbox.seedkit(&BUILD).succeeds();
    assert!(
        run.stderr.contains("`server-token` was not in the secrets folder, and was made anew"),
        "{run:?}"
    );
    fs::copy(folder.join("server-token"), folder.join("agent-token")).unwrap();
    let run = sandbox.seedkit(&BUILD);
    let error = run.fails(2);
    assert!(error.contains("are the same: agents could join as servers"), "{error}");
}

#[test]
fn without_a_home_the_store_is_not_put_into_the_project() {
    let sandbox = Sandbox::lab();
    let mut command = sandbox.command(program());
    let run = Run::of(command.args(BUILD).env_remove("HOME").env_remove("XDG_CACHE_HOME"));
    assert!(run.fails(2).contains("HOME is not set"), "{run:?}");
    assert!(!sandbox.path(".cache").exists());
}

#[test]
fn a_clock_behind_the_lock_makes_no_certificates() {
    let sandbox = Sandbox::lab();
    let lock = sandbox.read("lab/seedkit.lock");
    let line = lock.lines().find(|line| line.starts_with("epoch = ")).unwrap();
    sandbox.write("lab/seedkit.lock", lock.replace(line, "epoch = 4102444800"));
    let run = sandbox.seedkit(&BUILD);
    let error = run.fails(2);
    assert!(
        error.contains("the lock was made at 2100-01-01T00:00:00Z") && error.contains("set the clock"),
        "{error}"
    );
    assert!(!sandbox.path("lab/secrets/ca.key").exists());
}

#[test]
fn a_secret_that_is_elsewhere_is_looked_for_before_anything_is_fetched() {
    let sandbox = Sandbox::lab();
    let spec =
        sandbox.read(SPEC).replace("\nssh:\n", "\nssh:\n  consolePasswordFrom: {env: NOT_SET_ANYWHERE}\n");
    sandbox.write(SPEC, spec);
    for command in [&BUILD[..], &["iso", "-f", SPEC]] {
        let run = sandbox.seedkit(&[command, &["-v"]].concat());
        assert!(run.fails(2).contains("NOT_SET_ANYWHERE"), "{run:?}");
        assert!(!run.stderr.contains("mirror images") && !run.stderr.contains("fetch files"), "{run:?}");
    }
}

#[test]
fn a_password_of_several_lines_is_refused_and_not_shown() {
    for odd in ["hunter2\nhunter3", "hunter2\u{1b}[2J", "hunter2\thunter3"] {
        let auth = "\nregistry:\n  auth: {username: nodes, passwordFrom: {env: PASSWORD}}\n";
        let setting = "  configFrom:\n    etcd-s3-secret-key: {env: PASSWORD}\n  config:\n";
        for (before, after) in [("\nregistry:\n", auth), ("  config:\n", setting)] {
            let sandbox = Sandbox::lab();
            sandbox.edit(SPEC, before, after);
            let mut command = sandbox.command(program());
            let run = Run::of(command.args(BUILD).env("PASSWORD", odd));
            let error = run.fails(2);
            let what = "what the environment variable `PASSWORD` holds is not one line of text";
            assert!(error.contains(what) && !run.stderr.contains("hunter"), "{run:?}");
        }
    }
}

#[test]
fn a_key_with_options_is_one_that_check_knows() {
    let sandbox = Sandbox::lab();
    let mut keygen = sandbox.command("ssh-keygen");
    Run::of(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", "key"])).succeeds();
    let line = format!("from=\"10.0.0.0/8,192.168.0.0/16\" {}", sandbox.read("key.pub").trim());
    sandbox.edit(SPEC, "\nssh:\n", &format!("\nssh:\n  authorizedKeys: ['{line}']\n"));
    sandbox.seedkit(&BUILD).succeeds();
}
