//! What a build does with what is there already: an old kit, an old copy of the seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::digest::Digest;

use crate::support::sandbox::{BUILD, Run, SPEC, Sandbox, debris, files, names};

/// Every file of a folder with its content.
pub(crate) fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files(folder).into_iter().map(|file| (file.clone(), fs::read(folder.join(file)).unwrap())).collect()
}

#[test]
fn an_old_kit_is_replaced_whole() {
    let sandbox = Sandbox::built_lab();
    sandbox.write("kit/seeds/seed-of-a-node-that-is-gone.iso", "old");
    sandbox.edit("lab/seedkit.yaml", "name: k3s-worker2", "name: k3s-worker3");
    sandbox.seedkit(&BUILD).succeeds();
    let seeds = ["seed-k3s-master1.iso", "seed-k3s-worker1.iso", "seed-k3s-worker3.iso"];
    assert_eq!(sandbox.names("kit/seeds"), seeds);
    assert_eq!(debris(&sandbox.path("")), [] as [PathBuf; 0]);
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

#[test]
fn a_build_that_fails_leaves_the_old_kit_as_it_was_and_no_debris() {
    let sandbox = Sandbox::built_lab();
    let old = snapshot(&sandbox.path("kit"));
    // Late: everything but the seeds is there when the template is found wrong.
    sandbox.edit("lab/seedkit.yaml", "ssh:\n", "templates: templates\nssh:\n");
    sandbox
        .write("lab/templates/cloud-image/user-data.tera", "#cloud-config\n{{ no_such_variable | json }}\n");
    let run = sandbox.seedkit(&BUILD);
    assert!(run.fails(2).contains("no_such_variable"), "{}", run.stderr);
    assert!(snapshot(&sandbox.path("kit")) == old, "the old kit changed");
    assert_eq!(sandbox.names(""), ["kit", "lab"]);
    assert_eq!(debris(&sandbox.home()), [] as [PathBuf; 0]);
}

#[test]
fn what_rotted_in_the_store_is_replaced_or_refused_and_never_built_in() {
    let sandbox = Sandbox::built_lab();
    let good = sandbox.read("kit/SHA256SUMS");
    for what in ["k3s-stand-in.sh", "images/blobs/sha256"] {
        let content = match sandbox.path("lab").join(what) {
            file if file.is_file() => fs::read(file).unwrap(),
            // A layer: the manifests are read, and so checked, in any case.
            _ => fs::read(largest_in(&sandbox.path("kit/images/blobs/sha256"))).unwrap(),
        };
        let stored = sandbox.store().join("sha256").join(Digest::sha256(&content).hex());
        for rotten in [vec![b'x'; content.len()], content[..content.len() - 1].to_vec(), Vec::new()] {
            fs::remove_file(&stored).unwrap();
            fs::write(&stored, &rotten).unwrap();
            sandbox.seedkit(&BUILD).succeeds();
            assert_eq!(sandbox.read("kit/SHA256SUMS"), good, "{what}, {} bytes", rotten.len());
            assert!(fs::read(&stored).unwrap() == content);
        }
    }
}

/// The largest layer of the lab: its place in the store, and the bytes that belong there.
struct Layer {
    stored: PathBuf,
    content: Vec<u8>,
}

impl Layer {
    fn of(sandbox: &Sandbox) -> Self {
        let content = fs::read(largest_in(&sandbox.path("kit/images/blobs/sha256"))).unwrap();
        Self { stored: sandbox.store().join("sha256").join(Digest::sha256(&content).hex()), content }
    }

    /// Changes it in the store, and in all kits that share it, as a careless program or the disk does.
    fn damage(&self, damage: fn(&mut Vec<u8>), keeps_time: bool) {
        let time = fs::metadata(&self.stored).unwrap().modified().unwrap();
        let mut damaged = self.content.clone();
        damage(&mut damaged);
        let file = std::fs::OpenOptions::new().write(true).open(&self.stored).unwrap();
        file.set_len(0).unwrap();
        std::io::Write::write_all(&mut &file, &damaged).unwrap();
        if keeps_time {
            file.set_modified(time).unwrap();
        }
    }

    fn is_whole(&self) -> bool {
        fs::read(&self.stored).unwrap() == self.content
    }
}

#[test]
fn no_command_publishes_a_blob_that_was_changed_in_the_store() {
    let damages: [fn(&mut Vec<u8>); 3] = [|bytes| bytes[30] ^= 1, |bytes| bytes.truncate(40), Vec::clear];
    let sandbox = Sandbox::built_lab();
    let layer = Layer::of(&sandbox);
    for command in ["mirror", "pack images", "iso"] {
        let line: Vec<&str> = command.split(' ').chain(["-f", SPEC, "-o", "out"]).collect();
        let publish = || {
            let run = sandbox.seedkit(&line).succeeds();
            let digests = digests(&sandbox, "out");
            fs::remove_dir_all(sandbox.path("out")).unwrap();
            (run, digests)
        };
        let (_, good) = publish();
        for damage in damages {
            layer.damage(damage, false);
            let (run, digests) = publish();
            assert!(run.stderr.contains("is damaged and is replaced"), "{command}: {run:?}");
            assert!(layer.is_whole(), "{command}");
            assert_eq!(digests, good, "{command}");
        }
    }
}

#[test]
fn what_rots_without_a_trace_is_found_when_it_is_packed_and_replaced_by_the_next_run() {
    let sandbox = Sandbox::built_lab();
    let layer = Layer::of(&sandbox);
    for command in
        [["pack", "images", "-f", SPEC, "-o", "out"].as_slice(), &["iso", "-f", SPEC, "-o", "out"], &BUILD]
    {
        layer.damage(|bytes| bytes[30] ^= 1, true);
        let run = sandbox.seedkit(command);
        let message = run.fails(2);
        assert!(message.contains("has the wrong content: it hashes to"), "{message}");
        assert!(!layer.stored.exists(), "{command:?}");
        sandbox.seedkit(command).succeeds();
        assert!(layer.is_whole(), "{command:?}");
    }
}

// A kit shares its blobs with the store: who writes to one changes both.
#[test]
fn with_copy_no_file_of_a_kit_or_layout_is_a_second_name_of_another() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = Sandbox::built_lab();
    let shared = |folder: &str| {
        let names = files(&sandbox.path(folder)).into_iter().map(|name| sandbox.path(folder).join(name));
        names.filter(|path| fs::metadata(path).unwrap().nlink() > 1).count()
    };
    assert!(shared("kit") > 3);
    sandbox.seedkit(&[&BUILD[..], &["--copy"]].concat()).succeeds();
    sandbox.seedkit(&["mirror", "--copy", "-f", SPEC, "-o", "layout"]).succeeds();
    assert_eq!((shared("kit"), shared("layout")), (0, 0));
    let modes = |folder: &str| {
        let blobs = fs::read_dir(sandbox.path(folder).join("blobs/sha256")).unwrap();
        blobs.map(|blob| blob.unwrap().metadata().unwrap().mode() & 0o777).collect::<BTreeSet<_>>()
    };
    assert_eq!(modes("layout"), [0o444].into());
    sandbox.seedkit(&["verify", "kit"]).succeeds();
}

/// Returns what `sha256sum` says of all files of a folder.
fn digests(sandbox: &Sandbox, folder: &str) -> String {
    let mut command = sandbox.command("sh");
    let script =
        format!("cd {folder}; find . -type f ! -name .gitignore -print0 | sort -z | xargs -0 sha256sum");
    Run::of(command.args(["-c", &script])).succeeds().stdout
}

/// Returns the largest file that is not JSON.
fn largest_in(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let layers = files.filter(|file| !fs::read(file).unwrap().starts_with(b"{"));
    layers.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}

// A kit was replaced whole, and the keys of the cluster in it were gone.
#[test]
fn a_kit_that_holds_what_must_outlive_it_is_not_replaced() {
    let sandbox = Sandbox::built_lab();
    sandbox.seedkit(&["lock", "-f", SPEC, "--cache-dir", "kit/store"]).succeeds();
    fs::rename(sandbox.path("lab/secrets"), sandbox.path("kit/secrets")).unwrap();
    let old = snapshot(&sandbox.path("kit"));
    for (flags, held) in [
        (["--secrets", "kit/secrets"], "the secrets"),
        (["--cache-dir", "kit/store"], "the store"),
        (["--deliver", "kit/delivered"], "the folder that seeds are delivered to"),
    ] {
        let run = sandbox.seedkit(&[&BUILD[..], &flags].concat());
        let error = format!(
            "error: cannot put the kit there\n  because: `kit` holds {held}; it is left alone\n  \
             hint: choose another folder with --output, or move this one away"
        );
        assert_eq!(run.fails(2), error);
        assert!(snapshot(&sandbox.path("kit")) == old, "{flags:?}");
    }
    for (output, held) in [(".", "the spec"), ("lab", "the spec"), ("lab/..", "the spec")] {
        let run = sandbox.seedkit(&["build", "-f", SPEC, "-o", output]);
        assert!(
            run.fails(2).contains(&format!("`{output}` holds {held}; it is left alone")),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_link_leads_to_the_kit_and_stays_a_link() {
    let sandbox = Sandbox::built_lab();
    fs::create_dir(sandbox.path("disk")).unwrap();
    fs::rename(sandbox.path("kit"), sandbox.path("disk/kit")).unwrap();
    fs_err::os::unix::fs::symlink("disk/kit", sandbox.path("kit")).unwrap();
    sandbox.edit(SPEC, "timezone: Asia/Seoul", "timezone: Europe/Paris");
    let old = snapshot(&sandbox.path("disk/kit"));
    sandbox.seedkit(&BUILD).succeeds();
    assert!(snapshot(&sandbox.path("disk/kit")) != old);
    assert!(fs::symlink_metadata(sandbox.path("kit")).unwrap().is_symlink());
    assert_eq!(sandbox.names("disk"), ["kit"]);
}

#[test]
fn delivery_copies_the_seeds_and_nothing_else() {
    let sandbox = Sandbox::lab();
    sandbox.write("drive/seed-k3s-master1.iso", "an old one");
    sandbox.write("drive/theirs.txt", "not ours");
    let run = sandbox.seedkit(&[&BUILD[..], &["--deliver", "drive"]].concat()).succeeds();
    let seeds = sandbox.names("kit/seeds");
    let mut expected = seeds.clone();
    expected.insert(0, ".gitignore".to_owned());
    expected.push("theirs.txt".to_owned());
    assert_eq!(sandbox.names("drive"), expected);
    for seed in seeds {
        assert_eq!(
            fs::read(sandbox.path("drive").join(&seed)).unwrap(),
            fs::read(sandbox.path("kit/seeds").join(&seed)).unwrap()
        );
        assert!(run.stdout.contains(&format!("delivered drive/{seed}\n")), "{}", run.stdout);
    }
    assert_eq!(sandbox.read("drive/theirs.txt"), "not ours");
}

#[test]
fn the_spec_may_say_where_seeds_are_delivered_and_the_flag_wins() {
    let sandbox = Sandbox::lab();
    sandbox.edit("lab/seedkit.yaml", "ssh:\n", "deliver: drive\nssh:\n");
    sandbox.seedkit(&BUILD).succeeds();
    assert_eq!(names(&sandbox.path("lab/drive")).len(), 1 + 3, "relative to the spec");
    sandbox.seedkit(&[&BUILD[..], &["--deliver", "elsewhere"]].concat()).succeeds();
    assert_eq!(sandbox.names("elsewhere").len(), 1 + 3, ".gitignore and the seeds");
}

#[test]
fn builds_into_one_place_at_the_same_time_end_with_one_whole_kit() {
    let sandbox = Sandbox::lab();
    let builds: Vec<_> = (0..3).map(|_| sandbox.spawn(&BUILD)).collect();
    for build in builds {
        let output = build.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    sandbox.seedkit(&["verify", "kit"]).succeeds();
    assert_eq!(debris(&sandbox.path("")), [] as [PathBuf; 0]);
    assert_eq!(debris(&sandbox.home()), [] as [PathBuf; 0]);
}
