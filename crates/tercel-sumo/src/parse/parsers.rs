//! The operators that take text apart: `parse`, `json`, `csv`, `split`, `keyvalue`.

use tercel_ir::Diagnostic;

use super::{Failed, Parser, R};
use crate::ast::*;
use crate::lexer::{P, Tok};

/// What the extracting operators have in common; each takes what it knows.
#[derive(Default)]
struct Parts {
    field: Option<Name>,
    nodrop: bool,
    multi: bool,
    refonly: bool,
}

impl Parser<'_> {
    /// `field=f`, `nodrop`, `multi`, `refonly` in any order.
    fn common_part(&mut self, parts: &mut Parts) -> R<bool> {
        if self.is_kw("field") {
            let t = self.peek2();
            if t.tok == Tok::P(P::Eq) {
                self.bump();
                self.bump();
                parts.field = Some(self.name("a field")?);
                return Ok(true);
            }
        }
        for (kw, flag) in
            [("nodrop", &mut parts.nodrop), ("multi", &mut parts.multi), ("refonly", &mut parts.refonly)]
        {
            if self.cur.tok == Tok::Ident && self.src[self.cur.start..self.cur.end].eq_ignore_ascii_case(kw) {
                *flag = true;
                self.bump();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `parse …`, behind the word.
    pub(super) fn parse_operator(&mut self) -> R<Operator> {
        let mut parts = Parts::default();
        while self.common_part(&mut parts)? {}
        if self.eat_kw("regex") {
            return self.regex_operator(parts, false);
        }
        if self.is_kw("xml") {
            self.bump();
            return self.xml_operator(parts);
        }
        if self.eat_kw("using") {
            let path = self.raw_value(false)?;
            while self.common_part(&mut parts)? {}
            return Ok(Operator::ParseUsing { path, nodrop: parts.nodrop });
        }
        let mut clauses = Vec::new();
        loop {
            let pattern = self.string()?;
            while self.common_part(&mut parts)? {}
            let names =
                if self.eat_kw("as") { self.names("a name for what `*` stands for")? } else { Vec::new() };
            self.check_anchor(&pattern, &names)?;
            clauses.push(AnchorClause { pattern, names });
            while self.common_part(&mut parts)? {}
            if !self.eat(P::Comma) {
                break;
            }
        }
        Ok(Operator::ParseAnchor { field: parts.field, clauses, nodrop: parts.nodrop })
    }

    /// As many names as `*`, no `**`.
    pub(super) fn check_anchor(&mut self, pattern: &Text, names: &[Name]) -> R<()> {
        let stars = pattern.raw.matches('*').count();
        let error = |message: String, help: &str| {
            Diagnostic::error("sumo-anchor-pattern", message).at(pattern.at.0).help(help.to_owned())
        };
        let d = if pattern.raw.contains("**") {
            error(
                "two `*` side by side: nothing says where the first one ends".into(),
                "put the text that separates them between the stars",
            )
        } else if stars == 0 {
            error("the pattern has no `*`, so nothing is extracted".into(), "put `*` where the value stands")
        } else if stars != names.len() {
            error(
                format!("the pattern has {stars} `*`, but there are {} names", names.len()),
                "give every `*` one name behind `as`",
            )
        } else {
            return Ok(());
        };
        self.report(d);
        Err(Failed)
    }

    /// `parse regex`, `extract`, behind the words.
    pub(super) fn regex_stage(&mut self) -> R<Operator> {
        self.regex_operator(Parts::default(), true)
    }

    fn regex_operator(&mut self, mut parts: Parts, extract: bool) -> R<Operator> {
        let mut patterns = Vec::new();
        loop {
            while self.common_part(&mut parts)? {}
            let pattern = if self.is(P::Slash) {
                let e = self.regex_literal()?;
                let ExprKind::Regex(raw) = e.kind else { return Err(Failed) };
                Text { raw, quote: '"', at: e.at }
            } else {
                self.string()?
            };
            while self.common_part(&mut parts)? {}
            self.check_groups(&pattern);
            patterns.push(pattern);
            if !self.eat(P::Comma) {
                break;
            }
            self.eat_kw("regex");
        }
        let Parts { field, nodrop, multi, .. } = parts;
        Ok(Operator::ParseRegex { field, patterns, extract, nodrop, multi })
    }

    /// At least one named group. (Unnamed groups are an error of the service, yet published queries hold
    /// them; lowering decides.)
    fn check_groups(&mut self, pattern: &Text) {
        if !crate::regexes::groups(&pattern.raw).iter().any(|g| g.name.is_some()) {
            self.report(
                Diagnostic::error(
                    "sumo-regex-no-group",
                    "the regular expression names no group, so it extracts nothing",
                )
                .at(pattern.at.0)
                .help("write `(?<name>…)` around what you want"),
            );
        }
    }

    fn xml_operator(&mut self, mut parts: Parts) -> R<Operator> {
        while self.common_part(&mut parts)? {}
        let paths = self.strings()?;
        while self.common_part(&mut parts)? {}
        let names = if self.eat_kw("as") { self.names("a name")? } else { Vec::new() };
        while self.common_part(&mut parts)? {}
        for p in &paths {
            if p.raw.trim().starts_with("//") || p.raw.contains("//") {
                self.report(
                    Diagnostic::error("sumo-xpath", "`//` is not supported in an XPath of `parse xml`")
                        .at(p.at.0)
                        .help("write the whole path from the root: `/users/user`"),
                );
                return Err(Failed);
            }
        }
        self.check_count(&paths, &names)?;
        Ok(Operator::ParseXml { field: parts.field, paths, names, nodrop: parts.nodrop })
    }

    fn strings(&mut self) -> R<Vec<Text>> {
        let mut list = vec![self.string()?];
        while self.is(P::Comma) || self.cur.tok == Tok::Str {
            // A comma too many before `as` is common and harmless.
            let comma = self.eat(P::Comma);
            if self.cur.tok != Tok::Str {
                if comma && self.is_kw("as") {
                    break;
                }
                return self.unexpected("a text in double quotes");
            }
            list.push(self.string()?);
        }
        Ok(list)
    }

    fn check_count(&mut self, paths: &[Text], names: &[Name]) -> R<()> {
        if !names.is_empty() && names.len() != paths.len() {
            let at = names[0].at.0.to(names[names.len() - 1].at.0);
            self.report(
                Diagnostic::error(
                    "sumo-name-count",
                    format!("{} paths, but {} names", paths.len(), names.len()),
                )
                .at(at)
                .help("give every path one name, or none of them"),
            );
            return Err(Failed);
        }
        Ok(())
    }

    /// `json …`, behind the word.
    pub(super) fn json_operator(&mut self) -> R<Operator> {
        let mut parts = Parts::default();
        let mut auto = false;
        let mut maxdepth = None;
        let mut extractarrays = false;
        let mut paths: Vec<Text> = Vec::new();
        let mut names = Vec::new();
        loop {
            if self.common_part(&mut parts)? {
                continue;
            }
            if self.is_kw("auto") {
                self.bump();
                auto = true;
            } else if self.eat_kw("maxdepth") {
                maxdepth = Some(self.expr()?);
            } else if self.eat_kw("extractarrays") {
                extractarrays = true;
            } else if self.eat_kw("keys") || self.cur.tok == Tok::Str {
                paths.extend(self.strings()?);
            } else if self.is(P::Comma) && !paths.is_empty() {
                // `"a" as x, "b" as y`
                self.bump();
                if self.cur.tok != Tok::Str && !self.is_kw("field") {
                    return self.unexpected("a path in double quotes");
                }
            } else if self.eat_kw("as") {
                names.extend(self.names("a name")?);
            } else {
                break;
            }
        }
        if !auto && paths.is_empty() {
            return self.unexpected("a path in double quotes, or `auto`");
        }
        self.check_count(&paths, &names)?;
        Ok(Operator::Json {
            field: parts.field,
            auto,
            maxdepth,
            extractarrays,
            refonly: parts.refonly,
            paths,
            names,
            nodrop: parts.nodrop,
        })
    }

    /// `csv …`, `split …`, behind the word.
    pub(super) fn split_operator(&mut self, csv: bool) -> R<Operator> {
        let mut field = None;
        let mut settings = Vec::new();
        let mut parts = Parts::default();
        loop {
            if self.common_part(&mut parts)? {
                continue;
            }
            if self.is_kw("extract") {
                break;
            }
            let t = self.peek2();
            if ["delim", "escape", "quote"].iter().any(|k| self.is_kw(k)) && t.tok == Tok::P(P::Eq) {
                let name = self.name("an option")?;
                self.bump();
                settings.push((name, self.option_text()?));
                self.eat(P::Comma);
            } else if field.is_none() && parts.field.is_none() {
                field = Some(self.name("a field")?);
            } else {
                return self.unexpected("`extract`");
            }
        }
        self.bump();
        let mut extract = Vec::new();
        loop {
            let index = if self.cur.tok == Tok::Number {
                let t = self.bump();
                Some(self.text(t).to_owned())
            } else {
                None
            };
            let named = index.is_none() || self.eat_kw("as");
            let name = if named { Some(self.name("a name")?).filter(|n| n.text != "_") } else { None };
            extract.push(Extract { index, name });
            if !self.eat(P::Comma) {
                break;
            }
        }
        while self.common_part(&mut parts)? {}
        Ok(Operator::Split { csv, field: field.or(parts.field), settings, extract, nodrop: parts.nodrop })
    }

    /// `':'`, `'''`, `'\'`, `":"`: one character, in which a backslash and the quote itself need no escape.
    fn option_text(&mut self) -> R<Text> {
        let start = self.cur.start;
        let rest = &self.src[start..];
        let mut chars = rest.chars();
        if let (Some(q @ ('\'' | '"')), Some(c)) = (chars.next(), chars.next())
            && chars.next() == Some(q)
        {
            let end = start + 2 + c.len_utf8();
            let at = At(tercel_ir::Span::new(start, end));
            self.seek(end);
            return Ok(Text { raw: c.to_string(), quote: q, at });
        }
        self.string()
    }

    /// `keyvalue …`, `kv …`, behind the word.
    pub(super) fn keyvalue_operator(&mut self) -> R<Operator> {
        let mut parts = Parts::default();
        let mut mode = KeyValueMode::Infer;
        let mut delim = None;
        let mut keys: Vec<Text> = Vec::new();
        let mut names = Vec::new();
        loop {
            if self.common_part(&mut parts)? {
                continue;
            }
            if self.eat_kw("infer") {
                mode = KeyValueMode::Infer;
            } else if self.eat_kw("auto") {
                mode = KeyValueMode::Auto;
            } else if self.eat_kw("regex") {
                mode = KeyValueMode::Regex(self.string()?);
            } else if self.eat_kw("delim") {
                self.eat(P::Eq);
                delim = Some(self.option_text()?);
            } else if self.eat_kw("keys") || self.cur.tok == Tok::Str {
                keys.extend(self.strings()?);
            } else if self.eat_kw("as") {
                names.extend(self.names("a name")?);
            } else if self.is(P::Comma) && !keys.is_empty() {
                self.bump();
            } else {
                break;
            }
        }
        if keys.is_empty() && mode != KeyValueMode::Auto {
            return self.unexpected("a key in double quotes, or `auto`");
        }
        self.check_count(&keys, &names)?;
        let Parts { field, nodrop, multi, refonly } = parts;
        Ok(Operator::KeyValue { field, mode, delim, keys, names, nodrop, refonly, multi })
    }
}
