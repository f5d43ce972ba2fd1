//! Values that vocabularies write differently.
//!
//! A definition says which column holds a field's value. Where the value is written in another notation too, a
//! bridge gives the parts as columns of their own, and a test of the one notation becomes tests of the parts.

use crate::flat::Flat;
use crate::rewrite::call;
use std::time::Duration;
use tercel_ir::{Column, Expr, ExprKind, Name, Schema, Type, Value};
use tercel_verify::{Budget, Formula, Verdict};

pub(crate) const NUMBERS: &str = "a number in the registry is recorded as its type and its decimal digits, and no text there is written like a number: \
     DWORD (0x0000002a) is 42";

/// The field whose values are written differently.
pub(crate) const DETAILS: &str = "Details";
/// A number as Sysmon writes it, which no target records.
pub(crate) const AS_TEXT: &str = "DetailsAsText";

/// The predicate with values in the target's notation.
pub(crate) fn mapped(e: &Expr, flat: &Flat) -> Expr {
    let there = |n: &str| flat.columns.contains_key(&Name::from(n));
    match (there("DetailsNumber"), there("DetailsText")) {
        (false, false) => e.clone(),
        (_, either) => details(e, either),
    }
}

/// Sysmon writes a registry value of 42 as `DWORD (0x0000002a)`. `either`: some rows hold the number so, others
/// in digits.
fn details(e: &Expr, either: bool) -> Expr {
    let span = e.span;
    match &e.kind {
        ExprKind::And(items) => Expr::and(items.iter().map(|i| details(i, either)).collect(), span),
        ExprKind::Or(items) => Expr::or(items.iter().map(|i| details(i, either)).collect(), span),
        ExprKind::Not(inner) => crate::logic::negate(details(inner, either)),
        _ => number(e, either).unwrap_or_else(|| e.clone()),
    }
}

fn number(e: &Expr, either: bool) -> Option<Expr> {
    let (name, args) = call(e)?;
    if &**args.first()?.as_column()? != DETAILS {
        return None;
    }
    if matches!(name, "in" | "in_ci") {
        let op = if name == "in" { "eq" } else { "eq_ci" };
        let each: Vec<Expr> =
            args[1..].iter().map(|a| Expr::known(op, vec![args[0].clone(), a.clone()], e.span)).collect();
        if each.iter().all(|t| number(t, either).is_none()) {
            return None;
        }
        let each = each.iter().map(|t| number(t, either).unwrap_or_else(|| t.clone()));
        return Some(Expr::or(each.collect(), e.span));
    }
    let column = |n: &str| Expr::column(n, Type::String, e.span);
    let is = |n: &str, v: &str| {
        Expr::known("eq_ci", vec![column(n), Expr::literal(Value::str(v), e.span)], e.span)
    };
    let text = |needle: &str| Place::of(name).map(|p| (p, needle.to_ascii_lowercase()));
    let found = match args.get(1)?.as_literal() {
        Some(Value::Str(needle)) => text(needle).map(|(p, lower)| (p, needle, lower)),
        _ => None,
    };
    let Some((place, needle, lower)) = found else {
        return by_kind(e, &is, [&Shape::Dword, &Shape::Qword, &Shape::Digits].map(|s| may_be(e, s)), None);
    };
    // A whole number, or no more than the word that all numbers of a size begin with.
    if let Some((kind, n)) = whole(&lower) {
        let digits = n.to_string();
        let value = match either {
            false => is("DetailsNumber", &digits),
            true => Expr::or([needle.as_str(), &digits].map(|v| is("DetailsText", v)).to_vec(), e.span),
        };
        return Some(Expr::and(vec![is("DetailsType", kind), value], e.span));
    }
    if matches!(place, Place::Start | Place::Anywhere) {
        for (kind, word) in [("Dword", "dword (0x"), ("Qword", "qword (0x")] {
            if lower.len() >= 5 && word.starts_with(lower.as_str()) {
                return Some(is("DetailsType", kind));
            }
        }
    }
    if lower.is_empty() {
        return None;
    }
    let possible = [&Shape::Dword, &Shape::Qword, &Shape::Digits].map(|s| s.fits(place, &lower));
    // Of the smaller numbers, those that are written with the text: where all of their digits are known.
    let known = Shape::Dword.numbers(place, &lower).map(|all| {
        let digits: Vec<Expr> = all
            .iter()
            .map(|n| is(if either { "DetailsText" } else { "DetailsNumber" }, &n.to_string()))
            .collect();
        // As Sysmon writes them they have the text in them.
        Expr::or(if either { digits.into_iter().chain([e.clone()]).collect() } else { digits }, e.span)
    });
    by_kind(e, &is, possible, known)
}

/// A test of what may be a number, for each kind of value. `possible`: which of Sysmon's two forms and of the
/// digits alone can pass it; `known`: the smaller numbers that do, as a test.
fn by_kind(
    e: &Expr,
    is: &dyn Fn(&str, &str) -> Expr,
    possible: [bool; 3],
    known: Option<Expr>,
) -> Option<Expr> {
    if possible == [false; 3] {
        return None;
    }
    let not = |kind: &str| crate::logic::negate(is("DetailsType", kind));
    let mut ways = vec![Expr::and(vec![not("Dword"), not("Qword"), e.clone()], e.span)];
    let unknown = |kind| Expr::and(vec![is("DetailsType", kind), as_text(e)], e.span);
    if possible[0] {
        ways.push(match known {
            Some(k) => Expr::and(vec![is("DetailsType", "Dword"), k], e.span),
            None => unknown("Dword"),
        });
    }
    if possible[1] {
        ways.push(unknown("Qword"));
    }
    Some(Expr::or(ways, e.span))
}

/// The number that a text stands for as Sysmon writes it, in lower case.
fn whole(text: &str) -> Option<(&'static str, u64)> {
    let hex = |t: &str| {
        let digits = t.len() == 8 && t.bytes().all(|b| b.is_ascii_hexdigit());
        if digits { u64::from_str_radix(t, 16).ok() } else { None }
    };
    if let Some(t) = text.strip_prefix("dword (0x") {
        return Some(("Dword", hex(t.strip_suffix(')')?)?));
    }
    let (high, low) = text.strip_prefix("qword (0x")?.strip_suffix(')')?.split_once("-0x")?;
    Some(("Qword", hex(high)? << 32 | hex(low)?))
}

/// Where a test looks for its text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

impl Place {
    fn of(function: &str) -> Option<Place> {
        Some(match function {
            "eq" | "eq_ci" => Place::Whole,
            "startswith" | "startswith_cs" => Place::Start,
            "endswith" | "endswith_cs" => Place::End,
            "contains" | "contains_cs" => Place::Anywhere,
            _ => return None,
        })
    }
}

/// How numbers are written: by Sysmon, of two sizes, and by Defender.
enum Shape {
    Dword,
    Qword,
    Digits,
}

impl Shape {
    fn regex(&self) -> &'static str {
        match self {
            Shape::Dword => r"^DWORD \(0x[0-9a-f]{8}\)$",
            Shape::Qword => r"^QWORD \(0x[0-9a-f]{8}-0x[0-9a-f]{8}\)$",
            Shape::Digits => "^[0-9]{1,20}$",
        }
    }

    /// Whether a number of this shape can have the text at the place; case is of no account.
    fn fits(&self, place: Place, lower: &str) -> bool {
        let pattern: &[u8] = match self {
            Shape::Dword => b"dword (0x????????)",
            Shape::Qword => b"qword (0x????????-0x????????)",
            Shape::Digits => return lower.len() <= 20 && lower.bytes().all(|b| b.is_ascii_digit()),
        };
        let text = lower.as_bytes();
        let Some(last) = pattern.len().checked_sub(text.len()) else { return false };
        let at = |from: usize| {
            pattern[from..].iter().zip(text).all(|(p, t)| p == t || *p == b'?' && t.is_ascii_hexdigit())
        };
        match place {
            Place::Whole => last == 0 && at(0),
            Place::Start => at(0),
            Place::End => at(last),
            Place::Anywhere => (0..=last).any(at),
        }
    }
}

impl Shape {
    /// The numbers that have the text at the place, if there are few of them.
    fn numbers(&self, place: Place, lower: &str) -> Option<Vec<u64>> {
        let Shape::Dword = self else { return None };
        let pattern = b"dword (0x????????)";
        let text = lower.as_bytes();
        let last = pattern.len().checked_sub(text.len())?;
        let places = match place {
            Place::Whole | Place::Start => 0..=0,
            Place::End => last..=last,
            Place::Anywhere => 0..=last,
        };
        let mut out = Vec::new();
        for from in places {
            let with: Vec<u8> = (0..pattern.len())
                .map(|i| i.checked_sub(from).and_then(|at| text.get(at)).copied().unwrap_or(pattern[i]))
                .collect();
            let fits = with.iter().zip(pattern).all(|(w, p)| w == p || *p == b'?' && w.is_ascii_hexdigit());
            if !fits {
                continue;
            }
            // With digits that are not known there are too many.
            let (_, n) = whole(std::str::from_utf8(&with).ok()?)?;
            out.push(n);
        }
        Some(out)
    }
}

/// Whether a test can hold of a number that is written like this; what is not decided may.
fn may_be(e: &Expr, shape: &Shape) -> bool {
    let details = Expr::column(DETAILS, Type::String, e.span);
    let like = Expr::literal(Value::str(shape.regex()), e.span);
    let like = Expr::known("matches_regex", vec![details, like], e.span);
    let schema = Schema::new(vec![Column::new(DETAILS, Type::String)]);
    let rel = crate::bridge::scan(DETAILS, schema).filter(Expr::and(vec![e.clone(), like], e.span), e.span);
    let budget = Budget { time: Duration::from_secs(2), ..Budget::default() };
    match Formula::of(&rel) {
        Ok(ways) => ways.iter().any(|w| !matches!(tercel_verify::satisfiable(w, &budget), Verdict::Unsat)),
        Err(_) => true,
    }
}

/// A test of how a number is written: the target's columns do not tell that.
fn as_text(e: &Expr) -> Expr {
    let mut e = e.clone();
    if let Some(first) = e.children_mut().into_iter().next() {
        *first = Expr::column(AS_TEXT, Type::String, first.span);
    }
    e
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers() {
        assert_eq!(whole("dword (0x0000002a)"), Some(("Dword", 42)));
        assert_eq!(whole("qword (0x00000001-0x00000002)"), Some(("Qword", 4_294_967_298)));
        // No number is written like these.
        assert_eq!(whole("dword (0x2a)"), None);
        assert_eq!(whole("qword (0x0000002a)"), None);
    }

    proptest! {
        /// A text that stands somewhere in a number fits there, and what the prover says fits.
        #[test]
        fn parts_of_numbers_fit(n in any::<u32>(), high in any::<u32>(), from in 0usize..20, len in 1usize..30) {
            for (shape, text) in [
                (Shape::Dword, format!("dword (0x{n:08x})")),
                (Shape::Qword, format!("qword (0x{high:08x}-0x{n:08x})")),
                (Shape::Digits, n.to_string()),
            ] {
                let from = from.min(text.len() - 1);
                let part = &text[from..(from + len).min(text.len())];
                prop_assert!(shape.fits(Place::Anywhere, part));
                prop_assert!(shape.fits(Place::Start, &text[..part.len()]));
                prop_assert!(shape.fits(Place::End, &text[text.len() - part.len()..]));
                prop_assert!(shape.fits(Place::Whole, &text));
                if let Some(all) = shape.numbers(Place::Anywhere, part) {
                    prop_assert!(all.contains(&u64::from(n)));
                    let has = |n: &u64| format!("dword (0x{n:08x})").contains(part);
                    prop_assert!(all.iter().all(has));
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The prover and the comparison of texts agree.
        #[test]
        fn fits_as_the_prover_says(needle in "[dq0-9a-fx (]{1,4}|dword \\(0x0{1,8}\\)?|[0-9]{1,3}\\)?") {
            let span = tercel_ir::Span::default();
            for (name, place) in [("eq_ci", Place::Whole), ("contains", Place::Anywhere), ("startswith", Place::Start), ("endswith", Place::End)] {
                let column = Expr::column(DETAILS, Type::String, span);
                let e = Expr::known(name, vec![column, Expr::literal(Value::str(needle.as_str()), span)], span);
                for shape in [Shape::Dword, Shape::Qword, Shape::Digits] {
                    prop_assert_eq!(may_be(&e, &shape), shape.fits(place, &needle), "{} {} {}", name, needle, shape.regex());
                }
            }
        }
    }
}
