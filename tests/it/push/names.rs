//! What images are called in the registry.

use super::{digest_by_skopeo, push};
use crate::support::images::{Image, image, layer};
use crate::support::kits::write_kit;
use crate::support::registry::Registry;
use crate::support::sandbox::{BUILD, Sandbox};

fn amd64(text: &str) -> Image {
    image("linux", "amd64", &[layer(text)])
}

#[test]
fn images_are_called_as_nodes_ask_for_them_or_as_their_list_says() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let [one, other] = [amd64("one"), amd64("other")];
    let pinned = format!("quay.io/lab/pinned@{}", other.root().digest);
    write_kit(
        &sandbox,
        &[
            ("docker.io/library/one:1", &one),
            ("quay.io/lab/other:1 mirror/greeting:2.0", &other),
            // A second name of the same image is not a collision.
            ("docker.io/mirror/greeting:2.0", &other),
            (&pinned, &other),
        ],
    );
    let result = push(&sandbox, &registry, &[]);
    let names: Vec<&str> =
        result["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
    let by_digest = format!("lab/pinned:sha256-{}", other.root().digest.short());
    assert_eq!(names, ["library/one:1", "mirror/greeting:2.0", "mirror/greeting:2.0", &by_digest]);
    for (name, image) in [("library/one:1", &one), ("mirror/greeting:2.0", &other), (&by_digest, &other)] {
        assert_eq!(digest_by_skopeo(&registry, name), image.root().digest.to_string());
    }
    let digest = format!("lab/pinned@{}", other.root().digest);
    assert_eq!(digest_by_skopeo(&registry, &digest), other.root().digest.to_string());
}

#[test]
fn two_images_with_one_name_are_refused_unless_their_registry_is_kept() {
    let (sandbox, registry) = (Sandbox::lab(), Registry::start());
    sandbox.seedkit(&BUILD).succeeds();
    let run = sandbox.seedkit(&["push", "kit", registry.authority(), "--plain-http"]);
    assert_eq!(
        run.fails(2),
        "error: `docker.io/lab/hello:1.0` and `quay.io/lab/hello:1.0` would both be `lab/hello:1.0`, and are \
         different images\n  hint: give one of them another name in the second column of its image list and build \
         again, or take --keep-registry"
    );
    let result = push(&sandbox, &registry, &["--keep-registry"]);
    let images = result["images"].as_array().unwrap();
    assert_eq!(images.len(), 10);
    for image in images {
        let (reference, name) = (image["reference"].as_str().unwrap(), image["name"].as_str().unwrap());
        assert_eq!(reference, name);
        assert_eq!(digest_by_skopeo(&registry, name), image["digest"].as_str().unwrap());
    }
}

#[test]
fn a_path_of_the_registry_goes_before_all_names() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let image = amd64("image");
    write_kit(&sandbox, &[("harbor.example:8443/lab/image:1", &image)]);
    let project = format!("{}/project/k3s", registry.authority());
    let run = sandbox.seedkit(&["push", "kit", &project, "--plain-http", "--keep-registry"]).succeeds();
    assert!(
        run.stdout.starts_with(&format!("http://{project}: 1 image, 0 there already; 2 blobs sent")),
        "{run:?}"
    );
    let digest = digest_by_skopeo(&registry, "project/k3s/harbor.example-8443/lab/image:1");
    assert_eq!(digest, image.root().digest.to_string());
}

#[test]
fn a_path_that_is_no_part_of_a_name_is_refused_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    write_kit(&sandbox, &[("quay.io/lab/image:1", &amd64("image"))]);
    for path in ["Upper", "lab//k3s", "lab/-k3s", "k3s_"] {
        let run = sandbox.seedkit(&["push", "kit", &format!("registry.example/{path}")]);
        let said = run.fails(2);
        assert!(said.contains(&format!("cannot push to `https://registry.example/{path}`: ")), "{said}");
        assert!(said.contains("nobody could pull from it"), "{said}");
    }
}
