//! Texts that a regular expression cannot match without: its prefilter.

use regex_syntax::hir::{Class, Hir, HirKind};
use tercel_ir::function::fold;

/// More alternatives are no use as a filter.
const MAX_ALTERNATIVES: usize = 64;
/// Shorter texts are everywhere.
const MIN_LENGTH: usize = 2;

fn parse(pattern: &str) -> Option<Hir> {
    regex_syntax::Parser::new().parse(pattern).ok()
}

/// Whether the expression certainly does not match the empty text.
pub(crate) fn needs_text(pattern: &str) -> bool {
    parse(pattern).is_some_and(|h| h.properties().minimum_len().is_some_and(|n| n > 0))
}

/// Texts, folded and all ASCII, of which at least one is part of the folded form of every text that the
/// expression matches. `None` where nothing of use is known.
///
/// One exception: regular expressions that ignore case take `ſ` (U+017F) for `s`, and folding does not.
/// Whoever filters must let every text with that character pass.
pub(crate) fn required(pattern: &str) -> Option<Vec<String>> {
    let found = best(&parse(pattern)?, 0)?;
    (shortest(&found) >= MIN_LENGTH).then_some(found)
}

fn shortest(texts: &[String]) -> usize {
    texts.iter().map(String::len).min().unwrap_or(0)
}

/// The one ASCII character that all members of a class fold to.
fn folds_to(class: &Class) -> Option<char> {
    let one = |c: char| if c == 'ſ' { "s".to_string() } else { fold(c.encode_utf8(&mut [0; 4])) };
    let mut out: Option<String> = None;
    let mut add = |c: char| {
        let f = one(c);
        let same = out.as_ref().is_none_or(|o| *o == f);
        out = Some(f);
        same
    };
    match class {
        Class::Unicode(c) => {
            // Classes of the cases of one letter are small.
            if c.iter().map(|r| r.len()).sum::<usize>() > 6 {
                return None;
            }
            for r in c.iter() {
                for c in r.start()..=r.end() {
                    if !add(c) {
                        return None;
                    }
                }
            }
        }
        Class::Bytes(c) => {
            if !c.is_ascii() || c.iter().map(|r| r.len()).sum::<usize>() > 6 {
                return None;
            }
            for r in c.iter() {
                for b in r.start()..=r.end() {
                    if !add(b as char) {
                        return None;
                    }
                }
            }
        }
    }
    out?.chars().next().filter(char::is_ascii)
}

/// The best set for an expression: the one whose shortest text is longest.
fn best(hir: &Hir, depth: usize) -> Option<Vec<String>> {
    if depth > 200 {
        return None;
    }
    let mut runs = Runs::default();
    runs.take(hir, depth);
    runs.cut();
    runs.best
}

/// Literal text met on a walk through a concatenation.
#[derive(Default)]
struct Runs {
    run: String,
    best: Option<Vec<String>>,
}

impl Runs {
    fn offer(&mut self, set: Vec<String>) {
        let known = self.best.as_deref().map_or(0, shortest);
        if shortest(&set) > known && set.len() <= MAX_ALTERNATIVES {
            self.best = Some(set);
        }
    }

    fn cut(&mut self) {
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() {
            self.offer(vec![run]);
        }
    }

    fn take(&mut self, hir: &Hir, depth: usize) {
        match hir.kind() {
            HirKind::Literal(l) => {
                for b in l.0.iter() {
                    if b.is_ascii() {
                        self.run.push(b.to_ascii_lowercase() as char);
                    } else {
                        self.cut();
                    }
                }
            }
            HirKind::Class(c) => match folds_to(c) {
                Some(c) => self.run.push(c),
                None => self.cut(),
            },
            // What takes no room does not part its neighbours.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Capture(c) if depth < 200 => self.take(&c.sub, depth + 1),
            HirKind::Concat(items) if depth < 200 => items.iter().for_each(|i| self.take(i, depth + 1)),
            HirKind::Alternation(items) => {
                self.cut();
                let mut all = Vec::new();
                for i in items {
                    match best(i, depth + 1) {
                        Some(set) => all.extend(set),
                        None => return,
                    }
                }
                self.offer(all);
            }
            HirKind::Repetition(r) => {
                self.cut();
                if r.min > 0
                    && let Some(set) = best(&r.sub, depth + 1)
                {
                    self.offer(set);
                }
            }
            HirKind::Capture(_) | HirKind::Concat(_) => self.cut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required() {
        let r = |p: &str| required(p);
        let one = |s: &str| Some(vec![s.to_string()]);
        assert_eq!(r("(?is)^.*invoke-.*expression.*$"), one("expression"));
        assert_eq!(r("(?i)KeyLogger"), one("keylogger"));
        assert_eq!(r(r"\bfoo\b"), one("foo"));
        assert_eq!(r("(?:abc|de)f+x?"), Some(vec!["abc".into(), "de".into()]));
        assert_eq!(r("(abc|.*)"), None);
        assert_eq!(r("(?:abc)*"), None);
        assert_eq!(r("(?:abc)+"), one("abc"));
        assert_eq!(r("[0-9]{3}"), None);
        assert_eq!(r("aéb"), None);
        assert_eq!(r("abc(def)ghi"), one("abcdefghi"));
        assert_eq!(r("("), None);
        assert!(needs_text("a|b"));
        assert!(!needs_text("a*"));
        assert!(!needs_text("("));
    }
}
