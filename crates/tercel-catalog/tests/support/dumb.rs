//! Relations of single events, evaluated as they stand: each rule on each event, every expression by the
//! registry's row-at-a-time meaning. Slow, and too simple to be wrong in the same way as anything fast.

use super::{Hits, World};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Expr, Name, Rel, RelKind, Type, Value};
use tercel_schema::{Schemas, hidden};
use tercel_telemetry::{LaidOut, LayoutSink, Progress, RawValue, typing};

/// One event, owned.
pub struct Event<'a> {
    pub table: &'a Name,
    names: &'a HashMap<Name, usize>,
    laid: &'a LaidOut<'a>,
    source: &'a str,
}

impl Event<'_> {
    /// A column of the event's table, as that type.
    fn value(&self, name: &str, ty: Type) -> Value {
        match name {
            hidden::TIME => return self.laid.time().map_or(Value::Null, Value::DateTime),
            hidden::SOURCE => return Value::str(self.source),
            hidden::RECORD => return Value::Long(self.laid.record),
            hidden::EVENT => {
                let mut text = String::new();
                self.laid.text.push(&mut text);
                return Value::Str(text);
            }
            _ => {}
        }
        let raw = self.names.get(name).and_then(|i| self.laid.values.get(*i)).unwrap_or(&RawValue::Null);
        let typed = typed(raw, ty);
        match typed {
            // The time of the event stands in for a column that the event does not have.
            Value::Null if name == "TimeGenerated" => self.laid.time().map_or(Value::Null, Value::DateTime),
            v => v,
        }
    }
}

/// A value as a column of that type holds it; what does not fit is null.
fn typed(raw: &RawValue<'_>, ty: Type) -> Value {
    let mut buffer = String::new();
    match ty {
        Type::Bool => typing::bool(raw).ok().flatten().map_or(Value::Null, Value::Bool),
        Type::Int | Type::Long => typing::long(raw).ok().flatten().map_or(Value::Null, Value::Long),
        Type::Real | Type::Decimal => typing::real(raw).ok().flatten().map_or(Value::Null, Value::Real),
        Type::DateTime => typing::datetime(raw).ok().flatten().map_or(Value::Null, Value::DateTime),
        Type::TimeSpan => typing::timespan(raw).ok().flatten().map_or(Value::Null, Value::TimeSpan),
        Type::String | Type::Guid => typing::string(raw, &mut buffer).map_or(Value::Null, Value::str),
        Type::Dynamic => typing::dynamic(raw, &mut buffer)
            .map_or(Value::Null, |t| serde_json::from_str(t).map_or(Value::str(t), Value::Dynamic)),
    }
}

/// A row of a relation: what its columns mean on one event.
#[derive(Clone)]
pub enum Row<'r> {
    /// The event itself, as a row of this scan.
    Event(&'r Rel),
    /// New columns; the others shine through if `keeps`.
    Columns { columns: &'r [(Name, Expr)], keeps: bool, below: Arc<Row<'r>> },
    /// Only these.
    Only { rel: &'r Rel, below: Arc<Row<'r>> },
    /// The label of a branch of a union.
    Label { name: &'r Name, label: String, below: Arc<Row<'r>> },
}

impl Row<'_> {
    fn get(&self, event: &Event<'_>, name: &str, ctx: &Context) -> Value {
        match self {
            Row::Event(scan) => {
                let declared = scan.schema.get(name).map(|c| c.ty);
                let hidden = hidden::ALL.iter().find(|(n, _)| *n == name).map(|(_, t)| *t);
                match declared.or(hidden) {
                    Some(ty) => event.value(name, ty),
                    None if scan.schema.open => event.value(name, Type::String),
                    None => Value::Null,
                }
            }
            Row::Columns { columns, keeps, below } => {
                match columns.iter().rev().find(|(n, _)| **n == *name) {
                    Some((_, e)) => below.eval(event, e, ctx).coerce(e.ty),
                    // Where an event came from travels with every row of it.
                    None if *keeps || hidden::is_hidden(name) => below.get(event, name, ctx),
                    None => Value::Null,
                }
            }
            Row::Only { rel, below } => {
                if rel.schema.get(name).is_some() || hidden::is_hidden(name) {
                    below.get(event, name, ctx)
                } else {
                    Value::Null
                }
            }
            Row::Label { name: n, label, below } => {
                if ***n == *name {
                    Value::str(label)
                } else {
                    below.get(event, name, ctx)
                }
            }
        }
    }

    fn eval(&self, event: &Event<'_>, e: &Expr, ctx: &Context) -> Value {
        e.eval(&|name| self.get(event, name, ctx), ctx)
    }
}

/// The rows that views give for one event, by the address of their shared bodies.
type Views<'r> = HashMap<*const Rel, Vec<Row<'r>>>;

/// Evaluates relations on events.
pub struct Dumb<'r> {
    rules: &'r [(usize, Rel)],
    ctx: Context,
    /// Which tables each rule reads, so that not every event is shown to all.
    tables: Vec<Vec<Name>>,
}

impl<'r> Dumb<'r> {
    pub fn new(rules: &'r [(usize, Rel)]) -> Dumb<'r> {
        Dumb { rules, ctx: Context::default(), tables: rules.iter().map(|(_, r)| r.tables()).collect() }
    }

    /// Calls `hit` with the number of every rule and how many rows it has for the event.
    pub fn event(&self, event: &Event<'_>, hit: &mut dyn FnMut(usize, usize)) {
        let mut views = Views::new();
        for ((id, rel), tables) in self.rules.iter().zip(&self.tables) {
            if tables.contains(event.table) {
                let n = self.rows(rel, event, &mut views).len();
                if n > 0 {
                    hit(*id, n);
                }
            }
        }
    }

    fn rows(&self, rel: &'r Rel, event: &Event<'_>, views: &mut Views<'r>) -> Vec<Row<'r>> {
        match &rel.kind {
            RelKind::Scan { table } if table == event.table => vec![Row::Event(rel)],
            RelKind::Scan { .. } => Vec::new(),
            RelKind::Values { rows } => {
                assert!(rows.is_empty(), "literal rows belong to no event");
                Vec::new()
            }
            RelKind::View { body, .. } => {
                let key = Arc::as_ptr(body);
                if let Some(known) = views.get(&key) {
                    return known.clone();
                }
                let rows = self.rows(body, event, views);
                views.insert(key, rows.clone());
                rows
            }
            RelKind::Filter { input, predicate } => {
                let mut rows = self.rows(input, event, views);
                rows.retain(|r| r.eval(event, predicate, &self.ctx).as_bool() == Some(true));
                rows
            }
            RelKind::Extend { input, columns } | RelKind::Project { input, columns } => {
                let keeps = matches!(rel.kind, RelKind::Extend { .. });
                let rows = self.rows(input, event, views).into_iter();
                rows.map(|r| Row::Columns { columns, keeps, below: Arc::new(r) }).collect()
            }
            RelKind::Union { inputs, tag } => {
                let mut out = Vec::new();
                for (i, input) in inputs.iter().enumerate() {
                    for r in self.rows(input, event, views) {
                        let below = Arc::new(r);
                        let only = Row::Only { rel: input, below: below.clone() };
                        let r = if input.schema.open { (*below).clone() } else { only };
                        out.push(match tag {
                            Some((name, labels)) => {
                                Row::Label { name, label: labels[i].clone(), below: Arc::new(r) }
                            }
                            None => r,
                        });
                    }
                }
                out
            }
            other => panic!("no single event decides {other:?}"),
        }
    }
}

/// Whether single events decide the rows of a relation.
pub fn is_of_single_events(rel: &Rel) -> bool {
    fn plain(e: &Expr) -> bool {
        use tercel_ir::ExprKind as K;
        !matches!(e.kind, K::Scalar(_) | K::InRelation { .. }) && e.children().into_iter().all(plain)
    }
    let here = match &rel.kind {
        RelKind::Aggregate { .. }
        | RelKind::Join { .. }
        | RelKind::Sort { .. }
        | RelKind::Limit { .. }
        | RelKind::Unnest { .. } => false,
        RelKind::Values { rows } => rows.is_empty(),
        _ => true,
    };
    here && rel.expressions().into_iter().all(plain) && rel.inputs().into_iter().all(is_of_single_events)
}

/// Takes the events of the readers.
struct Sink<'d, 'r> {
    dumb: &'d Dumb<'r>,
    /// Every so many events one is looked at.
    every: u64,
    seen: u64,
    looked: u64,
    source: String,
    layouts: Vec<(Name, HashMap<Name, usize>)>,
    hits: Hits,
}

impl LayoutSink for Sink<'_, '_> {
    type Out = (Hits, u64);
    fn source(&mut self, source: &Name) {
        self.source = source.to_string();
    }
    fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
        let mut index = HashMap::new();
        for (i, n) in names.iter().enumerate() {
            index.entry(n.clone()).or_insert(i);
        }
        self.layouts.push((table.clone(), index));
        Some(self.layouts.len() - 1)
    }
    fn event(&mut self, layout: usize, laid: &LaidOut<'_>) -> ControlFlow<()> {
        self.seen += 1;
        // The record decides, so that it is the same events whatever the threads and the units.
        if !laid.record.unsigned_abs().is_multiple_of(self.every) {
            return ControlFlow::Continue(());
        }
        self.looked += 1;
        let (table, names) = &self.layouts[layout];
        let event = Event { table, names, laid, source: &self.source };
        let hits = &mut self.hits;
        self.dumb.event(&event, &mut |rule, n| {
            *hits.entry((rule, event.source.to_string(), laid.record)).or_default() += n;
        });
        ControlFlow::Continue(())
    }
    fn take(&mut self) -> (Hits, u64) {
        (std::mem::take(&mut self.hits), std::mem::take(&mut self.looked))
    }
}

/// The hits of rules over the records whose number is a multiple of `every`, and how many events that was.
pub fn by_dumb(rules: &[(usize, Rel)], world: &World, every: u64) -> (Hits, u64) {
    let dumb = Dumb::new(rules);
    let schemas: &Schemas = world.catalog.schemas();
    let make = || Sink {
        dumb: &dumb,
        every,
        seen: 0,
        looked: 0,
        source: String::new(),
        layouts: Vec::new(),
        hits: Hits::new(),
    };
    let mut hits = Hits::new();
    let mut looked = 0;
    let mut deliver = |(found, n): (Hits, u64)| {
        looked += n;
        for (k, n) in found {
            *hits.entry(k).or_default() += n;
        }
        ControlFlow::Continue(())
    };
    world.inputs.feed(schemas, &make, &mut deliver, &Progress::new());
    (hits, looked)
}
