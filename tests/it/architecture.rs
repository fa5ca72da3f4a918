//! The layer picture of `lib.rs` is true, no module has a circle inside, and files stay small enough to read.
//!
//! `src/lib.rs` declares the modules in blocks separated by blank lines, lowest first. A module may use
//! modules of earlier blocks only: nothing sideways, nothing upward, no exceptions.

use std::collections::{BTreeMap, BTreeSet};
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

/// Returns the paths that `text` names by `crate::…`, `super::…` and `self::…`, also those of grouped `use super::{…}`.
fn used_paths(text: &str) -> Vec<Vec<String>> {
    let starts = ["crate::", "super::", "self::"].into_iter().flat_map(|start| text.match_indices(start));
    let is_whole = |position: usize| {
        let before = text[..position].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || matches!(character, '_' | ':'))
    };
    starts
        .filter(|(position, _)| is_whole(*position))
        .flat_map(|(position, _)| paths(&text[position..]))
        .collect()
}

/// Returns the paths at the beginning of `text`: several if it ends in a group.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return items(group).into_iter().flat_map(paths).collect();
    }
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let (name, rest) = text.split_at(text.find(|character| !is_part(character)).unwrap_or(text.len()));
    if name.is_empty() {
        return Vec::new();
    }
    let behind = rest.strip_prefix("::").map(paths).unwrap_or_default();
    if behind.is_empty() {
        return vec![vec![name.to_owned()]];
    }
    behind.into_iter().map(|path| [vec![name.to_owned()], path].concat()).collect()
}

/// Returns the items of a group, whose `{` has been read.
fn items(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (position, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(&group[start..position]);
                start = position + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

/// Returns the modules that `text` names by `crate::…`.
fn used_modules(text: &str) -> BTreeSet<String> {
    let paths = used_paths(text).into_iter().filter(|path| path[0] == "crate");
    paths.filter_map(|path| path.into_iter().nth(1)).collect()
}

/// Returns each module's path within the crate, and its text without comments and unit tests.
fn modules() -> BTreeMap<Vec<String>, String> {
    let source = root().join("src");
    let module = |path: PathBuf| {
        let relative = path.strip_prefix(&source).unwrap().with_extension("");
        let mut names: Vec<String> =
            relative.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
        names.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        (names, lines.collect::<Vec<_>>().join("\n"))
    };
    let all = source_files(&source).into_iter().map(module);
    all.filter(|(names, _)| !names.last().is_some_and(|last| last == "tests" || last == "fixture")).collect()
}

/// Returns the module that a path, written in `module`, leads to.
fn target(modules: &BTreeMap<Vec<String>, String>, module: &[String], path: &[String]) -> Vec<String> {
    let mut target = match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        "self" => [module, &path[1..]].concat(),
        _ => {
            let up = path.iter().take_while(|name| *name == "super").count();
            [&module[..module.len().saturating_sub(up)], &path[up..]].concat()
        }
    };
    while !target.is_empty() && !modules.contains_key(&target) {
        target.pop();
    }
    target
}

/// Returns a circle that leads from `room` back to it, if there is one.
fn circle<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, room: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![room]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in uses.get(way.last().unwrap()).into_iter().flatten() {
            let longer = [way.clone(), vec![next]].concat();
            if *next == room {
                return Some(longer);
            }
            if seen.insert(*next) {
                ways.push(longer);
            }
        }
    }
    None
}

/// Returns the circles among modules that lie side by side; `modules` is each one's path and text.
///
/// What is below a module belongs to it. A module that uses what is below it, and is used from there, is not a circle: the
/// types that its parts share are its own.
fn circles(modules: &BTreeMap<Vec<String>, String>) -> Vec<String> {
    let mut levels: BTreeMap<Vec<&str>, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let targets = modules.iter().flat_map(|(module, text)| {
        used_paths(text).into_iter().map(move |path| (module, target(modules, module, &path)))
    });
    let uses: Vec<(&Vec<String>, Vec<String>)> = targets.collect();
    for (module, target) in &uses {
        let shared = module.iter().zip(target).take_while(|(one, other)| one == other).count();
        if let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) {
            let level = module[..shared].iter().map(String::as_str).collect();
            levels.entry(level).or_default().entry(from).or_default().insert(to);
        }
    }
    let found = levels.iter().flat_map(|(level, uses)| {
        let circles = uses.keys().filter_map(|room| circle(uses, room));
        circles.map(|circle| format!("{}: {}", level.join("::"), circle.join(" -> ")))
    });
    found.collect()
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
fn modules_side_by_side_use_each_other_in_no_circle() {
    assert_eq!(circles(&modules()), [""; 0]);
}

#[test]
fn a_circle_is_found_wherever_it_goes_through() {
    let of = |modules: &[(&str, &str)]| {
        let path = |name: &str| name.split("::").map(str::to_owned).collect();
        circles(&modules.iter().map(|(name, text)| (path(name), (*text).to_owned())).collect())
    };
    let two =
        [("a", "mod b; mod c; use self::b::T;"), ("a::b", "use super::c::{self, U};"), ("a::c", "super::T")];
    assert_eq!(of(&two), [""; 0], "what the parts share is the parent's");
    let back = ("a::c", "use crate::a::{x::Y, b::d::V};");
    let below = ("a::b::d", "");
    assert_eq!(of(&[two[0], two[1], back, below]), ["a: b -> c -> b", "a: c -> b -> c"]);
    assert_eq!(of(&[two[0], ("a::b", ""), ("a::b::d", "use super::super::c::U;"), back]).len(), 2);
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
fn files_have_one_subject_and_at_most_400_lines() {
    for folder in ["src", "tests"] {
        for path in source_files(&root().join(folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines", path.display());
        }
    }
}

// A device, a pipe or a file of many GB may stand wherever a file is named.
#[test]
fn files_are_read_whole_by_the_functions_that_bound_them() {
    for path in source_files(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let is_unbounded = ["fs::read(", "fs::read_to_string("].iter().any(|call| code.contains(call));
        let is_test = path.ends_with("tests.rs");
        assert!(!is_unbounded || is_test, "{} reads a file without a bound", path.display());
    }
}

#[test]
fn the_parser_of_uses_sees_groups_and_paths() {
    let text =
        "use crate::{digest::{Digest, Hasher}, fs};\nlet x = crate::tree::FileTree::new(); mycrate::no";
    assert!(used_modules(text).iter().eq(["digest", "fs", "tree"]));
}
