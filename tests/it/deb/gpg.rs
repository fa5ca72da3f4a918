//! GnuPG with a home of its own, one per test, whose agent ends with its test.

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

use crate::support::oracle;

/// A home folder with keys that this test made.
pub(crate) struct Gpg {
    folder: tempfile::TempDir,
}

impl Gpg {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns gpg as it is on `day`, such as `20240101`.
    fn command(&self, day: &str) -> Command {
        let mut command = oracle::command("gpg");
        command.arg("--homedir").arg(self.folder.path());
        command.args(["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]);
        command.arg(format!("--faked-system-time={day}T000000!"));
        command
    }

    pub(crate) fn run(&self, day: &str, arguments: &[&str]) {
        oracle::finish(self.command(day).args(arguments));
    }

    /// Makes a key and returns its fingerprint.
    pub(crate) fn make_key(&self, day: &str, algorithm: &str, usage: &str, expiry: &str) -> String {
        self.run(day, &["--quick-generate-key", "Seedkit Test <test@example.org>", algorithm, usage, expiry]);
        let mut list = self.command(day);
        let listing = oracle::finish(list.args(["--list-keys", "--with-colons"]));
        let listing = String::from_utf8(listing.stdout).unwrap();
        let (_, last) = listing.rsplit_once("\npub:").unwrap();
        let line = last.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    /// Answers the questions of `--edit-key`.
    pub(crate) fn edit(&self, day: &str, key: &str, answers: &str) {
        fs::write(self.path("answers"), answers).unwrap();
        let mut command = self.command(day);
        command.args(["--command-fd", "0", "--no-tty", "--edit-key", key]);
        command.stdin(fs::File::open(self.path("answers")).unwrap().into_file());
        oracle::finish(&mut command);
    }

    /// Signs a text as `InRelease` is, with extra arguments such as who signs.
    pub(crate) fn sign(&self, day: &str, text: &str, arguments: &[&str]) -> String {
        let (plain, signed) = (self.path("text"), self.path("text.asc"));
        fs::write(&plain, text).unwrap();
        let mut command = self.command(day);
        command.args(arguments).arg("--output").arg(&signed).arg("--clearsign").arg(&plain);
        oracle::finish(&mut command);
        fs::read_to_string(signed).unwrap()
    }

    /// Returns public keys as a `.gpg` file has them.
    pub(crate) fn export(&self, arguments: &[&str]) -> Vec<u8> {
        oracle::finish(self.command("20240101").arg("--export").args(arguments)).stdout
    }

    /// Returns whether gpgv finds the signature of a file good, now.
    pub(crate) fn gpgv(&self, keyring: &[u8], signed: &[u8]) -> bool {
        let (keys, file) = (self.path("keyring.gpg"), self.path("file.asc"));
        fs::write(&keys, keyring).unwrap();
        fs::write(&file, signed).unwrap();
        gpgv(&keys, &file, &self.path("gpgv.out")).is_some()
    }
}

/// Returns what gpgv finds signed in a file, if it has a good signature by a key that is still good.
pub(crate) fn gpgv(keyring: &Path, file: &Path, output: &Path) -> Option<Vec<u8>> {
    let _absent = fs::remove_file(output);
    let mut command = oracle::command("gpgv");
    command.arg("--keyring").arg(keyring).arg("--output").arg(output).args(["--status-fd", "1"]).arg(file);
    // Its exit code does not tell a revoked or expired key from a good one; apt reads the status too.
    let status = command.output().expect("the oracle gpgv is not installed").stdout;
    String::from_utf8(status).unwrap().contains("[GNUPG:] GOODSIG").then(|| fs::read(output).unwrap())
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut command = oracle::command("gpgconf");
        command.arg("--homedir").arg(self.folder.path()).args(["--kill", "all"]);
        // It fails only if there is no agent.
        let _ended = command.status();
    }
}
