//! Kits that cannot be served, and kits with names of their own.

use fs_err as fs;

use super::Serving;
use crate::support::images::{image, index, layer};
use crate::support::kits::write_layout;
use crate::support::sandbox::{BUILD, Sandbox};
use crate::support::tls::Certificate;

const NO_KIT: &str = "name the folder that `seedkit build` made: it has kit.json, images/ and registry/";
const DAMAGED: &str = "`seedkit verify KIT` says what is missing or damaged; copy the kit again";

/// Returns how the attempt to serve the kit of `sandbox` fails.
fn failure(sandbox: &Sandbox, options: &[&str]) -> String {
    let arguments = [&["serve", "kit", "--listen", "127.0.0.1:0"], options].concat();
    sandbox.seedkit(&arguments).fails(2).to_owned()
}

fn pause_manifest(sandbox: &Sandbox) -> String {
    let digest = super::billed(sandbox).into_iter().find(|(name, _)| name.ends_with("pause:3.6")).unwrap().1;
    format!("kit/images/blobs/{}", digest.replace(':', "/"))
}

#[test]
fn a_kit_that_is_not_whole_is_refused_before_anything_is_served() {
    let built = Sandbox::built_lab();
    let pause = pause_manifest(&built);
    let foreign = Certificate::new();
    type Damage<'a> = Box<dyn Fn(&Sandbox) + 'a>;
    let remove = |path: &'static str| -> Damage<'_> {
        Box::new(move |sandbox| fs::remove_file(sandbox.path(path)).unwrap())
    };
    let write = |path: &'static str, text: &'static str| -> Damage<'_> {
        Box::new(move |sandbox| sandbox.write(path, text))
    };
    let cases: Vec<(Damage<'_>, &str, &str)> = vec![
        (remove("kit/kit.json"), "`kit` is not a kit", NO_KIT),
        (write("kit/kit.json", "{"), "cannot understand `kit/kit.json`", DAMAGED),
        (
            write("kit/kit.json", r#"{"version":9,"registry":"a","images":[]}"#),
            "`kit/kit.json` has version 9; this seedkit knows version 1",
            "use the seedkit that made the kit",
        ),
        (remove("kit/images/index.json"), "`kit/images` has no file `index.json`", DAMAGED),
        (write("kit/images/index.json", "[]"), "`index.json` in `kit/images` is malformed", DAMAGED),
        (
            write("kit/images/index.json", r#"{"schemaVersion":2,"manifests":[]}"#),
            "`kit/images` has no image with a name",
            DAMAGED,
        ),
        (remove("kit/registry/registry.key"), "cannot read the registry's key", DAMAGED),
        (remove("kit/registry/registry.crt"), "cannot read the registry's certificate", DAMAGED),
        (
            write("kit/registry/registry.key", "key"),
            "`kit/registry/registry.key` holds no private key",
            DAMAGED,
        ),
        (write("kit/registry/registry.crt", ""), "`kit/registry/registry.crt` holds no certificate", DAMAGED),
        (
            Box::new(|sandbox| {
                fs::copy(foreign.key(), sandbox.path("kit/registry/registry.key")).unwrap();
            }),
            "`kit/registry/registry.crt` and `kit/registry/registry.key` cannot be used together",
            DAMAGED,
        ),
        (
            Box::new(|sandbox| fs::remove_file(sandbox.path(&pause)).unwrap()),
            pause.trim_start_matches("kit/images/"),
            DAMAGED,
        ),
        (
            Box::new(|sandbox| {
                let bytes = fs::read(sandbox.path(&pause)).unwrap();
                fs::remove_file(sandbox.path(&pause)).unwrap();
                sandbox.write(&pause, [&bytes[..bytes.len() - 1], b" "].concat());
            }),
            "has the wrong content",
            DAMAGED,
        ),
        (
            Box::new(|sandbox| {
                fs::remove_file(sandbox.path(&pause)).unwrap();
                fs_err::os::unix::fs::symlink("/etc/passwd", sandbox.path(&pause)).unwrap();
            }),
            "is not a regular file in regular folders",
            DAMAGED,
        ),
    ];
    for (damage, error, hint) in cases {
        let sandbox = Sandbox::new();
        crate::support::sandbox::copy_tree(&built.path("kit"), &sandbox.path("kit"));
        damage(&sandbox);
        let said = failure(&sandbox, &[]);
        assert!(said.contains(error), "{error}: {said}");
        assert!(said.ends_with(&format!("hint: {hint}")), "{hint}: {said}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let sandbox = Sandbox::built_lab();
    let said = sandbox.seedkit(&["serve", "kit", "--listen", &taken.to_string()]);
    assert!(said.fails(2).contains(&format!("cannot listen on {taken}")), "{said:?}");
    let said = sandbox.seedkit(&["serve", "kit", "--listen", "192.0.2.1:5000"]);
    assert!(said.fails(2).ends_with("without --listen every address is listened on"), "{said:?}");
    let said = sandbox.seedkit(&["serve", "kit", "--listen", "5000"]);
    assert!(said.fails(2).contains("invalid value '5000' for '--listen <IP:PORT>'"), "{said:?}");
}

#[test]
fn a_blob_of_another_length_is_not_served_and_is_named() {
    let sandbox = Sandbox::built_lab();
    let [whole, cut] = [layer("whole"), layer("cut")];
    let image = index(&[image("linux", "amd64", &[whole.clone(), cut.clone()])]);
    write_layout(&sandbox, &[("docker.io/lab/cut:1", &image)]);
    let path = format!("kit/images/blobs/sha256/{}", cut.descriptor.digest.hex());
    sandbox.write(&path, &cut.bytes[1..]);
    let serving = Serving::start(sandbox, &[]);
    serving.wait_for_line(&format!("warning: `{path}` has another length than it should"));
    let blob = |digest: &seedkit::digest::Digest| serving.get(&format!("/v2/lab/cut/blobs/{digest}"));
    assert_eq!(blob(&whole.descriptor.digest).status, 200);
    let missing = blob(&cut.descriptor.digest);
    assert_eq!((missing.status, missing.code().as_str()), (404, "BLOB_UNKNOWN"));
}

#[test]
fn a_blob_that_is_gone_and_a_request_that_is_none_are_said() {
    let sandbox = Sandbox::built_lab();
    let blobs = sandbox.path("kit/images/blobs/sha256");
    let bill: serde_json::Value = serde_json::from_str(&sandbox.read("kit/kit.json")).unwrap();
    let image = &bill["images"][0];
    let manifest = image["platforms"]["linux/amd64"].as_str().unwrap().replace("sha256:", "");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(blobs.join(manifest)).unwrap()).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    fs::remove_file(blobs.join(layer.replace("sha256:", ""))).unwrap();
    let serving = Serving::start(sandbox, &[]);
    let name = image["reference"].as_str().unwrap();
    serving.wait_for_line(&format!(
        "warning: `{name}` cannot be pulled whole: its blob {layer} is not in the kit"
    ));
    let mut stream = super::hostile::connect(&serving);
    std::io::Write::write_all(&mut stream, b"\x01\x02 no HTTP\r\n\r\n").unwrap();
    serving.wait_for_line("sends no request that can be answered");
}

#[test]
fn the_key_and_the_certificate_are_looked_at_before_nodes_do() {
    let sandbox = Sandbox::built_lab();
    let key = sandbox.path("kit/registry/registry.key");
    let foreign = Certificate::for_names("IP:127.0.0.1");
    fs::copy(foreign.key(), &key).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs::copy(foreign.certificate(), sandbox.path("kit/registry/registry.crt")).unwrap();
    let serving = Serving::start(sandbox, &[]);
    for warning in [
        "warning: `kit/registry/registry.key` is open to other users of this machine",
        "warning: the certificate has ",
        "warning: the certificate does not cover `192.168.6.1`, by which nodes ask",
    ] {
        serving.wait_for_line(warning);
    }
}

#[test]
fn an_image_is_served_under_the_name_that_its_list_gives_it_too() {
    let sandbox = Sandbox::lab();
    sandbox.edit(
        "lab/images.txt",
        "quay.io/lab/hello:1.0\n",
        "quay.io/lab/hello:1.0   mirror/greeting:2.0\n",
    );
    sandbox.seedkit(&["lock", "-f", "lab/seedkit.yaml"]).succeeds();
    sandbox.seedkit(&BUILD).succeeds();
    let serving = Serving::start(sandbox, &[]);
    let digest = |path: &str| serving.head(path).header("docker-content-digest").to_owned();
    let own = digest("/v2/mirror/greeting/manifests/2.0");
    assert_eq!(own, digest("/v2/lab/hello/manifests/1.0?ns=quay.io"));
    assert_eq!(own, digest("/v2/mirror/greeting/manifests/2.0?ns=quay.io"));
    assert!(!own.is_empty());
    let names = serving.get("/v2/_catalog").json();
    assert!(names["repositories"].as_array().unwrap().contains(&"mirror/greeting".into()), "{names}");
}

#[test]
fn images_are_counted_by_their_names_as_in_the_kit_and_its_lock() {
    let app = image("linux", "amd64", &[layer("app")]);
    let serving = Serving::of(&[("docker.io/lab/app:1", &app), ("docker.io/lab/app:latest", &app)], &[]);
    assert_eq!(serving.said["images"], 2);
    let run = serving.sandbox.seedkit(&["inspect", "kit/images"]);
    assert!(run.stdout.contains("1 image under 2 names, "), "{}", run.stdout);
}
