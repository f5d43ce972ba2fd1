//! How a computed text is seen as a text of its column: base name, change of case, text added at the
//! ends. Such texts need no variable of their own.

use tercel_ir::function::basename;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum CaseMap {
    Lower,
    Upper,
}

impl CaseMap {
    /// The character's own mapping. `Σ` has two lower-case forms, chosen by its neighbours; callers that
    /// prove something must look at that.
    pub(crate) fn of(self, c: char, out: &mut Vec<char>) {
        match self {
            CaseMap::Lower => out.extend(c.to_lowercase()),
            CaseMap::Upper => out.extend(c.to_uppercase()),
        }
    }
    fn text(self, s: &str) -> String {
        match self {
            CaseMap::Lower => s.to_lowercase(),
            CaseMap::Upper => s.to_uppercase(),
        }
    }
}

/// Base name first (if it is one), then the case maps in order, then the ends.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Lens {
    pub base: bool,
    pub maps: Vec<CaseMap>,
    pub prefix: String,
    pub suffix: String,
}

impl Lens {
    pub(crate) fn is_identity(&self) -> bool {
        !self.base && self.maps.is_empty() && self.prefix.is_empty() && self.suffix.is_empty()
    }
    /// The text as seen.
    pub(crate) fn apply(&self, s: &str) -> String {
        let mut t = if self.base { basename(s).to_string() } else { s.to_string() };
        for m in &self.maps {
            t = m.text(&t);
        }
        if self.prefix.is_empty() && self.suffix.is_empty() {
            return t;
        }
        format!("{}{t}{}", self.prefix, self.suffix)
    }
    /// Case changed after everything so far.
    pub(crate) fn mapped(mut self, m: CaseMap) -> Lens {
        self.prefix = m.text(&self.prefix);
        self.suffix = m.text(&self.suffix);
        // The second of two equal maps does nothing.
        if self.maps.last() != Some(&m) {
            self.maps.push(m);
        }
        self
    }
    /// The base name of what was seen so far; `None` where the ends stand in the way.
    pub(crate) fn based(mut self) -> Option<Lens> {
        // Separators have no case, so base name and case maps commute.
        if !self.prefix.is_empty() || !self.suffix.is_empty() {
            return None;
        }
        self.base = true;
        Some(self)
    }
    pub(crate) fn wrapped(mut self, before: &str, after: &str) -> Lens {
        self.prefix.insert_str(0, before);
        self.suffix.push_str(after);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_functions_do() {
        let l = Lens::default().mapped(CaseMap::Lower).based().unwrap_or_default().wrapped("<", ">");
        assert_eq!(l.apply(r"C:\Tools\NC.EXE"), "<nc.exe>");
        assert!(l.clone().based().is_none());
        assert_eq!(l.mapped(CaseMap::Upper).apply("a/b"), "<B>");
        assert!(Lens::default().is_identity());
    }
}
