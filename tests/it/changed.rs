//! Somebody else writes to the store while a command uses it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::mirror::write_spec;
use crate::support::hostile::{Answer, Hostile, Request};
use crate::support::images::{self, Content, Image};
use crate::support::sandbox::{Sandbox, debris};

/// Serves `images` by their repositories, and does `meanwhile` when the layer `moment` is asked for.
fn serve(
    images: [(&'static str, Image); 2],
    moment: &Content,
    meanwhile: impl Fn() + Send + Sync + 'static,
) -> Hostile {
    let moment = moment.descriptor.digest.to_string();
    let images = images.map(|(name, image)| (name, image.by_name()));
    Hostile::start(move |request: &Request| {
        let name = request.target.rsplit('/').next().unwrap();
        if request.method == "GET" && name == moment {
            meanwhile();
        }
        let of_image = images.iter().find(|(repository, _)| request.target.contains(repository));
        let Some(content) = of_image.and_then(|(_, contents)| contents.get(name)) else {
            return Answer::new(404, "");
        };
        Answer::new(200, content.bytes.clone())
            .header("Content-Type", &content.descriptor.media_type)
            .header("Docker-Content-Digest", &content.descriptor.digest.to_string())
    })
}

fn overwrite(path: &Path, content: &[u8]) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(path, content).unwrap();
}

// A blob was verified before the others came, and linked into the layout after: nothing looked at it again.
#[test]
fn a_blob_that_changes_after_it_was_verified_is_named_and_nothing_gets_its_name() {
    let (early, late) = (images::layer("there from the run before"), images::layer("comes now"));
    let image = |layer: &Content| images::image("linux", "amd64", std::slice::from_ref(layer));
    let changed = [
        |path: &Path| overwrite(path, b""),
        |path: &Path| overwrite(path, &vec![b'x'; fs::metadata(path).unwrap().len() as usize]),
        |path: &Path| {
            // The same name, another file.
            let other = path.with_extension("other");
            fs::copy(path, &other).unwrap();
            overwrite(&other, b"something else");
            fs::rename(other, path).unwrap();
        },
    ];
    for change in changed {
        let sandbox = Sandbox::new();
        let digest = early.descriptor.digest;
        let blob: PathBuf = sandbox.store().join("sha256").join(digest.hex());
        let path = blob.clone();
        let server = serve([("early", image(&early)), ("late", image(&late))], &late, move || change(&path));
        let sources = [("change.example", server.url())];
        let sources = sources.each_ref().map(|(name, url)| (*name, url.as_str()));
        let names = ["change.example/early:1", "change.example/late:1"].map(str::to_owned);
        write_spec(&sandbox, &sources, &names[..1], "linux/amd64");
        sandbox.seedkit(&["lock"]).succeeds();
        sandbox.seedkit(&["mirror", "-o", "images"]).succeeds();
        fs::remove_dir_all(sandbox.path("images")).unwrap();
        write_spec(&sandbox, &sources, &names, "linux/amd64");
        sandbox.seedkit(&["lock"]).succeeds();
        let run = sandbox.seedkit(&["mirror", "-o", "images", "--jobs", "1"]);
        let error = format!(
            "error: another process changed blob {digest} in `{}` while it was used\n  hint: run the same command again",
            blob.display()
        );
        assert!(run.fails(2).starts_with(&error), "{run:?}");
        assert!(!sandbox.path("images").exists() && debris(&sandbox.path("")).is_empty());
        // It was taken out, and comes again.
        sandbox.seedkit(&["mirror", "-o", "images"]).succeeds();
        let name = format!("images/blobs/sha256/{}", digest.hex());
        assert_eq!(fs::read(sandbox.path(name)).unwrap(), early.bytes);
    }
}
