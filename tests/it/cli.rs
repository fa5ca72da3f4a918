//! What people and other programs meet: help, first steps, variables, completions, results.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, copy_tree, lab, names, program};

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
fn lock_check_answers_and_writes_nothing() {
    let sandbox = Sandbox::lab();
    let lock = sandbox.read("lab/seedkit.lock");
    let check = ["lock", "--check", "-f", SPEC];
    let run = sandbox.seedkit(&check).succeeds();
    assert_eq!(run.stdout, "lab/seedkit.lock: up to date; 10 images, 2 files, at most 21.2 KiB\n");
    sandbox.edit("lab/images.txt", "quay.io/lab/hello:1.0\n", "");
    let run = sandbox.seedkit(&check);
    assert!(
        run.fails(1).contains("- image `quay.io/lab/hello:1.0` is locked, and no longer wanted"),
        "{run:?}"
    );
    assert_eq!(sandbox.read("lab/seedkit.lock"), lock);
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
    sandbox.seedkit(&check).succeeds();
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
    assert_eq!(names(&sandbox.path("lab/secrets")), [] as [&str; 0]);
    sandbox.seedkit(&["ca", "-f", SPEC]).succeeds();
    sandbox.seedkit(&["ca", "show", "-f", SPEC]).succeeds();
    let made = [".gitignore", "ca.crt", "ca.key", "registry.crt", "registry.key"];
    assert_eq!(names(&sandbox.path("lab/secrets")), made);
}

#[test]
fn verify_names_each_bad_missing_and_extra_file() {
    let sandbox = Sandbox::built_lab();
    let good = sandbox.seedkit(&["verify", "kit"]).succeeds();
    assert_eq!(good.stdout, "kit: all 65 files are what the kit says they are\n");
    let path = "kit/seeds/seed-k3s-worker1.iso";
    let mut bytes = fs::read(sandbox.path(path)).unwrap();
    bytes[40_000] ^= 0x10;
    fs::write(sandbox.path(path), bytes).unwrap();
    fs::remove_file(sandbox.path("kit/registry/ca.crt")).unwrap();
    sandbox.write("kit/registry/extra.txt", "extra");
    let run = sandbox.seedkit(&["verify", "kit"]);
    assert_eq!(run.code, Some(1));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stdout);
    assert!(lines[0].starts_with("`seeds/seed-k3s-worker1.iso` has other content: sha256:"), "{}", lines[0]);
    assert_eq!(
        lines[1..],
        [
            "`registry/ca.crt` is missing",
            "`registry/extra.txt` is not listed in SHA256SUMS",
            "kit: 3 findings"
        ]
    );
    let run = sandbox.seedkit(&["verify", "kit", "--json"]);
    let json = run.json();
    assert_eq!((run.code, &json["command"], &json["version"]), (Some(1), &"verify".into(), &1.into()));
    let problems: Vec<&str> =
        json["findings"].as_array().unwrap().iter().map(|one| one["problem"].as_str().unwrap()).collect();
    assert_eq!(problems, ["bad", "missing", "extra"]);
}

#[test]
fn what_is_no_kit_cannot_be_verified() {
    let sandbox = Sandbox::lab();
    for (folder, reason) in
        [("lab", "cannot read `lab/SHA256SUMS`"), ("nowhere", "cannot read `nowhere/SHA256SUMS`")]
    {
        let run = sandbox.seedkit(&["verify", folder]);
        assert!(run.fails(2).starts_with(&format!("error: {reason}\n")), "{}", run.stderr);
    }
}

#[test]
fn single_steps_make_what_a_build_makes() {
    let sandbox = Sandbox::built_lab();
    sandbox.seedkit(&["mirror", "-f", SPEC, "-o", "images"]).succeeds();
    sandbox.seedkit(&["pack", "images", "-f", SPEC, "-o", "packed"]).succeeds();
    sandbox
        .seedkit(&["iso", "-f", SPEC, "-o", "seeds", "--node", "k3s-worker2", "--node", "k3s-master1"])
        .succeeds();
    let same = |one: &str, other: &str| {
        let differences = crate::support::kitdiff::differences(&sandbox.path(one), &sandbox.path(other));
        assert_eq!(differences, "", "{one}, {other}");
    };
    same("images", "kit/images");
    fs::remove_file(sandbox.path("kit/seeds/seed-k3s-worker1.iso")).unwrap();
    // A kit has one for all its folders.
    fs::remove_file(sandbox.path("seeds/.gitignore")).unwrap();
    same("seeds", "kit/seeds");
    let tarball = &sandbox.names("packed")[0];
    assert_eq!(
        fs::read(sandbox.path("packed").join(tarball)).unwrap(),
        fs::read(sandbox.path("kit").join(tarball)).unwrap()
    );
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
