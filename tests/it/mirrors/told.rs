//! What users are told of images that may not run, or cannot be had.

use super::*;

#[test]
fn an_image_that_says_it_is_for_another_platform_than_its_index_says_is_a_warning() {
    let lie = index(&[image("linux", "arm64", &[layer("arm64")]).listed_for("linux", "amd64")]);
    for (app, is_warned) in [(lie, true), (app(), false)] {
        let server = listing(&app, &[], |_| None);
        let sandbox = sandbox(&[], &server.url());
        run(&sandbox, &["lock"]).succeeds();
        let mirrored = run(&sandbox, &["mirror"]).succeeds();
        let said = format!(
            "warning: `{IMAGE}`: its index lists an image for linux/amd64 that says of itself that it is for linux/arm64"
        );
        assert_eq!(mirrored.stderr.contains(&said), is_warned, "{}", mirrored.stderr);
    }
}

#[test]
fn offline_what_is_not_in_the_store_is_said_whether_the_store_can_be_written_or_not() {
    let app = app();
    let server = listing(&app, &[], |_| None);
    let sandbox = sandbox(&[], &server.url());
    run(&sandbox, &["lock"]).succeeds();
    let partial = sandbox.store().join("partial");
    if partial.exists() {
        fs_err::remove_dir(&partial).unwrap();
    }
    fs_err::write(&partial, "no folder").unwrap();
    let failed = run(&sandbox, &["mirror", "--offline"]);
    let said = failed.fails(2);
    assert!(said.contains("is not in the store, and --offline forbids to ask for it"), "{said}");
}

#[test]
fn what_is_gone_or_refused_behind_the_registry_has_a_hint_of_its_own() {
    let app = app();
    let layer = app.blobs[0].descriptor.digest.to_string();
    let elsewhere = Hostile::start(|_| Answer::new(403, "<html><title>Filter: blocked</title>"));
    let to = elsewhere.url();
    let answers = [
        (Answer::new(404, ""), "answers 404", "hint: what refers to it is there, or was when it was locked"),
        (
            Answer::redirect(&format!("{to}/x")),
            "answers 403 Forbidden: a web page, titled `Filter: blocked`",
            "hint: the registry leads to this server for its contents",
        ),
    ];
    for (answer, why, hint) in answers {
        let name = layer.clone();
        let server =
            listing(&app, &[], move |request| request.target.ends_with(&name).then(|| answer.clone()));
        let sandbox = sandbox(&[], &server.url());
        run(&sandbox, &["lock"]).succeeds();
        let failed = run(&sandbox, &["mirror"]);
        let said = failed.fails(2);
        assert!(said.contains(why) && said.contains(hint), "{said}");
        assert!(!said.contains("log in") && !said.contains("check the image's name"), "{said}");
    }
}
