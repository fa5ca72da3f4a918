//! The way to the registry: TLS, passwords, and what is said when it is not open.

use fs_err as fs;

use crate::support::images::{image, layer};
use crate::support::kits::write_kit;
use crate::support::oracle;
use crate::support::registry::Registry;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::tls::Certificate;

fn kit() -> Sandbox {
    let sandbox = Sandbox::new();
    write_kit(&sandbox, &[("quay.io/lab/image:1", &image("linux", "amd64", &[layer("image")]))]);
    sandbox
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_trusted_by_name_or_by_the_kit() {
    let certificate = Certificate::new();
    let shown = fs::read(certificate.certificate()).unwrap();
    let (sandbox, registry) = (kit(), Registry::start_with_tls(certificate));
    let push =
        |options: &[&str]| sandbox.seedkit(&[&["push", "kit", registry.authority()], options].concat());
    let refused = push(&[]);
    let said = refused.fails(2);
    assert!(
        said.contains("the server's certificate is not from an authority that is trusted here"),
        "{said}"
    );
    assert!(
        said.ends_with("hint: name the registry's authority with --ca-file, or a bundle in SSL_CERT_FILE")
    );
    let ca_file = registry.ca_file().unwrap();
    assert!(push(&["--ca-file", ca_file.to_str().unwrap()]).succeeds().stdout.contains("2 blobs sent"));
    // The kit's authority is not asked about a registry that is not the kit's own.
    fs::create_dir_all(sandbox.path("kit/registry")).unwrap();
    fs::copy(&ca_file, sandbox.path("kit/registry/ca.crt")).unwrap();
    assert!(push(&[]).fails(2).contains("is not from an authority that is trusted here"));
    let own = Certificate::for_names("IP:192.168.6.1,DNS:registry.lab.example");
    fs::copy(own.certificate(), sandbox.path("kit/registry/registry.crt")).unwrap();
    assert!(push(&[]).fails(2).contains("is not from an authority that is trusted here"));
    // As the registry of the kit has it.
    sandbox.write("kit/registry/registry.crt", shown);
    assert!(push(&[]).succeeds().stdout.contains("1 image, 1 there already; 0 blobs sent"));
    fs::create_dir(sandbox.path("certs")).unwrap();
    fs::copy(&ca_file, sandbox.path("certs/ca.crt")).unwrap();
    let name = format!("docker://{}/lab/image:1", registry.authority());
    oracle::run("skopeo", ["inspect", "--cert-dir", sandbox.path("certs").to_str().unwrap(), &name]);
}

#[test]
fn a_registry_that_wants_a_password_gets_it_and_no_other_does() {
    let (sandbox, registry) = (kit(), Registry::start_with_password());
    let push = |auth: &str| {
        sandbox
            .write("auth.json", format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.authority()));
        let mut command = sandbox.prepare(&["push", "kit", registry.authority(), "--plain-http"]);
        Run::of(command.env("REGISTRY_AUTH_FILE", sandbox.path("auth.json")))
    };
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let (user, password) = registry.credentials().unwrap();
    let wrong = push(&encode(format!("{user}:wrong")));
    let said = wrong.fails(2);
    assert!(said.contains("answers 401 Unauthorized") && said.contains("hint: log in with"), "{said}");
    assert!(!wrong.stderr.contains("wrong:") && !wrong.stderr.contains(&encode(format!("{user}:wrong"))));
    assert!(push(&encode(format!("{user}:{password}"))).succeeds().stdout.contains("2 blobs sent"));
}

#[test]
fn what_stands_in_the_way_is_said_with_what_to_do() {
    let sandbox = kit();
    let registry = Registry::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (arguments, said) in [
        (&["push", "kit", registry.authority()][..], "hint: if the registry has no TLS, type --plain-http"),
        (&["push", "kit", &nobody, "--plain-http", "--retries", "0"], "the connection is refused"),
        (&["push", "kit", "user:hidden@registry.example"], "credentials belong into a Docker configuration"),
        (&["push", "kit", "http://registry.example"], "plain http is not allowed for it"),
        (&["push", "kit", "a", "--offline"], "--offline forbids pushing"),
        (&["push", "nothing", "a"], "`nothing` is not a kit"),
        (&["push", "kit"], "the following required arguments were not provided"),
    ] {
        let run = sandbox.seedkit(arguments);
        assert!(run.fails(2).contains(said), "{arguments:?}: {run:?}");
        assert!(!run.stderr.contains("hidden"), "{run:?}");
    }
}

#[test]
fn a_registry_that_serves_a_kit_says_that_it_takes_nothing() {
    let serving = crate::serve::Serving::lab();
    let sandbox = kit();
    let ca_file = serving.ca_file();
    let run = sandbox.seedkit(&["push", "kit", serving.address(), "--ca-file", ca_file.to_str().unwrap()]);
    assert!(
        run.fails(2).contains("405 Method Not Allowed: UNSUPPORTED: this registry is read-only"),
        "{run:?}"
    );
}
