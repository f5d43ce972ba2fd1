//! What a detection can still do when only some tables, and only some kinds of events, are there.

use crate::detection::Detection;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tercel_ir::{Domain, Expr, ExprKind, Name, Rel, RelKind, Schema, Span, Value};

/// Tables that hold events of many kinds, and the column that says which.
const KINDS: [(&str, &str); 3] =
    [("Sysmon", "EventID"), ("SecurityEvent", "EventID"), ("WindowsEvents", "Channel")];

/// With more kinds than this in one table (hostile data, or a column that is no kind), nothing is said of them.
const MAX_KINDS: usize = 500;

/// What some data holds: its tables, and the kinds of events in those that have several.
pub struct Evidence<'a> {
    present: &'a dyn Fn(&str) -> bool,
    kinds: HashMap<Name, Kinds>,
    views: RefCell<HashMap<*const Rel, View>>,
    reach: RefCell<tercel_verify::Reach>,
    /// Tables that views read, by the address of their bodies, which are kept.
    tables: RefCell<HashMap<*const Rel, Read>>,
}

/// The body of a view, and the tables that it reads.
type Read = (Arc<Rel>, Vec<Name>);

/// A view over this data. Thousands of rules read the same few.
struct View {
    /// What it is of: kept, so that its address stays its own.
    _body: Arc<Rel>,
    here: Arc<Rel>,
    /// The columns under which it was last referred to, and what they hold here.
    shaped: Option<(Schema, Schema)>,
    /// Tables of which it turned out that no event of theirs gets through.
    shut_out: BTreeSet<Name>,
}

/// The kinds of events that were seen in a table.
struct Kinds {
    column: &'static str,
    seen: Vec<Value>,
    /// The schema of the table's scan under each of them; made when the first scan is met.
    schemas: RefCell<Vec<Schema>>,
}

impl<'a> Evidence<'a> {
    /// `present` says whether a table has events.
    pub fn new(present: &'a dyn Fn(&str) -> bool) -> Evidence<'a> {
        Evidence {
            present,
            kinds: HashMap::new(),
            views: RefCell::default(),
            reach: RefCell::default(),
            tables: RefCell::default(),
        }
    }

    /// The column that says of which kind an event of this table is.
    pub fn kind_column(table: &str) -> Option<&'static str> {
        KINDS.iter().find(|(t, _)| *t == table).map(|(_, c)| *c)
    }

    /// Whether that column holds numbers.
    pub fn kind_is_number(table: &str) -> bool {
        Evidence::kind_column(table) == Some("EventID")
    }

    /// Questions to the data whose answers are the kinds of events: for each of the tables that has kinds
    /// and that these plans read, a relation with one column.
    pub fn questions(plans: &[&Rel]) -> Vec<(Name, Rel)> {
        let read: BTreeSet<Name> = plans.iter().flat_map(|r| r.tables()).collect();
        let scan = |table: &Name, column: &str| {
            let scan = plans.iter().find_map(|r| scan_of(r, table))?;
            let key = scan.schema.get(column)?;
            let key = (key.name.clone(), Expr::column(key.name.clone(), key.ty, Span::default()));
            Some((table.clone(), scan.clone().aggregate(vec![key], Vec::new(), Span::default())))
        };
        let of = |(table, column): &(&str, &str)| scan(read.get(*table)?, column);
        KINDS.iter().filter_map(of).collect()
    }

    /// An answer to a question.
    pub fn saw(&mut self, table: &Name, kind: Value) {
        let Some((_, column)) = KINDS.iter().find(|(t, _)| *t == &**table) else { return };
        let new = || Kinds { column, seen: Vec::new(), schemas: RefCell::default() };
        let kinds = self.kinds.entry(table.clone()).or_insert_with(new);
        if kinds.seen.len() <= MAX_KINDS {
            kinds.seen.push(kind);
        }
        self.views.borrow_mut().clear();
        kinds.schemas.borrow_mut().clear();
    }

    /// Names of the tables that a relation reads, each once.
    fn tables(&self, rel: &Rel) -> Vec<Name> {
        let mut out = Vec::new();
        self.add_tables(rel, &mut out);
        out
    }

    fn add_tables(&self, rel: &Rel, out: &mut Vec<Name>) {
        let add = |name: &Name| {
            if !out.contains(name) {
                out.push(name.clone());
            }
        };
        match &rel.kind {
            RelKind::View { body, .. } => {
                let address = Arc::as_ptr(body);
                if let Some((_, known)) = self.tables.borrow().get(&address) {
                    return known.iter().for_each(add);
                }
                let own = body.tables();
                own.iter().for_each(add);
                self.tables.borrow_mut().insert(address, (body.clone(), own));
            }
            RelKind::Filter { input, predicate } if !asks_relations(predicate) => {
                self.add_tables(input, out);
            }
            _ => rel.tables().iter().for_each(add),
        }
    }

    /// Whether filters on a scan let no kind of event through that was seen.
    fn shut_out(&self, predicates: &[&Expr], table: &Name, schema: &Schema) -> bool {
        let Some(kinds) = self.kinds.get(table).filter(|k| k.seen.len() <= MAX_KINDS) else { return false };
        let mut schemas = kinds.schemas.borrow_mut();
        if schemas.is_empty() {
            schemas.extend(kinds.seen.iter().map(|k| with_kind(schema, kinds.column, k)));
        }
        let passes = |s: &Schema| !predicates.iter().any(|p| tercel_verify::outcomes(p, s).never_true());
        !schemas.iter().any(passes)
    }
}

/// The first scan of a table in a relation.
fn scan_of<'r>(rel: &'r Rel, table: &str) -> Option<&'r Rel> {
    match &rel.kind {
        RelKind::Scan { table: t } => (**t == *table).then_some(rel),
        _ => rel.inputs().into_iter().find_map(|i| scan_of(i, table)),
    }
}

/// A table's columns when all its events are of one kind.
fn with_kind(schema: &Schema, column: &str, kind: &Value) -> Schema {
    let domain = match kind {
        Value::Long(n) => Some(Domain::Range { from: *n, to: *n }),
        Value::Str(s) if !s.is_empty() => Some(Domain::Values { values: [s.clone()].into(), closed: true }),
        Value::Null => Some(Domain::Never),
        _ => None,
    };
    let mut schema = schema.clone();
    if let (Some(c), Some(domain)) = (schema.columns.iter_mut().find(|c| &*c.name == column), domain) {
        c.domain = Some(domain);
    }
    schema
}

impl Detection {
    /// Why the compiled detection cannot fire on this data, in words; `None` when it may.
    pub fn unable(&self, data: &Evidence<'_>) -> Option<String> {
        match &self.never {
            Some(d) => Some(format!("it can never fire, on any data: {}", d.message)),
            None => unable(self.rel.as_ref()?, data),
        }
    }
}

/// Whether an expression reads other relations.
fn asks_relations(e: &Expr) -> bool {
    matches!(e.kind, ExprKind::Scalar(_) | ExprKind::InRelation { .. }) || e.parts().any(asks_relations)
}

fn unable(rel: &Rel, data: &Evidence<'_>) -> Option<String> {
    let tables = data.tables(rel);
    let names =
        |there: bool| tables.iter().map(|t| &**t).filter(|t| (data.present)(t) == there).collect::<Vec<_>>();
    let (there, absent) = (names(true), names(false));
    if there.is_empty() && !absent.is_empty() {
        return Some(format!("no events of {}", list(&absent)));
    }
    let shut_out = RefCell::default();
    let here = Here { data, shut_out: &shut_out };
    if !here.is_fed_nothing(rel) {
        let d = match &rel.kind {
            // Of a rule over a view only the view differs with the data.
            RelKind::Filter { input, predicate }
                if matches!(input.kind, RelKind::View { .. }) && !asks_relations(predicate) =>
            {
                data.reach.borrow_mut().never_passes(&on_data(input, &here), predicate)?
            }
            _ => data.reach.borrow_mut().never_fires(&on_data(rel, &here))?,
        };
        if d.code != "no-rows" {
            return Some(format!("over {}: {}", list(&there), d.message));
        }
    }
    let mut why: Vec<String> = shut_out
        .take()
        .iter()
        .filter_map(|t| {
            let kinds = data.kinds.get(t)?;
            Some(format!(
                "no events of {t} with the {} that it reads (there is only {})",
                kinds.column,
                seen(&kinds.seen)
            ))
        })
        .collect();
    if !absent.is_empty() {
        why.push(format!("no events of {}", list(&absent)));
    }
    Some(why.join("; "))
}

/// Kinds for people.
fn seen(kinds: &[Value]) -> String {
    const SHOWN: usize = 8;
    let mut kinds: Vec<&Value> = kinds.iter().collect();
    kinds.sort_by_key(|k| (k.as_i64(), k.to_text()));
    let text: Vec<String> = kinds.iter().take(SHOWN).map(|k| k.to_text()).collect();
    let rest = if kinds.len() > SHOWN { format!(" and {} more", kinds.len() - SHOWN) } else { String::new() };
    format!("{}{rest}", text.join(", "))
}

/// The data, and the tables of which it turned out that no event of theirs gets through.
struct Here<'a> {
    data: &'a Evidence<'a>,
    shut_out: &'a RefCell<BTreeSet<Name>>,
}

impl Here<'_> {
    fn view(&self, body: &Arc<Rel>) -> Arc<Rel> {
        let address = Arc::as_ptr(body);
        let views = &self.data.views;
        if let Some(v) = views.borrow().get(&address) {
            self.shut_out.borrow_mut().extend(v.shut_out.iter().cloned());
            return v.here.clone();
        }
        let shut_out = RefCell::default();
        let here = Arc::new(on_data(body, &Here { data: self.data, shut_out: &shut_out }));
        let shut_out = shut_out.take();
        self.shut_out.borrow_mut().extend(shut_out.iter().cloned());
        views
            .borrow_mut()
            .insert(address, View { _body: body.clone(), here: here.clone(), shaped: None, shut_out });
        here
    }

    /// What columns of a view hold here.
    fn columns(&self, body: &Arc<Rel>, before: &Schema) -> Schema {
        let here = self.view(body);
        let mut views = self.data.views.borrow_mut();
        let known = views.get_mut(&Arc::as_ptr(body));
        match known.as_ref().and_then(|v| v.shaped.as_ref()) {
            Some((b, now)) if b.columns.same(&before.columns) && b.open == before.open => now.clone(),
            _ => {
                let now = shaped(before, &here.schema);
                if let Some(v) = known {
                    v.shaped = Some((before.clone(), now.clone()));
                }
                now
            }
        }
    }

    /// Whether a relation only filters a view that nothing of this data gets through, which most rules do
    /// on a little data; what it asks need not be looked at then.
    fn is_fed_nothing(&self, rel: &Rel) -> bool {
        match &rel.kind {
            RelKind::Filter { input, .. } => self.is_fed_nothing(input),
            RelKind::View { body, .. } => is_empty(&self.view(body)),
            _ => false,
        }
    }

    fn present(&self, table: &str) -> bool {
        (self.data.present)(table)
    }

    /// Whether `rel` is a scan under filters that no event of this data passes, because of its kind.
    fn is_shut_out(&self, rel: &Rel) -> bool {
        let mut predicates = Vec::new();
        let mut at = rel;
        while let RelKind::Filter { input, predicate } = &at.kind {
            predicates.push(predicate);
            at = input;
        }
        let RelKind::Scan { table } = &at.kind else { return false };
        let dead = self.present(table) && self.data.shut_out(&predicates, table, &at.schema);
        if dead {
            self.shut_out.borrow_mut().insert(table.clone());
        }
        dead
    }
}

fn list(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    match names {
        [] => "any table".into(),
        [one] => (*one).to_string(),
        many if many.len() <= SHOWN => {
            format!("{} or {}", many[..many.len() - 1].join(", "), many[many.len() - 1])
        }
        many => format!("{} or {} others", many[..SHOWN - 1].join(", "), many.len() - SHOWN + 1),
    }
}

/// The same relation with absent tables as empty ones, so that the domains of columns become those of
/// the tables that are there. Shapes do not change: the same columns in the same order.
fn on_data(rel: &Rel, here: &Here<'_>) -> Rel {
    let span = rel.span;
    let again = |input: &Rel| on_data(input, here);
    let expr = |e: &Expr| inside(e, here);
    let named =
        |columns: &[(tercel_ir::Name, Expr)]| columns.iter().map(|(n, e)| (n.clone(), expr(e))).collect();
    let mut out = match &rel.kind {
        RelKind::Filter { .. } if here.is_shut_out(rel) => Rel::empty(rel.schema.clone(), span),
        RelKind::Scan { table } if !here.present(table) => Rel::empty(rel.schema.clone(), span),
        RelKind::Scan { .. } | RelKind::Values { .. } => return rel.clone(),
        RelKind::View { name, body } => {
            let schema = here.columns(body, &rel.schema);
            let kind = RelKind::View { name: name.clone(), body: here.view(body) };
            return Rel { kind, schema, span };
        }
        RelKind::Filter { input, predicate } => again(input).filter(expr(predicate), span),
        RelKind::Extend { input, columns } => again(input).extend(named(columns), span),
        RelKind::Project { input, columns } => again(input).project(named(columns), span),
        RelKind::Union { inputs, tag: None } => {
            let alive: Vec<Rel> = inputs.iter().map(again).filter(|r| !is_empty(r)).collect();
            if alive.is_empty() { Rel::empty(rel.schema.clone(), span) } else { Rel::union(alive, span) }
        }
        _ => {
            let mut copy = rel.clone();
            copy.inputs_mut().into_iter().for_each(|i| *i = on_data(i, here));
            copy.expressions_mut().into_iter().for_each(|e| *e = expr(e));
            if let RelKind::Sort { input, .. } | RelKind::Limit { input, .. } = &copy.kind {
                copy.schema = input.schema.clone();
            }
            copy
        }
    };
    // Most operators pass the columns of their input on, which have been given their domains there.
    let passed_on = matches!(&rel.kind, RelKind::Filter { input, .. }
        if rel.schema.columns.same(&input.schema.columns) && !matches!(out.kind, RelKind::Values { .. }));
    if passed_on {
        out.schema.open &= rel.schema.open;
    } else {
        out.schema = shaped(&rel.schema, &out.schema);
    }
    out
}

/// Columns of `before` with the domains of `after`. One that no present table has is never filled.
fn shaped(before: &Schema, after: &Schema) -> Schema {
    let by_name: HashMap<&str, &Option<Domain>> =
        after.columns.iter().map(|c| (&*c.name, &c.domain)).rev().collect();
    let columns = before.columns.iter().map(|c| {
        let mut c = c.clone();
        c.domain = match by_name.get(&*c.name) {
            Some(domain) => (*domain).clone(),
            None if after.open => c.domain,
            None => Some(Domain::Never),
        };
        c
    });
    Schema { columns: columns.collect(), open: before.open && after.open }
}

/// Whether a relation has no rows because nothing feeds it.
fn is_empty(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Values { rows } => rows.is_empty(),
        RelKind::View { body, .. } => is_empty(body),
        RelKind::Filter { input, .. }
        | RelKind::Extend { input, .. }
        | RelKind::Project { input, .. }
        | RelKind::Sort { input, .. }
        | RelKind::Limit { input, .. }
        | RelKind::Unnest { input, .. } => is_empty(input),
        RelKind::Union { inputs, .. } => inputs.iter().all(is_empty),
        RelKind::Scan { .. } | RelKind::Aggregate { .. } | RelKind::Join { .. } => false,
    }
}

fn inside(e: &Expr, here: &Here<'_>) -> Expr {
    let mut e = e.clone();
    match &mut e.kind {
        ExprKind::Scalar(r) => *r = std::sync::Arc::new(on_data(r, here)),
        ExprKind::InRelation { relation, .. } => *relation = std::sync::Arc::new(on_data(relation, here)),
        _ => {}
    }
    e.children_mut().into_iter().for_each(|c| *c = inside(c, here));
    e
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tercel_ir::{Column, Type};

    fn scan(table: &str, columns: Vec<Column>) -> Rel {
        Rel {
            kind: RelKind::Scan { table: table.into() },
            schema: Schema::new(columns),
            span: Span::default(),
        }
    }

    /// `a` holds the command line, `b` does not.
    fn view() -> Rel {
        let at = Span::default();
        let text = |n: &str| Column::new(n, Type::String);
        let a = scan("a", vec![text("Image"), text("CommandLine")]);
        let b = scan("b", vec![text("Image")])
            .extend(vec![("CommandLine".into(), Expr::null(Type::String, at))], at);
        let body = Rel::union(vec![a, b], at);
        Rel {
            schema: body.schema.clone(),
            kind: RelKind::View { name: "v".into(), body: std::sync::Arc::new(body) },
            span: at,
        }
    }

    fn rule(column: &str) -> Rel {
        let at = Span::default();
        let predicate = Expr::known(
            "eq",
            vec![Expr::column(column, Type::String, at), Expr::literal(Value::str("x"), at)],
            at,
        );
        view().filter(predicate, at)
    }

    fn over(rel: &Rel, tables: &[&str]) -> Option<String> {
        unable(rel, &Evidence::new(&|t| tables.contains(&t)))
    }

    #[test]
    fn missing_tables_and_columns_are_named() {
        assert_eq!(over(&rule("Image"), &["a"]), None);
        assert_eq!(over(&rule("CommandLine"), &["a", "b"]), None);
        assert_eq!(over(&rule("Image"), &[]).unwrap(), "no events of a or b");
        let why = over(&rule("CommandLine"), &["b"]).unwrap();
        assert!(why.starts_with("over b: "), "{why}");
    }

    #[test]
    fn values_that_do_not_occur_are_named() {
        let at = Span::default();
        let mut c = Column::new("d", Type::String);
        c.domain = Some(Domain::Values { values: Arc::from(["in".to_string()]), closed: true });
        let predicate = Expr::known(
            "eq",
            vec![Expr::column("d", Type::String, at), Expr::literal(Value::str("true"), at)],
            at,
        );
        let why = over(&scan("a", vec![c]).filter(predicate, at), &["a"]).unwrap();
        assert!(why.starts_with("over a: "), "{why}");
    }

    #[test]
    fn kinds_of_events_that_are_not_there() {
        let at = Span::default();
        let id = |n: i64| {
            let args = vec![Expr::column("EventID", Type::Long, at), Expr::literal(Value::Long(n), at)];
            scan("Sysmon", vec![Column::new("EventID", Type::Long)]).filter(Expr::known("eq", args, at), at)
        };
        let present = |t: &str| t == "Sysmon";
        let mut data = Evidence::new(&present);
        assert_eq!(unable(&id(1), &data), None, "nothing is known of kinds");
        for n in [22, 3] {
            data.saw(&"Sysmon".into(), Value::Long(n));
        }
        assert_eq!(unable(&id(3), &data), None);
        let why = unable(&id(1), &data).unwrap();
        assert_eq!(why, "no events of Sysmon with the EventID that it reads (there is only 3, 22)");
        assert_eq!(unable(&Rel::union(vec![id(1), id(22)], at), &data), None);
    }
}
