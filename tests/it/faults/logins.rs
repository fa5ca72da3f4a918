//! Logins in addresses: they are refused, and not repeated.

use fs_err as fs;

use crate::support::sandbox::{SPEC, Sandbox};

const SAID: &str = "there is a user name or a password in this address";
const HINT: &str = "  hint: ";

// Most of these were refused as something else, with the password in the message.
#[test]
fn a_login_in_an_address_of_the_spec_is_refused_and_not_repeated() {
    let digest = "a".repeat(64);
    let layout = r#"quay.io: { from: "oci:images" }"#;
    let binary = "linux/amd64: { path: k3s-stand-in.sh }";
    let https = r#"quay.io: { from: "https://user:hunter2x@host" }"#;
    let url = format!(r#"linux/amd64: {{ url: "https://user:hunter2x@host/k3s", sha256: "{digest}" }}"#);
    for (old, new) in [
        ("  lists:\n", "  inline: [\"user:hunter2x@host/app:1\"]\n  lists:\n"),
        ("  lists:\n", "  inline: [\"https://user:hunter2x@host/app:1\"]\n  lists:\n"),
        ("  lists:\n", "  inline: [\"user:hunter2x@host:5000/app\"]\n  lists:\n"),
        ("- path: images.txt", "- path: \"https://user:hunter2x@host/images.txt\""),
        (layout, https),
        (layout, r#"quay.io: { from: "user:hunter2x@host" }"#),
        (layout, r#"quay.io: { mirrors: [{ from: "https://user:hunter2x@host/x" }] }"#),
        (layout, r#""user:hunter2x@quay.io": { from: "oci:images" }"#),
        (layout, r#""https://user:hunter2x@quay.io": { from: "oci:images" }"#),
        ("address: 192.168.6.1:5000", "address: \"user:hunter2x@192.168.6.1:5000\""),
        ("sans: [registry.lab.example]", "sans: [\"user:hunter2x@registry.lab.example\"]"),
        (
            "nameservers: [192.168.6.1]\n    mac: \"00:50:56:06:00:10\"",
            "nameservers: [\"user:hunter2x@192.168.6.1\"]",
        ),
        ("file:packages", "https://user:hunter2x@host/debian"),
        (binary, &url),
        (binary, "linux/amd64: { path: \"https://user:hunter2x@host/k3s\" }"),
    ] {
        let sandbox = Sandbox::lab();
        sandbox.edit(SPEC, old, new);
        is_refused(&sandbox, new);
    }
}

#[test]
fn a_login_in_a_list_of_images_is_refused_and_not_repeated() {
    for line in [
        "user:hunter2x@host/app:1",
        "https://user:hunter2x@host/app:1",
        "docker://user:hunter2x@host/app:1",
        "quay.io/lab/hello:1.0 user:hunter2x@host/app:1",
        "quay.io/lab/hello:1.0 -> https://user:hunter2x@host/app:1",
        "user:hunter2x@host/app:1 = a/b:1",
    ] {
        let sandbox = Sandbox::lab();
        let list = sandbox.read("lab/images.txt");
        sandbox.write("lab/images.txt", format!("{list}{line}\n"));
        is_refused(&sandbox, line);
    }
}

fn is_refused(sandbox: &Sandbox, what: &str) {
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
    for command in [&["lock", "-f", SPEC][..], &["lock", "-f", SPEC, "--json"]] {
        let run = sandbox.seedkit(command);
        assert_eq!(run.code, Some(2), "{what}: {run:?}");
        assert!(run.stderr.contains(SAID) && run.stderr.contains(HINT), "{what}: {}", run.stderr);
        assert!(!format!("{run:?}").contains("hunter2x"), "{what}: {run:?}");
    }
}

#[test]
fn a_login_in_the_name_of_the_registry_to_push_to_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    for registry in [
        "user:hunter2x@host",
        "https://user:hunter2x@host",
        "user:hunter2x@host/project",
        "https://user:hunter2x#x@host",
        "https://user:hunter2x?x@host",
        "host/user:hunter2x@x",
        "https://user:12/hunter2x@host",
        "ftp://user:hunter2x#@host",
    ] {
        let run = sandbox.seedkit(&["push", "kit", registry]);
        assert!(run.fails(2).contains("log in with `docker login HOST`"), "{registry}: {run:?}");
        assert!(!format!("{run:?}").contains("hunter2x"), "{registry}: {run:?}");
    }
}
