//! Text values with wildcards, read as the specification says.

/// A text in which `*` and `?` may stand for other text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pattern {
    parts: Vec<Part>,
}

/// A part of a pattern. Literals are never empty and never neighbours, nor are two `Any`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// This text.
    Literal(String),
    /// `*`: any text, empty or not.
    Any,
    /// `?`: one character.
    One,
}

impl Pattern {
    /// Reads a value: a backslash before `*`, `?` or a backslash takes their meaning away, any other
    /// backslash is itself.
    pub fn parse(text: &str) -> Pattern {
        let mut p = Pattern::default();
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.peek() {
                    Some('*' | '?' | '\\') => literal.extend(chars.next()),
                    _ => literal.push('\\'),
                },
                '*' => {
                    p.push_literal(&mut literal);
                    p.push(Part::Any);
                }
                '?' => {
                    p.push_literal(&mut literal);
                    p.push(Part::One);
                }
                c => literal.push(c),
            }
        }
        p.push_literal(&mut literal);
        p
    }

    /// A pattern that is just this text.
    pub fn literal(text: &str) -> Pattern {
        let mut p = Pattern::default();
        p.push_literal(&mut text.to_string());
        p
    }

    fn push_literal(&mut self, literal: &mut String) {
        if !literal.is_empty() {
            let text = std::mem::take(literal);
            match self.parts.last_mut() {
                Some(Part::Literal(last)) => last.push_str(&text),
                _ => self.parts.push(Part::Literal(text)),
            }
        }
    }
    fn push(&mut self, part: Part) {
        if !(part == Part::Any && self.parts.last() == Some(&Part::Any)) {
            self.parts.push(part);
        }
    }

    /// Anything may come before.
    #[must_use]
    pub fn open_start(mut self) -> Pattern {
        if self.parts.first() != Some(&Part::Any) {
            self.parts.insert(0, Part::Any);
        }
        self
    }
    /// Anything may follow.
    #[must_use]
    pub fn open_end(mut self) -> Pattern {
        self.push(Part::Any);
        self
    }
    /// This pattern, then the other.
    pub fn append(&mut self, other: &Pattern) {
        for part in &other.parts {
            match part {
                Part::Literal(text) => self.push_literal(&mut text.clone()),
                part => self.push(part.clone()),
            }
        }
    }

    /// Its parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    /// The text, if there is no wildcard in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
    /// Whether it matches the empty text.
    pub fn matches_empty(&self) -> bool {
        self.parts.iter().all(|p| *p == Part::Any)
    }
    /// What it comes to.
    pub fn shape(&self) -> Shape<'_> {
        use Part::{Any, Literal};
        match self.parts.as_slice() {
            [] => Shape::Equals(""),
            [Literal(t)] => Shape::Equals(t),
            [Any] => Shape::Anything,
            [Any, Literal(t), Any] => Shape::Contains(t),
            [Literal(t), Any] => Shape::StartsWith(t),
            [Any, Literal(t)] => Shape::EndsWith(t),
            _ => Shape::Glob,
        }
    }
    /// As a glob in which `*`, `?` and backslashes that are themselves are escaped.
    pub fn glob(&self) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Any => out.push('*'),
                Part::One => out.push('?'),
                Part::Literal(text) => {
                    for c in text.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                }
            }
        }
        out
    }
}

/// The simple shapes that a pattern can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'p> {
    /// No wildcard.
    Equals(&'p str),
    /// A single `*`.
    Anything,
    /// `*text*`
    Contains(&'p str),
    /// `text*`
    StartsWith(&'p str),
    /// `*text`
    EndsWith(&'p str),
    /// Any other.
    Glob,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_specified() {
        for (text, literal) in [
            (r"C:\Windows\x.exe", r"C:\Windows\x.exe"),
            (r"a\\b", r"a\b"),
            (r"a\*b", "a*b"),
            (r"a\?b", "a?b"),
            (r"a\\\*b", r"a\*b"),
            (r"a\\\b", r"a\\b"),
            (r"a\\\\b", r"a\\b"),
            ("\\", "\\"),
            (r"\\", r"\"),
            ("", ""),
        ] {
            assert_eq!(Pattern::parse(text).as_literal(), Some(literal), "{text}");
        }
    }

    #[test]
    fn shapes() {
        for (text, shape) in [
            ("*", Shape::Anything),
            ("**", Shape::Anything),
            ("*a*", Shape::Contains("a")),
            ("a*", Shape::StartsWith("a")),
            (r"*\a", Shape::EndsWith(r"\a")),
            (r"\\*", Shape::StartsWith(r"\")),
            (r"*\*", Shape::EndsWith("*")),
            ("a*b", Shape::Glob),
            ("a?", Shape::Glob),
        ] {
            assert_eq!(Pattern::parse(text).shape(), shape, "{text}");
        }
        assert_eq!(Pattern::parse("a").open_start().open_end().shape(), Shape::Contains("a"));
        assert_eq!(Pattern::parse("").open_start().open_end().shape(), Shape::Anything);
    }

    #[test]
    fn globs_read_back() {
        for text in [r"a*\\b?c\*d", r"\\\\*", "x", r"C:\*\y"] {
            let p = Pattern::parse(text);
            assert_eq!(Pattern::parse(&p.glob()), p, "{text}");
        }
    }
}
