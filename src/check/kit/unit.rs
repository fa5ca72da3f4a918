//! A unit of systemd, as systemd reads it: sections, settings, continued lines, comments (systemd.syntax(7)).

use std::collections::BTreeMap;

/// The settings of a unit, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Unit {
    sections: BTreeMap<String, Vec<(String, String)>>,
}

impl Unit {
    /// Reads a unit; what is not a setting is passed over.
    pub(in crate::check) fn parse(text: &str) -> Self {
        let mut unit = Self::default();
        let mut section = String::new();
        let mut pending = String::new();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) || (line.is_empty() && pending.is_empty()) {
                continue;
            }
            match line.strip_suffix('\\') {
                Some(part) => {
                    pending += part;
                    pending.push(' ');
                    continue;
                }
                None => pending += line,
            }
            let line = std::mem::take(&mut pending);
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.to_owned();
                unit.sections.entry(section.clone()).or_default();
            } else if let Some((key, value)) = line.split_once('=') {
                let setting = (key.trim().to_owned(), value.trim().to_owned());
                unit.sections.entry(section.clone()).or_default().push(setting);
            }
        }
        unit
    }

    /// Returns whether there is such a section.
    pub(in crate::check) fn has_section(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// Returns what all settings of one name say; an empty one forgets those before it.
    pub(in crate::check) fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (name, value) in self.sections.get(section).into_iter().flatten() {
            match (name == key, value.is_empty()) {
                (true, true) => values.clear(),
                (true, false) => values.push(value.as_str()),
                (false, _) => {}
            }
        }
        values
    }

    /// Returns what the last setting of a name says.
    pub(in crate::check) fn last(&self, section: &str, key: &str) -> Option<&str> {
        self.all(section, key).pop()
    }

    /// Returns the words of all settings of one name.
    pub(in crate::check) fn words(&self, section: &str, key: &str) -> Vec<&str> {
        self.all(section, key).iter().flat_map(|value| value.split_whitespace()).collect()
    }

    /// Returns every command that the unit runs, with the name of its setting, without the prefixes of systemd.
    pub(in crate::check) fn commands(&self) -> Vec<(&str, &str)> {
        let settings = self.sections.get("Service").into_iter().flatten();
        settings
            .filter(|(key, value)| key.starts_with("Exec") && !value.is_empty())
            .map(|(key, value)| (key.as_str(), value.trim_start_matches(['-', '@', '+', '!', ':', '|'])))
            .collect()
    }

    /// Returns whether it is started when its command has ended.
    pub(in crate::check) fn is_oneshot(&self) -> bool {
        self.last("Service", "Type") == Some("oneshot")
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn settings_are_read_as_systemd_reads_them() {
        let text = "[Unit]\nAfter=a.service b.service\nAfter=\nAfter = c.service \\\n  # not this\n  d.service\n\
                    [Service]\nType=oneshot\nExecStart=-/bin/x y\nExecStartPre=@/bin/z\n[Install]\n";
        let unit = Unit::parse(text);
        assert_eq!(unit.words("Unit", "After"), ["c.service", "d.service"]);
        assert_eq!(unit.commands(), [("ExecStart", "/bin/x y"), ("ExecStartPre", "/bin/z")]);
        assert!(unit.is_oneshot() && unit.has_section("Install") && !unit.has_section("Timer"));
    }
}
