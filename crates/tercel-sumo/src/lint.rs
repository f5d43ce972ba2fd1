//! What a query does that its author can hardly have meant: found on the tree, without data.
//!
//! A little dataflow runs along the stages: what is known of a field (a path, the tail of a path, a number,
//! lower case) is forgotten when the field is computed anew in a way that is not understood. A finding is
//! reported only where it follows from what stands in the query; few and right beats many.

mod paths;
mod programs;
mod ranges;

use std::collections::HashMap;

use tercel_ir::{Diagnostic, Diagnostics, Span};

use crate::ast::*;
use crate::findings;
use crate::lower::{Options, Profile};
use crate::print::print_expr;

/// What is known of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The full path of a file.
    Path,
    /// What follows the first separator of a path: it still has directories in it.
    PathTail,
    /// A number, so lists of numbers match it.
    Number,
    /// Text in lower case.
    Lower,
    /// Nothing.
    Unknown,
}

/// Fields of Windows events that hold full paths.
const PATHS: &[&str] = &[
    "image",
    "parentimage",
    "sourceimage",
    "targetimage",
    "imageloaded",
    "targetfilename",
    "newprocessname",
    "parentprocessname",
    "processname",
];

/// Findings about a query. Those of the parser are not repeated, except the forms that Sumo Logic lacks.
pub fn lint(query: &Query, options: &Options) -> Diagnostics {
    let mut l = Linter {
        options,
        out: Diagnostics::new(),
        origins: HashMap::new(),
        conditions: Vec::new(),
        event: None,
        direction: false,
        network: false,
    };
    l.scope(query.scope.as_ref());
    for s in &query.stages {
        l.stage(s);
    }
    l.direction();
    l.out
}

pub(crate) struct Linter<'a> {
    pub options: &'a Options,
    pub out: Diagnostics,
    /// By name in lower case.
    origins: HashMap<String, Origin>,
    /// Of every `where` so far: its alternatives, printed, with the fields they read.
    conditions: Vec<Alternatives>,
    /// Where network connections are selected.
    event: Option<Span>,
    /// Whether anything looks at the direction.
    direction: bool,
    /// Whether anything looks at the other end of a connection.
    network: bool,
}

struct Alternatives {
    printed: Vec<String>,
    fields: Vec<String>,
    at: Span,
}

impl Linter<'_> {
    /// Keeps a finding, within limits.
    pub fn report(&mut self, d: Diagnostic) {
        findings::push_capped(&mut self.out, d);
    }

    fn report_all(&mut self, list: Diagnostics) {
        list.into_iter().for_each(|d| self.report(d));
    }

    pub fn origin(&self, e: &Expr) -> Origin {
        match &e.kind {
            ExprKind::Field(n) => {
                let lower = n.text.to_ascii_lowercase();
                match self.origins.get(&lower) {
                    Some(o) => *o,
                    None if PATHS.contains(&lower.as_str()) => Origin::Path,
                    None => Origin::Unknown,
                }
            }
            ExprKind::Number(_) | ExprKind::Neg(_) => Origin::Number,
            ExprKind::Binary(
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod,
                ..,
            ) => Origin::Number,
            ExprKind::Ternary(_, a, b) => self.either(a, b),
            ExprKind::Call { name, args } => match (name.text.to_ascii_lowercase().as_str(), args.as_slice())
            {
                ("if", [_, a, b]) => self.either(a, b),
                ("tolowercase", [x]) => match self.origin(x) {
                    o @ (Origin::Path | Origin::PathTail) => o,
                    _ => Origin::Lower,
                },
                (
                    "num" | "number" | "double" | "todouble" | "int" | "toint" | "long" | "tolong" | "length"
                    | "round" | "ceil" | "floor" | "abs" | "now" | "tomillis" | "hextodec",
                    _,
                ) => Origin::Number,
                _ => Origin::Unknown,
            },
            _ => Origin::Unknown,
        }
    }

    /// Of two branches: a path in either is a path in the result as far as file names are concerned.
    fn either(&self, a: &Expr, b: &Expr) -> Origin {
        let path = |o| matches!(o, Origin::Path | Origin::PathTail);
        match (self.origin(a), self.origin(b)) {
            (x, y) if x == y => x,
            (x, y) if path(x) && path(y) => Origin::PathTail,
            _ => Origin::Unknown,
        }
    }

    fn scope(&mut self, scope: Option<&Scope>) {
        match scope {
            None => {}
            Some(Scope::And(list) | Scope::Or(list)) => list.iter().for_each(|s| self.scope(Some(s))),
            Some(Scope::Not(s, _)) => self.scope(Some(s)),
            Some(Scope::Field { name, value, at, .. }) => {
                self.mentions(&name.text);
                if let [TermPart::Word(w)] = value.parts.as_slice() {
                    self.selects(&name.text, w, at.0);
                } else if let [TermPart::Quoted(t)] = value.parts.as_slice() {
                    self.selects(&name.text, &t.cooked(), at.0);
                }
            }
            Some(Scope::Subquery(s)) => self.report_all(lint(&s.query, self.options)),
            Some(Scope::Term(_)) => {}
        }
    }

    fn mentions(&mut self, field: &str) {
        let lower = field.to_ascii_lowercase();
        self.network |= ["destinationip", "destinationport", "dest_ip", "dest_port", "dst_ip", "dst_port"]
            .contains(&lower.as_str());
        self.direction |= lower.contains("initiated") || lower.contains("direction");
    }

    /// Whether this comparison selects Sysmon's network connections.
    fn selects(&mut self, field: &str, value: &str, at: Span) {
        let event = matches!(field.to_ascii_lowercase().as_str(), "eventid" | "event_id" | "eventcode");
        if event && value == "3" || value.eq_ignore_ascii_case("network_connection") {
            self.event.get_or_insert(at);
        }
    }

    fn set(&mut self, name: &Name, origin: Origin) {
        let lower = name.text.to_ascii_lowercase();
        // What was known about conditions on this field is void.
        self.conditions.retain(|c| !c.fields.contains(&lower));
        self.origins.insert(lower, origin);
    }

    fn stage(&mut self, s: &Stage) {
        match &s.op {
            Operator::Where(e) => {
                self.expr(e);
                self.remember(e);
            }
            Operator::Compute { expr, name, eval } => {
                if let (true, Some(n)) = (*eval, name) {
                    let start = s.at.0.start;
                    let strict = self.options.profile == Profile::Strict;
                    self.report(findings::eval(Span { start, end: start + 4 }, &n.text, strict));
                }
                self.expr(expr);
                self.unreachable_label(expr);
                let origin = self.origin(expr);
                match name {
                    Some(n) => self.set(n, origin),
                    None => {
                        if let ExprKind::Call { args, .. } = &expr.kind
                            && let Some(ExprKind::Field(n)) = args.first().map(|a| &a.kind)
                        {
                            self.set(&n.clone(), origin);
                        }
                    }
                }
            }
            Operator::ParseAnchor { field, clauses, .. } => {
                for c in clauses {
                    self.anchor(field.as_ref(), c);
                }
            }
            Operator::ParseRegex { patterns, .. } => {
                for p in patterns {
                    for g in crate::regexes::groups(&p.raw) {
                        if let Some(n) = g.name {
                            self.set(&Name { text: n, at: p.at }, Origin::Unknown);
                        }
                    }
                }
            }
            Operator::Json { names, .. }
            | Operator::KeyValue { names, .. }
            | Operator::ParseXml { names, .. } => {
                for n in names {
                    self.mentions(&n.text);
                    self.set(n, Origin::Unknown);
                }
            }
            Operator::Split { extract, .. } => {
                for n in extract.iter().filter_map(|e| e.name.as_ref()) {
                    self.set(n, Origin::Unknown);
                }
            }
            Operator::Aggregate { items, by } => {
                for i in items {
                    i.args.iter().for_each(|a| self.expr(a));
                    let text =
                        i.alias.as_ref().map_or_else(|| format!("_{}", i.function.text), |a| a.text.clone());
                    let number = !matches!(
                        i.function.text.as_str(),
                        "first" | "last" | "values" | "most_recent" | "least_recent"
                    );
                    let origin = if number { Origin::Number } else { Origin::Unknown };
                    self.set(&Name { text, at: i.function.at }, origin);
                }
                by.iter().for_each(|k| self.expr(&k.expr));
            }
            Operator::Fields { names, .. } => names.iter().for_each(|n| self.mentions(&n.text)),
            Operator::Sort(keys) => keys.iter().for_each(|k| self.expr(&k.expr)),
            Operator::Timeslice { alias, .. } => {
                let text = alias.as_ref().map_or("_timeslice", |a| &a.text).to_owned();
                self.set(&Name { text, at: s.at }, Origin::Number);
            }
            Operator::Join { tables, .. } => {
                for t in tables {
                    self.report_all(lint(&t.query, self.options));
                }
            }
            Operator::Error
            | Operator::Template(_)
            | Operator::Limit(_)
            | Operator::Top { .. }
            | Operator::Topk { .. }
            | Operator::Dedup { .. }
            | Operator::Withtime(_) => {}
            // These may set any field.
            _ => {
                self.conditions.clear();
                self.origins.clear();
            }
        }
    }

    fn anchor(&mut self, field: Option<&Name>, c: &AnchorClause) {
        let separator = match c.pattern.cooked().as_str() {
            "*\\*" => Some('\\'),
            "*/*" => Some('/'),
            _ => None,
        };
        let strict = self.options.profile == Profile::Strict;
        if let Some(sep) = findings::is_path_split(c) {
            self.report(findings::anchor_path_basename(c.pattern.at.0, strict, sep));
        }
        let of_path = field.is_none_or(|f| {
            let e = Expr { kind: ExprKind::Field(f.clone()), at: f.at };
            matches!(self.origin(&e), Origin::Path)
        });
        for (i, n) in c.names.iter().enumerate() {
            let tail = i == 1 && separator.is_some() && (of_path || findings::is_path_split(c).is_some());
            self.set(n, if tail { Origin::PathTail } else { Origin::Unknown });
        }
    }

    /// The alternatives of a `where`, for what comes later.
    fn remember(&mut self, e: &Expr) {
        let list = match &e.kind {
            ExprKind::Or(list) => list.clone(),
            ExprKind::And(list) => {
                list.iter().for_each(|x| self.remember(x));
                return;
            }
            _ => vec![e.clone()],
        };
        let mut fields = Vec::new();
        list.iter().for_each(|x| fields_of(x, &mut fields));
        self.conditions.push(Alternatives {
            printed: list.iter().map(print_expr).collect(),
            fields,
            at: e.at.0,
        });
    }

    /// `if(a, x, if(b, y, z))` behind `where a or b`: z is never taken.
    fn unreachable_label(&mut self, e: &Expr) {
        let mut tests = Vec::new();
        let mut at = e;
        while let Some((c, _, other)) = branch(at) {
            match &c.kind {
                ExprKind::Or(list) => tests.extend(list.iter().map(print_expr)),
                _ => tests.push(print_expr(c)),
            }
            at = other;
        }
        if tests.is_empty() {
            return;
        }
        let Some(w) = self.conditions.iter().find(|w| w.printed.iter().all(|p| tests.contains(p))) else {
            return;
        };
        let shown = print_expr(at);
        self.report(
            Diagnostic::warning("sumo-unreachable-label", format!("{shown} is never the result"))
                .at(at.at.0)
                .label("never taken")
                .meaning("every row here meets one of the conditions before it")
                .help("leave this case out, or move the `where` behind it")
                .related(w.at, "this lets through only rows that meet one of them"),
        );
    }

    pub fn expr(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Field(n) => self.mentions(&n.text),
            ExprKind::Neg(x) | ExprKind::Templated(x, _) => self.expr(x),
            ExprKind::Not(x) => {
                if let ExprKind::In { expr, negated: false, list } = &x.kind {
                    self.list(expr, list, true, x.at.0);
                    self.expr(expr);
                } else {
                    self.expr(x);
                }
            }
            ExprKind::And(list) => list.iter().for_each(|x| self.expr(x)),
            ExprKind::Or(list) => {
                self.private_globs(list, e.at.0);
                list.iter().for_each(|x| self.expr(x));
            }
            ExprKind::Binary(op, a, b) => {
                if *op == BinaryOp::Eq
                    && let (ExprKind::Field(n), ExprKind::String(t)) = (&a.kind, &b.kind)
                {
                    self.selects(&n.text, &t.cooked(), e.at.0);
                }
                if *op == BinaryOp::Eq
                    && let (ExprKind::Field(n), ExprKind::Number(t)) = (&a.kind, &b.kind)
                {
                    self.selects(&n.text, t, e.at.0);
                }
                if let ExprKind::String(t) = &b.kind {
                    self.bare_name(*op, a, t);
                }
                self.expr(a);
                self.expr(b);
            }
            ExprKind::In { expr, negated, list } => {
                self.list(expr, list, *negated, e.at.0);
                self.expr(expr);
            }
            ExprKind::Matches { expr, pattern, .. } => {
                match &pattern.kind {
                    ExprKind::Regex(re) => self.regex(expr, re, pattern.at.0),
                    ExprKind::String(_) => {}
                    _ => self.expr(pattern),
                }
                self.expr(expr);
            }
            ExprKind::Contains { expr, part, .. } => {
                self.expr(expr);
                self.expr(part);
            }
            ExprKind::Ternary(c, a, b) => {
                self.boolean_texts(a, b);
                self.expr(c);
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Call { name, args } => {
                match (name.text.to_ascii_lowercase().as_str(), args.as_slice()) {
                    ("matches", [x, p]) => {
                        let strict = self.options.profile == Profile::Strict;
                        self.report(findings::matches_call(e.at.0, strict));
                        if let ExprKind::String(t) = &p.kind {
                            self.regex(x, &t.cooked(), p.at.0);
                        }
                    }
                    ("if", [_, a, b]) => self.boolean_texts(a, b),
                    _ => {}
                }
                args.iter().for_each(|a| self.expr(a));
            }
            ExprKind::Subquery(s) => self.report_all(lint(&s.query, self.options)),
            ExprKind::Template(_)
            | ExprKind::String(_)
            | ExprKind::Number(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Regex(_)
            | ExprKind::Path(_) => {}
        }
    }

    /// `x in (…)` and its negation.
    fn list(&mut self, x: &Expr, list: &[Expr], negated: bool, at: Span) {
        let numbers: Vec<&Expr> = list.iter().filter(|i| matches!(i.kind, ExprKind::Number(_))).collect();
        if let (ExprKind::Field(n), Some(first), Some(last)) = (&x.kind, numbers.first(), numbers.last())
            && self.origin(x) != Origin::Number
        {
            let at = first.at.0.to(last.at.0);
            self.report(findings::numeric_in_on_text(at, &format!("`{}`", n.text)));
        }
        self.file_names(x, list, negated, at);
        list.iter().for_each(|i| self.expr(i));
    }

    /// `if(c, "true", "false")`.
    fn boolean_texts(&mut self, a: &Expr, b: &Expr) {
        let is = |e: &Expr, s: &str| matches!(&e.kind, ExprKind::String(t) if t.raw.eq_ignore_ascii_case(s));
        if is(a, "true") && is(b, "false") || is(a, "false") && is(b, "true") {
            self.report(
                Diagnostic::note("sumo-boolean-as-string", "a yes or no is kept as a text")
                    .at(a.at.0.to(b.at.0))
                    .meaning(
                        "a later condition has to compare it with the text; a misspelt one is never true",
                    )
                    .help("keep the condition itself: `condition as name`"),
            );
        }
    }

    /// Network connections without a look at who opened them.
    fn direction(&mut self) {
        if self.direction || !self.network {
            return;
        }
        if let Some(at) = self.event {
            self.report(
                Diagnostic::note("sumo-no-direction-test", "connections of both directions are taken")
                    .at(at)
                    .meaning(
                        "Sysmon's event 3 also records connections that others opened to this machine; the \
                         destination port is then a port of this machine",
                    )
                    .help("add `Initiated = \"true\"` for outbound connections"),
            );
        }
    }
}

/// The parts of `if(c, a, b)` and `c ? a : b`.
fn branch(e: &Expr) -> Option<(&Expr, &Expr, &Expr)> {
    match &e.kind {
        ExprKind::Ternary(c, a, b) => Some((c, a, b)),
        ExprKind::Call { name, args } if name.text.eq_ignore_ascii_case("if") => match args.as_slice() {
            [c, a, b] => Some((c, a, b)),
            _ => None,
        },
        _ => None,
    }
}

/// The fields that an expression reads, in lower case.
fn fields_of(e: &Expr, out: &mut Vec<String>) {
    match &e.kind {
        ExprKind::Field(n) => out.push(n.text.to_ascii_lowercase()),
        ExprKind::Neg(x) | ExprKind::Not(x) | ExprKind::Templated(x, _) => fields_of(x, out),
        ExprKind::And(l) | ExprKind::Or(l) | ExprKind::Call { args: l, .. } => {
            l.iter().for_each(|x| fields_of(x, out))
        }
        ExprKind::Binary(_, a, b) => {
            fields_of(a, out);
            fields_of(b, out);
        }
        ExprKind::In { expr, list, .. } => {
            fields_of(expr, out);
            list.iter().for_each(|x| fields_of(x, out));
        }
        ExprKind::Matches { expr, pattern: other, .. } | ExprKind::Contains { expr, part: other, .. } => {
            fields_of(expr, out);
            fields_of(other, out);
        }
        ExprKind::Ternary(a, b, c) => [a, b, c].into_iter().for_each(|x| fields_of(x, out)),
        _ => {}
    }
}
