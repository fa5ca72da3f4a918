//! Builds that are killed or interrupted: what is left, and what the next run makes of it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};

use crate::build::snapshot;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, copy_tree, debris, lab, names, program};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A lab with a kit that is about to be replaced by another one.
struct Replacement {
    sandbox: Sandbox,
    old: Files,
    new: Files,
}

impl Replacement {
    fn new() -> Self {
        let sandbox = Sandbox::built_lab();
        let old = snapshot(&sandbox.path("kit"));
        fs::rename(sandbox.path("kit"), sandbox.path("old")).unwrap();
        sandbox.edit(SPEC, "timezone: Asia/Seoul", "timezone: Europe/Paris");
        sandbox.write("lab/motd", "changed\n");
        sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
        sandbox.seedkit(&BUILD).succeeds();
        let new = snapshot(&sandbox.path("kit"));
        assert!(old != new, "the two kits are the same: a replacement would not be seen");
        Self { sandbox, old, new }
    }

    /// Puts the old kit where the new one goes.
    fn begin(&self) {
        let (old, kit) = (self.sandbox.path("old"), self.sandbox.path("kit"));
        fs::remove_dir_all(&kit).unwrap();
        oracle::run("cp", ["-a", old.to_str().unwrap(), kit.to_str().unwrap()]);
    }

    /// The old kit is untouched, or the new one is whole.
    fn assert_one_kit(&self, when: &str) {
        let kit = snapshot(&self.sandbox.path("kit"));
        assert!(kit == self.old || kit == self.new, "{when}: the kit is neither the old nor the new one");
    }

    fn assert_no_debris(&self, when: &str) {
        assert_eq!(self.sandbox.names(""), ["kit", "lab", "old"], "{when}");
        let mut expected = names(&lab());
        expected.retain(|name| name != "secrets");
        expected.push("secrets".to_owned());
        expected.sort();
        assert_eq!(self.sandbox.names("lab"), expected, "{when}");
        for folder in [self.sandbox.path(""), self.sandbox.home()] {
            assert_eq!(debris(&folder), [] as [PathBuf; 0], "{when}");
        }
    }

    /// The next run makes the new kit and leaves nothing of the one that was ended.
    fn assert_next_run_completes(&self, when: &str) {
        self.sandbox.seedkit(&[&BUILD[..], &["-q"]].concat()).succeeds();
        assert!(snapshot(&self.sandbox.path("kit")) == self.new, "{when}: the next run made another kit");
        self.assert_no_debris(when);
    }
}

/// Runs a build that names everything it does, and sends it `signal` when it says its line number `line`.
///
/// Returns how it ended; `None` if it never says so much.
fn signalled_at(sandbox: &Sandbox, line: usize, signal: Signal) -> Option<Run> {
    let mut child = sandbox.spawn(&[&BUILD[..], &["-v", "--progress", "plain"]].concat());
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let is_reached = (0..=line).all(|_| errors.read_line(&mut said).unwrap() > 0);
    if is_reached {
        // Still a process of ours, whether it has ended or not: nobody has waited for it.
        kill_process(Pid::from_child(&child), signal).unwrap();
    }
    errors.read_to_string(&mut said).unwrap();
    let mut run = Run::from(child.wait_with_output().unwrap());
    run.stderr = said;
    is_reached.then_some(run)
}

/// Returns the lines at which builds are ended: every step's start, and some between.
fn lines_to_end_at(sandbox: &Sandbox) -> Vec<usize> {
    let run = sandbox.seedkit(&[&BUILD[..], &["-v", "--progress", "plain"]].concat()).succeeds();
    let lines: Vec<&str> = run.stderr.lines().take_while(|line| !line.starts_with("  ")).collect();
    let is_step = |line: &str| !line.contains("Z   ") && !line.ends_with(" s)");
    let chosen = lines.iter().enumerate().filter(|(number, line)| is_step(line) || number % 23 == 0);
    let chosen: Vec<usize> = chosen.map(|(number, _)| number).collect();
    assert!(chosen.len() > 7, "too few lines to end at: {}", run.stderr);
    chosen
}

#[test]
fn a_kill_at_any_step_leaves_one_whole_kit_and_the_next_run_completes() {
    let replacement = Replacement::new();
    for line in lines_to_end_at(&replacement.sandbox) {
        replacement.begin();
        let when = format!("killed at line {line}");
        if signalled_at(&replacement.sandbox, line, Signal::KILL).is_some() {
            replacement.assert_one_kit(&when);
            replacement.assert_next_run_completes(&when);
        }
    }
}

#[test]
fn an_interrupt_at_any_step_ends_with_130_one_whole_kit_and_no_debris() {
    let replacement = Replacement::new();
    for (round, line) in lines_to_end_at(&replacement.sandbox).into_iter().enumerate() {
        replacement.begin();
        let signal = if round % 2 == 0 { Signal::INT } else { Signal::TERM };
        let Some(run) = signalled_at(&replacement.sandbox, line, signal) else { continue };
        let when = format!("{signal:?} at line {line}: {}", run.stderr);
        // The last lines come when the kit is published: the build may be over before the signal comes.
        match run.code {
            Some(130) => {
                assert!(run.stderr.contains("interrupted: what was begun is removed"), "{when}");
                assert!(!run.stderr.contains("error:"), "{when}");
            }
            Some(0) => assert!(snapshot(&replacement.sandbox.path("kit")) == replacement.new, "{when}"),
            _ => panic!("{when}: {run:?}"),
        }
        replacement.assert_one_kit(&when);
        replacement.assert_no_debris(&when);
    }
}

/// Takes everything away: no kit, no lock, no secrets, no store.
fn begin_from_nothing(sandbox: &Sandbox) {
    for folder in [sandbox.path(""), sandbox.home()] {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
    }
    copy_tree(&lab(), &sandbox.path("lab"));
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
}

fn assert_first_build_is_completed(sandbox: &Sandbox, when: &str) {
    if sandbox.path("kit").exists() {
        sandbox.seedkit(&["verify", "-q", "kit"]).succeeds();
    }
    sandbox.seedkit(&[&BUILD[..], &["-q"]].concat()).succeeds();
    sandbox.seedkit(&["verify", "-q", "kit"]).succeeds();
    assert_eq!(sandbox.names(""), ["kit", "lab"], "{when}");
    for folder in [sandbox.path(""), sandbox.home()] {
        assert_eq!(debris(&folder), [] as [PathBuf; 0], "{when}");
    }
}

#[test]
fn a_first_build_that_is_killed_at_any_step_is_completed_by_the_next_one() {
    let sandbox = Sandbox::new();
    begin_from_nothing(&sandbox);
    for line in lines_to_end_at(&sandbox) {
        begin_from_nothing(&sandbox);
        if signalled_at(&sandbox, line, Signal::KILL).is_some() {
            assert_first_build_is_completed(&sandbox, &format!("killed at line {line}"));
        }
    }
}

// Lock and secrets are written where nobody looked for what a killed build left.
#[test]
fn a_first_build_that_is_killed_at_any_rename_is_completed_by_the_next_one() {
    let sandbox = Sandbox::new();
    for count in 1.. {
        begin_from_nothing(&sandbox);
        let kill = format!("/^rename:signal=KILL:when={count}");
        let run = Run::of(&mut under_strace(&sandbox, &[&kill], &[&BUILD[..], &["-q"]].concat()));
        if run.code == Some(0) {
            assert!(count > 10, "only {count} renames: {run:?}");
            return;
        }
        assert_eq!(run.code, None, "{run:?}");
        assert_first_build_is_completed(&sandbox, &format!("killed at rename {count}"));
    }
}

/// Prepares a build under strace, which injects `faults` into system calls.
fn under_strace(sandbox: &Sandbox, faults: &[&str], arguments: &[&str]) -> Command {
    let mut command = sandbox.command("strace");
    command.args(["--follow-forks", "--quiet=all", "--output=/dev/null", "--trace=/rename,/link,/chmod"]);
    for fault in faults {
        command.args(["-e", &format!("inject={fault}")]);
    }
    command.arg(program()).args(arguments);
    command
}

/// Kills builds at each of their renames in turn, the first at the first one, until one is not reached.
fn killed_at_each_rename(faults: &[&str]) {
    let replacement = Replacement::new();
    for count in 1.. {
        replacement.begin();
        let when = format!("{faults:?}, killed at rename {count}");
        let kill = format!("/^rename(at)?$:signal=KILL:when={count}");
        let faults = [faults, &[kill.as_str()]].concat();
        let run = Run::of(&mut under_strace(&replacement.sandbox, &faults, &[&BUILD[..], &["-q"]].concat()));
        if run.code == Some(0) {
            assert!(count > 8, "{when}: {run:?}");
            return;
        }
        assert_eq!(run.code, None, "{when}: {run:?}");
        replacement.assert_next_run_completes(&when);
    }
}

#[test]
fn a_kill_at_any_rename_is_made_good_by_the_next_run() {
    killed_at_each_rename(&[]);
}

// Without RENAME_EXCHANGE the old kit is moved aside first: for a moment there is none.
#[test]
fn a_kill_at_any_rename_is_made_good_also_where_folders_cannot_be_exchanged() {
    killed_at_each_rename(&["renameat2:error=EINVAL"]);
}

#[test]
fn a_kill_at_the_exchange_leaves_the_old_kit() {
    let replacement = Replacement::new();
    replacement.begin();
    let faults = ["renameat2:signal=KILL:when=1"];
    let run = Run::of(&mut under_strace(&replacement.sandbox, &faults, &[&BUILD[..], &["-q"]].concat()));
    assert_eq!(run.code, None, "{run:?}");
    replacement.assert_one_kit("killed at the exchange");
    replacement.assert_next_run_completes("killed at the exchange");
}

// A USB stick: chmod, hard links and exchanges are refused.
#[test]
fn a_file_system_without_permissions_links_and_exchange_takes_kit_and_seeds() {
    let replacement = Replacement::new();
    replacement.begin();
    let faults = ["/chmod:error=EPERM", "/^link:error=EPERM", "renameat2:error=EINVAL"];
    let arguments = [&BUILD[..], &["-q", "--deliver", "stick"]].concat();
    Run::of(&mut under_strace(&replacement.sandbox, &faults, &arguments)).succeeds();
    assert!(snapshot(&replacement.sandbox.path("kit")) == replacement.new);
    // A disc for each node, and what makes git pass over them.
    assert_eq!(replacement.sandbox.names("stick").len(), 4);
    fs::remove_dir_all(replacement.sandbox.path("stick")).unwrap();
    replacement.assert_no_debris("simple file system");
}
