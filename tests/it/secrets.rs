//! Secrets at the edges: what the store, git and a crash would show to others.

mod lost;

use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::images::{image, layer};
use crate::support::kits::write_kit;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, files, program};

/// Runs the program under test, with `umask 000`.
fn with_an_open_umask(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut command = sandbox.command("sh");
    command.args(["-c", "umask 000; exec \"$SEEDKIT\" \"$@\"", "sh"]).args(arguments);
    Run::of(command.env("SEEDKIT", program()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Returns whether another user reads the file.
fn nobody_reads(path: &Path) -> bool {
    let mut command = oracle::command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]).arg(path);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// Lets everybody enter the sandbox, as a home directory of 0755 does.
fn let_everybody_in(sandbox: &Sandbox) {
    for folder in [sandbox.home().parent().unwrap(), &sandbox.home(), &sandbox.path("")] {
        fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn the_store_shows_no_file_of_a_spec_to_other_users() {
    let sandbox = Sandbox::lab();
    let_everybody_in(&sandbox);
    sandbox.write("open", "everybody reads this");
    assert!(nobody_reads(&sandbox.path("open")), "the test would show nothing");
    with_an_open_umask(&sandbox, &["lock", "-f", SPEC]).succeeds();
    let store = sandbox.store();
    assert_eq!(mode(&sandbox.home().join(".cache")) & 0o022, 0, "others could put another store there");
    for folder in ["", "sha256", "sha512"] {
        assert_eq!(mode(&store.join(folder)), 0o700, "{folder}");
    }
    let motd = fs::read(sandbox.path("lab/motd")).unwrap();
    let is_motd = |path: &&std::path::PathBuf| fs::read(store.join(path)).unwrap() == motd;
    let stored = store.join(files(&store).iter().find(is_motd).unwrap());
    assert_eq!(mode(&stored), 0o400);
    // A store of an earlier seedkit, which everybody could enter and read.
    for folder in ["", "sha256", "sha512"] {
        fs::set_permissions(store.join(folder), PermissionsExt::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&stored, PermissionsExt::from_mode(0o444)).unwrap();
    assert!(nobody_reads(&stored));
    with_an_open_umask(&sandbox, &["lock", "--check", "-f", SPEC]).succeeds();
    assert!(!nobody_reads(&stored));
}

/// Returns what git would commit of everything that is there.
fn would_be_committed(sandbox: &Sandbox) -> Vec<String> {
    let mut command = sandbox.command("git");
    let run =
        Run::of(command.args(["-c", "core.quotePath=off", "add", "--all", "--dry-run", "."])).succeeds();
    run.stdout
        .lines()
        .map(|line| line.trim_start_matches("add '").trim_end_matches('\'').to_owned())
        .collect()
}

#[test]
fn git_passes_over_secrets_kits_and_seeds_whoever_wrote_the_spec() {
    let sandbox = Sandbox::lab();
    Run::of(sandbox.command("git").args(["init", "--quiet", "."])).succeeds();
    let before = would_be_committed(&sandbox);
    assert!(before.contains(&SPEC.to_owned()), "{before:?}");
    sandbox.seedkit(&["build", "-f", SPEC, "-o", "out", "--deliver", "vm"]).succeeds();
    sandbox.seedkit(&["iso", "-f", SPEC, "-o", "more"]).succeeds();
    assert!(sandbox.path("vm/seed-server-1.iso").is_file() || sandbox.names("vm").len() > 1);
    assert_eq!(would_be_committed(&sandbox), before);
    // What hides the kit belongs to it.
    assert!(sandbox.read("out/SHA256SUMS").contains("  .gitignore\n"));
    sandbox.seedkit(&["verify", "out"]).succeeds();
}

#[test]
fn a_folder_that_init_began_hides_whatever_seedkit_makes_in_it() {
    let sandbox = Sandbox::new();
    Run::of(sandbox.command("git").args(["init", "--quiet", "."])).succeeds();
    sandbox.seedkit(&["init"]).succeeds();
    let before = would_be_committed(&sandbox);
    for made in
        ["airgap-images-linux-amd64-0.tar.zst", "ops-packages-bookworm-amd64-0.tar.gz", "vm/seed-a.iso"]
    {
        sandbox.write(made, "");
    }
    assert_eq!(would_be_committed(&sandbox), before);
}

#[test]
fn what_git_is_told_by_the_user_stays() {
    let sandbox = Sandbox::lab();
    for folder in ["vm", "lab/secrets"] {
        sandbox.write(&format!("{folder}/.gitignore"), "# mine\n");
    }
    fs::set_permissions(sandbox.path("lab/secrets"), PermissionsExt::from_mode(0o700)).unwrap();
    let run = sandbox.seedkit(&[&BUILD[..], &["--deliver", "vm"]].concat()).succeeds();
    for folder in ["vm", "lab/secrets"] {
        assert_eq!(sandbox.read(&format!("{folder}/.gitignore")), "# mine\n");
    }
    for warning in
        ["git does not pass over `lab/secrets`", "`vm` has a .gitignore that does not name the seeds"]
    {
        assert!(run.stderr.contains(warning), "{warning}: {}", run.stderr);
    }
    // Whoever names them too hears nothing.
    sandbox.write("vm/.gitignore", "/seed-*.iso\npayload.iso\n# mine\n");
    sandbox.write("lab/secrets/.gitignore", "*\n");
    let run = sandbox.seedkit(&[&BUILD[..], &["--deliver", "vm"]].concat()).succeeds();
    assert!(!run.stderr.contains("git"), "{}", run.stderr);
}

#[test]
fn secrets_that_cannot_be_kept_are_refused_before_anything_is_locked() {
    let sandbox = Sandbox::lab();
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
    fs::create_dir(sandbox.path("lab/secrets")).unwrap();
    fs::set_permissions(sandbox.path("lab/secrets"), PermissionsExt::from_mode(0o755)).unwrap();
    let run = sandbox.seedkit(&BUILD);
    assert!(run.fails(2).contains("is open to other users"), "{}", run.stderr);
    assert!(!sandbox.path("lab/seedkit.lock").exists());
}

/// Starts a program that may leave core files of any size, and returns when it may.
fn with_core_files(sandbox: &Sandbox, script: &str) -> Child {
    let mut command = sandbox.command("sh");
    command.args(["-c", &format!("ulimit -c unlimited && echo begun && exec {script} >/dev/null")]);
    command.env("SEEDKIT", program()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut begun = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut begun).unwrap();
    child
}

/// Lets a program crash: returns the limit of its core file, the signal that ended it, and whether it left one.
fn crash(mut child: Child) -> (String, Option<i32>, bool) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    let limit = limit.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    kill_process(Pid::from_child(&child), Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    (limit, status.signal(), status.core_dumped())
}

#[test]
fn a_crash_leaves_no_core_file() {
    let sandbox = Sandbox::new();
    let abort = Some(Signal::ABORT.as_raw());
    // Whether the kernel can write one here depends on the machine; that it may does not.
    let (limit, signal, _) = crash(with_core_files(&sandbox, "tail -f /dev/null"));
    assert_eq!((limit.as_str(), signal), ("unlimited unlimited", abort), "the test would show nothing");
    write_kit(&sandbox, &[("quay.io/lab/image:1", &image("linux", "amd64", &[layer("image")]))]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = format!("\"$SEEDKIT\" push kit {} --plain-http", listener.local_addr().unwrap());
    let child = with_core_files(&sandbox, &push);
    // It has begun, and waits for an answer that never comes.
    let _connection = listener.accept().unwrap();
    assert_eq!(crash(child), ("0 0".to_owned(), abort, false));
}

/// Builds the lab with a registry that wants a password, and returns the digest of what nodes log in with.
fn public_digest(sandbox: &Sandbox, from: &str) -> String {
    let auth = format!("  auth: {{ username: puller, passwordFrom: {from} }}\n");
    let sans = "  sans: [registry.lab.example]\n";
    if !sandbox.read(SPEC).contains(&auth) {
        sandbox.edit(SPEC, sans, &format!("{sans}{auth}"));
    }
    Run::of(sandbox.prepare(&BUILD).env("REGISTRY_PASSWORD", "hunter2")).succeeds();
    let sums = sandbox.read("kit/SHA256SUMS");
    let line = sums.lines().find(|line| line.ends_with("  registry/registries.yaml")).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_password_cannot_be_guessed_from_a_digest_that_everybody_reads() {
    let from = "{ env: REGISTRY_PASSWORD }";
    let [one, other] = [Sandbox::lab(), Sandbox::lab()];
    let digest = public_digest(&one, from);
    assert_ne!(digest, public_digest(&other, from), "the password is all that there is to guess");
    assert_eq!(digest, public_digest(&one, from), "a build is the same each time");
    let salt = one.read("lab/secrets/registry-salt");
    assert!(one.read("kit/registry/registries.yaml").starts_with(&format!("# {salt}")));
}

#[test]
fn a_password_is_made_once_if_the_spec_wants_that() {
    let sandbox = Sandbox::lab();
    let digest = public_digest(&sandbox, "{ generate: registry-password }");
    let password = sandbox.read("lab/secrets/registry-password");
    assert_eq!(
        (password.trim_end().len(), mode(&sandbox.path("lab/secrets/registry-password"))),
        (32, 0o600)
    );
    let line = format!("password: \"{}\"\n", password.trim_end());
    assert!(sandbox.read("kit/registry/registries.yaml").contains(&line));
    assert_eq!(public_digest(&sandbox, "{ generate: registry-password }"), digest);
}

#[test]
fn a_build_finds_each_secret_that_a_seed_shows() {
    let sandbox = Sandbox::built_lab();
    let refused = |content: &str, mode: &str, said: &str| {
        let spec = sandbox.read(SPEC);
        sandbox.write("lab/shown", content);
        let file = format!(
            "files:\n  - source: {{ path: shown }}\n    destination: /etc/shown\n    mode: \"{mode}\"\n"
        );
        sandbox.edit(SPEC, "files:\n", &file);
        sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
        let run = sandbox.seedkit(&BUILD);
        assert!(run.fails(1).contains(said), "{}", run.stderr);
        sandbox.write(SPEC, spec);
    };
    let secret = |name: &str| sandbox.read(&format!("lab/secrets/{name}"));
    refused(&secret("ca.key"), "0600", "it holds the secret `ca.key`, which is not a node's");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret("registry.key"));
    refused(&encoded, "0600", "it holds the secret `registry.key`, which is not a node's");
    let password = format!("the password is {}", secret("node-password-k3s-worker1"));
    refused(
        &password,
        "0644",
        "it holds the secret `node-password-k3s-worker1`, and others than root may read it",
    );
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&BUILD).succeeds();
}

#[test]
fn nothing_is_taken_from_the_secrets_folder() {
    let sandbox = Sandbox::built_lab();
    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    fs_err::os::unix::fs::symlink(sandbox.path("lab/secrets/ca.key"), sandbox.path("lab/link")).unwrap();
    let spec = sandbox.read(SPEC);
    for path in ["secrets/ca.key", "link", "./secrets/../secrets/ca.key"] {
        let file = format!("files:\n  - source: {{ path: {path} }}\n    destination: /etc/shown\n");
        sandbox.edit(SPEC, "files:\n", &file);
        let run = sandbox.seedkit(&["lock", "-f", SPEC]);
        assert!(run.fails(2).contains("which is in the secrets folder"), "{}", run.stderr);
        sandbox.write(SPEC, &spec);
    }
}

/// A key of S3 and a datastore's password, one from the secrets folder and one from the environment.
#[test]
fn secret_settings_of_k3s_reach_the_servers_configuration_and_nothing_else() {
    const S3_KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY";
    const DATASTORE: &str = "postgres://k3s:hunter2-hunter2@192.168.6.1:5432/k3s";
    let sandbox = Sandbox::lab();
    let from = "  configFrom:\n    etcd-s3-secret-key: { secret: s3-key }\n    datastore-endpoint: { env: DATASTORE }\n";
    sandbox.edit(SPEC, "\n  config:\n", &format!("\n{from}  config:\n"));
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    let build = |datastore: Option<&str>| {
        let mut command = sandbox.command(program());
        command.args(BUILD);
        command.envs(datastore.map(|value| ("DATASTORE", value)));
        Run::of(&mut command)
    };
    let run = build(None);
    let said = run.fails(2);
    assert!(
        said.contains("the value of k3s' `datastore-endpoint` is not in the environment variable"),
        "{said}"
    );
    let run = build(Some(DATASTORE));
    let said = run.fails(2);
    assert!(said.contains("`etcd-s3-secret-key` is not in the secrets folder's file `s3-key`"), "{said}");
    sandbox.write("lab/secrets/s3-key", format!("{S3_KEY}\n"));
    fs::set_permissions(sandbox.path("lab/secrets/s3-key"), PermissionsExt::from_mode(0o600)).unwrap();
    let run = build(Some(DATASTORE)).succeeds();
    for secret in [S3_KEY, "hunter2-hunter2"] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret));
        let holders = holders(&sandbox, secret);
        let expected = ["kit/seeds/seed-k3s-master1.iso", "lab/secrets/s3-key"];
        let expected = if secret == S3_KEY { &expected[..] } else { &expected[..1] };
        assert_eq!(holders, expected, "{secret}");
    }
    let seed = sandbox.path("kit/seeds/seed-k3s-master1.iso");
    assert_eq!(mode(&seed), 0o600);
    let config = sandbox.path("config.yaml");
    let source = "/payload/root/etc/rancher/k3s/config.yaml";
    oracle::run(
        "xorriso",
        ["-osirrox", "on", "-indev", seed.to_str().unwrap(), "-extract", source, config.to_str().unwrap()],
    );
    assert_eq!(mode(&config) & 0o777, 0o600);
    let config = fs::read_to_string(&config).unwrap();
    assert!(config.contains(S3_KEY) && config.contains(DATASTORE), "{config}");
}

/// Returns the files of the sandbox, its store among them, that hold `text`.
fn holders(sandbox: &Sandbox, text: &str) -> Vec<String> {
    let holds = |path: &&std::path::PathBuf| {
        memchr::memmem::find(&fs::read(path).unwrap(), text.as_bytes()).is_some()
    };
    let below = |folder: std::path::PathBuf| files(&folder).into_iter().map(move |path| folder.join(path));
    let all: Vec<_> = below(sandbox.path("")).chain(below(sandbox.home())).collect();
    let holders = all.iter().filter(|path| fs::metadata(path).is_ok_and(|data| data.is_file())).filter(holds);
    let name =
        |path: &std::path::PathBuf| path.strip_prefix(sandbox.path("")).unwrap_or(path).display().to_string();
    holders.map(name).collect()
}

/// Returns every line of every secret that could be known again, with the secret's name.
fn secret_lines(sandbox: &Sandbox) -> Vec<(String, String)> {
    let folder = sandbox.path("lab/secrets");
    let names = crate::support::sandbox::names(&folder).into_iter();
    let secrets =
        names.filter(|name| !name.ends_with(".crt") && !name.ends_with(".pub") && !name.starts_with('.'));
    let lines = secrets.flat_map(|name| {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.len() > 8 && !line.starts_with("-----"))
            .map(str::to_owned)
            .collect();
        lines.into_iter().map(move |line| (name.clone(), line))
    });
    lines.collect()
}

#[test]
fn a_build_under_umask_000_shows_no_secret_outside_of_its_place() {
    let sandbox = Sandbox::lab();
    with_an_open_umask(&sandbox, &BUILD).succeeds();
    let lines = secret_lines(&sandbox);
    assert!(
        lines.iter().any(|(name, _)| name == "server-token")
            && lines.iter().any(|(name, _)| name == "ca.key")
    );
    for (name, line) in lines {
        for holder in holders(&sandbox, &line) {
            assert_eq!(mode(&sandbox.path(&holder)) & 0o077, 0, "others may read `{name}` in `{holder}`");
            let is_secrets = holder.starts_with("lab/secrets/");
            let is_kits = holder.starts_with("kit/seeds/") || holder.starts_with("kit/registry/");
            assert!(is_secrets || is_kits && name != "ca.key", "`{name}` is in `{holder}`");
        }
    }
    assert_eq!(mode(&sandbox.path("lab/secrets")), 0o700);
}

/// bindfs with what a Windows drive under WSL is like: everybody may do everything, and chmod changes nothing.
#[test]
fn a_drive_that_keeps_no_permissions_is_named_once() {
    let drive =
        "mkdir -p back drive; bindfs --perms=0777:a+D --chmod-ignore --create-with-perms=a+rwX back drive; ";
    for (arguments, folders) in [
        ("build -f lab/seedkit.yaml -o drive/kit", "`drive/kit`"),
        ("build -f lab/seedkit.yaml -o kit --deliver drive/vms", "`drive/vms`"),
        ("build -f lab/seedkit.yaml -o drive/kit --deliver drive/vms", "`drive/kit` and `drive/vms`"),
        ("iso -f lab/seedkit.yaml -o drive/seeds", "`drive/seeds`"),
        ("build -f lab/seedkit.yaml -o kit", ""),
    ] {
        let sandbox = Sandbox::lab();
        let script = format!("{drive} code=0; \"$SEEDKIT\" {arguments} || code=$?; umount drive; exit $code");
        let run = sandbox.with_own_mounts(&script).succeeds();
        let said: Vec<&str> =
            run.stderr.lines().filter(|line| line.contains("can read the tokens")).collect();
        if folders.is_empty() {
            assert_eq!(said, [""; 0]);
        } else {
            assert_eq!(said.len(), 1, "{arguments}: {}", run.stderr);
            let expected = format!("every user of this machine can read the tokens and keys in {folders}: ");
            assert!(said[0].contains(&expected) && said[0].contains("icacls"), "{}", said[0]);
        }
        // What is not on the drive is closed as ever.
        for (name, line) in secret_lines(&sandbox) {
            for holder in holders(&sandbox, &line).iter().filter(|holder| !holder.starts_with("back/")) {
                assert_eq!(mode(&sandbox.path(holder)) & 0o077, 0, "others may read `{name}` in `{holder}`");
            }
        }
    }
}
