//! Tests of a text that is put together from several: where in which part what is looked for can lie.
//!
//! `strcat(a, "\\", b) endswith "x\y"` is `b endswith "x\y"`, or `a endswith "x"` and `b == "y"`. Folding works
//! character by character, so this holds with and without regard to case, and for all values.

use super::{Builder, literal};
use crate::Unknown;
use crate::formula::{Arena, Node};
use std::collections::HashMap;
use tercel_ir::function::fold;
use tercel_ir::{Expr, ExprKind, Type};

/// Places beyond which the text is left whole.
const MANY: usize = 3_000;

/// The parts of a concatenation of more than one text that is not known.
pub(super) fn parts(e: &Expr) -> Option<&[Expr]> {
    let ExprKind::Call(f, args) = &e.kind else { return None };
    let open = args.iter().filter(|a| a.as_literal().is_none());
    let text = open.clone().all(|a| matches!(a.ty, Type::String | Type::Guid));
    (f.name == "strcat" && text && open.count() > 1).then_some(args)
}

/// What is looked for, and the nodes for "the rest from here on starts with the needle from there on".
struct Places<'p> {
    parts: &'p [Expr],
    needle: &'p str,
    end: bool,
    ci: bool,
    known: HashMap<(usize, usize), Node>,
}

impl Builder {
    /// A test of a concatenation for a text: at its start, at its end, both, or anywhere. A folded text is
    /// handed in where case is ignored.
    pub(super) fn concat(
        &mut self,
        parts: &[Expr],
        needle: &str,
        start: bool,
        end: bool,
        ci: bool,
    ) -> Result<Option<Node>, Unknown> {
        if needle.is_empty() && !(start && end) {
            return Ok(Some(Arena::TRUE));
        }
        if parts.len() > 64 || parts.len().saturating_mul(needle.len()) > MANY {
            return Ok(None);
        }
        let mut p = Places { parts, needle, end, ci, known: HashMap::new() };
        if start {
            return self.from(&mut p, 0, 0);
        }
        let mut any = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            if !end {
                match self.part(part, needle, false, false, ci)? {
                    Some(n) => any.push(n),
                    None => return Ok(None),
                }
            }
            for cut in cuts(needle, 0).filter(|c| *c > 0) {
                let Some(rest) = self.from(&mut p, i + 1, cut)? else { return Ok(None) };
                if rest == Arena::FALSE {
                    continue;
                }
                // Whole in the part: said above, unless it must be the end.
                if cut == needle.len() && !end {
                    continue;
                }
                match self.part(part, &needle[..cut], false, true, ci)? {
                    Some(n) => any.push(self.arena.and(vec![n, rest])),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(self.arena.or(any)))
    }

    fn from(&mut self, p: &mut Places<'_>, i: usize, at: usize) -> Result<Option<Node>, Unknown> {
        if let Some(n) = p.known.get(&(i, at)) {
            return Ok(Some(*n));
        }
        self.spend()?;
        let rest = &p.needle[at..];
        let found = match p.parts.get(i) {
            _ if rest.is_empty() && !p.end => Arena::TRUE,
            None => Arena::constant(rest.is_empty()),
            Some(part) => {
                let mut any = Vec::new();
                if !p.end {
                    match self.part(part, rest, true, false, p.ci)? {
                        Some(n) => any.push(n),
                        None => return Ok(None),
                    }
                }
                for cut in cuts(p.needle, at) {
                    if cut == p.needle.len() && !p.end {
                        continue;
                    }
                    let Some(after) = self.from(p, i + 1, cut)? else { return Ok(None) };
                    if after == Arena::FALSE {
                        continue;
                    }
                    match self.part(part, &p.needle[at..cut], true, true, p.ci)? {
                        Some(n) => any.push(self.arena.and(vec![n, after])),
                        None => return Ok(None),
                    }
                }
                self.arena.or(any)
            }
        };
        p.known.insert((i, at), found);
        Ok(Some(found))
    }

    /// A test of one part.
    fn part(
        &mut self,
        part: &Expr,
        text: &str,
        start: bool,
        end: bool,
        ci: bool,
    ) -> Result<Option<Node>, Unknown> {
        let Some(v) = part.as_literal() else {
            let test = literal(text, start, end, ci);
            return self.text_test(part, |_| Ok(test));
        };
        let known = v.to_text();
        let known = if ci { fold(&known) } else { known };
        let found = match (start, end) {
            (true, true) => known == text,
            (true, false) => known.starts_with(text),
            (false, true) => known.ends_with(text),
            (false, false) => known.contains(text),
        };
        Ok(Some(Arena::constant(found)))
    }
}

/// Places between characters from `at` on, both ends included.
fn cuts(s: &str, at: usize) -> impl Iterator<Item = usize> + '_ {
    (at..=s.len()).filter(|i| s.is_char_boundary(*i))
}
