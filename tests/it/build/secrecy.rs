//! Where secrets may be, and where none is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;

use crate::support::sandbox::{BUILD, Run, Sandbox, files};

/// The password that the registry is asked for.
const PASSWORD: &str = "correct horse battery staple";
/// The files of the secrets folder that are no secrets: certificates and a public key.
const PUBLIC: [&str; 3] = ["ca.crt", "id_ed25519.pub", "registry.crt"];

/// Returns what must not be seen: each token and password, and each line of a private key.
fn secrets(folder: &Path) -> Vec<(String, String)> {
    let mut secrets = vec![("the password".to_owned(), PASSWORD.to_owned())];
    for name in files(folder).into_iter().filter(|name| name != Path::new(".gitignore")) {
        let name = name.to_str().unwrap().to_owned();
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let lines =
            text.lines().filter(|line| !line.starts_with("-----") && !PUBLIC.contains(&name.as_str()));
        secrets.extend(lines.map(|line| (name.clone(), line.to_owned())));
    }
    assert!(secrets.iter().all(|(_, text)| text.len() >= 16), "too short to be looked for");
    secrets
}

/// Panics if any of the secrets is in `bytes`.
fn assert_silent(secrets: &[(String, String)], place: &str, bytes: &[u8]) {
    for (name, secret) in secrets {
        let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!is_there, "{place} holds a secret: `{name}`");
    }
}

#[test]
fn secrets_are_in_the_seeds_and_the_registrys_folder_and_nowhere_else() {
    let sandbox = Sandbox::lab();
    sandbox.edit(
        "lab/seedkit.yaml",
        "  sans: [registry.lab.example]\n",
        "  sans: [registry.lab.example]\n  auth: { username: puller, passwordFrom: { env: REGISTRY_PASSWORD } }\n",
    );
    let run = |arguments: &[&str]| {
        // An empty PATH: nothing is started that could show its arguments to others.
        Run::of(sandbox.prepare(arguments).env("REGISTRY_PASSWORD", PASSWORD).env("PATH", "")).succeeds()
    };
    let with = |flags: &[&'static str]| [&BUILD[..], flags].concat();
    let mut outputs = Vec::new();
    for arguments in [with(&["-v"]), with(&["--json"]), ["ca", "show", "-f", BUILD[2]].to_vec()] {
        outputs.push(run(&arguments));
    }
    let secrets = secrets(&sandbox.path("lab/secrets"));
    assert_eq!(
        secrets.len(),
        1 + 1 + 2 + 3 + 2 * 3 + 5,
        "password, its salt, tokens, node passwords, two EC keys, an SSH key"
    );
    for Run { stdout, stderr, .. } in outputs {
        assert_silent(&secrets, "stdout", stdout.as_bytes());
        assert_silent(&secrets, "stderr", stderr.as_bytes());
    }
    let kit = sandbox.path("kit");
    for file in files(&kit) {
        let is_meant = file.starts_with("seeds")
            || file == Path::new("registry/registry.key")
            || file == Path::new("registry/registries.yaml");
        let metadata = fs::metadata(kit.join(&file)).unwrap();
        if is_meant {
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o600, "{}", file.display());
        } else {
            assert_silent(&secrets, &file.display().to_string(), &fs::read(kit.join(&file)).unwrap());
        }
    }
    for folder in [sandbox.home(), sandbox.path("lab")] {
        for file in files(&folder).into_iter().filter(|file| !file.starts_with("secrets")) {
            assert_silent(&secrets, &file.display().to_string(), &fs::read(folder.join(&file)).unwrap());
        }
    }
    assert!(sandbox.read("kit/registry/registries.yaml").contains(PASSWORD), "the nodes log in with it");
}

#[test]
fn an_error_about_a_secret_does_not_show_it() {
    let sandbox = Sandbox::built_lab();
    for name in ["server-token", "ca.key", "registry.key", "id_ed25519", "registry.crt"] {
        let path = format!("lab/secrets/{name}");
        let good = sandbox.read(&path);
        sandbox.write(&path, "tr0ub4dor&3tr0ub4dor&3\n");
        let run = sandbox.seedkit(&BUILD);
        assert!(run.fails(2).contains(name), "{}", run.stderr);
        assert!(!run.stderr.contains("tr0ub4dor"), "{}", run.stderr);
        sandbox.write(&path, good);
    }
    sandbox.seedkit(&BUILD).succeeds();
}
