//! [`SchemaCatalog`]: tables, views, stored functions and log sources, as the front ends ask for them.

use crate::coverage;
use crate::logsource::{self, LogSourceEntry};
use crate::sumo;
use crate::table::{Schemas, TableDef};
use crate::view::{Source, View, ViewKind};
use include_dir::{Dir, include_dir};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tercel_ir::catalog::LogSource;
use tercel_ir::span::line_column;
use tercel_ir::{
    Catalog, Column, Diagnostic, Diagnostics, Domain, Expr, ExprKind, Name, Param, Rel, RelKind, Severity,
    Span, StoredFunction, Value,
};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/views");

/// Views that use views; more is a mistake.
const MAX_NESTING: usize = 12;

struct Builtin {
    views: Vec<View>,
    channels: BTreeMap<String, Vec<String>>,
    homeless: Vec<logsource::Homeless>,
}

static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| {
    // The files are part of the program; a fault in them is caught by the tests of this crate.
    let table = FILES.get_file("logsources.toml").and_then(|f| f.contents_utf8()).unwrap_or_default();
    let table = logsource::parse(table).unwrap_or_else(|e| panic!("logsources.toml: {e}"));
    let mut views = table.views;
    add_files(&FILES, &mut views);
    Builtin { views, channels: table.channels, homeless: table.homeless }
});

fn add_files(dir: &Dir<'static>, views: &mut Vec<View>) {
    for f in dir.files().filter(|f| f.path().extension().is_some_and(|e| e == "kql")) {
        let view = View::parse(f.contents_utf8().unwrap_or_default());
        views.push(view.unwrap_or_else(|e| panic!("{}: {}", f.path().display(), e.message)));
    }
    dir.dirs().for_each(|d| add_files(d, views));
}

/// What kind of thing a name of the catalog is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum EntryKind {
    Table,
    View,
    Function,
    LogSource,
    Lookup,
}

impl EntryKind {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            EntryKind::Table => "table",
            EntryKind::View => "view",
            EntryKind::Function => "function",
            EntryKind::LogSource => "log source",
            EntryKind::Lookup => "lookup",
        }
    }
}

/// A line of `schema list`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub kind: EntryKind,
    pub about: String,
}

/// What `schema show` shows.
#[derive(Clone, Debug)]
pub struct Description {
    pub name: String,
    pub kind: EntryKind,
    pub about: String,
    pub notes: Vec<String>,
    pub columns: Vec<Column>,
    /// Other columns may be referred to.
    pub open: bool,
    pub params: Vec<Param>,
    /// Tables it reads.
    pub tables: Vec<Name>,
    /// Its KQL, if it is a view or function.
    pub text: Option<String>,
}

/// Rows that a view leaves out on purpose.
#[derive(Clone, Debug)]
pub struct Omitted {
    pub view: String,
    /// In words, as the object of "leaves out".
    pub what: String,
    /// Those rows.
    pub rows: Rel,
}

type Lowered = Arc<Result<Rel, Diagnostic>>;

/// The outside world of the front ends: see [`Catalog`].
///
/// Inside a view, a name that is both a table's and a view's means the table. So the view
/// `DeviceNetworkEvents` can read the table of that name, and no view sees another's additions.
pub struct SchemaCatalog {
    schemas: Schemas,
    views: BTreeMap<String, View>,
    functions: BTreeMap<String, StoredFunction>,
    lookups: BTreeMap<String, Rel>,
    /// Tables that the data at hand has; `None` while nothing is known of any data.
    present: Option<BTreeSet<Name>>,
    /// Tables that are to be left out of views.
    without: BTreeSet<String>,
    /// `_sourceCategory` by table, where the user says.
    categories: HashMap<String, String>,
    /// Every log source means all events.
    any_source: bool,
    cache: Mutex<HashMap<String, Lowered>>,
}

impl SchemaCatalog {
    /// The shipped views over these tables. `discovered` are the tables that a survey of the data found:
    /// their columns are merged in, and they count as present. An empty list says nothing about the data.
    pub fn new(mut schemas: Schemas, discovered: Vec<TableDef>) -> SchemaCatalog {
        let present = (!discovered.is_empty()).then(|| discovered.iter().map(|t| t.name.clone()).collect());
        for t in discovered {
            schemas.merge(t);
        }
        let mut catalog = SchemaCatalog {
            schemas,
            views: BTreeMap::new(),
            functions: BTreeMap::new(),
            lookups: BTreeMap::new(),
            present,
            without: BTreeSet::new(),
            categories: HashMap::new(),
            any_source: false,
            cache: Mutex::new(HashMap::new()),
        };
        for v in &BUILTIN.views {
            catalog.put(v.clone());
        }
        catalog
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = &View> {
        self.views.values()
    }

    /// The tables.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Whether the data has rows of a table; `true` while nothing is known of any data.
    pub fn is_present(&self, table: &str) -> bool {
        !self.without.contains(table) && self.present.as_ref().is_none_or(|p| p.contains(table))
    }

    /// Adds a view or stored function, or replaces one of the same name. Returns the name. Whether it
    /// lowers shows when it is used, or in [`SchemaCatalog::check`].
    ///
    /// # Errors
    /// When the head of the text is not understood.
    pub fn add_view(&mut self, text: &str) -> Result<String, Diagnostic> {
        let view = View::parse(text)?;
        let name = view.name.clone();
        // A log source that a user describes replaces the shipped one.
        if let Some(s) = &view.source {
            self.views.retain(|n, v| *n == name || v.source.as_ref() != Some(s));
        }
        self.put(view);
        self.forget();
        Ok(name)
    }

    /// Adds a relation under a name, a lookup table for instance. It hides a table or view of that name.
    pub fn add_lookup(&mut self, name: &str, rel: Rel) {
        self.lookups.insert(name.to_string(), rel);
        self.forget();
    }

    /// Says which `_sourceCategory` the rows of a table have for Sumo Logic queries.
    pub fn set_source_category(&mut self, table: &str, category: &str) {
        self.categories.insert(table.to_string(), category.to_string());
        self.forget();
    }

    /// Leaves a table out of every view (a second sensor that reports the same connections, say).
    /// A query that names the table itself still reads it.
    pub fn without(&mut self, table: &str) {
        self.without.insert(table.to_string());
        self.forget();
    }

    /// Lets every log source mean the events of all tables that the data has, under the names that they have
    /// there: for data that lost what would tell its log sources apart.
    pub fn ignore_log_sources(&mut self) {
        self.any_source = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.cache.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn put(&mut self, view: View) {
        if view.kind == ViewKind::Function {
            for name in std::iter::once(&view.name).chain(&view.also) {
                let f = StoredFunction {
                    name: name.clone(),
                    params: view.params.clone(),
                    body: view.text.clone(),
                };
                self.functions.insert(name.clone(), f);
            }
        }
        self.views.insert(view.name.clone(), view);
    }

    /// Lowers every view; what is to be said about each that is not clean.
    pub fn check(&self) -> Vec<(String, Vec<Diagnostic>)> {
        let mut out = Vec::new();
        for v in self.views.values() {
            let found = match v.kind {
                ViewKind::Function => {
                    let (_, d) = tercel_kql::parse(&v.text);
                    d
                }
                _ => self.lower(v, &[]).1,
            };
            if !found.is_empty() {
                out.push((v.name.clone(), found.into_vec()));
            }
        }
        out
    }

    pub(crate) fn lower(&self, view: &View, stack: &[&str]) -> (Option<Rel>, Diagnostics) {
        if !view.tables.is_empty() {
            let tables = view.tables.iter().filter_map(|t| self.schemas.table(t));
            let scans = tables.map(|t| logsource::narrowed(view, &t.name, self.native(t))).collect();
            let body = as_they_are(scans);
            return (Some(named(&view.name, body)), Diagnostics::new());
        }
        let (ast, mut found) = tercel_kql::parse(&view.text);
        if found.has_errors() {
            return (None, found);
        }
        let mut stack = stack.to_vec();
        stack.push(&view.name);
        let scope = Scope { catalog: self, stack };
        let options = tercel_kql::Options { as_view: true, ..Default::default() };
        let (rel, lowering) = tercel_kql::lower(&ast, &scope, &options);
        found.extend(lowering);
        let Some(mut rel) = rel else { return (None, found) };
        // Places in a view's text mean nothing in the text that uses the view.
        reset_places(&mut rel);
        for c in &mut rel.schema.columns {
            // What the text proves (a constant, nothing at all) is sharper than what its head says, unless
            // the head widens a set of constants to the documented vocabulary.
            if c.domain != Some(Domain::Never)
                && let Some((_, d)) = view.domains.iter().find(|(n, _)| **n == *c.name)
            {
                c.domain = Some(d.clone());
            }
        }
        (Some(named(&view.name, rel)), found)
    }

    /// A view as a relation, lowered once for each catalog when nothing else is being lowered.
    pub(crate) fn view(&self, view: &View, stack: &[&str]) -> Result<Rel, Diagnostic> {
        if stack.contains(&view.name.as_str()) || stack.len() >= MAX_NESTING {
            return Err(Diagnostic::error("broken-view", format!("the view `{}` uses itself", view.name)));
        }
        self.cached(&view.name, || match self.lower(view, stack) {
            (Some(rel), d) if !d.has_errors() => Ok(rel),
            (_, d) => Err(broken(view, &d.into_sorted())),
        })
    }

    fn cached(&self, name: &str, make: impl FnOnce() -> Result<Rel, Diagnostic>) -> Result<Rel, Diagnostic> {
        // The lock is not held while lowering: views may use views. Two threads may do it twice.
        let held = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(r) = held {
            return (*r).clone();
        }
        let made = Arc::new(make());
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), made.clone());
        (*made).clone()
    }

    /// The events of a log source, looked for.
    fn find_log_source(&self, source: LogSource<'_>) -> Result<Rel, Diagnostic> {
        let views = || self.views.values();
        let found: Result<Vec<Rel>, Diagnostic> =
            logsource::find(views(), source).into_iter().map(|v| self.view(v, &[])).collect();
        let rel = logsource::together(found?)
            .ok_or_else(|| logsource::missing(views(), &BUILTIN.homeless, source))?;
        // A category decides; a service beside it narrows to that service's channels.
        match source.service.filter(|_| source.category.is_some()).and_then(|s| BUILTIN.channels.get(s)) {
            Some(channels) if rel.schema.get("Channel").is_some() => {
                let at = Span::default();
                let column = Expr::column("Channel", tercel_ir::Type::String, at);
                let values = channels.iter().map(|c| Expr::literal(Value::str(c.as_str()), at));
                let test = Expr::known("in_ci", std::iter::once(column).chain(values).collect(), at);
                Ok(rel.filter(test, at))
            }
            _ => Ok(rel),
        }
    }

    /// The rows of all tables that the data has.
    fn all_events(&self) -> Rel {
        let present = self.schemas.tables().iter().filter(|t| self.is_present(&t.name));
        as_they_are(present.map(|t| self.native(t)).collect())
    }

    /// A table for use inside views.
    fn native(&self, table: &TableDef) -> Rel {
        let scan = table.scan();
        if self.without.contains(&*table.name) {
            return scan.filter(Expr::boolean(false, Span::default()), Span::default());
        }
        scan
    }

    /// See [`crate::sumo`].
    fn records(&self, stack: &[&str]) -> Result<Rel, Diagnostic> {
        self.cached(sumo::RECORDS, || {
            let wanted = |t: &&TableDef| match &self.present {
                Some(p) => p.contains(&t.name) && !self.without.contains(&*t.name),
                None => sumo::DEFAULT_TABLES.contains(&&*t.name),
            };
            let mut branches = Vec::new();
            for t in self.schemas.tables().iter().filter(wanted) {
                let rel = match self.views.get(&format!("sumo/{}", t.name)) {
                    Some(v) if v.kind == ViewKind::Fragment => {
                        let mut rel = self.view(v, stack)?;
                        null_for_empty(&mut rel);
                        rel
                    }
                    _ => self.native(t),
                };
                let category =
                    self.categories.get(&*t.name).cloned().unwrap_or_else(|| sumo::category(&t.name));
                branches.push(sumo::with_metadata(rel, t, &category));
            }
            let body = Rel::union(sumo::settle_types(branches), Span::default());
            Ok(named(sumo::RECORDS, body))
        })
    }

    /// The view of a name: shipped, added, or generated.
    fn view_named(&self, name: &str, stack: &[&str]) -> Option<Result<Rel, Diagnostic>> {
        if name == sumo::RECORDS {
            return Some(self.records(stack));
        }
        match self.views.get(name)? {
            v if v.kind == ViewKind::View => Some(self.view(v, stack)),
            // A function whose parameters all have defaults can be named like a table.
            v if v.kind == ViewKind::Function && v.params.iter().all(|p| p.default.is_some()) => {
                Some(self.call_with_defaults(v, stack))
            }
            _ => None,
        }
    }

    fn call_with_defaults(&self, view: &View, stack: &[&str]) -> Result<Rel, Diagnostic> {
        let call = View::new(format!("{}()", view.name), view.about.clone(), format!("{}()", view.name));
        self.view(&call, stack)
    }

    /// Columns of a table, view or log source (by its name, `sigma/windows/file_event`) that none of the
    /// present tables can fill.
    pub fn unfilled_columns(&self, name: &str, present: &[Name]) -> Vec<Name> {
        match self.relation(name) {
            Some(Ok(rel)) => {
                coverage::unfilled(&rel, &|t| present.iter().any(|p| **p == *t) && !self.without.contains(t))
            }
            _ => Vec::new(),
        }
    }

    /// Everything that has a name, sorted by kind and name; a view that widens a table stands as a view.
    pub fn list(&self) -> Vec<Entry> {
        let mut out: Vec<Entry> = Vec::new();
        for v in self.views.values() {
            let kind = match v.kind {
                ViewKind::Fragment => continue,
                ViewKind::Function => EntryKind::Function,
                ViewKind::View if v.source.is_some() => EntryKind::LogSource,
                ViewKind::View => EntryKind::View,
            };
            out.push(Entry { name: v.name.clone(), kind, about: v.about.clone() });
        }
        out.push(Entry { name: sumo::RECORDS.into(), kind: EntryKind::View, about: RECORDS_ABOUT.into() });
        for name in self.lookups.keys() {
            out.push(Entry { name: name.clone(), kind: EntryKind::Lookup, about: String::new() });
        }
        for t in self.schemas.tables().iter().filter(|t| !self.views.contains_key(&*t.name)) {
            out.push(Entry { name: t.name.to_string(), kind: EntryKind::Table, about: t.about.clone() });
        }
        out.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        out
    }

    /// All there is to say about a name; `None` if nothing has it.
    pub fn describe(&self, name: &str) -> Option<Result<Description, Diagnostic>> {
        let view = self.views.get(name).filter(|v| v.kind != ViewKind::Fragment);
        let rel = match self.relation(name)? {
            Ok(rel) => rel,
            Err(d) => return Some(Err(d)),
        };
        let table = self.schemas.table(name);
        let kind = match view {
            _ if self.lookups.contains_key(name) => EntryKind::Lookup,
            Some(v) if v.kind == ViewKind::Function => EntryKind::Function,
            Some(v) if v.source.is_some() => EntryKind::LogSource,
            Some(_) => EntryKind::View,
            None if name == sumo::RECORDS => EntryKind::View,
            None => EntryKind::Table,
        };
        let about = match (view, table) {
            (Some(v), _) => v.about.clone(),
            (None, Some(t)) => t.about.clone(),
            (None, None) if name == sumo::RECORDS => RECORDS_ABOUT.into(),
            (None, None) => String::new(),
        };
        Some(Ok(Description {
            name: name.to_string(),
            kind,
            about,
            notes: view.map(|v| v.notes.clone()).unwrap_or_default(),
            tables: rel.tables(),
            open: rel.schema.open,
            columns: rel.schema.columns.to_vec(),
            params: view.map(|v| v.params.clone()).unwrap_or_default(),
            text: view.map(|v| v.text.clone()),
        }))
    }

    /// Every log source that is known, those without a home last.
    pub fn log_sources(&self) -> Vec<LogSourceEntry> {
        let entry = |v: &View| {
            Some(LogSourceEntry {
                source: v.source.clone()?,
                view: Some(v.name.clone()),
                about: v.about.clone(),
            })
        };
        let mut out: Vec<LogSourceEntry> = self.views.values().filter_map(entry).collect();
        out.extend(logsource::homeless_entries(&BUILTIN.homeless));
        out
    }

    /// What the views that a plan reads leave out on purpose, each once, so that a report can name it or
    /// count it.
    pub fn omissions(&self, plan: &Rel) -> Vec<Omitted> {
        let mut names = BTreeSet::new();
        views_of(plan, &mut names);
        let mut out = Vec::new();
        for view in names.iter().filter_map(|n| self.views.get(&**n)) {
            for o in &view.omissions {
                let (ast, _) = tercel_kql::parse(&o.kql);
                let scope = Scope { catalog: self, stack: vec![&view.name] };
                let options = tercel_kql::Options { as_view: true, ..Default::default() };
                if let (Some(mut rows), _) = tercel_kql::lower(&ast, &scope, &options) {
                    reset_places(&mut rows);
                    out.push(Omitted { view: view.name.clone(), what: o.what.clone(), rows });
                }
            }
        }
        out
    }

    /// The log source of a view, if it is one.
    pub fn source_of(&self, name: &str) -> Option<&Source> {
        self.views.get(name)?.source.as_ref()
    }
}

const RECORDS_ABOUT: &str = "Every row of every table with Sumo Logic's metadata fields; connections and processes under Sysmon's names.";

impl Catalog for SchemaCatalog {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        if let Some(rel) = self.lookups.get(name) {
            return Some(Ok(rel.clone()));
        }
        self.view_named(name, &[]).or_else(|| self.schemas.table(name).map(|t| Ok(t.scan())))
    }

    fn function(&self, name: &str) -> Option<&StoredFunction> {
        self.functions.get(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.schemas.tables().iter().map(|t| t.name.to_string()).collect();
        names.extend(self.views.values().filter(|v| v.kind != ViewKind::Fragment).map(|v| v.name.clone()));
        names.extend(self.functions.keys().cloned());
        names.extend(self.lookups.keys().cloned());
        names.insert(sumo::RECORDS.to_string());
        names.into_iter().collect()
    }

    fn log_source(&self, source: LogSource<'_>) -> Result<Rel, Diagnostic> {
        if self.any_source {
            return self.cached(logsource::ANY, || Ok(named(logsource::ANY, self.all_events())));
        }
        // Thousands of rules ask for a few dozen. No view has a name with such a character in it.
        let part = |p: Option<&str>| p.map_or_else(String::new, |p| format!("={p}"));
        let key = ["", &part(source.category), &part(source.product), &part(source.service)].join("\0");
        self.cached(&key, || self.find_log_source(source))
    }
}

/// What a view sees: tables before views, and itself not at all.
struct Scope<'a> {
    catalog: &'a SchemaCatalog,
    stack: Vec<&'a str>,
}

impl Catalog for Scope<'_> {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        if let Some(rel) = self.catalog.lookups.get(name) {
            return Some(Ok(rel.clone()));
        }
        match self.catalog.schemas.table(name) {
            Some(t) => Some(Ok(self.catalog.native(t))),
            None => self.catalog.view_named(name, &self.stack),
        }
    }
    fn function(&self, name: &str) -> Option<&StoredFunction> {
        self.catalog.function(name)
    }
    fn names(&self) -> Vec<String> {
        self.catalog.names()
    }
    fn log_source(&self, source: LogSource<'_>) -> Result<Rel, Diagnostic> {
        self.catalog.log_source(source)
    }
}

/// The names of the views in a plan, those inside views too.
fn views_of(rel: &Rel, out: &mut BTreeSet<Name>) {
    fn inside(e: &Expr, out: &mut BTreeSet<Name>) {
        match &e.kind {
            ExprKind::Scalar(r) => views_of(r, out),
            ExprKind::InRelation { relation, .. } => views_of(relation, out),
            _ => {}
        }
        e.children().into_iter().for_each(|c| inside(c, out));
    }
    if let RelKind::View { name, .. } = &rel.kind
        && !out.insert(name.clone())
    {
        return;
    }
    rel.expressions().into_iter().for_each(|e| inside(e, out));
    rel.inputs().into_iter().for_each(|i| views_of(i, out));
}

/// The rows of tables together, with Sigma's name for what wrote them.
fn as_they_are(tables: Vec<Rel>) -> Rel {
    let body = Rel::union(sumo::settle_types(tables), Span::default());
    let provider = Expr::column("Provider", tercel_ir::Type::String, Span::default());
    match body.schema.get("Provider") {
        Some(_) => body.extend(vec![("Provider_Name".into(), provider)], Span::default()),
        None => body,
    }
}

/// A body under the name of its view.
fn named(name: &str, body: Rel) -> Rel {
    Rel {
        schema: body.schema.clone(),
        span: Span::default(),
        kind: RelKind::View { name: name.into(), body: Arc::new(body) },
    }
}

/// The first error of a view, told to one who only used it.
fn broken(view: &View, found: &[Diagnostic]) -> Diagnostic {
    let first = found.iter().find(|d| d.severity == Severity::Error);
    let what = match first {
        Some(d) => match d.span {
            Some(s) => {
                let (line, column) = line_column(&view.text, s.start as usize);
                format!("{} (line {line}, column {column} of the view)", d.message)
            }
            None => d.message.clone(),
        },
        None => "it gives no relation".to_string(),
    };
    Diagnostic::error("broken-view", format!("the view `{}` cannot be used: {what}", view.name))
        .help("mend the view, or leave it out")
}

fn reset_places(rel: &mut Rel) {
    fn expr(e: &mut Expr) {
        e.span = Span::default();
        match &mut e.kind {
            ExprKind::Scalar(r) => reset_places(Arc::make_mut(r)),
            ExprKind::InRelation { relation, .. } => reset_places(Arc::make_mut(relation)),
            _ => {}
        }
        e.children_mut().into_iter().for_each(expr);
    }
    rel.span = Span::default();
    rel.expressions_mut().into_iter().for_each(expr);
    rel.inputs_mut().into_iter().for_each(reset_places);
}

/// KQL has no null strings, so its views write `""` for what an event lacks. Sumo Logic tells the two
/// apart: there, what an event lacks is null.
fn null_for_empty(rel: &mut Rel) {
    fn expr(e: &mut Expr) {
        if let ExprKind::Case { branches, otherwise } = &mut e.kind {
            for result in branches.iter_mut().map(|(_, t)| t).chain([&mut **otherwise]) {
                if matches!(&result.kind, ExprKind::Literal(Value::Str(s)) if s.is_empty()) {
                    result.kind = ExprKind::Literal(Value::Null);
                }
            }
        }
        e.children_mut().into_iter().for_each(expr);
    }
    rel.expressions_mut().into_iter().for_each(expr);
    rel.inputs_mut().into_iter().for_each(null_for_empty);
}
