//! Conditions over several lines, as an author breaks them.

/// Lines longer than this are broken where they can be.
const WIDTH: usize = 100;

/// A condition, as far as its layout is concerned.
#[derive(Clone, Debug)]
pub(crate) enum Doc {
    /// What is not broken.
    Text(String),
    And(Vec<Doc>),
    Or(Vec<Doc>),
    /// What stands before, what is in brackets, separated by commas.
    List(String, Vec<String>),
    /// `before(…)`, with more arguments after it: none, or `, FALSE`.
    Wrapped(&'static str, Box<Doc>, &'static str),
}

impl Doc {
    /// On one line.
    pub(crate) fn line(&self) -> String {
        let part = |d: &Doc, or: bool| match d {
            Doc::Or(items) if items.len() > 1 && !or => format!("({})", d.line()),
            Doc::And(items) if items.len() > 1 && or => format!("({})", d.line()),
            _ => d.line(),
        };
        match self {
            Doc::Text(s) => s.clone(),
            Doc::And(items) => items.iter().map(|i| part(i, false)).collect::<Vec<_>>().join(" AND "),
            Doc::Or(items) => items.iter().map(|i| part(i, true)).collect::<Vec<_>>().join(" OR "),
            Doc::List(head, items) => format!("{head} ({})", items.join(", ")),
            Doc::Wrapped(before, inner, after) => format!("{before}({}{after})", inner.line()),
        }
    }

    /// What begins at column `at`; further lines are indented by `indent`.
    fn broken(&self, indent: usize, at: usize) -> String {
        let line = self.line();
        if at + line.len() <= WIDTH {
            return line;
        }
        let margin = format!("\n{}", " ".repeat(indent));
        match self {
            Doc::Text(_) => line,
            Doc::And(items) | Doc::Or(items) => {
                let (word, all) = if matches!(self, Doc::And(_)) { ("AND ", true) } else { ("OR ", false) };
                let parts: Vec<String> = items
                    .iter()
                    .map(|i| match i {
                        Doc::Or(inner) if all && inner.len() > 1 => bracketed(i, indent),
                        Doc::And(inner) if !all && inner.len() > 1 => bracketed(i, indent),
                        _ => i.broken(indent, indent + word.len()),
                    })
                    .collect();
                parts.join(&format!("{margin}{word}"))
            }
            Doc::List(head, items) => format!("{head} (\n{})", list(items, indent + 2)),
            Doc::Wrapped(before, inner, after) => {
                let body = inner.broken(indent + 4, indent + 4);
                let deep = format!("\n{}", " ".repeat(indent + 4));
                let after = match after.strip_prefix(", ") {
                    Some(last) => format!(",{deep}{last}"),
                    None => String::new(),
                };
                format!("{before}({deep}{body}{after}{margin})")
            }
        }
    }
}

fn bracketed(d: &Doc, indent: usize) -> String {
    let inner = indent + 4;
    let line = d.line();
    if inner + line.len() + 2 <= WIDTH {
        return format!("({line})");
    }
    format!("(\n{}{}\n{})", " ".repeat(inner), d.broken(inner, inner), " ".repeat(indent))
}

/// A clause such as `WHERE`, one conjunct a line.
pub(crate) fn clause(word: &str, d: &Doc) -> String {
    let one = std::slice::from_ref(d);
    let items = match d {
        Doc::And(items) => items.as_slice(),
        _ => one,
    };
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let head = if i == 0 { format!("{word} ") } else { "  AND ".to_string() };
        let body = match item {
            Doc::Or(inner) if inner.len() > 1 && items.len() > 1 => bracketed(item, 2),
            _ => item.broken(2, head.len()),
        };
        out.push('\n');
        out.push_str(&head);
        out.push_str(&body);
    }
    out
}

/// Items separated by commas, as many a line as fit.
pub(crate) fn list(items: &[String], indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut out = margin.clone();
    let mut width = indent;
    for (i, item) in items.iter().enumerate() {
        if width > indent && width + item.len() + 2 > WIDTH {
            out.push('\n');
            out.push_str(&margin);
            width = indent;
        } else if i > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(item);
        width += item.len();
        if i + 1 < items.len() {
            out.push(',');
            width += 1;
        }
    }
    out
}
