//! Scripts for sh, taken apart into their simple commands.
//!
//! It knows quotes, comments, here-documents, redirections, `$(…)` and what joins commands; it does not run, expand or
//! judge anything, and takes what it does not know for a word. That is enough to see what a script calls.

/// One simple command of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Statement {
    /// The line on which it ends, from 1.
    pub(in crate::check) line: usize,
    /// `name=value` before the command, or alone.
    pub(in crate::check) assignments: Vec<(String, String)>,
    /// The command and its arguments, without quotes; variables are left as they are.
    pub(in crate::check) words: Vec<String>,
    /// What joins it with the next one.
    pub(in crate::check) joint: Joint,
    /// Whether it is what `if`, `while`, `until`, `elif` or `!` look at.
    pub(in crate::check) is_condition: bool,
    /// Whether it is within `$(…)`.
    pub(in crate::check) is_captured: bool,
}

/// What joins a command with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::check) enum Joint {
    /// The end of a line, `;`, `&`, or a bracket.
    #[default]
    End,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
}

/// Words that begin a command without being one.
const KEYWORDS: [&str; 12] =
    ["if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "fi", "done"];
/// Those after which a failure is an answer.
const CONDITIONS: [&str; 5] = ["if", "elif", "while", "until", "!"];

impl Statement {
    /// Returns the name of the program, without its folder; empty for an assignment.
    pub(in crate::check) fn program(&self) -> &str {
        self.words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word))
    }

    /// Returns the program and what follows without what only wraps it: `env`, `sudo`, `timeout 30`, `nice`, `exec`.
    pub(in crate::check) fn unwrapped(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        while let Some(first) = words.first() {
            let name = first.rsplit('/').next().unwrap_or(first);
            let is_wrapper =
                ["env", "sudo", "timeout", "nice", "exec", "nohup", "command", "run", "in-target"]
                    .contains(&name);
            let is_option = |word: &&&str| {
                word.starts_with('-') || word.contains('=') || word.starts_with(|c: char| c.is_ascii_digit())
            };
            if !is_wrapper {
                words[0] = name;
                break;
            }
            let skipped = 1 + words[1..].iter().take_while(is_option).count();
            words.drain(..skipped);
        }
        words
    }
}

/// Returns the simple commands of a script, in the order in which they end.
pub(in crate::check) fn statements(script: &str) -> Vec<Statement> {
    let mut reader = Reader { text: script.chars().collect(), ..Reader::default() };
    reader.read();
    reader.found
}

#[derive(Default)]
struct Reader {
    text: Vec<char>,
    position: usize,
    line: usize,
    word: Option<String>,
    /// Whether any part of the word was quoted: then it is neither keyword nor number.
    words: Vec<String>,
    /// The next word is where a redirection goes, not an argument.
    is_target: bool,
    /// Ends of here-documents that begin on the next line.
    documents: Vec<String>,
    is_captured: bool,
    found: Vec<Statement>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.position + ahead).copied()
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    fn read(&mut self) {
        while let Some(character) = self.peek(0) {
            self.position += 1;
            match character {
                '\\' => self.escape(),
                '\'' | '"' => self.quoted(character),
                '$' | '`' => self.expansion(character),
                '#' if self.word.is_none() => {
                    while self.peek(0).is_some_and(|next| next != '\n') {
                        self.position += 1;
                    }
                }
                '\n' => {
                    self.end(Joint::End);
                    self.line += 1;
                    self.skip_documents();
                }
                ' ' | '\t' => self.end_word(),
                ';' | '(' | ')' => self.end(Joint::End),
                '&' | '|' => self.joint(character),
                '<' | '>' => self.redirection(character),
                other => self.push(other),
            }
        }
        self.end(Joint::End);
    }

    fn escape(&mut self) {
        match self.peek(0) {
            Some('\n') => self.line += 1,
            Some(next) => self.push(next),
            None => {}
        }
        self.position += 1;
    }

    /// Reads up to the quote that ends the text; within double ones, other marks keep their meaning.
    fn quoted(&mut self, end: char) {
        let is_double = end == '"';
        self.word.get_or_insert_default();
        while let Some(character) = self.peek(0) {
            self.position += 1;
            match character {
                _ if character == end => return,
                '\\' if is_double => self.escape(),
                '$' | '`' if is_double => self.expansion(character),
                other => {
                    self.line += usize::from(other == '\n');
                    self.push(other);
                }
            }
        }
    }

    /// Reads `$name`, `${…}` or `$(…)`; the last one's commands are found, too.
    fn expansion(&mut self, first: char) {
        self.push(first);
        let (open, close) = match (first, self.peek(0)) {
            ('`', _) => (None, '`'),
            (_, Some('(')) => (Some('('), ')'),
            (_, Some('{')) => (Some('{'), '}'),
            _ => return,
        };
        let start = self.position + usize::from(open.is_some());
        let end = self.matching(start, open, close);
        let inner: String = self.text[start.min(end)..end].iter().collect();
        let is_arithmetic = inner.starts_with('(');
        if open != Some('{') && !is_arithmetic {
            let mut reader =
                Self { text: inner.chars().collect(), is_captured: true, line: self.line, ..Self::default() };
            reader.read();
            self.found.extend(reader.found);
        }
        self.line += inner.matches('\n').count();
        let raw: String = self.text[self.position..(end + 1).min(self.text.len())].iter().collect();
        self.word.get_or_insert_default().push_str(&raw);
        self.position = (end + 1).min(self.text.len());
    }

    /// Returns where the bracket that was opened before `start` is closed.
    fn matching(&self, start: usize, open: Option<char>, close: char) -> usize {
        let mut depth = 0_usize;
        let mut quote = None;
        let mut position = start;
        while let Some(character) = self.text.get(position).copied() {
            match (quote, character) {
                (Some('\''), '\'') | (Some('"'), '"') => quote = None,
                (Some('\''), _) => {}
                (_, '\\') => position += 1,
                (None, '\'' | '"') => quote = Some(character),
                (None, other) if other == close && depth == 0 => return position,
                (None, other) if other == close => depth -= 1,
                (None, other) if Some(other) == open => depth += 1,
                _ => {}
            }
            position += 1;
        }
        self.text.len()
    }

    fn joint(&mut self, first: char) {
        let is_double = self.peek(0) == Some(first);
        // `>&2` and `&>file` are redirections.
        if first == '&' && self.is_target {
            return;
        }
        self.position += usize::from(is_double);
        match (first, is_double) {
            ('&', true) => self.end(Joint::And),
            ('|', true) => self.end(Joint::Or),
            ('|', false) => self.end(Joint::Pipe),
            _ => self.end(Joint::End),
        }
    }

    fn redirection(&mut self, first: char) {
        if self.word.as_ref().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        if first == '<' && self.peek(0) == Some('<') && self.peek(1) != Some('<') {
            self.position += 1;
            let rest: String = self.text[self.position..].iter().take_while(|c| **c != '\n').collect();
            let name = rest.trim_start_matches(['-', ' ', '\'', '"', '\\']);
            let length = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            self.documents.push(name[..length].to_owned());
        } else if self.peek(0) == Some(first) {
            self.position += 1;
        }
        self.is_target = true;
    }

    fn skip_documents(&mut self) {
        for end in std::mem::take(&mut self.documents) {
            while self.position < self.text.len() {
                let line: String = self.text[self.position..].iter().take_while(|c| **c != '\n').collect();
                self.position += line.chars().count() + 1;
                self.line += 1;
                if line.trim_start_matches('\t') == end {
                    break;
                }
            }
        }
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if !std::mem::take(&mut self.is_target) {
            self.words.push(word);
        }
    }

    fn end(&mut self, joint: Joint) {
        self.end_word();
        self.is_target = false;
        let mut words = std::mem::take(&mut self.words);
        let mut is_condition = false;
        while words.first().is_some_and(|word| KEYWORDS.contains(&word.as_str())) {
            is_condition |= CONDITIONS.contains(&words.remove(0).as_str());
        }
        let mut assignments = Vec::new();
        while let Some((name, value)) = words.first().and_then(|word| word.split_once('=')) {
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && !name.starts_with(|first: char| first.is_ascii_digit());
            if !is_name {
                break;
            }
            assignments.push((name.to_owned(), value.to_owned()));
            words.remove(0);
        }
        if words.is_empty() && assignments.is_empty() {
            // `cmd || (` or a line end after `||`: the joint stays with the command.
            return;
        }
        let (line, is_captured) = (self.line + 1, self.is_captured);
        self.found.push(Statement { line, assignments, words, joint, is_condition, is_captured });
    }
}

#[cfg(test)]
mod tests {
    use super::{Joint, statements};

    fn shown(script: &str) -> Vec<String> {
        let joint = |joint| match joint {
            Joint::End => "",
            Joint::And => " &&",
            Joint::Or => " ||",
            Joint::Pipe => " |",
        };
        let one = |statement: super::Statement| {
            let names = statement.assignments.iter().map(|(name, value)| format!("{name}={value}"));
            let words: Vec<String> = names.chain(statement.words).collect();
            format!("{}:{}{}", statement.line, words.join(","), joint(statement.joint))
        };
        statements(script).into_iter().map(one).collect()
    }

    #[test]
    fn a_script_is_taken_apart_into_its_commands() {
        for (script, expected) in [
            ("a b  'c d'\n# no\ne \"f $g\" # h", vec!["1:a,b,c d", "3:e,f $g"]),
            ("a || true; b && c | d", vec!["1:a ||", "1:true", "1:b &&", "1:c |", "1:d"]),
            ("if a; then b; fi", vec!["1:a", "1:b"]),
            (
                "x=$(k3s ctr | grep y) || x=''",
                vec!["1:k3s,ctr |", "1:grep,y", "1:x=$(k3s ctr | grep y) ||", "1:x="],
            ),
            ("a >/dev/null 2>&1 b", vec!["1:a,b"]),
            ("cat <<END\nrm -rf /\nEND\nb", vec!["1:cat", "4:b"]),
            ("a \\\n  b\nc", vec!["2:a,b", "3:c"]),
            ("V=1 W=2 cmd x=y", vec!["1:V=1,W=2,cmd,x=y"]),
            (
                "[ \"$(date +%s)\" -ge $((a + b)) ] || die",
                vec!["1:date,+%s", "1:[,$(date +%s),-ge,$((a + b)),] ||", "1:die"],
            ),
        ] {
            assert_eq!(shown(script), expected, "{script}");
        }
    }

    #[test]
    fn what_only_wraps_a_command_is_looked_through() {
        let words = |script: &str| statements(script)[0].unwrapped().join(" ");
        assert_eq!(
            words("sudo timeout 30 /usr/local/bin/k3s ctr images import x"),
            "k3s ctr images import x"
        );
        assert_eq!(words("env A=b /bin/systemctl start x"), "systemctl start x");
    }
}
