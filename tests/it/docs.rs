//! What the documents say is true: their specs are valid, their links lead somewhere, their commands exist.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use seedkit::spec;
use serde_json::Value;

const README: &str = "README.md";
const KOREAN: &str = "README.ko.md";
const SPEC: &str = "docs/spec.md";
const JSON: &str = "docs/json.md";
const ALL: [&str; 10] = [
    README,
    KOREAN,
    SPEC,
    JSON,
    "docs/check.md",
    "docs/image-lists.md",
    "docs/node.md",
    "templates/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A document apart: what is fenced as code, and the lines that are not.
struct Document {
    name: &'static str,
    /// Each with its language.
    blocks: Vec<(String, String)>,
    prose: Vec<String>,
}

impl Document {
    fn read(name: &'static str) -> Self {
        let mut document = Self { name, blocks: Vec::new(), prose: Vec::new() };
        let mut is_fenced = false;
        for line in fs::read_to_string(path(name)).unwrap().lines() {
            match line.strip_prefix("```") {
                Some(language) => {
                    is_fenced = !is_fenced;
                    if is_fenced {
                        document.blocks.push((language.to_owned(), String::new()));
                    }
                }
                None if is_fenced => document.blocks.last_mut().unwrap().1 += &format!("{line}\n"),
                None => document.prose.push(line.to_owned()),
            }
        }
        assert!(!is_fenced, "{name} ends within a code block");
        document
    }

    fn blocks_in(&self, language: &str) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter(move |(name, _)| name == language).map(|(_, text)| text.as_str())
    }

    fn headings(&self) -> impl Iterator<Item = &str> {
        self.prose.iter().map(String::as_str).filter(|line| line.starts_with('#'))
    }

    /// Returns the anchors of the headings, as GitHub makes them.
    fn anchors(&self) -> Vec<String> {
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let anchor = |heading: &str| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            text.chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        self.headings().map(anchor).collect()
    }

    /// Returns the targets of the links that are not to the web.
    fn links(&self) -> Vec<String> {
        let targets = self.prose.iter().flat_map(|line| line.split("](").skip(1));
        let targets = targets.filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
    }

    /// Returns the commands of seedkit that are named in code.
    fn commands(&self) -> Vec<String> {
        let shell = self.blocks_in("sh").chain(self.blocks_in("console")).flat_map(str::lines);
        let inline = self.prose.iter().flat_map(|line| line.split('`').skip(1).step_by(2));
        let named = shell.chain(inline).filter_map(|code| {
            let code = code.trim_start_matches("$ ");
            let command = code.strip_prefix("seedkit ")?.split(' ').next()?;
            command.starts_with(|first: char| first.is_ascii_lowercase()).then(|| command.to_owned())
        });
        named.collect()
    }
}

fn all() -> Vec<Document> {
    ALL.map(Document::read).into()
}

/// Returns what is wrong with a spec, warnings included.
fn findings(text: &str) -> Vec<String> {
    let findings = match spec::parse(text.as_bytes(), Path::new("")) {
        Ok((_, findings)) | Err(findings) => findings,
    };
    findings.iter().map(ToString::to_string).collect()
}

/// Returns a seedkit that finds nothing of its own in the environment.
fn seedkit(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedkit"));
    let output = command.env_clear().env("NO_COLOR", "1").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seedkit {arguments:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_spec_in_the_documents_is_valid() {
    let mut specs = 0;
    for name in [README, KOREAN, SPEC] {
        let document = Document::read(name);
        for text in document.blocks_in("yaml").filter(|text| text.starts_with("apiVersion:")) {
            assert_eq!(findings(text), [""; 0], "{name}:\n{text}");
            specs += 1;
        }
    }
    assert_eq!(specs, 4);
}

/// Returns what a table of mistakes says of a spec alone, without what it is preceded or followed by: the finding.
fn documented_findings(document: &Document) -> Vec<&str> {
    let rows = document.prose.split(|line| !line.starts_with('|'));
    let tables = rows.filter(|rows| rows.first().is_some_and(|head| head.contains("| what seedkit says |")));
    let rows = tables.flat_map(|rows| &rows[2..]).filter(|row| !row.contains("(from `seedkit "));
    let messages = rows.map(|row| row.trim_end_matches('|').rsplit(" | ").next().unwrap().trim());
    messages.map(|text| text.trim_start_matches("warning: ").split("; ").next().unwrap()).collect()
}

#[test]
fn what_the_documents_say_of_a_mistake_is_what_a_spec_with_it_is_told() {
    let specs = fs::read_dir(path("fixtures/specs")).unwrap().map(|entry| entry.unwrap().path());
    let golden = specs.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let told: String = golden.map(|path| fs::read_to_string(path).unwrap()).collect();
    let document = Document::read(SPEC);
    let documented = documented_findings(&document);
    assert!(documented.len() > 60, "{}", documented.len());
    let invented: Vec<&&str> = documented.iter().filter(|finding| !told.contains(**finding)).collect();
    assert!(invented.is_empty(), "no spec of fixtures/specs is told this: {invented:#?}");
}

/// Returns the keys at the beginning of lines, each with all that belongs to it.
fn sections(text: &str) -> Vec<(&str, String)> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            sections.push((line.split(':').next().unwrap(), String::new()));
        }
        sections.last_mut().unwrap().1 += &format!("{line}\n");
    }
    sections
}

#[test]
fn every_part_of_a_spec_in_the_documents_fits_into_a_whole_one() {
    let small = fs::read_to_string(path("fixtures/specs/small.yaml")).unwrap();
    let small = small.split_once("apiVersion:").map(|(_, rest)| format!("apiVersion:{rest}")).unwrap();
    let document = Document::read(SPEC);
    let parts: Vec<&str> =
        document.blocks_in("yaml").filter(|text| !text.starts_with("apiVersion:")).collect();
    for part in &parts {
        let own = sections(part);
        let others = sections(&small).into_iter().filter(|(key, _)| own.iter().all(|(name, _)| name != key));
        let whole: String = others.map(|(_, text)| text).collect::<String>() + part;
        assert_eq!(findings(&whole), [""; 0], "\n{whole}");
    }
    assert_eq!(parts.len(), 12);
}

#[test]
fn every_key_of_the_schema_is_in_the_reference() {
    fn keys(schema: &Value) -> Vec<String> {
        let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let defined = schema.get("$defs").and_then(Value::as_object).into_iter().flatten();
        own.map(|(key, _)| key.clone()).chain(defined.flat_map(|(_, definition)| keys(definition))).collect()
    }
    let reference = Document::read(SPEC).prose.join("\n");
    let is_missing =
        |key: &String| !["`", "."].iter().any(|before| reference.contains(&format!("{before}{key}`")));
    let schema: Value = serde_json::from_str(&spec::schema::json()).unwrap();
    let missing: Vec<String> = keys(&schema).into_iter().filter(is_missing).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn both_readmes_count_the_rows_of_check() {
    let rows = seedkit::check::rows().len();
    assert!(Document::read(README).prose.join("\n").contains(&format!("{rows} known failures")), "{rows}");
    assert!(Document::read(KOREAN).prose.join("\n").contains(&format!("알려진 실패 {rows}가지")), "{rows}");
}

#[test]
fn both_readmes_have_the_same_headings_and_the_same_code() {
    let [english, korean] = [README, KOREAN].map(Document::read);
    let levels = |document: &Document| -> Vec<usize> {
        document.headings().map(|line| line.split(' ').next().unwrap().len()).collect()
    };
    assert_eq!(levels(&english), levels(&korean));
    assert_eq!(english.blocks.len(), korean.blocks.len());
    for (one, other) in english.blocks.iter().zip(&korean.blocks) {
        assert_eq!(one, other);
    }
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let mut lost = Vec::new();
    for document in all() {
        for link in document.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = path(document.name).parent().unwrap().join(file);
            // Only links within a document name headings.
            let is_there = if file.is_empty() {
                document.anchors().iter().any(|known| known == anchor)
            } else {
                target.exists() && anchor.is_empty()
            };
            if !is_there {
                lost.push(format!("{}: {link}", document.name));
            }
        }
    }
    assert_eq!(lost, [""; 0]);
}

#[test]
fn every_command_that_the_documents_name_exists() {
    let help = seedkit(&["--help"]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let known: Vec<&str> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for document in all() {
        let unknown: Vec<String> =
            document.commands().into_iter().filter(|command| !known.contains(&command.as_str())).collect();
        assert_eq!(unknown, [""; 0], "{}", document.name);
    }
    let described = Document::read(README);
    let is_missing =
        |command: &&&str| !described.headings().any(|heading| heading.starts_with(&format!("### {command}")));
    assert_eq!(known.iter().filter(is_missing).collect::<Vec<_>>(), [&"help"]);
}

/// Returns the keys of an object, or of the objects in a list, and theirs; digests and paths are no keys.
fn shape(value: &Value) -> Vec<String> {
    let Some(object) = value.as_object() else { return Vec::new() };
    let inner = |key: &String, value: &Value| -> Vec<String> {
        match (key.as_str(), value) {
            // By path: which files there are is not the shape.
            ("artifacts" | "subjects", _) | (_, Value::Array(_)) => Vec::new(),
            _ => shape(value).into_iter().map(|below| format!("{key}.{below}")).collect(),
        }
    };
    object.iter().flat_map(|(key, value)| [vec![key.clone()], inner(key, value)].concat()).collect()
}

/// The lab of the fixtures, and a folder for all that is made of it.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs a command and returns its JSON result.
    fn run(&self, arguments: &[&str]) -> Value {
        let spec = path("fixtures/lab/seedkit.yaml").display().to_string();
        let (secrets, store) = (self.path("secrets"), self.path("store"));
        let global = ["--json", "--file", &spec, "--secrets", &secrets, "--cache-dir", &store];
        serde_json::from_str(&seedkit(&[&global[..], arguments].concat())).unwrap()
    }
}

/// Returns the result that is printed when a kit is served.
fn serve(kit: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seedkit"));
    command.env_clear().args(["--json", "--quiet", "serve", kit, "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut results = serde_json::Deserializer::from_reader(child.stdout.take().unwrap()).into_iter();
    let result = results.next();
    child.kill().and_then(|()| child.wait()).unwrap();
    result.unwrap().unwrap()
}

#[test]
fn every_json_result_has_the_shape_that_is_documented() {
    let lab = Lab::new();
    let bundle = crate::inspect::bundle::write_bundle(lab.folder.path());
    let (start, layout, output, kit) =
        (lab.path("start"), lab.path("layout"), lab.path("output"), lab.path("kit"));
    let registry = crate::support::registry::Registry::start();
    let results = [
        lab.run(&["init", &start]),
        lab.run(&["lock", "--check"]),
        lab.run(&["mirror", "--output", &layout]),
        lab.run(&["ca"]),
        lab.run(&["pack", "images", "--output", &output]),
        lab.run(&["iso", "--node", "k3s-worker2", "--output", &output]),
        lab.run(&["build", "--output", &kit]),
        lab.run(&["check", &kit]),
        lab.run(&["verify", &kit]),
        lab.run(&["inspect", &lab.path(&bundle)]),
        lab.run(&["inspect", &lab.path("kit/images")]),
        lab.run(&["inspect", &lab.path("kit/seeds/seed-k3s-worker2.iso")]),
        lab.run(&["inspect", &lab.path("kit/registry/registry.crt")]),
        lab.run(&["inspect", &path("fixtures/lab/seedkit.lock").display().to_string()]),
        lab.run(&["inspect", &kit]),
        lab.run(&["diff", &kit, &kit]),
        serve(&kit),
        lab.run(&["push", &kit, registry.authority(), "--plain-http", "--keep-registry"]),
    ];
    let document = Document::read(JSON);
    let documented: Vec<Value> =
        document.blocks_in("json").map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(documented.len(), results.len());
    for (documented, result) in documented.iter().zip(&results) {
        assert_eq!(documented["command"], result["command"]);
        assert_eq!(shape(documented), shape(result), "{}", result["command"]);
        // The counts of rows in the example of a build are those of the lab.
        assert_eq!(documented["check"], result["check"]);
    }
}

#[test]
fn the_kit_of_the_lab_is_as_documented() {
    let lab = Lab::new();
    let kit = lab.path("kit");
    let built = lab.run(&["build", "--output", &kit]);
    let listing = Document::read(README).blocks_in("text").next().unwrap().to_owned();
    let listed: Vec<&str> = listing
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    let artifacts = built["artifacts"].as_object().unwrap();
    let expected: Vec<&str> = artifacts.keys().map(String::as_str).chain(["SHA256SUMS"]).collect();
    assert_eq!(listed, expected, "correct README.md and README.ko.md");

    let bill: Value = serde_json::from_slice(&fs::read(lab.path("kit/kit.json")).unwrap()).unwrap();
    let prose = Document::read(JSON).prose.join("\n");
    let (_, table) = prose.split_once("## kit.json").unwrap();
    let is_missing = |key: &&String| !table.contains(&format!("`{key}`"));
    assert_eq!(bill.as_object().unwrap().keys().filter(is_missing).collect::<Vec<_>>(), [""; 0]);
}
