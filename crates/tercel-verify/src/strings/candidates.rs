//! Texts worth trying before any search: they settle most questions, and read like real values.

use crate::atom::{Atoms, Test, TextTest, Variable};
use crate::budget::Meter;
use crate::formula::AtomId;
use crate::regexes;
use tercel_ir::Domain;
use tercel_ir::function::fold;

/// Texts tried.
const MOST: usize = 160;

/// What a column of this name usually holds: something before, something after.
fn usual(var: &Variable) -> (&'static str, &'static str) {
    // Of a computed text the first column speaks for the beginning.
    let name = match &var.column {
        Some(c) => c,
        None => var.columns.iter().find(|c| c.to_ascii_lowercase().contains("path")).map_or("", |c| c),
    };
    let lower = name.to_ascii_lowercase();
    match &var.domain {
        Some(Domain::Path) => return ("C:\\Users\\alice\\", "app.exe"),
        Some(Domain::FileName) => return ("", "app.exe"),
        Some(Domain::Ip) => return ("", "8.8.8.8"),
        _ => {}
    }
    if lower.contains("commandline") {
        ("app.exe ", "run")
    } else if lower.contains("image") || lower.contains("path") || lower.ends_with("filename") {
        ("C:\\Users\\alice\\", "app.exe")
    } else if lower.contains("host") || lower.contains("computer") || lower.contains("device") {
        ("", "host")
    } else if lower.contains("user") || lower.contains("account") {
        ("", "alice")
    } else if lower.contains("ip") && (lower.ends_with("ip") || lower.contains("addr")) {
        ("", "8.8.8.8")
    } else {
        ("", "x")
    }
}

/// Texts that were handed out so far.
struct Tried<'t> {
    so_far: Vec<String>,
    try_one: &'t mut dyn FnMut(&str, &mut Meter) -> bool,
}

impl Tried<'_> {
    /// Hands out a text once; false when no more are wanted.
    fn hand_out(&mut self, s: String, meter: &mut Meter) -> bool {
        if self.so_far.contains(&s) {
            return true;
        }
        let more = (self.try_one)(&s, meter);
        self.so_far.push(s);
        more
    }
}

/// Texts that may do what is wanted, most natural first, until `try_one` says that it wants no more: mostly the first
/// one does it.
pub(crate) fn candidates(
    atoms: &Atoms,
    var: &Variable,
    lits: &[(AtomId, bool)],
    meter: &mut Meter,
    try_one: &mut dyn FnMut(&str, &mut Meter) -> bool,
) {
    let (mut prefix, mut suffix): (&str, &str) = ("", "");
    let mut whole: Option<&str> = None;
    let mut middle: Vec<&str> = Vec::new();
    let mut instances: Vec<Vec<String>> = Vec::new();
    let mut based = false;
    for (a, positive) in lits {
        if !positive {
            continue;
        }
        let Test::Text(lens, t) = &atoms.atom(*a).test else { continue };
        based |= lens.base;
        match t {
            TextTest::Literal { text, start: true, end: true, .. } => whole = Some(text),
            TextTest::Literal { text, start: true, .. } if text.len() > prefix.len() => prefix = text,
            TextTest::Literal { text, end: true, .. } if text.len() > suffix.len() => suffix = text,
            TextTest::Literal { text, start: false, end: false, .. } | TextTest::Term { text, .. } => {
                middle.push(text);
            }
            TextTest::Literal { .. } => {}
            TextTest::Regex(p) if meter.work(64) => instances.push(regexes::instances(p)),
            TextTest::Regex(_) => {}
        }
    }
    let mut out = Tried { so_far: Vec::new(), try_one };
    if let Some(w) = whole {
        let longer = based.then(|| format!("C:\\Users\\alice\\{w}"));
        let all = [Some(w.to_string()), longer, Some(w.to_uppercase())];
        let _ = all.into_iter().flatten().all(|s| out.hand_out(s, meter));
        return;
    }
    let (lead, tail) = usual(var);
    if prefix.is_empty() && suffix.is_empty() && middle.is_empty() && instances.is_empty() {
        let usual = ["", "x", "app.exe", "C:\\Users\\alice\\app.exe", "1", "8.8.8.8", "-", "zz9"];
        let all = std::iter::once(format!("{lead}{tail}")).chain(usual.map(String::from));
        let _ = { all }.all(|s| out.hand_out(s, meter));
        return;
    }
    // Needles that stand in others need no place of their own.
    middle.sort_by_key(|m| std::cmp::Reverse(m.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut folded: Vec<String> = Vec::new();
    let (fp, fs) = (fold(prefix), fold(suffix));
    for m in middle {
        let f = fold(m);
        // Out of time it gets one all the same: these are texts to try, no more.
        let stands = meter.work(folded.len() + 1)
            && (fp.contains(&f) || fs.contains(&f) || folded.iter().any(|k| k.contains(&f)));
        if !stands {
            kept.push(m);
            folded.push(f);
        }
    }
    let variants = if instances.is_empty() { 1 } else { 6 };
    for variant in 0..variants {
        let made: Vec<&str> =
            instances.iter().filter_map(|i| i.get(variant % i.len().max(1))).map(String::as_str).collect();
        for separator in [" ", "", "\\", ".", "x"] {
            let body: Vec<&str> = kept.iter().copied().chain(made.iter().copied()).collect();
            let body = body.join(separator);
            let turned: Vec<&str> = made.iter().copied().chain(kept.iter().copied()).collect();
            let turned = turned.join(separator);
            for body in if turned == body { vec![body] } else { vec![body, turned] } {
                let joined = |parts: &[&str]| {
                    let mut s = String::new();
                    for p in parts.iter().filter(|p| !p.is_empty()) {
                        if !(s.is_empty() || s.ends_with('\\') || p.starts_with('\\')) {
                            s.push_str(separator);
                        }
                        s.push_str(p);
                    }
                    s
                };
                let leads: &[&str] = if prefix.is_empty() { &[lead, "", "x", "C:\\"] } else { &[""] };
                for l in leads {
                    let mut s = l.trim_end_matches(['\\', ' ']).to_string();
                    let rest = joined(&[prefix, &body, suffix]);
                    let keeps_slash = !rest.starts_with(['\\', ' ', '/']);
                    if keeps_slash {
                        s = (*l).to_string();
                    }
                    s.push_str(&rest);
                    if !out.hand_out(s.clone(), meter) {
                        return;
                    }
                    if suffix.is_empty() && separator == " " {
                        for t in [tail, "x", " x", "\\app.exe"] {
                            if !out.hand_out(format!("{s}{t}"), meter) {
                                return;
                            }
                        }
                    }
                    if out.so_far.len() > MOST {
                        return;
                    }
                }
            }
        }
    }
    // Text that must occur twice over, and the parts without anything between.
    out.hand_out(format!("{prefix}{suffix}"), meter);
}
