//! The theory of one text: which tests can hold together.

mod alphabet;
mod candidates;
mod machine;
mod search;

use crate::addresses;
use crate::atom::{Atoms, Test, TextTest, Variable, text_value};
use crate::budget::{Meter, NO_TIME};
use crate::concrete::in_domain;
use crate::formula::AtomId;
use crate::theory::{Outcome, enumerate};
use search::{Found, Wanted, search};
use tercel_ir::function::fold;
use tercel_ir::{Domain, Value};

/// Rounds of adding violated tests to a search.
const ROUNDS: usize = 400;
/// Cores larger than this are not made smaller.
const SMALL: usize = 10;

/// A value for which every atom is as wanted.
pub(crate) fn solve(atoms: &Atoms, var: &Variable, lits: &[(AtomId, bool)], meter: &mut Meter) -> Outcome {
    let holds = |i: usize, v: &Value| atoms.holds(lits[i].0, v) == lits[i].1;
    let null = lits.iter().position(|l| atoms.atom(l.0).test == Test::Null);
    if let Some(n) = null
        && lits[n].1
    {
        return match (0..lits.len()).find(|i| !holds(*i, &Value::Null)) {
            None => Outcome::Sat(Value::Null),
            Some(i) => Outcome::Conflict(vec![n, i]),
        };
    }
    let never = Domain::Never;
    let few: Option<Vec<Value>> = match var.domain.as_ref() {
        Some(d) if *d == never => Some(Vec::new()),
        Some(Domain::Values { values, closed: true }) => {
            Some(values.iter().map(|s| text_value(var.expr.ty, s.clone())).collect())
        }
        _ => None,
    };
    if let Some(values) = few {
        let all = values.into_iter().chain([Value::Null, text_value(var.expr.ty, String::new())]);
        return enumerate(lits.len(), all, holds, meter);
    }
    // Nothing is better than something that must avoid things.
    let positive = |i: usize| lits[i].1;
    if null.is_none() && !(0..lits.len()).any(positive) && (0..lits.len()).all(|i| holds(i, &Value::Null)) {
        return Outcome::Sat(Value::Null);
    }
    let evaluator = Evaluator::new(atoms, lits);
    let no_separators = var.domain == Some(Domain::FileName);
    let address = var.domain == Some(Domain::Ip);
    let addresses = lits.iter().any(|l| matches!(atoms.atom(l.0).test, Test::Opaque { address: true, .. }));

    if meter.late() {
        return Outcome::Unknown(NO_TIME.into());
    }
    let mut of_addresses = Vec::new();
    if address || addresses {
        let (values, complete) = addresses::values(atoms, lits, address);
        if complete {
            let made = values.into_iter().map(|s| text_value(var.expr.ty, s));
            return enumerate(lits.len(), [Value::Null].into_iter().chain(made), holds, meter);
        }
        of_addresses = values;
    }
    let mut found: Option<Outcome> = None;
    // False when there is an outcome.
    let mut try_one = |s: &str, meter: &mut Meter| {
        let possible = !(no_separators && s.contains(['\\', '/']))
            && (!address || in_domain(Some(&Domain::Ip), &Value::str(s)));
        if !possible {
            return true;
        }
        // A long text with many needles takes as long as both say.
        if !meter.work(lits.len().saturating_mul(1 + s.len() / 64)) {
            found = Some(Outcome::Unknown(NO_TIME.into()));
        } else if evaluator.violated(s).is_none() {
            found = Some(Outcome::Sat(text_value(var.expr.ty, s.to_string())));
        }
        found.is_none()
    };
    let listed: &[String] = match &var.domain {
        Some(Domain::Values { values, .. }) => values,
        _ => &[],
    };
    let mut more = listed.iter().all(|s| try_one(s, meter));
    if more {
        candidates::candidates(atoms, var, lits, meter, &mut |s, meter| {
            more = try_one(s, meter);
            more
        });
    }
    let _ = more && of_addresses.iter().all(|s| try_one(s, meter));
    if let Some(outcome) = found {
        return outcome;
    }
    // An equality leaves one text, up to case.
    let equal = lits.iter().enumerate().find_map(|(i, (a, p))| match &atoms.atom(*a).test {
        Test::Text(l, TextTest::Literal { text, start: true, end: true, ci }) if *p && l.is_identity() => {
            Some((i, text.clone(), *ci))
        }
        _ => None,
    });
    if let Some((i, text, ci)) = equal {
        let bad = (0..lits.len()).find(|j| {
            (!ci || ignores_case(&atoms.atom(lits[*j].0).test))
                && !holds(*j, &text_value(var.expr.ty, text.to_string()))
        });
        if let Some(j) = bad {
            return Outcome::Conflict(vec![i, j]);
        }
    }
    if let Some(core) = shown_by_texts(atoms, lits) {
        return Outcome::Conflict(core);
    }
    // The search knows texts only; what is opaque may still be settled by a text that it finds.
    let texts: Vec<usize> =
        (0..lits.len()).filter(|i| matches!(atoms.atom(lits[*i].0).test, Test::Text(..))).collect();
    match refine(atoms, lits, &texts, &evaluator, no_separators, meter) {
        // What stands in a column of addresses is one; the search knows nothing of that.
        Ok(Refined::Text(s)) if address && !in_domain(Some(&Domain::Ip), &Value::str(s.as_str())) => {
            Outcome::Unknown("addresses that are looked at as texts".into())
        }
        Ok(Refined::Text(s)) => match evaluator.violated(&s) {
            None => Outcome::Sat(text_value(var.expr.ty, s)),
            Some(_) => Outcome::Unknown("a function that is only understood by trying values".into()),
        },
        Ok(Refined::Core(core)) => Outcome::Conflict(core),
        Err(why) => Outcome::Unknown(why.into()),
    }
}

/// Whether the answer is the same for all spellings of a text.
fn ignores_case(t: &Test) -> bool {
    match t {
        Test::Null => true,
        Test::Text(l, TextTest::Literal { ci, .. } | TextTest::Term { ci, .. }) => *ci && l.is_identity(),
        _ => false,
    }
}

/// A positive literal whose text holds that of a negative one: `contains "abc"`, not `contains "b"`.
fn shown_by_texts(atoms: &Atoms, lits: &[(AtomId, bool)]) -> Option<Vec<usize>> {
    let literal = |i: usize| match &atoms.atom(lits[i].0).test {
        Test::Text(l, TextTest::Literal { text, start, end, ci }) => Some((l, text, *start, *end, *ci)),
        _ => None,
    };
    let positives: Vec<usize> = (0..lits.len()).filter(|i| lits[*i].1).take(64).collect();
    for p in positives {
        let Some((lens, text, start, end, ci)) = literal(p) else { continue };
        for n in (0..lits.len()).filter(|i| !lits[*i].1) {
            let Some((other, needle, s, e, blind)) = literal(n) else { continue };
            if other != lens || ci && !blind {
                continue;
            }
            let folded;
            let text: &str = if blind && !ci {
                folded = fold(text);
                &folded
            } else {
                text
            };
            let implied = match (s, e) {
                (true, true) => start && end && *text == **needle,
                (true, false) => start && text.starts_with(&**needle),
                (false, true) => end && text.ends_with(&**needle),
                (false, false) => text.contains(&**needle),
            };
            if implied {
                return Some(vec![p, n]);
            }
        }
    }
    None
}

enum Refined {
    Text(String),
    Core(Vec<usize>),
}

/// Whether two plain texts exclude each other in one text, both looked for in the same way; `None` where a search
/// must tell. A beginning and an end, or anything and a text in the middle, go together always.
fn plain_pair(atoms: &Atoms, a: AtomId, b: AtomId) -> Option<bool> {
    let Test::Text(l, TextTest::Literal { text: t, start: s, end: e, ci }) = &atoms.atom(a).test else {
        return None;
    };
    let Test::Text(m, TextTest::Literal { text: u, start: v, end: w, ci: other }) = &atoms.atom(b).test
    else {
        return None;
    };
    if !l.is_identity() || !m.is_identity() || ci != other {
        return None;
    }
    if *s && *e || *v && *w {
        let (whole, part, start, end) = if *s && *e { (t, u, *v, *w) } else { (u, t, *s, *e) };
        return Some(!match (start, end) {
            (true, true) => whole == part,
            (true, false) => whole.starts_with(&**part),
            (false, true) => whole.ends_with(&**part),
            (false, false) => whole.contains(&**part),
        });
    }
    Some(
        *s && *v && !t.starts_with(&**u) && !u.starts_with(&**t)
            || *e && *w && !t.ends_with(&**u) && !u.ends_with(&**t),
    )
}

/// Searches with the positive tests only, and adds the others as they are violated.
fn refine(
    atoms: &Atoms,
    lits: &[(AtomId, bool)],
    texts: &[usize],
    evaluator: &Evaluator<'_>,
    no_separators: bool,
    meter: &mut Meter,
) -> Result<Refined, &'static str> {
    let wanted = |active: &[usize]| -> Vec<(TextTest, std::sync::Arc<crate::lens::Lens>, bool)> {
        active
            .iter()
            .filter_map(|i| match &atoms.atom(lits[*i].0).test {
                Test::Text(l, t) => Some((t.clone(), l.clone(), lits[*i].1)),
                _ => None,
            })
            .collect()
    };
    let run = |active: &[usize], limit: usize, meter: &mut Meter| -> Found {
        let w = wanted(active);
        let w: Vec<Wanted<'_>> = w.iter().map(|(t, l, p)| (t, l.as_ref(), *p)).collect();
        search(&w, no_separators, limit, meter)
    };
    let positives: Vec<usize> = texts.iter().copied().filter(|i| lits[*i].1).collect();
    // Two that contradict each other are found without the product of all.
    if positives.len() > 2 && positives.len() <= 24 {
        for (k, a) in positives.iter().enumerate() {
            for b in &positives[k + 1..] {
                if meter.late() {
                    return Err(NO_TIME);
                }
                // Of plain texts it shows without any search.
                match plain_pair(atoms, lits[*a].0, lits[*b].0) {
                    Some(true) => return Ok(Refined::Core(vec![*a, *b])),
                    Some(false) => continue,
                    None => {}
                }
                if let Found::Nothing = run(&[*a, *b], 3_000, meter) {
                    return Ok(Refined::Core(vec![*a, *b]));
                }
            }
        }
    }
    let mut active = if positives.len() > 2 { Vec::new() } else { positives.clone() };
    if positives.len() > 2 {
        active.extend(positives.iter().take(2));
    }
    for _ in 0..ROUNDS {
        if meter.late() {
            return Err(NO_TIME);
        }
        match run(&active, meter.states, meter) {
            Found::Text(s) => {
                let mut added = 0;
                for i in evaluator.violated_texts(&s) {
                    if !active.contains(&i) {
                        active.push(i);
                        added += 1;
                        if added == 3 {
                            break;
                        }
                    }
                }
                if added == 0 {
                    return Ok(Refined::Text(s));
                }
            }
            Found::Nothing => {
                if active.len() <= SMALL {
                    let mut i = 0;
                    // Out of time the core is a larger one, which is as true.
                    while i < active.len() && active.len() > 1 && !meter.late() {
                        let mut less = active.clone();
                        less.remove(i);
                        match run(&less, 5_000, meter) {
                            Found::Nothing => active = less,
                            _ => i += 1,
                        }
                    }
                }
                return Ok(Refined::Core(active));
            }
            Found::Unknown(why) => return Err(why),
        }
    }
    Err("the search for a text takes too many rounds")
}

/// Evaluates many tests of one text quickly: images under the lenses are made once.
struct Evaluator<'a> {
    atoms: &'a Atoms,
    lits: &'a [(AtomId, bool)],
    /// For each literal the place of its lens in `lenses`; none for tests that are not of text.
    lens_of: Vec<Option<usize>>,
    lenses: Vec<&'a crate::lens::Lens>,
}

impl<'a> Evaluator<'a> {
    fn new(atoms: &'a Atoms, lits: &'a [(AtomId, bool)]) -> Evaluator<'a> {
        let mut lenses: Vec<&crate::lens::Lens> = Vec::new();
        let lens_of = lits
            .iter()
            .map(|(a, _)| match &atoms.atom(*a).test {
                Test::Text(l, _) => Some(lenses.iter().position(|x| *x == l.as_ref()).unwrap_or_else(|| {
                    lenses.push(l);
                    lenses.len() - 1
                })),
                _ => None,
            })
            .collect();
        Evaluator { atoms, lits, lens_of, lenses }
    }
    fn images(&self, s: &str) -> Vec<(String, String)> {
        self.lenses
            .iter()
            .map(|l| {
                let i = l.apply(s);
                let f = fold(&i);
                (i, f)
            })
            .collect()
    }
    /// A literal that the text violates.
    fn violated(&self, s: &str) -> Option<usize> {
        let images = self.images(s);
        (0..self.lits.len()).find(|i| match self.lens_of[*i] {
            Some(l) => {
                self.atoms.holds_of_image(self.lits[*i].0, &images[l].0, &images[l].1) != self.lits[*i].1
            }
            None => self.atoms.holds(self.lits[*i].0, &Value::str(s)) != self.lits[*i].1,
        })
    }
    /// The text literals that the text violates.
    fn violated_texts(&self, s: &str) -> Vec<usize> {
        let images = self.images(s);
        (0..self.lits.len())
            .filter(|i| {
                self.lens_of[*i].is_some_and(|l| {
                    self.atoms.holds_of_image(self.lits[*i].0, &images[l].0, &images[l].1) != self.lits[*i].1
                })
            })
            .collect()
    }
}
