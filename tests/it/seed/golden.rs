//! What the nodes of a lab get, as whole texts to be read by people.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use seedkit::node::Flavour;
use seedkit::seed::NodeSeed;
use walkdir::WalkDir;

use super::{built, lab, text, written_files};

/// Where the texts of all nodes lie that are alike.
const ALIKE: &str = "all-nodes";

/// Returns the texts of one node by their paths; what cloud-init writes is left out of its user-data and stands beside.
fn texts(seed: &NodeSeed) -> BTreeMap<String, String> {
    let tree = built(seed);
    let installer = text(&built(&NodeSeed { flavour: Flavour::Autoinstall, ..seed.clone() }), "user-data");
    let user_data = text(&tree, "user-data");
    let lines = user_data.lines().map(|line| match line.split_once("    content: ") {
        Some((before, _)) => format!("{before}    content: …\n"),
        None => format!("{line}\n"),
    });
    let mut texts = BTreeMap::from([
        ("user-data".to_owned(), lines.collect()),
        ("autoinstall/user-data".to_owned(), installer),
    ]);
    for name in ["meta-data", "network-config", "payload/FILES"] {
        texts.insert(name.to_owned(), text(&tree, name));
    }
    for name in ["config.yaml", "registries.yaml"] {
        let path = format!("etc/rancher/k3s/{name}");
        texts.insert(format!("root/{path}"), text(&tree, &format!("payload/root/{path}")));
    }
    let written = written_files(&tree).into_iter();
    texts.extend(written.map(|(path, _, content)| (format!("root{path}"), content)));
    texts
}

/// Returns the texts of the whole lab: those that all nodes have alike once.
fn lab_texts() -> BTreeMap<String, String> {
    let nodes: Vec<(String, BTreeMap<String, String>)> =
        lab().iter().map(|seed| (seed.node.name.to_string(), texts(seed))).collect();
    let is_alike =
        |path: &String, content: &String| nodes.iter().all(|(_, texts)| texts.get(path) == Some(content));
    let place = |name: &String, path: &String, content: &String| {
        let folder = if is_alike(path, content) { ALIKE } else { name };
        (format!("{folder}/{path}"), content.clone())
    };
    nodes
        .iter()
        .flat_map(|(name, texts)| texts.iter().map(move |(path, content)| place(name, path, content)))
        .collect()
}

fn read(folder: &Path) -> BTreeMap<String, String> {
    let files =
        WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            (path, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_texts_of_a_lab_are_the_golden_ones() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/nodes");
    let (expected, found) = (read(&golden), lab_texts());
    if expected == found {
        return;
    }
    let differing: Vec<&String> = expected
        .keys()
        .chain(found.keys().filter(|path| !expected.contains_key(*path)))
        .filter(|path| expected.get(*path) != found.get(*path))
        .collect();
    let rendered = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden-nodes");
    if rendered.exists() {
        fs::remove_dir_all(&rendered).unwrap();
    }
    for (path, content) in &found {
        let path = rendered.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    panic!(
        "these texts are not the golden ones: {differing:?}\nread `diff -r {} {}`, and copy them if they are right",
        golden.display(),
        rendered.display()
    );
}
