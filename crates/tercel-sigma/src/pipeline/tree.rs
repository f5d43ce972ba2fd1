//! A detection as pipelines see it: items know which transformations have been applied to them, and one
//! item may have become alternatives (a field that maps to several).

use crate::ast::{Item, Search, SearchBody, Spanned, Value};
use tercel_ir::Span;

/// Maps that one map may unfold to because of fields that map to several.
const MAX_MAPS: usize = 2_000;

/// A search in the making.
pub(super) struct Tree {
    pub(super) search: Search,
    pub(super) body: Body,
}

pub(super) enum Body {
    Map(Vec<Entry>, Span),
    List(Vec<Body>, Span),
    Keyword(Entry),
}

/// An item, or the alternatives that it has become.
pub(super) struct Entry {
    /// Any of these; none after the item was dropped.
    pub(super) items: Vec<Item>,
    /// Ids of the transformations that changed it.
    pub(super) applied: Vec<String>,
}

impl Entry {
    fn new(item: Item) -> Entry {
        Entry { items: vec![item], applied: Vec::new() }
    }
}

impl Tree {
    pub(super) fn new(search: Search) -> Tree {
        let body = Body::new(search.body.clone());
        Tree { search, body }
    }

    /// Back to a search; `None` when nothing is left of it. `Err` when it has become too large.
    pub(super) fn finish(self) -> Result<Option<Search>, String> {
        let Tree { mut search, body } = self;
        Ok(body.finish()?.map(|body| {
            search.body = body;
            search
        }))
    }
}

impl Body {
    /// Depth is bounded by the YAML reader.
    fn new(body: Spanned<SearchBody>) -> Body {
        match body.node {
            SearchBody::Map(items) => Body::Map(items.into_iter().map(Entry::new).collect(), body.span),
            SearchBody::List(list) => Body::List(list.into_iter().map(Body::new).collect(), body.span),
            SearchBody::Keyword(v) => Body::Keyword(Entry::new(keyword(v))),
        }
    }

    fn finish(self) -> Result<Option<Spanned<SearchBody>>, String> {
        Ok(match self {
            Body::Keyword(e) => {
                let mut words: Vec<_> = e
                    .items
                    .into_iter()
                    .flat_map(|i| i.values)
                    .map(|v| {
                        let span = v.span;
                        Spanned::new(SearchBody::Keyword(v), span)
                    })
                    .collect();
                match words.len() {
                    0 | 1 => words.pop(),
                    _ => {
                        let span = words[0].span;
                        Some(Spanned::new(SearchBody::List(words), span))
                    }
                }
            }
            Body::List(list, span) => {
                let mut out = Vec::new();
                for b in list {
                    out.extend(b.finish()?);
                }
                (!out.is_empty()).then(|| Spanned::new(SearchBody::List(out), span))
            }
            Body::Map(entries, span) => {
                // An item with alternatives makes a map of each: (a and (b or c)) is (a, b) or (a, c).
                let mut maps: Vec<Vec<Item>> = vec![Vec::new()];
                for e in entries.into_iter().filter(|e| !e.items.is_empty()) {
                    if maps.len().saturating_mul(e.items.len()) > MAX_MAPS {
                        return Err(format!("a map of the rule unfolds to more than {MAX_MAPS}"));
                    }
                    maps = maps
                        .into_iter()
                        .flat_map(|m| {
                            e.items.iter().map(move |i| {
                                let mut m = m.clone();
                                m.push(i.clone());
                                m
                            })
                        })
                        .collect();
                }
                if maps.iter().all(Vec::is_empty) {
                    return Ok(None);
                }
                let mut maps: Vec<_> =
                    maps.into_iter().map(|m| Spanned::new(SearchBody::Map(m), span)).collect();
                match maps.len() {
                    1 => maps.pop(),
                    _ => Some(Spanned::new(SearchBody::List(maps), span)),
                }
            }
        })
    }

    /// Whether the test holds for an item of it.
    pub(super) fn any(&self, test: &dyn Fn(&Item) -> bool) -> bool {
        match self {
            Body::Map(entries, _) => entries.iter().any(|e| e.items.iter().any(test)),
            Body::List(list, _) => list.iter().any(|b| b.any(test)),
            Body::Keyword(e) => e.items.iter().any(test),
        }
    }

    /// Every entry, with a function that may say that its alternatives are gone by emptying them.
    pub(super) fn each(&mut self, f: &mut dyn FnMut(&mut Entry)) {
        match self {
            Body::Map(entries, _) => entries.iter_mut().for_each(f),
            Body::List(list, _) => list.iter_mut().for_each(|b| b.each(f)),
            Body::Keyword(e) => f(e),
        }
    }
}

/// A keyword as an item without a field.
fn keyword(v: Value) -> Item {
    let span = v.span;
    Item {
        field: None,
        modifiers: Vec::new(),
        values: vec![v],
        list: false,
        span: Spanned::new((), span),
        key_span: Spanned::new((), span),
    }
}
