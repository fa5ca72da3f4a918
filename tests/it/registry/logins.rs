//! Where passwords are looked for: a Docker configuration, and credential helpers.

use std::path::Path;

use fs_err as fs;
use seedkit::oci::{ImageSource, SourceErrorKind};

use super::auth::{app, configuration, with_file};
use super::{options, reference, registry_at};
use crate::support::oracle;
use crate::support::registry::{self as docker_registry, PASSWORD, USER};

#[test]
fn a_password_from_a_docker_configuration_opens_the_registry() {
    let server = docker_registry::Registry::start_with_password();
    let image = app();
    image.push_with_skopeo(&server, "private/app:1");
    let folder = tempfile::tempdir().unwrap();
    let entry = format!(r#"{{"username":"{USER}","password":"{PASSWORD}"}}"#);
    let path = configuration(folder.path(), server.authority(), &entry);
    let registry = registry_at(with_file(path), &server.url(), None);
    let from = reference(&registry, "private/app:1");
    assert_eq!(&registry.resolve(&from).unwrap(), image.root());
    let layer = &image.blobs[0];
    assert_eq!(super::read(&registry, &from, &layer.descriptor).unwrap(), layer.bytes);
}

#[test]
fn missing_and_wrong_passwords_are_denied_and_the_file_is_named() {
    let server = docker_registry::Registry::start_with_password();
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path(), server.authority(), r#"{"username":"x","password":"hidden"}"#);
    for (options, note) in [
        (options(), format!("(no credentials for `{}` were found)", server.authority())),
        (with_file(path.clone()), format!("that `{}` names)", path.display())),
    ] {
        let registry = registry_at(options, &server.url(), None);
        let error = registry.resolve(&reference(&registry, "private/app:1")).unwrap_err();
        assert_eq!(error.kind, SourceErrorKind::Denied);
        assert!(
            error.message.contains("answers 401 Unauthorized") && error.message.ends_with(&note),
            "{error}"
        );
        assert!(!format!("{error:?} {registry:?}").contains("hidden"));
    }
}

#[test]
fn a_credential_helper_is_asked_once_and_its_not_found_means_anonymous() {
    let server = docker_registry::Registry::start_with_password();
    for name in ["private/app:1", "private/other:1"] {
        app().push_with_skopeo(&server, name);
    }
    let authority = server.authority();
    for (helper, configuration, expected) in [
        (
            format!(r#"printf '{{"Username":"{USER}","Secret":"{PASSWORD}"}}'"#),
            format!(r#"{{"auths":{{"{authority}":{{}}}},"credHelpers":{{"{authority}":"test"}}}}"#),
            "found found",
        ),
        (
            "echo credentials not found in native keychain; exit 1".to_owned(),
            r#"{"credsStore":"test"}"#.to_owned(),
            "were found)",
        ),
        (
            "echo hidden; exit 1".to_owned(),
            r#"{"credsStore":"test"}"#.to_owned(),
            "`docker-credential-test get` fails for",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("#!/bin/sh\necho asked for $(cat) >>asked\n{helper}\n");
        let path = folder.path().join("docker-credential-test");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("config.json"), configuration).unwrap();
        fs::write(folder.path().join("url"), server.url()).unwrap();
        let outcome = resolve_in_a_child(folder.path());
        assert!(outcome.contains(expected) && !outcome.contains("hidden"), "{outcome}");
        let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
        assert_eq!(asked, format!("asked for {authority}\n"));
    }
}

/// Runs the next test alone, in `folder` and with it as `PATH`: both are the whole process's.
fn resolve_in_a_child(folder: &Path) -> String {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "registry::logins::resolves_with_the_helpers_of_this_folder"]);
    let path = format!("{}:/usr/bin:/bin", folder.display());
    oracle::finish(child.current_dir(folder).env("PATH", path));
    fs::read_to_string(folder.join("outcome")).unwrap()
}

#[test]
#[ignore = "the test before runs it, in a process and a folder of its own"]
fn resolves_with_the_helpers_of_this_folder() {
    let registry = registry_at(with_file("config.json".into()), &fs::read_to_string("url").unwrap(), None);
    let outcome = ["private/app:1", "private/other:1"].map(|name| {
        let resolved = registry.resolve(&reference(&registry, name));
        resolved.map_or_else(|error| error.message, |_| "found".to_owned())
    });
    fs::write("outcome", outcome.join(" ")).unwrap();
}
