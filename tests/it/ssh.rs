//! OpenSSH itself reads the key pairs that seedkit makes, and the lines that seedkit accepts.

use std::path::Path;

use seedkit::fs::create_new;
use seedkit::ssh::{AuthorizedKey, KeyPair};

use crate::support::oracle;

fn ssh_keygen(arguments: &[&str], path: &Path) -> String {
    let path = path.to_str().unwrap();
    oracle::text("ssh-keygen", arguments.iter().copied().chain(["-f", path]))
}

#[test]
fn ssh_keygen_reads_both_halves_of_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = (folder.path().join("id_ed25519"), folder.path().join("public.pub"));
    let pair = KeyPair::generate_ed25519("seedkit lab").unwrap();
    create_new(&private, pair.private().expose().as_bytes(), 0o600).unwrap();
    create_new(&public, format!("{}\n", pair.public()).as_bytes(), 0o644).unwrap();

    assert_eq!(ssh_keygen(&["-y"], &private).trim_end(), pair.public().as_str());
    let fingerprint = ssh_keygen(&["-l"], &public);
    assert!(
        fingerprint.starts_with("256 SHA256:") && fingerprint.ends_with("seedkit lab (ED25519)\n"),
        "{fingerprint}"
    );
    assert_eq!(ssh_keygen(&["-l"], &private), fingerprint);
}

#[test]
fn openssh_signs_with_the_pair_and_finds_the_signature_good() {
    let folder = tempfile::tempdir().unwrap();
    let [private, allowed, message] = ["id", "allowed", "message"].map(|name| folder.path().join(name));
    let pair = KeyPair::generate_ed25519("").unwrap();
    create_new(&private, pair.private().expose().as_bytes(), 0o600).unwrap();
    create_new(&allowed, format!("lab {}\n", pair.public()).as_bytes(), 0o644).unwrap();
    create_new(&message, b"hello", 0o644).unwrap();

    let message = message.to_str().unwrap();
    oracle::run("ssh-keygen", ["-q", "-Y", "sign", "-n", "file", "-f", private.to_str().unwrap(), message]);
    let verify = ["-Y", "verify", "-n", "file", "-I", "lab", "-f", allowed.to_str().unwrap(), "-s"];
    let signature = format!("{message}.sig");
    let mut command = oracle::command("ssh-keygen");
    command.args(verify).arg(signature).stdin(fs_err::File::open(message).unwrap().into_file());
    let verdict = oracle::finish(&mut command);
    assert!(String::from_utf8_lossy(&verdict.stdout).starts_with("Good \"file\" signature"));
}

#[test]
fn every_type_of_key_that_openssh_makes_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    for (key_type, bits) in
        [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")]
    {
        let path = folder.path().join(format!("{key_type}-{bits}"));
        ssh_keygen(&["-q", "-N", "", "-C", "a user's", "-t", key_type, "-b", bits], &path);
        let line = fs_err::read_to_string(path.with_extension("pub")).unwrap();
        assert_eq!(line.parse::<AuthorizedKey>().unwrap().as_str(), line.trim_end());
        let private = fs_err::read_to_string(&path).unwrap();
        assert!(private.parse::<AuthorizedKey>().is_err(), "{key_type}");
    }
}

#[test]
fn a_key_that_openssh_refuses_for_its_length_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = "import base64, struct, sys\nfield = lambda b: struct.pack('>I', len(b)) + b\n\
                   n = b'\\0' + b'\\xc3' * int(sys.argv[1])\n\
                   print('ssh-rsa', base64.b64encode(field(b'ssh-rsa') + field(b'\\1\\0\\1') + field(n)).decode())";
    for (bytes, is_taken) in [("64", false), ("127", false), ("128", true)] {
        let line = oracle::text("/usr/bin/python3", ["-c", program, bytes]);
        let path = folder.path().join(bytes);
        create_new(&path, line.as_bytes(), 0o644).unwrap();
        let mut keygen = oracle::command("ssh-keygen");
        let judged = keygen.args(["-l", "-f"]).arg(&path).output().unwrap();
        assert_eq!(judged.status.success(), is_taken, "{judged:?}");
        let read = line.parse::<AuthorizedKey>();
        assert_eq!(read.is_ok(), is_taken, "{read:?}");
        if let Err(error) = read {
            assert!(
                error.to_string().ends_with("it has fewer than 1024 bits, and sshd refuses it"),
                "{error}"
            );
        }
    }
}
