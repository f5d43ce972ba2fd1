//! From three-valued expressions to two-valued formulas: for every expression "it is true" and "it is
//! false" are formulas of their own, so that null needs no third value.

mod choices;
mod concat;
mod terms;

use crate::Unknown;
use crate::atom::{Atoms, Order, Test, TextTest, VarId, VarKind, Variable, bounds};
use crate::budget::NO_TIME;
use crate::flatten::{count, too_deep};
use crate::formula::{Arena, AtomId, Node};
use crate::key::key;
use crate::lens::Lens;
use crate::regexes;
use choices::{alternatives, chosen_subject};
use std::sync::Arc;
use tercel_ir::function::{Context, fold};
use tercel_ir::{Domain, Expr, ExprKind, Function, Name, Schema, Type, Value};

/// Steps of building one prover's formulas.
const FUEL: usize = 4_000_000;
/// Depth of expressions, after choices were pushed out of arguments.
const MAX_DEPTH: usize = 600;

/// Builds formulas over the columns of one table.
pub(crate) struct Builder {
    pub arena: Arena,
    pub atoms: Atoms,
    /// Facts about atoms that the solver has not seen yet.
    pub facts: Vec<Vec<(AtomId, bool)>>,
    pub schema: Arc<Schema>,
    fuel: usize,
    last_column: Option<(Name, VarId)>,
    /// A text as it is.
    plain: Arc<Lens>,
    /// Variables with how their texts end, folded, at the place that is being built: a choice was made that says so.
    ending: Vec<(VarId, Arc<str>)>,
    /// When nothing more is built: a large expression takes long to compile, and there may be many.
    pub deadline: Option<std::time::Instant>,
}

type Built = Result<Node, Unknown>;

/// What a value is to the theories.
enum Term {
    Text { var: VarId, lens: Lens, never_null: bool },
    Whole(VarId),
    Real(VarId),
}

/// Functions whose result is never null.
fn two_valued(f: &Function) -> bool {
    matches!(
        f.name,
        "eq_ci"
            | "in"
            | "in_ci"
            | "isnull"
            | "isnotnull"
            | "isempty"
            | "isnotempty"
            | "isblank"
            | "contains"
            | "contains_cs"
            | "startswith"
            | "startswith_cs"
            | "endswith"
            | "endswith_cs"
            | "has"
            | "has_cs"
            | "hasprefix"
            | "hasprefix_cs"
            | "hassuffix"
            | "hassuffix_cs"
            | "has_any"
            | "has_all"
            | "ip_in_cidr"
            | "is_valid_ip"
            | "is_valid_ipv4"
            | "has_ipv4"
            | "has_any_ipv4"
            | "has_ipv4_prefix"
            | "has_any_ipv4_prefix"
    )
}

/// Functions that look at nothing but the address that a text is.
fn of_address(f: &Function) -> bool {
    matches!(
        f.name,
        "ip_in_cidr"
            | "ipv4_is_in_range"
            | "ipv4_is_in_any_range"
            | "ipv4_is_private"
            | "is_private_ip"
            | "is_public_ip"
            | "is_reserved_ip"
            | "is_valid_ip"
            | "is_valid_ipv4"
    )
}

/// The texts of literal arguments, arrays opened; `None` if one is no literal.
fn needles(args: &[Expr]) -> Option<Vec<String>> {
    let mut out = Vec::with_capacity(args.len());
    for a in args {
        match a.as_literal()? {
            Value::Dynamic(serde_json::Value::Array(items)) => {
                out.extend(items.iter().map(|i| Value::Dynamic(i.clone()).to_text()));
            }
            v => out.push(v.to_text()),
        }
    }
    Some(out)
}

impl Builder {
    pub(crate) fn new(schema: Arc<Schema>) -> Builder {
        Builder {
            arena: Arena::new(),
            atoms: Atoms::default(),
            facts: Vec::new(),
            schema,
            fuel: FUEL,
            ending: Vec::new(),
            last_column: None,
            plain: Arc::default(),
            deadline: None,
        }
    }

    fn spend(&mut self) -> Result<(), Unknown> {
        self.fuel =
            self.fuel.checked_sub(1).ok_or_else(|| Unknown::new("the condition unfolds to too much"))?;
        if self.fuel.is_multiple_of(16) && self.deadline.is_some_and(|d| std::time::Instant::now() >= d) {
            return Err(Unknown::new(NO_TIME));
        }
        Ok(())
    }

    /// "`e` is true", or "`e` is false".
    pub(crate) fn truth(&mut self, e: &Expr, want: bool) -> Built {
        self.spend()?;
        match &e.kind {
            ExprKind::Literal(v) => Ok(Arena::constant(v.as_bool() == Some(want))),
            ExprKind::And(items) | ExprKind::Or(items) => {
                let conjunction = matches!(e.kind, ExprKind::And(_));
                let nodes = self.items(items, conjunction, want)?;
                Ok(if conjunction == want { self.arena.and(nodes) } else { self.arena.or(nodes) })
            }
            ExprKind::Not(x) => self.truth(x, !want),
            ExprKind::Case { .. } => {
                let alternatives = alternatives(e).unwrap_or_default();
                self.choose(&alternatives, |b, _, x| b.truth(x, want))
            }
            ExprKind::Column(n) if e.ty == Type::Bool => {
                let var = self.column(n, e.ty);
                Ok(self.atom(var, Test::Whole(Order::Eq, i64::from(want)), None))
            }
            ExprKind::Call(f, args) => self.call(e, f, args, want),
            ExprKind::Column(_) => self.opaque(e, want, false, false),
            ExprKind::Scalar(_) | ExprKind::InRelation { .. } => Err(Unknown::new("it asks another query")),
        }
    }

    fn call(&mut self, e: &Expr, f: &'static Function, args: &[Expr], want: bool) -> Built {
        if too_deep(e, MAX_DEPTH) {
            return Err(Unknown::new("a condition is nested too deeply"));
        }
        if let Some(v) = self.boolean_argument(f, args, want)? {
            return Ok(v);
        }
        if let Some(subject) = chosen_subject(e) {
            return self.chosen(subject, &[e], true, want);
        }
        if let Some(parts) = alternatives(e) {
            // Every alternative is a copy of the whole call.
            let cost = parts.len().saturating_mul(count(e));
            self.fuel = self
                .fuel
                .checked_sub(cost)
                .ok_or_else(|| Unknown::new("the condition unfolds to too much"))?;
            return self.choose(&parts, |b, _, x| b.truth(x, want));
        }
        let mut columns = Vec::new();
        e.columns(&mut columns);
        if columns.is_empty() {
            let v = e.eval(&|_| Value::Null, &Context::default());
            return Ok(Arena::constant(v.as_bool() == Some(want)));
        }
        if two_valued(f) && !want {
            let n = self.call(e, f, args, true)?;
            return Ok(self.arena.not(n));
        }
        match self.known(f, args, want)? {
            Some(n) => Ok(n),
            None => self.opaque(e, want, two_valued(f), of_address(f)),
        }
    }

    /// Comparisons and null tests of logic itself: `flag == true`, `isnull(a and b)`.
    fn boolean_argument(&mut self, f: &Function, args: &[Expr], want: bool) -> Result<Option<Node>, Unknown> {
        let logic =
            |e: &Expr| e.ty == Type::Bool && !matches!(e.kind, ExprKind::Column(_) | ExprKind::Literal(_));
        Ok(match (f.name, args) {
            ("isnull" | "isnotnull", [x]) if logic(x) => {
                let (t, n) = (self.truth(x, true)?, self.truth(x, false)?);
                let known = self.arena.or(vec![t, n]);
                let same = (f.name == "isnotnull") == want;
                Some(if same { known } else { self.arena.not(known) })
            }
            ("eq" | "ne", [x, y]) if (logic(x) || logic(y)) && x.ty == Type::Bool && y.ty == Type::Bool => {
                let (xt, xf) = (self.truth(x, true)?, self.truth(x, false)?);
                let (yt, yf) = (self.truth(y, true)?, self.truth(y, false)?);
                let both = self.arena.and(vec![xt, yt]);
                let neither = self.arena.and(vec![xf, yf]);
                let equal = self.arena.or(vec![both, neither]);
                if (f.name == "eq") == want {
                    return Ok(Some(equal));
                }
                // Not equal, unless both are null.
                let known = self.arena.or(vec![xt, xf, yt, yf]);
                let differ = self.arena.not(equal);
                Some(self.arena.and(vec![known, differ]))
            }
            _ => None,
        })
    }

    /// The functions that the theories know. `want` is true for two-valued ones.
    fn known(&mut self, f: &'static Function, args: &[Expr], want: bool) -> Result<Option<Node>, Unknown> {
        Ok(match f.name {
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => return self.compare(f.name, &args[0], &args[1], want),
            "isnull" => Some(self.null(&args[0])?),
            "isnotnull" => {
                let n = self.null(&args[0])?;
                Some(self.arena.not(n))
            }
            "isempty" => Some(self.empty(&args[0])?),
            "isnotempty" => {
                let n = self.empty(&args[0])?;
                Some(self.arena.not(n))
            }
            "isblank" => self.text_test(&args[0], |_| Ok(TextTest::Regex(r"^\s*$".into())))?,
            "in" => return self.member(&args[0], &args[1..]),
            "in_ci" if number_as_text(&args[0]).is_some() || concat::parts(&args[0]).is_some() => {
                let Some(texts) = needles(&args[1..]) else { return Ok(None) };
                let mut any = Vec::with_capacity(texts.len());
                for t in texts {
                    let item = Expr::literal(Value::Str(t), args[0].span);
                    let one = Expr::known("eq_ci", vec![args[0].clone(), item], args[0].span);
                    any.push(self.truth(&one, true)?);
                }
                Some(self.arena.or(any))
            }
            "in_ci" => {
                if self.needs_enumeration(&args[0]) {
                    return Ok(None);
                }
                let Some(Term::Text { var, lens, .. }) = self.term(&args[0])? else { return Ok(None) };
                let mut any = Vec::with_capacity(args.len());
                for item in &args[1..] {
                    let Some(texts) = needles(std::slice::from_ref(item)) else { return Ok(None) };
                    for t in texts {
                        self.spend()?;
                        let t = literal(&t, true, true, true);
                        any.push(self.text_atom(var, &lens, t));
                    }
                }
                Some(self.arena.or(any))
            }
            "has_any" | "has_all" => {
                let Some(texts) = needles(&args[1..]) else { return Ok(None) };
                let mut nodes = Vec::with_capacity(texts.len());
                for t in texts {
                    let test = TextTest::Term { text: fold(&t).into(), before: true, after: true, ci: true };
                    match self.text_test(&args[0], |_| Ok(test))? {
                        Some(n) => nodes.push(n),
                        None => return Ok(None),
                    }
                }
                Some(if f.name == "has_any" { self.arena.or(nodes) } else { self.arena.and(nodes) })
            }
            name => {
                let [subject, pattern] = args else { return Ok(None) };
                if name == "eq_ci" && subject.as_literal().is_none() && pattern.as_literal().is_none() {
                    return Ok(Some(self.same("eq_ci", subject, pattern, true)?));
                }
                let Some(p) = pattern.as_literal().map(|v| v.text().into_owned()) else { return Ok(None) };
                if name == "eq_ci"
                    && let Some((number, _)) = number_as_text(subject)
                {
                    // To this comparison a null is "".
                    return Ok(Some(self.number_text(number, &p)?));
                }
                let term = |before, after, ci: bool| TextTest::Term {
                    text: if ci { fold(&p) } else { p.clone() }.into(),
                    before,
                    after,
                    ci,
                };
                let test = match name {
                    "eq_ci" => literal(&p, true, true, true),
                    "contains" => literal(&p, false, false, true),
                    "contains_cs" => literal(&p, false, false, false),
                    "startswith" => literal(&p, true, false, true),
                    "startswith_cs" => literal(&p, true, false, false),
                    "endswith" => literal(&p, false, true, true),
                    "endswith_cs" => literal(&p, false, true, false),
                    "has" => term(true, true, true),
                    "has_cs" => term(true, true, false),
                    "hasprefix" => term(true, false, true),
                    "hasprefix_cs" => term(true, false, false),
                    "hassuffix" => term(false, true, true),
                    "hassuffix_cs" => term(false, true, false),
                    "matches_regex" => return self.regex(subject, &p, want),
                    "matches_glob" | "matches_glob_ci" => {
                        let r = tercel_ir::function::glob_to_regex(&p, name == "matches_glob_ci");
                        return self.regex(subject, &r, want);
                    }
                    _ => return Ok(None),
                };
                self.text_test(subject, |_| Ok(test))?
            }
        })
    }

    fn regex(&mut self, subject: &Expr, pattern: &str, want: bool) -> Result<Option<Node>, Unknown> {
        // What does not compile is null, whatever the text.
        if self.atoms.regex(pattern).is_none() {
            return Ok(Some(Arena::FALSE));
        }
        let Some(n) = (match regexes::as_literals(pattern) {
            Some(tests) => {
                let mut any = Vec::with_capacity(tests.len());
                for t in tests {
                    match self.text_test(subject, |_| Ok(t))? {
                        Some(n) => any.push(n),
                        None => return Ok(None),
                    }
                }
                Some(self.arena.or(any))
            }
            None => self.text_test(subject, |_| Ok(TextTest::Regex(pattern.into())))?,
        }) else {
            return Ok(None);
        };
        Ok(Some(if want { n } else { self.arena.not(n) }))
    }

    fn text_test(
        &mut self,
        subject: &Expr,
        test: impl FnOnce(&mut Builder) -> Result<TextTest, Unknown>,
    ) -> Result<Option<Node>, Unknown> {
        self.spend()?;
        if let Some(parts) = concat::parts(subject) {
            let t = test(self)?;
            if let TextTest::Literal { text, start, end, ci } = &t {
                return self.concat(parts, text, *start, *end, *ci);
            }
            let Some(Term::Text { var, lens, .. }) = self.term(subject)? else { return Ok(None) };
            return Ok(Some(self.text_atom(var, &lens, t)));
        }
        if self.needs_enumeration(subject) {
            return Ok(None);
        }
        let Some(Term::Text { var, lens, .. }) = self.term(subject)? else { return Ok(None) };
        let t = test(self)?;
        Ok(Some(self.text_atom(var, &lens, t)))
    }

    fn null(&mut self, x: &Expr) -> Built {
        Ok(match self.term(x)? {
            Some(Term::Text { never_null: true, .. }) => Arena::FALSE,
            Some(Term::Text { var, .. } | Term::Whole(var) | Term::Real(var)) => self.null_atom(var),
            None => return Err(Unknown::new("a null test of a value of unknown type")),
        })
    }

    fn empty(&mut self, x: &Expr) -> Built {
        if let Some(parts) = concat::parts(x)
            && let Some(n) = self.concat(parts, "", true, true, true)?
        {
            return Ok(n);
        }
        Ok(match self.term(x)? {
            Some(Term::Text { var, lens, .. }) => self.text_atom(var, &lens, literal("", true, true, true)),
            Some(Term::Whole(var) | Term::Real(var)) => self.null_atom(var),
            None => return Err(Unknown::new("a test for emptiness of a value of unknown type")),
        })
    }

    fn null_atom(&mut self, var: VarId) -> Node {
        let fresh = self.atoms.find(var, Test::Null).is_none();
        let n = self.atom(var, Test::Null, None);
        if fresh && self.atoms.vars[var as usize].kind == VarKind::Text {
            // To the functions of text a null is "".
            let empty = Test::Text(Arc::default(), literal("", true, true, true));
            let (empty, _) = self.atoms.intern(var, empty, None);
            if let Some(null) = self.atoms.find(var, Test::Null) {
                self.facts.push(vec![(null, false), (empty, true)]);
            }
        }
        n
    }

    fn member(&mut self, subject: &Expr, items: &[Expr]) -> Result<Option<Node>, Unknown> {
        let mut any = Vec::with_capacity(items.len());
        for item in items {
            self.spend()?;
            let elements = match item.as_literal() {
                Some(Value::Dynamic(serde_json::Value::Array(a))) => {
                    a.iter().map(|j| Expr::literal(natural(j), item.span)).collect()
                }
                Some(_) => vec![item.clone()],
                None => return Ok(None),
            };
            for x in elements {
                // A null is no member of anything.
                if x.as_literal().is_some_and(Value::is_null) {
                    continue;
                }
                match self.compare("eq", subject, &x, true)? {
                    Some(n) => any.push(n),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(self.arena.or(any)))
    }

    fn compare(&mut self, op: &str, a: &Expr, b: &Expr, want: bool) -> Result<Option<Node>, Unknown> {
        let (subject, value, op) = match (a.as_literal(), b.as_literal()) {
            (None, Some(v)) => (a, v, op),
            (Some(v), None) => {
                let flipped = match op {
                    "lt" => "gt",
                    "le" => "ge",
                    "gt" => "lt",
                    "ge" => "le",
                    same => same,
                };
                (b, v, flipped)
            }
            // A value equals itself, unless it is null.
            (None, None) if matches!(op, "eq" | "ne") && key(a) == key(b) => {
                if (op == "ne") == want {
                    return Ok(Some(Arena::FALSE));
                }
                let n = self.null(a)?;
                return Ok(Some(self.arena.not(n)));
            }
            (None, None) if matches!(op, "eq" | "ne") => {
                return Ok(Some(self.same("eq", a, b, (op == "eq") == want)?));
            }
            _ => return Ok(None),
        };
        if value.is_null() {
            // Equality with a null is null for a null and false for the rest; order is null.
            return Ok(match (op, want) {
                ("eq", true) | ("ne", false) | ("lt" | "le" | "gt" | "ge", _) => Some(Arena::FALSE),
                _ => {
                    let n = self.null(subject)?;
                    Some(self.arena.not(n))
                }
            });
        }
        if matches!(op, "eq" | "ne")
            && let Value::Str(text) = value
        {
            if let Some((number, nullable)) = number_as_text(subject) {
                // Of a null there is no text then, which is no text at all, not even "".
                let n = match nullable && text.is_empty() {
                    true => Arena::FALSE,
                    false => self.number_text(number, text)?,
                };
                return Ok(Some(if (op == "eq") == want { n } else { self.arena.not(n) }));
            }
            if let Some(parts) = concat::parts(subject)
                && let Some(n) = self.concat(parts, text, true, true, false)?
            {
                return Ok(Some(if (op == "eq") == want { n } else { self.arena.not(n) }));
            }
        }
        if self.needs_enumeration(subject) {
            return Ok(None);
        }
        let Some(term) = self.term(subject)? else { return Ok(None) };
        if matches!(op, "eq" | "ne") {
            let Some(n) = self.equals(&term, subject.ty, value) else { return Ok(None) };
            return Ok(Some(if (op == "eq") == want { n } else { self.arena.not(n) }));
        }
        // False is the opposite comparison: both are null for a null.
        let op = match (op, want) {
            ("lt", true) | ("ge", false) => Order::Lt,
            ("le", true) | ("gt", false) => Order::Le,
            ("gt", true) | ("le", false) => Order::Gt,
            _ => Order::Ge,
        };
        Ok(match (term, value) {
            (Term::Whole(var), Value::Real(r)) => {
                // Beyond 2^52 the comparison rounds; that is left to evaluation.
                if r.abs() > 4e15 || r.is_nan() {
                    return Ok(None);
                }
                let (order, k) = match op {
                    Order::Lt => (Order::Le, r.ceil() as i64 - 1),
                    Order::Le => (Order::Le, r.floor() as i64),
                    Order::Gt => (Order::Ge, r.floor() as i64 + 1),
                    _ => (Order::Ge, r.ceil() as i64),
                };
                Some(self.atom(var, Test::Whole(order, k), None))
            }
            (Term::Whole(var), v) if fits(subject.ty, v) => {
                let Some(k) = v.as_i64() else { return Ok(None) };
                let made = match op {
                    Order::Lt => k.checked_sub(1).map(|k| (Order::Le, k)),
                    Order::Gt => k.checked_add(1).map(|k| (Order::Ge, k)),
                    o => Some((o, k)),
                };
                // Below the least number there is none.
                Some(made.map_or(Arena::FALSE, |(o, k)| self.atom(var, Test::Whole(o, k), None)))
            }
            (Term::Real(var), Value::Real(_) | Value::Long(_)) => {
                let Some(r) = value.as_f64().filter(|r| !r.is_nan()) else { return Ok(None) };
                Some(self.atom(var, Test::Real(op, (r + 0.0).to_bits()), None))
            }
            _ => None,
        })
    }

    /// "The text of a whole number is this", where the text of a null is "".
    fn number_text(&mut self, number: &Expr, text: &str) -> Built {
        if text.is_empty() {
            return self.null(number);
        }
        match text.parse::<i64>().ok().filter(|n| n.to_string() == text) {
            None => Ok(Arena::FALSE),
            Some(n) => {
                let n = Expr::literal(Value::Long(n), number.span);
                match self.compare("eq", number, &n, true)? {
                    Some(n) => Ok(n),
                    None => self.opaque(
                        &Expr::known("eq", vec![number.clone(), n], number.span),
                        true,
                        false,
                        false,
                    ),
                }
            }
        }
    }

    /// Equality of two computed values or columns, whichever is written first.
    fn same(&mut self, function: &str, a: &Expr, b: &Expr, want: bool) -> Built {
        let plain = |e: &Expr| match &e.kind {
            ExprKind::Call(f, args) if f.name == "tostring" && args[0].ty == Type::String => args[0].clone(),
            _ => e.clone(),
        };
        let (pa, pb) = (plain(a), plain(b));
        // To a comparison that ignores case a null is "" anyway.
        let (a, b) = if function == "eq_ci" { (&pa, &pb) } else { (a, b) };
        let swapped = key(&pa) > key(&pb);
        let make = |f: &str, a: &Expr, b: &Expr| {
            let (a, b) = if swapped { (b, a) } else { (a, b) };
            Expr::known(f, vec![a.clone(), b.clone()], a.span)
        };
        let e = make(function, a, b);
        // It is null only if both sides are.
        let never_null = |e: &Expr| {
            matches!(&e.kind, ExprKind::Call(f, _)
                if matches!(f.name, "tostring" | "tolower" | "toupper" | "strcat" | "basename"))
        };
        let two_valued = function == "eq_ci" || never_null(a) || never_null(b);
        let n = self.opaque(&e, want, two_valued, false)?;
        // Equal texts are equal up to case.
        if a.ty == Type::String && b.ty == Type::String {
            let text = |e: &Expr| Expr::known("tostring", vec![e.clone()], e.span);
            let blind = self.opaque_atom(&make("eq_ci", &pa, &pb));
            for exact in [make("eq", &pa, &pb), make("eq", &text(&pa), &text(&pb))] {
                if let (Some(x), Some(y)) = (self.opaque_atom(&exact), blind) {
                    self.facts.push(vec![(x, false), (y, true)]);
                }
            }
        }
        Ok(n)
    }

    /// "This expression of several columns is true", if it has been asked.
    fn opaque_atom(&self, e: &Expr) -> Option<AtomId> {
        let text = key(e);
        let var = self.atoms.var_named(&text)?;
        self.atoms.find(var, Test::Opaque { key: text.into(), outcome: true, address: false })
    }

    /// Two-valued equality with a value that is not null.
    fn equals(&mut self, term: &Term, ty: Type, value: &Value) -> Option<Node> {
        match term {
            Term::Text { var, lens, never_null } => {
                let text = match value {
                    Value::Str(s) => s.clone(),
                    Value::Dynamic(serde_json::Value::String(s)) if ty != Type::Dynamic => s.clone(),
                    _ => return None,
                };
                let n = self.text_atom(*var, lens, literal(&text, true, true, false));
                if *never_null || !text.is_empty() {
                    return Some(n);
                }
                let null = self.null_atom(*var);
                let there = self.arena.not(null);
                Some(self.arena.and(vec![n, there]))
            }
            Term::Whole(var) => match value {
                Value::Real(r) if r.abs() <= 4e15 => Some(if r.fract() == 0.0 {
                    self.atom(*var, Test::Whole(Order::Eq, *r as i64), None)
                } else {
                    Arena::FALSE
                }),
                v if fits(ty, v) => {
                    let k = v.as_i64()?;
                    Some(self.atom(*var, Test::Whole(Order::Eq, k), None))
                }
                _ => None,
            },
            Term::Real(var) => match value {
                Value::Real(_) | Value::Long(_) => {
                    let r = value.as_f64().filter(|r| !r.is_nan())?;
                    Some(self.atom(*var, Test::Real(Order::Eq, (r + 0.0).to_bits()), None))
                }
                _ => None,
            },
        }
    }

    fn atom(&mut self, var: VarId, test: Test, expr: Option<&Expr>) -> Node {
        let (a, _) = self.atoms.intern(var, test, expr);
        self.arena.lit(a, true)
    }

    /// An expression of which only the outcome counts.
    fn opaque(&mut self, e: &Expr, want: bool, two_valued: bool, address: bool) -> Built {
        if two_valued && !want {
            let n = self.opaque(e, true, true, address)?;
            return Ok(self.arena.not(n));
        }
        let mut columns = Vec::new();
        e.columns(&mut columns);
        columns.sort();
        columns.dedup_by(|a, b| a.0 == b.0);
        let text = key(e);
        let var = match &columns[..] {
            [(name, _)] => {
                let ty = column_type(e, name).unwrap_or(Type::String);
                self.column(name, ty)
            }
            _ => match self.atoms.var_named(&text) {
                Some(v) => v,
                None => self.atoms.add_var(
                    text.clone(),
                    Variable {
                        expr: e.clone(),
                        column: None,
                        columns: columns.iter().map(|c| c.0.clone()).collect(),
                        kind: VarKind::Free,
                        domain: None,
                        atoms: Vec::new(),
                    },
                ),
            },
        };
        let key: Arc<str> = text.into();
        let test = |outcome| Test::Opaque { key: key.clone(), outcome, address };
        let (a, fresh) = self.atoms.intern(var, test(want), Some(e));
        if fresh && let Some(other) = self.atoms.find(var, test(!want)) {
            self.facts.push(vec![(a, false), (other, false)]);
        }
        Ok(self.arena.lit(a, true))
    }
}

/// A whole number that is read as text, and whether the text of a null is null.
fn number_as_text(e: &Expr) -> Option<(&Expr, bool)> {
    match &e.kind {
        ExprKind::Call(f, args) if matches!(f.name, "tostring" | "text_or_null") => {
            let [x] = args.as_slice() else { return None };
            matches!(x.ty, Type::Int | Type::Long).then_some((x, f.name == "text_or_null"))
        }
        _ => None,
    }
}

/// A literal test in its usual form: text of which no character has another case has none to ignore.
pub(crate) fn literal(text: &str, start: bool, end: bool, ci: bool) -> TextTest {
    let caseless = regexes::caseless(text);
    let text = if ci { fold(text) } else { text.to_string() };
    TextTest::Literal { text: text.into(), start, end, ci: ci || caseless }
}

fn kind(ty: Type, domain: Option<&Domain>) -> VarKind {
    match bounds(ty, domain) {
        Some((from, to)) => VarKind::Integer { from, to },
        None if matches!(ty, Type::Real | Type::Decimal) => VarKind::Real,
        None => VarKind::Text,
    }
}

fn as_term(var: VarId, kind: VarKind, never_null: bool) -> Option<Term> {
    match kind {
        VarKind::Text => Some(Term::Text { var, lens: Lens::default(), never_null }),
        VarKind::Integer { .. } => Some(Term::Whole(var)),
        VarKind::Real => Some(Term::Real(var)),
        VarKind::Free => None,
    }
}

/// Whether a literal compares with a whole number of this type by its number alone.
fn fits(ty: Type, v: &Value) -> bool {
    match ty {
        Type::Bool => matches!(v, Value::Bool(_)),
        Type::Int | Type::Long => matches!(v, Value::Long(_)),
        Type::DateTime => matches!(v, Value::DateTime(_)),
        Type::TimeSpan => matches!(v, Value::TimeSpan(_)),
        _ => false,
    }
}

/// The type under which an expression reads a column.
fn column_type(e: &Expr, name: &Name) -> Option<Type> {
    match &e.kind {
        ExprKind::Column(n) if n == name => Some(e.ty),
        _ => e.children().into_iter().find_map(|c| column_type(c, name)),
    }
}

/// An element of a literal array as `in` compares it.
fn natural(j: &serde_json::Value) -> Value {
    match j {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::String(s) => Value::Str(s.clone()),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(n) => Value::Long(n),
            None => Value::Real(n.as_f64().unwrap_or(f64::NAN)),
        },
        j => Value::Dynamic(j.clone()),
    }
}
