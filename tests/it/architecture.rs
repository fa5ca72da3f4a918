//! The layer picture of `lib.rs` is true, and files stay small enough to read.
//!
//! `src/lib.rs` declares the modules in blocks separated by blank lines, lowest first. A module may use
//! modules of earlier blocks only: nothing sideways, nothing upward, no exceptions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;

fn source_files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Returns each module with the number of its block.
fn layers() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut layers = BTreeMap::new();
    let mut block = 0;
    for line in text.lines() {
        if line.trim().is_empty() {
            block += 1;
        } else if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            layers.insert(name.to_owned(), block);
        }
    }
    layers
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the modules that `text` names by `crate::…`, in paths and in grouped `use crate::{…}`.
fn used_modules(text: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (position, _) in text.match_indices("crate::") {
        let before = text[..position].chars().next_back();
        if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
            continue;
        }
        let rest = &text[position + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => used.push(std::mem::take(&mut item)),
                    _ if depth == 0 => item.push(character),
                    _ => {}
                }
            }
            used.push(item);
        } else {
            used.push(rest.to_owned());
        }
    }
    used.iter()
        .map(|path| path.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .filter(|name: &String| !name.is_empty())
        .collect()
}

#[test]
fn modules_use_earlier_layers_only() {
    let layers = layers();
    assert!(layers.len() > 5, "lib.rs no longer declares its layers: {layers:?}");
    let source = root().join("src");
    let mut violations = Vec::new();
    for path in source_files(&source) {
        let relative = path.strip_prefix(&source).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        let Some(layer) = layers.get(module) else { continue };
        for used in used_modules(&fs::read_to_string(&path).unwrap()) {
            if used == module {
                continue;
            }
            match layers.get(&used) {
                Some(below) if below < layer => {}
                Some(_) => {
                    violations.push(format!("{}: uses {used}, which is not below", relative.display()))
                }
                None => violations
                    .push(format!("{}: uses {used}, which lib.rs does not declare", relative.display())),
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_module_is_declared_in_a_layer() {
    let layers = layers();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(module == "lib" || module == "main" || layers.contains_key(module), "{name} is in no layer");
    }
}

#[test]
fn files_have_one_subject_and_at_most_450_lines() {
    for folder in ["src", "tests"] {
        for path in source_files(&root().join(folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 450, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn the_parser_of_uses_sees_groups_and_paths() {
    let text =
        "use crate::{digest::{Digest, Hasher}, fs};\nlet x = crate::tree::FileTree::new(); mycrate::no";
    assert_eq!(used_modules(text), ["digest", "fs", "tree"]);
}
