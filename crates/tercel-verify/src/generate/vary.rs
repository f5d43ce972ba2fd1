//! Other values for a column, next to one that a test looks for: what an author would try by hand.

use tercel_ir::function::fold;
use tercel_ir::{Domain, Expr, ExprKind, Type, Value};

/// Values tried for one column.
const MOST: usize = 48;
/// Texts of a test that are looked at.
const NEEDLES: usize = 8;

/// What a test looks for.
pub(super) fn literals(e: &Expr, out: &mut Vec<Value>) {
    if let ExprKind::Literal(v) = &e.kind {
        let items = match v {
            Value::Dynamic(serde_json::Value::Array(all)) => {
                all.iter().take(NEEDLES).map(|x| Value::Str(Value::Dynamic(x.clone()).to_text())).collect()
            }
            v => vec![v.clone()],
        };
        for v in items {
            if out.len() < NEEDLES && !out.contains(&v) {
                out.push(v);
            }
        }
    }
    e.children().into_iter().for_each(|c| literals(c, out));
}

/// Harmless values for a column of this name.
fn usual(name: &str, domain: Option<&Domain>) -> &'static [&'static str] {
    let lower = name.to_ascii_lowercase();
    match domain {
        Some(Domain::FileName) => return &["explorer.exe", "report.docx"],
        Some(Domain::Ip) => return &["10.20.4.17", "33.9.8.7", "::1"],
        _ => {}
    }
    if lower.contains("commandline") {
        &["explorer.exe", "notepad.exe C:\\Users\\alice\\notes.txt"]
    } else if lower.contains("image") || lower.ends_with("path") || lower.ends_with("processname") {
        &["C:\\Windows\\explorer.exe", "C:\\Program Files\\Vendor\\tool.exe"]
    } else if lower.ends_with("filename") {
        &["C:\\Users\\alice\\Documents\\report.docx", "report.docx"]
    } else if lower.contains("targetobject") || lower.contains("registrykey") {
        &["HKLM\\SOFTWARE\\Vendor\\Setting"]
    } else if lower.contains("user") || lower.contains("account") {
        &["CORP\\alice", "alice"]
    } else if lower.contains("ip") || lower.contains("address") {
        &["10.20.4.17", "33.9.8.7"]
    } else if lower.contains("host") || lower.contains("url") || lower.contains("query") {
        &["www.example.com"]
    } else {
        &["other"]
    }
}

/// Values near `now`, the nearest first. `looked_for`: what the tests of the column mention.
pub(super) fn near(
    name: &str,
    ty: Type,
    domain: Option<&Domain>,
    now: &Value,
    looked_for: &[Value],
) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    match ty {
        Type::Bool => out.extend([Value::Bool(now.as_bool() != Some(true)), Value::Bool(true)]),
        Type::Int | Type::Long => {
            for n in looked_for.iter().chain([now]).filter_map(Value::as_i64) {
                out.extend([n.saturating_add(1), n.saturating_sub(1)].map(Value::Long));
            }
            out.extend([0, 1, 443, 8080, 52_110].map(Value::Long));
        }
        Type::Real | Type::Decimal => {
            for n in looked_for.iter().chain([now]).filter_map(Value::as_f64) {
                out.extend([n + 1.0, n - 1.0].map(Value::Real));
            }
        }
        Type::DateTime | Type::TimeSpan => {
            let step = tercel_ir::time::TICKS_PER_SECOND;
            for n in looked_for.iter().chain([now]).filter_map(Value::as_i64) {
                for n in [n.saturating_add(step), n.saturating_sub(step)] {
                    out.push(if ty == Type::DateTime { Value::DateTime(n) } else { Value::TimeSpan(n) });
                }
            }
        }
        Type::String | Type::Guid | Type::Dynamic => texts(name, domain, now, looked_for, &mut out),
    }
    if ty == Type::Dynamic {
        out.iter_mut().for_each(|v| *v = Value::Dynamic(v.to_json()));
    }
    out.retain(|v| v != now && crate::concrete::in_domain(domain, v));
    let mut kept: Vec<Value> = Vec::new();
    for v in out {
        if kept.len() < MOST && !kept.contains(&v) {
            kept.push(v);
        }
    }
    kept
}

/// Values that hold what a test looks for. `keep`: and what is there already, before all others.
pub(super) fn with(
    name: &str,
    ty: Type,
    domain: Option<&Domain>,
    now: &Value,
    looked_for: &[Value],
    keep: bool,
) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let is_text = matches!(ty, Type::String | Type::Guid | Type::Dynamic);
    for v in looked_for {
        if !is_text {
            out.push(v.clone().coerce(ty));
            continue;
        }
        let t = v.text();
        let now = now.text();
        let longer = [format!("{now} {t}"), format!("{now}{t}"), format!("{t}{now}"), format!("{t} {now}")];
        if keep && !now.is_empty() {
            out.extend(longer.into_iter().map(Value::Str));
        }
        let lower = name.to_ascii_lowercase();
        let path = domain == Some(&Domain::Path) || lower.contains("image") || lower.contains("path");
        if path && t.starts_with('\\') {
            out.extend(
                [format!("C:\\Users\\alice{t}"), format!("C:\\Users\\alice{t}app.exe")].map(Value::Str),
            );
        } else if path && t.ends_with('\\') {
            out.push(Value::Str(format!("{t}app.exe")));
        } else if lower.contains("commandline") {
            out.extend([format!("app.exe {}", t.trim_start()), format!("app.exe{t}")].map(Value::Str));
        }
        out.push(Value::str(&*t));
        out.extend([format!("{t}x"), format!("x{t}"), format!("C:\\{t}")].map(Value::Str));
    }
    if ty == Type::Dynamic {
        out.iter_mut().for_each(|v| *v = Value::Dynamic(v.to_json()));
    }
    out.retain(|v| !v.is_null() && crate::concrete::in_domain(domain, v));
    out.truncate(MOST);
    out
}

fn texts(name: &str, domain: Option<&Domain>, now: &Value, looked_for: &[Value], out: &mut Vec<Value>) {
    let text = now.text().into_owned();
    if let Some(Domain::Values { values, .. }) = domain {
        out.extend(values.iter().map(|v| Value::str(v.as_str())));
    }
    let folded = fold(&text);
    for n in looked_for {
        let n = n.text();
        if n.is_empty() || n.len() > 400 {
            continue;
        }
        // Folding may change lengths; then places in the one are no places in the other.
        let at = (folded.len() == text.len() && text.is_ascii()).then(|| folded.find(&fold(&n))).flatten();
        let Some((before, found, after)) =
            at.and_then(|a| Some((text.get(..a)?, text.get(a..a + n.len())?, text.get(a + n.len()..)?)))
        else {
            continue;
        };
        let mut with = |middle: String| out.push(Value::Str(format!("{before}{middle}{after}")));
        // `\powershell.exe`: a file of another name, which ends the same.
        if let Some(rest) = found.strip_prefix('\\').filter(|r| !r.is_empty()) {
            with(format!("\\my{rest}"));
        }
        let letters: Vec<usize> =
            found.char_indices().filter(|(_, c)| c.is_alphanumeric()).map(|(i, _)| i).collect();
        if let [.., last] = letters[..] {
            // One letter short.
            with(format!("{}{}", &found[..last], &found[last + 1..]));
        }
        if found.len() > 1 {
            with(found[1..].to_string());
            with(found[..found.len() - 1].to_string());
        }
        with(String::new());
    }
    if !text.is_empty() {
        out.push(Value::Str(format!("{text}.bak")));
        out.push(Value::Str(format!("{text}x")));
        out.push(Value::Str(format!("x{text}")));
    }
    out.extend(usual(name, domain).iter().map(|s| Value::str(*s)));
    out.extend(["x", "-", "0"].map(Value::str));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_near() {
        let now = Value::str("C:\\Users\\alice\\powershell.exe");
        let out = near("Image", Type::String, Some(&Domain::Path), &now, &[Value::str("\\powershell.exe")]);
        assert_eq!(out[0], Value::str("C:\\Users\\alice\\mypowershell.exe"));
        assert!(out.contains(&Value::str("C:\\Windows\\explorer.exe")));
        let out = near("Port", Type::Int, Some(&Domain::Range { from: 0, to: 65535 }), &Value::Long(0), &[]);
        assert!(!out.contains(&Value::Long(-1)) && out.contains(&Value::Long(1)));
    }

    #[test]
    fn letters_that_fold_to_others_do_no_harm() {
        let now = Value::str("İ\u{212a}ſx");
        assert!(!near("A", Type::String, None, &now, &[Value::str("k"), Value::str("İ")]).is_empty());
    }
}
