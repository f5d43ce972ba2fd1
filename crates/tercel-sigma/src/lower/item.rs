//! One item of a search: a field, its modifiers, its values.

use super::Lowering;
use super::field::{Case, Field};
use super::regex::translate;
use super::value::Form;
use crate::ast::{Item, Modifier, Scalar, Spanned, Text, Value};
use crate::pattern::{Pattern, Shape};
use tercel_ir::{Diagnostic, Expr, Span, Type, time};

/// What an item does with its values, from its modifiers.
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) all: bool,
    negated: bool,
    pub(super) case: Case,
    /// A part of a time, to be compared instead of the time.
    part: Option<Modifier>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Regex {
        i: bool,
        m: bool,
        s: bool,
    },
    Cidr,
    /// The registry's name of the comparison.
    Compare(&'static str),
    FieldRef,
    Exists,
}

/// What one value comes to.
enum Test {
    /// Equality with a literal of the column's type; several become one membership test.
    Equals(Expr),
    Other(Expr),
}

impl Lowering<'_> {
    pub(super) fn item(&mut self, item: &Item) -> Expr {
        let span = item.span.span;
        let Some(plan) = self.plan(item) else { return Expr::boolean(false, span) };
        if item.values.is_empty() {
            self.sink.push(
                Diagnostic::warning("empty-list", "a list without values")
                    .at(span)
                    .meaning("nothing matches it"),
            );
            return Expr::boolean(false, span);
        }
        let Some(name) = &item.field else {
            let found = self.keywords(item, &plan);
            return if plan.negated { Expr::not(found, span) } else { found };
        };
        let field = self.field(name);
        let mut groups = Vec::new();
        for v in &item.values {
            let tests = match plan.kind {
                Kind::Text => self.text_tests(&field, &plan, item, v),
                _ => vec![Test::Other(self.other_test(&field, &plan, item, v))],
            };
            // A test is a call, a column and a value.
            if !self.take(3 * tests.len(), v.span) {
                return Expr::boolean(false, span);
            }
            groups.push((tests, v.span));
        }
        let found = if plan.all {
            let each = groups.into_iter().map(|(tests, span)| any(&field, plan.case, tests, span)).collect();
            Expr::and(each, span)
        } else {
            any(&field, plan.case, groups.into_iter().flat_map(|g| g.0).collect(), span)
        };
        if plan.negated { Expr::not(found, span) } else { found }
    }

    /// Which modifiers go together.
    fn plan(&mut self, item: &Item) -> Option<Plan> {
        use Modifier as M;
        let mut plan = Plan { kind: Kind::Text, all: false, negated: false, case: Case::Ignore, part: None };
        let mut kind: Option<(Kind, &Spanned<Modifier>)> = None;
        for m in &item.modifiers {
            let new = match m.node {
                M::All => {
                    plan.all = true;
                    continue;
                }
                M::Neq => {
                    plan.negated = true;
                    continue;
                }
                M::Cased => {
                    plan.case = Case::Regard;
                    continue;
                }
                M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year => {
                    if let Some(before) = plan.part.replace(m.node) {
                        self.conflict(before.as_str(), m);
                        return None;
                    }
                    continue;
                }
                M::I | M::M | M::S => {
                    let Some((Kind::Regex { i, m: lines, s }, _)) = &mut kind else {
                        let what = format!(
                            "`{}` is a flag of `re`, and there is no `re` before it",
                            m.node.as_str()
                        );
                        self.fail(Diagnostic::error("conflicting-modifiers", what).at(m.span));
                        return None;
                    };
                    match m.node {
                        M::I => *i = true,
                        M::M => *lines = true,
                        _ => *s = true,
                    }
                    continue;
                }
                M::Re => Kind::Regex { i: false, m: false, s: false },
                M::Cidr => Kind::Cidr,
                M::Lt => Kind::Compare("lt"),
                M::Lte => Kind::Compare("le"),
                M::Gt => Kind::Compare("gt"),
                M::Gte => Kind::Compare("ge"),
                M::FieldRef => Kind::FieldRef,
                M::Exists => Kind::Exists,
                M::StartsWith | M::EndsWith | M::Contains | M::Expand => continue,
                M::WinDash | M::Base64 | M::Base64Offset | M::Utf16Le | M::Utf16Be | M::Utf16 | M::Wide => {
                    continue;
                }
            };
            if let Some((_, before)) = kind {
                self.conflict(before.node.as_str(), m);
                return None;
            }
            kind = Some((new, m));
        }
        let Some((found, at)) = kind else {
            if plan.part.is_some() {
                plan.kind = Kind::Compare("eq");
            }
            return Some(plan);
        };
        plan.kind = found;
        // Modifiers that change texts say nothing about a range or a presence.
        let fits = |m: Modifier| match found {
            Kind::Regex { .. } => {
                matches!(
                    m,
                    M::StartsWith | M::EndsWith | M::Contains | M::Expand | M::I | M::M | M::S | M::Cased
                )
            }
            Kind::FieldRef => matches!(m, M::StartsWith | M::EndsWith | M::Contains | M::Cased),
            Kind::Cidr => m == M::Expand,
            Kind::Compare(_) => matches!(m, M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year),
            Kind::Exists => false,
            Kind::Text => true,
        };
        let odd = item
            .modifiers
            .iter()
            .find(|m| m.node != at.node && !matches!(m.node, M::All | M::Neq) && !fits(m.node));
        if let Some(odd) = odd {
            self.conflict(at.node.as_str(), odd);
            return None;
        }
        Some(plan)
    }

    fn conflict(&mut self, one: &str, other: &Spanned<Modifier>) {
        let what = format!("`{one}` and `{}` do not go together", other.node.as_str());
        self.fail(Diagnostic::error("conflicting-modifiers", what).at(other.span));
    }

    fn text_tests(&mut self, field: &Field, plan: &Plan, item: &Item, v: &Value) -> Vec<Test> {
        if v.node == Scalar::Null {
            if let Some(m) = item
                .modifiers
                .iter()
                .find(|m| !matches!(m.node, Modifier::All | Modifier::Neq | Modifier::Cased))
            {
                let what = format!("`{}` of a value that is null", m.node.as_str());
                return vec![Test::Other(self.fail(Diagnostic::error("invalid-value", what).at(v.span)))];
            }
            return vec![Test::Other(field.empty(v.span))];
        }
        let forms = self.forms(v, &item.modifiers);
        forms.into_iter().map(|f| self.form_test(field, plan.case, &f, v.span)).collect()
    }

    fn form_test(&mut self, field: &Field, case: Case, form: &Form, span: Span) -> Test {
        let pattern = match form {
            Form::Pattern(p) => p,
            Form::Regex(r) => return Test::Other(self.built_regex(field, case, r, span)),
            // `forms` has turned bytes into text or refused them.
            Form::Bytes(_) => return Test::Other(Expr::boolean(false, span)),
        };
        match pattern.shape() {
            Shape::Equals("") => Test::Other(field.empty(span)),
            Shape::Equals(text) => match field.literal(text, span) {
                Ok(literal) => Test::Equals(literal),
                Err(()) => Test::Other(self.mismatch(field, text, span)),
            },
            _ => Test::Other(field.matches(pattern, case, span)),
        }
    }

    /// An expression made here (from many dashes); it can still be too large.
    fn built_regex(&mut self, field: &Field, case: Case, regex: &str, span: Span) -> Expr {
        match translate(regex, case == Case::Ignore, false, true) {
            Ok(r) => field.matches_regex(&r, span),
            Err(e) => self.fail(
                Diagnostic::error(
                    "invalid-regex",
                    format!("the value with all its dashes is too much: {}", e.reason),
                )
                .at(span),
            ),
        }
    }

    fn mismatch(&mut self, field: &Field, text: &str, span: Span) -> Expr {
        let ty = field.ty();
        self.sink.push(
            Diagnostic::warning(
                "type-mismatch",
                format!("`{}` holds values of type {ty}, never `{text}`", field.name),
            )
            .at(span)
            .meaning("this value never matches"),
        );
        Expr::boolean(false, span)
    }

    fn other_test(&mut self, field: &Field, plan: &Plan, item: &Item, v: &Value) -> Expr {
        match plan.kind {
            Kind::Regex { i, m, s } => self.regex_test(field, (i, m, s), item, v),
            Kind::Cidr => self.cidr_test(field, item, v),
            Kind::Compare(op) => self.compare_test(field, plan, op, v),
            Kind::FieldRef => self.reference_test(field, plan, item, v),
            Kind::Exists => match v.node.as_bool() {
                Some(true) => field.present(v.span),
                Some(false) => Expr::not(field.present(v.span), v.span),
                None => {
                    self.fail(Diagnostic::error("invalid-value", "`exists` takes true or false").at(v.span))
                }
            },
            Kind::Text => Expr::boolean(false, v.span),
        }
    }

    fn regex_test(&mut self, field: &Field, flags: (bool, bool, bool), item: &Item, v: &Value) -> Expr {
        let any = self.regexes(flags, item, v).iter().map(|r| field.matches_regex(r, v.span)).collect();
        Expr::or(any, v.span)
    }

    /// The expressions of a value, ready for the engine; empty after an error.
    pub(super) fn regexes(&mut self, (i, m, s): (bool, bool, bool), item: &Item, v: &Value) -> Vec<String> {
        let written = match &v.node {
            Scalar::Null => {
                self.fail(Diagnostic::error("invalid-value", "a regular expression that is null").at(v.span));
                return Vec::new();
            }
            other => other.text(),
        };
        let sources = if item.has(Modifier::Expand) {
            let patterns = self.expand(&written, v.span, Pattern::literal);
            patterns.iter().filter_map(|p| p.as_literal().map(str::to_string)).collect()
        } else {
            vec![written]
        };
        let mut out = Vec::new();
        for source in sources {
            match translate(&anchored(&source, item), i, m, s) {
                Ok(r) => out.push(r),
                Err(e) => {
                    let d = match e.feature {
                        Some(f) => Diagnostic::error("unsupported-regex", format!("the regular expression uses {f}"))
                            .help("say the same with two searches, or without it; the engine's expressions run in linear time and have none"),
                        None => Diagnostic::error("invalid-regex", format!("the regular expression does not compile: {}", e.reason)),
                    };
                    self.fail(d.at(v.span));
                }
            }
        }
        out
    }

    fn cidr_test(&mut self, field: &Field, item: &Item, v: &Value) -> Expr {
        let written = v.node.text();
        let ranges: Vec<String> = if item.has(Modifier::Expand) {
            let patterns = self.expand(&written, v.span, Pattern::literal);
            patterns.iter().filter_map(|p| p.as_literal().map(str::to_string)).collect()
        } else {
            vec![written]
        };
        let mut any = Vec::new();
        for range in ranges {
            if !is_cidr(&range) {
                let d = Diagnostic::error("invalid-cidr", format!("`{range}` is no address range"))
                    .at(v.span)
                    .help("write it as 10.0.0.0/8 or fc00::/7");
                return self.fail(d);
            }
            let literal = Expr::literal(tercel_ir::Value::Str(range), v.span);
            any.push(Expr::known("ip_in_cidr", vec![field.text(), literal], v.span));
        }
        Expr::or(any, v.span)
    }

    fn compare_test(&mut self, field: &Field, plan: &Plan, op: &str, v: &Value) -> Expr {
        let span = v.span;
        let text = v.node.text();
        let (left, right) = match plan.part {
            Some(part) => {
                let function = match part {
                    Modifier::Minute => "minuteofhour",
                    Modifier::Hour => "hourofday",
                    Modifier::Day => "dayofmonth",
                    Modifier::Week => "weekofyear",
                    Modifier::Month => "monthofyear",
                    _ => "getyear",
                };
                let left = Expr::known(function, vec![field.datetime()], field.expr.span);
                (left, text.parse().ok().map(tercel_ir::Value::Long))
            }
            None if field.ty() == Type::DateTime => {
                (field.expr.clone(), time::parse_datetime(&text).map(tercel_ir::Value::DateTime))
            }
            None if field.ty() == Type::TimeSpan => {
                (field.expr.clone(), time::parse_timespan(&text).map(tercel_ir::Value::TimeSpan))
            }
            None => (field.number(), number(&text)),
        };
        let Some(right) = right else {
            let what = format!("`{text}` is no number to compare with");
            return self.fail(Diagnostic::error("invalid-value", what).at(span));
        };
        // Comparisons with null are null; here they must be false.
        let known = Expr::known("isnotnull", vec![left.clone()], span);
        Expr::and(vec![known, Expr::known(op, vec![left, Expr::literal(right, span)], span)], span)
    }

    /// Both fields must be there and not empty: two absent fields are not "the same value".
    fn reference_test(&mut self, field: &Field, plan: &Plan, item: &Item, v: &Value) -> Expr {
        let Scalar::Str(name) = &v.node else {
            return self
                .fail(Diagnostic::error("invalid-value", "`fieldref` takes the name of a field").at(v.span));
        };
        let other = self.field(&Text::new(name.clone(), v.span));
        let regard = plan.case == Case::Regard;
        let pick = |ignore: &'static str, cased: &'static str| if regard { cased } else { ignore };
        let function = if item.has(Modifier::Contains) {
            pick("contains", "contains_cs")
        } else if item.has(Modifier::StartsWith) {
            pick("startswith", "startswith_cs")
        } else if item.has(Modifier::EndsWith) {
            pick("endswith", "endswith_cs")
        } else if field.ty() == other.ty() && !field.is_text() {
            "eq"
        } else {
            pick("eq_ci", "eq")
        };
        let (left, right) = match function {
            "eq" if !field.is_text() && field.ty() == other.ty() => (field.expr.clone(), other.expr.clone()),
            _ => (field.text(), other.text()),
        };
        let same = Expr::known(function, vec![left, right], v.span);
        Expr::and(vec![field.filled(v.span), other.filled(v.span), same], v.span)
    }
}

/// Any of the tests, equalities together in the place of the first.
fn any(field: &Field, case: Case, tests: Vec<Test>, span: Span) -> Expr {
    let mut out = Vec::new();
    let mut literals = Vec::new();
    let mut place = None;
    for t in tests {
        match t {
            Test::Equals(e) => {
                place.get_or_insert(out.len());
                literals.push(e);
            }
            Test::Other(e) => out.push(e),
        }
    }
    if let Some(place) = place {
        let span = literals.iter().map(|l| l.span).reduce(Span::to).unwrap_or(span);
        out.insert(place, field.equals_any(literals, case, span));
    }
    Expr::or(out, span)
}

/// `startswith` and `endswith` on a regular expression anchor it; `contains` is what it does anyway.
fn anchored(source: &str, item: &Item) -> String {
    match (item.has(Modifier::StartsWith), item.has(Modifier::EndsWith)) {
        (true, true) => format!("^(?:{source})$"),
        (true, false) => format!("^(?:{source})"),
        (false, true) => format!("(?:{source})$"),
        (false, false) => source.to_string(),
    }
}

fn is_cidr(range: &str) -> bool {
    let (address, length) = match range.split_once('/') {
        Some((a, l)) => (a, Some(l)),
        None => (range, None),
    };
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|l| l.parse::<u8>().is_ok_and(|l| l <= most))
}

fn number(text: &str) -> Option<tercel_ir::Value> {
    let long = text.parse::<i64>().ok().map(tercel_ir::Value::Long);
    long.or_else(|| text.parse::<f64>().ok().filter(|r| r.is_finite()).map(tercel_ir::Value::Real))
}
