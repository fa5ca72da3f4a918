//! Signatures that seedkit makes with GnuPG's keys; gpgv finds them good.

use seedkit::deb::signature::{Keyring, SigningKey, verify};
use seedkit::epoch::Epoch;

use super::gpg::Gpg;

const TEXT: &str = "Origin: Seedkit\nSuite: test\n- dashed\n-----BEGIN x\n\nlast\n";

/// 2024-02-01, after the keys of most tests.
fn february() -> Epoch {
    "1706745600".parse().unwrap()
}

fn exported(gpg: &Gpg, what: &str) -> SigningKey {
    SigningKey::parse(&gpg.export_secret(what)).unwrap()
}

/// Returns the second of the first signature in a file, as GnuPG lists it.
fn signed_at(gpg: &Gpg, signed: &str) -> String {
    let packets = gpg.packets(signed);
    let (_, signature) = packets.split_once(":signature packet:").unwrap();
    let (_, after) = signature.split_once("created ").unwrap();
    after.split(',').next().unwrap().to_owned()
}

#[test]
fn gpgv_finds_the_signatures_of_all_kinds_of_keys_good() {
    for algorithm in ["ed25519", "rsa2048", "nistp256", "nistp384"] {
        let gpg = Gpg::new();
        let fingerprint = gpg.make_key("20240101", algorithm, "cert,sign", "never");
        let key = exported(&gpg, "--export-secret-keys");
        assert_eq!(key.fingerprint().as_str(), fingerprint);
        let signed = key.sign(TEXT, february()).unwrap();
        assert_eq!(gpg.signed_text(&gpg.export(&[]), &signed).as_deref(), Some(TEXT), "{algorithm}");
        assert_eq!(signed_at(&gpg, &signed), "1706745600");
        let found = verify(signed.as_bytes(), key.certificate(), february()).unwrap();
        assert_eq!((found.text.as_str(), found.signers), (TEXT, vec![key.fingerprint()]));
        assert_eq!(exported(&gpg, "--export-secret-keys").sign(TEXT, february()).unwrap(), signed);
    }
}

#[test]
fn the_certificate_that_is_handed_out_is_the_one_that_gpg_exports() {
    let gpg = Gpg::new();
    let primary = gpg.make_key("20240101", "rsa2048", "cert", "never");
    gpg.run("20240102", &["--quick-add-key", &primary, "ed25519", "sign", "never"]);
    let key = exported(&gpg, "--export-secret-keys");
    let certificate = key.armored_certificate().unwrap();
    assert!(!certificate.contains("PRIVATE"), "{certificate}");
    let signed = key.sign(TEXT, february()).unwrap();
    let keyring = Keyring::parse(certificate.as_bytes()).unwrap();
    assert_eq!(keyring.fingerprints(), key.certificate().fingerprints());
    // gpgv 2.2 takes binary keyrings alone; what apt does is the same.
    let binary = gpg.dearmored(&certificate);
    assert_eq!(binary, gpg.export(&[]));
    assert_eq!(gpg.signed_text(&binary, &signed).as_deref(), Some(TEXT));
}

#[test]
fn the_newest_signing_subkey_signs_where_the_primary_key_stays_at_home() {
    let gpg = Gpg::new();
    let primary = gpg.make_key("20240101", "ed25519", "cert", "never");
    gpg.run("20240102", &["--quick-add-key", &primary, "ed25519", "sign", "never"]);
    gpg.run("20240103", &["--quick-add-key", &primary, "rsa2048", "sign", "never"]);
    gpg.run("20240104", &["--quick-add-key", &primary, "cv25519", "encr", "never"]);
    let key = exported(&gpg, "--export-secret-subkeys");
    let signed = key.sign(TEXT, february()).unwrap();
    assert_eq!(gpg.signed_text(&gpg.export(&[]), &signed).as_deref(), Some(TEXT));
    assert!(
        gpg.packets(&signed).contains(":signature packet: algo 1,"),
        "it is not the RSA subkey that signs"
    );
}

#[test]
fn a_signature_is_never_older_than_its_key() {
    let gpg = Gpg::new();
    let primary = gpg.make_key("20240601", "ed25519", "cert", "never");
    gpg.run("20240602", &["--quick-add-key", &primary, "ed25519", "sign", "never"]);
    let signed = exported(&gpg, "--export-secret-keys").sign(TEXT, february()).unwrap();
    // 2024-06-02: when the subkey was bound.
    assert_eq!(signed_at(&gpg, &signed), "1717286400");
    assert_eq!(gpg.signed_text(&gpg.export(&[]), &signed).as_deref(), Some(TEXT));
}

#[test]
fn a_key_whose_signatures_nobody_would_trust_does_not_sign() {
    for (algorithm, usage, expiry, reason) in [
        ("ed25519", "cert,sign", "1d", "the key expired at 2024-01-02"),
        ("ed25519", "cert", "never", "the key may not sign"),
        ("rsa1024", "cert,sign", "never", "the key is too weak"),
    ] {
        let gpg = Gpg::new();
        gpg.make_key("20240101", algorithm, usage, expiry);
        let error = exported(&gpg, "--export-secret-keys").sign(TEXT, february()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string() == "the signature would not count" && cause.contains(reason), "{cause}");
    }
}

#[test]
fn a_text_that_would_not_be_covered_whole_is_not_signed() {
    let gpg = Gpg::new();
    gpg.make_key("20240101", "ed25519", "cert,sign", "never");
    let key = exported(&gpg, "--export-secret-keys");
    for text in ["blank \n", "tab\t\nlast\n", "no line end", "carriage\rreturn\n"] {
        assert!(key.sign(text, february()).is_err(), "{text:?}");
    }
}

#[test]
fn what_is_no_signing_key_is_refused_with_the_reason_and_never_shown() {
    let gpg = Gpg::new();
    gpg.make_key("20240101", "ed25519", "cert,sign", "never");
    let armored = gpg.export_secret("--export-secret-keys");
    let key = SigningKey::parse(&armored).unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey(Fingerprint({:?}))", key.fingerprint().as_str()));
    let locked = Gpg::new();
    locked.make_locked_key("20240101", "a passphrase");
    let public = String::from_utf8(gpg.export(&["--armor"])).unwrap();
    let lines: Vec<&str> = armored.lines().collect();
    let cut = [&lines[..3], &lines[lines.len() - 1..]].concat().join("\n");
    for (text, reason) in [
        ("", "no armored private key"),
        (&public, "no armored private key"),
        (&format!("{armored}{armored}"), "more than one private key"),
        (&locked.export_secret_locked("a passphrase"), "has a passphrase"),
        (&cut, "malformed"),
    ] {
        let error = SigningKey::parse(text).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}: {text}");
        assert!(!format!("{error:?}").contains(lines[3]));
    }
}
