//! Rows that a view leaves out on purpose: what is said of them after a run.

use std::collections::BTreeMap;
use tercel_ir::function::aggregate_by_name;
use tercel_ir::rel::Aggregation;
use tercel_ir::{Rel, Type};
use tercel_schema::{Omitted, SchemaCatalog};

/// The omissions of all views that these plans read, each once, with a relation that counts the rows.
pub fn questions<'a>(catalog: &SchemaCatalog, plans: impl Iterator<Item = &'a Rel>) -> Vec<(Omitted, Rel)> {
    let mut found: BTreeMap<(String, String), Omitted> = BTreeMap::new();
    for o in plans.flat_map(|p| catalog.omissions(p)) {
        found.entry((o.view.clone(), o.what.clone())).or_insert(o);
    }
    let Some(function) = aggregate_by_name("count") else { return Vec::new() };
    let count = || Aggregation { function, args: Vec::new(), filter: None, ty: Type::Long };
    found
        .into_values()
        .map(|o| {
            let span = o.rows.span;
            let rel = o.rows.clone().aggregate(Vec::new(), vec![("rows".into(), count())], span);
            (o, rel)
        })
        .collect()
}

/// The sentence for so many rows; `None` for none.
pub fn note(o: &Omitted, rows: u64) -> Option<String> {
    (rows > 0).then(|| format!("{} leaves out {} ({} rows)", o.view, o.what, crate::footer::number(rows)))
}
