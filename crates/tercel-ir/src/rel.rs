//! Relations: what a query computes, as a tree of a dozen operators.

use crate::Name;
use crate::columns::Columns;
use crate::expr::Expr;
use crate::function::AggregateFunction;
use crate::span::Span;
use crate::types::{Domain, Type};
use crate::value::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A column of a relation.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: Name,
    pub ty: Type,
    /// What it can hold beyond its type, where known.
    pub domain: Option<Domain>,
}

impl Column {
    pub fn new(name: impl Into<Name>, ty: Type) -> Column {
        Column { name: name.into(), ty, domain: None }
    }
    #[must_use]
    pub fn with_domain(mut self, domain: Domain) -> Column {
        self.domain = Some(domain);
        self
    }
}

/// Columns in output order; names are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    pub columns: Columns,
    /// A reference to a column that is not listed is no error: the events may have it. Only scans of
    /// open tables and what passes all their columns on (filter, sort, …) are open. Such a reference
    /// is an [`ExprKind::Column`](crate::ExprKind) like any other; the engine asks the reader for it.
    pub open: bool,
}

impl Schema {
    pub fn new(columns: Vec<Column>) -> Schema {
        Schema { columns: columns.into(), open: false }
    }
    /// Exact name.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| &*c.name == name)
    }
    /// Exact name first, then ignoring ASCII case.
    pub fn get_ignore_case(&self, name: &str) -> Option<&Column> {
        self.get(name).or_else(|| self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)))
    }
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| &*c.name)
    }
}

/// A relation with its output columns.
#[derive(Clone, Debug)]
pub struct Rel {
    pub kind: RelKind,
    pub schema: Schema,
    pub span: Span,
}

/// How to sort by one key.
#[derive(Clone, Debug)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Kinds of join. For `InnerUnique` see the KQL reference: left rows are de-duplicated by key first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    Inner,
    InnerUnique,
    LeftOuter,
    RightOuter,
    FullOuter,
    LeftSemi,
    LeftAnti,
    RightSemi,
    RightAnti,
}

/// One aggregate of a group.
#[derive(Clone, Debug)]
pub struct Aggregation {
    pub function: &'static AggregateFunction,
    pub args: Vec<Expr>,
    /// Only rows for which this is true are seen (`countif` and its like).
    pub filter: Option<Expr>,
    pub ty: Type,
}

/// The relational operators.
#[derive(Clone, Debug)]
pub enum RelKind {
    /// Events of a table of the telemetry. `schema` lists the declared columns; see [`Schema::open`].
    Scan {
        table: Name,
    },
    /// A named view, already expanded: means exactly `body`. Kept for explanations. The body is shared:
    /// thousands of rules read the same few views.
    View {
        name: Name,
        body: Arc<Rel>,
    },
    /// Literal rows.
    Values {
        rows: Vec<Vec<Value>>,
    },
    /// Rows for which the predicate is true (not false, not null).
    Filter {
        input: Box<Rel>,
        predicate: Expr,
    },
    /// Input columns, with these added at the end, or replaced in place where the name exists. All
    /// expressions see the input row, not each other.
    Extend {
        input: Box<Rel>,
        columns: Vec<(Name, Expr)>,
    },
    /// Only these.
    Project {
        input: Box<Rel>,
        columns: Vec<(Name, Expr)>,
    },
    /// One row a distinct key (null is a key like any other), keys first. Without keys: exactly one row.
    Aggregate {
        input: Box<Rel>,
        keys: Vec<(Name, Expr)>,
        aggregations: Vec<(Name, Aggregation)>,
    },
    /// `on` pairs are equalities (left expression, right expression) under which null equals null.
    /// `condition`, if any, sees the columns of both sides (names are then distinct) and must be true too.
    /// Output: left columns, then right columns, renamed as `schema` says, position by position;
    /// semi and anti joins give one side's columns only.
    Join {
        left: Box<Rel>,
        right: Box<Rel>,
        kind: JoinKind,
        on: Vec<(Expr, Expr)>,
        condition: Option<Expr>,
    },
    /// All rows of all inputs; columns matched by name, absent ones null. `tag` adds a first column with
    /// the label of the input.
    Union {
        inputs: Vec<Rel>,
        tag: Option<(Name, Vec<String>)>,
    },
    Sort {
        input: Box<Rel>,
        keys: Vec<SortKey>,
    },
    /// At most `count` rows, after skipping `skip`.
    Limit {
        input: Box<Rel>,
        skip: u64,
        count: u64,
    },
    /// One row an element of each array in `columns` (zipped; the shorter padded with null); other columns
    /// repeated. A null array gives one row with null, an empty array none.
    Unnest {
        input: Box<Rel>,
        columns: Vec<Name>,
        index: Option<Name>,
    },
}

impl Rel {
    /// The inputs, in order.
    pub fn inputs(&self) -> Vec<&Rel> {
        match &self.kind {
            RelKind::Scan { .. } | RelKind::Values { .. } => vec![],
            RelKind::View { body, .. } => vec![body],
            RelKind::Filter { input: i, .. }
            | RelKind::Extend { input: i, .. }
            | RelKind::Project { input: i, .. }
            | RelKind::Aggregate { input: i, .. }
            | RelKind::Sort { input: i, .. }
            | RelKind::Limit { input: i, .. }
            | RelKind::Unnest { input: i, .. } => vec![i],
            RelKind::Join { left, right, .. } => vec![left, right],
            RelKind::Union { inputs, .. } => inputs.iter().collect(),
        }
    }
    /// The inputs, to change. A shared body of a view becomes this relation's own.
    pub fn inputs_mut(&mut self) -> Vec<&mut Rel> {
        match &mut self.kind {
            RelKind::Scan { .. } | RelKind::Values { .. } => vec![],
            RelKind::View { body, .. } => vec![Arc::make_mut(body)],
            RelKind::Filter { input: i, .. }
            | RelKind::Extend { input: i, .. }
            | RelKind::Project { input: i, .. }
            | RelKind::Aggregate { input: i, .. }
            | RelKind::Sort { input: i, .. }
            | RelKind::Limit { input: i, .. }
            | RelKind::Unnest { input: i, .. } => vec![i],
            RelKind::Join { left, right, .. } => vec![left, right],
            RelKind::Union { inputs, .. } => inputs.iter_mut().collect(),
        }
    }
    /// The expressions of this node itself.
    pub fn expressions(&self) -> Vec<&Expr> {
        match &self.kind {
            RelKind::Filter { predicate, .. } => vec![predicate],
            RelKind::Extend { columns, .. } | RelKind::Project { columns, .. } => {
                columns.iter().map(|c| &c.1).collect()
            }
            RelKind::Aggregate { keys, aggregations, .. } => keys
                .iter()
                .map(|k| &k.1)
                .chain(aggregations.iter().flat_map(|(_, a)| a.args.iter().chain(a.filter.as_ref())))
                .collect(),
            RelKind::Join { on, condition, .. } => {
                on.iter().flat_map(|(l, r)| [l, r]).chain(condition.as_ref()).collect()
            }
            RelKind::Sort { keys, .. } => keys.iter().map(|k| &k.expr).collect(),
            _ => vec![],
        }
    }
    /// The expressions of this node itself, to change.
    pub fn expressions_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            RelKind::Filter { predicate, .. } => vec![predicate],
            RelKind::Extend { columns, .. } | RelKind::Project { columns, .. } => {
                columns.iter_mut().map(|c| &mut c.1).collect()
            }
            RelKind::Aggregate { keys, aggregations, .. } => keys
                .iter_mut()
                .map(|k| &mut k.1)
                .chain(aggregations.iter_mut().flat_map(|(_, a)| a.args.iter_mut().chain(a.filter.as_mut())))
                .collect(),
            RelKind::Join { on, condition, .. } => {
                on.iter_mut().flat_map(|(l, r)| [l, r]).chain(condition.as_mut()).collect()
            }
            RelKind::Sort { keys, .. } => keys.iter_mut().map(|k| &mut k.expr).collect(),
            _ => vec![],
        }
    }
    /// Names of the tables scanned, each once, in order of first appearance (also inside expressions).
    pub fn tables(&self) -> Vec<Name> {
        fn expr(e: &Expr, out: &mut Vec<Name>) {
            match &e.kind {
                crate::ExprKind::Scalar(r) => rel(r, out),
                crate::ExprKind::InRelation { relation, .. } => rel(relation, out),
                _ => {}
            }
            e.parts().for_each(|c| expr(c, out));
        }
        fn rel(r: &Rel, out: &mut Vec<Name>) {
            if let RelKind::Scan { table } = &r.kind
                && !out.contains(table)
            {
                out.push(table.clone());
            }
            r.expressions().into_iter().for_each(|e| expr(e, out));
            r.inputs().into_iter().for_each(|i| rel(i, out));
        }
        let mut out = Vec::new();
        rel(self, &mut out);
        out
    }

    /// Rows for which `predicate` is true.
    pub fn filter(self, predicate: Expr, span: Span) -> Rel {
        Rel { schema: self.schema.clone(), kind: RelKind::Filter { input: Box::new(self), predicate }, span }
    }
    /// Adds or replaces columns. A bare column reference keeps its domain.
    pub fn extend(self, columns: Vec<(Name, Expr)>, span: Span) -> Rel {
        let mut schema = self.schema.clone();
        for (name, e) in &columns {
            let c = output_column(&self.schema, name, e);
            match schema.columns.iter_mut().find(|x| x.name == *name) {
                Some(old) => *old = c,
                None => schema.columns.push(c),
            }
        }
        Rel { schema, kind: RelKind::Extend { input: Box::new(self), columns }, span }
    }
    /// Only these columns.
    pub fn project(self, columns: Vec<(Name, Expr)>, span: Span) -> Rel {
        let schema = Schema::new(columns.iter().map(|(n, e)| output_column(&self.schema, n, e)).collect());
        Rel { schema, kind: RelKind::Project { input: Box::new(self), columns }, span }
    }
    /// At most `count` rows.
    pub fn limit(self, count: u64, span: Span) -> Rel {
        Rel {
            schema: self.schema.clone(),
            kind: RelKind::Limit { input: Box::new(self), skip: 0, count },
            span,
        }
    }
    /// In order.
    pub fn sort(self, keys: Vec<SortKey>, span: Span) -> Rel {
        Rel { schema: self.schema.clone(), kind: RelKind::Sort { input: Box::new(self), keys }, span }
    }
    /// Groups.
    pub fn aggregate(
        self,
        keys: Vec<(Name, Expr)>,
        aggregations: Vec<(Name, Aggregation)>,
        span: Span,
    ) -> Rel {
        let mut columns: Vec<Column> = keys.iter().map(|(n, e)| output_column(&self.schema, n, e)).collect();
        columns.extend(aggregations.iter().map(|(n, a)| Column::new(n.clone(), a.ty)));
        Rel {
            schema: Schema::new(columns),
            kind: RelKind::Aggregate { input: Box::new(self), keys, aggregations },
            span,
        }
    }
    /// All rows of all inputs, columns by name in order of first appearance. Where two inputs give one
    /// name different types, the caller must have settled that before.
    pub fn union(inputs: Vec<Rel>, span: Span) -> Rel {
        let (mut columns, mut open): (Vec<Column>, bool) = (Vec::new(), false);
        for i in &inputs {
            open |= i.schema.open;
            for c in &i.schema.columns {
                match columns.iter_mut().find(|x| x.name == c.name) {
                    None => columns.push(c.clone()),
                    Some(x) => x.domain = union_domain(x.domain.take(), c.domain.as_ref()),
                }
            }
        }
        let schema = Schema { columns: columns.into(), open };
        Rel { schema, kind: RelKind::Union { inputs, tag: None }, span }
    }
    /// No rows, with these columns.
    pub fn empty(schema: Schema, span: Span) -> Rel {
        Rel { schema: Schema { open: false, ..schema }, kind: RelKind::Values { rows: vec![] }, span }
    }
}

/// The smallest domain that holds both; no domain (anything) where that is not known.
fn union_domain(a: Option<Domain>, b: Option<&Domain>) -> Option<Domain> {
    match (a?, b?) {
        (Domain::Never, d) => Some(d.clone()),
        (d, Domain::Never) => Some(d),
        (Domain::Values { values: x, closed: cx }, Domain::Values { values: y, closed: cy }) => {
            let mut v = x.to_vec();
            v.extend(y.iter().filter(|s| !x.contains(s)).cloned());
            Some(Domain::Values { values: v.into(), closed: cx && *cy })
        }
        (Domain::Range { from: a, to: b }, Domain::Range { from: c, to: d }) => {
            Some(Domain::Range { from: a.min(*c), to: b.max(*d) })
        }
        (x, y) if x == *y => Some(x),
        _ => None,
    }
}

fn output_column(input: &Schema, name: &Name, e: &Expr) -> Column {
    Column { name: name.clone(), ty: e.ty, domain: domain_of(input, e) }
}

/// The domain of an expression, where it follows from its parts: a column's own, a literal's value,
/// the union over the branches of a case.
pub fn domain_of(input: &Schema, e: &Expr) -> Option<Domain> {
    use crate::ExprKind as K;
    match &e.kind {
        K::Column(c) => input.get(c).and_then(|c| c.domain.clone()),
        K::Literal(Value::Null) => Some(Domain::Never),
        K::Literal(Value::Str(s)) if s.is_empty() => Some(Domain::Never),
        K::Literal(Value::Str(s)) => Some(Domain::Values { values: [s.clone()].into(), closed: true }),
        K::Literal(Value::Long(n)) => Some(Domain::Range { from: *n, to: *n }),
        K::Case { branches, otherwise } => {
            let mut d = domain_of(input, otherwise)?;
            for (_, t) in branches {
                d = union_domain(Some(d), domain_of(input, t).as_ref())?;
            }
            Some(d)
        }
        K::Call(f, _) if f.name == "basename" => Some(Domain::FileName),
        _ => None,
    }
}

impl Rel {
    /// Whether `now()` stands anywhere in it.
    fn asks_now(&self) -> bool {
        fn expr(e: &Expr) -> bool {
            match &e.kind {
                crate::ExprKind::Call(f, _) if f.name == "now" => return true,
                crate::ExprKind::Scalar(r) if r.asks_now() => return true,
                crate::ExprKind::InRelation { relation, .. } if relation.asks_now() => return true,
                _ => {}
            }
            e.parts().any(expr)
        }
        self.expressions().into_iter().any(expr) || self.inputs().into_iter().any(Rel::asks_now)
    }

    /// Replaces every `now()` by a literal; `true` if there was one.
    pub fn fold_now(&mut self, ticks: i64) -> bool {
        // A shared view stays shared unless there is something to replace.
        if let RelKind::View { body, .. } = &self.kind
            && !body.asks_now()
        {
            return false;
        }
        fn expr(e: &mut Expr, ticks: i64) -> bool {
            match &mut e.kind {
                crate::ExprKind::Call(f, _) if f.name == "now" => {
                    e.kind = crate::ExprKind::Literal(Value::DateTime(ticks));
                    return true;
                }
                crate::ExprKind::Scalar(r) => return std::sync::Arc::make_mut(r).fold_now(ticks),
                crate::ExprKind::InRelation { value, relation, .. } => {
                    return std::sync::Arc::make_mut(relation).fold_now(ticks) | expr(value, ticks);
                }
                _ => {}
            }
            e.children_mut().into_iter().fold(false, |any, c| expr(c, ticks) | any)
        }
        let mut any = self.expressions_mut().into_iter().fold(false, |any, e| expr(e, ticks) | any);
        for i in self.inputs_mut() {
            any |= i.fold_now(ticks);
        }
        any
    }
}

/// Asks many relations whether some expression of theirs, also inside other relations, passes a test. Each
/// body of a view is looked through once: thousands of rules read the same few.
pub struct Asks<F> {
    test: F,
    /// By address; the bodies are kept so that each address stays that of its body.
    views: HashMap<usize, (Arc<Rel>, bool)>,
}

impl<F: Fn(&Expr) -> bool> Asks<F> {
    /// With this test.
    pub fn new(test: F) -> Asks<F> {
        Asks { test, views: HashMap::new() }
    }

    /// Whether an expression of the relation passes.
    pub fn of(&mut self, rel: &Rel) -> bool {
        if let RelKind::View { body, .. } = &rel.kind {
            let address = Arc::as_ptr(body) as usize;
            if let Some((_, known)) = self.views.get(&address) {
                return *known;
            }
            let found = self.of(body);
            self.views.insert(address, (body.clone(), found));
            return found;
        }
        rel.expressions().into_iter().any(|e| self.expr(e)) || rel.inputs().into_iter().any(|i| self.of(i))
    }

    fn expr(&mut self, e: &Expr) -> bool {
        (self.test)(e)
            || match &e.kind {
                crate::ExprKind::Scalar(r) => self.of(r),
                crate::ExprKind::InRelation { relation, .. } => self.of(relation),
                _ => false,
            }
            || e.parts().any(|p| self.expr(p))
    }
}
