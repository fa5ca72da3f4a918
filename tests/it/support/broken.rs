//! Good kits with one thing broken, sealed again so that nothing else is wrong with them.
//!
//! The discs are taken apart and written anew by xorriso and genisoimage, not by seedkit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use fs_err as fs;
use serde_json::Value;

use super::oracle;
use super::sandbox::{Run, Sandbox, copy_tree};

/// A copy of a good kit that is about to be broken.
#[derive(Debug)]
pub(crate) struct BrokenKit {
    sandbox: Sandbox,
    /// Options of genisoimage for discs that are written anew.
    pub(crate) disc_options: Vec<String>,
    /// Whether discs that changed get a new name, as an honest build would give them.
    pub(crate) is_renamed: bool,
    /// Lengths that the bill states, whatever the artifacts have.
    pub(crate) stated: BTreeMap<String, u64>,
}

/// The lab, built once for all tests.
fn lab() -> &'static Sandbox {
    static LAB: OnceLock<Sandbox> = OnceLock::new();
    LAB.get_or_init(Sandbox::built_lab)
}

impl BrokenKit {
    /// Begins with the lab's kit.
    pub(crate) fn lab() -> Self {
        Self::of(&lab().path("kit"))
    }

    /// Begins with a copy of another kit.
    pub(crate) fn of(kit: &Path) -> Self {
        let sandbox = Sandbox::new();
        copy_tree(kit, &sandbox.path("kit"));
        let disc_options = ["-quiet", "-R", "-V", "CIDATA"].map(str::to_owned).to_vec();
        Self { sandbox, disc_options, is_renamed: true, stated: BTreeMap::new() }
    }

    /// Returns a path in the kit.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.sandbox.path("kit").join(relative)
    }

    /// Has the bill accept a finding.
    pub(crate) fn allow(&self, id: &str, reason: &str) {
        let nodes = "\"nodes\": [";
        let allow = serde_json::json!([{ "id": id, "reason": reason }]);
        self.edit("kit.json", nodes, &format!("\"allow\": {allow}, {nodes}"));
    }

    /// Lets `change` work on the files of one node's disc, then writes the disc anew.
    pub(crate) fn seed(&self, node: &str, change: impl Fn(&Folder)) {
        let disc = self.path(&format!("seeds/seed-{node}.iso"));
        let folder = Folder { path: self.sandbox.path(format!("disc-{node}")) };
        extract(&disc, &folder.path);
        change(&folder);
        folder.seal(node, self.is_renamed);
        fs::remove_file(&disc).unwrap();
        let mut command = oracle::command("genisoimage");
        command.args(&self.disc_options).arg("-D").arg("-o").arg(&disc).arg(&folder.path);
        oracle::finish(&mut command);
    }

    /// Does the same to the disc of every node.
    pub(crate) fn seeds(&self, change: impl Fn(&Folder)) {
        for node in ["k3s-master1", "k3s-worker1", "k3s-worker2"] {
            self.seed(node, &change);
        }
    }

    /// Replaces the one place where a text of the kit says `old`.
    pub(crate) fn edit(&self, relative: &str, old: &str, new: &str) {
        edit(&self.path(relative), old, new);
    }

    /// Writes the kit's lists anew, as a build would have written them.
    pub(crate) fn seal(&self) {
        let kit = self.sandbox.path("kit");
        let bill = kit.join("kit.json");
        let mut json: Value = serde_json::from_slice(&fs::read(&bill).unwrap()).unwrap();
        let mut artifacts = serde_json::Map::new();
        let mut sums = BTreeMap::new();
        for path in super::sandbox::files(&kit) {
            let name = path.display().to_string();
            let bytes = fs::read(kit.join(&path)).unwrap();
            let digest = seedkit::digest::Digest::sha256(&bytes);
            let is_listed = !["kit.json", "SHA256SUMS", "report.html"].contains(&name.as_str());
            if !name.starts_with("images/blobs/") && is_listed {
                let size = self.stated.get(&name).copied().unwrap_or(bytes.len() as u64);
                let artifact = serde_json::json!({ "digest": digest.to_string(), "size": size });
                artifacts.insert(name.clone(), artifact);
            }
            sums.insert(name, digest.hex().to_owned());
        }
        json["artifacts"] = artifacts.into();
        let text = serde_json::to_vec_pretty(&json).unwrap();
        sums.insert("kit.json".to_owned(), seedkit::digest::Digest::sha256(&text).hex().to_owned());
        sums.remove("SHA256SUMS");
        fs::write(bill, text).unwrap();
        let sums: String = sums.into_iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        fs::write(kit.join("SHA256SUMS"), sums).unwrap();
    }

    /// Checks the kit as it is.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.sandbox.seedkit(&[&["check", "kit", "--quiet"], arguments].concat())
    }

    /// Seals the kit, checks it, and returns id, artifact and text of every finding.
    pub(crate) fn findings(&self) -> Vec<String> {
        self.seal();
        let run = self.run(&["--json"]);
        assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
        let json = run.json();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
        let one = |finding: &Value| {
            format!(
                "{} {}: {}: {}",
                text(finding, "id"),
                text(finding, "artifact"),
                text(finding, "place"),
                text(finding, "what")
            )
        };
        json["findings"].as_array().unwrap().iter().map(one).collect()
    }

    /// Checks that there are findings with this id, one of which says `part`, and no others.
    pub(crate) fn is_found_by(&self, id: &str, part: &str) {
        let findings = self.findings();
        assert!(!findings.is_empty(), "nothing is found where {id} should be");
        // What is not deployed is only said.
        let is_expected = |finding: &String| finding.starts_with(id) || finding.starts_with("SK0312");
        assert!(findings.iter().all(is_expected), "{findings:#?}");
        assert!(findings.iter().any(|finding| finding.starts_with(id)), "{findings:#?}");
        assert!(findings.iter().any(|finding| finding.contains(part)), "{part:?} is not in {findings:#?}");
    }
}

/// The files of one disc.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Returns the path of a file of the disc.
    pub(crate) fn file(&self, relative: &str) -> PathBuf {
        self.path.join(relative)
    }

    /// Reads a text of the disc.
    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.file(relative)).unwrap()
    }

    /// Writes a file of the disc.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.file(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Removes a file of the disc.
    pub(crate) fn remove(&self, relative: &str) {
        fs::remove_file(self.file(relative)).unwrap();
    }

    /// Replaces the one place where a text of the disc says `old`.
    pub(crate) fn edit(&self, relative: &str, old: &str, new: &str) {
        edit(&self.file(relative), old, new);
    }

    /// Replaces the one place where a file that cloud-init writes says `old`; both are given as they are in the file.
    pub(crate) fn edit_written(&self, old: &str, new: &str) {
        let quoted = |text: &str| {
            let json = serde_json::to_string(text).unwrap();
            json[1..json.len() - 1].to_owned()
        };
        self.edit("user-data", &quoted(old), &quoted(new));
    }

    /// Places a file on the node.
    pub(crate) fn place(&self, path: &str, mode: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("payload/root{path}"), content);
        let list = self.read("payload/FILES");
        let mut lines: Vec<String> =
            list.lines().filter(|line| !line.ends_with(&format!(" {path}"))).map(str::to_owned).collect();
        lines.push(format!("{mode} {path}"));
        lines.sort_by(|one, other| one[5..].cmp(&other[5..]));
        self.write("payload/FILES", lines.join("\n") + "\n");
    }

    /// Lets cloud-init write one more file.
    pub(crate) fn let_write(&self, path: &str, mode: &str, content: &str) {
        let entry = serde_json::json!({ "path": path, "permissions": mode, "owner": "root:root", "content": content });
        self.edit("user-data", "\nwrite_files:\n", &format!("\nwrite_files:\n  - {entry}\n"));
    }

    /// Takes a file off the node.
    pub(crate) fn displace(&self, path: &str) {
        self.remove(&format!("payload/root{path}"));
        let list = self.read("payload/FILES");
        let kept = list.lines().filter(|line| !line.ends_with(&format!(" {path}")));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        assert_ne!(list, kept);
        self.write("payload/FILES", kept);
    }

    /// Writes sums and names anew.
    fn seal(&self, node: &str, is_renamed: bool) {
        let digest = |path: &Path| seedkit::digest::Digest::sha256(&fs::read(path).unwrap());
        if is_renamed && self.file("meta-data").exists() {
            self.rename(node);
        }
        let mut sums = String::new();
        let payload = self.file("payload");
        for path in super::sandbox::files(&payload) {
            if path != Path::new("SHA256SUMS") {
                sums += &format!("{}  {}\n", digest(&payload.join(&path)).hex(), path.display());
            }
        }
        self.write("payload/SHA256SUMS", sums);
    }

    /// Gives the seed the name that follows from its content; see docs of `check::seed::identity`.
    fn rename(&self, node: &str) {
        let old = self.read("payload/seed-id").trim_end().to_owned();
        let meta_data = self.read("meta-data");
        let of = |bytes: &[u8]| seedkit::digest::Digest::sha256(bytes);
        let user_data = fs::read(self.file("user-data")).unwrap_or_default();
        let network = fs::read(self.file("network-config")).unwrap_or_default();
        let mut lines = vec![
            format!("meta-data\0644\0{}\n", of(meta_data.replace(&format!("iid-{old}"), "").as_bytes())),
            format!("network-config\0644\0{}\n", of(&network)),
            format!("user-data\0600\0{}\n", of(&user_data)),
        ];
        for list in ["payload/FOLDERS", "payload/SHARED"] {
            if let Ok(bytes) = fs::read(self.file(list)) {
                lines.push(format!("{list}\0644\0{}\n", of(&bytes)));
            }
        }
        for line in self.read("payload/FILES").lines() {
            let (mode, path) = line.split_once(' ').unwrap();
            let bytes = fs::read(self.file(&format!("payload/root{path}"))).unwrap();
            let mode = u32::from_str_radix(mode, 8).unwrap();
            lines.push(format!("payload/root{path}\0{mode:o}\0{}\n", of(&bytes)));
        }
        let id = format!("{node}-{}", of(lines.concat().as_bytes()).short());
        self.write("meta-data", meta_data.replace(&old, &id));
        self.write("payload/seed-id", format!("{id}\n"));
    }
}

fn edit(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.matches(old).count(), 1, "{} says {old:?} not exactly once:\n{text}", path.display());
    fs::write(path, text.replace(old, new)).unwrap();
}

/// Takes a disc apart; what is there may be read and written.
fn extract(disc: &Path, folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    let mut command = oracle::command("xorriso");
    command.args(["-report_about", "FAILURE", "-osirrox", "on", "-indev"]).arg(disc);
    oracle::finish(command.args(["-extract", "/"]).arg(folder));
    oracle::finish(Command::new("chmod").args(["-R", "u+rwX"]).arg(folder));
}
