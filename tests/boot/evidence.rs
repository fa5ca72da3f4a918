//! What a guest looks like from inside: the answers of `probe.py`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Everything that one look at a guest has shown.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Evidence {
    answers: BTreeMap<String, Answer>,
    /// Each file that a boot must leave alone: path, and mode, owner, time and digest.
    pub(crate) files: BTreeMap<String, String>,
}

/// How one question was answered.
#[derive(Debug, Clone, Deserialize)]
struct Answer {
    code: i32,
    output: String,
}

impl Evidence {
    /// Reads what the probe printed; `None` if it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns what a question's command printed, without white space around.
    ///
    /// # Panics
    /// If the question was not asked, or its command failed.
    pub(crate) fn text(&self, question: &str) -> &str {
        let answer = self.answer(question);
        assert_eq!(answer.code, 0, "the guest's `{question}` failed: {}", answer.output);
        answer.output.trim()
    }

    /// Returns what a command printed, whether it failed or not.
    pub(crate) fn output(&self, question: &str) -> &str {
        self.answer(question).output.trim()
    }

    /// Returns what a command printed as JSON.
    ///
    /// # Panics
    /// As [`Self::text`], and if it is not JSON on one line.
    pub(crate) fn json(&self, question: &str) -> Value {
        let text = self.text(question);
        assert_eq!(text.lines().count(), 1, "{question}: {text}");
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{question}: {error}: {text}"))
    }

    /// Returns the lines of an answer, sorted.
    pub(crate) fn lines(&self, question: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = self.text(question).lines().collect();
        lines.sort_unstable();
        lines
    }

    fn answer(&self, question: &str) -> &Answer {
        self.answers.get(question).unwrap_or_else(|| panic!("the probe does not ask for `{question}`"))
    }
}
