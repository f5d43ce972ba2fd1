//! The text of a rule file, with its lines.

use std::ops::Deref;
use std::sync::OnceLock;

/// A text shared by the detections that stand in it. It knows where its lines start, so that finding
/// the place of something costs the same wherever it stands.
#[derive(Debug, Default)]
pub struct RuleText {
    text: String,
    starts: OnceLock<Vec<u32>>,
}

impl RuleText {
    /// Of a text within the limit on rules.
    pub fn new(text: String) -> RuleText {
        RuleText { text, starts: OnceLock::new() }
    }

    fn starts(&self) -> &[u32] {
        self.starts.get_or_init(|| {
            let after = self.text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1);
            std::iter::once(0).chain(after).collect()
        })
    }

    /// Line and column (both from 1; columns count characters) of a byte offset.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.starts().partition_point(|s| *s as usize <= at);
        let start = self.starts()[line - 1] as usize;
        (line, self.text[start..at].chars().count() + 1)
    }

    /// Byte offset of the start of a line (from 1); of the end of the text beyond the last one.
    pub fn line_start(&self, line: usize) -> usize {
        self.starts().get(line.saturating_sub(1)).map_or(self.text.len(), |s| *s as usize)
    }
}

impl Deref for RuleText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let t = RuleText::new("ab\n\u{e9}c\n".into());
        assert_eq!(t.place(0), (1, 1));
        assert_eq!(t.place(2), (1, 3));
        assert_eq!(t.place(3), (2, 1));
        assert_eq!(t.place(4), (2, 1), "inside a character");
        assert_eq!(t.place(5), (2, 2));
        assert_eq!(t.place(99), (3, 1));
        assert_eq!((t.line_start(2), t.line_start(9)), (3, 7));
        assert_eq!(RuleText::default().place(0), (1, 1));
    }
}
