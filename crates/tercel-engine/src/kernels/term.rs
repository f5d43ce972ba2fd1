//! Kusto's term search with literal needles.

use super::{Arg, Folded, Kernel, folded, text_first, text_test};
use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem::Finder;
use tercel_ir::Value;
use tercel_ir::function::{fold, has_term};

/// Which edges of a match must be edges of a term.
#[derive(Clone, Copy)]
struct Edges {
    left: bool,
    right: bool,
}

/// One needle, ready to be searched in ASCII text; other text goes through `has_term` itself.
struct Term {
    needle: String,
    finder: Finder<'static>,
    edges: Edges,
    /// The edges that matter for this needle: those where it has a letter or digit itself.
    check: Edges,
}

impl Term {
    fn new(needle: String, edges: Edges) -> Term {
        let check = Edges {
            left: edges.left && needle.chars().next().is_some_and(char::is_alphanumeric),
            right: edges.right && needle.chars().next_back().is_some_and(char::is_alphanumeric),
        };
        let finder = Finder::new(needle.as_bytes()).into_owned();
        Term { needle, finder, edges, check }
    }
    fn at(&self, haystack: &[u8], start: usize) -> bool {
        let end = start + self.needle.len();
        let left = !self.check.left || start == 0 || !haystack[start - 1].is_ascii_alphanumeric();
        let right = !self.check.right || haystack.get(end).is_none_or(|b| !b.is_ascii_alphanumeric());
        left && right
    }
    fn in_ascii(&self, haystack: &[u8]) -> bool {
        if self.needle.is_empty() {
            return true;
        }
        let mut from = 0;
        while let Some(i) = self.finder.find(&haystack[from..]) {
            if self.at(haystack, from + i) {
                return true;
            }
            from += i + 1;
        }
        false
    }
    fn in_text(&self, haystack: &str) -> bool {
        if haystack.is_ascii() {
            self.in_ascii(haystack.as_bytes())
        } else {
            has_term(haystack, &self.needle, self.edges.left, self.edges.right)
        }
    }
}

fn single(args: &[Arg], needle: &Value, left: bool, right: bool, cs: bool) -> Option<Box<dyn Kernel>> {
    let edges = Edges { left, right };
    if cs {
        let t = Term::new(needle.text().into_owned(), edges);
        return text_test(args, move |s, _| t.in_text(s));
    }
    let t = Term::new(fold(&needle.text()), edges);
    text_test(args, move |s, scratch| match folded(s, scratch) {
        Folded::Ascii(h) => t.in_ascii(h),
        Folded::Other(h) => t.in_text(&h),
    })
}

/// The needles of `has_any` and `has_all`: arrays are opened.
fn needles(rest: &[&Value]) -> Vec<String> {
    rest.iter()
        .flat_map(|v| match v {
            Value::Dynamic(serde_json::Value::Array(items)) => {
                items.iter().map(|i| fold(&Value::Dynamic(i.clone()).to_text())).collect::<Vec<_>>()
            }
            v => vec![fold(&v.to_text())],
        })
        .collect()
}

/// From this many needles on, one automaton beats one search a needle.
const AUTOMATON_FROM: usize = 4;

fn any(args: &[Arg], rest: &[&Value]) -> Option<Box<dyn Kernel>> {
    let both = Edges { left: true, right: true };
    let terms: Vec<Term> = needles(rest).into_iter().map(|n| Term::new(n, both)).collect();
    let always = terms.iter().any(|t| t.needle.is_empty());
    // Only ASCII needles can occur in ASCII text.
    let ascii: Vec<usize> = (0..terms.len()).filter(|i| terms[*i].needle.is_ascii()).collect();
    let automaton = if !always && ascii.len() >= AUTOMATON_FROM {
        AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(ascii.iter().map(|i| &terms[*i].needle))
            .ok()
    } else {
        None
    };
    text_test(args, move |s, scratch| {
        if always {
            return true;
        }
        match &automaton {
            Some(ac) if s.is_ascii() => ac
                .find_overlapping_iter(s)
                .any(|m| terms[ascii[m.pattern().as_usize()]].at(s.as_bytes(), m.start())),
            _ => match folded(s, scratch) {
                Folded::Ascii(h) => terms.iter().any(|t| t.in_ascii(h)),
                Folded::Other(h) => terms.iter().any(|t| t.in_text(&h)),
            },
        }
    })
}

fn all(args: &[Arg], rest: &[&Value]) -> Option<Box<dyn Kernel>> {
    let both = Edges { left: true, right: true };
    let terms: Vec<Term> = needles(rest).into_iter().map(|n| Term::new(n, both)).collect();
    text_test(args, move |s, scratch| match folded(s, scratch) {
        Folded::Ascii(h) => terms.iter().all(|t| t.in_ascii(h)),
        Folded::Other(h) => terms.iter().all(|t| t.in_text(&h)),
    })
}

pub(super) fn kernel(name: &str, args: &[Arg]) -> Option<Box<dyn Kernel>> {
    let rest = text_first(args)?;
    match (name, &rest[..]) {
        ("has", [n]) => single(args, n, true, true, false),
        ("has_cs", [n]) => single(args, n, true, true, true),
        ("hasprefix", [n]) => single(args, n, true, false, false),
        ("hasprefix_cs", [n]) => single(args, n, true, false, true),
        ("hassuffix", [n]) => single(args, n, false, true, false),
        ("hassuffix_cs", [n]) => single(args, n, false, true, true),
        ("has_any", _) => any(args, &rest),
        ("has_all", _) => all(args, &rest),
        _ => None,
    }
}
