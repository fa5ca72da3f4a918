//! A spec from somebody else may name any file of the machine as anything; nothing of a file that is something else
//! is printed.

use crate::support::sandbox::{SPEC, Sandbox};

/// Ends of a key, a password file and credentials; the parts that matter are letters and digits only.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgx7kQ2aVnZ4r1TqXc\n\
                   0eJ5b8uYdHsWlPoiKqmNvBzRtGhFjDxLaQ1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h\n\
                   Qx7Zk4\n\
                   -----END PRIVATE KEY-----\n";
const SHADOW: &str = "root:$y$j9T$K3n5mQ8xYd0LpR2s$Vt6uW9zA1bC4dE7fG0hJ3kM5nP8qS2tU4vX6yZ8a:19000:0:99999:7:::\n\
                      admin9x7:!$6$saltsalt12$abcDEF123ghiJKL456:19000:0:99999:7:::\n";
const DOCKER: &str = "{\n  \"auths\": {\n    \"registry1.corp2.example3\": {\n      \"auth\": \"dXNlcjpwYXNzd29yZA==\"\n    }\n  }\n}\n";
const TOKEN: &str = "K10a8f5f167f44f4964e6c998dee827110c1f4e2::server:a8f5f167f44f4964e6c998dee827110c\n";
const PASSWORD: &str = "a8f5f167f44f4964e6c998dee827110c\n";

/// Each place of the spec where a file is read: what is replaced there, and by what.
const PLACES: [(&str, &str, &str); 12] = [
    ("images.lists", "- path: images.txt", "- path: FILE"),
    ("k3s.images", "  config:\n", "  images: { path: FILE }\n  config:\n"),
    ("k3s.binary", "{ path: k3s-stand-in.sh }", "{ path: FILE }"),
    ("k3s.airgap", "  config:\n", "  airgap: { linux/amd64: { path: FILE } }\n  config:\n"),
    ("checksums", "{ path: motd }", "{ path: motd, checksums: { path: FILE } }"),
    ("docker-archive", "quay.io: { from: \"oci:images\" }", "quay.io: { from: \"docker-archive:FILE\" }"),
    ("oci-archive", "quay.io: { from: \"oci:images\" }", "quay.io: { from: \"oci-archive:FILE\" }"),
    ("manifest", "  names: [", "  baseline: { manifest: FILE }\n  names: ["),
    ("status", "  names: [", "  baseline: { status: FILE }\n  names: ["),
    ("keyring", "keyring: packages-test-key.asc", "keyring: FILE"),
    ("extra", "  names: [", "  extra: [FILE]\n  names: ["),
    (
        "caFile",
        "quay.io: { from: \"oci:images\" }",
        "quay.io: { from: \"https://127.0.0.1:9\", caFile: FILE }",
    ),
];

/// Returns what must not be seen: runs of letters and digits that no message has by itself.
fn fragments(text: &str) -> Vec<&str> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let is_telling =
        |word: &&str| word.len() > 3 && word.contains(|character: char| character.is_ascii_digit());
    words.filter(is_telling).collect()
}

#[test]
fn a_file_that_is_something_else_is_not_printed() {
    let mut wrong = Vec::new();
    for (place, old, new) in PLACES {
        for (name, text) in
            [("key", KEY), ("shadow", SHADOW), ("docker", DOCKER), ("token", TOKEN), ("password", PASSWORD)]
        {
            let sandbox = Sandbox::lab();
            sandbox.write("lab/elsewhere.deb", text);
            sandbox.edit(SPEC, old, &new.replace("FILE", "elsewhere.deb"));
            let run = sandbox.seedkit(&["lock", "--json", "-f", SPEC, "--retries", "0"]);
            let said = run.stdout + &run.stderr;
            let seen: Vec<_> = fragments(text).into_iter().filter(|word| said.contains(word)).collect();
            if !seen.is_empty() {
                wrong.push(format!("{place} {name}: {seen:?} in\n{said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_in_the_secrets_folder_is_read_as_nothing_else() {
    for (place, old, new) in PLACES.into_iter().filter(|(place, ..)| !["caFile", "keyring"].contains(place)) {
        let sandbox = Sandbox::lab();
        sandbox.seedkit(&["ca", "-f", SPEC]).succeeds();
        let key = sandbox.read("lab/secrets/ca.key");
        std::os::unix::fs::symlink("secrets/ca.key", sandbox.path("lab/link.deb")).unwrap();
        let direct = Some("secrets/ca.key").filter(|_| place != "extra");
        for file in direct.into_iter().chain(["link.deb"]) {
            let spec = sandbox.read(SPEC);
            sandbox.edit(SPEC, old, &new.replace("FILE", file));
            let run = sandbox.seedkit(&["lock", "-f", SPEC]);
            let said = run.fails(2);
            assert!(said.contains("which is in the secrets folder"), "{place}: {said}");
            assert_eq!(said.lines().count(), 2, "{place}: one error and its hint: {said}");
            assert!(!key.lines().any(|line| run.stderr.contains(line)), "{place}: {said}");
            sandbox.write(SPEC, spec);
        }
    }
}
