//! The theory of one number.

use crate::atom::{Atoms, Order, Test, VarKind, Variable, whole_value};
use crate::budget::Meter;
use crate::formula::AtomId;
use crate::theory::{Outcome, enumerate};
use std::collections::HashMap;
use tercel_ir::{Expr, ExprKind, Value};

/// Ranges up to this size are enumerated where evaluation alone decides.
const SMALL_RANGE: i128 = 70_000;

/// A value for which every atom is as wanted.
pub(crate) fn solve(atoms: &Atoms, var: &Variable, lits: &[(AtomId, bool)], meter: &mut Meter) -> Outcome {
    match var.kind {
        VarKind::Integer { from, to } => whole(atoms, var, lits, (from, to), meter),
        _ => real(atoms, lits, meter),
    }
}

fn whole(
    atoms: &Atoms,
    var: &Variable,
    lits: &[(AtomId, bool)],
    (from, to): (i64, i64),
    meter: &mut Meter,
) -> Outcome {
    let holds = |i: usize, v: &Value| atoms.holds(lits[i].0, v) == lits[i].1;
    let never = var.domain == Some(tercel_ir::Domain::Never) || from > to;
    if never {
        return enumerate(lits.len(), [Value::Null], holds, meter);
    }
    let opaque = lits.iter().any(|l| matches!(atoms.atom(l.0).test, Test::Opaque { .. }));
    let range = i128::from(to) - i128::from(from) + 1;
    if opaque {
        let mut points = vec![from, to, 0, 1];
        for (a, _) in lits {
            match (&atoms.atom(*a).test, atoms.expr(*a)) {
                (Test::Whole(_, k), _) => points.extend([k.saturating_sub(1), *k, k.saturating_add(1)]),
                (_, Some(e)) => hints(e, &mut points),
                _ => {}
            }
        }
        points.retain(|p| (from..=to).contains(p));
        let ty = var.expr.ty;
        let near = [Value::Null].into_iter().chain(points.into_iter().map(|n| whole_value(ty, n)));
        if range <= SMALL_RANGE {
            let all = near.chain((from..=to).map(|n| whole_value(ty, n)));
            return enumerate(lits.len(), all, holds, meter);
        }
        match enumerate(lits.len(), near, holds, meter) {
            Outcome::Conflict(_) => {}
            found => return found,
        }
        let known: Vec<usize> =
            (0..lits.len()).filter(|i| !matches!(atoms.atom(lits[*i].0).test, Test::Opaque { .. })).collect();
        let part: Vec<(AtomId, bool)> = known.iter().map(|i| lits[*i]).collect();
        return match intervals(atoms, var, &part, from, to) {
            Outcome::Conflict(core) => Outcome::Conflict(core.into_iter().map(|i| known[i]).collect()),
            _ => Outcome::Unknown("a function of a number that is only understood by trying values".into()),
        };
    }
    intervals(atoms, var, lits, from, to)
}

/// Comparisons only: decided exactly.
fn intervals(atoms: &Atoms, var: &Variable, lits: &[(AtomId, bool)], from: i64, to: i64) -> Outcome {
    let ty = var.expr.ty;
    let (mut low, mut high) = ((from, None), (to, None));
    let mut present = None;
    let mut null = None;
    let mut equal: Option<(i64, usize)> = None;
    let mut holes: HashMap<i64, usize> = HashMap::new();
    for (i, (a, positive)) in lits.iter().enumerate() {
        match (&atoms.atom(*a).test, positive) {
            (Test::Null, true) => null = Some(i),
            (Test::Null, false) => present = Some(i),
            (Test::Whole(o, k), true) => {
                present.get_or_insert(i);
                match o {
                    Order::Eq => match equal {
                        Some((e, j)) if e != *k => return Outcome::Conflict(vec![j, i]),
                        _ => equal = Some((*k, i)),
                    },
                    Order::Le if *k < high.0 => high = (*k, Some(i)),
                    Order::Ge if *k > low.0 => low = (*k, Some(i)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if let Some(n) = null {
        return match present {
            Some(p) => Outcome::Conflict(vec![n, p]),
            None => Outcome::Sat(Value::Null),
        };
    }
    // Nothing demands a number, and a null violates no negated comparison.
    let Some(present) = present else { return Outcome::Sat(Value::Null) };
    for (i, (a, positive)) in lits.iter().enumerate() {
        if let (Test::Whole(o, k), false) = (&atoms.atom(*a).test, positive) {
            match o {
                Order::Eq => {
                    holes.insert(*k, i);
                }
                Order::Le => match k.checked_add(1) {
                    None => return Outcome::Conflict(vec![present, i]),
                    Some(k) if k > low.0 => low = (k, Some(i)),
                    Some(_) => {}
                },
                _ => match k.checked_sub(1) {
                    None => return Outcome::Conflict(vec![present, i]),
                    Some(k) if k < high.0 => high = (k, Some(i)),
                    Some(_) => {}
                },
            }
        }
    }
    let core = |parts: &[Option<usize>]| {
        let mut v: Vec<usize> = parts.iter().flatten().copied().collect();
        v.push(present);
        v.sort_unstable();
        v.dedup();
        Outcome::Conflict(v)
    };
    if low.0 > high.0 {
        return core(&[low.1, high.1]);
    }
    if let Some((k, i)) = equal {
        if k < low.0 {
            return core(&[Some(i), low.1]);
        }
        if k > high.0 {
            return core(&[Some(i), high.1]);
        }
        if let Some(h) = holes.get(&k) {
            return core(&[Some(i), Some(*h)]);
        }
        return Outcome::Sat(whole_value(ty, k));
    }
    // Ends that somebody named first, then upwards past the holes.
    for k in [if low.1.is_some() { low.0 } else { high.0 }, high.0, low.0] {
        if !holes.contains_key(&k) && (low.1.is_some() || high.1.is_some()) {
            return Outcome::Sat(whole_value(ty, k));
        }
    }
    let mut k = low.0.max(if low.1.is_none() && high.0 >= 1 { 1 } else { low.0 });
    for _ in 0..=holes.len() {
        if !holes.contains_key(&k) && k <= high.0 {
            return Outcome::Sat(whole_value(ty, k));
        }
        match k.checked_add(1) {
            Some(n) => k = n,
            None => break,
        }
    }
    let mut k = low.0;
    let mut used = vec![low.1, high.1];
    while let Some(h) = holes.get(&k) {
        used.push(Some(*h));
        if k == high.0 {
            return core(&used);
        }
        k += 1;
    }
    Outcome::Sat(whole_value(ty, k))
}

/// Numbers named inside an expression, as numbers or as text.
fn hints(e: &Expr, out: &mut Vec<i64>) {
    if let ExprKind::Literal(v) = &e.kind {
        let n = v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)).or_else(|| v.text().trim().parse().ok());
        if let Some(n) = n {
            out.extend([n, n.saturating_sub(1), n.saturating_add(1), n.saturating_neg()]);
        }
    }
    e.children().into_iter().for_each(|c| hints(c, out));
}

fn real(atoms: &Atoms, lits: &[(AtomId, bool)], meter: &mut Meter) -> Outcome {
    let holds = |i: usize, v: &Value| atoms.holds(lits[i].0, v) == lits[i].1;
    let mut points: Vec<f64> = Vec::new();
    let mut opaque = false;
    for (a, _) in lits {
        match &atoms.atom(*a).test {
            Test::Real(_, bits) => points.push(f64::from_bits(*bits)),
            Test::Opaque { .. } => {
                opaque = true;
                let mut whole = Vec::new();
                if let Some(e) = atoms.expr(*a) {
                    hints(e, &mut whole);
                }
                points.extend(whole.into_iter().map(|n| n as f64));
            }
            _ => {}
        }
    }
    points.sort_by(f64::total_cmp);
    points.dedup();
    // Between two neighbours of the named numbers every comparison has one answer.
    let mut all = Vec::with_capacity(points.len() * 3 + 4);
    for p in &points {
        all.extend([*p, p.next_down(), p.next_up(), p + 0.5, p - 0.5]);
    }
    all.extend([0.0, 1.0, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY]);
    let values = [Value::Null].into_iter().chain(all.into_iter().filter(|f| !f.is_nan()).map(Value::Real));
    match enumerate(lits.len(), values, holds, meter) {
        Outcome::Conflict(_) if opaque => {
            Outcome::Unknown("a function of a number that is only understood by trying values".into())
        }
        o => o,
    }
}
