//! From tree to text: one operator a line, keywords in lower case, parentheses only where needed.

mod operators;

use crate::ast::*;

/// Prints a query. Reading the text again gives an equal tree.
pub fn print(query: &Query) -> String {
    let mut p = Printer { out: String::new() };
    p.query(query, "\n| ");
    p.out
}

/// Prints one expression.
pub fn print_expr(e: &Expr) -> String {
    let mut p = Printer { out: String::new() };
    p.expr(e, 0);
    p.out
}

/// Words that mean something in an expression; a field of that name is quoted.
const RESERVED: &[&str] = &[
    "and", "or", "not", "in", "as", "by", "matches", "contains", "true", "false", "null", "asc", "desc",
    "nodrop", "multi", "on", "for", "with", "from", "where", "eval",
];

struct Printer {
    out: String,
}

fn plain_name(text: &str) -> bool {
    if RESERVED.iter().any(|r| text.eq_ignore_ascii_case(r)) {
        return false;
    }
    // A name that reads as one word, and not as a number or a parameter standing for an expression.
    let mut lex = crate::lexer::Lexer::new(text);
    let t = lex.token(0);
    t.start == 0
        && t.end == text.len()
        && t.tok == crate::lexer::Tok::Ident
        && lex.template(0) != Some(text.len())
}

impl Printer {
    fn put(&mut self, s: &str) {
        self.out.push_str(s);
    }

    fn name(&mut self, n: &Name) {
        if plain_name(&n.text) {
            self.put(&n.text);
        } else {
            self.quoted_name(&n.text);
        }
    }

    fn quoted_name(&mut self, text: &str) {
        self.put("%\"");
        for c in text.chars() {
            match c {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                '\r' => self.put("\\r"),
                '\t' => self.put("\\t"),
                c => self.out.push(c),
            }
        }
        self.put("\"");
    }

    fn names(&mut self, names: &[Name]) {
        self.list(names, |p, n| p.name(n));
    }

    fn list<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            one(self, item);
        }
    }

    fn text(&mut self, t: &Text) {
        self.out.push(t.quote);
        self.put(&t.raw);
        self.out.push(t.quote);
    }

    fn alias(&mut self, a: &Option<Name>) {
        if let Some(a) = a {
            self.put(" as ");
            self.name(a);
        }
    }

    fn by(&mut self, names: &[Name]) {
        if !names.is_empty() {
            self.put(" by ");
            self.names(names);
        }
    }

    fn by_keys(&mut self, keys: &[GroupKey]) {
        if !keys.is_empty() {
            self.put(" by ");
            self.list(keys, |p, k| {
                p.expr(&k.expr, 0);
                p.alias(&k.alias);
            });
        }
    }

    fn settings(&mut self, settings: &[Setting]) {
        for (i, s) in settings.iter().enumerate() {
            self.put(if i > 0 { ", " } else { " " });
            self.put(&s.name.text);
            self.put("=");
            self.put(&s.value);
        }
    }

    /// `separator` stands between stages.
    fn query(&mut self, q: &Query, separator: &str) {
        if let Some(scope) = &q.scope {
            self.scope(scope, 0);
        }
        for (i, stage) in q.stages.iter().enumerate() {
            match &stage.op {
                // A parameter behind a stage brings its own pipe.
                Operator::Template(t) if i > 0 => {
                    self.put("\n");
                    self.put(t);
                    continue;
                }
                op if i == 0 && q.scope.is_none() => {
                    if !starts_alone(op, separator != "\n| ") {
                        self.put("| ");
                    }
                }
                _ => self.put(separator),
            }
            self.operator(&stage.op);
        }
    }

    fn child(&mut self, q: &Query) {
        self.put("(");
        self.query(q, " | ");
        self.put(")");
    }

    /// `level`: 0 anything, 1 no bare `or`, 2 no bare `and`.
    fn scope(&mut self, s: &Scope, level: u8) {
        match s {
            Scope::Or(list) => {
                let paren = level > 0;
                self.open(paren);
                for (i, x) in list.iter().enumerate() {
                    if i > 0 {
                        self.put(" OR ");
                    }
                    self.scope(x, 1);
                }
                self.close(paren);
            }
            Scope::And(list) => {
                let paren = level > 1;
                self.open(paren);
                for (i, x) in list.iter().enumerate() {
                    if i > 0 {
                        self.put(" AND ");
                    }
                    self.scope(x, 2);
                }
                self.close(paren);
            }
            Scope::Not(x, _) => {
                self.put("NOT ");
                self.scope(x, 2);
            }
            Scope::Term(t) => self.term(t),
            Scope::Field { name, op, value, .. } => {
                let bare = !name.text.is_empty()
                    && name.text.chars().all(|c| {
                        !c.is_whitespace()
                            && !matches!(c, '"' | '(' | ')' | '|' | '[' | ']' | '=' | '!' | '<' | '>' | '%')
                    });
                if bare || name.text.contains("{{") || name.text.contains("${") {
                    self.put(&name.text);
                } else {
                    self.quoted_name(&name.text);
                }
                self.put(match op {
                    ScopeOp::Eq => "=",
                    ScopeOp::Ne => "!=",
                    ScopeOp::Lt => "<",
                    ScopeOp::Le => "<=",
                    ScopeOp::Gt => ">",
                    ScopeOp::Ge => ">=",
                });
                // `a= =` is not `a==`.
                if matches!(value.parts.first(), Some(TermPart::Word(w)) if w.starts_with('=')) {
                    self.put(" ");
                }
                self.term(value);
            }
            Scope::Subquery(s) => self.subquery(s),
        }
    }

    fn term(&mut self, t: &Term) {
        for part in &t.parts {
            match part {
                TermPart::Word(w) => self.put(w),
                TermPart::Quoted(q) => self.text(q),
            }
        }
    }

    fn subquery(&mut self, s: &Subquery) {
        self.put("[subquery");
        for o in &s.options {
            self.put(" ");
            self.put(&o.name.text);
            self.put("=");
            self.put(&o.value);
        }
        self.put(": ");
        self.query(&s.query, " | ");
        if !s.compose.is_empty() {
            self.put(" | compose ");
            self.names(&s.compose);
            if s.keywords {
                self.put(" keywords");
            }
            for o in &s.settings {
                self.put(" ");
                self.put(&o.name.text);
                self.put("=");
                self.put(&o.value);
            }
        }
        self.put("]");
    }

    fn open(&mut self, paren: bool) {
        if paren {
            self.put("(");
        }
    }

    fn close(&mut self, paren: bool) {
        if paren {
            self.put(")");
        }
    }

    /// `min`: what binds weaker is put in parentheses. The numbers are those of the parser.
    fn expr(&mut self, e: &Expr, min: u8) {
        match &e.kind {
            ExprKind::Field(n) => self.name(n),
            ExprKind::Template(t) => self.put(t),
            ExprKind::String(t) => self.text(t),
            ExprKind::Number(n) => self.put(n),
            ExprKind::Bool(b) => self.put(if *b { "true" } else { "false" }),
            ExprKind::Null => self.put("null"),
            ExprKind::Regex(r) => {
                self.put("/");
                self.put(r);
                self.put("/");
            }
            ExprKind::Path(p) => self.put(p),
            ExprKind::Neg(x) => {
                let paren = min > 8;
                self.open(paren);
                self.put("-");
                self.expr(x, 8);
                self.close(paren);
            }
            ExprKind::Not(x) => {
                // Behind an operator that binds stronger it would swallow what follows.
                let paren = min > 4;
                self.open(paren);
                self.put("!");
                self.expr(x, if matches!(x.kind, ExprKind::Not(_)) { 4 } else { 9 });
                self.close(paren);
            }
            ExprKind::And(list) => self.chain(list, " and ", 3, min),
            ExprKind::Or(list) => self.chain(list, " or ", 2, min),
            ExprKind::Binary(op, a, b) => {
                let power = match op {
                    BinaryOp::Add | BinaryOp::Sub => 6,
                    BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => 7,
                    _ => 5,
                };
                let paren = min > power;
                self.open(paren);
                self.expr(a, power);
                self.put(" ");
                self.put(op.as_str());
                self.put(" ");
                self.expr(b, power + 1);
                self.close(paren);
            }
            ExprKind::In { expr, negated, list } => {
                let paren = min > 5;
                self.open(paren);
                self.expr(expr, 5);
                self.put(if *negated { " not in " } else { " in " });
                self.put("(");
                self.list(list, |p, x| p.expr(x, 0));
                self.put(")");
                self.close(paren);
            }
            ExprKind::Matches { expr, negated, pattern } => {
                let paren = min > 5;
                self.open(paren);
                self.expr(expr, 5);
                self.put(if *negated { " not matches " } else { " matches " });
                self.expr(pattern, 6);
                self.close(paren);
            }
            ExprKind::Contains { expr, negated, part } => {
                let paren = min > 5;
                self.open(paren);
                self.expr(expr, 5);
                self.put(if *negated { " not contains " } else { " contains " });
                self.expr(part, 6);
                self.close(paren);
            }
            ExprKind::Ternary(c, a, b) => {
                let paren = min > 1;
                self.open(paren);
                self.expr(c, 2);
                self.put(" ? ");
                self.expr(a, 0);
                self.put(" : ");
                self.expr(b, 1);
                self.close(paren);
            }
            ExprKind::Call { name, args } => {
                self.put(&name.text);
                self.put("(");
                self.list(args, |p, x| p.expr(x, 0));
                self.put(")");
            }
            ExprKind::Subquery(s) => self.subquery(s),
            ExprKind::Templated(x, t) => {
                self.expr(x, 6);
                self.put(" ");
                self.put(t);
            }
        }
    }

    fn chain(&mut self, list: &[Expr], between: &str, power: u8, min: u8) {
        let paren = min > power;
        self.open(paren);
        for (i, x) in list.iter().enumerate() {
            if i > 0 {
                self.put(between);
            }
            self.expr(x, power + 1);
        }
        self.close(paren);
    }

    /// An expression where the grammar takes a single value.
    fn amount(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Field(_) | ExprKind::Template(_) => {
                self.expr(e, 0)
            }
            ExprKind::Neg(x)
                if matches!(x.kind, ExprKind::Number(_) | ExprKind::Template(_) | ExprKind::Field(_)) =>
            {
                self.put("-");
                self.amount(x);
            }
            _ => {
                self.put("(");
                self.expr(e, 0);
                self.put(")");
            }
        }
    }

    fn aggregate(&mut self, a: &Aggregate) {
        self.put(&a.function.text);
        if !a.args.is_empty() || a.function.text != "count" {
            self.put("(");
            self.list(&a.args, |p, x| p.expr(x, 0));
            self.put(")");
        }
        self.alias(&a.alias);
    }

    fn operator(&mut self, op: &Operator) {
        match op {
            Operator::Error => self.put("/* error */"),
            Operator::Template(t) => self.put(t),
            Operator::Where(e) => {
                self.put("where ");
                self.expr(e, 0);
            }
            Operator::Compute { expr, name: Some(name), eval: true } => {
                self.put("eval ");
                self.name(name);
                self.put(" = ");
                self.expr(expr, 0);
            }
            Operator::Compute { expr, name, .. } => {
                self.compute(expr);
                self.alias(name);
            }
            Operator::Fields { remove, names } => {
                self.put(if *remove { "fields - " } else { "fields " });
                self.names(names);
            }
            Operator::Sort(keys) if keys.is_empty() => self.put("sort"),
            Operator::Sort(keys) => {
                self.put("sort by ");
                self.list(keys, |p, k| {
                    p.expr(&k.expr, 0);
                    p.put(if k.ascending { " asc" } else { " desc" });
                });
            }
            Operator::Limit(n) => {
                self.put("limit ");
                self.amount(n);
            }
            Operator::Top { n, fields, by } => {
                self.put("top ");
                self.amount(n);
                self.put(" ");
                self.list(fields, |p, f| p.amount(f));
                self.by_keys(by);
            }
            Operator::Topk { n, fields, by } => {
                self.put("topk(");
                self.amount(n);
                for f in fields {
                    self.put(", ");
                    self.expr(f, 0);
                }
                self.put(")");
                self.by_keys(by);
            }
            Operator::Dedup { consecutive, n, by } => {
                self.put("dedup");
                if *consecutive {
                    self.put(" consecutive");
                }
                if let Some(n) = n {
                    self.put(" ");
                    self.amount(n);
                }
                self.by(by);
            }
            Operator::Aggregate { items, by } => {
                self.list(items, Self::aggregate);
                self.by_keys(by);
            }
            Operator::Timeslice { width, buckets, alias } => {
                self.put("timeslice");
                if let Some(w) = width {
                    self.put(" ");
                    self.amount(w);
                }
                if *buckets {
                    self.put(" buckets");
                }
                self.alias(alias);
            }
            Operator::Transpose { rows, columns, names } => {
                self.put("transpose");
                if !rows.is_empty() {
                    self.put(" row ");
                    self.names(rows);
                }
                if !columns.is_empty() {
                    self.put(" column ");
                    self.names(columns);
                }
                if !names.is_empty() {
                    self.put(" as ");
                    self.list(names, |p, n| if n.text == "*" { p.put("*") } else { p.name(n) });
                }
            }
            Operator::Window { op, field, n, alias, by } => {
                self.put(op.as_str());
                self.put(" ");
                self.amount(field);
                if let Some(n) = n {
                    self.put(", ");
                    self.amount(n);
                }
                self.alias(alias);
                self.by(by);
            }
            Operator::Bin { field, settings } => {
                self.put("bin ");
                self.expr(field, 0);
                self.settings(settings);
            }
            Operator::Withtime(f) => {
                self.put("withtime ");
                self.name(f);
            }
            Operator::FillMissing { .. }
            | Operator::Compare(_)
            | Operator::Outlier { .. }
            | Operator::Predict { .. } => {
                self.series(op);
            }
            Operator::Filter { expr, query } => {
                self.put("filter ");
                self.expr(expr, 0);
                if let Some(q) = query {
                    self.put(" in ");
                    self.child(q);
                }
            }
            Operator::Join { .. }
            | Operator::Transaction { .. }
            | Operator::Transactionize { .. }
            | Operator::Merge(_)
            | Operator::Sessionize { .. }
            | Operator::Trace(_) => self.combining(op),
            Operator::Lookup { .. }
            | Operator::Intel { .. }
            | Operator::LogAnalysis { .. }
            | Operator::Service { .. } => self.service(op),
            Operator::ParseAnchor { .. }
            | Operator::ParseRegex { .. }
            | Operator::ParseXml { .. }
            | Operator::ParseUsing { .. }
            | Operator::Json { .. }
            | Operator::Split { .. }
            | Operator::KeyValue { .. } => self.extracting(op),
        }
    }

    /// A computed value: not so that it would read as an operator of that name.
    fn compute(&mut self, e: &Expr) {
        let before = self.out.len();
        self.expr(e, 0);
        let text = self.out[before..].to_owned();
        let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        // A field on the left that is called like an operator is safe in parentheses, as a name only behind `%`.
        if matches!(e.kind, ExprKind::Field(_)) || !crate::parse::starts_operator(word) {
            return;
        }
        if matches!(e.kind, ExprKind::Call { .. }) {
            return;
        }
        self.out.truncate(before);
        self.put("(");
        self.put(&text);
        self.put(")");
    }
}

/// Whether a query without a scope may start with this operator and still be read as one. Children of
/// `join` and `filter` usually have no scope.
fn starts_alone(op: &Operator, child: bool) -> bool {
    match op {
        Operator::ParseAnchor { .. }
        | Operator::ParseRegex { .. }
        | Operator::Json { .. }
        | Operator::KeyValue { .. } => true,
        Operator::Where(_)
        | Operator::Aggregate { .. }
        | Operator::Timeslice { .. }
        | Operator::Fields { .. } => child,
        Operator::Compute { expr, name: Some(_), eval: false } => {
            child && matches!(expr.kind, ExprKind::Field(_) | ExprKind::Call { .. })
        }
        _ => false,
    }
}
