//! Writes a folder as an ISO with seedkit's own writer: what `benches/compare.py` runs beside xorriso.
//!
//! Usage: `cargo bench --bench iso -- FOLDER OUTPUT`
#![expect(clippy::disallowed_methods, reason = "a program of its own: nothing below it may read arguments")]

use std::path::Path;

use anyhow::Context;
use seedkit::archive::iso9660;
use seedkit::digest::Hasher;
use seedkit::tree::{Content, Entry, FileTree};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [folder, output] = arguments.as_slice() else { return Ok(()) };
    let options = iso9660::Options { volume_id: "CIDATA".parse()?, epoch: "1763683200".parse()? };
    let plan = iso9660::plan(&tree_of(Path::new(folder))?, &options)?;
    plan.write(&mut fs_err::File::create(output)?.into_file())?;
    Ok(())
}

fn tree_of(folder: &Path) -> anyhow::Result<FileTree> {
    let mut tree = FileTree::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry?;
        let path = entry.path().strip_prefix(folder)?.to_str().context("a name is not UTF-8")?.to_owned();
        if entry.file_type().is_dir() {
            tree.insert(&path, Entry::Directory { mode: 0o755 })?;
        } else {
            let (digest, size) = Hasher::sha256_of(&mut fs_err::File::open(entry.path())?)?;
            tree.insert_file(&path, 0o644, Content::file(entry.into_path(), digest, size))?;
        }
    }
    Ok(tree)
}
