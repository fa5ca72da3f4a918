//! Signatures that GnuPG makes, good and bad ones; gpgv agrees on the good ones.

use fs_err as fs;
use seedkit::deb::release::Release;
use seedkit::deb::signature::{InvalidSignedText, Keyring, Verified, verify};

use super::gpg::{Gpg, gpgv};
use super::{lists_folder, now};

const TEXT: &str = "Origin: Seedkit\nSuite: test \n- dashed\n-----BEGIN x\n\nlast\n";
/// What is signed of it: no signature covers blanks at the end of a line.
const SIGNED: &str = "Origin: Seedkit\nSuite: test\n- dashed\n-----BEGIN x\n\nlast\n";

/// Makes keys, and a signature with one of them.
type Signing = fn(&Gpg) -> String;
/// Changes a key after it has signed.
type Spoiling = fn(&Gpg, &str);

fn check(signed: &str, keyring: &[u8]) -> Result<Verified, InvalidSignedText> {
    verify(signed.as_bytes(), &Keyring::parse(keyring).unwrap(), now())
}

/// Verifies what must be refused, and returns why it is.
fn refusal(signed: &str, keyring: &[u8]) -> String {
    check(signed, keyring).expect_err("the signature is bad, but was accepted").to_string()
}

#[test]
fn signatures_of_all_kinds_of_keys_are_good() {
    for algorithm in ["ed25519", "rsa2048", "nistp256"] {
        let gpg = Gpg::new();
        let key = gpg.make_key("20240101", algorithm, "cert,sign", "never");
        let signed = gpg.sign("20240201", TEXT, &[]);
        let keyring = gpg.export(&[]);
        assert!(gpg.gpgv(&keyring, signed.as_bytes()), "{algorithm}");
        let verified = check(&signed, &keyring).unwrap();
        assert_eq!(verified.text, SIGNED);
        assert_eq!(verified.signers.iter().map(|one| one.as_str()).collect::<Vec<_>>(), [key]);
        let armored = gpg.export(&["--armor"]);
        assert_eq!(check(&signed, &[&armored[..], b"comment\n", &armored].concat()).unwrap(), verified);
    }
}

#[test]
fn a_subkey_signs_for_its_certificate() {
    let gpg = Gpg::new();
    let key = gpg.make_key("20240101", "ed25519", "cert", "never");
    gpg.run("20240102", &["--quick-add-key", &key, "ed25519", "sign", "never"]);
    gpg.run("20240102", &["--quick-add-key", &key, "cv25519", "encr", "never"]);
    let signed = gpg.sign("20240201", TEXT, &[]);
    let keyring = gpg.export(&[]);
    assert!(gpg.gpgv(&keyring, signed.as_bytes()));
    assert_eq!(check(&signed, &keyring).unwrap().signers[0].as_str(), key);
}

#[test]
fn one_pinned_signer_of_two_is_enough() {
    let gpg = Gpg::new();
    let keys = [0, 1].map(|_| gpg.make_key("20240101", "ed25519", "cert,sign", "never"));
    let signed = gpg.sign("20240201", TEXT, &["--local-user", &keys[0], "--local-user", &keys[1]]);
    for key in &keys {
        assert_eq!(check(&signed, &gpg.export(&[key])).unwrap().signers[0].as_str(), key);
    }
    assert_eq!(check(&signed, &gpg.export(&[])).unwrap().signers.len(), 2);
}

#[test]
fn a_file_changed_in_any_way_is_refused() {
    let gpg = Gpg::new();
    gpg.make_key("20240101", "ed25519", "cert,sign", "never");
    let signed = gpg.sign("20240201", TEXT, &[]);
    let other = gpg.sign("20240201", "Origin: Other\n", &[]);
    let keyring = gpg.export(&[]);
    let signature = |file: &str| file[file.find("-----BEGIN PGP SIGNATURE").unwrap()..].to_owned();
    for (tampered, reason) in [
        (signed.replace("Suite: test", "Suite: text"), "it is not a signature of this text"),
        (signed.replace("Suite:", "Codename: x\nSuite:"), "it is not a signature of this text"),
        (signed.replace("\n\nlast", "\nlast"), "it is not a signature of this text"),
        (signed.replace(&signature(&signed), &signature(&other)), "it is not a signature of this text"),
        (format!("Extra: 1\n{signed}"), "does not begin with a PGP signed message"),
        (format!("{signed}Extra: 1\n"), "something follows the signature"),
        (format!("{signed}{other}"), "something follows the signature"),
        (signed.replacen("Hash: ", "Extra: 1\nHash: ", 1), "line 2 is not a header"),
        (signed.replacen("\n\n", "\n\t\n\n", 1), "line 3 is not a header"),
        (signed.replacen("- - dashed", "-dashed", 1), "begins with a hyphen"),
        (signed[..signed.len() / 2].to_owned(), "ends too early"),
        (SIGNED.to_owned(), "does not begin with a PGP signed message"),
    ] {
        assert_ne!(tampered, signed);
        let found = refusal(&tampered, &keyring);
        assert!(found.contains(reason), "{tampered}\n{found}");
    }
}

#[test]
fn signatures_that_do_not_count_are_refused_with_the_reason() {
    let expired = |gpg: &Gpg| {
        gpg.make_key("20230101", "ed25519", "cert,sign", "1y");
        gpg.sign("20230201", TEXT, &[])
    };
    let signed_for_a_day = |gpg: &Gpg| {
        gpg.make_key("20230101", "ed25519", "cert,sign", "never");
        gpg.sign("20230201", TEXT, &["--default-sig-expire", "1d"])
    };
    let from_the_future = |gpg: &Gpg| {
        gpg.make_key("20230101", "ed25519", "cert,sign", "never");
        gpg.sign("20990101", TEXT, &[])
    };
    let sha1 = |gpg: &Gpg| {
        gpg.make_key("20240101", "rsa2048", "cert,sign", "never");
        gpg.sign("20240201", TEXT, &["--digest-algo", "SHA1"])
    };
    let short = |gpg: &Gpg| {
        gpg.make_key("20240101", "rsa1024", "cert,sign", "never");
        gpg.sign("20240201", TEXT, &[])
    };
    let bound_by_sha1 = |gpg: &Gpg| {
        gpg.run(
            "20240101",
            &["--cert-digest-algo", "SHA1", "--quick-generate-key", "a", "rsa2048", "cert,sign"],
        );
        gpg.sign("20240201", TEXT, &[])
    };
    let cases: [(&str, Signing); 6] = [
        ("the key expired at 2024-01-01T00:00:00Z", expired),
        ("it expired at 2023-02-02T00:00:00Z", signed_for_a_day),
        ("it, or its key, was made only at 2099-01-01T00:00:00Z", from_the_future),
        ("its hash function SHA1 is too weak", sha1),
        ("the key is too weak", short),
        ("no good signature binds the key to its certificate", bound_by_sha1),
    ];
    for (reason, make) in cases {
        let gpg = Gpg::new();
        let signed = make(&gpg);
        let found = refusal(&signed, &gpg.export(&[]));
        assert!(found.starts_with("no signature is good: that by ") && found.ends_with(reason), "{found}");
    }
}

#[test]
fn keys_that_were_revoked_or_may_not_sign_are_refused() {
    let revoked = |gpg: &Gpg, key: &str| {
        let path = gpg.path(&format!("openpgp-revocs.d/{key}.rev"));
        let text = fs::read_to_string(&path).unwrap().replace(":-----BEGIN", "-----BEGIN");
        fs::write(&path, text).unwrap();
        gpg.run("20240301", &["--import", path.to_str().unwrap()]);
    };
    let subkey_revoked = |gpg: &Gpg, key: &str| gpg.edit("20240301", key, "key 1\nrevkey\ny\n0\n\ny\nsave\n");
    let subkey_demoted =
        |gpg: &Gpg, key: &str| gpg.edit("20240301", key, "key 1\nchange-usage\ns\na\nq\nsave\n");
    let expired_primary = |gpg: &Gpg, key: &str| gpg.run("20240301", &["--quick-set-expire", key, "1d"]);
    let cases: [(&str, Spoiling); 4] = [
        ("the key is revoked", revoked),
        ("the key is revoked", subkey_revoked),
        ("the key may not sign", subkey_demoted),
        ("the key expired at 2024-03-02T00:00:00Z", expired_primary),
    ];
    for (number, (reason, spoil)) in cases.into_iter().enumerate() {
        let gpg = Gpg::new();
        let key = gpg.make_key("20240101", "ed25519", "cert", "never");
        gpg.run("20240102", &["--quick-add-key", &key, "ed25519", "sign", "never"]);
        let signed = gpg.sign("20240201", TEXT, &[]);
        assert!(check(&signed, &gpg.export(&[])).is_ok());
        spoil(&gpg, &key);
        let keyring = gpg.export(&[]);
        let found = refusal(&signed, &keyring);
        assert!(found.ends_with(reason), "{number}: {found}");
        assert!(!gpg.gpgv(&keyring, signed.as_bytes()), "gpgv accepts {number}");
    }
}

#[test]
fn a_signature_by_another_key_is_refused_with_its_name() {
    let (gpg, other) = (Gpg::new(), Gpg::new());
    let key = gpg.make_key("20240101", "ed25519", "cert,sign", "never");
    other.make_key("20240101", "ed25519", "cert,sign", "never");
    let found = refusal(&gpg.sign("20240201", TEXT, &[]), &other.export(&[]));
    assert_eq!(found, format!("no signature is good: that by {key}: the key is not in the keyring"));
}

#[test]
fn a_borrowed_subkey_signs_for_its_own_certificate_alone() {
    // The certificate with the borrowed subkey has no back-signature: gpg cannot make one without the secret key.
    let gpg = Gpg::new();
    let key = gpg.make_key("20240101", "ed25519", "cert", "never");
    gpg.run("20240102", &["--quick-add-key", &key, "ed25519", "sign", "never"]);
    let signed = gpg.sign("20240201", TEXT, &[]);
    let keyring = gpg.export(&[]);
    let thief = Gpg::new();
    thief.make_key("20240101", "ed25519", "cert", "never");
    // The subkey's packets after another primary key: a binding by the wrong key.
    let subkey = keyring.windows(2).rposition(|bytes| bytes == [0xB8, 0x33]).unwrap();
    let stolen = [thief.export(&[]), keyring[subkey..].to_vec()].concat();
    assert!(refusal(&signed, &stolen).ends_with("no good signature binds the key to its certificate"));
    assert!(!gpg.gpgv(&stolen, signed.as_bytes()));
}

#[test]
fn what_is_no_keyring_is_refused_with_the_reason() {
    let gpg = Gpg::new();
    gpg.make_key("20240101", "ed25519", "cert,sign", "never");
    let armored = String::from_utf8(gpg.export(&["--armor"])).unwrap();
    let keybox = fs::read(gpg.path("pubring.kbx")).unwrap();
    let cut = armored.replace("-----END", "");
    let private = armored.replace("PUBLIC KEY", "PRIVATE KEY");
    for (bytes, reason) in [
        (&b""[..], "has no certificate"),
        (b"hello", "certificate"),
        (cut.as_bytes(), "does not end"),
        (private.as_bytes(), "has a private key"),
        (&keybox, "is a GnuPG keybox"),
        (&gpg.export(&[])[..60], "malformed certificate"),
    ] {
        let found = Keyring::parse(bytes).unwrap_err().to_string();
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn gpgv_agrees_on_the_distribution_s_own_release_files() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["debian-archive-keyring.gpg", "ubuntu-archive-keyring.gpg"];
    let keyrings = names.map(|name| std::path::Path::new("/usr/share/keyrings").join(name));
    let path = keyrings.iter().find(|path| path.is_file()).expect("a distribution's keyring is installed");
    let keyring = Keyring::parse(&fs::read(path).unwrap()).unwrap();
    let mut good = 0;
    for entry in fs::read_dir(lists_folder()).unwrap() {
        let file = entry.unwrap().path();
        if !file.to_str().unwrap().ends_with("InRelease") {
            continue;
        }
        let verified = verify(&fs::read(&file).unwrap(), &keyring, now());
        let expected = gpgv(path, &file, &folder.path().join("signed"));
        assert_eq!(verified.is_ok(), expected.is_some(), "{}: {:?}", file.display(), verified.err());
        if let (Ok(verified), Some(expected)) = (verified, expected) {
            assert!(verified.text.as_bytes() == expected, "{}", file.display());
            Release::parse(&verified.text).unwrap();
            good += 1;
        }
    }
    assert!(good > 0, "no InRelease of the distribution in apt's lists: run `apt-get update`");
}
