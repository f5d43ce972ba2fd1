//! Expressions to text.

use super::Printer;
use crate::ast::{
    Argument, ArithmeticOp, Call, CompareOp, Expr, ExprKind, ExternalData, Json, ListOp, Literal, NamedExpr,
    Node, Pipeline, QueryParameter, SortKey, Step,
};

/// How tightly an expression holds together; see the parser's table.
fn level(e: &Expr) -> u8 {
    match &e.node {
        ExprKind::Or(_) => 1,
        ExprKind::And(_) => 2,
        ExprKind::Compare { op, .. } => match op.node {
            CompareOp::Eq | CompareOp::Ne => 3,
            _ => 4,
        },
        ExprKind::List { .. } | ExprKind::Between { .. } => 3,
        ExprKind::Arithmetic { rest, .. } => match rest.first().map(|r| r.0.node) {
            Some(ArithmeticOp::Add | ArithmeticOp::Subtract) => 5,
            _ => 6,
        },
        ExprKind::StringOp { .. } => 7,
        ExprKind::Sign { .. } => 8,
        // A negative number is written with a sign.
        ExprKind::Literal(Literal::Long(n)) if *n < 0 => 8,
        ExprKind::Literal(Literal::Real(r)) if *r < 0.0 => 8,
        // Only at the head of a statement, in parentheses or as an argument.
        ExprKind::Pipeline(_) => 0,
        _ => 9,
    }
}

impl Printer {
    /// An expression where a whole pipeline may stand.
    pub(super) fn pipe(&mut self, e: &Expr) {
        match &e.node {
            ExprKind::Pipeline(p) => self.pipeline(p),
            _ => self.expr(e),
        }
    }

    /// An expression; a pipeline is put in parentheses.
    pub(super) fn expr(&mut self, e: &Expr) {
        self.at_least(e, 1);
    }

    /// An expression as an operand that must hold at least as tightly as `least`.
    fn at_least(&mut self, e: &Expr, least: u8) {
        if level(e) >= least {
            return self.bare(e);
        }
        self.push("(");
        self.pipe(e);
        self.push(")");
    }

    /// Operators of a subquery, without the brackets.
    pub(super) fn pipeline(&mut self, p: &Pipeline) {
        let mut first = true;
        if let Some(source) = &p.source {
            // A pipeline as the source of another one keeps its parentheses.
            self.expr(source);
            first = false;
        }
        for o in &p.operators {
            if !first {
                self.newline();
                self.push("| ");
            }
            first = false;
            self.operator(o);
        }
    }

    /// `(operators)`.
    pub(super) fn subquery(&mut self, p: &Pipeline) {
        self.push("(");
        self.indent += 1;
        self.newline();
        self.pipeline(p);
        self.indent -= 1;
        self.newline();
        self.push(")");
    }

    fn bare(&mut self, e: &Expr) {
        match &e.node {
            ExprKind::Name(n) => self.name(n),
            ExprKind::Wildcard(w) => self.push(w),
            ExprKind::Star => self.push("*"),
            ExprKind::Literal(l) => self.literal(l),
            ExprKind::Sign { negative, operand } => {
                self.push(if *negative { "-" } else { "+" });
                self.at_least(operand, 9);
            }
            ExprKind::Or(items) => self.chain(items, " or ", 2),
            ExprKind::And(items) => self.chain(items, " and ", 3),
            ExprKind::Arithmetic { first, rest } => {
                let tighter = level(e) + 1;
                self.at_least(first, tighter);
                for (op, operand) in rest {
                    self.push(" ");
                    self.push(op.node.as_str());
                    self.push(" ");
                    self.at_least(operand, tighter);
                }
            }
            ExprKind::Compare { op, left, right } => {
                let l = level(e);
                self.at_least(left, l + 1);
                self.push(" ");
                self.push(op.node.as_str());
                self.push(" ");
                self.at_least(right, l + 1);
            }
            ExprKind::StringOp { op, left, right } => {
                self.at_least(left, 8);
                if op.node == crate::ast::StringOp::Colon {
                    self.push(":");
                } else {
                    self.push(" ");
                    self.push(op.node.as_str());
                    self.push(" ");
                }
                self.at_least(right, 8);
            }
            ExprKind::List { op, left, items } => {
                self.at_least(left, 4);
                self.push(" ");
                self.push(ListOp::as_str(op.node));
                self.push(" (");
                self.listed(items);
                self.push(")");
            }
            ExprKind::Between { negated, value, low, high, .. } => {
                self.at_least(value, 4);
                self.push(if negated.node { " !between (" } else { " between (" });
                self.expr(low);
                self.push(" .. ");
                self.expr(high);
                self.push(")");
            }
            ExprKind::Path { base, steps } => {
                // A path on a path in parentheses is another tree than one long path.
                self.at_least(base, if matches!(base.node, ExprKind::Path { .. }) { 10 } else { 9 });
                for s in steps {
                    self.step(s);
                }
            }
            ExprKind::Call(c) => self.call(c),
            ExprKind::Pipeline(p) => self.pipeline(p),
            ExprKind::DataTable(t) => {
                self.push("datatable");
                self.schema(&t.schema);
                self.push(" [");
                let width = t.schema.len().max(1);
                self.indent += 1;
                for (i, v) in t.values.iter().enumerate() {
                    if i > 0 {
                        self.push(", ");
                    }
                    if i % width == 0 {
                        self.newline();
                    }
                    self.expr(v);
                }
                self.indent -= 1;
                self.newline();
                self.push("]");
            }
            ExprKind::ExternalData(d) => self.external(d),
            ExprKind::EntityGroup(list) => {
                self.push("entity_group [");
                self.comma(list, Self::expr);
                self.push("]");
            }
            ExprKind::Error => self.push("''"),
        }
    }

    /// Items of a list. A pipeline among others needs parentheses: a comma would go on with it.
    pub(super) fn listed(&mut self, items: &[Expr]) {
        match items {
            [one] => self.pipe(one),
            _ => self.comma(items, Self::expr),
        }
    }

    fn chain(&mut self, items: &[Expr], word: &str, tighter: u8) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(word);
            }
            self.at_least(item, tighter);
        }
    }

    fn step(&mut self, s: &Step) {
        match s {
            Step::Member(n) => {
                self.push(".");
                self.name(&n.node);
            }
            Step::Index(e) => {
                self.push("[");
                self.expr(e);
                self.push("]");
            }
            Step::Call(c) => {
                self.push(".");
                self.call(&c.node);
            }
            Step::Wildcard(w) => {
                self.push(".");
                self.push(&w.node);
            }
        }
    }

    pub(super) fn call(&mut self, c: &Call) {
        // Behind a call's name stands a parenthesis, which settles what it is.
        self.push(&c.name.node);
        if !c.parameters.is_empty() {
            self.parameters_of(&c.parameters);
            self.push(" ");
        }
        self.push("(");
        let alone = c.arguments.len() == 1;
        self.comma(&c.arguments, |p, a: &Argument| {
            if let Some(n) = &a.name {
                p.name(&n.node);
                p.push(" = ");
            }
            if a.name.is_none() && alone { p.pipe(&a.value) } else { p.expr(&a.value) }
        });
        self.push(")");
    }

    fn external(&mut self, d: &ExternalData) {
        match &d.inline {
            None => {
                self.push("externaldata");
                self.schema(&d.schema);
                self.push(" [");
                self.comma(&d.uris, Self::expr);
                self.push("]");
            }
            Some(i) => {
                self.push("inline_external_table");
                if !d.schema.is_empty() {
                    self.schema(&d.schema);
                }
                self.parameters_of(&i.parameters);
                if !i.partition.is_empty() {
                    self.push(" partition by ");
                    self.parameters(&i.partition);
                }
                if !i.path_format.is_empty() {
                    self.push(" pathformat=(");
                    for (n, e) in i.path_format.iter().enumerate() {
                        if n > 0 {
                            self.push(" ");
                        }
                        self.at_least(e, 9);
                    }
                    self.push(")");
                }
                self.push(" (");
                self.comma(&d.uris, Self::expr);
                self.push(")");
            }
        }
        if !d.properties.is_empty() {
            self.push(" with ");
            self.properties(&d.properties);
        }
    }

    pub(super) fn properties(&mut self, list: &[QueryParameter]) {
        self.push("(");
        self.comma(list, |p, q: &QueryParameter| {
            p.push(&q.name.node);
            p.push("=");
            p.comma(&q.values, Self::parameter_value);
        });
        self.push(")");
    }

    /// ` name=value` for each.
    pub(super) fn parameters_of(&mut self, list: &[QueryParameter]) {
        for q in list {
            self.push(" ");
            self.push(&q.name.node);
            self.push("=");
            self.comma(&q.values, Self::parameter_value);
        }
    }

    /// A bare word keeps no brackets here: `kind=inner`.
    pub(super) fn parameter_value(&mut self, e: &Expr) {
        match &e.node {
            ExprKind::Name(n)
                if !n.is_empty()
                    && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !n.as_bytes()[0].is_ascii_digit()
                    && !matches!(&**n, "true" | "false" | "True" | "False" | "TRUE" | "FALSE") =>
            {
                self.push(n);
            }
            _ => self.at_least(e, 8),
        }
    }

    pub(super) fn named(&mut self, n: &NamedExpr) {
        match n.names.as_slice() {
            [] => {}
            [one] => {
                self.name(&one.node);
                self.push(" = ");
            }
            many => {
                self.push("(");
                self.comma(many, |p, i| p.name(&i.node));
                self.push(") = ");
            }
        }
        self.expr(&n.value);
    }

    pub(super) fn sort_key(&mut self, k: &SortKey) {
        self.named(&k.value);
        match k.ascending {
            Some(true) => self.push(" asc"),
            Some(false) => self.push(" desc"),
            None => {}
        }
        match k.nulls_first {
            Some(true) => self.push(" nulls first"),
            Some(false) => self.push(" nulls last"),
            None => {}
        }
    }

    pub(super) fn literal(&mut self, l: &Literal) {
        match l {
            Literal::Bool(b) => self.push(if *b { "true" } else { "false" }),
            Literal::Long(n) => self.push(&n.to_string()),
            Literal::Real(r) => self.push(&real(*r)),
            Literal::String { value, hidden } => {
                if *hidden {
                    self.push("h");
                }
                self.string(value);
            }
            Literal::Timespan(t) => self.push(t),
            Literal::Typed(ty, text) => {
                self.push(ty.as_str());
                self.push("(");
                self.push(text);
                self.push(")");
            }
            Literal::TypeOf(text) => {
                self.push("typeof(");
                self.push(text);
                self.push(")");
            }
            Literal::Dynamic(j) => {
                self.push("dynamic(");
                self.json(j);
                self.push(")");
            }
        }
    }

    fn json(&mut self, j: &Node<Json>) {
        match &j.node {
            Json::Null => self.push("null"),
            Json::Scalar(l) => self.literal(l),
            Json::Array(items) => {
                self.push("[");
                self.comma(items, Self::json);
                self.push("]");
            }
            Json::Object(pairs) => {
                self.push("{");
                self.comma(pairs, |p, (k, v)| {
                    p.string(&k.node);
                    p.push(": ");
                    p.json(v);
                });
                self.push("}");
            }
        }
    }
}

/// A real that reads as one: with a dot or an exponent.
fn real(r: f64) -> String {
    if r.is_infinite() {
        // `1e999` is how an overflowing number was written.
        return if r > 0.0 { "1e999".into() } else { "-1e999".into() };
    }
    let text = format!("{r:?}");
    if text.contains(['.', 'e', 'E']) { text } else { format!("{text}.0") }
}
