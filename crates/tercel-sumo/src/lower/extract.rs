//! `parse`, `parse regex`, `json`, `split`: fields out of text.
//!
//! A row that an operator does not match is dropped, unless `nodrop`. Of operators that stand side by side,
//! one that has `nodrop` and matched saves the row from the others (documented as an OR over the chain).

use std::sync::Arc;

use tercel_ir::function::sumo_anchor_regex;
use tercel_ir::{Diagnostic, Expr, Rel, RelKind, Span, Type, Value};

use super::expr::{plain, text};
use super::{Lowerer, Profile, R, call, text_literal};
use crate::ast::{self, AnchorClause, Extract, Name, Text};
use crate::{findings, regexes};

impl Lowerer<'_> {
    /// The text that is taken apart.
    fn source(&mut self, field: Option<&Name>, span: Span) -> Expr {
        let raw = Name { text: "_raw".into(), at: ast::At(span) };
        let e = self.field(field.unwrap_or(&raw));
        text(plain(e))
    }

    /// Adds the extracted fields and drops what did not match. `matched` is never null.
    fn extracted(&mut self, columns: Vec<(Name, Expr)>, matched: Expr, nodrop: bool, span: Span) {
        let mut out: Vec<(tercel_ir::Name, Expr)> = Vec::with_capacity(columns.len());
        for (name, e) in columns {
            if name.text == "_" {
                continue;
            }
            let target = self.target(&name);
            // A pattern that fails does not take away what an earlier one has found.
            let old = self.rel.schema.get(&target).cloned();
            let value = match old {
                Some(old) if nodrop || !self.chain.is_empty() => {
                    let old = text(plain(Expr::column(old.name, old.ty, span)));
                    Expr::iff(matched.clone(), e, old, span)
                }
                _ => e,
            };
            out.retain(|(n, _)| *n != target);
            out.push((target, value));
        }
        if nodrop {
            // A parser that follows asks whether this one matched, after the fields may have changed.
            if self.parser_follows {
                let flag = self.hidden_name();
                out.push((flag.clone(), matched));
                self.chain.push(Expr::column(flag, Type::Bool, span));
            }
        } else {
            let mut any = vec![matched];
            any.extend(self.chain.iter().cloned());
            self.filter(Expr::or(any, span), span);
        }
        self.extend(out, span);
    }

    pub fn parse_anchor(
        &mut self,
        field: Option<&Name>,
        clauses: &[AnchorClause],
        nodrop: bool,
        span: Span,
    ) -> R<()> {
        let source = self.source(field, span);
        let mut columns = Vec::new();
        let mut matched = Vec::new();
        for c in clauses {
            let at = c.pattern.at.0;
            let pattern = self.string(&c.pattern)?;
            if let Some(separator) = findings::is_path_split(c) {
                let strict = self.options.profile == Profile::Strict;
                self.report(findings::anchor_path_basename(at, strict, separator));
                if !strict {
                    self.path_split(&source, c, separator, &mut columns, &mut matched, at);
                    continue;
                }
            }
            let re = sumo_anchor_regex(&pattern);
            self.checked_regex(&re, at)?;
            for (i, n) in c.names.iter().enumerate() {
                columns.push((n.clone(), group(&source, &re, i + 1, at)));
            }
            // The first group takes part in every match.
            matched.push(call("isnotnull", vec![group(&source, &re, 1, at)], at));
        }
        self.extracted(columns, Expr::and(matched, span), nodrop, span);
        Ok(())
    }

    /// Directory and file name at the last separator, as the names say.
    fn path_split(
        &mut self,
        source: &Expr,
        clause: &AnchorClause,
        separator: char,
        columns: &mut Vec<(Name, Expr)>,
        matched: &mut Vec<Expr>,
        at: Span,
    ) {
        let has = call("contains_cs", vec![source.clone(), text_literal(separator.to_string(), at)], at);
        let dir = format!(r"(?s)^(.*){}", regex::escape(&separator.to_string()));
        let base = call("basename", vec![source.clone()], at);
        let [dir_name, base_name] = clause.names.as_slice() else { return };
        columns.push((dir_name.clone(), group(source, &dir, 1, at)));
        columns.push((base_name.clone(), Expr::iff(has.clone(), base, Expr::null(Type::String, at), at)));
        matched.push(has);
    }

    pub fn parse_regex(
        &mut self,
        field: Option<&Name>,
        patterns: &[Text],
        extract: bool,
        nodrop: bool,
        multi: bool,
        span: Span,
    ) -> R<()> {
        let source = self.source(field, span);
        if multi {
            if let [pattern] = patterns {
                return self.parse_regex_multi(&source, pattern, extract, nodrop, span);
            }
            return self.unsupported("parse regex … multi with several expressions", span);
        }
        let mut columns = Vec::new();
        let mut matched = Vec::new();
        for p in patterns {
            let at = p.at.0;
            let (re, names) = self.regex_names(p, extract)?;
            for (i, name) in names.iter().enumerate() {
                let n = Name { text: name.clone(), at: p.at };
                columns.push((n, group(&source, &re, i + 1, at)));
            }
            let found = call("matches_regex", vec![source.clone(), text_literal(re.clone(), at)], at);
            // Null reads as "": it matches nothing.
            matched.push(call("isnotnull", vec![source.clone()], at));
            matched.push(found);
        }
        self.extracted(columns, Expr::and(matched, span), nodrop, span);
        Ok(())
    }

    /// The expression as it runs, and its names in order of their groups.
    fn regex_names(&mut self, p: &Text, extract: bool) -> R<(String, Vec<String>)> {
        let at = p.at.0;
        if p.raw.contains("{{") && crate::substitute::parameters(&p.raw).next().is_some() {
            let raw = p.raw.clone();
            let name = crate::substitute::parameters(&raw).next().unwrap_or_default().to_owned();
            return self.template(&name, at);
        }
        let mut re = p.raw.clone();
        if regexes::groups(&re).iter().any(|g| g.name.is_none()) {
            let d = Diagnostic::error(
                "sumo-regex-unnamed-group",
                "a group of this regular expression has no name",
            )
            .at(at);
            let help = "write `(?:…)` for a group that is not extracted";
            if !extract || self.options.profile == Profile::Strict {
                return self.refuse(d.meaning("the service rejects unnamed groups").help(help));
            }
            self.report(Diagnostic { severity: tercel_ir::Severity::Warning, ..d.help(help) });
            re = regexes::without_unnamed(&re);
        }
        self.checked_regex(&re, at)?;
        let names = regexes::groups(&re).into_iter().filter_map(|g| g.name).collect();
        Ok((re, names))
    }

    /// One row a match.
    fn parse_regex_multi(
        &mut self,
        source: &Expr,
        p: &Text,
        extract: bool,
        nodrop: bool,
        span: Span,
    ) -> R<()> {
        let at = p.at.0;
        let (re, names) = self.regex_names(p, extract)?;
        let all = call("extract_all", vec![text_literal(re, at), source.clone()], at);
        let found = self.hidden_name();
        self.extend(vec![(found.clone(), all)], span);
        let list = Expr::column(found.clone(), Type::Dynamic, span);
        let present = call("isnotnull", vec![list.clone()], span);
        // What there is before the rows multiply decides about dropping.
        let flag = self.hidden_name();
        self.extend(vec![(flag.clone(), present)], span);
        let flag_column = Expr::column(flag, Type::Bool, span);
        if nodrop {
            self.chain.push(flag_column.clone());
        } else {
            let mut any = vec![flag_column.clone()];
            any.extend(self.chain.iter().cloned());
            self.filter(Expr::or(any, span), span);
        }
        let columns = vec![found.clone()];
        self.map(|r| Rel {
            schema: r.schema.clone(),
            span,
            kind: RelKind::Unnest { input: Box::new(r), columns, index: None },
        });
        let element = Expr::column(found, Type::Dynamic, span);
        let mut out = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            let value = if names.len() == 1 {
                element.clone()
            } else {
                call("member", vec![element.clone(), Expr::literal(Value::Long(i as i64), at)], at)
            };
            let value = plain(value);
            let target = self.target(&Name { text: name.clone(), at: p.at });
            let value = match self.rel.schema.get(&target).cloned() {
                Some(old) => {
                    let old = text(plain(Expr::column(old.name, old.ty, span)));
                    Expr::iff(flag_column.clone(), value, old, span)
                }
                None => value,
            };
            out.push((target, value));
        }
        self.extend(out, span);
        Ok(())
    }

    pub fn json(
        &mut self,
        field: Option<&Name>,
        paths: &[Text],
        names: &[Name],
        nodrop: bool,
        span: Span,
    ) -> R<()> {
        let source = self.source(field, span);
        let root = call("parse_json", vec![source], span);
        let mut columns = Vec::new();
        let mut matched = Vec::new();
        for (i, p) in paths.iter().enumerate() {
            let at = p.at.0;
            let path = self.string(p)?;
            let Some(steps) = json_path(&path) else {
                return self.refuse(
                    Diagnostic::error(
                        "unsupported-operator",
                        format!("the JSON path `{path}` is not supported yet"),
                    )
                    .at(at)
                    .help("names, `[0]` and `['name']` are"),
                );
            };
            let mut e = root.clone();
            for s in steps {
                let key = match s {
                    Step::Key(k) => text_literal(k, at),
                    Step::Index(i) => Expr::literal(Value::Long(i), at),
                };
                e = call("member", vec![e, key], at);
            }
            matched.push(call("isnotnull", vec![e.clone()], at));
            let name = names.get(i).cloned().unwrap_or(Name { text: path, at: p.at });
            columns.push((name, plain(e)));
        }
        self.extracted(columns, Expr::and(matched, span), nodrop, span);
        Ok(())
    }

    /// `json auto`: fields that the event does not have are looked for in the JSON at the end of the text.
    pub fn json_auto(&mut self, field: Option<&Name>, span: Span) -> R<()> {
        let source = self.source(field, span);
        let text = group(&source, r"(?s)(\{.*\})", 1, span);
        let name = self.hidden_name();
        self.extend(vec![(name.clone(), call("parse_json", vec![text], span))], span);
        self.json = Some(name);
        Ok(())
    }

    pub fn split(
        &mut self,
        field: &Name,
        settings: &[(Name, Text)],
        extract: &[Extract],
        span: Span,
    ) -> R<()> {
        let mut delim = ",".to_owned();
        for (name, value) in settings {
            if name.text.eq_ignore_ascii_case("delim") {
                delim = value.cooked();
            } else {
                return self.unsupported(&format!("split … {}=", name.text), name.at.0);
            }
        }
        let source = self.source(Some(field), span);
        let parts = call("split", vec![source, text_literal(delim, span)], span);
        let mut out = Vec::new();
        let mut position = 0i64;
        for e in extract {
            position = match &e.index {
                Some(i) => i.parse().unwrap_or(position + 1),
                None => position + 1,
            };
            let Some(name) = &e.name else { continue };
            let part =
                call("member", vec![parts.clone(), Expr::literal(Value::Long(position - 1), span)], span);
            out.push((self.target(name), plain(part)));
        }
        if out.iter().enumerate().any(|(i, (n, _))| out[..i].iter().any(|(m, _)| m == n)) {
            let mut seen: Vec<(Arc<str>, Expr)> = Vec::new();
            for (n, e) in out {
                seen.retain(|(m, _)| *m != n);
                seen.push((n, e));
            }
            out = seen;
        }
        self.extend(out, span);
        Ok(())
    }
}

fn group(source: &Expr, re: &str, i: usize, span: Span) -> Expr {
    let n = Expr::literal(Value::Long(i as i64), span);
    call("regex_group", vec![source.clone(), text_literal(re, span), n], span)
}

enum Step {
    Key(String),
    Index(i64),
}

/// `a.b[0]['c d']`; `None` for wildcards and the rest of JSONPath.
fn json_path(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut first = true;
    while !rest.is_empty() {
        if let Some(r) = rest.strip_prefix('[') {
            let quote = r.chars().next().filter(|c| matches!(c, '\'' | '"'));
            if let Some(q) = quote {
                let end = r[1..].find(q)?;
                steps.push(Step::Key(r[1..1 + end].to_owned()));
                rest = r[end + 2..].strip_prefix(']')?;
            } else {
                let end = r.find(']')?;
                // Negative indices are not part of the subset.
                let index: u32 = r[..end].trim().parse().ok()?;
                steps.push(Step::Index(i64::from(index)));
                rest = &r[end + 1..];
            }
        } else {
            if let Some(r) = rest.strip_prefix('.') {
                rest = r;
            } else if !first {
                return None;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let key = &rest[..end];
            if key.is_empty() || key == "*" {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = &rest[end..];
        }
        first = false;
    }
    (!steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let len = |p: &str| json_path(p).map(|s| s.len());
        assert_eq!(len("a.b[0].c"), Some(4));
        assert_eq!(len("$.a['b.c']"), Some(2));
        assert_eq!(len("a[*].b"), None);
        assert_eq!(len("a..b"), None);
        assert_eq!(len(""), None);
        assert_eq!(len("a["), None);
    }
}
