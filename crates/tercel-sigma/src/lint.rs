//! What is odd about a rule, from its text alone. Findings about types, fields and values of columns
//! come from lowering; findings that need reasoning come from the verifier.

use crate::ast::{
    Detection, Document, File, Item, LogSource, Meta, Modifier, Scalar, SearchBody, Spanned, Text, Value,
};
use crate::attack::{self, State};
use crate::condition::{Aggregation, Condition, Expression};
use crate::metadata::Level;
use crate::pattern::{Part, Pattern};
use crate::sink::Sink;
use std::collections::HashMap;
use tercel_ir::diag::nearest;
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// Findings after which no more are reported.
const MAX_FINDINGS: usize = 500;

/// Looks over a file. `text` is what it was parsed from.
pub fn lint(file: &File, text: &str) -> Diagnostics {
    let mut l = Lint { text, sink: Sink::new(MAX_FINDINGS) };
    let mut ids: HashMap<&str, Span> = HashMap::new();
    for d in &file.documents {
        l.document(d);
        let Some(id) = &d.meta().id else { continue };
        match ids.get(id.node.as_str()) {
            // Documents of one collection share the place of what they inherit.
            Some(first) => l.sink.push(
                Diagnostic::warning(
                    "duplicate-id",
                    format!("two rules of this file have the id `{}`", id.node),
                )
                .at(if *first == id.span { d.span() } else { id.span })
                .related(*first, "first here")
                .meaning("hits cannot be told apart by rule")
                .help("give each rule a UUID of its own"),
            ),
            None => {
                ids.insert(&id.node, id.span);
            }
        }
    }
    l.sink.finish()
}

/// Searches by name.
type Index<'d> = HashMap<&'d str, usize>;

struct Lint<'t> {
    text: &'t str,
    sink: Sink,
}

const STATUS: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];
const RELATED: &[&str] = &["derived", "obsolete", "merged", "renamed", "similar", "correlation"];
const NAMESPACES: &[&str] = &["attack", "car", "cve", "d3fend", "detection", "stp", "tlp"];

impl Lint<'_> {
    fn warn(&mut self, code: &'static str, message: impl Into<String>, at: Span) {
        self.sink.push(Diagnostic::warning(code, message).at(at));
    }

    fn document(&mut self, d: &Document) {
        let place = crate::parse::first_line(self.text, d.span());
        self.meta(d.meta(), place, !matches!(d, Document::Filter(_)));
        match d {
            Document::Rule(r) => {
                self.log_source(&r.logsource);
                self.detection(&r.detection);
            }
            Document::Filter(f) => {
                self.log_source(&f.logsource);
                self.detection(&f.detection);
                self.keeps(&f.detection);
            }
            Document::Correlation(c) => {
                self.duplicates(c.correlation.rules.iter().map(|r| (r.node.clone(), r.span)), "rule");
            }
        }
    }

    fn meta(&mut self, m: &Meta, place: Span, has_level: bool) {
        match &m.title {
            None => self.sink.push(
                Diagnostic::warning("missing-title", "the rule has no title")
                    .at(place)
                    .help("add `title:`, at most 256 characters"),
            ),
            Some(t) if t.node.chars().count() > 256 => {
                self.warn("long-title", "the title has more than 256 characters", t.span);
            }
            Some(_) => {}
        }
        match &m.id {
            None => self.sink.push(
                Diagnostic::warning("missing-id", "the rule has no id")
                    .at(place)
                    .meaning("hits, tests and tuning cannot refer to it")
                    .help("add `id:` with a random UUID"),
            ),
            Some(id) if !is_uuid(&id.node) => self.sink.push(
                Diagnostic::warning("invalid-id", format!("`{}` is no UUID", id.node))
                    .at(id.span)
                    .help("a UUID has 32 hexadecimal digits in groups of 8-4-4-4-12"),
            ),
            Some(_) => {}
        }
        match &m.level {
            None if has_level => self.sink.push(
                Diagnostic::warning("missing-level", "the rule has no level")
                    .at(place)
                    .help("add `level:` informational, low, medium, high or critical"),
            ),
            None => {}
            Some(l) => {
                let levels: Vec<&str> = Level::ALL.into_iter().map(Level::as_str).collect();
                self.one_of("invalid-level", "level", l, &levels);
            }
        }
        if let Some(s) = &m.status {
            self.one_of("invalid-status", "status", s, STATUS);
        }
        for (name, date) in [("date", &m.date), ("modified", &m.modified)] {
            if let Some(d) = date
                && !is_date(&d.node)
            {
                self.sink.push(
                    Diagnostic::note("invalid-date", format!("`{name}` is not written YYYY-MM-DD"))
                        .at(d.span),
                );
            }
        }
        for r in &m.related {
            match &r.id {
                None => self.warn("invalid-related", "an item of `related` without an id", r.span.span),
                Some(id) if !is_uuid(&id.node) => {
                    self.warn("invalid-id", format!("`{}` is no UUID", id.node), id.span);
                }
                Some(_) => {}
            }
            match &r.kind {
                None => self.warn("invalid-related", "an item of `related` without a type", r.span.span),
                Some(k) => self.one_of("invalid-related", "type of a related rule", k, RELATED),
            }
        }
        for t in &m.tags {
            self.tag(t);
        }
        for (list, what) in [(&m.tags, "tag"), (&m.references, "reference")] {
            self.duplicates(list.iter().map(|t| (t.node.clone(), t.span)), what);
        }
    }

    fn one_of(&mut self, code: &'static str, what: &str, value: &Text, known: &[&str]) {
        if known.contains(&value.node.as_str()) {
            return;
        }
        let mut d = Diagnostic::warning(code, format!("`{}` is no {what}", value.node)).at(value.span);
        d = d.help(match nearest(&value.node, known.iter().copied()) {
            Some(n) => format!("did you mean `{n}`?"),
            None => format!("one of {}", known.join(", ")),
        });
        self.sink.push(d);
    }

    fn tag(&mut self, t: &Text) {
        let Some((namespace, name)) = t.node.split_once('.') else {
            self.sink.push(
                Diagnostic::warning("invalid-tag", format!("the tag `{}` has no namespace", t.node))
                    .at(t.span)
                    .help("a tag is written `namespace.name`, for example `attack.t1105`"),
            );
            return;
        };
        if !NAMESPACES.contains(&namespace) {
            let mut d = Diagnostic::note(
                "unknown-tag-namespace",
                format!("`{namespace}` is no namespace of Sigma's tags"),
            )
            .at(t.span);
            if let Some(n) = nearest(namespace, NAMESPACES.iter().copied()) {
                d = d.help(format!("did you mean `{n}`?"));
            }
            self.sink.push(d);
            return;
        }
        if let Some(why) = tag_form(namespace, name) {
            self.warn(
                "invalid-tag",
                format!("the tag `{}` does not have the form of its namespace: {why}", t.node),
                t.span,
            );
        } else if namespace == "attack" {
            self.attack(name, t.span);
        }
    }

    /// Techniques and tactics that ATT&CK does not have, or no longer has. Its groups and software are not
    /// looked up, nor are the techniques of its matrix for industrial control systems (`t0…`).
    fn attack(&mut self, name: &str, at: Span) {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let mut chars = name.strip_prefix("ds").map_or(name, |_| "").chars();
        let first = chars.next();
        if first.is_some() && !digit(chars.next()) {
            let tactic = name.replace('_', "-");
            if !attack::tactics().contains(&tactic.as_str()) {
                let mut d =
                    Diagnostic::warning("unknown-attack-id", format!("ATT&CK has no tactic `{name}`")).at(at);
                if let Some(n) = nearest(&tactic, attack::tactics().iter().copied()) {
                    d = d.help(format!("did you mean `attack.{n}`?"));
                }
                self.sink.push(d);
            }
            return;
        }
        if first != Some('t') || name.starts_with("t0") {
            return;
        }
        let id = name.to_ascii_uppercase();
        let Some(technique) = attack::technique(&id) else {
            self.sink.push(
                Diagnostic::warning(
                    "unknown-attack-id",
                    format!("`{id}` is no technique of ATT&CK for Enterprise that is known here"),
                )
                .at(at)
                .meaning("hits are not counted under any technique of that name")
                .help("look for a slip in the number; a technique newer than this program may be right"),
            );
            return;
        };
        let (what, help) = match technique.state {
            State::Active => return,
            State::Deprecated => {
                ("was given up by ATT&CK", "choose the technique that fits the behaviour".into())
            }
            State::Revoked(other) => {
                let name = attack::technique(other).map_or("", |t| t.name);
                let other = other.to_ascii_lowercase();
                ("was replaced in ATT&CK", format!("write `attack.{other}` ({name})"))
            }
        };
        self.sink.push(
            Diagnostic::warning("retired-attack-id", format!("`{id}` ({}) {what}", technique.name))
                .at(at)
                .help(help),
        );
    }

    fn log_source(&mut self, l: &LogSource) {
        for (name, value) in [("category", &l.category), ("product", &l.product), ("service", &l.service)] {
            let Some(v) = value else { continue };
            if v.node.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
                self.sink.push(
                    Diagnostic::warning(
                        "logsource-form",
                        format!("the {name} `{}` is not in lower case without blanks", v.node),
                    )
                    .at(v.span)
                    .meaning("no log source has that name")
                    .help(format!("write `{}`", v.node.to_lowercase().replace(' ', "_"))),
                );
            }
        }
    }

    /// Equal entries of one list.
    fn duplicates(&mut self, list: impl Iterator<Item = (String, Span)>, what: &str) {
        let mut seen: HashMap<String, Span> = HashMap::new();
        for (key, span) in list {
            match seen.get(&key) {
                Some(first) => self.sink.push(
                    Diagnostic::warning(
                        "duplicate-value",
                        format!("the {what} `{key}` stands twice in one list"),
                    )
                    .at(span)
                    .related(*first, "first here")
                    .help("delete one; if another value was meant, the rule does not look for it"),
                ),
                None => {
                    seen.insert(key, span);
                }
            }
        }
    }

    fn detection(&mut self, d: &Detection) {
        for s in &d.searches {
            self.body(&s.body);
        }
        let index: Index<'_> =
            d.searches.iter().enumerate().map(|(i, s)| (s.name.node.as_str(), i)).collect();
        let mut used = vec![false; d.searches.len()];
        let mut prose = d.conditions.is_empty();
        for c in &d.conditions {
            self.condition(&index, c, &mut used, &mut prose);
        }
        if prose {
            return;
        }
        for (s, used) in d.searches.iter().zip(used) {
            if !used && !s.name.node.starts_with('_') {
                self.sink.push(
                    Diagnostic::warning(
                        "unused-search",
                        format!("the condition never asks for `{}`", s.name.node),
                    )
                    .at(s.name.span)
                    .meaning("what stands there has no effect; if it is an exclusion, nothing is excluded")
                    .help("name it in the condition, or delete it"),
                );
            }
        }
    }

    /// A filter's condition is what an event must satisfy; one without any `not` keeps what it describes.
    fn keeps(&mut self, d: &Detection) {
        fn negates(e: &Spanned<Expression>) -> bool {
            match &e.node {
                Expression::Not(_) | Expression::Prose(_) => true,
                Expression::And(items) | Expression::Or(items) => items.iter().any(negates),
                Expression::Search(_) | Expression::Of(..) => false,
            }
        }
        if let Some(c) = d.conditions.first().filter(|_| !d.conditions.iter().any(|c| negates(&c.expr))) {
            self.sink.push(
                Diagnostic::warning("filter-keeps", "the filter keeps what it describes")
                    .at(c.expr.span)
                    .meaning("its rules match nothing but the events that satisfy this condition")
                    .help("to leave these events out, write `not` before it"),
            );
        }
    }

    fn condition(&mut self, index: &Index<'_>, c: &Condition, used: &mut [bool], prose: &mut bool) {
        self.uses(index, &c.expr, used, prose);
        if let Some(Aggregation::Near(e)) = c.aggregation.as_ref().map(|a| &a.node) {
            self.uses(index, e, used, prose);
        }
    }

    fn uses(&mut self, index: &Index<'_>, e: &Spanned<Expression>, used: &mut [bool], prose: &mut bool) {
        match &e.node {
            Expression::Prose(_) => *prose = true,
            Expression::Search(name) => {
                if let Some(i) = index.get(name.as_str()) {
                    used[*i] = true;
                }
            }
            Expression::Of(_, target) => {
                for (name, i) in index {
                    used[*i] |= target.node.matches(name);
                }
            }
            Expression::Not(inner) => self.uses(index, inner, used, prose),
            Expression::And(items) | Expression::Or(items) => {
                items.iter().for_each(|i| self.uses(index, i, used, prose))
            }
        }
    }

    fn body(&mut self, b: &Spanned<SearchBody>) {
        match &b.node {
            SearchBody::Map(items) => items.iter().for_each(|i| self.item(i)),
            SearchBody::List(list) => {
                list.iter().for_each(|b| self.body(b));
                let keywords = list.iter().filter_map(|b| match &b.node {
                    SearchBody::Keyword(v) => Some((value_key(v, false), v.span)),
                    _ => None,
                });
                self.duplicates(keywords.collect::<Vec<_>>().into_iter(), "keyword");
            }
            SearchBody::Keyword(v) => self.wildcard_only(v),
        }
    }

    fn item(&mut self, i: &Item) {
        let exact = i.has(Modifier::Cased)
            || i.has(Modifier::Re)
            || i.has(Modifier::Base64)
            || i.has(Modifier::Base64Offset);
        self.duplicates(i.values.iter().map(|v| (value_key(v, exact), v.span)), "value");
        if let Some(all) = i.modifiers.iter().find(|m| m.node == Modifier::All)
            && i.values.len() == 1
        {
            self.sink.push(
                Diagnostic::warning("all-of-one", "`all` with a single value")
                    .at(all.span)
                    .meaning("it has no effect; perhaps values are missing")
                    .help("delete `all`, or give it a list"),
            );
        }
        for (n, m) in i.modifiers.iter().enumerate() {
            if i.modifiers[..n].iter().any(|b| b.node == m.node) {
                self.warn("duplicate-modifier", format!("`{}` stands twice", m.node.as_str()), m.span);
            }
        }
        let offset = i.modifiers.iter().find(|m| m.node == Modifier::Base64Offset);
        if let Some(m) = offset.filter(|_| !i.has(Modifier::Contains)) {
            self.sink.push(
                Diagnostic::warning("offset-without-contains", "`base64offset` without `contains`")
                    .at(m.span)
                    .meaning("the field would have to be nothing but that part of Base64 text")
                    .help("write `base64offset|contains`"),
            );
        }
        if i.has(Modifier::Re)
            || i.has(Modifier::Exists)
            || i.has(Modifier::FieldRef)
            || i.has(Modifier::Cidr)
        {
            return;
        }
        let end = i.has(Modifier::Contains) || i.has(Modifier::StartsWith);
        let start = i.has(Modifier::Contains) || i.has(Modifier::EndsWith);
        for v in &i.values {
            if (start || end) && self.idle_wildcard(v, start, end, i) {
                continue;
            }
            self.wildcard_only(v);
            self.literal_asterisk(v);
        }
    }

    /// `\Users\*\AppData`: the backslash makes a plain asterisk of it, which no path holds.
    fn literal_asterisk(&mut self, v: &Value) {
        let Scalar::Str(s) = &v.node else { return };
        // Three backslashes say that the author knows.
        let slip = s.match_indices("\\*\\").any(|(i, _)| i > 0 && !s[..i].ends_with('\\'));
        if slip {
            self.sink.push(
                Diagnostic::note("literal-asterisk", "`\\*` means an asterisk, not any text")
                    .at(v.span)
                    .help("for a backslash and then any text write `\\\\*`"),
            );
        }
    }

    /// A `*` where the modifier puts one anyway.
    fn idle_wildcard(&mut self, v: &Value, start: bool, end: bool, i: &Item) -> bool {
        let Scalar::Str(s) = &v.node else { return false };
        let p = Pattern::parse(s);
        let idle =
            start && p.parts().first() == Some(&Part::Any) || end && p.parts().last() == Some(&Part::Any);
        if idle {
            let modifiers = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
            let name = modifiers.into_iter().find(|m| i.has(*m)).map_or("contains", Modifier::as_str);
            self.sink.push(
                Diagnostic::warning("idle-wildcard", format!("a `*` where `{name}` allows any text already"))
                    .at(v.span)
                    .meaning("it has no effect; if a literal asterisk is meant, the value matches more than it should")
                    .help("delete it, or escape it with a backslash"),
            );
        }
        idle
    }

    fn wildcard_only(&mut self, v: &Value) {
        let Scalar::Str(s) = &v.node else { return };
        let p = Pattern::parse(s);
        if !p.parts().is_empty() && p.parts().iter().all(|p| matches!(p, Part::Any | Part::One)) {
            self.sink.push(
                Diagnostic::warning("wildcard-only", "a value of nothing but wildcards")
                    .at(v.span)
                    .meaning("it asks only that the field is there and not empty")
                    .help("for the presence of a field there is `exists: true`"),
            );
        }
    }
}

/// Two values of a list with one key are the same to the engine.
fn value_key(v: &Value, exact: bool) -> String {
    match &v.node {
        Scalar::Null => "null".into(),
        Scalar::Str(s) if !exact => tercel_ir::function::fold(s),
        other => other.text(),
    }
}

fn is_uuid(s: &str) -> bool {
    s.len() == 36
        && s.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `2024-01-31`; not more than the form and the ranges.
fn is_date(s: &str) -> bool {
    let parts: Vec<&str> = s.split('-').collect();
    let [y, m, d] = parts.as_slice() else { return false };
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    digits(y, 4)
        && digits(m, 2)
        && digits(d, 2)
        && m.parse().is_ok_and(|m: u32| (1..=12).contains(&m))
        && d.parse().is_ok_and(|d: u32| (1..=31).contains(&d))
}

/// What is wrong with the form of a tag, by its namespace.
fn tag_form(namespace: &str, name: &str) -> Option<&'static str> {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let fine = match namespace {
        "attack" => {
            let rest = name.strip_prefix("ds").or_else(|| name.strip_prefix(['t', 'g', 's', 'm', 'a']));
            let id = rest.is_some_and(|r| {
                let (main, sub) = r.split_once('.').map_or((r, None), |(m, s)| (m, Some(s)));
                digits(main) && main.len() == 4 && sub.is_none_or(|s| digits(s) && s.len() == 3)
            });
            // A tactic or anything else in words; digits in it mean a bad id.
            let word =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'_'));
            if !id && !word {
                return Some("a technique is t1234 or t1234.001, a tactic is in lower case with hyphens");
            }
            true
        }
        "cve" => {
            let mut parts = name.split(['-', '.']);
            matches!((parts.next(), parts.next(), parts.next()), (Some(y), Some(n), None) if y.len() == 4 && digits(y) && digits(n))
        }
        "car" => {
            let parts: Vec<&str> = name.split('-').collect();
            parts.len() == 3 && parts.iter().all(|p| digits(p))
        }
        "tlp" => matches!(name, "red" | "amber" | "amber-strict" | "green" | "clear" | "white"),
        "detection" => matches!(name, "dfir" | "emerging-threats" | "threat-hunting"),
        "stp" => {
            let mut chars = name.chars();
            matches!(chars.next(), Some('1'..='5')) && matches!(chars.as_str(), "" | "a" | "u" | "k")
        }
        _ => !name.is_empty(),
    };
    (!fine).then_some(match namespace {
        "cve" => "cve.2021-44228",
        "car" => "car.2016-04-005",
        "tlp" => "red, amber, amber-strict, green or clear",
        "detection" => "dfir, emerging-threats or threat-hunting",
        "stp" => "a number from 1 to 5, perhaps with a, u or k",
        _ => "it is empty",
    })
}
