//! The examples of the help, typed as they stand there.

use fs_err as fs;

use crate::support::sandbox::{Run, Sandbox, copy_tree, lab, program};

/// Every command that has examples; `cli.rs` looks that each has.
const COMMANDS: [&[&str]; 20] = [
    &[],
    &["init"],
    &["lock"],
    &["mirror"],
    &["ca"],
    &["ca", "show"],
    &["ca", "renew"],
    &["pack"],
    &["pack", "images"],
    &["pack", "packages"],
    &["iso"],
    &["build"],
    &["check"],
    &["verify"],
    &["inspect"],
    &["diff"],
    &["serve"],
    &["schema"],
    &["completions"],
    &["man"],
];

/// What cannot be done here: how it begins, and why.
const ELSEWHERE: [(&str, &str); 6] = [
    ("cd lab && seedkit build", "it downloads k3s: init.rs builds the same spec with a stand-in"),
    ("seedkit serve kit --listen", "this machine has another address: serve/ has one that it has"),
    ("curl --cacert", "nothing is served there: serve/ asks it by curl"),
    ("ctr -n k8s.io", "it needs a daemon: import.rs starts one"),
    ("sudo ./ops-packages", "it installs packages on this very machine: opsbundle/ does so in another root"),
    ("seedkit serve kit ", "it would never end, and take a port of everybody: serve/ starts it"),
];

/// What stands for places of other machines, and for programs of people.
const HERE: [(&str, &str); 4] = [
    ("/mnt/", "mnt/"),
    ("/srv/", "srv/"),
    ("sudo tee /etc/systemd/system/", "tee "),
    ("| man -l -", "| groff -man -Tutf8 >page"),
];

/// A folder that has all that examples name, beside the spec of the lab.
fn stage() -> Sandbox {
    let sandbox = Sandbox::new();
    copy_tree(&lab(), &sandbox.path(""));
    copy_tree(&lab(), &sandbox.path("lab"));
    // `mirror` writes to `images`.
    fs::rename(sandbox.path("images"), sandbox.path("layout")).unwrap();
    let spec = sandbox.read("seedkit.yaml").replace("oci:images", "oci:layout");
    sandbox.write("seedkit.yaml", spec);
    for folder in ["bin", "mnt/disk", "srv", "old"] {
        fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    fs_err::os::unix::fs::symlink(program(), sandbox.path("bin/seedkit")).unwrap();
    let script = r#"
        seedkit build -q
        seedkit mirror -q
        seedkit pack images -q
        seedkit pack packages -q
        cp kit/seeds/*.iso .
        cp seed-k3s-master1.iso seed.iso
        cp airgap-images-*.tar images.tar
        cp ops-packages-*.tar.gz FILE
        cp -r kit mnt/disk/kit
        for copy in old/seedkit.lock A B; do cp seedkit.lock "$copy"; done
        git init -q . && git add seedkit.lock
        git -c user.name=a -c user.email=a@b.example commit -q -m lock"#;
    typed(&sandbox, "", script).succeeds();
    sandbox
}

fn typed(sandbox: &Sandbox, folder: &str, script: &str) -> Run {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.path("bin").display());
    let mut shell = sandbox.command("bash");
    Run::of(
        shell.args(["-euo", "pipefail", "-c", script]).env("PATH", path).current_dir(sandbox.path(folder)),
    )
}

/// Returns the lines to type: two blanks before them, and two or more before what they are for.
fn examples(help: &str) -> Vec<String> {
    let start =
        ["\nExample:\n", "\nExamples:\n", "\nStart here:\n"].iter().find_map(|start| help.split_once(start));
    let (_, listed) = start.unwrap_or_else(|| panic!("no example in {help}"));
    let lines = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let lines = lines.filter(|line| !line.starts_with([' ', '#']));
    lines.map(|line| line.split("  ").next().unwrap().to_owned()).collect()
}

#[test]
fn every_example_of_the_help_can_be_typed_as_it_stands() {
    let sandbox = stage();
    let mut passed_over = Vec::new();
    let mut failed = Vec::new();
    let mut count = 0;
    for command in COMMANDS {
        let help = sandbox.seedkit(&[command, &["--help"]].concat()).succeeds().stdout;
        for example in examples(&help) {
            let elsewhere = ELSEWHERE.iter().find(|(start, _)| format!("{example} ").starts_with(start));
            if let Some((start, _)) = elsewhere {
                passed_over.push(*start);
                continue;
            }
            let script =
                HERE.iter().fold(example.clone(), |script, (there, here)| script.replace(there, here));
            // Whoever begins has an empty folder.
            let folder =
                if example.starts_with("seedkit init") { format!("empty{count}") } else { String::new() };
            fs::create_dir_all(sandbox.path(&folder)).unwrap();
            let run = typed(&sandbox, &folder, &script);
            // The examples of another command may write something else there.
            let _there_or_not = fs::remove_dir_all(sandbox.path("out"));
            // A difference is an answer.
            let is_answer =
                run.code == Some(0) || (run.code == Some(1) && example.starts_with("seedkit diff"));
            if !is_answer {
                failed.push(format!("{example}: {run:?}"));
            }
            count += 1;
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(count > 45, "{count}");
    assert!(ELSEWHERE.iter().all(|(start, _)| passed_over.contains(start)), "{passed_over:?}");
}

#[test]
fn a_push_of_the_help_is_one_that_can_be_understood() {
    let sandbox = Sandbox::new();
    let help = sandbox.seedkit(&["push", "--help"]).succeeds().stdout;
    let examples = examples(&help);
    assert!(examples.len() >= 3, "{help}");
    for example in examples {
        let words: Vec<&str> = example.split(' ').skip(1).chain(["--offline"]).collect();
        let run = sandbox.seedkit(&words);
        assert_eq!(run.fails(2), "error: --offline forbids pushing", "{example}");
    }
}
