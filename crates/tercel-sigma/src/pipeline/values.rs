//! Values as pipelines see and change them.

use super::{Handled, Transformation};
use crate::ast::{Item, Modifier, Scalar, Spanned, Value};
use crate::lower::{Piece, pieces};
use crate::pattern::{Part, Pattern};
use std::collections::BTreeMap;

/// Values that one value may become.
const MAX_VALUES: usize = 20_000;

/// Whether the values of an item are texts with wildcards, and not expressions, ranges or the like.
pub(super) fn textual(item: &Item) -> bool {
    use Modifier as M;
    !item.modifiers.iter().any(|m| {
        matches!(
            m.node,
            M::Re
                | M::Cidr
                | M::Lt
                | M::Lte
                | M::Gt
                | M::Gte
                | M::FieldRef
                | M::Exists
                | M::Minute
                | M::Hour
                | M::Day
                | M::Week
                | M::Month
                | M::Year
        )
    })
}

/// Whether `contains` and its like can be written as wildcards: nothing else changes the values.
fn foldable(item: &Item) -> bool {
    use Modifier as M;
    item.modifiers.iter().all(|m| {
        matches!(m.node, M::Contains | M::StartsWith | M::EndsWith | M::All | M::Cased | M::Neq | M::Expand)
    })
}

/// A value with the wildcards that its item's modifiers stand for.
fn pattern(item: &Item, text: &str) -> Pattern {
    let mut p = Pattern::parse(text);
    if foldable(item) {
        for m in &item.modifiers {
            p = match m.node {
                Modifier::Contains => p.open_start().open_end(),
                Modifier::StartsWith => p.open_end(),
                Modifier::EndsWith => p.open_start(),
                _ => p,
            };
        }
    }
    p
}

/// A pattern without escapes: what conditions and replacements look at.
fn plain(p: &Pattern) -> String {
    p.parts()
        .iter()
        .map(|part| match part {
            Part::Literal(t) => t.as_str(),
            Part::Any => "*",
            Part::One => "?",
        })
        .collect()
}

/// The texts of an item, one for each value; `None` for what is no text.
pub(super) fn texts(item: &Item) -> Vec<Option<String>> {
    let fits = textual(item);
    item.values
        .iter()
        .map(|v| match &v.node {
            Scalar::Str(s) if fits => Some(plain(&pattern(item, s))),
            _ => None,
        })
        .collect()
}

/// Whether a value has a wildcard in it.
pub(super) fn wildcards(item: &Item) -> Vec<bool> {
    let fits = textual(item);
    item.values
        .iter()
        .map(|v| matches!(&v.node, Scalar::Str(s) if fits && pattern(item, s).as_literal().is_none()))
        .collect()
}

/// Writes `contains` and its like as wildcards, so that values can be changed as wholes.
fn fold(item: &mut Item) {
    if !foldable(item) {
        return;
    }
    let copy = item.clone();
    for v in &mut item.values {
        if let Scalar::Str(s) = &mut v.node {
            *s = pattern(&copy, s).glob();
        }
    }
    item.modifiers
        .retain(|m| !matches!(m.node, Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith));
}

/// A text in which backslashes are themselves, except before a wildcard.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '\\' && !matches!(chars.peek(), Some('*' | '?')) {
            out.push('\\');
        }
    }
    out
}

/// Applies a transformation of values to an item; says whether anything changed.
pub(super) fn change(
    what: &Transformation,
    item: &mut Item,
    vars: &BTreeMap<String, Vec<String>>,
) -> Result<bool, String> {
    match what {
        Transformation::SetValue(v) => {
            let span = item.span.span;
            item.values.iter_mut().for_each(|x| *x = Spanned::new(v.clone(), x.span));
            if item.values.is_empty() {
                item.values.push(Spanned::new(v.clone(), span));
            }
            // The value is set as it stands: what the modifiers would have made of the old one is gone.
            item.modifiers.retain(|m| matches!(m.node, Modifier::All | Modifier::Neq | Modifier::Cased));
            Ok(true)
        }
        Transformation::WildcardPlaceholders(handled) => {
            let wild = if item.has(Modifier::Re) { ".*" } else { "*" };
            placeholders(item, handled, &|_| Ok(vec![wild.to_string()]))
        }
        Transformation::ValuePlaceholders(handled) => placeholders(item, handled, &|name| {
            vars.get(name)
                .cloned()
                .ok_or_else(|| format!("no variable `{name}` says what `%{name}%` stands for"))
        }),
        Transformation::ReplaceString { regex, replacement, skip_special, interpret_special } => {
            replace(item, &|p| {
                if *skip_special {
                    let mut out = Pattern::default();
                    for part in p.parts() {
                        match part {
                            Part::Literal(t) if !regex.is_match(t) => out.append(&Pattern::literal(t)),
                            Part::Literal(t) => {
                                let t = regex.replace_all(t, replacement);
                                out.append(&if *interpret_special {
                                    Pattern::parse(&escaped(&t))
                                } else {
                                    Pattern::literal(&t)
                                });
                            }
                            Part::Any => out.append(&Pattern::parse("*")),
                            Part::One => out.append(&Pattern::parse("?")),
                        }
                    }
                    return Some(vec![out.glob()]);
                }
                let text = plain(p);
                let new = regex.replace_all(&text, replacement);
                (new != text).then(|| vec![escaped(&new)])
            })
        }
        Transformation::MapString(map) => replace(item, &|p| map.get(&plain(p)).cloned()),
        Transformation::Case { upper } => replace(item, &|p| {
            let text = p.glob();
            Some(vec![if *upper { text.to_uppercase() } else { text.to_lowercase() }])
        }),
        Transformation::ConvertType { number } => convert(item, *number),
        _ => Ok(false),
    }
}

/// Replaces texts by none, one or several; `None` leaves one as it is.
fn replace(item: &mut Item, f: &dyn Fn(&Pattern) -> Option<Vec<String>>) -> Result<bool, String> {
    if !textual(item) {
        return Ok(false);
    }
    let new: Vec<Option<Vec<String>>> = item
        .values
        .iter()
        .map(|v| match &v.node {
            Scalar::Str(s) => f(&pattern(item, s)),
            Scalar::Int(_) | Scalar::Float(_) => f(&Pattern::literal(&v.node.text())),
            Scalar::Null | Scalar::Bool(_) => None,
        })
        .collect();
    if new.iter().all(Option::is_none) {
        return Ok(false);
    }
    fold(item);
    let mut values: Vec<Value> = Vec::with_capacity(item.values.len());
    for (v, new) in item.values.drain(..).zip(new) {
        match new {
            None => values.push(v),
            Some(list) => {
                // A number that comes out as it went in stays a number.
                let same = list.len() == 1 && !matches!(v.node, Scalar::Str(_)) && list[0] == v.node.text();
                match same {
                    true => values.push(v),
                    false => values.extend(list.into_iter().map(|s| Spanned::new(Scalar::Str(s), v.span))),
                }
            }
        }
        if values.len() > MAX_VALUES {
            return Err(format!("the values of an item become more than {MAX_VALUES}"));
        }
    }
    item.list |= values.len() > 1;
    item.values = values;
    Ok(true)
}

fn convert(item: &mut Item, number: bool) -> Result<bool, String> {
    if !textual(item) {
        return Ok(false);
    }
    fold(item);
    let mut changed = false;
    for v in &mut item.values {
        let new = match &v.node {
            Scalar::Null => continue,
            Scalar::Str(_) if !number => continue,
            Scalar::Int(_) | Scalar::Float(_) if number => continue,
            Scalar::Str(s) => {
                let long = s.trim().parse::<i64>().ok().map(Scalar::Int);
                let real = || s.trim().parse::<f64>().ok().filter(|r| r.is_finite()).map(Scalar::Float);
                long.or_else(real).ok_or_else(|| format!("the value `{s}` is no number"))?
            }
            Scalar::Bool(_) if number => return Err("a boolean is no number".into()),
            other => Scalar::Str(other.text()),
        };
        v.node = new;
        changed = true;
    }
    Ok(changed)
}

/// Fills in placeholders, in every combination.
fn placeholders(
    item: &mut Item,
    handled: &Handled,
    values: &dyn Fn(&str) -> Result<Vec<String>, String>,
) -> Result<bool, String> {
    if !item.has(Modifier::Expand) {
        return Ok(false);
    }
    let texts = item.values.iter().filter_map(|v| match &v.node {
        Scalar::Str(s) => Some(s),
        _ => None,
    });
    // While placeholders are left, plain percent signs must not be taken for theirs.
    let left =
        texts.flat_map(|t| pieces(t)).any(|p| matches!(p, Piece::Placeholder(name) if !handled.holds(&name)));
    let mut changed = false;
    let mut out: Vec<Value> = Vec::new();
    for v in item.values.drain(..) {
        let Scalar::Str(text) = &v.node else {
            out.push(v);
            continue;
        };
        let mut all = vec![String::new()];
        for piece in pieces(text) {
            let ways = match piece {
                Piece::Placeholder(name) if handled.holds(&name) => {
                    changed = true;
                    values(&name)?
                }
                Piece::Placeholder(name) => vec![format!("%{name}%")],
                Piece::Text(t) if left => vec![t.replace('%', "\\%")],
                Piece::Text(t) => vec![t],
            };
            if all.len().saturating_mul(ways.len()) + out.len() > MAX_VALUES {
                return Err(format!("the placeholders of an item unfold to more than {MAX_VALUES} values"));
            }
            all = all.iter().flat_map(|a| ways.iter().map(move |w| format!("{a}{w}"))).collect();
        }
        out.extend(all.into_iter().map(|s| Spanned::new(Scalar::Str(s), v.span)));
    }
    item.list |= out.len() > 1;
    item.values = out;
    if changed && !left {
        item.modifiers.retain(|m| m.node != Modifier::Expand);
    }
    Ok(changed)
}
