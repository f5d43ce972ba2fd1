//! Tests of a text that is put together from several: where in which part what is looked for can lie.
//!
//! `strcat(a, "\\", b) endswith "x\y"` is `b endswith "x\y"`, or `a endswith "x"` and `b == "y"`. Folding works
//! character by character, so this holds with and without regard to case, and for all values.

use super::{Builder, Term, literal};
use crate::Unknown;
use crate::atom::VarId;
use crate::formula::{Arena, Node};
use crate::lens::Lens;
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

/// A part of the concatenation.
enum Part<'p> {
    /// Its text, folded where case is ignored.
    Known(String),
    /// A variable, as it is seen.
    Open(VarId, Lens),
    Computed(&'p Expr),
}

/// What is looked for, and the nodes for "the rest from here on starts with the needle from there on".
struct Places<'p> {
    parts: Vec<Part<'p>>,
    needle: &'p str,
    end: bool,
    ci: bool,
    /// By part and place in the needle.
    known: Vec<Option<Node>>,
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
        let known = vec![None; (parts.len() + 1) * (needle.len() + 1)];
        let parts = parts.iter().map(|p| self.prepared(p, ci)).collect::<Result<Vec<_>, _>>()?;
        let mut p = Places { parts, needle, end, ci, known };
        if start {
            return self.from(&mut p, 0, 0);
        }
        let mut any = Vec::new();
        for i in 0..p.parts.len() {
            if !end {
                match self.part(&p, i, needle, false, false)? {
                    Some(n) => any.push(n),
                    None => return Ok(None),
                }
            }
            // Behind the last part nothing is left to be looked for.
            let last = i + 1 == p.parts.len();
            for cut in cuts(needle, if last { needle.len() } else { 0 }).filter(|c| *c > 0) {
                // Whole in the part: said above, unless it must be the end.
                if cut == needle.len() && !end {
                    continue;
                }
                if matches!(&p.parts[i], Part::Known(s) if !s.ends_with(&needle[..cut])) {
                    continue;
                }
                if self.never_part(&p, i, &needle[..cut], false, true) {
                    continue;
                }
                let Some(rest) = self.from(&mut p, i + 1, cut)? else { return Ok(None) };
                if rest == Arena::FALSE {
                    continue;
                }
                match self.part(&p, i, &needle[..cut], false, true)? {
                    Some(n) => any.push(self.arena.and(vec![n, rest])),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(self.arena.or(any)))
    }

    fn prepared<'p>(&mut self, part: &'p Expr, ci: bool) -> Result<Part<'p>, Unknown> {
        if let Some(v) = part.as_literal() {
            let known = v.to_text();
            return Ok(Part::Known(if ci { fold(&known) } else { known }));
        }
        if parts(part).is_none()
            && !self.needs_enumeration(part)
            && let Some(Term::Text { var, lens, .. }) = self.term(part)?
        {
            return Ok(Part::Open(var, lens));
        }
        Ok(Part::Computed(part))
    }

    fn from(&mut self, p: &mut Places<'_>, i: usize, at: usize) -> Result<Option<Node>, Unknown> {
        let slot = i * (p.needle.len() + 1) + at;
        if let Some(n) = p.known[slot] {
            return Ok(Some(n));
        }
        self.spend()?;
        let needle = p.needle;
        let rest = &needle[at..];
        let found = match p.parts.get(i) {
            _ if rest.is_empty() && !p.end => Arena::TRUE,
            None => Arena::constant(rest.is_empty()),
            // What is known takes up its length of the needle, and no other.
            Some(Part::Known(s)) if !p.end && s.starts_with(rest) => Arena::TRUE,
            Some(Part::Known(s)) if rest.starts_with(s.as_str()) => {
                let cut = at + s.len();
                match self.from(p, i + 1, cut)? {
                    Some(n) => n,
                    None => return Ok(None),
                }
            }
            Some(Part::Known(_)) => Arena::FALSE,
            Some(_) => {
                let mut any = Vec::new();
                if !p.end {
                    match self.part(p, i, rest, true, false)? {
                        Some(n) => any.push(n),
                        None => return Ok(None),
                    }
                }
                let last = i + 1 == p.parts.len();
                for cut in cuts(needle, if last { needle.len() } else { at }) {
                    if cut == needle.len() && !p.end {
                        continue;
                    }
                    if self.never_part(p, i, &needle[at..cut], true, true) {
                        continue;
                    }
                    let Some(after) = self.from(p, i + 1, cut)? else { return Ok(None) };
                    if after == Arena::FALSE {
                        continue;
                    }
                    match self.part(p, i, &needle[at..cut], true, true)? {
                        Some(n) => any.push(self.arena.and(vec![n, after])),
                        None => return Ok(None),
                    }
                }
                self.arena.or(any)
            }
        };
        p.known[slot] = Some(found);
        Ok(Some(found))
    }

    /// Whether a part is known to fail a test, so that what it needs of the others need not be built.
    fn never_part(&self, p: &Places<'_>, i: usize, text: &str, start: bool, end: bool) -> bool {
        matches!(&p.parts[i], Part::Open(var, lens) if self.never(*var, lens, text, start, end))
    }

    /// A test of one part.
    fn part(
        &mut self,
        p: &Places<'_>,
        i: usize,
        text: &str,
        start: bool,
        end: bool,
    ) -> Result<Option<Node>, Unknown> {
        Ok(Some(match &p.parts[i] {
            Part::Computed(e) => {
                let test = literal(text, start, end, p.ci);
                return self.text_test(e, |_| Ok(test));
            }
            Part::Open(var, lens) => {
                self.spend()?;
                self.text_atom(*var, lens, literal(text, start, end, p.ci))
            }
            Part::Known(known) => Arena::constant(match (start, end) {
                (true, true) => known == text,
                (true, false) => known.starts_with(text),
                (false, true) => known.ends_with(text),
                (false, false) => known.contains(text),
            }),
        }))
    }
}

/// Places between characters from `at` on, both ends included.
fn cuts(s: &str, at: usize) -> impl Iterator<Item = usize> + '_ {
    (at..=s.len()).filter(|i| s.is_char_boundary(*i))
}
