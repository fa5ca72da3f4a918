//! PEM files, made and read by OpenSSL.

use serde_json::{Value, json};

use crate::support::oracle;
use crate::support::sandbox::Sandbox;

/// Has OpenSSL make a key and a certificate that signs itself.
fn make(sandbox: &Sandbox, name: &str, algorithm: &[&str], more: &[&str]) {
    let subject = format!("/CN={name}");
    let [key, certificate] = ["key", "crt"].map(|ending| format!("{name}.{ending}"));
    let start =
        ["req", "-x509", "-nodes", "-days", "40", "-subj", &subject, "-keyout", &key, "-out", &certificate];
    let mut command = oracle::command("openssl");
    oracle::finish(command.args(start).args(algorithm).args(more).current_dir(sandbox.path("")));
}

/// Returns what OpenSSL prints of a certificate for an option, without the name before it.
fn openssl(sandbox: &Sandbox, certificate: &str, option: &str) -> String {
    let mut command = oracle::command("openssl");
    let arguments = ["x509", "-noout", "-sha256", "-dateopt", "iso_8601", option, "-in", certificate];
    let output = oracle::finish(command.args(arguments).current_dir(sandbox.path(""))).stdout;
    let text = String::from_utf8(output).unwrap();
    text.trim().split_once('=').unwrap().1.trim().replace(" = ", "=")
}

const EC: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: [&str; 2] = ["-newkey", "rsa:2048"];

// DER puts a zero octet before a number whose first bit is set; OpenSSL chooses such a serial number now and then.
#[test]
fn a_serial_number_is_shown_without_the_octet_of_its_sign() {
    let sandbox = Sandbox::new();
    make(&sandbox, "server", &EC, &["-set_serial", "0xE85573D255D9682D"]);
    let result = sandbox.seedkit(&["inspect", "--json", "server.crt"]).succeeds().json();
    let serial = result["certificates"][0]["serial"].as_str().unwrap().replace(':', "");
    assert_eq!(serial, openssl(&sandbox, "server.crt", "-serial"));
    assert_eq!(serial, "E85573D255D9682D");
}

#[test]
fn a_certificate_is_described_as_openssl_describes_it() {
    let sandbox = Sandbox::new();
    make(
        &sandbox,
        "server",
        &RSA,
        &[
            "-addext",
            "subjectAltName=DNS:registry.lan,IP:192.168.6.1,IP:::1,email:a@b.c",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "extendedKeyUsage=serverAuth",
        ],
    );
    let result = sandbox.seedkit(&["inspect", "--json", "server.crt"]).succeeds().json();
    let certificate = &result["certificates"][0];
    assert_eq!((&result["kind"], &result["findings"]), (&json!("certificates"), &json!([])));
    let hex = |text: &Value| text.as_str().unwrap().replace(':', "");
    assert_eq!(certificate["subject"], openssl(&sandbox, "server.crt", "-subject"));
    assert_eq!(certificate["issuer"], openssl(&sandbox, "server.crt", "-issuer"));
    assert_eq!(certificate["fingerprint"], openssl(&sandbox, "server.crt", "-fingerprint"));
    assert_eq!(hex(&certificate["serial"]), openssl(&sandbox, "server.crt", "-serial"));
    assert_eq!(certificate["names"], json!(["registry.lan", "192.168.6.1", "::1"]));
    assert!(certificate["otherNames"][0].as_str().unwrap().contains("a@b.c"));
    let uses = ["isAuthority", "isForServers", "isRoot"].map(|key| certificate[key].as_bool().unwrap());
    assert_eq!(uses, [false, true, false]);
    assert!([39, 40].contains(&certificate["daysLeft"].as_i64().unwrap()));
    let text = sandbox.seedkit(&["inspect", "server.crt"]).succeeds().stdout;
    let end = openssl(&sandbox, "server.crt", "-enddate").replace(' ', "T");
    assert!(text.contains(&format!(" to {end}\n")), "{end}: {text}");
    assert!(text.contains("  names:       registry.lan, 192.168.6.1, ::1, "), "{text}");
    assert!(text.contains("  issuer:      CN=server\n"), "{text}");
}

#[test]
fn all_certificates_of_a_bundle_are_listed_in_its_order() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", &EC, &[]);
    make(&sandbox, "two", &EC, &["-addext", "basicConstraints=critical,CA:FALSE"]);
    let described = String::from_utf8(
        oracle::finish(
            oracle::command("openssl")
                .args(["x509", "-text", "-in", "two.crt"])
                .current_dir(sandbox.path("")),
        )
        .stdout,
    )
    .unwrap();
    sandbox.write("bundle.pem", described + &sandbox.read("one.crt"));
    let result = sandbox.seedkit(&["inspect", "--json", "bundle.pem"]).succeeds().json();
    let listed: Vec<_> = result["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["subject"], &one["isAuthority"], &one["isRoot"]))
        .collect();
    assert_eq!(
        listed,
        [(&json!("CN=two"), &json!(false), &json!(false)), (&json!("CN=one"), &json!(true), &json!(true))]
    );
}

#[test]
fn a_private_key_is_refused_and_not_shown() {
    let sandbox = Sandbox::new();
    make(&sandbox, "one", &EC, &[]);
    sandbox.write("both.pem", sandbox.read("one.crt") + &sandbox.read("one.key"));
    for name in ["one.key", "both.pem"] {
        let run = sandbox.seedkit(&["inspect", "--json", name]);
        let said = run.fails(2);
        assert!(said.contains(&format!("`{name}`")) && said.contains("is a `PRIVATE KEY`"), "{said}");
        let key = sandbox.read("one.key");
        assert!(key.lines().filter(|line| !line.starts_with('-')).all(|line| !said.contains(line)), "{said}");
    }
    sandbox.write("damaged.pem", sandbox.read("one.crt").replace("MII", "M*I"));
    assert!(sandbox.seedkit(&["inspect", "damaged.pem"]).fails(2).contains("PEM block 1 is damaged"));
}
