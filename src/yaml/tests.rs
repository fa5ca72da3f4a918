//! Whole documents: their trees, and what is said about bad ones.

use super::*;

fn json(text: &str) -> serde_json::Value {
    let document = parse(text.as_bytes()).unwrap_or_else(|finding| panic!("{finding}"));
    assert_eq!(document.findings, [], "{text}");
    document.root.to_json()
}

/// Returns all that is said about a text, fatal or not, one finding a line.
fn said(bytes: &[u8]) -> String {
    let findings = match parse(bytes) {
        Ok(document) => document.findings,
        Err(finding) => vec![finding],
    };
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn types_and_the_order_of_keys_survive() {
    let text = "z: [1, 1.5, '1', true, ~]\na: {b: \"x\", '1': y}\nblock: |\n  one\n  two\nempty:\n";
    let expected = r#"{"z":[1,1.5,"1",true,null],"a":{"b":"x","1":"y"},"block":"one\ntwo\n","empty":null}"#;
    assert_eq!(json(text).to_string(), expected);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = "a:\n  - b: |\n      x\n      y\n    c: 1\n";
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(parse(windows.as_bytes()), parse(text.as_bytes()));
    assert_eq!(json(&windows), json(text));
}

#[test]
fn every_node_and_key_knows_its_place() {
    let document =
        parse("# comment\nnodes:\n  - name: a\n    \"입력\": [x, y]\n    last:\n".as_bytes()).unwrap();
    let node = Path::root().key("nodes").index(0);
    for (path, expected) in [
        (Path::root(), "2:1"),
        (node.clone(), "3:5"),
        (node.key("name"), "3:11"),
        (node.key("입력").index(1), "4:15"),
        // What is not there is located by what should hold it.
        (node.key("absent").key("deeper"), "3:5"),
    ] {
        assert_eq!(document.root.locate(&path).to_string(), expected, "{path}");
    }
    let (key, _) = document.root.get(&node).unwrap().entry("last").unwrap();
    assert_eq!(key.location.to_string(), "5:5");
}

#[test]
fn findings_that_leave_a_tree_are_collected() {
    let text = "a: 0644\nb: yes\na: 1\n80: x\nc: {d: .inf, d: 2}\n";
    let expected = "\
1:4: a: `0644` is octal to some readers and decimal to others
2:4: warning: b: `yes` is text in YAML 1.2 and a boolean in YAML 1.1
3:1: a: `a` is already set in line 1
4:1: 80: the key `80` is not text
5:8: c.d: `.inf` is not a finite number
5:14: c.d: `d` is already set in line 5";
    assert_eq!(said(text.as_bytes()), expected);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let table: &[(&[u8], &str)] = &[
        (b"a: &x 1\n", "1:4: anchors (`&name`) are not supported"),
        (b"a: 1\nb: *x\n", "2:4: this is not YAML: while parsing node, found unknown anchor"),
        (b"a: {<<: {b: 1}}\n", "1:5: merge keys (`<<`) are not supported"),
        (b"a: !!int 1\n", "1:4: tags (`!!int`) are not supported"),
        (b"a: 1\n---\nb: 2\n", "2:1: a second document starts here"),
        (b"a: 1\n[1]: 2\n", "2:1: a key is a single word, not a list or a mapping"),
        (b"a: 1\nb: \xff\n", "2:4: the file is not UTF-8 from here on"),
        (b"\xff\xfea\0", "1:1: the file is UTF-16"),
        (b"a: 1\nb: x\0y\n", "2:5: there is a control character here"),
        (b"a: [1\nb: 2\n", "2:2: this is not YAML: illegal placement of ':' indicator"),
        (b"a:\n\tb: 1\n", "2:2: this is not YAML: tabs disallowed within this context (block indentation)"),
        (deep.as_bytes(), "1:66: the nesting is deeper than 64"),
        (&[b'#'; MAXIMUM_SIZE + 1], "1:1: the file has more than 1048576 bytes"),
    ];
    for (bytes, expected) in table {
        assert_eq!(&said(bytes), expected);
    }
}

#[test]
fn an_empty_document_is_null() {
    for text in ["", "# nothing\n", "---\n", "\n\n"] {
        assert_eq!(json(text), serde_json::Value::Null, "{text:?}");
    }
}

#[test]
fn no_text_makes_the_reader_panic() {
    let tokens = [
        "a", ":", " ", "\n", "- ", "[", "]", "{", "}", ",", "\"", "'", "|", ">", "#", "&x", "*x", "!t", "?",
        "\t", "---", "...", "%YAML", "\r\n", "é", "\u{feff}", "<<", "0644", "@", "`", "\\", "\u{85}", "  ",
    ];
    let mut state: u64 = 42;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..10_000 {
        let length = next(24);
        let text: String = (0..length).map(|_| tokens[next(tokens.len())]).collect();
        let _either_is_fine = parse(text.as_bytes());
    }
}

#[test]
fn a_path_of_keys_leads_to_a_value_whatever_is_in_a_key() {
    let text = "configs:\n  registry.example:5000: { tls: { ca_file: /a, on: true } }\nlist: [a, 1, {}]\n";
    let root = parse(text.as_bytes()).unwrap().root;
    let host = "registry.example:5000";
    assert_eq!(root.text_at(&["configs", host, "tls", "ca_file"]).as_deref(), Some("/a"));
    assert!(root.is_true_at(&["configs", host, "tls", "on"]));
    assert_eq!(root.entries_at(&["configs"])[0].0.name, host);
    let texts: Vec<String> = root.items_at(&["list"]).iter().filter_map(Node::text).collect();
    assert_eq!(texts, ["a", "1"]);
    for keys in [&["configs", "registry"][..], &["list", "a"], &["configs", host, "tls", "ca_file", "x"]] {
        assert_eq!(root.at(keys), None);
        assert!(root.items_at(keys).is_empty() && root.entries_at(keys).is_empty());
    }
}
