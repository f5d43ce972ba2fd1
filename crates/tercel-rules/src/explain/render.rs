//! Explanations as text.

use super::{Change, Condition, ConditionKind, Explanation, Looked, Outline, Way};
use std::fmt::Write;

/// Alternatives, and parts that must all hold, that are shown before the rest is only counted.
const ALTERNATIVES: usize = 8;
const PARTS: usize = 50;

/// How marks are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// ✓ and ✗.
    #[default]
    Unicode,
    /// `+` and `-`.
    Ascii,
}

impl Style {
    fn mark(self, holds: Option<bool>) -> &'static str {
        match (self, holds) {
            (Style::Unicode, Some(true)) => "✓ ",
            (Style::Unicode, Some(false)) => "✗ ",
            (Style::Unicode, None) => "∅ ",
            (Style::Ascii, Some(true)) => "+ ",
            (Style::Ascii, Some(false)) => "- ",
            (Style::Ascii, None) => "? ",
        }
    }
    /// Without an event.
    fn bullet(self) -> &'static str {
        match self {
            Style::Unicode => "• ",
            Style::Ascii => "* ",
        }
    }
    fn dots(self) -> &'static str {
        match self {
            Style::Unicode => "…",
            Style::Ascii => "...",
        }
    }
}

impl Explanation {
    /// As an indented tree.
    pub fn render(&self, style: Style) -> String {
        let mut out = String::new();
        let Some(way) = self.best.and_then(|b| self.ways.get(b)) else {
            let _ = writeln!(out, "{}no hit: the event is a row of {}", style.mark(Some(false)), self.table);
            let reads = if self.reads.is_empty() { "no table at all".into() } else { self.reads.join(", ") };
            let _ = writeln!(out, "  the rule reads {reads}");
            return out;
        };
        let verdict = if self.hit { "hit" } else { "no hit" };
        let _ = writeln!(out, "{}{verdict}: a row of {}", style.mark(Some(self.hit)), self.table);
        if self.ways.len() > 1 {
            let _ = writeln!(
                out,
                "  the rule reads {} in {} ways; this is {}",
                self.table,
                self.ways.len(),
                if self.hit { "the first that hits" } else { "the nearest one" }
            );
        }
        if !way.views.is_empty() || !way.source.is_empty() {
            let holds = if way.source_holds { "" } else { ": the event is not of it" };
            let _ = writeln!(out, "log source {}{holds}", way.views.join(", from "));
            way.source.iter().for_each(|c| condition(c, style, 1, true, &mut out));
        }
        let _ = writeln!(out, "rule");
        way.rule.iter().for_each(|c| condition(c, style, 1, true, &mut out));
        self.reasons(way, style, &mut out);
        out
    }

    fn reasons(&self, way: &Way, style: Style, out: &mut String) {
        let changes = match (&way.repair, way.hit) {
            (_, true) => {
                let _ = writeln!(out, "what matched");
                &way.matched
            }
            (None, false) => {
                let _ = writeln!(out, "no row of {} can match", self.table);
                &way.never
            }
            (Some(changes), false) => {
                let n = changes.len();
                let _ = writeln!(
                    out,
                    "nearest way to a hit: {n} {}",
                    if n == 1 { "condition" } else { "conditions" }
                );
                changes
            }
        };
        for c in changes {
            let _ = write!(out, "  {}", plain(&c.words, style));
            change(c, style, out);
        }
    }
}

fn change(c: &Change, style: Style, out: &mut String) {
    if let Some(p) = c.place {
        let _ = write!(out, " (line {})", p.line);
    }
    match &c.values[..] {
        [] => {}
        [one] if one.from.is_empty() => {
            let _ = write!(out, "; it is {}", plain(&one.value, style));
        }
        _ => {
            let _ = write!(out, "; ");
            values(&c.values, style, out);
        }
    }
    out.push('\n');
}

fn condition(c: &Condition, style: Style, depth: usize, marks: bool, out: &mut String) {
    indent(depth, out);
    out.push_str(if marks { style.mark(c.holds) } else { style.bullet() });
    match c.kind {
        ConditionKind::Test => out.push_str(&plain(&c.words, style)),
        ConditionKind::All => out.push_str("all of"),
        ConditionKind::Any => out.push_str("any of"),
        ConditionKind::Not => out.push_str("not"),
    }
    if let (ConditionKind::Test, Some(p)) = (c.kind, c.place) {
        let _ = write!(out, " (line {})", p.line);
    }
    if !c.values.is_empty() {
        out.push_str(": ");
        values(&c.values, style, out);
    }
    out.push('\n');
    // Of many alternatives those that hold come first, of many parts that must hold those that do not:
    // they are why it is as it is.
    let (most, telling) = match c.kind {
        ConditionKind::Any => (ALTERNATIVES, true),
        _ => (PARTS, false),
    };
    let mut parts: Vec<&Condition> = c.parts.iter().collect();
    if parts.len() > most {
        parts.sort_by_key(|p| p.holds != Some(telling));
    }
    for p in parts.iter().take(most) {
        condition(p, style, depth + 1, marks, out);
    }
    if parts.len() > most {
        indent(depth + 1, out);
        let rest = &parts[most..];
        let held = rest.iter().filter(|p| p.holds == Some(true)).count();
        let _ = match marks {
            true => writeln!(out, "{} and {} more, of which {held} hold", style.dots(), rest.len()),
            false => writeln!(out, "{} and {} more", style.dots(), rest.len()),
        };
    }
}

fn values(list: &[Looked], style: Style, out: &mut String) {
    for (i, v) in list.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let _ = write!(out, "{} = {}", v.column, plain(&v.value, style));
        if !v.from.is_empty() {
            let _ = write!(out, " (from {})", v.from.join(", "));
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    (0..depth).for_each(|_| out.push_str("  "));
}

/// What the style can show: the dots that mark a cut are not ASCII.
fn plain(s: &str, style: Style) -> String {
    match style {
        Style::Unicode => s.to_string(),
        Style::Ascii => s.replace('…', "..."),
    }
}

impl Outline {
    /// As an indented list.
    pub fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for s in &self.sources {
            let _ = write!(out, "reads {}", s.table);
            if !s.views.is_empty() {
                let _ = write!(out, " for {}", s.views.join(", from "));
            }
            let _ = writeln!(out, " (columns {})", s.columns.join(", "));
            s.conditions.iter().for_each(|c| condition(c, style, 1, false, &mut out));
        }
        let _ = writeln!(out, "rule");
        self.rule.iter().for_each(|c| condition(c, style, 1, false, &mut out));
        out
    }
}
