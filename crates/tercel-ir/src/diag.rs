//! What tercel has to say about a text: one finding, one [`Diagnostic`].

use crate::span::Span;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// It runs, but probably not as the author meant.
    Warning,
    /// It cannot run, or can never do what it says.
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One finding. `message` says what is wrong, `meaning` what it does to the detection, `help` how to
/// mend it.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnostic {
    /// A stable kebab-case name, e.g. `unknown-column`; scripts filter on it.
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    /// Where, in the text being read; `None` for the text as a whole.
    pub span: Option<Span>,
    /// Short text under the underlined place.
    pub label: Option<String>,
    /// What it means for the detection.
    pub meaning: Option<String>,
    pub help: Option<String>,
    /// Other places that explain this one.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity,
            message: message.into(),
            span: None,
            label: None,
            meaning: None,
            help: None,
            related: Vec::new(),
        }
    }
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, message)
    }
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, message)
    }
    pub fn note(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Note, code, message)
    }
    #[must_use]
    pub fn at(mut self, span: Span) -> Diagnostic {
        self.span = Some(span);
        self
    }
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.label = Some(text.into());
        self
    }
    #[must_use]
    pub fn meaning(mut self, text: impl Into<String>) -> Diagnostic {
        self.meaning = Some(text.into());
        self
    }
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.related.push((span, text.into()));
        self
    }
}

/// Where findings are collected. A finding at the same place with the same code is kept once.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }
    pub fn push(&mut self, d: Diagnostic) {
        if !self.list.iter().any(|x| x.code == d.code && x.span == d.span && x.message == d.message) {
            self.list.push(d);
        }
    }
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        for d in other {
            self.push(d);
        }
    }
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    pub fn len(&self) -> usize {
        self.list.len()
    }
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }
    /// In order of place, errors first at the same place.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.span.map_or(0, |s| s.start), std::cmp::Reverse(d.severity)));
        self.list
    }
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// The candidate nearest to `name` (for "did you mean"), if any is near enough to be worth saying.
/// Equality but for case wins; then what is a slip away (`DeviceNetworkEvent` → `DeviceNetworkEvents`);
/// then a candidate that ends with the name (`AccountName` → `InitiatingProcessAccountName`, the shorter
/// the better); then what is merely similar.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let mut best: Option<(f64, &'a str)> = None;
    for c in candidates {
        let cl = c.to_lowercase();
        let similar = strsim::jaro_winkler(&lower, &cl);
        let score = if cl == lower {
            4.0
        } else if similar >= 0.96 {
            2.0 + similar
        } else if lower.len() >= 4 && cl.ends_with(&lower) {
            2.0 - (cl.len() - lower.len()) as f64 / 1000.0
        } else {
            similar
        };
        if score >= 0.86 && best.is_none_or(|(s, _)| score > s) {
            best = Some((score, c));
        }
    }
    best.map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggestions() {
        let tables = ["Event", "DeviceEvents", "DeviceNetworkEvents", "DeviceNetworkInfo"];
        assert_eq!(nearest("DeviceNetworkEvent", tables), Some("DeviceNetworkEvents"));
        assert_eq!(nearest("devicenetworkevents", tables), Some("DeviceNetworkEvents"));
        let columns = ["DeviceName", "InitiatingProcessAccountName", "InitiatingProcessAccountDomain"];
        assert_eq!(nearest("AccountName", columns), Some("InitiatingProcessAccountName"));
        assert_eq!(nearest("Zebra", columns), None);
    }
}
