//! Walking and telling apart expressions without copies of what is thrown away.
//!
//! A conversion rewrites its predicate dozens of times, and most of what a pass sees it leaves alone. Here a
//! pass makes each node once, and expressions are compared and remembered without being written out.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use tercel_ir::{Expr, ExprKind, Value};

/// The expression with each of its parts replaced.
pub(crate) fn rebuilt(e: &Expr, mut part: impl FnMut(&Expr) -> Expr) -> Expr {
    let kind = match &e.kind {
        ExprKind::Literal(_) | ExprKind::Column(_) | ExprKind::Scalar(_) => e.kind.clone(),
        ExprKind::And(items) => ExprKind::And(items.iter().map(part).collect()),
        ExprKind::Or(items) => ExprKind::Or(items.iter().map(part).collect()),
        ExprKind::Not(inner) => ExprKind::Not(Box::new(part(inner))),
        ExprKind::Call(f, args) => ExprKind::Call(f, args.iter().map(part).collect()),
        ExprKind::Case { branches, otherwise } => ExprKind::Case {
            branches: branches.iter().map(|(c, t)| (part(c), part(t))).collect(),
            otherwise: Box::new(part(otherwise)),
        },
        ExprKind::InRelation { value, relation, ignore_case } => ExprKind::InRelation {
            value: Box::new(part(value)),
            relation: relation.clone(),
            ignore_case: *ignore_case,
        },
    };
    Expr { kind, ty: e.ty, span: e.span }
}

/// The same of an expression that is not needed any more.
pub(crate) fn changed(mut e: Expr, mut part: impl FnMut(Expr) -> Expr) -> Expr {
    for c in e.children_mut() {
        let old = std::mem::replace(c, Expr::boolean(false, c.span));
        *c = part(old);
    }
    e
}

/// Whether two expressions are the same but for places in texts; [`crate::logic::key`] of both is one text then.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    let all = |x: &[Expr], y: &[Expr]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y));
    match (&a.kind, &b.kind) {
        (ExprKind::Literal(x), ExprKind::Literal(y)) => same_value(x, y),
        (ExprKind::Column(x), ExprKind::Column(y)) => x == y,
        (ExprKind::And(x), ExprKind::And(y)) | (ExprKind::Or(x), ExprKind::Or(y)) => all(x, y),
        (ExprKind::Not(x), ExprKind::Not(y)) => same(x, y),
        (ExprKind::Call(f, x), ExprKind::Call(g, y)) => f.name == g.name && all(x, y),
        (ExprKind::Case { branches: x, otherwise: p }, ExprKind::Case { branches: y, otherwise: q }) => {
            x.len() == y.len()
                && x.iter().zip(y).all(|(x, y)| same(&x.0, &y.0) && same(&x.1, &y.1))
                && same(p, q)
        }
        (ExprKind::Scalar(x), ExprKind::Scalar(y)) => std::sync::Arc::ptr_eq(x, y),
        (
            ExprKind::InRelation { value: x, relation: r, .. },
            ExprKind::InRelation { value: y, relation: s, .. },
        ) => std::sync::Arc::ptr_eq(r, s) && same(x, y),
        _ => false,
    }
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::Null, Value::Null) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Long(x), Value::Long(y)) => x == y,
        // Of the rest (numbers with a fraction, times, arrays) what is written is what counts.
        _ => std::mem::discriminant(a) == std::mem::discriminant(b) && format!("{a:?}") == format!("{b:?}"),
    }
}

/// What stands for an expression in a set: 128 bits of a hash whose seed is drawn anew by each process, so that
/// no rule can be written to make two of its tests fall together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Mark(u64, u64);

impl Mark {
    pub fn of(e: &Expr) -> Mark {
        let mut h = Mixer(SEEDS.0, SEEDS.1);
        write(e, &mut h);
        Mark(h.0, h.1)
    }

    /// Of the negation of a test, see [`crate::logic::negate`].
    pub fn of_negated(test: &Expr) -> Mark {
        let other = match &test.kind {
            ExprKind::Call(f, args) => match f.name {
                "isempty" => Some(("isnotempty", args)),
                "isnull" => Some(("isnotnull", args)),
                "isnotempty" => Some(("isempty", args)),
                "isnotnull" => Some(("isnull", args)),
                _ => None,
            },
            ExprKind::Literal(_) | ExprKind::Not(_) | ExprKind::And(_) | ExprKind::Or(_) => {
                return Mark::of(&crate::logic::negate(test.clone()));
            }
            _ => None,
        };
        let mut h = Mixer(SEEDS.0, SEEDS.1);
        match other {
            Some((name, args)) => call(name, args, &mut h),
            None => {
                h.word(5);
                h.word(1);
                write(test, &mut h);
            }
        }
        Mark(h.0, h.1)
    }
}

static SEEDS: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let drawn = || RandomState::new().build_hasher().finish();
    (drawn(), drawn())
});

/// Two hashes at a time: each word is multiplied into both, and the high halves come back down.
struct Mixer(u64, u64);

impl Mixer {
    fn word(&mut self, w: u64) {
        let fold = |a: u64, b: u64| {
            let wide = u128::from(a) * u128::from(b);
            (wide as u64) ^ (wide >> 64) as u64
        };
        self.0 = fold(self.0 ^ w, 0x9e37_79b9_7f4a_7c15 | 1).wrapping_add(w.rotate_left(32));
        self.1 = fold(self.1.rotate_left(23) ^ w, SEEDS.0 | 1).wrapping_add(w);
    }
    fn text(&mut self, s: &str) {
        self.word(s.len() as u64);
        let (words, rest) = s.as_bytes().as_chunks::<8>();
        words.iter().for_each(|w| self.word(u64::from_le_bytes(*w)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }
}

fn call(name: &str, args: &[Expr], h: &mut Mixer) {
    h.word(6);
    h.text(name);
    many(args, h);
}

fn many(items: &[Expr], h: &mut Mixer) {
    h.word(items.len() as u64);
    items.iter().for_each(|i| write(i, h));
}

fn write(e: &Expr, h: &mut Mixer) {
    match &e.kind {
        ExprKind::Literal(Value::Str(s)) => {
            h.word(1);
            h.text(s);
        }
        ExprKind::Literal(Value::Long(n)) => {
            h.word(9);
            h.word(*n as u64);
        }
        ExprKind::Literal(v) => {
            h.word(10);
            h.text(&format!("{v:?}"));
        }
        ExprKind::Column(n) => {
            h.word(2);
            h.text(n);
        }
        ExprKind::And(items) => {
            h.word(3);
            many(items, h);
        }
        ExprKind::Or(items) => {
            h.word(4);
            many(items, h);
        }
        ExprKind::Not(inner) => {
            h.word(5);
            many(std::slice::from_ref(inner), h);
        }
        ExprKind::Call(f, args) => call(f.name, args, h),
        ExprKind::Case { branches, otherwise } => {
            h.word(7);
            h.word(branches.len() as u64);
            for (c, t) in branches {
                write(c, h);
                write(t, h);
            }
            write(otherwise, h);
        }
        ExprKind::Scalar(r) => {
            h.word(8);
            h.word(std::sync::Arc::as_ptr(r) as usize as u64);
        }
        ExprKind::InRelation { value, relation, .. } => {
            h.word(11);
            h.word(std::sync::Arc::as_ptr(relation) as usize as u64);
            write(value, h);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::{key, negate};
    use proptest::prelude::*;
    use tercel_ir::{Span, Type};

    fn expressions() -> impl Strategy<Value = Expr> {
        let at = Span::default;
        let leaf = prop_oneof![
            "[ab]{0,2}".prop_map(move |s| Expr::literal(Value::Str(s), at())),
            (0..3i64).prop_map(move |n| Expr::literal(Value::Long(n), at())),
            any::<bool>().prop_map(move |b| Expr::boolean(b, at())),
            Just(Expr::null(Type::String, at())),
            Just(Expr::literal(Value::Real(0.0), at())),
            Just(Expr::literal(Value::Real(-0.0), at())),
            "[ab]".prop_map(move |n| Expr::column(n.as_str(), Type::String, at())),
        ];
        let test = (leaf.clone(), leaf, 0..5usize).prop_map(move |(a, b, which)| {
            let text = Expr::known("tostring", vec![a], at());
            match ["eq_ci", "contains", "isempty", "isnull", "isnotempty"][which] {
                name @ ("eq_ci" | "contains") => {
                    Expr::known(name, vec![text, Expr::known("tostring", vec![b], at())], at())
                }
                name => Expr::known(name, vec![text], at()),
            }
        });
        test.prop_recursive(3, 12, 3, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(move |v| Expr::and(v, at())),
                proptest::collection::vec(inner.clone(), 0..3).prop_map(move |v| Expr::or(v, at())),
                inner.clone().prop_map(move |e| Expr::not(e, at())),
                (inner.clone(), inner.clone(), inner).prop_map(move |(c, t, e)| Expr::iff(c, t, e, at())),
            ]
        })
    }

    proptest! {
        /// Comparing, marks and the written key tell the same expressions apart.
        #[test]
        fn one_meaning_of_the_same(a in expressions(), b in expressions()) {
            let written = key(&a) == key(&b);
            prop_assert_eq!(same(&a, &b), written);
            prop_assert_eq!(Mark::of(&a) == Mark::of(&b), written);
            prop_assert_eq!(Mark::of_negated(&a), Mark::of(&negate(a.clone())));
            prop_assert!(same(&a, &rebuilt(&a, Expr::clone)));
        }
    }
}
