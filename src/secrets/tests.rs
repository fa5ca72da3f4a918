//! What is created, found and refused.

use super::*;

fn made(text: &str) -> Result<SecretText, SecretsError> {
    Ok(SecretText(text.to_owned()))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn sandbox() -> (tempfile::TempDir, Secrets) {
    let parent = tempfile::tempdir().unwrap();
    let secrets = Secrets::open(&parent.path().join("secrets")).unwrap();
    (parent, secrets)
}

#[test]
fn the_folder_is_0700_and_a_secret_0600() {
    let (_parent, secrets) = sandbox();
    secrets.load_or_create("server-token", || made("a")).unwrap();
    secrets.load_or_create("registry.crt", || made("b")).unwrap();
    secrets.replace("registry.crt", &SecretText::from("c".to_owned())).unwrap();
    assert_eq!(mode(secrets.folder()), 0o700);
    assert_eq!(mode(&secrets.path("server-token").unwrap()), 0o600);
    assert_eq!(mode(&secrets.path("registry.crt").unwrap()), 0o600);
}

#[test]
fn a_secret_is_made_once_and_loaded_ever_after() {
    let (_parent, secrets) = sandbox();
    assert_eq!(secrets.load("token").unwrap(), None);
    assert!(secrets.load_or_create("token", || made("first")).unwrap().is_new);
    let again =
        secrets.load_or_create("token", || -> Result<_, SecretsError> { panic!("made again") }).unwrap();
    assert_eq!((again.text.expose(), again.is_new), ("first", false));
    assert_eq!(fs::read_dir(secrets.folder()).unwrap().count(), 2, "the secret, and what hides it from git");
}

#[test]
fn racing_creators_end_with_the_same_content() {
    let (_parent, secrets) = sandbox();
    let barrier = std::sync::Barrier::new(8);
    let racer = |number: usize| {
        // Everybody has seen that the secret is missing before anybody creates it.
        let make = || {
            barrier.wait();
            made(&format!("from {number}"))
        };
        secrets.load_or_create("token", make).unwrap()
    };
    let results: Vec<Secret> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || racer(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let on_disk = secrets.load("token").unwrap().unwrap();
    assert!(results.iter().all(|secret| secret.text == on_disk));
    assert_eq!(results.iter().filter(|secret| secret.is_new).count(), 1);
}

#[test]
fn a_folder_or_secret_that_others_may_open_is_refused_with_the_chmod_to_type() {
    let (_parent, secrets) = sandbox();
    secrets.load_or_create("token", || made("x")).unwrap();
    let path = secrets.path("token").unwrap();
    for file_mode in [0o640, 0o604, 0o620, 0o602, 0o644] {
        set_mode(&path, file_mode);
        let message = secrets.load("token").unwrap_err().to_string();
        assert!(message.ends_with(&format!("type `chmod 0600 '{}'`", path.display())), "{message}");
    }
    for folder_mode in [0o750, 0o705, 0o755, 0o777] {
        set_mode(secrets.folder(), folder_mode);
        let message = Secrets::open(secrets.folder()).unwrap_err().to_string();
        assert!(message.contains(&format!("(mode {folder_mode:04o}): type `chmod 0700 '")), "{message}");
    }
}

#[test]
fn a_file_system_without_permissions_is_explained() {
    let message = refusal(Path::new("/mnt/c/lab/secrets"), 0o777, 0o777).to_string();
    assert!(
        message.contains("Windows drive under WSL") && message.contains("Linux file system"),
        "{message}"
    );
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
    let (_parent, secrets) = sandbox();
    for name in ["", ".", "..", "../token", "/etc/passwd", "a/b", ".hidden", "a\0", "ä", &"x".repeat(101)] {
        assert!(matches!(secrets.load(name), Err(SecretsError::Name(..))), "{name}");
    }
}

#[test]
fn what_is_no_secret_is_refused() {
    let (_parent, secrets) = sandbox();
    let write = |name: &str, bytes: &[u8]| create_new(&secrets.path(name).unwrap(), bytes, 0o600).unwrap();
    write("empty", b"");
    write("huge", &vec![b'x'; 64 * 1024 + 1]);
    write("binary", &[0xff, 0xfe]);
    fs::create_dir(secrets.path("folder").unwrap()).unwrap();
    let pipe = secrets.path("pipe").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(secrets.load("empty"), Err(SecretsError::Empty(..))));
    assert!(matches!(secrets.load("huge"), Err(SecretsError::TooLarge(..))));
    assert!(matches!(secrets.load("binary"), Err(SecretsError::NotText(..))));
    assert!(matches!(secrets.load("folder"), Err(SecretsError::NotAFile(..))));
    assert!(matches!(secrets.load("pipe"), Err(SecretsError::NotAFile(..))));
}

#[test]
fn a_secret_does_not_print_itself() {
    let secret = Secret { text: SecretText("hunter2\n".to_owned()), is_new: true };
    assert_eq!(format!("{secret:?}"), "Secret { text: [secret], is_new: true }");
    assert_eq!(secret.text.expose_line(), "hunter2");
}
