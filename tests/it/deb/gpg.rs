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
        self.fingerprint()
    }

    /// Returns the fingerprint of the last key.
    pub(crate) fn fingerprint(&self) -> String {
        let mut list = self.command("20240101");
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
        // Several threads may sign at a time.
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (plain, signed) = (folder.path().join("text"), folder.path().join("text.asc"));
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

    /// Returns the private key, armored; `what` is `--export-secret-keys` or `--export-secret-subkeys`.
    pub(crate) fn export_secret(&self, what: &str) -> String {
        let output = oracle::finish(self.command("20240101").args(["--armor", what]));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes a key with a passphrase.
    pub(crate) fn make_locked_key(&self, day: &str, passphrase: &str) {
        let mut command = self.command(day);
        command.args([
            "--passphrase",
            passphrase,
            "--quick-generate-key",
            "locked",
            "ed25519",
            "sign",
            "never",
        ]);
        oracle::finish(&mut command);
    }

    /// Returns a private key that has a passphrase, armored, with its passphrase.
    pub(crate) fn export_secret_locked(&self, passphrase: &str) -> String {
        let mut command = self.command("20240101");
        command.args(["--passphrase", passphrase, "--armor", "--export-secret-keys"]);
        String::from_utf8(oracle::finish(&mut command).stdout).unwrap()
    }

    /// Returns the packets of the signature below a text, as GnuPG lists them.
    pub(crate) fn packets(&self, signed: &str) -> String {
        let file = self.path("packets.asc");
        fs::write(&file, &signed[signed.find("-----BEGIN PGP SIGNATURE-----").unwrap()..]).unwrap();
        let output = oracle::finish(self.command("20240101").arg("--list-packets").arg(&file));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Takes the armor off.
    pub(crate) fn dearmored(&self, armored: &str) -> Vec<u8> {
        let file = self.path("armored.asc");
        fs::write(&file, armored).unwrap();
        oracle::finish(self.command("20240101").args(["--output", "-", "--dearmor"]).arg(&file)).stdout
    }

    /// Returns whether gpgv finds the signature of a file good, now.
    pub(crate) fn gpgv(&self, keyring: &[u8], signed: &[u8]) -> bool {
        self.verified(keyring, signed).is_some()
    }

    /// Returns what gpgv finds signed in a text, if the signature is good, now.
    pub(crate) fn signed_text(&self, keyring: &[u8], signed: &str) -> Option<String> {
        self.verified(keyring, signed.as_bytes()).map(|text| String::from_utf8(text).unwrap())
    }

    fn verified(&self, keyring: &[u8], signed: &[u8]) -> Option<Vec<u8>> {
        let (keys, file) = (self.path("keyring.gpg"), self.path("file.asc"));
        fs::write(&keys, keyring).unwrap();
        fs::write(&file, signed).unwrap();
        gpgv(&keys, &file, &self.path("gpgv.out"))
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
