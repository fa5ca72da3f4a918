use super::*;

fn package(name: &str, version: &str, architecture: &str) -> BundledPackage {
    let deb = format!("{name} {version}");
    BundledPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
        stanza: format!("Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"),
        sha256: Digest::sha256(deb.as_bytes()),
        content: deb.into(),
        why: "needed by a test".to_owned(),
    }
}

fn tools() -> Vec<BundledPackage> {
    vec![package("tool", "2:1.0~rc1+b2-3", "amd64"), package("libtool", "1:2:3", "all")]
}

fn plan_with(
    packages: &[BundledPackage],
    change: impl FnOnce(&mut BundleInput<'_>),
) -> Result<Bundle, BundleError> {
    let requested = BTreeSet::from(["tool".to_owned()]);
    let mut input = BundleInput {
        suite: "bookworm",
        architecture: "amd64",
        requested: &requested,
        packages,
        epoch: "1763683200".parse().unwrap(),
        signer: None,
    };
    change(&mut input);
    Bundle::plan(&input, &Templates::builtin())
}

fn plan(packages: &[BundledPackage]) -> Result<Bundle, BundleError> {
    plan_with(packages, |_| {})
}

fn text(bundle: &Bundle, path: &str) -> String {
    let Some(Entry::File { content, .. }) = bundle.tree().get(path) else { panic!("there is no {path}") };
    io::read_to_string(content.open().unwrap()).unwrap()
}

fn refusal(packages: &[BundledPackage], change: impl FnOnce(&mut BundleInput<'_>)) -> String {
    plan_with(packages, change).unwrap_err().to_string()
}

#[test]
fn a_bundle_is_a_flat_repository_with_its_digests() {
    let bundle = plan(&tools()).unwrap();
    let paths: Vec<_> = bundle.tree().iter().map(|(path, _)| path.as_str()).collect();
    let pool = ["pool", "pool/libtool_2.3_all.deb", "pool/tool_1.0~rc1+b2-3_amd64.deb"];
    let top = ["Packages", "Packages.gz", "Release", "SHA256SUMS", "install.sh", "manifest.json"];
    assert_eq!(paths, [&top[..], &pool[..], &["request"]].concat());
    let listed: Vec<_> =
        text(&bundle, SUMS).lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    let expected: Vec<_> = paths.into_iter().filter(|path| ![SUMS, "pool"].contains(path)).collect();
    assert_eq!(listed, expected);
    assert_eq!(
        bundle.name(),
        format!("ops-packages-bookworm-amd64-{}", Digest::sha256(text(&bundle, SUMS).as_bytes()).short())
    );
    assert_eq!(text(&bundle, "request"), "tool\n");
}

#[test]
fn release_is_dated_by_the_epoch_and_has_no_weak_hashes() {
    let bundle = plan(&tools()).unwrap();
    let line = |path: &str| {
        let Some(Entry::File { content, .. }) = bundle.tree().get(path) else { panic!("there is no {path}") };
        let (digest, size) = crate::digest::Hasher::sha256_of(&mut content.open().unwrap()).unwrap();
        format!(" {} {size} {path}\n", digest.hex())
    };
    let expected = format!(
        "Origin: seedkit\nLabel: ops-packages\nSuite: bookworm\nCodename: bookworm\n\
         Date: Fri, 21 Nov 2025 00:00:00 UTC\nArchitectures: amd64 all\nSHA256:\n{}{}",
        line("Packages"),
        line("Packages.gz")
    );
    assert_eq!(text(&bundle, "Release"), expected);
}

#[test]
fn the_manifest_says_what_is_there_and_why() {
    let bundle = plan(&tools()).unwrap();
    let manifest: Manifest = serde_json::from_str(&text(&bundle, MANIFEST)).unwrap();
    assert_eq!((manifest.suite.as_str(), manifest.requested), ("bookworm", vec!["tool".to_owned()]));
    let [library, tool] = &manifest.packages[..] else { panic!("{:?}", manifest.packages) };
    assert_eq!((library.name.as_str(), tool.version.as_str()), ("libtool", "2:1.0~rc1+b2-3"));
    assert_eq!((tool.file.as_str(), tool.size), ("pool/tool_1.0~rc1+b2-3_amd64.deb", 19));
    assert_eq!((&tool.sha256, tool.why.as_str()), (&tools()[0].sha256, "needed by a test"));
}

#[test]
fn neither_the_order_of_packages_nor_workers_change_the_bytes() {
    let mut packages = tools();
    let bytes = |packages: &[BundledPackage], workers| {
        plan(packages).unwrap().write(NonZero::new(workers).unwrap(), Vec::new()).unwrap()
    };
    let expected = bytes(&packages, 1);
    packages.reverse();
    assert!(bytes(&packages, 3) == expected);
}

#[test]
fn every_byte_is_in_the_name() {
    let name = plan(&tools()).unwrap().name().to_owned();
    let mut packages = tools();
    packages[1].why = "another reason".to_owned();
    assert_ne!(plan(&packages).unwrap().name(), name);
    let later = plan_with(&tools(), |input| input.epoch = "1763683201".parse().unwrap()).unwrap();
    assert_ne!(later.name(), name);
}

#[test]
fn a_package_that_changed_since_it_was_chosen_is_not_packed() {
    for content in ["tool 2:1.0~rc1+b2-4", "tool", "tool 2:1.0~rc1+b2-3 and more"] {
        let mut packages = tools();
        packages[0].content = content.into();
        let error = plan(&packages).unwrap().write(NonZero::<usize>::MIN, Vec::new()).unwrap_err();
        let Some(source) = std::error::Error::source(&error) else { panic!("{error}") };
        assert!(source.to_string().contains("/pool/tool_1.0~rc1+b2-3_amd64.deb`"), "{source}");
    }
}

#[test]
fn what_apt_could_not_install_is_refused() {
    let with = |package| [tools(), vec![package]].concat();
    for (packages, expected) in [
        (vec![], "package `tool` is requested, but not in the bundle"),
        (with(package("tool", "2", "all")), "package `tool` is in the bundle twice"),
        (with(package("other", "1", "arm64")), "package `other` is for arm64, the bundle is not"),
    ] {
        assert_eq!(refusal(&packages, |_| {}), expected);
    }
    static NOTHING: BTreeSet<String> = BTreeSet::new();
    assert_eq!(refusal(&tools(), |input| input.requested = &NOTHING), "no package is requested");
}

#[test]
fn names_that_would_mean_something_else_in_a_path_or_script_are_refused() {
    let with = |name, version| [tools(), vec![package(name, version, "amd64")]].concat();
    for name in ["", "x", "../x", "Tool", "-x", "a b", "a/b", "a\nb", "tool:any", "tool=1"] {
        assert_eq!(refusal(&with(name, "1"), |_| {}), format!("`{name}` is not a name of a package"));
    }
    for version in ["", "x1", "1/2", "1 2", "1\n2", "%3a"] {
        assert_eq!(
            refusal(&with("other", version), |_| {}),
            format!("`{version}` is not a version of a package")
        );
    }
    for suite in ["", "Bookworm", "a/b", "a b", "$(id)"] {
        let refusal = refusal(&tools(), |input| input.suite = suite);
        assert_eq!(refusal, format!("`{suite}` is not a code name of a release"));
    }
}
