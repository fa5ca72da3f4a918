//! `seedkit ca`: certificates are made once, judged by the time it is, and renewed under the same authority.

use seedkit::epoch::Epoch;
use seedkit::ops::ca::{CaError, load_or_create, renew};
use seedkit::secrets::Secrets;
use seedkit::spec::{self, Spec};

use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, lab};

const DAY: u64 = 86_400;

fn at(days: u64) -> Epoch {
    Epoch::try_from(1_763_683_200 + days * DAY).unwrap()
}

fn lab_spec() -> Spec {
    spec::load(&lab().join("seedkit.yaml")).unwrap().0
}

#[test]
fn certificates_are_good_from_their_first_day_to_their_last() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = Secrets::open(&folder.path().join("secrets")).unwrap();
    let spec = lab_spec();
    let made = load_or_create(&spec, &secrets, at(0)).unwrap();
    assert!(made.is_new);
    for days in [0, 1, 800, 824] {
        let loaded = load_or_create(&spec, &secrets, at(days)).unwrap();
        assert_eq!((loaded.is_new, loaded.days_left(at(days))), (false, 825 - i64::try_from(days).unwrap()));
        assert_eq!(loaded.server_pem, made.server_pem);
    }
    let error = |days| load_or_create(&spec, &secrets, at(days)).unwrap_err();
    assert!(matches!(error(826), CaError::NotValid(..)));
    let renewed = renew(&spec, &secrets, at(826)).unwrap();
    assert_eq!(renewed.authority.pem(), made.authority.pem());
    assert_eq!(renewed.server_key, made.server_key);
    assert_eq!(load_or_create(&spec, &secrets, at(826)).unwrap().server_pem, renewed.server_pem);
    assert!(matches!(error(3651), CaError::AuthorityNotValid(..)));
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let sandbox = Sandbox::lab();
    assert!(!sandbox.seedkit(&BUILD).succeeds().stderr.contains("warning"));
    let old = "sans: [registry.lab.example]\n";
    sandbox.edit(SPEC, old, &format!("{old}  lifetime: {{ serverDays: 20 }}\n"));
    sandbox.seedkit(&["ca", "renew", "-f", SPEC]).succeeds();
    let run = sandbox.seedkit(&BUILD).succeeds();
    let days = ["20", "19"].map(|days| format!("warning: the registry's certificates end in {days} days"));
    assert!(days.iter().any(|text| run.stderr.contains(text)), "{}", run.stderr);
}

#[test]
fn a_new_name_of_the_registry_needs_a_new_authority_and_renew_says_so() {
    let sandbox = Sandbox::lab();
    sandbox.seedkit(&["ca", "-f", SPEC]).succeeds();
    sandbox.edit(SPEC, "sans: [registry.lab.example]", "sans: [registry.lab.example, mirror.lab.example]");
    let refused = sandbox.seedkit(&BUILD);
    assert!(refused.fails(2).contains("hint: run `seedkit ca renew`"), "{}", refused.stderr);
    let renewed = sandbox.seedkit(&["ca", "renew", "-f", SPEC]);
    let said = renewed.fails(2);
    assert!(
        said.contains("vouches for 192.168.6.1, 127.0.0.1, ::1, registry.lab.example, localhost alone"),
        "{said}"
    );
    assert!(said.contains("hint: move `ca.crt` and `registry.crt` out of the secrets folder"), "{said}");
    for name in ["ca.crt", "registry.crt"] {
        fs_err::remove_file(sandbox.path("lab/secrets").join(name)).unwrap();
    }
    sandbox.seedkit(&BUILD).succeeds();
}

#[test]
fn ca_show_of_a_kit_needs_neither_its_spec_nor_its_secrets() {
    let sandbox = Sandbox::built_lab();
    let own = sandbox.seedkit(&["ca", "show", "-f", SPEC]).succeeds();
    fs_err::rename(sandbox.path("kit"), sandbox.path("lab/carried")).unwrap();
    fs_err::remove_dir_all(sandbox.path("lab/secrets")).unwrap();
    let shown = |kit: &str| Run::of(sandbox.prepare(&["ca", "show", kit]).current_dir(sandbox.path("lab")));
    let run = shown("carried").succeeds();
    assert_eq!(run, own);
    let json = sandbox.seedkit(&["ca", "show", "lab/carried", "--json"]).succeeds().json();
    let until = json["server"]["notAfter"].as_i64().unwrap();
    let until =
        crate::support::oracle::text("date", ["-u", "-d", &format!("@{until}"), "+%Y-%m-%dT%H:%M:%SZ"]);
    assert!(run.stdout.contains(&format!("  valid until: {until}")), "{}", run.stdout);
    assert!(shown("images").fails(2).contains("error: `images` is not a kit"), "{run:?}");
    fs_err::remove_file(sandbox.path("lab/carried/registry/ca.crt")).unwrap();
    let said = shown("carried");
    assert!(said.fails(2).contains("certificate `carried/registry/ca.crt`"), "{said:?}");
    assert!(
        said.stderr.contains("hint: `seedkit verify KIT`") && !sandbox.path("lab/secrets").exists(),
        "{said:?}"
    );
}
