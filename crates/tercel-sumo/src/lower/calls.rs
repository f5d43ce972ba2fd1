//! Functions: most are in the registry under their Sumo name; here is what their arguments need.

use tercel_ir::diag::nearest;
use tercel_ir::function;
use tercel_ir::{Diagnostic, Expr, Span, Type, Value};

use super::expr::{null_safe, number, peel, plain, text, truth};
use super::{Lowerer, R, call, text_literal};
use crate::ast::{self, Name};

/// Registry functions that take numbers.
const NUMERIC: &[&str] = &[
    "abs",
    "round",
    "ceiling",
    "floor_real",
    "sqrt",
    "log",
    "exp",
    "pow",
    "max_of",
    "min_of",
    "neg",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "atan2",
    "sinh",
    "cosh",
    "tanh",
    "cbrt",
    "expm1",
    "log1p",
    "log10",
    "hypot",
    "todegrees",
    "toradians",
    "signum",
    "haversine",
    "is_nan",
    "is_infinity",
    "dec_to_hex",
];

/// Registry functions of text that give "" for null, where Sumo gives null.
const TEXT_TO_TEXT: &[&str] = &["tolower", "toupper", "trim_blanks", "url_decode", "base64_encode_tostring"];

/// What Sumo's `isNumeric` (Java's) takes for a number.
const NUMERIC_TEXT: &str = r"^-?(?:0[xX][0-9a-fA-F]+|0[0-7]*[lL]?|[1-9][0-9]*[lLdDfF]?|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[dDfF]?|[0-9]+[eE][+-]?[0-9]+[dDfF]?)$";

impl Lowerer<'_> {
    /// `f(a, b)`.
    pub fn call_function(&mut self, name: &Name, args: &[ast::Expr], span: Span) -> R<Expr> {
        let lower = name.text.to_ascii_lowercase();
        match (lower.as_str(), args) {
            ("if", [c, a, b]) => return self.branch(c, a, b, span),
            ("matches", [a, p]) => return self.matches_call(a, p, span),
            ("contains", [a, b]) => return self.contains(a, b, span),
            ("isnull" | "isempty" | "isblank", [a]) => {
                // Any type; nothing has to be text for that.
                let v = self.raw_value(a)?;
                let f = match lower.as_str() {
                    "isnull" => "isnull",
                    "isempty" => "isempty",
                    _ => "isblank",
                };
                let p = peel(v);
                return Ok(match p.null_if {
                    Some(n) if f == "isnull" => n,
                    _ => call(f, vec![p.value], span),
                });
            }
            ("replace", [a, p, r]) => return self.replace(a, p, r, span),
            ("substring", [a, from]) => return self.substring(a, from, None, span),
            ("substring", [a, from, to]) => return self.substring(a, from, Some(to), span),
            ("tourl", [_, label, ..]) => {
                self.report(
                    Diagnostic::note("sumo-display-only", "`tourl` only concerns the display")
                        .at(span)
                        .meaning("the value is the text that would be shown"),
                );
                return Ok(text(self.value(label)?));
            }
            ("tourl", [url]) => return Ok(text(self.value(url)?)),
            ("now" | "queryendtime", []) => {
                return Ok(call("datetime_to_unixtime_ms", vec![call("now", vec![], span)], span));
            }
            ("frommillis" | "tomillis", [a]) => return Ok(number(self.value(a)?)),
            ("fromseconds", [a]) => {
                let v = number(self.value(a)?);
                return Ok(call("mul", vec![v, Expr::literal(Value::Long(1000), span)], span));
            }
            ("lookupcontains", _) => return self.unsupported_function(name, span),
            _ => {}
        }
        let mut values = Vec::with_capacity(args.len());
        for a in args {
            values.push(self.value(a)?);
        }
        self.plain_call(&lower, name, values, span)
    }

    fn plain_call(&mut self, lower: &str, name: &Name, mut values: Vec<Expr>, span: Span) -> R<Expr> {
        match (lower, values.len()) {
            ("concat", 1..) => {
                let texts = values.into_iter().map(|v| peel(text(v)).value).collect();
                return Ok(call("strcat", texts, span));
            }
            ("length", 1) => {
                let v = peel(text(values.remove(0)));
                return Ok(call("strlen", vec![v.value], span));
            }
            ("tostring", 1) => return Ok(text(values.remove(0))),
            // On a number these cast; on text, too.
            ("num" | "number" | "double" | "todouble", 1) => {
                let v = number(values.remove(0));
                return Ok(if v.ty == Type::Real { v } else { call("todouble", vec![v], span) });
            }
            ("long" | "tolong" | "int" | "toint", 1) => {
                // 64 bits in both: an epoch in milliseconds does not fit 32.
                let v = peel(values.remove(0));
                return Ok(match v.value.ty {
                    Type::String => call("tolong", vec![call("todouble", vec![v.value], span)], span),
                    _ => call("tolong", vec![number(v.value)], span),
                });
            }
            ("isnumeric", 1) => {
                let v = peel(text(values.remove(0)));
                return self.find_regex(v, NUMERIC_TEXT, span, span);
            }
            ("isprivateip" | "ispublicip" | "isreservedip", 1) => {
                return Ok(self.address_test(lower, values.remove(0), span));
            }
            ("comparecidrprefix", 3) => {
                // The prefix length comes as a text.
                let bits = peel(text(values.remove(2))).value;
                let side = |v: Expr| {
                    call("strcat", vec![peel(text(v)).value, text_literal("/", span), bits.clone()], span)
                };
                let b = side(values.remove(1));
                let a = side(values.remove(0));
                return Ok(truth(call("ipv4_is_match", vec![a, b], span), span));
            }
            // Another encoding than UTF-8.
            ("base64decode", 2) => return self.unsupported("base64Decode with an encoding", span),
            ("base64decode", 1) => {
                // What is no base64 comes back as it is.
                let v = values.remove(0);
                return Ok(null_safe(text(v), span, |v| {
                    let decoded = call("base64_decode_tostring", vec![v.clone()], span);
                    let bad = call("isempty", vec![decoded.clone()], span);
                    Expr::iff(bad, v, decoded, span)
                }));
            }
            _ => {}
        }
        let Some(f) = function::by_sumo(lower) else { return self.unsupported_function(name, span) };
        if TEXT_TO_TEXT.contains(&f.name) && values.len() == 1 {
            let v = text(values.remove(0));
            return Ok(null_safe(v, span, |v| call(f.name, vec![v], span)));
        }
        let numeric = NUMERIC.contains(&f.name);
        let args: Vec<Expr> = values
            .into_iter()
            .map(|v| if numeric { number(v) } else { text(v) })
            .map(|v| peel(v).value)
            .collect();
        match Expr::call(f, args, span) {
            Ok(e) => Ok(plain(e)),
            Err(why) => self
                .refuse(Diagnostic::error("sumo-bad-arguments", format!("`{}`: {why}", name.text)).at(span)),
        }
    }

    fn unsupported_function<T>(&mut self, name: &Name, span: Span) -> R<T> {
        let lower = name.text.to_ascii_lowercase();
        if crate::parse::is_known_function(&lower) {
            return self.refuse(
                Diagnostic::error(
                    "unsupported-function",
                    format!("function `{}` is not supported yet", name.text),
                )
                .at(span)
                .meaning("the query is understood, but cannot be run"),
            );
        }
        let d = Diagnostic::error("unknown-function", format!("there is no function `{}`", name.text))
            .at(name.at.0);
        let near = nearest(&name.text, crate::parse::function_names());
        self.refuse(match near {
            Some(n) => d.help(format!("did you mean `{n}`?")),
            None => d,
        })
    }

    /// `isPrivateIP` and its kin drop the row when there is no valid address. Not where the call stands in
    /// a branch or behind an `and` or `or`: whether the service evaluates it there is not documented, and a
    /// detection must not lose the row over it.
    fn address_test(&mut self, lower: &str, v: Expr, span: Span) -> Expr {
        let Some(f) = function::by_sumo(lower) else { return Expr::null(Type::Bool, span) };
        let test = call(f.name, vec![peel(text(v)).value], span);
        if self.conditional > 0 {
            return truth(test, span);
        }
        self.drops.push(call("isnotnull", vec![test.clone()], span));
        self.report(
            Diagnostic::note("sumo-invalid-ip-dropped", "rows without a valid IPv4 address are dropped here")
                .at(span)
                .meaning("that is what the documentation says of this function; an absent address is not valid either")
                .help("put `where isValidIPv4(field)` before it, or the call behind `isValidIPv4(field) and …`"),
        );
        truth(test, span)
    }

    fn substring(&mut self, a: &ast::Expr, from: &ast::Expr, to: Option<&ast::Expr>, span: Span) -> R<Expr> {
        let v = text(self.value(a)?);
        let from = number(self.value(from)?);
        let to = match to {
            Some(t) => Some(number(self.value(t)?)),
            None => None,
        };
        if let (Some(Value::Long(f)), Some(Some(Value::Long(t)))) =
            (from.as_literal(), to.as_ref().map(Expr::as_literal))
            && t < f
        {
            return self.refuse(
                Diagnostic::error(
                    "sumo-bad-arguments",
                    format!("`substring` ends at {t}, before it starts at {f}"),
                )
                .at(span),
            );
        }
        let to_long = |e: Expr| if e.ty.is_integer() { e } else { call("tolong", vec![e], span) };
        Ok(null_safe(v, span, |v| {
            let mut args = vec![v, to_long(from)];
            args.extend(to.map(to_long));
            call("slice", args, span)
        }))
    }

    /// `replace(a, "literal" or /re/, r)`: all of them; null stays null.
    fn replace(&mut self, a: &ast::Expr, pattern: &ast::Expr, with: &ast::Expr, span: Span) -> R<Expr> {
        let v = text(self.value(a)?);
        let ast::ExprKind::Regex(re) = &pattern.kind else {
            let p = peel(text(self.value(pattern)?)).value;
            let w = peel(text(self.value(with)?)).value;
            return Ok(null_safe(v, span, |v| call("replace_string", vec![v, p, w], span)));
        };
        self.checked_regex(re, pattern.at.0)?;
        let ast::ExprKind::String(t) = &with.kind else {
            return self.unsupported("replace with a computed text behind a regular expression", span);
        };
        let w = self.string(t)?;
        let Some(w) = group_references(&w, re) else {
            return self.unsupported("replace with this group reference", with.at.0);
        };
        let (re, w) = (text_literal(re.clone(), pattern.at.0), text_literal(w, with.at.0));
        Ok(null_safe(v, span, |v| call("replace_regex", vec![v, re, w], span)))
    }
}

/// `$1` and `${name}` as the registry writes them, `\1`; `None` where it cannot.
fn group_references(with: &str, re: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = with;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => match rest.chars().next() {
                // An escaped dollar is a dollar.
                Some('$') => {
                    out.push('$');
                    rest = &rest[1..];
                }
                Some(d) if d.is_ascii_digit() => return None,
                _ => out.push('\\'),
            },
            '$' => {
                if let Some(r) = rest.strip_prefix('{') {
                    let end = r.find('}')?;
                    let name = &r[..end];
                    let i =
                        crate::regexes::groups(re).iter().position(|g| g.name.as_deref() == Some(name))? + 1;
                    if i > 9 {
                        return None;
                    }
                    out.push_str(&format!("\\{i}"));
                    rest = &r[end + 1..];
                } else if let Some(d) = rest.chars().next().filter(char::is_ascii_digit) {
                    if rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                        return None;
                    }
                    out.push('\\');
                    out.push(d);
                    rest = &rest[1..];
                } else {
                    out.push('$');
                }
            }
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!(group_references("new-$2-url", "(a)(b)").as_deref(), Some("new-\\2-url"));
        assert_eq!(group_references("${b}$", "(?<a>a)(?<b>b)").as_deref(), Some("\\2$"));
        assert_eq!(group_references("$12", "(a)"), None);
        assert_eq!(group_references("\\1", "(a)"), None);
    }

    #[test]
    fn numeric_text() {
        let re = regex::Regex::new(NUMERIC_TEXT).unwrap();
        for s in ["1e5", "0x1F", "123L", "0", "-4", "1.5", "077"] {
            assert!(re.is_match(s), "{s}");
        }
        for s in ["", "09", "abc", "1 ", "0x"] {
            assert!(!re.is_match(s), "{s}");
        }
    }
}
