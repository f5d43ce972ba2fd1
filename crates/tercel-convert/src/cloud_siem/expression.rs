//! The conditions of a search over the fields of records.

use tercel_ir::Span;
use tercel_sumo::ast::{At, Expr, ExprKind, Name, Operator, Scope, ScopeOp, TermPart, Text};

/// Which events a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Sysmon,
    Security,
    /// Another log of Windows.
    Windows,
}

/// An expression of a rule.
pub(super) struct Expression {
    pub text: String,
    pub source: Source,
    /// The fields that it looks at, each once.
    pub fields: Vec<String>,
}

/// What stands for `fields['…']` while the text is printed; no field is called that.
const RAW: &str = "FIELDS__";
/// Nesting beyond this is refused; that of searches is bounded more tightly.
const MAX_DEPTH: usize = 200;

/// Sysmon's and the security log's fields whose values Cloud SIEM keeps as they are, and whether they are numbers.
const SYSMON: [(&str, &str, bool); 12] = [
    ("CommandLine", "commandLine", false),
    ("DestinationIp", "dstDevice_ip", false),
    ("DestinationPort", "dstPort", true),
    ("Image", "baseImage", false),
    ("ParentCommandLine", "parentCommandLine", false),
    ("ParentImage", "parentBaseImage", false),
    ("ParentProcessId", "parentPid", true),
    ("ProcessId", "pid", true),
    ("QueryName", "dns_query", false),
    ("SourceIp", "srcDevice_ip", false),
    ("SourcePort", "srcPort", true),
    ("TargetFilename", "file_path", false),
];
const SECURITY: [(&str, &str, bool); 8] = [
    ("CommandLine", "commandLine", false),
    ("IpAddress", "srcDevice_ip", false),
    ("IpPort", "srcPort", true),
    ("LogonType", "logonType", false),
    ("NewProcessName", "baseImage", false),
    ("ParentProcessName", "parentBaseImage", false),
    ("SubjectUserName", "fromUser_username", false),
    ("TargetUserName", "user_username", false),
];
/// What stands in the event's head.
const HEAD: [&str; 4] = ["Channel", "Computer", "Provider", "EventID"];

/// A field of a record, and whether it is a number.
pub(super) fn record_field(name: &str, source: Source) -> (String, bool) {
    let known: &[(&str, &str, bool)] = match source {
        Source::Sysmon => &SYSMON,
        Source::Security => &SECURITY,
        Source::Windows => &[],
    };
    if let Some((_, field, number)) = known.iter().find(|k| k.0 == name) {
        return (field.to_string(), *number);
    }
    let raw = match name {
        "Provider" => "Provider_Name".to_string(),
        n if HEAD.contains(&n) => n.to_string(),
        n => format!("EventData.{n}"),
    };
    (format!("fields['{raw}']"), false)
}

/// The expression of a search, whose scope says where the events come from.
pub(super) fn of(search: &str) -> Result<Expression, String> {
    let (query, found) = tercel_sumo::parse(search);
    if found.has_errors() {
        return Err("the search that the rule is made of cannot be read again".into());
    }
    let mut head = Vec::new();
    scope(query.scope.as_ref(), &mut head)?;
    let category = head.iter().find(|h| h.0 == "_sourceCategory").map_or("", |h| h.1.as_str());
    let source = if category.contains("security") {
        Source::Security
    } else if category.contains("sysmon") || head.is_empty() {
        Source::Sysmon
    } else {
        Source::Windows
    };
    let log = match source {
        Source::Sysmon => "Microsoft-Windows-Sysmon/Operational",
        Source::Security => "Security",
        Source::Windows => "",
    };
    let mut w = Walk { source, log, fields: Vec::new() };
    let mut all =
        vec!["metadata_vendor = \"Microsoft\"".to_string(), "metadata_product = \"Windows\"".to_string()];
    let mut kinds = false;
    for (name, value) in &head {
        if name == "EventID" {
            all.push(format!("metadata_deviceEventId = \"{}\"", w.event(value)?));
            kinds = true;
        }
    }
    let mut rest = Vec::new();
    for s in query.stages {
        let e = match s.op {
            Operator::Where(e) => e,
            // A record is shown whole.
            Operator::Fields { .. } => continue,
            _ => return Err("the search is more than conditions".into()),
        };
        kinds |= mentions_kind(&e, 0);
        let e = w.walk(e, 0)?;
        let printed = tercel_sumo::print_expr(&e);
        rest.push(if matches!(e.kind, ExprKind::Or(_)) { format!("({printed})") } else { printed });
    }
    if !kinds && !log.is_empty() {
        all.push(format!("metadata_deviceEventId matches \"{log}-*\""));
    }
    all.extend(rest);
    let text = restored(&all.join("\nand "));
    let fields = w.fields.iter().map(|f| restored(f)).collect();
    Ok(Expression { text, source, fields })
}

/// Names of parsed fields as Cloud SIEM writes them.
fn restored(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(i) = rest.find(RAW) {
        out.push_str(&rest[..i]);
        let tail = &rest[i + RAW.len()..];
        let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
        out.push_str(&format!("fields['{}']", tail[..end].replace("__", ".")));
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

fn scope(s: Option<&Scope>, out: &mut Vec<(String, String)>) -> Result<(), String> {
    match s {
        None => Ok(()),
        Some(Scope::And(items)) => items.iter().try_for_each(|i| scope(Some(i), out)),
        Some(Scope::Field { name, op: ScopeOp::Eq, value, .. }) => {
            let [part] = value.parts.as_slice() else { return Err("a scope that is no field".into()) };
            let text = match part {
                TermPart::Word(w) => w.clone(),
                TermPart::Quoted(t) => t.cooked(),
            };
            out.push((name.text.clone(), text));
            Ok(())
        }
        Some(Scope::Term(t)) if matches!(t.parts.as_slice(), [TermPart::Word(w)] if w == "*") => Ok(()),
        Some(_) => Err("a search for a keyword: a record has fields, not a text to look in".into()),
    }
}

fn mentions_kind(e: &Expr, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let d = depth + 1;
    match &e.kind {
        ExprKind::Field(n) => n.text == "EventID",
        ExprKind::Binary(_, a, b) => mentions_kind(a, d) || mentions_kind(b, d),
        ExprKind::In { expr, .. } => mentions_kind(expr, d),
        _ => false,
    }
}

struct Walk {
    source: Source,
    log: &'static str,
    fields: Vec<String>,
}

impl Walk {
    fn event(&self, id: &str) -> Result<String, String> {
        match self.log {
            "" => {
                Err("events of other logs than Sysmon's and Security have no event id that is known".into())
            }
            log => Ok(format!("{log}-{id}")),
        }
    }

    fn boxed(&mut self, e: Expr, depth: usize) -> Result<Box<Expr>, String> {
        Ok(Box::new(self.walk(e, depth)?))
    }

    fn each(&mut self, items: Vec<Expr>, depth: usize) -> Result<Vec<Expr>, String> {
        items.into_iter().map(|i| self.walk(i, depth)).collect()
    }

    /// The same condition over the fields of records.
    fn walk(&mut self, e: Expr, depth: usize) -> Result<Expr, String> {
        if depth > MAX_DEPTH {
            return Err("a condition nested so deeply".into());
        }
        let d = depth + 1;
        let at = e.at;
        // Records are asked for what is not with `!` around what is.
        let (kind, negated) = positive(e.kind);
        if negated {
            let inner = self.walk(Expr { kind, at }, d)?;
            return Ok(Expr { kind: ExprKind::Not(Box::new(inner)), at });
        }
        let kind = match kind {
            ExprKind::Field(n) => ExprKind::Field(Name { text: self.field(&n.text)?.0, at: n.at }),
            ExprKind::And(items) => ExprKind::And(self.each(items, d)?),
            ExprKind::Or(items) => ExprKind::Or(self.each(items, d)?),
            ExprKind::Not(e) => ExprKind::Not(self.boxed(*e, d)?),
            ExprKind::Binary(op, a, b) => {
                let (a, b) = match compared(&a) {
                    Some(n) => {
                        let (field, number) = self.field(&n)?;
                        let value = self.value(*b, &n, number)?;
                        (Box::new(expr(ExprKind::Field(Name { text: field, at: at_() }))), Box::new(value))
                    }
                    None => (self.boxed(*a, d)?, self.boxed(*b, d)?),
                };
                ExprKind::Binary(op, a, b)
            }
            ExprKind::In { expr: of, negated, list } => match compared(&of) {
                Some(n) => {
                    let (field, number) = self.field(&n)?;
                    let list =
                        list.into_iter().map(|i| self.value(i, &n, number)).collect::<Result<_, _>>()?;
                    ExprKind::In {
                        expr: Box::new(expr(ExprKind::Field(Name { text: field, at: at_() }))),
                        negated,
                        list,
                    }
                }
                None => ExprKind::In { expr: self.boxed(*of, d)?, negated, list: self.each(list, d)? },
            },
            ExprKind::Matches { expr, negated, pattern } => {
                ExprKind::Matches { expr: self.boxed(*expr, d)?, negated, pattern }
            }
            ExprKind::Contains { expr, negated, part } => {
                ExprKind::Contains { expr: self.boxed(*expr, d)?, negated, part: self.boxed(*part, d)? }
            }
            ExprKind::Call { name, args } => ExprKind::Call { name, args: self.each(args, d)? },
            ExprKind::Ternary(c, a, b) => {
                ExprKind::Ternary(self.boxed(*c, d)?, self.boxed(*a, d)?, self.boxed(*b, d)?)
            }
            kind @ (ExprKind::String(_)
            | ExprKind::Number(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Regex(_)) => kind,
            _ => return Err("a condition that Cloud SIEM has no words for".into()),
        };
        Ok(Expr { kind, at })
    }

    /// A field as it is printed, and whether it is a number.
    fn field(&mut self, name: &str) -> Result<(String, bool), String> {
        if name.starts_with('_') {
            return Err(format!("`{name}` is no field of a record"));
        }
        if name == "EventID" {
            return Ok(("metadata_deviceEventId".into(), false));
        }
        let (field, number) = record_field(name, self.source);
        let printed = match field.strip_prefix("fields['").and_then(|f| f.strip_suffix("']")) {
            Some(raw) if raw.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')) => {
                format!("{RAW}{}", raw.replace('.', "__"))
            }
            Some(_) => return Err(format!("`{name}` is no name of a field in a record")),
            None => field,
        };
        if !self.fields.contains(&printed) {
            self.fields.push(printed.clone());
        }
        Ok((printed, number))
    }

    /// What a field is compared with: a number where it is one, an event's kind with its log.
    fn value(&mut self, e: Expr, name: &str, number: bool) -> Result<Expr, String> {
        let text = match &e.kind {
            ExprKind::String(t) => t.cooked(),
            ExprKind::Number(n) => n.clone(),
            _ => return self.walk(e, 0),
        };
        if name == "EventID" {
            let raw = self.event(&text)?;
            return Ok(expr(ExprKind::String(Text { raw, quote: '"', at: at_() })));
        }
        if number && !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
            return Ok(expr(ExprKind::Number(text)));
        }
        Ok(e)
    }
}

/// A test without its `not`, and whether it had one.
fn positive(kind: ExprKind) -> (ExprKind, bool) {
    match kind {
        ExprKind::In { expr, negated: true, list } => (ExprKind::In { expr, negated: false, list }, true),
        ExprKind::Matches { expr, negated: true, pattern } => {
            (ExprKind::Matches { expr, negated: false, pattern }, true)
        }
        ExprKind::Contains { expr, negated: true, part } => {
            (ExprKind::Contains { expr, negated: false, part }, true)
        }
        kind => (kind, false),
    }
}

/// The field that a comparison looks at as it is.
fn compared(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Field(n) => Some(n.text.clone()),
        _ => None,
    }
}

fn at_() -> At {
    At(Span::default())
}

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, at: at_() }
}
