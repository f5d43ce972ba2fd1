//! From values of variables to one event. Computed values were treated as free; here the columns behind
//! them must really produce them.

use crate::atom::{Atoms, Order, Test, TextTest, VarId, VarKind, text_value, whole_value};
use crate::budget::Meter;
use crate::formula::AtomId;
use crate::numbers;
use crate::prover::Row;
use crate::regexes::caseless;
use crate::strings;
use crate::theory::Outcome;
use std::collections::BTreeMap;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Type, Value};

pub(crate) enum Made {
    Row(Row),
    Conflict(Vec<(AtomId, bool)>),
    /// These cannot be settled here.
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
    if let Some(core) = settled(atoms, groups, &loose, meter) {
        return Made::Conflict(core);
    }
    for (a, positive) in &loose {
        if *positive
            && !meter.late()
            && let Some(core) = equal_columns(atoms, groups, *a, &mut row, meter)
        {
            return Made::Conflict(core);
        }
    }
    let mut trials = TRIALS;
    loop {
        if mend(atoms, groups, values, &loose, &mut row, &mut trials, meter) {
            return Made::Row(row);
        }
        let before = count_broken(atoms, &loose, &row);
        pairs(atoms, groups, values, &loose, &mut row, &mut trials, meter);
        if count_broken(atoms, &loose, &row) >= before {
            break;
        }
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

fn look(row: &Row) -> impl Fn(&str) -> Value + '_ {
    |n| row.get(n).cloned().unwrap_or_default()
}

/// A literal about a computed value that the event does not satisfy.
fn broken(atoms: &Atoms, loose: &[(AtomId, bool)], row: &Row) -> Option<(AtomId, bool)> {
    loose.iter().copied().find(|(a, p)| atoms.holds_of_event(*a, &look(row)) != *p)
}

fn count_broken(atoms: &Atoms, loose: &[(AtomId, bool)], row: &Row) -> usize {
    let mut wanted = loose.iter().map(|l| l.1);
    let mut count = 0;
    atoms
        .truths(loose.iter().map(|l| l.0), &look(row), |_, t| count += usize::from(wanted.next() != Some(t)));
    count
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

pub(crate) fn in_domain(d: Option<&tercel_ir::Domain>, v: &Value) -> bool {
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
        let Some((bad, positive)) = broken(atoms, loose, row) else { return true };
        let var = atoms.atom(bad).var;
        let v = &atoms.vars[var as usize];
        let mut better = None;
        'columns: for c in &v.columns {
            if *trials == 0 || meter.late() {
                return false;
            }
            let mut tries = Vec::new();
            if positive && let Some(e) = atoms.expr(bad) {
                other_side(e, c, &look(row), &mut tries);
            }
            if let Some(wanted) = values.get(&var).filter(|w| !w.is_null()) {
                backwards(&v.expr, wanted, c, &look(row), &mut tries, &mut 500);
            }
            // What is asked of the value may be had where what was found for it may not.
            for text in asked(atoms, loose, var) {
                backwards(&v.expr, &Value::Str(text), c, &look(row), &mut tries, &mut 100);
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

/// Texts for which a computed value is asked, and such texts with a digit more.
fn asked(atoms: &Atoms, loose: &[(AtomId, bool)], var: VarId) -> Vec<String> {
    let mut out = Vec::new();
    for (a, _) in loose.iter().filter(|(a, p)| *p && atoms.atom(*a).var == var).take(8) {
        if let Test::Text(_, TextTest::Literal { text, .. }) = &atoms.atom(*a).test {
            out.extend([text.to_string(), format!("{text}0"), format!("1{text}")]);
        }
    }
    out
}

/// The number that a text put together of hexadecimal digits is of, as an expression: every digit is cut out of
/// all digits by what is left of the number.
fn of_digits(args: &[Expr]) -> Option<&Expr> {
    let number = |e: &'_ Expr| -> bool {
        let ExprKind::Call(f, a) = &e.kind else { return false };
        f.name == "substring"
            && a.first().and_then(Expr::as_literal).is_some_and(|v| v.text().starts_with("0123456789abcdef"))
    };
    if args.len() < 2 || !args.iter().all(number) {
        return None;
    }
    let mut e = args[0].children().into_iter().nth(1)?;
    while let ExprKind::Call(f, a) = &e.kind
        && matches!(f.name, "mod" | "div")
    {
        e = a.first()?;
    }
    Some(e)
}

/// Values of a column with which one side of an equality becomes what the other is, or the end of a path its name.
fn other_side(e: &Expr, column: &Name, row: &dyn Fn(&str) -> Value, out: &mut Vec<Value>) {
    let ExprKind::Call(f, args) = &e.kind else { return };
    let [x, y] = &args[..] else { return };
    let mut back = |to: &Expr, value: &Value| backwards(to, value, column, row, out, &mut 100);
    match f.name {
        "eq" | "eq_ci" => {
            back(y, &x.eval(row, &Context::default()));
            back(x, &y.eval(row, &Context::default()));
        }
        "endswith" | "endswith_cs" => {
            let path = x.eval(row, &Context::default()).to_text();
            let name = tercel_ir::function::basename(&path);
            // With the separator before it, and without.
            let longer = path[..path.len() - name.len()].char_indices().next_back().map_or(0, |c| c.0);
            back(y, &Value::str(&path[longer..]));
            back(y, &Value::str(name));
        }
        _ => {}
    }
}

/// Values of a column that may make an expression have a value.
/// Calls in calls multiply, hence the bound.
fn backwards(
    e: &Expr,
    wanted: &Value,
    column: &Name,
    row: &dyn Fn(&str) -> Value,
    out: &mut Vec<Value>,
    left: &mut usize,
) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    match &e.kind {
        ExprKind::Column(c) if c == column => out.push(wanted.clone()),
        ExprKind::Call(f, args) => match f.name {
            "strcat" => {
                let text = wanted.text().into_owned();
                if let Some(number) = of_digits(args)
                    && let Ok(n) = i64::from_str_radix(&text, 16)
                {
                    backwards(number, &Value::Long(n), column, row, out, left);
                }
                // The name at the end, whatever stands before.
                if let Some(last) = args.last() {
                    let name = Value::str(tercel_ir::function::basename(&text));
                    backwards(last, &name, column, row, out, left);
                }
                // The other parts stay as they are.
                for (i, a) in args.iter().enumerate() {
                    let before: String =
                        args[..i].iter().map(|x| x.eval(row, &Context::default()).to_text()).collect();
                    let after: String =
                        args[i + 1..].iter().map(|x| x.eval(row, &Context::default()).to_text()).collect();
                    if let Some(m) = text.strip_prefix(&before).and_then(|t| t.strip_suffix(&after)) {
                        backwards(a, &Value::str(m), column, row, out, left);
                    }
                    backwards(a, wanted, column, row, out, left);
                }
            }
            "strlen" => {
                if let Some(n) =
                    wanted.as_i64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 65_536)
                {
                    args.iter()
                        .for_each(|a| backwards(a, &Value::Str("x".repeat(n)), column, row, out, left));
                }
            }
            "toupper" | "tolower" | "tostring" | "text_or_null" | "tolong" | "toint" | "todouble"
            | "tobool" | "todatetime" | "totimespan" | "toguid" | "parse_json" | "trim_blanks" => {
                let text = Value::Str(wanted.to_text());
                args.iter().for_each(|a| {
                    backwards(a, &text, column, row, out, left);
                    backwards(a, wanted, column, row, out, left);
                });
            }
            "member" => {
                // The property beside those that are there.
                if let [object, name] = &args[..]
                    && let Some(name) = name.as_literal()
                {
                    let mut o = match object.eval(row, &Context::default()) {
                        Value::Dynamic(serde_json::Value::Object(o)) => o,
                        _ => serde_json::Map::new(),
                    };
                    o.insert(name.to_text(), wanted.to_json());
                    backwards(object, &Value::Dynamic(o.into()), column, row, out, left);
                }
            }
            "trim" | "trim_start" | "trim_end" => {
                // Text that needs no trimming stays as it is.
                args.iter().for_each(|a| backwards(a, wanted, column, row, out, left));
            }
            "extract" | "regex_group" => {
                let pattern =
                    args.iter().find_map(|a| a.as_literal().map(Value::to_text)).unwrap_or_default();
                let mut tries: Vec<Value> = vec![wanted.clone()];
                tries.extend(
                    crate::regexes::around_group(&pattern, &wanted.text()).into_iter().map(Value::Str),
                );
                for t in tries {
                    args.iter().for_each(|a| backwards(a, &t, column, row, out, left));
                }
            }
            "reverse" => {
                let text: String = wanted.text().chars().rev().collect();
                args.iter().for_each(|a| backwards(a, &Value::Str(text.clone()), column, row, out, left));
            }
            "base64_decode_tostring" => {
                let text = tercel_ir::function::base64_encode(wanted.text().as_bytes());
                args.iter().for_each(|a| backwards(a, &Value::Str(text.clone()), column, row, out, left));
            }
            "basename" => {
                // The folder may stay as it is.
                let name = wanted.text();
                args.iter().for_each(|a| {
                    let path = a.eval(row, &Context::default()).to_text();
                    let folder = &path[..path.len() - tercel_ir::function::basename(&path).len()];
                    let moved = Value::Str(format!("{folder}{name}"));
                    backwards(a, &moved, column, row, out, left);
                    backwards(a, wanted, column, row, out, left);
                });
            }
            "dirname" => {
                let t = wanted.text();
                let tries = [t.to_string(), format!("{t}app.exe"), format!("{t}\\app.exe")];
                args.iter().for_each(|a| {
                    tries.iter().for_each(|t| backwards(a, &Value::str(t.as_str()), column, row, out, left));
                });
            }
            "add" | "sub" => {
                if let ([a, b], Some(w)) = (&args[..], wanted.as_i64()) {
                    let n = |x: &Expr| x.eval(row, &Context::default()).as_i64();
                    let plus = f.name == "add";
                    if let Some(y) = n(b) {
                        let v = if plus { w.checked_sub(y) } else { w.checked_add(y) };
                        v.into_iter().for_each(|v| backwards(a, &Value::Long(v), column, row, out, left));
                    }
                    if let Some(x) = n(a) {
                        let v = if plus { w.checked_sub(x) } else { x.checked_sub(w) };
                        v.into_iter().for_each(|v| backwards(b, &Value::Long(v), column, row, out, left));
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
                        args.iter().for_each(|a| backwards(a, &Value::DateTime(t), column, row, out, left));
                    });
                }
            }
            _ => args.iter().for_each(|a| backwards(a, wanted, column, row, out, left)),
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
            Test::Text(_, TextTest::Literal { text, .. } | TextTest::Term { text, .. }) => {
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

/// A literal about a computed value whose columns all have one possible value, and which is wrong for it.
fn settled(
    atoms: &Atoms,
    groups: &Groups,
    loose: &[(AtomId, bool)],
    meter: &mut Meter,
) -> Option<Vec<(AtomId, bool)>> {
    let total: usize = groups.values().map(Vec::len).sum();
    for (a, positive) in loose {
        if !meter.work(total / 8 + 1) {
            return None;
        }
        let mut row = Row::new();
        let mut core = vec![(*a, *positive)];
        let known = atoms.var(*a).columns.iter().all(|c| match only_value(atoms, groups, c) {
            Some((lit, v)) => {
                core.push((lit, true));
                row.insert(c.clone(), v);
                true
            }
            None => false,
        });
        if known && atoms.holds_of_event(*a, &look(&row)) != *positive {
            return Some(core);
        }
    }
    None
}

/// The literal that leaves a column one value, and the value.
fn only_value(atoms: &Atoms, groups: &Groups, column: &Name) -> Option<(AtomId, Value)> {
    let var = atoms.var_named(&format!("[{column}]"))?;
    let ty = atoms.vars[var as usize].expr.ty;
    groups.get(&var)?.iter().filter(|l| l.1).find_map(|(a, _)| match &atoms.atom(*a).test {
        Test::Null => Some((*a, Value::Null)),
        Test::Whole(Order::Eq, k) => Some((*a, whole_value(ty, *k))),
        Test::Text(l, TextTest::Literal { text, start: true, end: true, ci })
            if l.is_identity() && !text.is_empty() && (!ci || caseless(text)) =>
        {
            Some((*a, text_value(ty, text.to_string())))
        }
        _ => None,
    })
}

/// The column, also where it is read as text.
fn bare(e: &Expr) -> Option<&Name> {
    match &e.kind {
        ExprKind::Call(f, args) if f.name == "tostring" && args.len() == 1 => args[0].as_column(),
        _ => e.as_column(),
    }
}

/// `a == b` of two columns: their literals are asked of one value, which both get. Gives a contradiction
/// where there is no such value.
fn equal_columns(
    atoms: &Atoms,
    groups: &Groups,
    a: AtomId,
    row: &mut Row,
    meter: &mut Meter,
) -> Option<Vec<(AtomId, bool)>> {
    let e = atoms.expr(a)?;
    let Test::Opaque { outcome: true, .. } = &atoms.atom(a).test else { return None };
    let ExprKind::Call(f, args) = &e.kind else { return None };
    if !matches!(f.name, "eq" | "eq_ci") {
        return None;
    }
    let [x, y] = &args[..] else { return None };
    let (cx, cy) = (bare(x)?, bare(y)?);
    let (vx, vy) = (atoms.var_named(&format!("[{cx}]")), atoms.var_named(&format!("[{cy}]")));
    let mut lits = Vec::new();
    for v in [vx, vy].into_iter().flatten() {
        lits.extend(groups.get(&v).into_iter().flatten().copied());
    }
    let Some(id) = vx.or(vy) else {
        row.insert(cx.clone(), text_value(x.ty, "x".into()));
        row.insert(cy.clone(), text_value(y.ty, "x".into()));
        return None;
    };
    let v = &atoms.vars[id as usize];
    let outcome = match v.kind {
        VarKind::Text => strings::solve(atoms, v, &lits, meter),
        VarKind::Integer { .. } | VarKind::Real => numbers::solve(atoms, v, &lits, meter),
        VarKind::Free => return None,
    };
    match outcome {
        Outcome::Sat(value) => {
            let value =
                if value.is_null() && v.kind == VarKind::Text { text_value(x.ty, "x".into()) } else { value };
            if allowed(atoms, groups, cx, &value) && allowed(atoms, groups, cy, &value) {
                row.insert(cx.clone(), value.clone());
                row.insert(cy.clone(), value);
            }
            None
        }
        Outcome::Conflict(core) => {
            // Equal up to case leaves two spellings, unless nothing in the core looks at case. A null is
            // no value that both could have.
            let valid = core.iter().all(|i| match &atoms.atom(lits[*i].0).test {
                Test::Null => false,
                Test::Text(l, TextTest::Literal { ci, .. } | TextTest::Term { ci, .. }) => {
                    f.name == "eq" || *ci && l.is_identity()
                }
                _ => f.name == "eq",
            });
            let same_kind = match (vx, vy) {
                (Some(p), Some(q)) => {
                    let (p, q) = (&atoms.vars[p as usize], &atoms.vars[q as usize]);
                    p.domain == q.domain && p.kind == q.kind
                }
                // Of the other column nothing is asked, but it may have fewer values.
                _ => true,
            };
            if !valid || !same_kind {
                return None;
            }
            let mut c: Vec<(AtomId, bool)> = core.into_iter().map(|i| lits[i]).collect();
            c.push((a, true));
            Some(c)
        }
        Outcome::Unknown(_) => None,
    }
}

/// Values for all columns of a computed text at once: every way to cut it.
fn cuts(e: &Expr, wanted: &str, out: &mut Vec<Vec<(Name, Value)>>) {
    let ExprKind::Call(f, args) = &e.kind else { return };
    if f.name != "strcat" {
        return;
    }
    // Most ways to cut a text lead nowhere, so the ways are counted, not only the cuts that are found.
    fn go(
        args: &[Expr],
        rest: &str,
        have: &mut Vec<(Name, Value)>,
        out: &mut Vec<Vec<(Name, Value)>>,
        left: &mut usize,
    ) {
        if out.len() >= 200 || *left == 0 {
            return;
        }
        *left -= 1;
        let Some((first, more)) = args.split_first() else {
            if rest.is_empty() {
                out.push(have.clone());
            }
            return;
        };
        if let Some(v) = first.as_literal() {
            if let Some(r) = rest.strip_prefix(&v.to_text()) {
                go(more, r, have, out, left);
            }
            return;
        }
        let Some(c) = bare(first) else { return };
        if let Some((_, v)) = have.iter().find(|(n, _)| n == c) {
            if let Some(r) = rest.strip_prefix(&*v.text()) {
                go(more, r, have, out, left);
            }
            return;
        }
        let ends: Vec<usize> = rest.char_indices().map(|(i, _)| i).chain([rest.len()]).collect();
        for at in ends {
            have.push((c.clone(), Value::str(&rest[..at])));
            go(more, &rest[at..], have, out, left);
            have.pop();
        }
    }
    // The cuts multiply, and the texts that matter are short.
    if wanted.len() <= 200 && args.len() <= 12 {
        go(args, wanted, &mut Vec::new(), out, &mut 5_000);
    }
}

/// Pairs of values for the columns of one computed value, when one at a time did not help: the first that
/// repairs more than it breaks.
fn pairs(
    atoms: &Atoms,
    groups: &Groups,
    values: &BTreeMap<VarId, Value>,
    loose: &[(AtomId, bool)],
    row: &mut Row,
    trials: &mut usize,
    meter: &Meter,
) {
    let mut now = count_broken(atoms, loose, row);
    let mut vars: Vec<VarId> = loose.iter().map(|(a, _)| atoms.atom(*a).var).collect();
    vars.dedup();
    for var in vars {
        if *trials == 0 || meter.late() {
            return;
        }
        let v = &atoms.vars[var as usize];
        let mut sets = Vec::new();
        if let Some(w) = values.get(&var) {
            cuts(&v.expr, &w.text(), &mut sets);
        }
        for (a, _) in loose.iter().filter(|(a, _)| atoms.atom(*a).var == var) {
            // Each of them is a trial later on.
            if sets.len() > *trials {
                break;
            }
            if let Test::Text(_, TextTest::Literal { text, .. }) = &atoms.atom(*a).test {
                cuts(&v.expr, text, &mut sets);
            }
        }
        if let [x, y, ..] = &v.columns[..] {
            let mut some = vec![Value::str("x"), Value::str("X"), Value::str(""), Value::str("xx")];
            some.extend(row.get(x).cloned());
            some.extend(row.get(y).cloned());
            some.extend([Value::Long(1), Value::Long(2)]);
            for p in &some {
                for q in &some {
                    sets.push(vec![(x.clone(), p.clone()), (y.clone(), q.clone())]);
                }
            }
        }
        for set in sets {
            if *trials == 0 || meter.late() {
                return;
            }
            *trials -= 1;
            let typed: Vec<(Name, Value)> = set
                .into_iter()
                .map(|(n, t)| {
                    let ty = column_type(&v.expr, &n).unwrap_or(Type::String);
                    (n, t.coerce(ty))
                })
                .collect();
            if !typed.iter().all(|(n, t)| allowed(atoms, groups, n, t)) {
                continue;
            }
            let mut changed = row.clone();
            changed.extend(typed);
            let n = count_broken(atoms, loose, &changed);
            if n < now {
                *row = changed;
                now = n;
                break;
            }
        }
    }
}
