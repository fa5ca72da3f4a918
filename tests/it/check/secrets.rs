//! No finding shows a secret, however wrong it is.

use crate::support::broken::{BrokenKit, Folder};
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const NODE: &str = "k3s-worker1";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// Breaks a disc so that `id` finds it, and looks for `secret` in all that is said of it.
fn is_not_shown(kit: &BrokenKit, id: &str, secret: &str, change: impl Fn(&Folder)) {
    kit.seed(NODE, change);
    let findings = kit.findings();
    assert!(findings.iter().any(|finding| finding.starts_with(id)), "{id}: {findings:#?}");
    let page = kit.path("../page.html").display().to_string();
    for arguments in [&["--json"][..], &["--sarif"], &[], &["--html", &page]] {
        let run = kit.run(arguments);
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{arguments:?}: {run:?}");
    }
    assert!(!fs_err::read_to_string(page).unwrap().contains(secret), "{findings:#?}");
}

/// Gives a key of a node's configuration another value.
fn set(disc: &Folder, path: &str, key: &str, value: &str) {
    let text = disc.read(&format!("payload/root{path}"));
    let is_it = |line: &str| line.trim_start().trim_start_matches('"').starts_with(key);
    assert!(text.lines().any(is_it), "{key}: {text}");
    let indent = |line: &str| " ".repeat(line.len() - line.trim_start().len());
    let changed = text.lines().map(|line| {
        if is_it(line) { format!("{}{key}: {value}\n", indent(line)) } else { format!("{line}\n") }
    });
    disc.place(path, "0600", changed.collect::<String>());
}

#[test]
fn a_wrong_token_is_named_and_not_shown() {
    for (id, value, secret) in [
        ("SK0501", "0123456789012345678", "0123456789012345678"),
        ("SK0501", "99999999999999999999", "99999999999999999999"),
        ("SK0501", "!s3cr3t-token", "s3cr3t-token"),
        ("SK0502", "K10s3cr3t-token::server:x", "s3cr3t-token"),
        ("SK0503", "s3cr3t-token", "s3cr3t-token"),
        ("SK0106", "\"{{ s3cr3t-token and ever more of it, without an end\"", "s3cr3t-token"),
    ] {
        is_not_shown(&BrokenKit::lab(), id, secret, |disc| set(disc, CONFIG, "token", value));
    }
}

#[test]
fn the_place_of_a_wrong_token_is_said() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| set(disc, CONFIG, "token", "0123456789012345678"));
    let findings = kit.findings();
    let said =
        |finding: &String| finding.contains(CONFIG) && finding.contains(": token: `[secret]` is octal");
    assert!(findings.iter().any(said), "{findings:#?}");
}

#[test]
fn a_token_or_password_in_an_address_is_not_shown() {
    for value in
        ["K10abc::server:s3cr3t", "s3cr3t", "https://me:s3cr3t@192.168.6.99:6443", "http://me:s3cr3t@a"]
    {
        is_not_shown(&BrokenKit::lab(), "SK0503", "s3cr3t", |disc| set(disc, CONFIG, "server", value));
    }
}

#[test]
fn a_secret_in_a_command_is_not_shown() {
    for (id, command) in [
        ("SK0306", "k3s agent --token s3cr3t || true"),
        ("SK0306", "\"curl -H 'Authorization: Bearer s3cr3t' https://192.168.6.1/ || true\""),
        ("SK0603", "git clone https://me:s3cr3t@a.example/b.git"),
        ("SK0107", "[k3s, agent, --token, 5374]"),
    ] {
        let secret = if command.contains("5374") { "5374" } else { "s3cr3t" };
        is_not_shown(&BrokenKit::lab(), id, secret, |disc| {
            disc.edit("user-data", "\nruncmd:\n", &format!("\nruncmd:\n  - {command}\n"));
        });
    }
}

#[test]
fn the_hash_of_a_password_in_the_installers_commands_is_not_shown() {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "seed:\n", "seed:\n  flavour: autoinstall\n  disk: {size: largest}\n");
    sandbox.seedkit(&BUILD).succeeds();
    let hash = "$6$s3cr3t$0123456789abcdefghijklmnopqrstuvwxyz";
    is_not_shown(&BrokenKit::of(&sandbox.path("kit")), "SK0706", "s3cr3t", |disc| {
        let command = format!("late-commands:\n    - [usermod, -p, \"{hash}\", root]\n");
        disc.edit("user-data", "late-commands:\n", &command);
    });
}
