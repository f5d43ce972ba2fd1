//! Names of fields: in searches, in references to other fields, in lists of fields, in correlations.

use super::apply::State;
use super::{FieldMap, Item, conditions};
use crate::ast::{Correlation, CorrelationCondition, Document, Modifier, Scalar, Spanned, Text};
use crate::pipeline::tree::Entry;

impl FieldMap {
    /// What a name becomes; `None` leaves it.
    fn map(&self, name: &str) -> Option<Vec<String>> {
        match self {
            FieldMap::Names(all) => all.get(name).cloned(),
            FieldMap::Prefixes(all) => all
                .iter()
                .find_map(|(prefix, to)| Some((name.strip_prefix(prefix.as_str())?, to)))
                .map(|(rest, to)| to.iter().map(|t| format!("{t}{rest}")).collect()),
            FieldMap::AddPrefix(p) => Some(vec![format!("{p}{name}")]),
            FieldMap::AddSuffix(s) => Some(vec![format!("{name}{s}")]),
        }
    }
}

/// What a name becomes where the conditions on names hold. What it became remembers the transformation.
fn mapped(map: &FieldMap, at: &Item, name: &str, state: &mut State) -> Option<Vec<String>> {
    let new = map.map(name).filter(|_| at.field.hold(&|c| conditions::field(c, Some(name), state)))?;
    let before = state.fields.get(name).cloned().unwrap_or_default();
    for n in &new {
        let ids = state.fields.entry(n.clone()).or_default();
        ids.extend(before.iter().chain(&at.id).cloned());
    }
    Some(new)
}

/// The field of an entry, and the fields that its values name.
pub(super) fn entry(map: &FieldMap, at: &Item, e: &mut Entry, state: &mut State) -> bool {
    let mut changed = false;
    let mut out = Vec::with_capacity(e.items.len());
    for mut item in std::mem::take(&mut e.items) {
        if item.has(Modifier::FieldRef) {
            let mut values = Vec::with_capacity(item.values.len());
            for v in item.values.drain(..) {
                let new = match &v.node {
                    Scalar::Str(name) => mapped(map, at, name, state),
                    _ => None,
                };
                changed |= new.is_some();
                match new {
                    None => values.push(v),
                    Some(names) => {
                        values.extend(names.into_iter().map(|n| Spanned::new(Scalar::Str(n), v.span)));
                    }
                }
            }
            item.list |= values.len() > 1;
            item.values = values;
        }
        let new = item.field.as_ref().and_then(|f| mapped(map, at, &f.node, state));
        match (new, &item.field) {
            (Some(names), Some(f)) => {
                changed = true;
                let span = f.span;
                out.extend(
                    names
                        .into_iter()
                        .map(|n| crate::ast::Item { field: Some(Spanned::new(n, span)), ..item.clone() }),
                );
            }
            _ => out.push(item),
        }
    }
    e.items = out;
    changed
}

/// The names outside of searches.
pub(super) fn lists(
    map: &FieldMap,
    at: &Item,
    document: &mut Document,
    state: &mut State,
) -> Result<(), String> {
    let meta = document.meta_mut();
    meta.fields = names(map, at, std::mem::take(&mut meta.fields), state);
    let Document::Correlation(c) = document else { return Ok(()) };
    correlation(map, at, &mut c.correlation, state)
}

fn names(map: &FieldMap, at: &Item, list: Vec<Text>, state: &mut State) -> Vec<Text> {
    let mut out = Vec::with_capacity(list.len());
    for t in list {
        match mapped(map, at, &t.node, state) {
            None => out.push(t),
            Some(new) => out.extend(new.into_iter().map(|n| Spanned::new(n, t.span))),
        }
    }
    out
}

fn correlation(map: &FieldMap, at: &Item, c: &mut Correlation, state: &mut State) -> Result<(), String> {
    let mut single = |t: &mut Text, what: &str| -> Result<(), String> {
        match mapped(map, at, &t.node, state) {
            None => Ok(()),
            Some(new) if new.len() == 1 => {
                t.node.clone_from(&new[0]);
                Ok(())
            }
            Some(new) => Err(format!("the field `{}` of {what} would become {} fields", t.node, new.len())),
        }
    };
    for (_, field) in c.aliases.iter_mut().flat_map(|a| &mut a.fields) {
        single(field, "an alias")?;
    }
    let aliases: Vec<String> = c.aliases.iter().map(|a| a.name.node.clone()).collect();
    if let Some(Spanned { node: CorrelationCondition::Compare { fields, .. }, .. }) = &mut c.condition {
        for f in fields.iter_mut().filter(|f| !aliases.contains(&f.node)) {
            single(f, "the condition")?;
        }
    }
    let mut group_by = Vec::with_capacity(c.group_by.len());
    for t in std::mem::take(&mut c.group_by) {
        if aliases.contains(&t.node) {
            group_by.push(t);
        } else {
            group_by.extend(names(map, at, vec![t], state));
        }
    }
    c.group_by = group_by;
    Ok(())
}
