//! From bytes to a located tree.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::scalar::{self, Plain};
use super::{Document, Key, Node, Value};
use crate::text::{self, Finding, Location, Path};

/// The longest document that is read, in bytes.
pub const MAXIMUM_SIZE: usize = 1024 * 1024;

/// The deepest nesting that is read.
pub const MAXIMUM_DEPTH: usize = 64;

/// The tags of the core schema (YAML 1.2.2, chapter 10), and those of YAML 1.1 that are still met.
const TAGS: [&str; 10] = ["null", "bool", "int", "float", "str", "seq", "map", "binary", "timestamp", "set"];

/// Reads one YAML document; UTF-8, with or without a byte order mark, any line ends.
///
/// # Errors
/// The finding after which no tree can be built, such as a syntax error or an alias.
pub fn parse(bytes: &[u8]) -> Result<Document, Finding> {
    let text = text::decode(bytes, MAXIMUM_SIZE)?;
    let mut builder = Builder { parser: Parser::new_from_str(text), findings: Vec::new() };
    let root = builder.document()?;
    let mut findings = builder.findings;
    findings.sort_by_key(|finding| finding.location);
    Ok(Document { root, findings })
}

fn fatal(location: Location, message: impl Into<String>) -> Finding {
    Finding::error(location, Path::root(), message)
}

fn location(marker: Marker) -> Location {
    Location { line: marker.line().max(1), column: marker.col() + 1 }
}

struct Builder<'text> {
    parser: Parser<'text, StrInput<'text>>,
    findings: Vec<Finding>,
}

type Located<'text> = (Event<'text>, Span);

impl<'text> Builder<'text> {
    fn document(&mut self) -> Result<Node, Finding> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(fatal(location(span.start), "a second document starts here")
                        .with_hint("one file holds one document; remove the `---`"));
                }
                Event::DocumentStart(_) => {
                    let first = self.next()?;
                    root = Some(self.node(first, &Path::root())?);
                }
                Event::StreamEnd => {
                    let empty =
                        Node { value: Value::Null, location: Location::START, written: String::new() };
                    return Ok(root.unwrap_or(empty));
                }
                Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd => return Err(fatal(location(span.start), "this does not belong here")),
            }
        }
    }

    fn next(&mut self) -> Result<Located<'text>, Finding> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax(&error)),
            None => Err(fatal(Location::START, "the document ends too early")),
        }
    }

    fn node(&mut self, (event, span): Located<'text>, path: &Path) -> Result<Node, Finding> {
        let location = location(span.start);
        if path.steps().len() > MAXIMUM_DEPTH {
            return Err(fatal(location, format!("the nesting is deeper than {MAXIMUM_DEPTH}")));
        }
        refuse_references(&event, location)?;
        match event {
            Event::Scalar(text, style, ..) => Ok(self.scalar(&text, style, location, path)),
            Event::SequenceStart(..) => self.sequence(location, path),
            Event::MappingStart(..) => self.mapping(location, path),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::SequenceEnd
            | Event::MappingEnd => Err(fatal(location, "a value is missing here")),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, location: Location, path: &Path) -> Node {
        let written = text.to_owned();
        let string = || Value::String(text.to_owned());
        if style != ScalarStyle::Plain {
            return Node { value: string(), location, written };
        }
        let value = match scalar::resolve(text) {
            Plain::Clear(value) => value,
            Plain::Doubtful(reason, remedy) => {
                let message = format!("`{text}` {reason}");
                self.findings.push(Finding::warning(location, path.clone(), message).with_hint(remedy));
                string()
            }
            Plain::Refused(reason, remedy) => {
                let message = format!("`{text}` {reason}");
                let hint = format!("{remedy}: \"{text}\"");
                self.findings.push(Finding::error(location, path.clone(), message).with_hint(hint));
                string()
            }
        };
        Node { value, location, written }
    }

    fn sequence(&mut self, location: Location, path: &Path) -> Result<Node, Finding> {
        let mut items = Vec::new();
        loop {
            let next = self.next()?;
            if next.0 == Event::SequenceEnd {
                return Ok(Node { value: Value::Sequence(items), location, written: String::new() });
            }
            items.push(self.node(next, &path.index(items.len()))?);
        }
    }

    fn mapping(&mut self, location: Location, path: &Path) -> Result<Node, Finding> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<String, Location> = BTreeMap::new();
        loop {
            let next = self.next()?;
            if next.0 == Event::MappingEnd {
                return Ok(Node { value: Value::Mapping(entries), location, written: String::new() });
            }
            let key = self.key(next, path)?;
            let path = path.key(&key.name);
            if let Some(first) = seen.get(&key.name) {
                let message = format!("`{}` is already set in line {}", key.name, first.line);
                self.findings.push(
                    Finding::error(key.location, path.clone(), message).with_hint("remove one of the two"),
                );
            } else {
                seen.insert(key.name.clone(), key.location);
            }
            let next = self.next()?;
            let node = self.node(next, &path)?;
            entries.push((key, node));
        }
    }

    fn key(&mut self, (event, span): Located<'text>, path: &Path) -> Result<Key, Finding> {
        let location = location(span.start);
        refuse_references(&event, location)?;
        let Event::Scalar(name, style, ..) = event else {
            return Err(fatal(location, "a key is a single word, not a list or a mapping"));
        };
        let name = name.into_owned();
        if style == ScalarStyle::Plain {
            if name == "<<" {
                return Err(fatal(location, "merge keys (`<<`) are not supported")
                    .with_hint("write the values out where they belong"));
            }
            match scalar::resolve(&name) {
                Plain::Clear(Value::String(_)) | Plain::Doubtful(..) => {}
                Plain::Clear(_) | Plain::Refused(..) => {
                    let message = format!("the key `{name}` is not text");
                    let finding = Finding::error(location, path.key(&name), message);
                    self.findings.push(finding.with_hint(format!("quote it: \"{name}\"")));
                }
            }
        }
        Ok(Key { name, location })
    }
}

/// Refuses anchors, aliases and tags: what a value is stands where it is written.
fn refuse_references(event: &Event<'_>, location: Location) -> Result<(), Finding> {
    let (anchor, tag) = match event {
        Event::Alias(_) => {
            return Err(
                fatal(location, "aliases (`*name`) are not supported").with_hint("write the value out")
            );
        }
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => (*anchor, tag),
        Event::Nothing
        | Event::StreamStart
        | Event::StreamEnd
        | Event::DocumentStart(_)
        | Event::DocumentEnd
        | Event::SequenceEnd
        | Event::MappingEnd => return Ok(()),
    };
    if anchor != 0 {
        return Err(fatal(location, "anchors (`&name`) are not supported").with_hint("remove the anchor"));
    }
    let Some(tag) = tag else { return Ok(()) };
    // What is not a known tag may be a password that begins with `!`, and is not shown.
    let is_known = tag.is_yaml_core_schema() && TAGS.contains(&tag.suffix.as_str());
    let name = if is_known { format!("!!{}", tag.suffix) } else { "!name".to_owned() };
    Err(fatal(location, format!("tags (`{name}`) are not supported"))
        .with_hint("remove the tag; quote a value that is text"))
}

fn syntax(error: &ScanError) -> Finding {
    fatal(location(*error.marker()), format!("this is not YAML: {}", error.info()))
}
