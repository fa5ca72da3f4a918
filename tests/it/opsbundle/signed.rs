//! Bundles with a signature: nodes install what the site's own key vouches for, and nothing else.

use std::collections::BTreeSet;

use fs_err as fs;
use seedkit::deb::signature::SigningKey;
use seedkit::opsbundle::{Bundle, BundleInput, Signer};
use seedkit::template::Templates;

use super::debs::native;
use super::node::{LOG, MARKER, Node, suite};
use super::{archive, tools};
use crate::deb::gpg::Gpg;
use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

/// Where nodes of a site have its certificate.
const KEYRING: &str = "/etc/apt/keyrings/site.asc";

/// A key of the site, and GnuPG's home of it.
struct Site {
    gpg: Gpg,
    key: SigningKey,
}

impl Site {
    fn new() -> Self {
        let gpg = Gpg::new();
        gpg.make_key("20240101", "ed25519", "cert,sign", "never");
        let key = SigningKey::parse(&gpg.export_secret("--export-secret-keys")).unwrap();
        Self { gpg, key }
    }

    /// Plans a bundle that it signs, on 2024-02-01.
    fn bundle(&self, node_keyring: Option<&str>) -> Bundle {
        let requested = BTreeSet::from(["ops-tool".to_owned()]);
        let (suite, architecture) = (suite(), native());
        let input = BundleInput {
            suite: &suite,
            architecture: &architecture,
            requested: &requested,
            packages: &tools().packages(),
            epoch: "1706745600".parse().unwrap(),
            signer: Some(Signer { key: &self.key, node_keyring }),
        };
        Bundle::plan(&input, &Templates::builtin()).unwrap()
    }

    fn certificate(&self) -> Vec<u8> {
        self.gpg.export(&["--armor"])
    }
}

/// Says all that apt complains about.
fn complaints(node: &Node) -> Vec<String> {
    let log = node.read(LOG).unwrap();
    log.lines().filter(|line| line.starts_with("W: ") || line.starts_with("E: ")).map(str::to_owned).collect()
}

#[test]
fn a_signed_bundle_installs_by_its_own_certificate_and_apt_does_not_complain() {
    let site = Site::new();
    let node = Node::new();
    node.install(&node.unpack(&site.bundle(None))).succeeds();
    assert_eq!(node.run("ops-tool").succeeds().stdout, "lib\n");
    assert_eq!(complaints(&node), Vec::<String>::new());
    assert!(node.read(MARKER).is_some());
}

#[test]
fn a_signed_bundle_installs_by_the_certificate_that_the_node_has() {
    let site = Site::new();
    let bundle = site.bundle(Some(KEYRING));
    let node = Node::new();
    let folder = node.unpack(&bundle);
    let run = node.install(&folder);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&format!("this system has no {KEYRING}; nothing was changed")), "{run:?}");
    node.put(KEYRING, site.certificate());
    node.install(&folder).succeeds();
    assert_eq!(complaints(&node), Vec::<String>::new());
}

/// Makes SHA256SUMS fit again, as somebody can who changes a bundle on its way.
const SUMS: &str =
    "sed 's/^[0-9a-f]*  //' SHA256SUMS | tr '\\n' '\\0' | xargs -0 sha256sum >new; mv new SHA256SUMS";

#[test]
fn apt_refuses_what_was_changed_since_the_site_signed_it_even_if_all_sums_fit() {
    let (site, other) = (Site::new(), Site::new());
    let bundle = site.bundle(Some(KEYRING));
    let stranger = other.bundle(Some(KEYRING));
    for (what, harm, reason) in [
        (
            "a changed index",
            "sed -i 's/^Version: 1.2$/Version: 9.9/' Packages; gzip -9nc Packages >Packages.gz",
            "Hash Sum mismatch",
        ),
        ("no signature", "sed -i '/InRelease/d' SHA256SUMS; rm InRelease", "is not signed"),
        ("a changed release", "sed -i 's/^Label: .*/Label: evil/' InRelease", "BADSIG"),
        ("another site's signature", "", "NO_PUBKEY"),
    ] {
        let node = Node::new();
        node.put(KEYRING, site.certificate());
        let folder = node.unpack(if harm.is_empty() { &stranger } else { &bundle });
        let script = format!("cd '{folder}'; {harm}{} {SUMS}", if harm.is_empty() { "" } else { ";" });
        node.run(&script).succeeds();
        let run = node.install(&folder);
        assert_eq!(run.code, Some(1), "{what}: {run:?}");
        assert!(run.stderr.contains("apt cannot read the bundle; nothing was changed"), "{what}: {run:?}");
        let log = node.read(LOG).unwrap();
        assert!(log.contains(reason), "{what}: {log}");
        assert_eq!((node.installed(), node.read(MARKER)), (Vec::new(), None), "{what}");
    }
}

#[test]
fn the_same_key_gives_the_same_bytes_which_the_certificate_alone_verifies() {
    let site = Site::new();
    let bundle = site.bundle(None);
    assert!(archive(&bundle) == archive(&site.bundle(None)));
    let text = |path: &str| {
        let Some(seedkit::tree::Entry::File { content, .. }) = bundle.tree().get(path) else {
            panic!("there is no {path}")
        };
        std::io::read_to_string(content.open().unwrap()).unwrap()
    };
    let binary = site.gpg.dearmored(&text("key.asc"));
    assert_eq!(binary, site.gpg.export(&[]));
    assert_eq!(site.gpg.signed_text(&binary, &text("InRelease")), Some(text("Release")));
    let other = Site::new();
    assert_ne!(other.bundle(None).name(), bundle.name());
}

const LOCKED: [&str; 2] = ["--locked", "--offline"];

/// Returns a lab whose bundle is signed with the file `site.asc` of the secrets, which has `key` in it.
fn lab(key: &str) -> Sandbox {
    let sandbox = Sandbox::lab();
    let names = "  names: [seedkit-lab-hello]\n";
    sandbox.edit(SPEC, names, &format!("{names}  sign: {{ secret: site.asc }}\n"));
    sandbox.write("lab/secrets/site.asc", key);
    for (path, mode) in [("lab/secrets", 0o700), ("lab/secrets/site.asc", 0o600)] {
        fs::set_permissions(sandbox.path(path), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    sandbox
}

#[test]
fn a_build_signs_with_the_secret_that_the_spec_names_and_the_lock_stays_as_it_is() {
    let site = Site::new();
    let secret = site.gpg.export_secret("--export-secret-keys");
    let [one, other] = [(); 2].map(|()| lab(&secret));
    one.seedkit(&[&BUILD[..], &LOCKED].concat()).succeeds();
    other.seedkit(&[&["pack", "packages", "-f", SPEC, "-o", "out"][..], &LOCKED].concat()).succeeds();
    let [bundle] = &other.names("out")[..] else { panic!("{:?}", other.names("out")) };
    let bytes = fs::read(other.path("out").join(bundle)).unwrap();
    assert!(
        bytes == fs::read(one.path("kit").join(bundle)).unwrap(),
        "the same secret gives the same bundle"
    );
    let bill: serde_json::Value = serde_json::from_str(&one.read("kit/kit.json")).unwrap();
    assert_eq!(bill["artifacts"][bundle]["madeFrom"], serde_json::json!(["seedkit.lock", "site.asc"]));
    let lines: Vec<&str> = secret.lines().filter(|line| line.len() == 64).collect();
    let bundle = other.path("out").join(bundle);
    let inspected = other.seedkit(&["inspect", "--json", bundle.to_str().unwrap()]).succeeds().json();
    assert_eq!(inspected["findings"], serde_json::json!([]));
    let unpacked = oracle::run("tar", ["-xzOf", bundle.to_str().unwrap()]).stdout;
    let unpacked = String::from_utf8_lossy(&unpacked);
    assert!(unpacked.contains("-----BEGIN PGP SIGNED MESSAGE-----\n"), "{unpacked}");
    assert!(
        !lines.is_empty() && lines.iter().all(|line| !unpacked.contains(line)),
        "the key is in the bundle"
    );
}

#[test]
fn a_key_that_cannot_sign_is_explained_and_never_shown() {
    let site = Site::new();
    let locked = Gpg::new();
    locked.make_locked_key("20240101", "a passphrase");
    let expired = Gpg::new();
    expired.make_key("20240101", "ed25519", "cert,sign", "1y");
    for (key, expected) in [
        (String::from_utf8(site.certificate()).unwrap(), "there is no armored private key"),
        (locked.export_secret_locked("a passphrase"), "the private key has a passphrase"),
        (expired.export_secret("--export-secret-keys"), "the key expired at 2024-12-31"),
    ] {
        let sandbox = lab(&key);
        let run = sandbox.seedkit(&[&["pack", "packages", "-f", SPEC, "-o", "out"][..], &LOCKED].concat());
        let message = run.fails(2);
        assert!(message.contains("cannot sign with `lab/secrets/site.asc`"), "{message}");
        assert!(message.contains(expected) && message.contains("\n  hint: "), "{message}");
        assert!(key.lines().filter(|line| line.len() == 64).all(|line| !message.contains(line)), "{message}");
    }
    let sandbox = lab("x");
    fs::remove_file(sandbox.path("lab/secrets/site.asc")).unwrap();
    let run = sandbox.seedkit(&[&BUILD[..], &LOCKED].concat());
    assert!(
        run.fails(2).contains("there is no `lab/secrets/site.asc`, which `packages.sign` names"),
        "{run:?}"
    );
}
