//! The form in the middle: a predicate over the fields of a Sigma log source.

use crate::asks::Detection;
use crate::facts::Facts;
use crate::flat::{Flat, flatten, substitute, tables};
use crate::logic::{as_bool, tidy, two_valued};
use crate::out::{Effect, Loss};
use crate::rewrite::{Rewriter, call, signed, with_sign};
use crate::tree::same;
use std::collections::BTreeSet;
use tercel_ir::function::Context;
use tercel_ir::{Catalog, Diagnostic, Expr, ExprKind, Name, Rel, Type, Value};
use tercel_schema::{EntryKind, SchemaCatalog, Source};

/// The table whose names Sigma's Windows categories use.
pub(crate) const SYSMON: &str = "Sysmon";

/// A predicate over a log source.
pub(crate) struct Hub {
    pub source: Source,
    /// The log source's relation.
    pub rel: Rel,
    /// In two-valued form.
    pub predicate: Expr,
    pub losses: Vec<Loss>,
    pub notes: Vec<String>,
    pub assumptions: BTreeSet<&'static str>,
    /// As predicates over the table that the detection was defined by.
    pub taken: Vec<Expr>,
    /// The detection over its own table or view, where that is no log source.
    pub own: Option<(Flat, Expr)>,
    /// Whether it reads fields that Sysmon does not have.
    pub beyond: bool,
    /// Where nothing is left of it among Sysmon's events: which conditions make it so.
    pub cause: Option<String>,
}

impl Hub {
    pub fn from(detection: &Detection<'_>, catalog: &SchemaCatalog) -> Result<Hub, Diagnostic> {
        let flat = flatten(detection.rel, None)?;
        let all = Expr::and(flat.conditions.clone(), detection.rel.span);
        let whole = two_valued(&all, true)?;
        let timeless = without_time_range(flat.conditions.clone());
        let ranged = timeless.len() < conjuncts(flat.conditions.clone()).len();
        let predicate = two_valued(&Expr::and(timeless, detection.rel.span), true)?;
        let notes = flat.notes.clone();
        let losses: Vec<Loss> = ranged.then(time_range).into_iter().collect();
        if let Some(source) = catalog.source_of(&flat.base) {
            let rel = relation(catalog, &flat.base)?;
            return Ok(Hub {
                source: source.clone(),
                rel,
                predicate,
                losses,
                notes,
                assumptions: BTreeSet::new(),
                taken: Vec::new(),
                beyond: false,
                own: None,
                cause: None,
            });
        }
        // Another vocabulary: its columns are defined over Sysmon's, or it is a table itself.
        let base = relation(catalog, &flat.base)?;
        let through = flatten(&base, Some(SYSMON)).map_err(|_| {
            Diagnostic::error(
                "no-counterpart",
                format!("`{}` has no counterpart among Sysmon's events, whose fields Sigma uses", flat.base),
            )
        });
        let mut through = match through {
            Ok(t) => t,
            Err(d) => return Hub::own_table(&flat, predicate, whole, catalog, notes, losses).ok_or(d),
        };
        // Sigma's log sources are Windows' here.
        through.conditions.push(provider());
        let beyond = add_renamed(&mut through, &flat.base, catalog);
        let mut losses = losses;
        losses.extend(other_sources(&flat.base, &predicate));
        let own = Some((flat, whole));
        let mut t = Translation::new(&through, "Sysmon", true);
        t.losses = losses;
        let wanted = predicate;
        let predicate = t.translate(&wanted)?;
        let losses = std::mem::take(&mut t.losses);
        let cause = as_bool(&predicate).and_then(|b| crate::cause::cause(&mut t, &wanted, b));
        let rewriter = t.rewriter;
        let said = provider();
        let predicate = match predicate.kind {
            ExprKind::And(items) => {
                Expr::and(items.into_iter().filter(|i| !same(i, &said)).collect(), predicate.span)
            }
            _ => predicate,
        };
        let mut read = Vec::new();
        predicate.columns(&mut read);
        let beyond = read.iter().any(|c| beyond.contains(&c.0));
        let (source, predicate) = choose(&predicate, catalog)?;
        let mut taken: Vec<Expr> = rewriter.taken.into_values().collect();
        taken.push(provider());
        let rel = catalog.log_source(tercel_ir::catalog::LogSource {
            category: source.category.as_deref(),
            product: source.product.as_deref(),
            service: source.service.as_deref(),
        })?;
        Ok(Hub {
            source,
            rel,
            predicate,
            losses,
            notes,
            assumptions: rewriter.assumptions,
            taken,
            beyond,
            own,
            cause,
        })
    }

    /// Of a table's rows of several kinds, which are in different categories of Sigma, those of the kind that
    /// the table is there for. `None` where nothing has to be left out.
    pub fn in_one_category(&self, catalog: &SchemaCatalog) -> Option<Hub> {
        let table = &self.own.as_ref()?.0.base;
        let id = match &**table {
            "DeviceFileEvents" => 11,
            _ => return None,
        };
        if self.source.category.is_some() || !event_ids(&self.predicate)?.contains(&id) {
            return None;
        }
        let at = self.predicate.span;
        let kind = Expr::known(
            "eq",
            vec![Expr::column("EventID", Type::Long, at), Expr::literal(Value::Long(id), at)],
            at,
        );
        let items = match &self.predicate.kind {
            ExprKind::And(items) => items.clone(),
            _ => vec![self.predicate.clone()],
        };
        let mut all: Vec<Expr> = items.into_iter().filter(|i| event_ids(i).is_none()).collect();
        all.insert(0, kind);
        let (source, predicate) = choose(&Expr::and(all, at), catalog).ok()?;
        source.category.as_ref()?;
        let wanted = tercel_ir::catalog::LogSource {
            category: source.category.as_deref(),
            product: source.product.as_deref(),
            service: source.service.as_deref(),
        };
        let rel = catalog.log_source(wanted).ok()?;
        Some(Hub {
            source,
            rel,
            predicate,
            losses: Vec::new(),
            notes: Vec::new(),
            assumptions: BTreeSet::new(),
            taken: self.taken.clone(),
            own: self.own.clone(),
            beyond: self.beyond,
            cause: None,
        })
    }

    /// A table that is a log source by itself, such as `SecurityEvent`.
    fn own_table(
        flat: &Flat,
        predicate: Expr,
        whole: Expr,
        catalog: &SchemaCatalog,
        notes: Vec<String>,
        losses: Vec<Loss>,
    ) -> Option<Hub> {
        let service = match &*flat.base {
            "SecurityEvent" => "security",
            _ => return None,
        };
        let source =
            Source { category: None, product: Some("windows".into()), service: Some(service.into()) };
        let wanted = tercel_ir::catalog::LogSource {
            category: None,
            product: Some("windows"),
            service: Some(service),
        };
        let rel = catalog.log_source(wanted).ok()?;
        Some(Hub {
            source,
            rel,
            predicate,
            losses,
            notes,
            assumptions: BTreeSet::new(),
            taken: Vec::new(),
            beyond: false,
            own: Some((flat.clone(), whole)),
            cause: None,
        })
    }
}

/// A search of Sumo Logic that does not say where its records come from finds those of every source.
fn other_sources(base: &str, predicate: &Expr) -> Option<Loss> {
    let mut columns = Vec::new();
    predicate.columns(&mut columns);
    let scoped = columns.iter().any(|c| says_source(&c.0));
    (base == tercel_schema::SUMO_RECORDS && !scoped).then(|| Loss {
        what: "records of other sources".into(),
        why: "the search does not say whose records it means; these are Sysmon's".into(),
        effect: Effect::Narrower,
    })
}

/// Whether a column of Sumo Logic says where a record comes from.
pub(crate) fn says_source(column: &str) -> bool {
    matches!(column, "_sourceCategory" | "_source" | "_collector")
}

fn time_range() -> Loss {
    Loss {
        what: "the time range".into(),
        why: "the target has its own place to choose one".into(),
        effect: Effect::None,
    }
}

fn conjuncts(all: Vec<Expr>) -> Vec<Expr> {
    all.into_iter()
        .flat_map(|e| match e.kind {
            ExprKind::And(items) => conjuncts(items),
            _ => vec![e],
        })
        .collect()
}

/// The conditions without those that say how far back from now is looked.
pub(crate) fn without_time_range(all: Vec<Expr>) -> Vec<Expr> {
    fn now(e: &Expr) -> bool {
        call(e).is_some_and(|c| c.0 == "now") || e.children().into_iter().any(now)
    }
    fn times(e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Column(_) => e.ty == Type::DateTime,
            _ => e.children().into_iter().all(times),
        }
    }
    let compared = |e: &Expr| matches!(call(e), Some(("lt" | "le" | "gt" | "ge", _)));
    conjuncts(all).into_iter().filter(|e| !(compared(e) && now(e) && times(e))).collect()
}

/// Sysmon for Windows, as opposed to the one for Linux.
pub(crate) fn provider() -> Expr {
    let at = tercel_ir::Span::default();
    let value = Expr::literal(Value::str("Microsoft-Windows-Sysmon"), at);
    Expr::known("eq", vec![Expr::column("Provider", Type::String, at), value], at)
}

/// Columns of a table that Sysmon cannot fill, where a log source calls one by a field's name: the field is the
/// column then. Returns the fields.
fn add_renamed(through: &mut Flat, table: &Name, catalog: &SchemaCatalog) -> BTreeSet<Name> {
    let mut fields = BTreeSet::new();
    for category in ["process_creation", "network_connection"] {
        let Ok(rel) = relation(catalog, &format!("sigma/windows/{category}")) else { continue };
        if !tables(&rel).contains(table) {
            continue;
        }
        let Ok(named) = flatten(&rel, Some(table)) else { continue };
        let columns: std::collections::BTreeMap<_, _> = named.columns.iter().collect();
        for (field, definition) in columns {
            let at = definition.span;
            // The field itself, or a path of which only the last part is known.
            let (column, value) = match (definition.as_column(), call_in_case(definition)) {
                (Some(c), _) => (c.clone(), Expr::column(field.clone(), definition.ty, at)),
                (None, Some(c)) => {
                    let whole = Expr::column(field.clone(), Type::String, at);
                    (c, Expr::known("basename", vec![whole], at))
                }
                _ => continue,
            };
            let empty = match through.columns.get(&column) {
                None => true,
                Some(e) => {
                    matches!(e.as_literal(), Some(Value::Null))
                        || matches!(e.as_literal(), Some(Value::Str(s)) if s.is_empty())
                }
            };
            if empty && through.projected {
                std::sync::Arc::make_mut(&mut through.columns).insert(column, value);
                fields.insert(field.clone());
            }
        }
    }
    fields
}

/// The column of `iff(isempty(x), "", strcat("?\\", x))`.
fn call_in_case(e: &Expr) -> Option<Name> {
    let ExprKind::Case { otherwise, .. } = &e.kind else { return None };
    match call(otherwise)? {
        ("strcat", [mark, x]) if matches!(mark.as_literal(), Some(Value::Str(s)) if s == "?\\") => {
            x.as_column().cloned()
        }
        _ => None,
    }
}

pub(crate) fn relation(catalog: &SchemaCatalog, name: &str) -> Result<Rel, Diagnostic> {
    let bare = name.strip_suffix("()").unwrap_or(name);
    catalog.relation(bare).unwrap_or_else(|| {
        Err(Diagnostic::error("unknown-table", format!("there is no table or view `{bare}`")))
    })
}

/// Values of `EventID` that a conjunction names.
fn event_ids(e: &Expr) -> Option<BTreeSet<i64>> {
    let items = match &e.kind {
        ExprKind::And(items) => items.as_slice(),
        _ => std::slice::from_ref(e),
    };
    items.iter().find_map(|i| {
        let (name @ ("eq" | "in"), args) = call(i)? else { return None };
        let _ = name;
        (&**args.first()?.as_column()? == "EventID").then_some(())?;
        args[1..].iter().map(|a| a.as_literal().and_then(Value::as_i64)).collect()
    })
}

/// The log source that holds the events of a predicate over Sysmon's table, and the predicate without what
/// the log source says already.
fn choose(predicate: &Expr, catalog: &SchemaCatalog) -> Result<(Source, Expr), Diagnostic> {
    let service =
        || Source { category: None, product: Some("windows".into()), service: Some("sysmon".into()) };
    let Some(wanted) = event_ids(predicate) else { return Ok((service(), predicate.clone())) };
    let mut best: Option<(usize, Source, BTreeSet<i64>)> = None;
    for entry in catalog.list() {
        if entry.kind != EntryKind::LogSource || !entry.name.starts_with("sigma/windows/") {
            continue;
        }
        let Some(source) = catalog.source_of(&entry.name).filter(|s| s.category.is_some()) else { continue };
        let Ok(rel) = relation(catalog, &entry.name) else { continue };
        let Ok(flat) = flatten(&rel, Some(SYSMON)) else { continue };
        // A log source that looks at more than the event's kind is too narrow.
        let [condition] = flat.conditions.as_slice() else { continue };
        let Some(ids) = event_ids(condition) else { continue };
        if wanted.is_subset(&ids) && best.as_ref().is_none_or(|(n, ..)| ids.len() < *n) {
            best = Some((ids.len(), source.clone(), ids));
        }
    }
    let Some((_, source, ids)) = best else { return Ok((service(), predicate.clone())) };
    if ids != wanted {
        return Ok((source, predicate.clone()));
    }
    let items = match &predicate.kind {
        ExprKind::And(items) => items.clone(),
        _ => vec![predicate.clone()],
    };
    let rest: Vec<Expr> = items.into_iter().filter(|i| event_ids(i).is_none_or(|x| x != ids)).collect();
    Ok((source, Expr::and(rest, predicate.span)))
}

/// A predicate over one vocabulary said in the columns of another.
pub(crate) struct Translation<'f> {
    flat: &'f Flat,
    /// The other vocabulary's name, for messages.
    to: String,
    pub rewriter: Rewriter,
    pub losses: Vec<Loss>,
}

impl<'f> Translation<'f> {
    pub fn new(flat: &'f Flat, to: impl Into<String>, lift: bool) -> Translation<'f> {
        Translation { flat, to: to.into(), rewriter: Rewriter::new(lift), losses: Vec::new() }
    }

    /// The predicate, and the conditions under which the other vocabulary's rows are meant at all.
    pub fn translate(&mut self, predicate: &Expr) -> Result<Expr, Diagnostic> {
        let mut all = Vec::new();
        for c in &self.flat.conditions {
            all.push(self.rewriter.predicate(&two_valued(c, true)?, 0));
        }
        all.push(self.part(predicate, 0));
        let joined = tidy(Expr::and(all, predicate.span));
        Ok(self.settle(joined))
    }

    /// What the other vocabulary's rows must be to be meant at all.
    pub fn conditions(&self) -> &[Expr] {
        &self.flat.conditions
    }

    /// One condition by itself.
    pub fn alone(&mut self, condition: &Expr) -> Expr {
        self.part(condition, 0)
    }

    /// Facts and rewriting make room for each other.
    pub fn settle(&mut self, mut e: Expr) -> Expr {
        for _ in 0..4 {
            let new = tidy(Facts::default().simplify(&e, 0));
            let new = tidy(self.rewriter.predicate(&new, 0));
            let settled = same(&new, &e);
            e = new;
            if settled {
                break;
            }
        }
        e
    }

    fn part(&mut self, e: &Expr, depth: usize) -> Expr {
        let span = e.span;
        match &e.kind {
            ExprKind::And(items) if depth < 80 => {
                Expr::and(items.iter().map(|i| self.part(i, depth + 1)).collect(), span)
            }
            ExprKind::Or(items) if depth < 80 => {
                Expr::or(items.iter().map(|i| self.part(i, depth + 1)).collect(), span)
            }
            _ => self.literal(e),
        }
    }

    /// A definition that holds nothing.
    fn absent(&self, name: &Name, ty: Type) -> bool {
        match self.flat.column(name, ty) {
            None => true,
            Some(e) => match &e.kind {
                ExprKind::Literal(Value::Null) => true,
                ExprKind::Literal(Value::Str(s)) => s.is_empty(),
                _ => false,
            },
        }
    }

    fn literal(&mut self, e: &Expr) -> Expr {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        let (test, positive) = signed(e);
        let lists = match &test.kind {
            ExprKind::Call(f, args) if matches!(f.name, "in" | "in_ci") => args.len() > 2,
            _ => false,
        };
        let missing: Vec<&Name> =
            columns.iter().map(|c| &c.0).filter(|n| self.absent(n, Type::String)).collect();
        let new =
            substitute(test, &|n, ty| self.flat.column(n, ty).unwrap_or_else(|| Expr::null(ty, span_of(e))));
        let new = if missing.len() == columns.len() && !columns.is_empty() {
            let v = new.eval(&|_| Value::Null, &Context::default());
            Expr::boolean(v.as_bool() == Some(true), e.span)
        } else {
            match two_valued(&new, true) {
                Ok(n) => tidy(self.rewriter.predicate(&n, 0)),
                Err(_) => new,
            }
        };
        let new = if self.flat.bare.is_empty() { new } else { self.bare(new, &columns, positive) };
        if let (Some(value), false) = (as_bool(&new), columns.is_empty()) {
            self.lose(&columns[0].0.clone(), !missing.is_empty(), value == positive);
        } else if lists {
            // One of a list may have become impossible where others have not.
            self.partly(test, positive);
        }
        tidy(with_sign_deep(new, positive))
    }

    /// Tests of columns that may hold a file name alone: its end is tested without the separator too, and of
    /// its folder nothing is known.
    fn bare(&mut self, e: Expr, columns: &[(Name, tercel_ir::Span)], positive: bool) -> Expr {
        let span = e.span;
        match e.kind {
            ExprKind::And(items) => {
                Expr::and(items.into_iter().map(|i| self.bare(i, columns, positive)).collect(), span)
            }
            ExprKind::Or(items) => {
                Expr::or(items.into_iter().map(|i| self.bare(i, columns, positive)).collect(), span)
            }
            ExprKind::Not(inner) => crate::logic::negate(self.bare(*inner, columns, !positive)),
            kind => {
                let e = Expr { kind, ty: e.ty, span };
                let Some((name, args)) = call(&e) else { return e };
                let mut read = Vec::new();
                e.columns(&mut read);
                if !read.iter().any(|c| self.flat.bare.contains(&c.0))
                    || matches!(name, "isempty" | "isnotempty")
                {
                    return e;
                }
                let needle = match args.get(1).and_then(Expr::as_literal) {
                    Some(Value::Str(s)) if args.len() == 2 => s.as_str(),
                    _ => "\\",
                };
                let folder = |s: &str| s.contains(['\\', '/']);
                let tail = needle.strip_prefix('\\').filter(|t| !folder(t) && !t.is_empty());
                if let (true, Some(tail)) = (matches!(name, "endswith" | "endswith_cs"), tail) {
                    let eq = if name == "endswith" { "eq_ci" } else { "eq" };
                    let alone =
                        Expr::known(eq, vec![args[0].clone(), Expr::literal(Value::str(tail), span)], span);
                    return Expr::or(vec![e.clone(), alone], span);
                }
                if folder(needle) || !matches!(name, "contains" | "endswith") {
                    let loss = Loss {
                        what: columns.first().map_or_else(String::new, |c| c.0.to_string()),
                        why: format!("in {}, rows of some sources hold only the file name", self.to),
                        effect: if positive { Effect::Narrower } else { Effect::Wider },
                    };
                    if !self.losses.contains(&loss) {
                        self.losses.push(loss);
                    }
                }
                e
            }
        }
    }

    /// Values of a list that the other vocabulary can never hold.
    fn partly(&mut self, test: &Expr, positive: bool) {
        let Some((_, args)) = call(test) else { return };
        let Some(column) = args[0].as_column().cloned() else { return };
        let Some(definition) = self.flat.column(&column, args[0].ty) else { return };
        if definition.as_column().is_some() {
            return;
        }
        let op = if matches!(call(test), Some(("in", _))) { "eq" } else { "eq_ci" };
        for a in &args[1..] {
            let one = Expr::known(op, vec![definition.clone(), a.clone()], test.span);
            if as_bool(&tidy(self.rewriter.predicate(&one, 0))) == Some(false) {
                self.lose(&column, false, !positive);
                return;
            }
        }
    }

    fn lose(&mut self, column: &Name, missing: bool, value: bool) {
        // Where an event was collected is no part of it.
        if column.starts_with('_') {
            return;
        }
        let effect = if value { Effect::Wider } else { Effect::Narrower };
        let as_text = **column == *crate::values::AS_TEXT;
        let why = match (missing, &**column) {
            (true, _) if as_text => format!("{} does not record how a number is written", self.to),
            (true, _) => format!("{} has no counterpart of it", self.to),
            (false, "ParentImage" | "GrandParentImage") => format!("{} records only the file name", self.to),
            (false, _) => format!("what it is tested for never stands there in {}", self.to),
        };
        let what = if as_text { crate::values::DETAILS.to_string() } else { column.to_string() };
        let loss = Loss { what, why, effect };
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }
}

fn span_of(e: &Expr) -> tercel_ir::Span {
    e.span
}

fn with_sign_deep(e: Expr, positive: bool) -> Expr {
    match e.kind {
        ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) if !positive => crate::logic::negate(e),
        _ => with_sign(e, positive),
    }
}
