//! Syntax tree to text. What is printed parses to an equal tree.

mod expr;
mod operator;

use crate::ast::{Ast, ColumnDecl, Function, Parameter, ParameterType, Pattern, Statement, StatementKind};
use crate::stack::with_room;

/// The text of a tree: one operator a line, parentheses only where they are needed.
pub fn print(ast: &Ast) -> String {
    let text = with_room(ast.depth, || {
        let mut p = Printer { out: String::new(), indent: 0 };
        p.statements(&ast.statements);
        p.out
    });
    // Without memory for a stack there is none for a text either.
    text.unwrap_or_default()
}

pub(crate) struct Printer {
    pub(crate) out: String,
    indent: usize,
}

impl Printer {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn newline(&mut self) {
        self.out.push('\n');
        for _ in 0..self.indent {
            self.out.push_str("    ");
        }
    }

    /// `f` for each item, commas between.
    fn comma<T>(&mut self, items: &[T], mut f: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            f(self, item);
        }
    }

    fn statements(&mut self, statements: &[Statement]) {
        for (i, s) in statements.iter().enumerate() {
            if i > 0 {
                self.push(";");
                self.newline();
            }
            self.statement(s);
        }
    }

    fn statement(&mut self, s: &Statement) {
        match &s.node {
            StatementKind::Let { name, value } => {
                self.push("let ");
                self.name(&name.node);
                self.push(" = ");
                self.pipe(value);
            }
            StatementKind::Function { name, function } => {
                self.push("let ");
                self.name(&name.node);
                self.push(" = ");
                self.function(function);
            }
            StatementKind::Set { name, value } => {
                self.push("set ");
                self.name(&name.node);
                if let Some(v) = value {
                    self.push(" = ");
                    self.expr(v);
                }
            }
            StatementKind::QueryParameters(list) => {
                self.push("declare query_parameters");
                self.parameters(list);
            }
            StatementKind::Pattern(p) => self.pattern(p),
            StatementKind::Restrict(list) => {
                self.push("restrict access to (");
                self.comma(list, Self::expr);
                self.push(")");
            }
            StatementKind::Alias { name, value } => {
                self.push("alias database ");
                self.name(&name.node);
                self.push(" = ");
                self.expr(value);
            }
            StatementKind::Query(e) => self.pipe(e),
            StatementKind::Error => {}
        }
    }

    fn function(&mut self, f: &Function) {
        if f.view {
            self.push("view ");
        }
        self.parameters(&f.parameters);
        self.push(" ");
        self.body(&f.body);
    }

    fn body(&mut self, body: &[Statement]) {
        self.push("{");
        self.indent += 1;
        self.newline();
        self.statements(body);
        self.indent -= 1;
        self.newline();
        self.push("}");
    }

    fn parameters(&mut self, list: &[Parameter]) {
        self.push("(");
        self.comma(list, Self::parameter);
        self.push(")");
    }

    fn parameter(&mut self, p: &Parameter) {
        self.name(&p.name.node);
        self.push(": ");
        match &p.ty {
            ParameterType::Scalar(t) => self.push(t.node.as_str()),
            ParameterType::Table(columns) if columns.is_empty() => self.push("(*)"),
            ParameterType::Table(columns) => self.schema(columns),
        }
        if let Some(d) = &p.default {
            self.push(" = ");
            self.expr(d);
        }
    }

    fn schema(&mut self, columns: &[ColumnDecl]) {
        self.push("(");
        self.comma(columns, Self::column);
        self.push(")");
    }

    fn column(&mut self, c: &ColumnDecl) {
        self.name(&c.name.node);
        if let Some(t) = &c.ty {
            self.push(": ");
            self.push(t.node.as_str());
        }
    }

    fn pattern(&mut self, p: &Pattern) {
        self.push("declare pattern ");
        self.name(&p.name.node);
        if !p.defined {
            return;
        }
        self.push(" = ");
        self.parameters(&p.parameters);
        if let Some(path) = &p.path {
            self.push("[");
            self.parameter(path);
            self.push("]");
        }
        self.push(" {");
        self.indent += 1;
        for rule in &p.rules {
            self.newline();
            self.push("(");
            self.comma(&rule.arguments, Self::expr);
            self.push(")");
            if let Some(path) = &rule.path {
                self.push(".[");
                self.expr(path);
                self.push("]");
            }
            self.push(" = ");
            self.body(&rule.body);
            self.push(";");
        }
        self.indent -= 1;
        self.newline();
        self.push("}");
    }

    /// A name, in brackets where it could be taken for something else.
    fn name(&mut self, name: &str) {
        if is_plain_name(name) {
            self.push(name);
        } else {
            self.push("[");
            self.string(name);
            self.push("]");
        }
    }

    /// A string in the form that needs the fewest escapes.
    fn string(&mut self, s: &str) {
        let control = s.chars().any(char::is_control);
        if !control && s.contains('\\') {
            self.push("@\"");
            self.push(&s.replace('"', "\"\""));
            self.push("\"");
            return;
        }
        self.push("\"");
        for c in s.chars() {
            match c {
                '"' => self.push("\\\""),
                '\\' => self.push("\\\\"),
                '\n' => self.push("\\n"),
                '\r' => self.push("\\r"),
                '\t' => self.push("\\t"),
                c if c.is_control() => self.push(&format!("\\u{:04x}", c as u32)),
                c => self.out.push(c),
            }
        }
        self.push("\"");
    }
}

/// Whether a name can stand for itself everywhere a name can stand.
fn is_plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$');
    begins && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') && !is_reserved(name) && !guid_like(name)
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || crate::parser::operator::INTERNAL.contains(&name)
}

/// Eight hexadecimal digits could, with what follows, be read as a GUID.
fn guid_like(name: &str) -> bool {
    name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Words that mean something where a name could stand. Putting brackets round a name too many does no
/// harm, so the list is generous.
const RESERVED: &[&str] = &[
    "and",
    "or",
    "by",
    "in",
    "between",
    "has",
    "has_cs",
    "has_any",
    "has_all",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "contains",
    "contains_cs",
    "containscs",
    "notcontains",
    "notcontainscs",
    "startswith",
    "startswith_cs",
    "endswith",
    "endswith_cs",
    "matches",
    "like",
    "likecs",
    "notlike",
    "notlikecs",
    "true",
    "false",
    "True",
    "False",
    "TRUE",
    "FALSE",
    "dynamic",
    "datatable",
    "externaldata",
    "external_data",
    "entity_group",
    "inline_external_table",
    "toscalar",
    "totable",
    "null",
    "print",
    "union",
    "search",
    "find",
    "evaluate",
    "range",
    "macro",
    "let",
    "set",
    "declare",
    "restrict",
    "alias",
    "view",
    "hint",
    "with",
    "on",
    "of",
    "to",
    "from",
    "step",
    "as",
    "where",
    "project",
    "limit",
    "default",
    "asc",
    "desc",
    "nulls",
    "granny",
    "typeof",
    "datetime",
    "date",
    "timespan",
    "time",
    "long",
    "int64",
    "int",
    "int32",
    "real",
    "double",
    "decimal",
    "guid",
    "uuid",
    "uniqueid",
    "bool",
    "boolean",
    "kind",
    "isfuzzy",
    "withsource",
    "with_source",
    "with_itemindex",
    "bagexpansion",
    "flags",
    "cycles",
    "output",
    "with_match_id",
    "with_step_name",
    "with_node_id",
    "with_source_id",
    "with_target_id",
    "with_component_id",
    "decodeblocks",
    "optional",
    "order",
    "partition",
    "partitioned",
    "nodes",
    "edges",
    "others",
    "pack",
    "pack_all",
    "bin",
    "pathformat",
    "dataformat",
    "take",
    "top",
    "sort",
    "count",
    "distinct",
    "extend",
    "filter",
    "join",
    "lookup",
    "summarize",
    "sample",
    "serialize",
    "scan",
    "reduce",
    "render",
    "parse",
    "facet",
    "fork",
    "invoke",
    "consume",
    "getschema",
    "mvexpand",
    "mvapply",
    "make",
    "mv",
    "graph",
    "execute",
    "assert",
    "regex",
    "h",
    "H",
];
