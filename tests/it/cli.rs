//! What people and other programs meet: help, first steps, variables, completions, results.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use fs_err as fs;

use crate::mirror::write_spec;
use crate::support::images;
use crate::support::oracle;
use crate::support::registry::Registry;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, lab, names, program};

/// Returns every command with its subcommands, as help lists them.
fn commands(sandbox: &Sandbox, of: &[&str]) -> Vec<Vec<String>> {
    let help = sandbox.seedkit(&[of, &["-h"]].concat()).succeeds().stdout;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let listed = listed.lines().take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  "));
    let names = listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let whole = |name: &str| of.iter().map(|part| (*part).to_owned()).chain([name.to_owned()]).collect();
    let mut commands: Vec<Vec<String>> = names.map(whole).collect();
    for command in commands.clone() {
        let parts: Vec<&str> = command.iter().map(String::as_str).collect();
        commands.extend(self::commands(sandbox, &parts));
    }
    commands
}

#[test]
fn the_help_of_every_command_has_an_example_that_fits_a_terminal() {
    let sandbox = Sandbox::new();
    let commands = commands(&sandbox, &[]);
    let names: BTreeSet<String> = commands.iter().map(|command| command.join(" ")).collect();
    for name in
        ["init", "lock", "mirror", "ca", "ca show", "ca renew", "pack images", "iso", "build", "verify"]
    {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    for command in commands {
        let name = command.join(" ");
        let parts: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = sandbox.seedkit(&parts).succeeds().stdout;
        let (_, examples) = help.split_once("\nExample").unwrap_or_else(|| panic!("{name} has no example"));
        assert!(examples.contains(&format!("seedkit {}", command[0])), "{name}: {examples}");
        let example = examples.split_once(":\n").unwrap().1;
        for line in example.lines() {
            assert!(line.chars().count() <= 90, "{name}: {line}");
        }
    }
}

#[test]
fn help_begins_with_the_options_of_the_command_itself() {
    let help = Sandbox::new().seedkit(&["build", "--help"]).succeeds().stdout;
    let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("no {text:?} in {help}"));
    assert!(place("--deliver") < place("\nOptions of all commands:\n"));
    assert!(place("\nOptions of all commands:\n") < place("--cache-dir"));
}

#[test]
fn what_cannot_be_understood_exits_with_2_and_says_what_may_be_meant() {
    let sandbox = Sandbox::new();
    for (arguments, said) in [
        (&["build", "--outptu", "kit"][..], "unexpected argument '--outptu' found"),
        (&["biuld"][..], "a similar subcommand exists: 'build'"),
        (&["build", "extra"][..], "unexpected argument 'extra' found"),
        (&["build", "--jobs", "0"][..], "invalid value '0' for '--jobs <N>'"),
        (&["build", "-q", "-v"][..], "cannot be used with"),
        (&["man", "biuld"][..], "there is no command `biuld`"),
    ] {
        let run = sandbox.seedkit(arguments);
        assert!(run.fails(2).contains(said), "{}", run.stderr);
    }
    let nothing = sandbox.seedkit(&[]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(2), ""));
    assert!(nothing.stderr.contains("Start here:"), "{}", nothing.stderr);
}

#[test]
fn variables_are_yes_or_no_in_any_form_and_nothing_when_empty() {
    let sandbox = Sandbox::built_lab();
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
    for (value, is_locked) in
        [("1", true), ("true", true), ("yes", true), ("0", false), ("false", false), ("", false)]
    {
        let mut command = sandbox.prepare(&["lock", "-f", SPEC]);
        let run =
            Run::of(command.env("SEEDKIT_LOCKED", value).env("SEEDKIT_OUTPUT", "").env("SEEDKIT_JOBS", ""));
        assert_eq!(run.code, Some(if is_locked { 2 } else { 0 }), "{value:?}: {}", run.stderr);
        let _there_or_not = fs::remove_file(sandbox.path("lab/seedkit.lock"));
    }
    let help = Run::of(sandbox.prepare(&["build", "--help"]).env("SEEDKIT_SECRETS", "/home/me/hidden"));
    assert!(!help.succeeds().stdout.contains("hidden"));
}

/// Asks openssl about a certificate of the lab.
fn openssl(sandbox: &Sandbox, name: &str, question: &[&str]) -> String {
    let path = sandbox.path("lab/secrets").join(name);
    let arguments = ["x509", "-noout", "-in", path.to_str().unwrap()];
    oracle::text("openssl", [&arguments[..], question].concat()).trim().to_owned()
}

#[test]
fn ca_show_says_what_openssl_says() {
    let sandbox = Sandbox::built_lab();
    let shown = sandbox.seedkit(&["ca", "show", "-f", SPEC]).succeeds().stdout;
    let json = sandbox.seedkit(&["ca", "show", "-f", SPEC, "--json"]).succeeds().json();
    for (field, file) in [("authority", "ca.crt"), ("server", "registry.crt")] {
        let certificate = &json[field];
        let text = |name: &str| certificate[name].as_str().unwrap().to_owned();
        let fingerprint =
            openssl(&sandbox, file, &["-fingerprint", "-sha256"]).replace("sha256 Fingerprint=", "");
        assert_eq!(text("fingerprint"), fingerprint);
        let subject = openssl(&sandbox, file, &["-subject", "-nameopt", "RFC2253"]).replace("subject=", "");
        assert_eq!(text("subject"), subject);
        assert!(shown.contains(&fingerprint) && shown.contains(&subject), "{shown}");
        let end = openssl(&sandbox, file, &["-enddate", "-dateopt", "iso_8601"]).replace("notAfter=", "");
        let seconds = oracle::text("date", ["-u", "-d", &end, "+%s"]);
        assert_eq!(certificate["notAfter"].to_string(), seconds.trim());
        let days = certificate["daysLeft"].as_i64().unwrap();
        assert!(shown.contains(&format!("days left:   {days}\n")), "{shown}");
        // A minute for the time that passed since.
        let lasts = |seconds: i64| openssl_lasts(&sandbox, file, &seconds.to_string());
        assert!(lasts(days * 86_400 - 60) && !lasts((days + 1) * 86_400), "{file}: {days} days left");
    }
    let alternatives = openssl(&sandbox, "registry.crt", &["-ext", "subjectAltName"]);
    for name in json["server"]["names"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        // openssl writes addresses of version 6 in full.
        let name = if name == "::1" { "0:0:0:0:0:0:0:1" } else { name };
        assert!(alternatives.contains(&format!(":{name}")), "{name} is not in {alternatives}");
    }
    assert!(shown.contains("192.168.6.1, registry.lab.example, 127.0.0.1, ::1, localhost"), "{shown}");
}

fn openssl_lasts(sandbox: &Sandbox, name: &str, seconds: &str) -> bool {
    let path = sandbox.path("lab/secrets").join(name);
    let mut command = oracle::command("openssl");
    command.args(["x509", "-noout", "-checkend", seconds, "-in"]).arg(path);
    command.output().unwrap().status.success()
}

#[test]
fn ca_show_makes_nothing() {
    let sandbox = Sandbox::lab();
    let run = sandbox.seedkit(&["ca", "show", "-f", SPEC]);
    assert_eq!(
        run.fails(2),
        "error: there is no `ca.crt` in the secrets folder\n  hint: run `seedkit ca` to have what is missing made"
    );
    assert!(!sandbox.path("lab/secrets").exists());
    let renewed = sandbox.seedkit(&["ca", "renew", "-f", SPEC]);
    assert_eq!((run.stderr, sandbox.path("lab/secrets").exists()), (renewed.stderr, false));
    sandbox.seedkit(&["ca", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["ca", "show", "-f", SPEC]).succeeds();
    let made = [".gitignore", "ca.crt", "ca.key", "registry.crt", "registry.key"];
    assert_eq!(names(&sandbox.path("lab/secrets")), made);
}

#[test]
fn the_schema_is_the_committed_one() {
    let committed = lab().join("../../docs/seedkit.schema.json");
    let schema = Sandbox::new().seedkit(&["schema"]).succeeds().stdout;
    assert!(
        schema == fs::read_to_string(committed).unwrap(),
        "write `seedkit schema` to docs/seedkit.schema.json"
    );
}

#[test]
fn bash_completes_commands_and_options() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(sandbox.seedkit(&["completions", shell]).succeeds().stdout.contains("seedkit"), "{shell}");
    }
    let script = r#"eval "$("$0" completions bash)"
        complete_with() { COMP_WORDS=(seedkit "$@"); COMP_CWORD=$#; COMPREPLY=(); _seedkit seedkit "${!#}" "${@: -2:1}"; echo "${COMPREPLY[@]}"; }
        complete_with ver
        complete_with build --del
        complete_with pack im"#;
    let run = Run::of(sandbox.command("bash").args(["-uec", script, program()])).succeeds();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("verify\n--deliver\nimages\n", ""));
}

#[test]
fn groff_renders_every_manual_page_without_a_warning() {
    let sandbox = Sandbox::new();
    let pages = commands(&sandbox, &[]).into_iter().chain([Vec::new()]);
    for page in pages {
        let parts: Vec<&str> = page.iter().map(String::as_str).collect();
        let source = sandbox.seedkit(&[&["man"], &parts[..]].concat()).succeeds().stdout;
        let mut command = oracle::command("groff");
        command.args(["-man", "-ww", "-Tutf8", "-P-cbou"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut groff = command.spawn().expect("the oracle groff is not installed");
        groff.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
        let output = groff.wait_with_output().unwrap();
        let (text, warnings) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(warnings, "", "{page:?}");
        assert!(text.contains("SYNOPSIS") && text.contains("OPTIONS OF ALL COMMANDS"), "{page:?}: {text}");
    }
}

#[test]
fn colours_come_only_where_they_are_asked_for() {
    let sandbox = Sandbox::new();
    let escape = '\u{1b}';
    assert!(!sandbox.seedkit(&BUILD).stderr.contains(escape));
    assert!(sandbox.seedkit(&[&BUILD[..], &["--color", "always"]].concat()).stderr.contains(escape));
}

#[test]
fn what_the_help_says_to_look_at_a_layout_with_reads_every_kind_of_image() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let list = images::docker_list(&[images::docker_image("linux", "amd64", &[images::layer("one")])]);
    list.put(&registry, "lab/list", "1");
    write_spec(
        &sandbox,
        &[("lab.example", &registry.url())],
        &["lab.example/lab/list:1".to_owned()],
        "linux/amd64",
    );
    sandbox.seedkit(&["mirror"]).succeeds();
    let help = sandbox.seedkit(&["mirror", "--help"]).succeeds().stdout;
    let examples =
        help.split("Examples:").nth(1).unwrap().lines().filter(|line| !line.contains("seedkit mirror"));
    let commands: Vec<&str> =
        examples.filter_map(|line| line.trim().split("   ").next()).filter(|line| !line.is_empty()).collect();
    assert_eq!(commands.len(), 1, "{help}");
    let words: Vec<&str> = commands[0].strip_prefix("seedkit ").unwrap().split(' ').collect();
    let said = sandbox.seedkit(&words).succeeds().stdout;
    assert!(said.contains("lab.example/lab/list:1") && said.contains("linux/amd64"), "{said}");
}
