//! Whole lists: what they mean, and what is said about bad ones.

use fs_err as fs;

use super::*;
use crate::digest::Digest;

/// Returns the images of a list, one `reference [-> destination] [(group)]` each.
fn images(text: &str, groups: &[&str]) -> Vec<String> {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let mut list = ImageList::default();
    list.add_text("list.txt", text, &groups).unwrap_or_else(|error| panic!("{error}"));
    list.into_images()
        .into_iter()
        .map(|image| {
            let destination = image.destination.map(|name| format!(" -> {name}")).unwrap_or_default();
            let group = image.group.map(|group| format!(" ({group})")).unwrap_or_default();
            format!("{}{destination}{group}", image.reference)
        })
        .collect()
}

/// Returns all that is said about a list, whatever the outcome.
fn said(text: &str) -> String {
    let mut list = ImageList::default();
    let findings = match list.add_text("list.txt", text, &[]) {
        Ok(()) => list.warnings().iter().map(|(_, finding)| finding.clone()).collect(),
        Err(error) => error.findings,
    };
    Listing::of(Path::new("bad.list"), &findings).to_string()
}

#[test]
fn all_forms_mean_the_same_image() {
    for line in [
        "docker.io/rancher/mirrored-pause:3.6",
        "rancher/mirrored-pause:3.6",
        "  rancher/mirrored-pause:3.6\t",
        "- rancher/mirrored-pause:3.6",
        "\"rancher/mirrored-pause:3.6\"",
        "  - 'docker://rancher/mirrored-pause:3.6'  # the sandbox",
        "index.docker.io/rancher/mirrored-pause:3.6",
        "rancher/mirrored-pause:3.6 rancher/mirrored-pause:3.6",
        "rancher/mirrored-pause:3.6 = rancher/mirrored-pause",
        "\u{feff}rancher/mirrored-pause:3.6\r\n",
        "rancher/mirrored-pause:3.6 rancher,rke2All",
        "rancher/mirrored-pause:3.6 https://github.com/rancher/pause",
    ] {
        assert_eq!(images(line, &[]), ["docker.io/rancher/mirrored-pause:3.6"], "{line}");
    }
}

#[test]
fn destinations_are_names_in_the_private_registry() {
    for (line, expected) in [
        ("quay.io/a/b:1 c/d:2", "quay.io/a/b:1 -> c/d:2"),
        ("quay.io/a/b:1->c", "quay.io/a/b:1 -> c:1"),
        ("quay.io/a/b:1\tc/d", "quay.io/a/b:1 -> c/d:1"),
        ("registry.k8s.io/pause:3.10 pause:3.10", "registry.k8s.io/pause:3.10"),
        ("alpine:3 alpine:3", "docker.io/library/alpine:3"),
        ("alpine:3 docker.io/library/alpine:3", "docker.io/library/alpine:3"),
        ("alpine:3 = base:4", "docker.io/library/alpine:3 -> base:4"),
    ] {
        assert_eq!(images(line, &[]), [expected], "{line}");
    }
}

#[test]
fn tag_and_digest_stay_together() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let line = format!("a/b:1@{digest}\nc/d@{digest} e/f:2\n");
    assert_eq!(
        images(&line, &[]),
        [format!("docker.io/a/b:1@{digest}"), format!("docker.io/c/d@{digest} -> e/f:2")]
    );
}

#[test]
fn groups_are_chosen_by_name() {
    let text = "loose:1\n##k8s-images\na:1\n## a comment\nb:1\n##other\nBAD LINE x y\n";
    assert_eq!(
        images(text, &["k8s-images"]),
        ["docker.io/library/a:1 (k8s-images)", "docker.io/library/b:1 (k8s-images)"]
    );
    let error = ImageList::default().add_text("list.txt", text, &["k8s".to_owned()]).unwrap_err();
    let expected = "\
the image list cannot be used:
list.txt:1:1: there is no group `k8s` in this list
  hint: its groups: k8s-images, other";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn everything_that_cannot_be_meant_is_said_in_one_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lists");
    let text = fs::read_to_string(folder.join("bad.list")).unwrap();
    let expected = fs::read_to_string(folder.join("bad.txt")).unwrap();
    let said = said(&text);
    assert_eq!(said.trim_end(), expected.trim_end(), "the list now gives:\n{said}\n");
}

#[test]
fn lists_of_windows_images_are_refused_as_a_whole() {
    let error =
        ImageList::default().add_text("x/rancher-windows-images.txt", "rancher/wins:1\n", &[]).unwrap_err();
    assert_eq!(error.findings.len(), 1);
}

#[test]
fn a_line_without_end_is_refused_before_it_is_read() {
    let error = ImageList::default().add_text("list.txt", "a ".repeat(1_000_000), &[]).unwrap_err();
    assert_eq!(error.findings[0].to_string(), "1:1: the line has more than 4096 bytes");
}

#[test]
fn several_lists_are_one_with_each_image_once() {
    let mut list = ImageList::default();
    list.add_text("one.txt", "a:1\nb:1\n", &[]).unwrap();
    list.add_text("two.txt", "\nb:1\nc:1 d:1\n", &[]).unwrap();
    list.add("a:1".parse().unwrap(), "seedkit.yaml");
    list.add("e:1".parse().unwrap(), "seedkit.yaml");
    let error = list.add_text("three.txt", "f:1 d:1\n", &[]).unwrap_err();
    assert_eq!(
        error.findings[0].to_string(),
        "1:1: `d:1` is already the place of `docker.io/library/c:1`, named by two.txt:3"
    );
    assert_eq!(
        list.warnings()[0].1.to_string(),
        "2:1: note: `docker.io/library/b:1` is already named by one.txt:2; it is taken once"
    );
    let origins: Vec<String> = list.images().iter().map(ListedImage::origin).collect();
    assert_eq!(origins, ["one.txt:1", "one.txt:2", "two.txt:3", "seedkit.yaml"]);
}

#[test]
fn the_built_in_lists_can_be_read() {
    for version in builtin_k3s_releases() {
        let text = builtin_k3s(version).unwrap();
        assert_eq!(said(text), "");
        let images = images(text, &[]);
        assert_eq!(images.len(), 8, "{version}");
        assert!(images.iter().any(|image| image.starts_with("docker.io/rancher/mirrored-pause:")));
        assert!(text.contains(&format!("k3s {version},")), "{version}");
    }
    assert_eq!(
        images(SEEDS, &[]),
        ["docker.io/rancher/mirrored-pause:3.6", "docker.io/rancher/mirrored-pause:3.10"]
    );
    assert_eq!(images(KUBESPHERE, &["istio-images"]).len(), 9);
    assert_eq!(builtin_k3s("v1.33.4+k3s2"), None);
}

#[test]
fn the_newest_k3s_list_is_the_published_one_byte_for_byte() {
    let text = builtin_k3s("v1.37.1+k3s1").unwrap();
    let published: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    assert_eq!(
        Digest::sha256(published.as_bytes()).hex(),
        "377307d4039ccd04f0e27d2906595a8c7b7d49a79f7553c311f6f960ff3efb58"
    );
}

#[test]
fn no_text_makes_the_reader_panic() {
    let digest = format!("@sha256:{}", "a".repeat(64));
    let tokens = [
        "a",
        "A",
        "/",
        ":",
        "1",
        "@",
        digest.as_str(),
        "+",
        "-",
        ">",
        "->",
        "=",
        " ",
        "\t",
        "\n",
        "\r\n",
        "#",
        "##",
        "\"",
        "'",
        "- ",
        "docker://",
        ".",
        "..",
        "é",
        "\u{feff}",
        "\0",
        ",",
        "localhost",
        "docker.io/",
        "${",
        "_",
    ];
    let mut state: u64 = 7;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..10_000 {
        let length = next(20);
        let text: String = (0..length).map(|_| tokens[next(tokens.len())]).collect();
        let mut list = ImageList::default();
        if let Err(error) = list.add_text("list.txt", &text, &[]) {
            assert!(error.findings.iter().any(Finding::is_error), "{text:?}");
        }
        for image in list.images() {
            assert_eq!(
                image.reference.to_string().parse::<Reference>().unwrap(),
                image.reference,
                "{text:?}"
            );
        }
    }
}
