//! Correlations of hits: counts, sums and sequences within a time, in languages that aggregate.
//!
//! A correlation looks at windows that slide: with every hit one ends (or, where more hits could change the
//! answer, begins). In KQL and SQL that is said as it is, by joining the hits with the ends of the windows, so
//! that the rows found are the moments at which the condition holds. Sumo Logic has no such join: there time is
//! cut into slices, and what lies across a cut is missed, which is a loss that the result names.
//!
//! The filters of the rules are proved one by one. That the windows are the same is by construction, and
//! tests hold it to the oracle of the engine that runs correlations.

mod kql;
mod sumo;

use crate::asks::{Detection, Language, Options, Prove, Target, Vocabulary};
use crate::hub::Hub;
use crate::out::{Conversion, Effect, Fidelity, Loss};
use std::collections::BTreeSet;
use tercel_ir::correlation::{Comparison, Key, Kind, Plan, RuleExpr, Trigger, UNBOUNDED};
use tercel_ir::{Diagnostic, Expr, ExprKind, Name, Span, Type, time};
use tercel_schema::SchemaCatalog;
use tercel_sigma::ast::Meta;

/// A correlation to convert.
#[derive(Clone, Copy, Debug)]
pub struct Correlation<'a> {
    /// When it fires.
    pub plan: &'a Plan,
    /// What it says about itself.
    pub meta: &'a Meta,
    /// The detections whose hits it correlates, in the order of [`Plan::rules`].
    pub rules: &'a [Detection<'a>],
}

/// Converts a correlation.
///
/// # Errors
/// When a detection is no filter or the catalog cannot be used; what the target cannot hold is no error but a
/// refused [`Conversion`].
pub fn convert_correlation(
    c: &Correlation<'_>,
    target: Target,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    let own = |why: &str| Ok(refused(why, Vec::new()));
    match (target.language, target.vocabulary) {
        (Language::Sigma, _) => return own("a correlation is a Sigma rule already"),
        (Language::Sql, _) => return own("correlations are not written in SQL yet"),
        (Language::Sumo, Vocabulary::CloudSiem) => {
            return crate::cloud_siem::correlation(c, catalog, options, prove);
        }
        _ => {}
    }
    let mut members = Vec::with_capacity(c.rules.len());
    for (rules, hub) in hubs(c, catalog)? {
        let m = Member::new(c, rules, hub, target, catalog, options, prove)?;
        if m.filter.text.is_empty() {
            let why = m.filter.reason.clone().unwrap_or_default();
            return Ok(refused(&format!("the rule {}: {why}", m.names(c.plan)), m.filter.losses));
        }
        members.push(m);
    }
    let mut losses: Vec<Loss> = Vec::new();
    let made = match target.language {
        Language::Kql => kql::make(c, &members, &mut losses),
        _ => sumo::make(c, &members, &mut losses),
    };
    let text = match made {
        Ok(text) => text,
        Err(why) => return Ok(refused(&why, losses)),
    };
    Ok(finished(c, text, &members, losses))
}

/// The filters of the rules, with the indexes of the rules. Where it makes no difference which of the rules an
/// event is a hit of, those that look at the same events are one filter: an event that several of them find
/// counts once.
pub(crate) fn hubs(c: &Correlation, catalog: &SchemaCatalog) -> Result<Vec<(Vec<usize>, Hub)>, Diagnostic> {
    let mut out: Vec<(Vec<usize>, Hub)> = Vec::new();
    let called = |i: usize| {
        c.plan
            .group_by
            .iter()
            .chain(&c.plan.fields)
            .map(move |k| k.fields.get(i).cloned())
            .collect::<Vec<_>>()
    };
    for (i, d) in c.rules.iter().enumerate() {
        let hub = Hub::from(d, catalog)?;
        let same = |(rules, other): &&mut (Vec<usize>, Hub)| {
            !c.plan.kind.is_temporal() && other.source == hub.source && called(rules[0]) == called(i)
        };
        match out.iter_mut().find(same) {
            None => out.push((vec![i], hub)),
            Some((rules, other)) => {
                rules.push(i);
                let any = vec![other.predicate.clone(), hub.predicate];
                other.predicate = crate::logic::tidy(Expr::or(any, Span::default()));
                other.losses.extend(hub.losses);
                other.assumptions.extend(hub.assumptions);
                other.taken.extend(hub.taken);
            }
        }
    }
    Ok(out)
}

/// Text, and what is to be said about it.
fn finished(c: &Correlation, text: String, members: &[Member], own: Vec<Loss>) -> Conversion {
    let (fidelity, reason) = fidelity(c.plan, members, &own);
    let mut losses: Vec<Loss> = Vec::new();
    let mut assumptions: BTreeSet<String> = BTreeSet::new();
    for l in members.iter().flat_map(|m| &m.filter.losses).chain(&own) {
        if !losses.contains(l) {
            losses.push(l.clone());
        }
    }
    for m in members {
        assumptions.extend(m.filter.assumptions.iter().cloned());
    }
    Conversion { text, fidelity, losses, assumptions: assumptions.into_iter().collect(), reason, pair: None }
}

pub(crate) fn refused(why: &str, losses: Vec<Loss>) -> Conversion {
    Conversion {
        text: String::new(),
        fidelity: Fidelity::Refused,
        losses,
        assumptions: Vec::new(),
        reason: Some(why.to_string()),
        pair: None,
    }
}

/// Whether more hits can only help the condition.
pub(crate) fn grows(plan: &Plan) -> bool {
    !plan.waits() && plan.kind != Kind::Sum
}

/// How the whole relates to the original, from how its filters do and what its windows lose.
pub(crate) fn fidelity(plan: &Plan, members: &[Member], own: &[Loss]) -> (Fidelity, Option<String>) {
    let mut f = Fidelity::Exact;
    for m in members {
        let next = match m.filter.fidelity {
            Fidelity::Exact => continue,
            // What a filter finds more or less of shows in the count only where the count can but grow.
            Fidelity::Wider if grows(plan) => Fidelity::Wider,
            Fidelity::Narrower if grows(plan) => Fidelity::Narrower,
            Fidelity::Unproved => Fidelity::Unproved,
            _ => Fidelity::Different,
        };
        f = match (f, next) {
            (Fidelity::Exact, n) => n,
            (f, n) if f == n => f,
            (Fidelity::Unproved, _) | (_, Fidelity::Unproved) => Fidelity::Unproved,
            _ => Fidelity::Different,
        };
        if f == Fidelity::Unproved {
            let why = m.filter.reason.clone().unwrap_or_default();
            return (f, Some(format!("the filter of {} is not proved: {why}", m.names(plan))));
        }
    }
    let f = crate::out::with_losses(f, own);
    let reason = (f == Fidelity::Exact).then(|| {
        "the filters are proved; the windows are the same by construction, which is tested, not proved"
            .to_string()
    });
    (f, reason)
}

/// One of the rules correlated.
pub(crate) struct Member {
    /// Which of the plan's rules it stands for.
    pub rules: Vec<usize>,
    /// Its filter in the target, of hits that have everything that the correlation looks at.
    pub filter: Conversion,
    /// The columns by which hits are grouped, as the filter's rows have them.
    pub keys: Vec<Expr>,
    /// The columns that are counted or reckoned with.
    pub values: Vec<Expr>,
    /// The column of the time.
    pub time: Name,
    /// What is looked at, to tell whether two rules can find the same event.
    pub table: Name,
}

impl Member {
    pub fn new(
        c: &Correlation<'_>,
        rules: Vec<usize>,
        mut hub: Hub,
        target: Target,
        catalog: &SchemaCatalog,
        options: &Options,
        prove: &dyn Prove,
    ) -> Result<Member, Diagnostic> {
        let i = rules.first().copied().unwrap_or(0);
        let field = |k: &Key| k.fields.get(i).cloned().unwrap_or_else(|| k.name.clone());
        let column = |k: &Key| {
            let name = field(k);
            let ty = type_of(&hub.rel, &name);
            Expr::column(name, ty, Span::default())
        };
        let fields: Vec<Expr> = c.plan.group_by.iter().chain(&c.plan.fields).map(column).collect();
        // A hit that lacks one of them counts for nothing.
        let mut all = vec![hub.predicate.clone()];
        for f in &fields {
            let said = Expr::known("isnotempty", vec![f.clone()], Span::default());
            if !all.iter().any(|e| crate::tree::same(e, &said)) {
                all.push(said);
            }
        }
        hub.predicate = crate::logic::tidy(Expr::and(all, Span::default()));
        // The values are asked for in the rule's own vocabulary.
        hub.own = None;
        let place = crate::out::place(&hub, target, catalog);
        let original = hub_relation(&hub);
        // What each rule would show is no matter.
        let what = Detection { rel: &original, meta: &Meta::default() };
        let mut filter = crate::out::convert(hub, &what, target, catalog, options, prove)?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let (mut time, mut table) = (Name::from("TimeGenerated"), Name::from(""));
        match place {
            Err(why) if !filter.text.is_empty() => filter = refused(&why, filter.losses),
            Err(_) => {}
            Ok(place) => {
                table = place.flat.base.clone();
                if !place.extracted {
                    time = catalog.schemas().table(&table).map_or(time, |t| t.time.clone());
                }
                for (n, f) in fields.iter().enumerate() {
                    let Some(name) = f.as_column() else { continue };
                    // Taken out of XML, it goes by its own name.
                    let e = if place.extracted { Some(f.clone()) } else { place.flat.column(name, f.ty) };
                    let known = e.filter(|e| !matches!(e.kind, ExprKind::Literal(_)));
                    match known {
                        Some(e) if n < c.plan.group_by.len() => keys.push(e),
                        Some(e) => values.push(e),
                        None => {
                            let why = format!("the target has no counterpart of `{name}`");
                            filter = refused(&why, filter.losses);
                            break;
                        }
                    }
                }
            }
        }
        Ok(Member { rules, filter, keys, values, time, table })
    }

    /// The names of its rules.
    pub fn names(&self, plan: &Plan) -> String {
        let names: Vec<String> =
            self.rules.iter().filter_map(|i| plan.rules.get(*i)).map(|r| format!("`{}`", r.name)).collect();
        names.join(", ")
    }
}

/// A hub's predicate over its log source.
fn hub_relation(hub: &Hub) -> tercel_ir::Rel {
    hub.rel.clone().filter(hub.predicate.clone(), Span::default())
}

fn type_of(rel: &tercel_ir::Rel, name: &str) -> Type {
    rel.schema.get(name).map_or(Type::String, |c| c.ty)
}

/// Conditions on a number, in the order of the text.
pub(crate) fn comparisons(t: &Trigger) -> &[(Comparison, f64)] {
    match t {
        Trigger::Compare(all) => all,
        Trigger::Expression(_) => &[],
    }
}

/// A number without decimals that say nothing.
pub(crate) fn number(n: f64) -> String {
    if n.fract() == 0.0 && n.abs() < 1e15 { format!("{n:.0}") } else { n.to_string() }
}

/// An operator as most languages write it.
pub(crate) fn operator(c: Comparison, equal: &'static str) -> &'static str {
    match c {
        Comparison::Lt => "<",
        Comparison::Lte => "<=",
        Comparison::Gt => ">",
        Comparison::Gte => ">=",
        Comparison::Eq => equal,
        Comparison::Neq => "!=",
    }
}

/// A time as a literal with a unit: `10m`. None without an end, and none that needs more than milliseconds.
pub(crate) fn span_text(ticks: i64) -> Option<String> {
    if ticks == UNBOUNDED || ticks <= 0 {
        return None;
    }
    let second = time::TICKS_PER_SECOND;
    let units = [(86_400 * second, "d"), (3600 * second, "h"), (60 * second, "m"), (second, "s")];
    let unit = units.into_iter().find(|(n, _)| ticks % n == 0);
    match unit {
        Some((n, u)) => Some(format!("{}{u}", ticks / n)),
        None if ticks % (second / 1000) == 0 => Some(format!("{}ms", ticks / (second / 1000))),
        None => None,
    }
}

/// What is lost of every correlation that becomes a query.
pub(crate) fn usual_losses(plan: &Plan, losses: &mut Vec<Loss>) {
    let mut lose = |what: &str, why: &str| {
        losses.push(Loss { what: what.into(), why: why.into(), effect: Effect::None });
    };
    if plan.generate {
        lose("generate", "a query shows the correlation, not the rules' own hits as well");
    }
    if plan.timespan != UNBOUNDED {
        lose(
            "one firing a run",
            "a query has a row for every window in which the condition holds, not one for each run of them",
        );
    }
}

/// What an event that several rules find counts.
pub(crate) fn counted_twice(plan: &Plan, members: &[Member], losses: &mut Vec<Loss>) {
    let tables: BTreeSet<&str> = members.iter().map(|m| &*m.table).collect();
    if !plan.kind.is_temporal() && members.len() > tables.len() && plan.kind != Kind::ValueCount {
        let effect = if grows(plan) { Effect::Wider } else { Effect::None };
        losses.push(Loss {
            what: "events that several of the rules find".into(),
            why: "they count once for each of the rules".into(),
            effect,
        });
    }
}

/// A name as an identifier: letters, digits and underscores.
pub(crate) fn plain_name(s: &str) -> String {
    let mut out: String =
        s.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        out.insert(0, '_');
    }
    out
}

/// Names that differ from each other and from those taken.
pub(crate) fn unique_names<'n>(names: impl Iterator<Item = &'n str>, taken: &[&str]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for n in names {
        let stem = plain_name(n);
        let mut name = stem.clone();
        let mut i = 2;
        while out.iter().any(|o| o.eq_ignore_ascii_case(&name))
            || taken.iter().any(|t| t.eq_ignore_ascii_case(&name))
        {
            name = format!("{stem}{i}");
            i += 1;
        }
        out.push(name);
    }
    out
}

/// What the languages say differently in a condition over rules.
struct Words {
    equals: &'static str,
    not: &'static str,
    /// A condition as 0 or 1.
    one: fn(&str) -> String,
}

/// A condition over rules; its depth is bounded by [`tercel_ir::correlation::Plan::check`].
fn said(e: &RuleExpr, rules: &[String], words: &Words) -> String {
    let name = |i: &usize| rules.get(*i).map_or("?", String::as_str);
    let part = |e: &RuleExpr| match e {
        RuleExpr::And(_) | RuleExpr::Or(_) => format!("({})", said(e, rules, words)),
        _ => said(e, rules, words),
    };
    match e {
        RuleExpr::Rule(i) => format!("{} > 0", name(i)),
        RuleExpr::Not(inner) => match &**inner {
            RuleExpr::Rule(i) => format!("{} {} 0", name(i), words.equals),
            e => format!("{}({})", words.not, said(e, rules, words)),
        },
        RuleExpr::And(all) => all.iter().map(part).collect::<Vec<_>>().join(" and "),
        RuleExpr::Or(any) => any.iter().map(part).collect::<Vec<_>>().join(" or "),
        RuleExpr::AtLeast(n, of) => {
            let all: Vec<String> = of.iter().map(|i| (words.one)(&format!("{} > 0", name(i)))).collect();
            format!("{} >= {n}", all.join(" + "))
        }
    }
}
