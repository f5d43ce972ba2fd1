//! Private addresses spelt out by hand.

use tercel_ir::{Diagnostic, Span};

use super::Linter;
use crate::ast::*;

/// Whether a pattern names all three private ranges of IPv4.
fn names_private(pattern: &str) -> bool {
    let flat: String = pattern.chars().filter(|c| *c != '\\').collect();
    (flat.contains("10.") || flat.contains("10[.]"))
        && (flat.contains("192.168") || flat.contains("192[.]168"))
        && flat.contains("172")
}

impl Linter<'_> {
    pub(super) fn private_regex(&mut self, re: &str, at: Span) {
        if names_private(re) {
            self.hand_made(at);
        }
    }

    /// `ip matches "10.*" or ip matches "192.168.*"`.
    pub(super) fn private_globs(&mut self, list: &[Expr], at: Span) {
        let globs: Vec<String> = list
            .iter()
            .filter_map(|e| match &e.kind {
                ExprKind::Matches { pattern, .. } => match &pattern.kind {
                    ExprKind::String(t) => Some(t.cooked()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let has = |p: &str| globs.iter().any(|g| g.starts_with(p));
        if has("10.") && has("192.168.") && has("172.") {
            self.hand_made(at);
        }
    }

    fn hand_made(&mut self, at: Span) {
        self.report(
            Diagnostic::warning("sumo-hand-made-private-range", "private addresses are listed by hand")
                .at(at)
                .meaning("loopback (127.0.0.0/8), link-local (169.254.0.0/16), every IPv6 address and an absent one count as external")
                .help("use `isPrivateIP(field)`, behind `isValidIPv4(field)`; it covers IPv4 only"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::names_private;

    #[test]
    fn all_three_ranges() {
        assert!(names_private(r"^(10\.|172\.(1[6-9]|2[0-9]|3[0-1])\.|192\.168\.)"));
        assert!(!names_private(r"^10\."));
        assert!(!names_private(r"^192\.168\.172"));
    }
}
