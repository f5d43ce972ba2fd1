//! From values of variables to one event. Computed values were treated as free; here the columns behind
//! them must really produce them.

use crate::atom::{Atoms, Test, VarId, text_value};
use crate::budget::Meter;
use crate::formula::AtomId;
use crate::numbers;
use crate::prover::Row;
use crate::strings;
use crate::theory::Outcome;
use std::collections::BTreeMap;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Type, Value};

pub(crate) enum Made {
    Row(Row),
    Conflict(Vec<(AtomId, bool)>),
    Unknown(Vec<(AtomId, bool)>, String),
}

type Groups = BTreeMap<VarId, Vec<(AtomId, bool)>>;

/// Trials of changing one column to mend a computed value.
const TRIALS: usize = 3_000;

pub(crate) fn row(
    atoms: &Atoms,
    groups: &Groups,
    values: &BTreeMap<VarId, Value>,
    meter: &mut Meter,
) -> Made {
    let mut row = Row::new();
    let mut loose: Vec<(AtomId, bool)> = Vec::new();
    for (var, lits) in groups {
        match &atoms.vars[*var as usize].column {
            Some(c) => {
                if let Some(v) = values.get(var).filter(|v| !v.is_null()) {
                    row.insert(c.clone(), v.clone());
                }
            }
            None => loose.extend(lits),
        }
    }
    if broken(atoms, &loose, &row).is_none() {
        return Made::Row(row);
    }
    if let Some(made) = equal_columns(atoms, groups, &loose, &row, meter) {
        return made;
    }
    let mut trials = TRIALS;
    if mend(atoms, groups, values, &loose, &mut row, &mut trials, meter) {
        return Made::Row(row);
    }
    // The blame is on all of it: other choices for the columns alone do not help either.
    let mut blamed = loose.clone();
    let columns: Vec<&Name> = loose.iter().flat_map(|(a, _)| atoms.var(*a).columns.iter()).collect();
    for (var, lits) in groups {
        if atoms.vars[*var as usize].column.as_ref().is_some_and(|c| columns.contains(&c)) {
            blamed.extend(lits);
        }
    }
    let what = loose
        .iter()
        .find(|(a, p)| atoms.holds_of_event(*a, &|n| row.get(n).cloned().unwrap_or_default()) != *p)
        .map_or_else(String::new, |(a, _)| describe(atoms, *a));
    Made::Unknown(blamed, format!("no values found for {what}"))
}

fn describe(atoms: &Atoms, a: AtomId) -> String {
    let v = atoms.var(a);
    match &v.expr.kind {
        ExprKind::Call(f, _) => format!("`{}` of {}", f.name, v.columns.join(", ")),
        _ => "a computed value".into(),
    }
}

fn look<'a>(row: &'a Row) -> impl Fn(&str) -> Value + 'a {
    |n| row.get(n).cloned().unwrap_or_default()
}

/// A literal about a computed value that the event does not satisfy.
fn broken(atoms: &Atoms, loose: &[(AtomId, bool)], row: &Row) -> Option<(AtomId, bool)> {
    loose.iter().copied().find(|(a, p)| atoms.holds_of_event(*a, &look(row)) != *p)
}

fn count_broken(atoms: &Atoms, loose: &[(AtomId, bool)], row: &Row) -> usize {
    loose.iter().filter(|(a, p)| atoms.holds_of_event(*a, &look(row)) != *p).count()
}

/// The column's own literals hold of a value.
fn allowed(atoms: &Atoms, groups: &Groups, column: &Name, value: &Value) -> bool {
    let Some(var) = atoms.var_named(&format!("[{column}]")) else { return true };
    let v = &atoms.vars[var as usize];
    if !in_domain(v.domain.as_ref(), value) {
        return false;
    }
    groups.get(&var).is_none_or(|lits| lits.iter().all(|(a, p)| atoms.holds(*a, value) == *p))
}

fn in_domain(d: Option<&tercel_ir::Domain>, v: &Value) -> bool {
    use tercel_ir::Domain as D;
    if v.is_null() {
        return true;
    }
    match d {
        None | Some(D::Path) => true,
        Some(D::Never) => v.text().is_empty(),
        Some(D::Values { values, closed }) => {
            !closed || v.text().is_empty() || values.iter().any(|x| *x == v.text())
        }
        Some(D::Range { from, to }) => v.as_i64().is_none_or(|n| (from..=to).contains(&&n)),
        Some(D::FileName) => !v.text().contains(['\\', '/']),
        Some(D::Ip) => {
            let t = v.text();
            t.is_empty() || t.parse::<std::net::IpAddr>().is_ok_and(|a| a.to_string() == t)
        }
    }
}

/// Changes columns of broken computed values to values that repair more than they break.
fn mend(
    atoms: &Atoms,
    groups: &Groups,
    values: &BTreeMap<VarId, Value>,
    loose: &[(AtomId, bool)],
    row: &mut Row,
    trials: &mut usize,
    meter: &Meter,
) -> bool {
    let mut now = count_broken(atoms, loose, row);
    for _round in 0..8 {
        if now == 0 {
            return true;
        }
        let Some((bad, _)) = broken(atoms, loose, row) else { return true };
        let var = atoms.atom(bad).var;
        let v = &atoms.vars[var as usize];
        let mut better = None;
        'columns: for c in &v.columns {
            let mut tries = Vec::new();
            if let Some(wanted) = values.get(&var).filter(|w| !w.is_null()) {
                backwards(&v.expr, wanted, c, &look(row), &mut tries);
            }
            suggestions(atoms, loose, c, row, &mut tries);
            let ty = column_type(&v.expr, c).unwrap_or(Type::String);
            for t in tries {
                let t = t.coerce(ty);
                if *trials == 0 || meter.late() {
                    return false;
                }
                *trials -= 1;
                if !allowed(atoms, groups, c, &t) {
                    continue;
                }
                let old = row.insert(c.clone(), t.clone());
                let n = count_broken(atoms, loose, row);
                match old {
                    Some(o) => row.insert(c.clone(), o),
                    None => row.remove(c),
                };
                if n < now {
                    better = Some((c.clone(), t, n));
                    if n == 0 {
                        break 'columns;
                    }
                    break 'columns;
                }
            }
        }
        match better {
            Some((c, t, n)) => {
                row.insert(c, t);
                now = n;
            }
            None => return false,
        }
    }
    now == 0
}

/// Values of a column that may make an expression have a value.
fn backwards(e: &Expr, wanted: &Value, column: &Name, row: &dyn Fn(&str) -> Value, out: &mut Vec<Value>) {
    match &e.kind {
        ExprKind::Column(c) if c == column => out.push(wanted.clone()),
        ExprKind::Call(f, args) => match f.name {
            "strcat" => {
                // The other parts stay as they are.
                let text = wanted.text().into_owned();
                for (i, a) in args.iter().enumerate() {
                    let before: String =
                        args[..i].iter().map(|x| x.eval(row, &Context::default()).to_text()).collect();
                    let after: String =
                        args[i + 1..].iter().map(|x| x.eval(row, &Context::default()).to_text()).collect();
                    if let Some(m) = text.strip_prefix(&before).and_then(|t| t.strip_suffix(&after)) {
                        backwards(a, &Value::str(m), column, row, out);
                    }
                    backwards(a, wanted, column, row, out);
                }
            }
            "strlen" => {
                if let Some(n) =
                    wanted.as_i64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 65_536)
                {
                    args.iter().for_each(|a| backwards(a, &Value::Str("x".repeat(n)), column, row, out));
                }
            }
            "toupper" | "tolower" | "tostring" | "text_or_null" | "tolong" | "toint" | "todouble"
            | "tobool" | "todatetime" | "totimespan" | "toguid" | "parse_json" | "trim_blanks" => {
                let text = Value::Str(wanted.to_text());
                args.iter().for_each(|a| {
                    backwards(a, &text, column, row, out);
                    backwards(a, wanted, column, row, out);
                });
            }
            "reverse" => {
                let text: String = wanted.text().chars().rev().collect();
                args.iter().for_each(|a| backwards(a, &Value::Str(text.clone()), column, row, out));
            }
            "base64_decode_tostring" => {
                let text = tercel_ir::function::base64_encode(wanted.text().as_bytes());
                args.iter().for_each(|a| backwards(a, &Value::Str(text.clone()), column, row, out));
            }
            "dirname" => {
                let t = wanted.text();
                let tries = [t.to_string(), format!("{t}app.exe"), format!("{t}\\app.exe")];
                args.iter().for_each(|a| {
                    tries.iter().for_each(|t| backwards(a, &Value::str(t.as_str()), column, row, out));
                });
            }
            "add" | "sub" => {
                if let ([a, b], Some(w)) = (&args[..], wanted.as_i64()) {
                    let n = |x: &Expr| x.eval(row, &Context::default()).as_i64();
                    let plus = f.name == "add";
                    if let Some(y) = n(b) {
                        let v = if plus { w.checked_sub(y) } else { w.checked_add(y) };
                        v.into_iter().for_each(|v| backwards(a, &Value::Long(v), column, row, out));
                    }
                    if let Some(x) = n(a) {
                        let v = if plus { w.checked_sub(x) } else { x.checked_sub(w) };
                        v.into_iter().for_each(|v| backwards(b, &Value::Long(v), column, row, out));
                    }
                }
            }
            "hourofday" | "minuteofhour" | "dayofmonth" | "monthofyear" | "getyear" => {
                if let Some(n) = wanted.as_i64().and_then(|n| u32::try_from(n).ok()) {
                    let part = |k: &str, d: u32| if f.name == k { n } else { d };
                    let t = tercel_ir::time::from_parts(
                        part("getyear", 2026) as i32,
                        part("monthofyear", 1),
                        part("dayofmonth", 15),
                        part("hourofday", 12),
                        part("minuteofhour", 30),
                        0,
                        0,
                    );
                    t.into_iter().for_each(|t| {
                        args.iter().for_each(|a| backwards(a, &Value::DateTime(t), column, row, out));
                    });
                }
            }
            _ => args.iter().for_each(|a| backwards(a, wanted, column, row, out)),
        },
        _ => {}
    }
}

/// Values that stand in the broken tests, and those of the other columns.
fn suggestions(atoms: &Atoms, loose: &[(AtomId, bool)], column: &Name, row: &Row, out: &mut Vec<Value>) {
    for v in row.values() {
        out.push(v.clone());
    }
    out.extend(["", "x", "1", "a"].map(Value::str));
    for (a, _) in loose {
        let var = atoms.var(*a);
        if !var.columns.contains(column) {
            continue;
        }
        match &atoms.atom(*a).test {
            Test::Text(
                _,
                crate::atom::TextTest::Literal { text, .. } | crate::atom::TextTest::Term { text, .. },
            ) => {
                out.push(Value::str(&**text));
            }
            Test::Whole(_, k) => out.extend([*k, k.saturating_add(1), k.saturating_sub(1)].map(Value::Long)),
            _ => {}
        }
        if let Some(e) = atoms.expr(*a) {
            literals(e, out);
        }
        literals(&var.expr, out);
    }
}

fn literals(e: &Expr, out: &mut Vec<Value>) {
    if let ExprKind::Literal(v) = &e.kind
        && out.len() < 400
    {
        out.push(v.clone());
        if let Value::Str(s) = v {
            out.push(Value::Str(format!("x{s}x")));
            out.push(Value::Str(format!("x {s} x")));
        }
        if let Value::Long(n) = v {
            out.extend([Value::Long(n.saturating_add(1)), Value::Long(n.saturating_sub(1))]);
        }
    }
    e.children().into_iter().for_each(|c| literals(c, out));
}

fn column_type(e: &Expr, name: &Name) -> Option<Type> {
    match &e.kind {
        ExprKind::Column(n) if n == name => Some(e.ty),
        _ => e.children().into_iter().find_map(|c| column_type(c, name)),
    }
}

/// `a == b` of two columns: their literals are asked of one value. Gives up (`None`) on everything else.
fn equal_columns(
    atoms: &Atoms,
    groups: &Groups,
    loose: &[(AtomId, bool)],
    row: &Row,
    meter: &mut Meter,
) -> Option<Made> {
    let [(a, true)] = loose else { return None };
    let e = atoms.expr(*a)?;
    let Test::Opaque { outcome: true, .. } = &atoms.atom(*a).test else { return None };
    let ExprKind::Call(f, args) = &e.kind else { return None };
    if !matches!(f.name, "eq" | "eq_ci") {
        return None;
    }
    let [x, y] = &args[..] else { return None };
    let (cx, cy) = (x.as_column()?, y.as_column()?);
    let (vx, vy) = (atoms.var_named(&format!("[{cx}]")), atoms.var_named(&format!("[{cy}]")));
    let mut lits = Vec::new();
    for v in [vx, vy].into_iter().flatten() {
        lits.extend(groups.get(&v).into_iter().flatten().copied());
    }
    let v = &atoms.vars[vx.or(vy)? as usize];
    let outcome = match v.kind {
        crate::atom::VarKind::Text => strings::solve(atoms, v, &lits, meter),
        crate::atom::VarKind::Integer { .. } | crate::atom::VarKind::Real => numbers::solve(atoms, v, &lits),
        crate::atom::VarKind::Free => return None,
    };
    match outcome {
        Outcome::Sat(value) => {
            let value = if value.is_null() { text_value(x.ty, "x".into()) } else { value };
            if !allowed(atoms, groups, cx, &value) || !allowed(atoms, groups, cy, &value) {
                return None;
            }
            let mut r = row.clone();
            r.insert(cx.clone(), value.clone());
            r.insert(cy.clone(), value);
            broken(atoms, loose, &r).is_none().then_some(Made::Row(r))
        }
        // One value for both cannot be; but equal up to case may still be, unless nothing looks at case.
        Outcome::Conflict(core) => {
            let blind = core.iter().all(|i| {
                let atom = atoms.atom(lits[*i].0);
                match &atom.test {
                    Test::Text(
                        l,
                        crate::atom::TextTest::Literal { ci, .. } | crate::atom::TextTest::Term { ci, .. },
                    ) => *ci && l.is_identity(),
                    // Two nulls are not equal, they are null.
                    Test::Null => false,
                    _ => f.name == "eq",
                }
            });
            let same_domain = match (vx, vy) {
                (Some(p), Some(q)) => {
                    let (p, q) = (&atoms.vars[p as usize], &atoms.vars[q as usize]);
                    p.domain == q.domain && p.kind == q.kind
                }
                _ => true,
            };
            if !(blind || f.name == "eq" && core.iter().all(|i| atoms.atom(lits[*i].0).test != Test::Null))
                || !same_domain
            {
                return None;
            }
            let mut c: Vec<(AtomId, bool)> = core.into_iter().map(|i| lits[i]).collect();
            c.push((*a, true));
            Some(Made::Conflict(c))
        }
        Outcome::Unknown(_) => None,
    }
}
