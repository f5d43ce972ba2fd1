//! Operators to text.

use super::Printer;
use crate::ast::{
    Direction, EvaluateSchema, Expr, FindColumn, GraphElement, GraphMatch, Join, MakeGraph, MakeSeries,
    MvItem, NamedExpr, Operator, OperatorKind, ParseElement, Partition, QueryParameter, ReorderBy, Scan,
    Summarize, TopNested,
};

impl Printer {
    fn word(&mut self, word: &str, parameters: &[QueryParameter]) {
        self.push(word);
        self.parameters_of(parameters);
    }

    fn named_list(&mut self, word: &str, items: &[NamedExpr]) {
        self.push(word);
        if !items.is_empty() {
            self.push(" ");
            self.comma(items, Self::named);
        }
    }

    fn expr_list(&mut self, word: &str, items: &[Expr]) {
        self.push(word);
        if !items.is_empty() {
            self.push(" ");
            self.comma(items, Self::expr);
        }
    }

    fn clause(&mut self, word: &str, e: Option<&Expr>) {
        if let Some(e) = e {
            self.push(word);
            self.expr(e);
        }
    }

    pub(super) fn operator(&mut self, o: &Operator) {
        match &o.node {
            OperatorKind::As { parameters, name } => {
                self.word("as", parameters);
                self.push(" ");
                self.name(&name.node);
            }
            OperatorKind::AssertSchema(columns) => {
                self.push("assert-schema ");
                self.schema(columns);
            }
            OperatorKind::Consume(parameters) => self.word("consume", parameters),
            OperatorKind::Count(name) => {
                self.push("count");
                if let Some(n) = name {
                    self.push(" as ");
                    self.name(&n.node);
                }
            }
            OperatorKind::Distinct { parameters, columns } => {
                self.word("distinct", parameters);
                self.expr_list("", columns);
            }
            OperatorKind::Evaluate { parameters, call, schema } => {
                self.word("evaluate", parameters);
                self.push(" ");
                self.call(&call.node);
                if let Some(EvaluateSchema { star, columns }) = schema {
                    self.push(" : (");
                    if *star {
                        self.push(if columns.is_empty() { "*" } else { "*, " });
                    }
                    self.comma(columns, Self::column);
                    self.push(")");
                }
            }
            OperatorKind::ExecuteAndCache => self.push("__executeAndCache"),
            OperatorKind::Extend(items) => self.named_list("extend", items),
            OperatorKind::Facet { by, with } => {
                self.expr_list("facet by", by);
                if let Some(p) = with {
                    self.push(" with ");
                    self.subquery(p);
                }
            }
            OperatorKind::Find(f) => {
                self.word("find", &f.parameters);
                self.in_tables(&f.tables);
                self.push(" where ");
                self.expr(&f.predicate);
                if f.smart {
                    self.push(" project-smart");
                }
                if let Some(columns) = &f.project {
                    self.push(" project ");
                    self.comma(columns, |p, c| match c {
                        FindColumn::Column(c) => p.column(c),
                        FindColumn::Pack => p.push("pack(*)"),
                    });
                }
                if let Some(away) = &f.away {
                    self.expr_list(" project-away", away);
                }
            }
            OperatorKind::Fork(branches) => {
                self.push("fork");
                for (name, body) in branches {
                    self.push(" ");
                    if let Some(n) = name {
                        self.name(&n.node);
                        self.push(" = ");
                    }
                    self.subquery(body);
                }
            }
            OperatorKind::GetSchema { parameters } => self.word("getschema", parameters),
            OperatorKind::GraphMarkComponents(parameters) => self.word("graph-mark-components", parameters),
            OperatorKind::GraphMatch(g) => self.graph_match(g),
            OperatorKind::GraphToTable(outputs) => {
                self.push("graph-to-table ");
                self.comma(outputs, |p, o| {
                    p.push(if o.edges { "edges" } else { "nodes" });
                    if let Some(n) = &o.name {
                        p.push(" as ");
                        p.name(&n.node);
                    }
                    p.parameters_of(&o.parameters);
                });
            }
            OperatorKind::GraphWhere { edges, predicate } => {
                self.push(if *edges { "graph-where-edges " } else { "graph-where-nodes " });
                self.expr(predicate);
            }
            OperatorKind::Invoke(e) => {
                self.push("invoke ");
                self.expr(e);
            }
            OperatorKind::Join(j) => self.join(j),
            OperatorKind::MacroExpand { parameters, group, name, body } => {
                self.word("macro-expand", parameters);
                self.push(" ");
                self.expr(group);
                self.push(" as ");
                self.name(&name.node);
                self.push(" (");
                self.indent += 1;
                self.newline();
                self.statements(body);
                self.indent -= 1;
                self.newline();
                self.push(")");
            }
            OperatorKind::MakeGraph(g) => self.make_graph(g),
            OperatorKind::MakeSeries(m) => self.make_series(m),
            OperatorKind::MvApply(m) => {
                self.word("mv-apply", &m.parameters);
                self.mv_items(&m.items);
                self.clause(" limit ", m.limit.as_ref());
                self.push(" on ");
                self.subquery(&m.body);
            }
            OperatorKind::MvExpand { parameters, items, limit, legacy } => {
                self.word(if *legacy { "mvexpand" } else { "mv-expand" }, parameters);
                self.mv_items(items);
                self.clause(" limit ", limit.as_ref());
            }
            OperatorKind::Parse(parse) => {
                self.word(if parse.filter { "parse-where" } else { "parse" }, &parse.parameters);
                self.push(" ");
                self.expr(&parse.subject);
                self.push(" with");
                for element in &parse.pattern {
                    self.push(" ");
                    match element {
                        ParseElement::Star => self.push("*"),
                        ParseElement::Text(e) => self.expr(e),
                        ParseElement::Column(c) => self.column(c),
                    }
                }
            }
            OperatorKind::ParseKv { subject, keys, properties } => {
                self.push("parse-kv ");
                self.expr(subject);
                self.push(" as ");
                self.schema(keys);
                if !properties.is_empty() {
                    self.push(" with ");
                    self.properties(properties);
                }
            }
            OperatorKind::Partition(p) => self.partition(p),
            OperatorKind::Print(items) => self.named_list("print", items),
            OperatorKind::Project(items) => self.named_list("project", items),
            OperatorKind::ProjectAway(items) => self.expr_list("project-away", items),
            OperatorKind::ProjectByNames(items) => self.expr_list("project-by-names", items),
            OperatorKind::ProjectKeep(items) => self.expr_list("project-keep", items),
            OperatorKind::ProjectRename(items) => self.named_list("project-rename", items),
            OperatorKind::ProjectReorder(items) => {
                self.push("project-reorder");
                for (i, (e, order)) in items.iter().enumerate() {
                    self.push(if i > 0 { ", " } else { " " });
                    self.expr(e);
                    match order {
                        None => {}
                        Some(ReorderBy::Asc) => self.push(" asc"),
                        Some(ReorderBy::Desc) => self.push(" desc"),
                        Some(ReorderBy::GrannyAsc) => self.push(" granny-asc"),
                        Some(ReorderBy::GrannyDesc) => self.push(" granny-desc"),
                    }
                }
            }
            OperatorKind::Range { name, from, to, step } => {
                self.push("range ");
                self.name(&name.node);
                self.clause(" from ", Some(from));
                self.clause(" to ", Some(to));
                self.clause(" step ", Some(step));
            }
            OperatorKind::Reduce { parameters, by, with } => {
                self.word("reduce", parameters);
                self.push(" by ");
                self.named(by);
                if !with.is_empty() {
                    self.named_list(" with", with);
                }
            }
            OperatorKind::Render { chart, properties } => {
                self.push("render ");
                self.name(&chart.node);
                if !properties.is_empty() {
                    self.push(" with ");
                    self.properties(properties);
                }
            }
            OperatorKind::Sample { parameters, count } => {
                self.word("sample", parameters);
                self.clause(" ", Some(count));
            }
            OperatorKind::SampleDistinct { parameters, count, of } => {
                self.word("sample-distinct", parameters);
                self.clause(" ", Some(count));
                self.push(" of ");
                self.named(of);
            }
            OperatorKind::Scan(s) => self.scan(s),
            OperatorKind::Search(s) => {
                self.word("search", &s.parameters);
                self.in_tables(&s.tables);
                self.clause(" ", Some(&s.predicate));
            }
            OperatorKind::Serialize { parameters, columns } => {
                self.word("serialize", parameters);
                self.named_list("", columns);
            }
            OperatorKind::Sort { parameters, keys } => {
                self.word("sort", parameters);
                self.push(" by ");
                self.comma(keys, Self::sort_key);
            }
            OperatorKind::Summarize(s) => self.summarize(s),
            OperatorKind::Take { parameters, count } => {
                self.word("take", parameters);
                self.clause(" ", Some(count));
            }
            OperatorKind::Top { parameters, count, key } => {
                self.word("top", parameters);
                self.clause(" ", Some(count));
                self.push(" by ");
                self.sort_key(key);
            }
            OperatorKind::TopHitters { parameters, count, of, by } => {
                self.word("top-hitters", parameters);
                self.clause(" ", Some(count));
                self.push(" of ");
                self.named(of);
                if let Some(k) = by {
                    self.push(" by ");
                    self.sort_key(k);
                }
            }
            OperatorKind::TopNested(levels) => self.comma(levels, |p, t: &TopNested| {
                p.push("top-nested");
                p.clause(" ", t.count.as_ref());
                p.push(" of ");
                p.named(&t.of);
                p.clause(" with others = ", t.others.as_ref());
                p.push(" by ");
                p.sort_key(&t.by);
            }),
            OperatorKind::Union { parameters, tables } => {
                self.word("union", parameters);
                self.expr_list("", tables);
            }
            OperatorKind::Where { parameters, predicate } => {
                self.word("where", parameters);
                self.push(" ");
                self.named(predicate);
            }
            // A tree with errors prints to a text with an error, never to one that means something else.
            OperatorKind::Error => self.push("?"),
        }
    }

    fn in_tables(&mut self, tables: &[Expr]) {
        if tables.is_empty() {
            return;
        }
        self.push(" in (");
        self.listed(tables);
        self.push(")");
    }

    fn mv_items(&mut self, items: &[MvItem]) {
        self.push(" ");
        self.comma(items, |p, i| {
            p.named(&i.value);
            if let Some(t) = &i.to {
                p.push(" to typeof(");
                p.push(&t.node);
                p.push(")");
            }
        });
    }

    fn join(&mut self, j: &Join) {
        self.word(if j.lookup { "lookup" } else { "join" }, &j.parameters);
        self.push(" ");
        match &j.right.node {
            crate::ast::ExprKind::Pipeline(p) => self.subquery(p),
            _ => self.expr(&j.right),
        }
        if let Some(on) = &j.on {
            self.expr_list(" on", on);
        }
        self.clause(" where ", j.predicate.as_ref());
    }

    fn summarize(&mut self, s: &Summarize) {
        self.word("summarize", &s.parameters);
        self.named_list("", &s.aggregates);
        if s.grouped {
            self.named_list(" by", &s.by);
            self.clause(" bin=", s.bin.as_ref());
        }
    }

    fn partition(&mut self, p: &Partition) {
        self.word("partition", &p.parameters);
        self.push(" by ");
        self.expr(&p.by);
        self.clause(" in ", p.within.as_ref());
        self.push(" ");
        if p.braces {
            self.push("{ ");
            self.pipeline(&p.body);
            self.push(" }");
        } else {
            self.subquery(&p.body);
        }
    }

    fn make_series(&mut self, m: &MakeSeries) {
        self.word("make-series", &m.parameters);
        self.push(" ");
        self.comma(&m.series, |p, (value, default)| {
            p.named(value);
            p.clause(" default=", default.as_ref());
        });
        self.push(" on ");
        self.named(&m.on);
        if m.in_range {
            self.push(" in range(");
            let ends: Vec<&Expr> =
                [m.from.as_ref(), m.to.as_ref(), Some(&m.step)].into_iter().flatten().collect();
            self.comma(&ends, |p, e| p.expr(e));
            self.push(")");
        } else {
            self.clause(" from ", m.from.as_ref());
            self.clause(" to ", m.to.as_ref());
            self.clause(" step ", Some(&m.step));
        }
        if !m.by.is_empty() {
            self.named_list(" by", &m.by);
        }
    }

    fn scan(&mut self, s: &Scan) {
        self.word("scan", &s.parameters);
        if !s.order.is_empty() {
            self.push(" order by ");
            self.comma(&s.order, Self::sort_key);
        }
        if !s.partition.is_empty() {
            self.expr_list(" partition by", &s.partition);
        }
        if !s.declare.is_empty() {
            self.push(" declare ");
            self.parameters(&s.declare);
        }
        self.push(" with (");
        self.indent += 1;
        for step in &s.steps {
            self.newline();
            self.push("step ");
            self.name(&step.name.node);
            if step.optional {
                self.push(" optional");
            }
            if let Some(o) = &step.output {
                self.push(" output=");
                self.name(&o.node);
            }
            self.push(": ");
            self.expr(&step.predicate);
            if !step.assignments.is_empty() {
                self.push(" => ");
                self.comma(&step.assignments, |p, (n, e)| {
                    p.name(&n.node);
                    p.push(" = ");
                    p.expr(e);
                });
            }
            self.push(";");
        }
        self.indent -= 1;
        self.newline();
        self.push(")");
    }

    fn make_graph(&mut self, g: &MakeGraph) {
        self.push("make-graph ");
        self.expr(&g.source);
        self.push(" --> ");
        self.expr(&g.target);
        if !g.nodes.is_empty() {
            self.push(" with ");
            self.comma(&g.nodes, |p, (table, key)| {
                p.expr(table);
                p.push(" on ");
                p.expr(key);
            });
        }
        self.parameters_of(&g.parameters);
        if let Some((column, body)) = &g.partitioned_by {
            self.push(" partitioned-by ");
            self.expr(column);
            self.push(" ");
            self.subquery(body);
        }
    }

    fn graph_match(&mut self, g: &GraphMatch) {
        self.word(if g.shortest { "graph-shortest-paths" } else { "graph-match" }, &g.parameters);
        self.push(" ");
        self.comma(&g.patterns, |p, pattern| pattern.iter().for_each(|e| p.graph_element(e)));
        self.clause(" where ", g.predicate.as_ref());
        if !g.project.is_empty() {
            self.named_list(" project", &g.project);
        }
    }

    fn graph_element(&mut self, e: &GraphElement) {
        match e {
            GraphElement::Node(name) => {
                self.push("(");
                if let Some(n) = name {
                    self.name(&n.node);
                }
                self.push(")");
            }
            GraphElement::Edge { name, length, direction } => {
                self.push(if *direction == Direction::Left { "<-" } else { "-" });
                if name.is_some() || length.is_some() {
                    self.push("[");
                    if let Some(n) = name {
                        self.name(&n.node);
                    }
                    if let Some((from, to)) = length {
                        self.push("*");
                        self.clause("", from.as_ref());
                        self.clause("..", to.as_ref());
                    }
                    self.push("]");
                }
                self.push(if *direction == Direction::Right { "->" } else { "-" });
            }
        }
    }
}
