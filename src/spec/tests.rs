//! Whole specs: good ones and what they mean, bad ones and everything that is said about them.

use fs_err as fs;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/specs")
}

/// Reads a fixture and returns its listing under its bare name, whatever the outcome.
fn listing(name: &str) -> String {
    let bytes = fs::read(folder().join(name)).unwrap();
    let findings = match parse(&bytes, Path::new("lab")) {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    };
    Listing::of(Path::new(name), &findings).to_string()
}

#[test]
fn good_specs_give_no_findings() {
    for name in ["full.yaml", "small.yaml"] {
        let (_, warnings) = load(&folder().join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(warnings, [], "{name}");
    }
}

#[test]
fn every_bad_spec_gives_exactly_the_findings_beside_it() {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("bad-") && name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        let expected = fs::read_to_string(folder().join(name.replace(".yaml", ".txt"))).unwrap_or_default();
        let actual = listing(&name);
        assert_eq!(actual.trim_end(), expected.trim_end(), "{name} now says:\n{actual}\n");
    }
}

#[test]
fn a_spec_is_refused_with_an_error_or_not_at_all() {
    let text = fs::read_to_string(folder().join("full.yaml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let values = [
        "",
        "~",
        "x",
        "\"\"",
        "0",
        "-1",
        "1.5",
        "true",
        "[]",
        "{}",
        "[x]",
        "{x: y}",
        "\"\\e[31m\"",
        "192.168.6.10/0",
    ];
    for (index, line) in lines.iter().enumerate() {
        let key = line.split_inclusive(": ").next().filter(|key| key.ends_with(": ")).unwrap_or(line);
        for value in values {
            let changed = format!("{key}{value}");
            let mut lines = lines.clone();
            lines[index] = &changed;
            match parse(lines.join("\n").as_bytes(), Path::new("")) {
                Ok((_, warnings)) => assert!(!warnings.iter().any(Finding::is_error), "{changed}"),
                Err(findings) => {
                    assert!(findings.iter().any(Finding::is_error), "{changed}");
                    let listing = Listing::of(Path::new("x"), &findings).to_string();
                    assert!(!listing.contains('\u{1b}'), "{listing}");
                }
            }
        }
    }
}

#[test]
fn the_default_images_are_those_of_the_release() {
    let (spec, _) = load(&folder().join("small.yaml")).unwrap();
    assert_eq!(spec.images, Images { k3s: true, lists: Vec::new(), inline: Vec::new(), signatures: false });
    assert_eq!(spec.k3s.binary.values().next().unwrap().place, Place::Path(folder().join("k3s")));
}

#[test]
fn packages_come_from_main_of_the_nodes_suite_unless_told() {
    let text = fs::read_to_string(folder().join("small.yaml")).unwrap()
        + "packages: {suite: trixie, sources: [{urls: ['http://m.example/d'], keyring: k.gpg}], names: [jq]}\n";
    let (spec, _) = parse(text.as_bytes(), Path::new("lab")).unwrap();
    let source = PackageSource {
        urls: vec![RepositoryAddress::Web("http://m.example/d".parse().unwrap())],
        suites: vec!["trixie".into()],
        components: vec!["main".into()],
        keyring: Some("lab/k.gpg".into()),
    };
    let expected = Packages {
        suite: "trixie".into(),
        sources: vec![source],
        baseline: PackageBaseline::None,
        names: vec!["jq".into()],
        recommends: false,
        extra: Vec::new(),
        sign: None,
    };
    assert_eq!(spec.packages, Some(expected));
}

#[test]
fn a_repository_in_a_folder_is_relative_to_the_spec_in_spec_and_lock() {
    let small = fs::read_to_string(folder().join("small.yaml")).unwrap();
    for (written, path, text) in [
        ("file:packages", "lab/packages", "file:packages"),
        ("file:../m/packages/", "lab/../m/packages/", "file:../m/packages"),
        ("file:/srv/m", "/srv/m", "file:/srv/m"),
    ] {
        let packages = format!(
            "packages: {{suite: trixie, sources: [{{urls: ['{written}'], keyring: k.gpg}}], names: [jq]}}\n"
        );
        let (spec, _) = parse((small.clone() + &packages).as_bytes(), Path::new("lab")).unwrap();
        let addresses = &spec.packages.unwrap().sources[0].urls;
        assert_eq!(addresses, &[RepositoryAddress::Folder(path.into())]);
        assert_eq!(addresses[0].text(Path::new("lab")), text);
    }
}

#[test]
fn a_baseline_is_a_file_or_a_priority() {
    let text = fs::read_to_string(folder().join("full.yaml")).unwrap();
    let baselines = [
        ("status: a", PackageBaseline::Status("lab/a".into())),
        ("manifest: a", PackageBaseline::Manifest("lab/a".into())),
        ("priority: required", PackageBaseline::Priority(BaselinePriority::Required)),
        ("priority: important", PackageBaseline::Priority(BaselinePriority::Important)),
    ];
    for (written, expected) in baselines {
        let text = text.replace("priority: important", written);
        let (spec, _) = parse(text.as_bytes(), Path::new("lab")).unwrap();
        assert_eq!(spec.packages.unwrap().baseline, expected, "{written}");
    }
}

#[test]
fn debian_has_names_of_its_own_for_architectures() {
    let architectures = [
        ("linux/amd64", Some("amd64")),
        ("linux/arm64", Some("arm64")),
        ("linux/arm/v7", Some("armhf")),
        ("linux/arm/v6", None),
        ("linux/s390x", None),
    ];
    for (platform, expected) in architectures {
        assert_eq!(Packages::architecture(&platform.parse().unwrap()), expected, "{platform}");
    }
}

#[test]
fn settings_of_k3s_keep_their_order_and_types() {
    let (spec, _) = load(&folder().join("full.yaml")).unwrap();
    let config = serde_json::to_string(spec.k3s.config.as_map()).unwrap();
    let expected = r#"{"write-kubeconfig-mode":"0600","tls-san":["k3s.lab.lan","192.168.6.10"],"cluster-cidr":"10.52.0.0/16","service-cidr":"10.53.0.0/16","disable":["traefik","servicelb"],"etcd-snapshot-retention":7,"disable-cloud-controller":false}"#;
    assert_eq!(config, expected);
}

#[test]
fn a_spec_that_is_not_there_is_no_invalid_spec() {
    let error = load(Path::new("/nowhere/seedkit.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the spec `/nowhere/seedkit.yaml`");
}

#[test]
fn the_name_of_a_public_registry_is_a_warning_and_one_of_the_site_none() {
    let small = fs::read_to_string(folder().join("small.yaml")).unwrap();
    let warnings = |address: &str| {
        let spec = small.replace("192.168.6.1:5000", address);
        assert_ne!(spec, small);
        let (_, warnings) = parse(spec.as_bytes(), Path::new("")).unwrap();
        warnings.iter().filter(|finding| finding.message.contains("is a public registry")).count()
    };
    for address in [
        "docker.io",
        "registry-1.docker.io",
        "quay.io",
        "ghcr.io",
        "gcr.io",
        "registry.k8s.io",
        "public.ecr.aws",
        "mcr.microsoft.com:443",
    ] {
        assert_eq!(warnings(address), 1, "{address}");
    }
    for address in ["quay.io.lan", "registry.lan:5000", "mirror.gcr.io"] {
        assert_eq!(warnings(address), 0, "{address}");
    }
}
