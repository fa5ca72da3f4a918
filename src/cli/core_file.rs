//! No core file: what a crash leaves on the disk would hold keys and tokens, readable long after the run.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes sure that no crash of this process, or of a program that it starts, writes its memory to a file.
///
/// # Why
/// Two ways, because each has a hole. The kernel heeds the limit only where it writes the file itself, not where it
/// hands it to a program such as `systemd-coredump`; there the process must say that it is not to be dumped. That word
/// does not reach programs that it starts, such as a helper for credentials; the limit does.
///
/// Neither can fail: everybody may lower a limit and set this flag. A sandbox that forbids even that is no reason to
/// do nothing.
pub(super) fn forbid() {
    let _whatever_a_sandbox_says = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _whatever_a_sandbox_says = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
