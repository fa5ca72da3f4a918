//! The k3s executable against the spec and the images: what does not fit stops lock and build before anything is
//! packed, and names what to do.

use fs_err as fs;

use crate::support::oracle;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

/// What the lab's spec says, and its list has.
const VERSION: &str = "v1.35.0+k3s1";
const PAUSE: &str = "rancher/mirrored-pause:3.6";
const K3S: &str = "lab/k3s-stand-in.sh";

/// Returns an ELF file that starts nothing, for x86-64 or another machine, and says these texts.
fn elf(machine: u8, texts: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(18, 0);
    bytes.extend([machine, 0]);
    bytes.resize(3 * 1024 * 1024, 0xa5);
    for text in texts {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// A lab with another k3s, not locked yet.
fn lab_with(k3s: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::lab();
    sandbox.write(K3S, k3s);
    fs::remove_file(sandbox.path("lab/seedkit.lock")).unwrap();
    sandbox
}

/// Accepts a kit without the images of k3s' other components: no node boots from it.
pub(super) const WITHOUT_IMAGES: &str = "allow:\n  - { id: SK0302, reason: a test }\n\n";

/// Replaces the images that the release needs by these and those of the lab's own list.
fn with_images(sandbox: &Sandbox, images: &[&str]) {
    let images: String = images.iter().map(|image| format!("    - {image}\n")).collect();
    sandbox.edit(
        SPEC,
        "images:\n  lists:\n",
        &format!("{WITHOUT_IMAGES}images:\n  k3s: false\n  inline:\n{images}  lists:\n"),
    );
}

#[test]
fn an_executable_that_fits_is_used_without_a_word() {
    let sandbox = lab_with(elf(62, &[VERSION, PAUSE]));
    let run = sandbox.seedkit(&BUILD).succeeds();
    assert!(!run.stderr.contains("warning") && !run.stderr.contains("ELF"), "{}", run.stderr);
}

#[test]
fn a_script_is_said_to_be_a_stand_in_and_checked_all_the_same() {
    let sandbox = Sandbox::lab();
    let run = sandbox.seedkit(&BUILD).succeeds();
    let note = "`k3s-stand-in.sh` is a script, not an ELF file; it can only stand in for k3s";
    assert_eq!(run.stderr.matches(note).count(), 1, "{}", run.stderr);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let sandbox = lab_with("#!/bin/sh\n# v1.34.0+k3s1\n");
    assert!(sandbox.seedkit(&BUILD).fails(2).contains("is v1.34.0+k3s1, and the spec says v1.35.0+k3s1"));
    let run = lab_with("#!/bin/sh\n").seedkit(&BUILD).succeeds();
    assert!(!run.stderr.contains("warning") && run.stderr.contains("does not say"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_the_clusters_k3s_is_refused_before_anything_is_written() {
    for (k3s, expected) in [
        (
            elf(62, &["v1.34.1+k3s1", PAUSE]),
            "`k3s-stand-in.sh`, the k3s executable for linux/amd64, is v1.34.1+k3s1, and the spec says v1.35.0+k3s1",
        ),
        (
            elf(183, &[VERSION, PAUSE]),
            "`k3s-stand-in.sh`, the k3s executable for linux/amd64, is one for arm64",
        ),
        (elf(3, &[VERSION, PAUSE]), "is one for machine 3 with 64 bits"),
        (b"<!DOCTYPE html>".to_vec(), "is not an executable: it begins with `<!DOCTYPE html>`"),
        // Whatever it is, it is nobody's to print.
        (b"hunter2 is the password\n".to_vec(), "is not an executable: it begins with `…`"),
        (vec![0x1f, 0x8b, 8, 0], r"is not an executable: it begins with `\x1f\x8b\x08\x00`"),
        (
            elf(62, &[VERSION, "rancher/mirrored-pause:3.10.2"]),
            "`docker.io/rancher/mirrored-pause:3.10.2`, which k3s v1.35.0+k3s1 needs for every pod, is not among the \
             images for linux/amd64; there is `docker.io/rancher/mirrored-pause:3.6`",
        ),
    ] {
        for arguments in [&["lock", "-f", SPEC][..], &BUILD] {
            let sandbox = lab_with(&k3s);
            let before = sandbox.names("lab");
            let run = sandbox.seedkit(arguments);
            let error = run.fails(2);
            assert!(error.contains(expected) && error.contains("hint: "), "{error}");
            assert_eq!(sandbox.names("lab"), before);
            assert!(!sandbox.path("kit").exists());
        }
    }
}

#[test]
fn a_k3s_that_was_locked_by_an_older_seedkit_is_checked_by_build_and_iso() {
    let sandbox = Sandbox::lab();
    let old = sandbox.read(K3S);
    let new = old.replace("mirrored-pause:3.6", "mirrored-pause:3.9");
    let sum = |text: &str| seedkit::digest::Digest::sha256(text.as_bytes()).to_string();
    sandbox.edit("lab/seedkit.lock", &sum(&old), &sum(&new));
    sandbox.write(K3S, &new);
    for arguments in [&BUILD[..], &["iso", "-f", SPEC, "-o", "seeds"]] {
        let run = sandbox.seedkit(arguments);
        let error = run.fails(2);
        assert!(error.contains("`docker.io/rancher/mirrored-pause:3.9`, which k3s"), "{error}");
    }
    assert!(!sandbox.path("kit").exists());
}

#[test]
fn what_an_executable_does_not_say_clearly_is_a_warning() {
    for (texts, expected) in [
        (&[PAUSE][..], "warning: `k3s-stand-in.sh` does not say which release of k3s it is"),
        (&[VERSION], "warning: `k3s-stand-in.sh` does not say which pause image it starts pods with"),
        (
            &[VERSION, PAUSE, "rancher/mirrored-pause:3.10.2"],
            "warning: `k3s-stand-in.sh` names several pause images: `docker.io/rancher/mirrored-pause:3.10.2` or \
             `docker.io/rancher/mirrored-pause:3.6`; one of them will do",
        ),
    ] {
        let run = lab_with(elf(62, texts)).seedkit(&BUILD).succeeds();
        assert_eq!(run.stderr.matches(expected).count(), 1, "{}", run.stderr);
    }
    // Go puts texts one after the other: this one begins with a digit.
    let glued = format!("{PAUSE}2006-01-02");
    let run = lab_with(elf(62, &[VERSION, &glued])).seedkit(&BUILD).succeeds();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn the_pause_image_of_another_component_does_not_count() {
    // The mistake of the first hour: kubeadm's pause image in the list, and not k3s' own.
    let sandbox = lab_with(elf(62, &[VERSION, PAUSE]));
    with_images(&sandbox, &["docker.io/rancher/klipper-lb:v0.4.13"]);
    let run = sandbox.seedkit(&BUILD);
    let error = run.fails(2);
    assert!(
        error.contains("`docker.io/rancher/mirrored-pause:3.6`, which k3s v1.35.0+k3s1 needs"),
        "{error}"
    );
    assert!(error.contains("add the image to `images.inline`"), "{error}");
    let sandbox = lab_with(elf(62, &[VERSION, PAUSE]));
    with_images(&sandbox, &[PAUSE]);
    sandbox.seedkit(&BUILD).succeeds();
}

#[test]
fn the_pause_image_of_the_spec_is_what_is_checked_and_written() {
    let k3s = || elf(62, &[VERSION, "rancher/mirrored-pause:3.10.2"]);
    let set = |sandbox: &Sandbox, image: &str, agents: bool| {
        let agents =
            if agents { format!("  agentConfig: {{ pause-image: {image} }}\n") } else { String::new() };
        let old = "    tls-san: [k3s.lab.example]\n";
        sandbox.edit(SPEC, old, &format!("{old}    pause-image: {image}\n{agents}"));
    };
    let sandbox = lab_with(k3s());
    set(&sandbox, PAUSE, true);
    sandbox.seedkit(&BUILD).succeeds();
    for node in ["k3s-master1", "k3s-worker1"] {
        let image = sandbox.path(format!("kit/seeds/seed-{node}.iso"));
        let target = sandbox.path(node);
        let (image, target) = (image.to_str().unwrap(), target.to_str().unwrap());
        let path = "/payload/root/etc/rancher/k3s/config.yaml";
        oracle::run("xorriso", ["-osirrox", "on", "-indev", image, "-extract", path, target]);
        let config = sandbox.read(node);
        assert!(config.contains(&format!("\"pause-image\": \"{PAUSE}\"\n")), "{config}");
    }
    // The servers' setting is not the agents'.
    let sandbox = lab_with(k3s());
    set(&sandbox, PAUSE, false);
    let run = sandbox.seedkit(&BUILD);
    assert!(run.fails(2).contains("`docker.io/rancher/mirrored-pause:3.10.2`, which k3s"), "{}", run.stderr);
    let sandbox = lab_with(k3s());
    set(&sandbox, "registry.k8s.io/pause:3.10", true);
    let run = sandbox.seedkit(&BUILD);
    let expected =
        "`registry.k8s.io/pause:3.10`, which `k3s.config.pause-image` sets for every pod, is not among";
    assert!(run.fails(2).contains(expected), "{}", run.stderr);
    let run = lab_with(elf(62, &[VERSION, PAUSE])).seedkit(&BUILD).succeeds();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn the_releases_own_tarball_may_bring_the_pause_image() {
    for (kind, image, compress, is_there) in [
        ("docker-archive", PAUSE, "zstd -q -c", true),
        ("docker-archive", PAUSE, "gzip -c", true),
        ("oci-archive", PAUSE, "cat", true),
        ("docker-archive", "rancher/klipper-lb:v0.4.13", "zstd -q -c", false),
    ] {
        let sandbox = lab_with(elf(62, &[VERSION, PAUSE]));
        with_images(&sandbox, &["docker.io/rancher/klipper-lb:v0.4.13"]);
        let airgap = "  airgap:\n    linux/amd64: { path: airgap.tar.zst }\n  config:\n";
        sandbox.edit(SPEC, "  config:\n", airgap);
        let script = format!(
            "cd lab; skopeo copy -q oci:images:docker.io/{image} {kind}:plain.tar:docker.io/{image}
             {compress} plain.tar >airgap.tar.zst; rm plain.tar"
        );
        oracle::finish(sandbox.command("sh").args(["-euc", &script]));
        let run = sandbox.seedkit(&BUILD);
        if is_there {
            assert!(!run.succeeds().stderr.contains("pause"), "{kind}");
        } else {
            assert!(run.fails(2).contains("is not among the images"), "{kind}: {}", run.stderr);
        }
    }
    let sandbox = lab_with(elf(62, &[VERSION, PAUSE]));
    with_images(&sandbox, &["docker.io/rancher/klipper-lb:v0.4.13"]);
    sandbox.edit(SPEC, "  config:\n", "  airgap:\n    linux/amd64: { path: airgap.tar }\n  config:\n");
    sandbox.write("lab/airgap.tar", "no tarball");
    // Nothing could be looked for in it, and no node could import it.
    let run = sandbox.seedkit(&BUILD);
    let error = run.fails(1);
    let warning = "warning: cannot look for the pause image in `airgap.tar`";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    assert!(error.contains("SK0303 `seeds/seed-k3s-worker1.iso`"), "{error}");
}

#[test]
fn each_platform_is_checked_for_itself() {
    let sandbox = Sandbox::lab();
    sandbox.write("lab/k3s-arm64", elf(62, &[VERSION, PAUSE]));
    let old = "    linux/amd64: { path: k3s-stand-in.sh }\n";
    sandbox.edit(SPEC, old, &format!("{old}    linux/arm64: {{ path: k3s-arm64 }}\n"));
    sandbox.edit(SPEC, "platforms: [linux/amd64]", "platforms: [linux/amd64, linux/arm64]");
    let worker = "  - name: k3s-worker2\n    role: agent\n";
    sandbox.edit(SPEC, worker, &format!("{worker}    platform: linux/arm64\n"));
    let run = sandbox.seedkit(&["lock", "-f", SPEC]);
    let expected = "`k3s-arm64`, the k3s executable for linux/arm64, is one for amd64";
    assert!(run.fails(2).contains(expected), "{}", run.stderr);
    sandbox.write("lab/k3s-arm64", elf(183, &[VERSION, PAUSE]));
    sandbox.seedkit(&["lock", "-f", SPEC]).succeeds();
}
