//! Bad input and bad luck, through the program itself: a clear error, nothing half-written, and the next run works.

mod disclosure;
mod disk;
mod endless;
mod inputs;
mod interrupted;
mod logins;
mod sources;

use std::path::Path;

use fs_err as fs;

use crate::build::snapshot;
use crate::support::sandbox::{BUILD, Sandbox, copy_tree, debris, lab};

/// One thing that goes wrong.
struct Fault {
    /// What is wrong, for people.
    name: &'static str,
    /// Makes it wrong, in a sandbox with a fresh lab.
    spoil: fn(&Sandbox),
    /// What is run.
    arguments: &'static [&'static str],
    /// How it ends.
    code: i32,
    /// All that is said from `error:` on, with the sandbox as `$SANDBOX`.
    error: &'static str,
}

/// What most faults do: a build has no answer.
const BUILD_FAILS: Fault = Fault { name: "", spoil: |_| {}, arguments: &BUILD, code: 2, error: "" };

impl Fault {
    /// Runs the command and returns what is not as claimed.
    fn examine(&self) -> Option<String> {
        let sandbox = Sandbox::lab();
        fs::create_dir_all(sandbox.path("kit")).unwrap();
        sandbox.write("kit/SHA256SUMS", "");
        sandbox.write("kit/kit.json", "{}");
        (self.spoil)(&sandbox);
        let old = snapshot(&sandbox.path("kit"));
        let run = sandbox.seedkit(self.arguments);
        let said = run
            .fails(self.code)
            .replace(sandbox.path("").to_str().unwrap().trim_end_matches('/'), "$SANDBOX");
        assert!(snapshot(&sandbox.path("kit")) == old, "{}: the old kit changed", self.name);
        assert!(debris(&sandbox.path("")).is_empty(), "{}: {:?}", self.name, debris(&sandbox.path("")));
        assert!(debris(&sandbox.home()).is_empty(), "{}: {:?}", self.name, debris(&sandbox.home()));
        mend(&sandbox);
        sandbox.seedkit(&BUILD).succeeds();
        sandbox.seedkit(&["verify", "-q", "kit"]).succeeds();
        (said != self.error).then(|| format!("== {}\n{said}\n-- expected\n{}\n", self.name, self.error))
    }
}

/// Gives the lab its good files back; secrets and store stay.
fn mend(sandbox: &Sandbox) {
    for name in sandbox.names("lab").iter().filter(|name| *name != "secrets") {
        let path = sandbox.path("lab").join(name);
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    copy_tree(&lab(), &sandbox.path("lab"));
    if sandbox.path("lab/secrets").exists() {
        chmod(&sandbox.path("lab/secrets"), 0o700);
    }
}

/// Sets the mode of a file or folder.
fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Runs all faults and reports all that are not as claimed.
fn examine(faults: &[Fault]) {
    let wrong: String = faults.iter().filter_map(Fault::examine).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}
