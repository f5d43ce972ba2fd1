//! Atoms: what a formula asks of one value. A *variable* is a column, or a value computed from columns
//! that is treated as if it were free (which can only add events, so a contradiction stays one).

use crate::formula::AtomId;
use crate::lens::Lens;
use regex::Regex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tercel_ir::function::{Context, fold, has_term, remembered_regex};
use tercel_ir::{Domain, Expr, Name, Type, Value};

pub(crate) type VarId = u32;

/// Which theory decides about a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VarKind {
    /// Text (or a dynamic, of which only the text is looked at), or null.
    Text,
    /// A whole number between bounds, or null: integers, times, booleans.
    Integer { from: i64, to: i64 },
    /// A finite or infinite number, never NaN, or null.
    Real,
    /// Nothing is known: its atoms are independent of each other.
    Free,
}

pub(crate) struct Variable {
    pub expr: Expr,
    /// The column, where it is one.
    pub column: Option<Name>,
    /// The columns that it is computed from (itself, if it is one).
    pub columns: Vec<Name>,
    pub kind: VarKind,
    pub domain: Option<Domain>,
    pub atoms: Vec<AtomId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Order {
    Eq,
    Le,
    Ge,
    Lt,
    Gt,
}

/// A test of a text. Where case is ignored, the text is folded already.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum TextTest {
    /// The text stands somewhere; at the start, at the end, or both (equality).
    Literal { text: Arc<str>, start: bool, end: bool, ci: bool },
    /// KQL's term search.
    Term { text: Arc<str>, before: bool, after: bool, ci: bool },
    /// The expression is found anywhere.
    Regex(Arc<str>),
}

/// What is asked. All tests are two-valued: true, or not.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Test {
    Null,
    /// Of the text as the lens shows it; a null is "".
    Text(Arc<Lens>, TextTest),
    /// Of a whole number; never true of null. Only `Eq`, `Le`, `Ge`.
    Whole(Order, i64),
    /// Of a real number (its bits); never true of null.
    Real(Order, u64),
    /// An expression over the variable's columns has this outcome.
    Opaque {
        key: Arc<str>,
        outcome: bool,
        address: bool,
    },
}

pub(crate) struct Atom {
    pub var: VarId,
    pub test: Test,
    regex: Option<Regex>,
    /// Of opaque tests; most are not.
    expr: Option<Box<Expr>>,
}

/// All variables and atoms of one prover.
#[derive(Default)]
pub(crate) struct Atoms {
    pub vars: Vec<Variable>,
    pub list: Vec<Atom>,
    by_key: HashMap<String, VarId>,
    by_test: HashMap<(VarId, Test), AtomId>,
    regexes: HashMap<Arc<str>, Option<Regex>>,
}

impl Atoms {
    pub(crate) fn var_named(&self, key: &str) -> Option<VarId> {
        self.by_key.get(key).copied()
    }
    pub(crate) fn add_var(&mut self, key: String, v: Variable) -> VarId {
        let id = self.vars.len() as VarId;
        self.vars.push(v);
        self.by_key.insert(key, id);
        id
    }
    /// The compiled expression; `None` when it does not compile.
    pub(crate) fn regex(&mut self, pattern: &str) -> Option<Regex> {
        if let Some(r) = self.regexes.get(pattern) {
            return r.clone();
        }
        let r = remembered_regex(pattern);
        self.regexes.insert(pattern.into(), r.clone());
        r
    }
    /// The atom, and whether it is new.
    pub(crate) fn intern(&mut self, var: VarId, test: Test, expr: Option<&Expr>) -> (AtomId, bool) {
        let id = self.list.len() as AtomId;
        match self.by_test.entry((var, test)) {
            Entry::Occupied(before) => return (*before.get(), false),
            Entry::Vacant(place) => {
                let (expr, test) = (expr.cloned().map(Box::new), place.key().1.clone());
                self.list.push(Atom { var, test, regex: None, expr });
                place.insert(id);
            }
        }
        self.vars[var as usize].atoms.push(id);
        if let Test::Text(_, TextTest::Regex(p)) = &self.list[id as usize].test {
            let p = p.clone();
            self.list[id as usize].regex = self.regex(&p);
        }
        (id, true)
    }
    pub(crate) fn find(&self, var: VarId, test: Test) -> Option<AtomId> {
        self.by_test.get(&(var, test)).copied()
    }
    pub(crate) fn atom(&self, a: AtomId) -> &Atom {
        &self.list[a as usize]
    }
    pub(crate) fn var(&self, a: AtomId) -> &Variable {
        &self.vars[self.atom(a).var as usize]
    }
    /// Whether the atom is true of a value of its variable. For atoms of free variables, see
    /// [`Atoms::holds_of_event`].
    pub(crate) fn holds(&self, a: AtomId, value: &Value) -> bool {
        let atom = self.atom(a);
        match &atom.test {
            Test::Opaque { outcome, .. } => {
                let Some(e) = &atom.expr else { return false };
                e.eval(&|_| value.clone(), &Context::default()).as_bool() == Some(*outcome)
            }
            test => test.holds(value, atom.regex.as_ref()),
        }
    }
    /// Whether the atom is true of an event.
    pub(crate) fn holds_of_event(&self, a: AtomId, row: &dyn Fn(&str) -> Value) -> bool {
        let atom = self.atom(a);
        match &atom.test {
            Test::Opaque { outcome, .. } => {
                let Some(e) = &atom.expr else { return false };
                e.eval(row, &Context::default()).as_bool() == Some(*outcome)
            }
            test => {
                let value = self.vars[atom.var as usize].expr.eval(row, &Context::default());
                test.holds(&value, atom.regex.as_ref())
            }
        }
    }
    /// Truth of many atoms for one event, in order. Neighbours of one variable share its value.
    pub(crate) fn truths(
        &self,
        list: impl Iterator<Item = AtomId>,
        row: &dyn Fn(&str) -> Value,
        mut each: impl FnMut(AtomId, bool),
    ) {
        let mut last: Option<(VarId, Value, String, String)> = None;
        for a in list {
            let atom = self.atom(a);
            if let Test::Opaque { .. } = atom.test {
                each(a, self.holds_of_event(a, row));
                continue;
            }
            if last.as_ref().is_none_or(|l| l.0 != atom.var) {
                let value = self.vars[atom.var as usize].expr.eval(row, &Context::default());
                let image = value.text().into_owned();
                let folded = fold(&image);
                last = Some((atom.var, value, image, folded));
            }
            let Some((_, value, image, folded)) = &last else { continue };
            each(
                a,
                match &atom.test {
                    Test::Text(l, t) if l.is_identity() => t.holds(image, folded, atom.regex.as_ref()),
                    t => t.holds(value, atom.regex.as_ref()),
                },
            );
        }
    }
    /// The expression of an opaque atom.
    pub(crate) fn expr(&self, a: AtomId) -> Option<&Expr> {
        self.atom(a).expr.as_deref()
    }
    /// Whether a text atom is true of a text, already seen through its lens and folded too.
    pub(crate) fn holds_of_image(&self, a: AtomId, image: &str, folded: &str) -> bool {
        let atom = self.atom(a);
        match &atom.test {
            Test::Text(_, t) => t.holds(image, folded, atom.regex.as_ref()),
            _ => false,
        }
    }
}

pub(crate) fn is_null(v: &Value) -> bool {
    matches!(v, Value::Null | Value::Dynamic(serde_json::Value::Null))
}

impl Test {
    fn holds(&self, v: &Value, regex: Option<&Regex>) -> bool {
        match self {
            Test::Null => is_null(v),
            Test::Text(lens, t) => {
                let image = lens.apply(&v.text());
                let folded = fold(&image);
                t.holds(&image, &folded, regex)
            }
            Test::Whole(o, k) => v.as_i64().is_some_and(|n| o.test(n.cmp(k))),
            Test::Real(o, bits) => {
                v.as_f64().and_then(|n| n.partial_cmp(&f64::from_bits(*bits))).is_some_and(|c| o.test(c))
            }
            Test::Opaque { .. } => false,
        }
    }
}

impl Order {
    fn test(self, c: std::cmp::Ordering) -> bool {
        match self {
            Order::Eq => c.is_eq(),
            Order::Le => c.is_le(),
            Order::Ge => c.is_ge(),
            Order::Lt => c.is_lt(),
            Order::Gt => c.is_gt(),
        }
    }
}

impl TextTest {
    pub(crate) fn holds(&self, image: &str, folded: &str, regex: Option<&Regex>) -> bool {
        match self {
            TextTest::Literal { text, start, end, ci } => {
                let s = if *ci { folded } else { image };
                match (start, end) {
                    (true, true) => s == &**text,
                    (true, false) => s.starts_with(&**text),
                    (false, true) => s.ends_with(&**text),
                    (false, false) => s.contains(&**text),
                }
            }
            TextTest::Term { text, before, after, ci } => {
                has_term(if *ci { folded } else { image }, text, *before, *after)
            }
            TextTest::Regex(_) => regex.is_some_and(|r| r.is_match(image)),
        }
    }
}

/// Values that an integer-like type can have.
pub(crate) fn bounds(ty: Type, domain: Option<&Domain>) -> Option<(i64, i64)> {
    let (a, b) = match ty {
        Type::Bool => (0, 1),
        Type::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Type::Long | Type::TimeSpan => (i64::MIN, i64::MAX),
        Type::DateTime => (0, tercel_ir::time::MAX),
        _ => return None,
    };
    Some(match domain {
        Some(Domain::Range { from, to }) if ty.is_integer() => (a.max(*from), b.min(*to)),
        _ => (a, b),
    })
}

/// A whole number as a value of the type.
pub(crate) fn whole_value(ty: Type, n: i64) -> Value {
    match ty {
        Type::Bool => Value::Bool(n != 0),
        Type::DateTime => Value::DateTime(n),
        Type::TimeSpan => Value::TimeSpan(n),
        _ => Value::Long(n),
    }
}

/// A text as a value of the type.
pub(crate) fn text_value(ty: Type, s: String) -> Value {
    if ty == Type::Dynamic { Value::Dynamic(s.into()) } else { Value::Str(s) }
}
