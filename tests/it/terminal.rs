//! Whatever the names and texts of others hold, it is shown, and steers no terminal.

use crate::support::sandbox::{Run, Sandbox};

/// What clears a screen in two ways, and turns a line around.
const ODD: &str = "x\u{1b}[2J\u{9b}2J\u{202e}y";
/// How people see it.
const SHOWN: &str = r"x\u{1b}[2J\u{9b}2J\u{202e}y";

fn assert_plain(run: &Run) {
    let is_odd = |character: char| character == '\u{202e}' || (character.is_control() && character != '\n');
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(is_odd), "{text:?}");
    }
}

#[test]
fn names_of_files_are_escaped_in_results_progress_and_errors() {
    let sandbox = Sandbox::built_lab();
    let extra = format!("{ODD}\nkit: all 65 files are what the kit says they are");
    sandbox.write(&format!("kit/{extra}"), "");
    let sums = sandbox.read("kit/SHA256SUMS").replace("kit.json", ODD);
    let run = sandbox.seedkit(&["verify", "-v", "kit"]);
    let said =
        format!("`{SHOWN}\\nkit: all 65 files are what the kit says they are` is not listed in SHA256SUMS\n");
    assert!(run.code == Some(1) && run.stdout.contains(&said), "{run:?}");
    assert_plain(&run);
    sandbox.write("kit/SHA256SUMS", sums);
    for (arguments, code) in [
        (&["verify", "-v", "kit"][..], 1),
        (&["check", "kit"], 1),
        (&["inspect", ODD], 2),
        (&["serve", ODD], 2),
        (&["init", ODD], 0),
        (&["init", ODD], 2),
        (&["lock", "--check", "--offline", "-f", &format!("{ODD}/seedkit.yaml")], 2),
    ] {
        let run = sandbox.seedkit(arguments);
        assert!(run.code == Some(code), "{arguments:?}: {run:?}");
        assert!(format!("{}{}", run.stdout, run.stderr).contains(SHOWN), "{arguments:?}: {run:?}");
        assert_plain(&run);
    }
    // The parser of arguments leaves some of it out.
    let run = sandbox.seedkit(&["inspect", "kit", ODD]);
    assert!(run.fails(2).contains("unexpected argument 'x"), "{run:?}");
    assert_plain(&run);
}

#[test]
fn a_document_has_the_very_name_and_is_as_harmless() {
    let sandbox = Sandbox::built_lab();
    sandbox.write(&format!("kit/{ODD}"), "");
    for arguments in [&["verify", "kit", "--json"][..], &["check", "kit", "--sarif"]] {
        let run = sandbox.seedkit(arguments);
        assert_plain(&run);
        let json = run.json();
        assert!(arguments[0] != "verify" || json["findings"][0]["path"] == ODD, "{json}");
    }
}

#[test]
fn a_colour_is_given_to_our_own_words_alone() {
    let run = Sandbox::new().seedkit(&["inspect", "-q", ODD, "--color", "always"]);
    assert!(run.stderr.starts_with("\u{1b}[1;31merror:\u{1b}[0m cannot read"), "{run:?}");
    assert!(run.stderr.matches('\u{1b}').count() == 2 && run.stderr.contains(SHOWN), "{run:?}");
}
