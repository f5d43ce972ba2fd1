//! Views: KQL texts with a head of comment lines that say what they are.
//!
//! ```text
//! // view NAME                       a relation (or: function NAME, fragment NAME)
//! // also NAME                       another name of a function
//! // about one line for people
//! // note something a user of the view should know (any number)
//! // omits WHAT := KQL               rows that the view leaves out on purpose, in words and as a query
//! // log source category=C product=P service=S
//! // param NAME TYPE = DEFAULT       of a function, in order
//! // column NAME DOMAIN              as in schemas/domains.txt: what the column can hold
//! ```

use crate::text::parse_domain;
use tercel_ir::{Diagnostic, Domain, Param, Type, Value};

/// What a text defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewKind {
    /// A relation without parameters.
    View,
    /// A stored function.
    Function,
    /// A part from which a generated view is put together.
    Fragment,
}

/// A log source of Sigma, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub category: Option<String>,
    pub product: Option<String>,
    pub service: Option<String>,
}

/// Rows that a view leaves out on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omission {
    /// In words, as the object of "leaves out".
    pub what: String,
    /// A query over the tables that gives those rows.
    pub kql: String,
}

/// A view with what its head says.
#[derive(Clone, Debug)]
pub struct View {
    pub name: String,
    pub kind: ViewKind,
    pub also: Vec<String>,
    pub about: String,
    pub notes: Vec<String>,
    pub omissions: Vec<Omission>,
    pub source: Option<Source>,
    pub params: Vec<Param>,
    /// Declared domains of output columns.
    pub domains: Vec<(String, Domain)>,
    /// Tables whose rows are put together as they are, whatever their columns; the text is then only for people.
    pub tables: Vec<String>,
    /// The whole text, head included.
    pub text: String,
}

fn fault(line: usize, what: &str) -> Diagnostic {
    Diagnostic::error("view-head", format!("line {}: {what}", line + 1))
        .help("a view begins with `// view NAME`; see the shipped views for the other lines of its head")
}

impl View {
    /// A view without a head of its own.
    pub fn new(name: impl Into<String>, about: impl Into<String>, text: impl Into<String>) -> View {
        View {
            name: name.into(),
            kind: ViewKind::View,
            also: Vec::new(),
            about: about.into(),
            notes: Vec::new(),
            omissions: Vec::new(),
            source: None,
            params: Vec::new(),
            domains: Vec::new(),
            tables: Vec::new(),
            text: text.into(),
        }
    }

    /// Reads the head of a view's text.
    ///
    /// # Errors
    /// When there is no name, or a line of the head is not understood.
    pub fn parse(text: &str) -> Result<View, Diagnostic> {
        let mut view = View::new("", "", text);
        for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let Some(comment) = line.trim().strip_prefix("//") else {
                if line.trim().is_empty() {
                    continue;
                }
                break;
            };
            let (key, rest) = comment.trim().split_once(char::is_whitespace).unwrap_or((comment.trim(), ""));
            let rest = rest.trim();
            match key {
                "view" | "function" | "fragment" => {
                    view.name = rest.to_string();
                    view.kind = match key {
                        "view" => ViewKind::View,
                        "function" => ViewKind::Function,
                        _ => ViewKind::Fragment,
                    };
                }
                "also" => view.also.push(rest.to_string()),
                "about" => view.about = rest.to_string(),
                "note" => view.notes.push(rest.to_string()),
                "omits" => {
                    let (what, kql) =
                        rest.split_once(":=").ok_or_else(|| fault(i, "no omission: WHAT := KQL"))?;
                    view.omissions
                        .push(Omission { what: what.trim().to_string(), kql: kql.trim().to_string() });
                }
                "log" => view.source = Some(source(rest).ok_or_else(|| fault(i, "no log source"))?),
                "param" => view
                    .params
                    .push(param(rest).ok_or_else(|| fault(i, "no parameter: NAME TYPE = DEFAULT"))?),
                "column" => {
                    let found =
                        rest.split_once(' ').and_then(|(n, d)| Some((n.to_string(), parse_domain(d)?)));
                    view.domains.push(found.ok_or_else(|| fault(i, "no column: NAME DOMAIN"))?);
                }
                // Any other comment is for people.
                _ => {}
            }
        }
        if view.name.is_empty() {
            return Err(fault(0, "the view has no name"));
        }
        Ok(view)
    }
}

/// `source category=a product=b`.
fn source(text: &str) -> Option<Source> {
    let mut s = Source::default();
    for word in text.strip_prefix("source")?.split_whitespace() {
        let (key, value) = word.split_once('=')?;
        let place = match key {
            "category" => &mut s.category,
            "product" => &mut s.product,
            "service" => &mut s.service,
            _ => return None,
        };
        *place = Some(value.to_string());
    }
    (s != Source::default()).then_some(s)
}

/// `name type` or `name type = default`.
fn param(text: &str) -> Option<Param> {
    let (left, default) = match text.split_once('=') {
        Some((l, d)) => (l, Some(d.trim())),
        None => (text, None),
    };
    let (name, ty) = left.trim().split_once(' ')?;
    let ty = Type::parse(ty.trim())?;
    let default = match default {
        None => None,
        Some(d) => Some(value(d, ty)?),
    };
    Some(Param { name: name.to_string(), ty, default })
}

/// A literal of a default: `type(null)`, `dynamic(JSON)`, quoted text, `true`, a whole number.
fn value(text: &str, ty: Type) -> Option<Value> {
    let inner = text.split_once('(').and_then(|(_, r)| r.strip_suffix(')'));
    if inner == Some("null") {
        return Some(Value::Null);
    }
    match ty {
        Type::Dynamic => serde_json::from_str(inner?).ok().map(Value::Dynamic),
        Type::String => {
            let quoted = |q: char| text.strip_prefix(q).and_then(|t| t.strip_suffix(q));
            quoted('\'').or_else(|| quoted('"')).map(Value::str)
        }
        Type::Bool => text.parse().ok().map(Value::Bool),
        Type::Int | Type::Long => text.parse().ok().map(Value::Long),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heads() {
        let v = View::parse(
            "// function f\n// also g\n// about A thing.\n// note One.\n// param a int = int(null)\n// param b dynamic = dynamic([1])\n\
             // param c string = '*'\n// log source category=x product=windows\n// column D only In, Out\nT | take 1 // view no\n",
        )
        .unwrap();
        assert_eq!((v.name.as_str(), v.kind, v.also.len()), ("f", ViewKind::Function, 1));
        assert_eq!(v.params[0].default, Some(Value::Null));
        assert_eq!(v.params[1].default, Some(Value::Dynamic(serde_json::json!([1]))));
        assert_eq!(v.params[2].default, Some(Value::str("*")));
        assert_eq!(v.source.unwrap().category.as_deref(), Some("x"));
        assert!(matches!(&v.domains[0].1, Domain::Values { closed: true, .. }));
    }

    #[test]
    fn faults() {
        assert!(View::parse("T | take 1").is_err());
        assert!(View::parse("// view a\n// column b").unwrap_err().message.contains("line 2"));
        assert!(View::parse("// view a\n// param b number").is_err());
        assert!(View::parse("").is_err());
    }
}
