//! A seed as the disc that it becomes: found by ds-identify, read by NoCloud, placed byte for byte.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use seedkit::archive::iso9660::{Options, plan};
use seedkit::tree::{Entry, FileTree};
use serde_json::json;

use super::cloud_init::nocloud;
use super::{built, lab, text, write};
use crate::support::oracle;

fn disc(tree: &FileTree, folder: &Path, label: &str) -> PathBuf {
    let path = folder.join("seed.iso");
    let options = Options { volume_id: label.parse().unwrap(), epoch: lab()[0].epoch };
    plan(tree, &options).unwrap().write(&mut fs::File::create(&path).unwrap()).unwrap();
    path
}

#[test]
fn nocloud_reads_the_disc_through_blkid() {
    for label in ["CIDATA", "cidata"] {
        let folder = tempfile::tempdir().unwrap();
        let tree = built(&lab()[2]);
        let disc = disc(&tree, folder.path(), label);
        let found = nocloud(folder.path(), &disc);
        assert_eq!(found["found"], json!(disc));
        assert_eq!(found["instance-id"], json!(format!("iid-{}", text(&tree, "payload/seed-id").trim_end())));
        assert_eq!(found["user-data"], super::values::parsed(&text(&tree, "user-data")));
        let payload = folder.path().join("disc/payload");
        oracle::finish(
            oracle::command("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(payload),
        );
    }
}

#[test]
fn the_disc_keeps_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    let tree = built(&lab()[0]);
    let disc = disc(&tree, folder.path(), "CIDATA");
    nocloud(folder.path(), &disc);
    for (path, entry) in tree.iter() {
        if let Entry::File { mode, .. } = entry {
            let metadata = fs::metadata(folder.path().join("disc").join(path.as_str())).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, *mode, "{path}");
        }
    }
}

#[test]
fn ds_identify_finds_the_disc() {
    for (label, expected) in [("CIDATA", true), ("cidata", true), ("Cidata", false)] {
        let folder = tempfile::tempdir().unwrap();
        let disc = disc(&built(&lab()[0]), folder.path(), label);
        let probed = oracle::text("blkid", ["-p", "-o", "export", disc.to_str().unwrap()]);
        let device = format!("DEVNAME=/dev/sr0\n{}", probed.split_once('\n').unwrap().1);
        let root = folder.path().join("root");
        let mut system = FileTree::new();
        for (path, mode, content) in [
            ("stand-in/blkid", 0o755, format!("#!/bin/sh\ncat <<'END'\n{device}\nEND\n")),
            ("stand-in/systemd-detect-virt", 0o755, "#!/bin/sh\necho kvm\n".to_owned()),
            ("etc/cloud/cloud.cfg", 0o644, "datasource_list: [NoCloud, ConfigDrive, None]\n".to_owned()),
            ("proc/cmdline", 0o644, "root=/dev/vda1\n".to_owned()),
            ("proc/1/environ", 0o644, String::new()),
            ("proc/uptime", 0o644, "1.0 1.0\n".to_owned()),
        ] {
            system.insert_file(path, mode, content).unwrap();
        }
        for path in ["run", "sys/class/dmi/id"] {
            system.insert(path, Entry::Directory { mode: 0o755 }).unwrap();
        }
        write(&system, &root);
        let output = oracle::command("/usr/lib/cloud-init/ds-identify")
            .arg("--force")
            .env("PATH_ROOT", &root)
            .env("PATH", format!("{}:/usr/sbin:/usr/bin", root.join("stand-in").display()))
            .output()
            .unwrap();
        let log = fs::read_to_string(root.join("run/cloud-init/ds-identify.log")).unwrap_or_default();
        let found = log.contains("Found single datasource: NoCloud");
        assert_eq!(found, expected, "{label}: {output:?}\n{log}");
    }
}
