//! Columns and computed values as variables of the theories, and tests of text in their simplest form.

use super::{Builder, Term, as_term, column_type, kind, literal, needles};
use crate::Unknown;
use crate::atom::{Test, TextTest, VarId, Variable};
use crate::formula::{Arena, Node};
use crate::key::key;
use crate::lens::{CaseMap, Lens};
use std::sync::Arc;
use tercel_ir::function::fold;
use tercel_ir::{Domain, Expr, ExprKind, Function, Name, Type};

/// What a function does to how its argument is seen; `None` where no lens shows it.
type Change = Box<dyn Fn(Lens) -> Option<Lens>>;

impl Builder {
    pub(super) fn column(&mut self, name: &Name, ty: Type) -> VarId {
        // A list asks for one column many times over.
        if let Some((last, v)) = &self.last_column
            && last == name
        {
            return *v;
        }
        let v = self.new_or_known_column(name, ty);
        self.last_column = Some((name.clone(), v));
        v
    }

    fn new_or_known_column(&mut self, name: &Name, ty: Type) -> VarId {
        let key = format!("[{name}]");
        if let Some(v) = self.atoms.var_named(&key) {
            return v;
        }
        let declared = self.schema.get(name);
        let ty = declared.map_or(ty, |c| c.ty);
        let domain = declared.and_then(|c| c.domain.clone());
        let v = Variable {
            expr: Expr::column(name.clone(), ty, tercel_ir::Span::default()),
            column: Some(name.clone()),
            columns: vec![name.clone()],
            kind: kind(ty, domain.as_ref()),
            domain,
            atoms: Vec::new(),
        };
        self.atoms.add_var(key, v)
    }

    /// A computed value of one column with few values: evaluation of each decides more than a variable
    /// of its own would.
    pub(super) fn needs_enumeration(&self, e: &Expr) -> bool {
        if !matches!(e.kind, ExprKind::Call(..)) {
            return false;
        }
        let mut columns = Vec::new();
        e.columns(&mut columns);
        let Some((first, _)) = columns.first() else { return false };
        if columns.iter().any(|c| c.0 != *first) {
            return false;
        }
        let declared = self.schema.get(first);
        let ty = declared.map(|c| c.ty).or_else(|| column_type(e, first));
        match (ty, declared.and_then(|c| c.domain.as_ref())) {
            (Some(Type::Bool), _) | (_, Some(Domain::Never)) => true,
            (Some(t), Some(Domain::Range { from, to })) if t.is_integer() => {
                to.saturating_sub(*from) < 70_000
            }
            // An integer's text is compared by evaluation; only hints and intervals are known about it.
            (Some(t), _)
                if t.is_integer() && matches!(&e.kind, ExprKind::Call(f, _) if f.name == "tostring") =>
            {
                true
            }
            (Some(Type::String), Some(Domain::Values { closed: true, .. })) => true,
            _ => false,
        }
    }

    pub(super) fn term(&mut self, e: &Expr) -> Result<Option<Term>, Unknown> {
        self.spend()?;
        match &e.kind {
            ExprKind::Column(n) => {
                let var = self.column(n, e.ty);
                Ok(as_term(var, self.atoms.vars[var as usize].kind, false))
            }
            ExprKind::Call(f, args) => {
                if let Some(t) = self.seen_through(f, args)? {
                    return Ok(Some(t));
                }
                self.derived(e)
            }
            _ => Ok(None),
        }
    }

    /// Texts that a lens shows.
    fn seen_through(&mut self, f: &Function, args: &[Expr]) -> Result<Option<Term>, Unknown> {
        let text = |t: Type| matches!(t, Type::String | Type::Guid | Type::Dynamic);
        let (inner, change): (&Expr, Change) = match (f.name, args) {
            ("tolower", [x]) => (x, Box::new(|l: Lens| Some(l.mapped(CaseMap::Lower)))),
            ("toupper", [x]) => (x, Box::new(|l: Lens| Some(l.mapped(CaseMap::Upper)))),
            ("basename", [x]) => (x, Box::new(Lens::based)),
            ("tostring", [x]) if text(x.ty) => (x, Box::new(Some)),
            ("strcat", _) => {
                let Some(at) = args.iter().position(|a| a.as_literal().is_none()) else { return Ok(None) };
                let (before, after) = (needles(&args[..at]), needles(&args[at + 1..]));
                let (Some(before), Some(after)) = (before, after) else { return Ok(None) };
                let (before, after) = (before.concat(), after.concat());
                (&args[at], Box::new(move |l: Lens| Some(l.wrapped(&before, &after))))
            }
            _ => return Ok(None),
        };
        if !text(inner.ty) {
            return Ok(None);
        }
        let Some(Term::Text { var, lens, .. }) = self.term(inner)? else { return Ok(None) };
        Ok(change(lens).map(|lens| Term::Text { var, lens, never_null: true }))
    }

    /// A computed value as a variable of its own.
    fn derived(&mut self, e: &Expr) -> Result<Option<Term>, Unknown> {
        let mut columns = Vec::new();
        e.columns(&mut columns);
        if columns.is_empty() {
            return Ok(None);
        }
        columns.sort();
        columns.dedup_by(|a, b| a.0 == b.0);
        let text = key(e);
        if let Some(v) = self.atoms.var_named(&text) {
            return Ok(as_term(v, self.atoms.vars[v as usize].kind, false));
        }
        let domain = match &e.kind {
            ExprKind::Call(f, _) if f.name == "ip_address_class" => Some(Domain::Values {
                values: [
                    "Public",
                    "Private",
                    "Reserved",
                    "Loopback",
                    "Broadcast",
                    "Teredo",
                    "FourToSixMapping",
                ]
                .map(String::from)
                .into(),
                closed: true,
            }),
            _ => None,
        };
        let v = Variable {
            kind: kind(e.ty, domain.as_ref()),
            expr: e.clone(),
            column: None,
            columns: columns.into_iter().map(|c| c.0).collect(),
            domain,
            atoms: Vec::new(),
        };
        let kind = v.kind;
        let var = self.atoms.add_var(text, v);
        Ok(as_term(var, kind, false))
    }

    /// Whether no value of the variable passes a test for a text, by what is known of all its values: names of files
    /// have no separators, folders end with one, and what a choice has said before.
    pub(super) fn never(&self, var: VarId, lens: &Lens, text: &str, start: bool, end: bool) -> bool {
        if text.is_empty() || !lens.prefix.is_empty() || !lens.suffix.is_empty() {
            return false;
        }
        // Separators have no case, so it does not matter how the text is folded or mapped.
        let separator = ['\\', '/'];
        let v = &self.atoms.vars[var as usize];
        if v.domain == Some(Domain::FileName) && text.contains(separator) {
            return true;
        }
        if !end || lens.base {
            return false;
        }
        if matches!(&v.expr.kind, ExprKind::Call(f, _) if f.name == "dirname") && !text.ends_with(separator) {
            return true;
        }
        let mut endings = self.ending.iter().filter(|e| e.0 == var).peekable();
        if !lens.is_identity() || endings.peek().is_none() {
            return false;
        }
        let text = fold(text);
        endings.any(|(_, e)| !(text.ends_with(&**e) || !start && e.ends_with(&text)))
    }

    // ---- text -------------------------------------------------------------------------------------

    /// A text test as seen through a lens, in the simplest form: equal tests become equal atoms.
    pub(super) fn text_atom(&mut self, var: VarId, lens: &Lens, test: TextTest) -> Node {
        match &test {
            TextTest::Literal { text, start, end, .. } if text.is_empty() && !(*start && *end) => {
                return Arena::TRUE;
            }
            TextTest::Term { text, .. } if text.is_empty() => return Arena::TRUE,
            _ => {}
        }
        let never = match &test {
            TextTest::Literal { text, start, end, .. } => self.never(var, lens, text, *start, *end),
            TextTest::Term { text, .. } => self.never(var, lens, text, false, false),
            TextTest::Regex(_) => false,
        };
        if never {
            return Arena::FALSE;
        }
        let mut lens = lens.clone();
        let mut test = test;
        if let TextTest::Literal { text, start, end, ci } = &test {
            let (start, end) = (*start, *end);
            // A known beginning is cut off from a prefix.
            if start && !end && lens.suffix.is_empty() && !lens.prefix.is_empty() {
                let p = if *ci { fold(&lens.prefix) } else { lens.prefix.clone() };
                if p.starts_with(&**text) {
                    return Arena::TRUE;
                }
                match text.strip_prefix(p.as_str()) {
                    Some(rest) => {
                        test = literal(rest, true, false, *ci);
                        lens.prefix.clear();
                    }
                    None => return Arena::FALSE,
                }
            }
        }
        if let TextTest::Literal { text, start, end, ci } = &test {
            let (start, end) = (*start, *end);
            // Ends that are known are cut off from an equality.
            if start && end && !(lens.prefix.is_empty() && lens.suffix.is_empty()) {
                let (p, s) = if *ci {
                    (fold(&lens.prefix), fold(&lens.suffix))
                } else {
                    (lens.prefix.clone(), lens.suffix.clone())
                };
                match text.strip_prefix(p.as_str()).and_then(|t| t.strip_suffix(s.as_str())) {
                    Some(middle) => {
                        test = literal(middle, true, true, *ci);
                        lens.prefix.clear();
                        lens.suffix.clear();
                    }
                    None => return Arena::FALSE,
                }
            }
        }
        if let TextTest::Literal { text, start, end, ci } = &test
            && lens.maps == [CaseMap::Lower]
            && lens.prefix.is_empty()
            && lens.suffix.is_empty()
            && text.chars().all(plain_lower)
        {
            // The one character whose lower case is more than one is `İ`; its `i` can only be the last letter
            // of a match.
            if !*ci && text.bytes().any(|b| b.is_ascii_uppercase()) {
                return Arena::FALSE;
            }
            if *end || !text.ends_with('i') {
                test = literal(text, *start, *end, true);
                lens.maps.clear();
            }
        }
        if let TextTest::Literal { text, start, end, ci } = &test
            && lens.base
            && lens.maps.is_empty()
            && lens.prefix.is_empty()
            && lens.suffix.is_empty()
        {
            let (text, start, end, ci) = (text.clone(), *start, *end, *ci);
            if text.contains(['\\', '/']) {
                return Arena::FALSE;
            }
            let plain = Lens::default();
            if end && !start {
                return self.text_atom(var, &plain, test);
            }
            if end {
                let whole = self.text_atom(var, &plain, test);
                let a = self.text_atom(var, &plain, literal(&format!("\\{text}"), false, true, ci));
                let b = self.text_atom(var, &plain, literal(&format!("/{text}"), false, true, ci));
                return self.arena.or(vec![whole, a, b]);
            }
        }
        let lens = if lens.is_identity() { self.plain.clone() } else { Arc::new(lens) };
        self.atom(var, Test::Text(lens, test), None)
    }
}

/// Lower-casing and folding differ in `İ`, which becomes `i` and a dot above, and in `Σ`, which has two lower cases.
/// A text without any of these is found in the one exactly where it is found in the other.
fn plain_lower(c: char) -> bool {
    c.is_ascii()
        || !matches!(c, '\u{3c3}' | '\u{3c2}' | '\u{3a3}' | '\u{307}' | '\u{130}') && c.to_lowercase().eq([c])
}
