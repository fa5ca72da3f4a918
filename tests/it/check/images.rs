//! The images that nodes start with.

use fs_err as fs;

use crate::support::broken::{BrokenKit, Folder};
use crate::support::oracle;

const NODE: &str = "k3s-worker2";
const FOLDER: &str = "/var/lib/rancher/k3s/agent/images";
const EXECUTABLE: &str = "/usr/local/bin/k3s";

fn tarball(disc: &Folder) -> String {
    let list = disc.read("payload/FILES");
    let line = list.lines().find(|line| line.contains("/agent/images/airgap-images-")).unwrap();
    line.split_once(' ').unwrap().1.to_owned()
}

#[test]
fn sk0301_the_notes_brought_the_pause_image_of_kubeadm() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read(&format!("payload/root{EXECUTABLE}"));
        disc.place(EXECUTABLE, "0755", text.replace("mirrored-pause:3.6", "mirrored-pause:3.10"));
    });
    kit.is_found_by("SK0301", "mirrored-pause:3.10`; the seed has docker.io/rancher/mirrored-pause:3.6");
}

#[test]
fn sk0302_a_worker_without_images() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.displace(&tarball(disc)));
    kit.is_found_by("SK0302", "there is no image tarball in the seed");
}

#[test]
fn sk0302_an_image_that_the_node_waits_for_is_in_no_tarball() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let list = disc.read("payload/root/var/lib/seedkit/images.txt");
        disc.place("/var/lib/seedkit/images.txt", "0644", list + "docker.io/lab/lost:1.0\n");
    });
    kit.is_found_by("SK0302", "`docker.io/lab/lost:1.0`");
}

#[test]
fn sk0303_the_notes_tarball_on_one_worker_was_damaged() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let path = disc.file(&format!("payload/root{}", tarball(disc)));
        let mut bytes = fs::read(&path).unwrap();
        // Within the second member's content, which is a blob: headers have 512 bytes.
        let place = bytes.windows(10).rposition(|window| window == b"\"rootfs\":{").unwrap();
        bytes[place + 1] = b'R';
        fs::write(path, bytes).unwrap();
    });
    kit.is_found_by("SK0303", "has other content");
}

#[test]
fn sk0303_a_tarball_that_ends_too_early() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let path = disc.file(&format!("payload/root{}", tarball(disc)));
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    kit.is_found_by("SK0303", "airgap-images-");
}

#[test]
fn sk0304_an_executable_of_another_release() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read(&format!("payload/root{EXECUTABLE}"));
        disc.place(EXECUTABLE, "0755", text.replace("v1.35.0+k3s1", "v1.34.9+k3s1"));
    });
    kit.is_found_by("SK0304", "it is k3s v1.34.9+k3s1, and the kit is for v1.35.0+k3s1");
}

#[test]
fn sk0305_the_notes_imported_images_themselves() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "started=$(seconds)\n",
            "started=$(seconds)\nk3s ctr images import /var/lib/x.tar\n",
        );
    });
    kit.is_found_by("SK0305", "k3s ctr images import");
}

#[test]
fn sk0306_the_notes_passed_over_failures() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "mkdir -p \"$state\" \"$disc\"\n",
            "mkdir -p \"$state\" \"$disc\"\ncp /etc/motd /etc/issue || true\n",
        );
    });
    kit.is_found_by("SK0306", "a failure of `cp /etc/motd /etc/issue` is passed over");
}

#[test]
fn sk0306_a_script_that_goes_on() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written("set -eu\numask 022\n\nnode=", "set -u\numask 022\n\nnode=");
    });
    kit.is_found_by("SK0306", "it has no `set -e`");
}

#[test]
fn sk0306_a_marker_before_what_it_stands_for() {
    let kit = BrokenKit::lab();
    let marker = "seedkit-marker \"done\" \"$seed\" \"$expected\" \"$expected\"\n";
    kit.seed(NODE, |disc| {
        disc.edit_written(marker, "");
        disc.edit_written(
            "was_ready='' said='' failed=''\n",
            &format!("was_ready='' said='' failed=''\n{marker}"),
        );
    });
    kit.is_found_by("SK0306", "`sleep $pause` comes after the marker");
}

#[test]
fn sk0307_the_notes_last_fix() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let path = "/etc/rancher/k3s/config.yaml";
        let text = disc.read(&format!("payload/root{path}"));
        let flag = "kubelet-arg: [\"pod-infra-container-image=rancher/mirrored-pause:3.10\"]\n";
        disc.place(path, "0600", text + flag);
    });
    kit.is_found_by("SK0307", "kubelet does not start with it");
}

#[test]
fn sk0308_a_list_in_the_folder_of_images() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.place(&format!("{FOLDER}/k3s-images.txt"), "0644", "docker.io/lab/hello:1.0\n")
    });
    kit.is_found_by("SK0308", "a list of images to pull");
}

#[test]
fn sk0309_conditional_imports_that_lose_pins() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.place(&format!("{FOLDER}/.cache.json"), "0644", ""));
    kit.is_found_by("SK0309", "loses the pins");
}

#[test]
fn sk0310_an_archive_whose_images_have_only_tags() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let layout = disc.file("../one-image");
        let lab = crate::support::sandbox::lab().join("images");
        let source = format!("oci:{}:docker.io/lab/hello:1.0", lab.display());
        let target = format!("oci:{}:1.0", layout.display());
        oracle::run("skopeo", ["copy", "--quiet", &source, &target]);
        let mut tar = oracle::command("tar");
        tar.arg("-C").arg(&layout).args(["-cf", "-", "oci-layout", "index.json", "blobs"]);
        disc.place(&format!("{FOLDER}/more.tar"), "0644", oracle::finish(&mut tar).stdout);
    });
    kit.is_found_by("SK0310", "`1.0` is not a full name with a tag");
}

#[test]
fn sk0311_a_manifest_with_an_image_that_is_nowhere() {
    let kit = BrokenKit::lab();
    kit.seed("k3s-master1", |disc| {
        let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: x\n    image: quay.io/lab/lost:2\n  - image: docker.io/lab/hello:1.0\n";
        disc.place("/var/lib/rancher/k3s/server/manifests/app.yaml", "0644", manifest);
    });
    kit.is_found_by("SK0311", "`quay.io/lab/lost:2` is not in the kit");
}

#[test]
fn sk0312_a_component_that_is_disabled_is_said_and_no_error() {
    let kit = BrokenKit::lab();
    kit.seed("k3s-master1", |disc| {
        let path = "/etc/rancher/k3s/config.yaml";
        let text = disc.read(&format!("payload/root{path}"));
        disc.place(path, "0600", text + "disable: [traefik, servicelb]\n");
    });
    kit.is_found_by("SK0312", "not deployed: servicelb, traefik");
    assert_eq!(kit.run(&["--json"]).code, Some(0));
}

/// Writes the lab's tarball anew, in which the two images called `hello:1.0` change places.
fn swapped(kit: &BrokenKit, documents: &[&str]) -> (String, Vec<u8>) {
    let names = crate::support::sandbox::names(&kit.path(""));
    let name = names.into_iter().find(|name| name.starts_with("airgap-images-")).unwrap();
    let folder = kit.path("../unpacked");
    fs::create_dir(&folder).unwrap();
    let mut tar = oracle::command("tar");
    oracle::finish(tar.arg("-C").arg(&folder).arg("-xf").arg(kit.path(&name)));
    for document in documents {
        let path = folder.join(document);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("docker.io/lab/hello:1.0") && text.contains("quay.io/lab/hello:1.0"));
        let text =
            text.replace("docker.io/lab/hello", "x").replace("quay.io/lab/hello", "docker.io/lab/hello");
        fs::write(&path, text.replace("\"x:1.0", "\"quay.io/lab/hello:1.0")).unwrap();
    }
    let mut tar = oracle::command("tar");
    tar.arg("-C").arg(&folder).args(["-cf", "-", "oci-layout", "index.json", "manifest.json", "blobs"]);
    (name, oracle::finish(&mut tar).stdout)
}

#[test]
fn sk0313_two_images_of_a_tarball_that_changed_places() {
    let kit = BrokenKit::lab();
    let (name, bytes) = swapped(&kit, &["index.json", "manifest.json"]);
    fs::write(kit.path(&name), bytes).unwrap();
    kit.is_found_by("SK0313", "docker.io/lab/hello:1.0: it is sha256:");
    assert_eq!(kit.findings().len(), 2, "{:#?}", kit.findings());
}

#[test]
fn sk0313_two_images_of_a_node_that_changed_places() {
    let kit = BrokenKit::lab();
    let (_, bytes) = swapped(&kit, &["index.json", "manifest.json"]);
    kit.seed(NODE, |disc| disc.place(&tarball(disc), "0644", &bytes));
    kit.is_found_by("SK0313", "quay.io/lab/hello:1.0: it is sha256:");
}

#[test]
fn sk0313_two_images_of_the_registry_that_changed_places() {
    let kit = BrokenKit::lab();
    let text = fs::read_to_string(kit.path("images/index.json")).unwrap();
    let text = text.replace("docker.io/lab/hello", "x").replace("quay.io/lab/hello", "docker.io/lab/hello");
    fs::write(kit.path("images/index.json"), text.replace("\"x:1.0", "\"quay.io/lab/hello:1.0")).unwrap();
    kit.is_found_by("SK0313", "images/index.json: docker.io/lab/hello:1.0: it is sha256:");
}

#[test]
fn sk0313_an_image_that_kit_json_does_not_name() {
    let kit = BrokenKit::lab();
    kit.edit(
        "kit.json",
        "\"reference\": \"quay.io/lab/hello:1.0\"",
        "\"reference\": \"quay.io/lab/other:1.0\"",
    );
    kit.is_found_by("SK0313", "quay.io/lab/hello:1.0: it names the image, and kit.json does not");
}

#[test]
fn sk0310_a_tarball_whose_two_documents_disagree() {
    let kit = BrokenKit::lab();
    let (name, bytes) = swapped(&kit, &["index.json"]);
    fs::write(kit.path(&name), bytes).unwrap();
    let findings = kit.findings();
    let expected =
        "`manifest.json`: it names `docker.io/lab/hello:1.0`, which is another image in index.json";
    assert!(
        findings.iter().any(|found| found.starts_with("SK0310") && found.ends_with(expected)),
        "{findings:#?}"
    );
}

#[test]
fn sk0314_an_image_with_a_layer_that_no_registry_has() {
    let kit = BrokenKit::lab();
    let reference = "\"reference\": \"quay.io/lab/hello:1.0\",";
    kit.edit("kit.json", reference, &format!("{reference}\n      \"isIncomplete\": true,"));
    kit.is_found_by("SK0314", "kit.json: quay.io/lab/hello:1.0: a layer of it is in no registry");
}
