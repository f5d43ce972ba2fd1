//! From the form in the middle to a target, and what is to be said about the result.

mod event;
pub(crate) mod grouped;
mod kql;
mod shape;
mod shown;
mod sigma;
mod sources;
mod sql;
mod sumo;

use crate::asks::{Detection, Language, Options, Prove, Relation, Target};
use crate::hub::Hub;
use crate::proof;
use serde::Serialize;
use tercel_ir::{Diagnostic, Expr, Rel, Span};
use tercel_schema::SchemaCatalog;

/// How a conversion relates to what it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// It finds the same events.
    Exact,
    /// It finds more.
    Wider,
    /// It finds less.
    Narrower,
    /// It finds some events that the original does not, and misses others.
    Different,
    /// There is none: nothing of the detection would be left.
    Refused,
    /// Not proved; the losses say what is known to differ.
    Unproved,
}

/// What a loss does to the events found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// More are found.
    Wider,
    /// Fewer are found.
    Narrower,
    /// The same ones; something else is lost.
    None,
}

/// Something that the target does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Of the original: a field, a condition.
    pub what: String,
    /// Of the target.
    pub why: String,
    /// What it does.
    pub effect: Effect,
}

/// A conversion.
#[derive(Clone, Debug, Serialize)]
pub struct Conversion {
    /// The text; empty when it was refused.
    pub text: String,
    /// How it relates to the original.
    pub fidelity: Fidelity,
    /// What is lost.
    pub losses: Vec<Loss>,
    /// What the result takes for granted about the data.
    pub assumptions: Vec<String>,
    /// Why the fidelity is not known, or what else is to be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The conversion and the original as filters over the same table, for further checks.
    #[serde(skip)]
    pub pair: Option<(Rel, Rel)>,
}

/// Where a log source's events stand in a target.
pub(crate) struct Place {
    pub flat: crate::flat::Flat,
    /// Fields are taken out of XML, under their own names.
    pub extracted: bool,
    /// It is where the detection comes from.
    pub own: bool,
}

/// Where the events of a hub stand in a target, or why they do not.
pub(crate) fn place(hub: &Hub, target: Target, catalog: &SchemaCatalog) -> Result<Place, String> {
    let found = match target.language {
        Language::Sumo => sumo::base(hub),
        _ => kql::base(hub, target.vocabulary, catalog).map(|x| x.0),
    };
    let flat = found.map_err(|why| match why {
        Refused::Whole(s) => s,
        Refused::Constant(..) => "nothing of it is recorded there".into(),
    })?;
    let extracted = target.vocabulary == crate::Vocabulary::Sentinel && event::holds(&flat.base);
    Ok(Place { flat, extracted, own: false })
}

/// What a target makes of a detection.
struct Made {
    text: String,
    losses: Vec<Loss>,
    assumptions: Vec<&'static str>,
    /// The assumptions as predicates over the table of the pair.
    taken: Vec<Expr>,
    pair: Option<(Rel, Rel)>,
    /// Columns of whole paths and of their last parts.
    paths: std::collections::BTreeMap<tercel_ir::Name, tercel_ir::Name>,
}

/// Why there is nothing.
enum Refused {
    /// The target has no words or no place for it.
    Whole(String),
    /// What is left would find nothing, or everything.
    Constant(bool, Vec<Loss>, Option<String>),
}

impl From<Diagnostic> for Refused {
    fn from(d: Diagnostic) -> Refused {
        Refused::Whole(match &d.meaning {
            Some(m) => format!("{}: {m}", d.message),
            None => d.message.clone(),
        })
    }
}

pub(crate) fn convert(
    hub: Hub,
    detection: &Detection<'_>,
    target: Target,
    catalog: &SchemaCatalog,
    options: &Options,
    prove: &dyn Prove,
) -> Result<Conversion, Diagnostic> {
    let own = hub.own.as_ref().filter(|(flat, _)| {
        matches!(target.language, Language::Kql | Language::Sql)
            && kql::vocabulary_of(&flat.base) == Some(target.vocabulary)
    });
    // In its own vocabulary a detection stays what it is.
    let losses_of_hub = own.is_none();
    let shown = shown::Shown::of(&hub, detection, catalog);
    let shown = shown.map(|s| {
        let place = match own {
            Some((flat, _)) => Ok(Place { flat: flat.clone(), extracted: false, own: true }),
            None => place(&hub, target, catalog),
        };
        (s, place)
    });
    let mut meta = detection.meta.clone();
    if let (Some((s, _)), true) = (&shown, meta.fields.is_empty()) {
        let text = |f: String| tercel_sigma::ast::Text::new(f, Span::default());
        meta.fields = s.fields().into_iter().map(text).collect();
    }
    let detection = &Detection { rel: detection.rel, meta: &meta };
    let made = match (own, crate::logic::as_bool(&hub.predicate)) {
        (Some((flat, predicate)), _) => {
            let mut flat = flat.clone();
            if let Some(bare) = flat.base.strip_suffix("()") {
                flat.base = bare.into();
            }
            flat.conditions.clear();
            flat.columns = Default::default();
            flat.projected = false;
            let to = flat.base.to_string();
            match target.language {
                Language::Sql => sql::finish(&hub, flat, Some(predicate), to, options),
                _ => kql::finish(&hub, flat, Some(predicate), to, target.vocabulary, catalog),
            }
        }
        (None, Some(b)) => {
            let conditions = crate::flat::flatten(detection.rel, None).map(|f| f.conditions);
            let cause = hub.cause.clone();
            let cause = cause.or_else(|| crate::cause::cause_in_itself(&conditions.unwrap_or_default()));
            Err(Refused::Constant(b, Vec::new(), cause))
        }
        (None, None) => match target.language {
            Language::Kql => kql::make(&hub, target.vocabulary, catalog, options),
            Language::Sumo => sumo::make(&hub, catalog, options),
            Language::Sigma => sigma::make(&hub, detection, catalog, options),
            Language::Sql => sql::make(&hub, target.vocabulary, catalog, options),
        },
    };
    let mut losses = if losses_of_hub { hub.losses } else { Vec::new() };
    losses.extend(hub.notes.into_iter().map(|what| Loss {
        what,
        why: "conversions are of what is found, not of how it is shown".into(),
        effect: Effect::None,
    }));
    let mut assumptions: std::collections::BTreeSet<&str> =
        if losses_of_hub { hub.assumptions } else { std::collections::BTreeSet::new() };
    match made {
        Err(why) => {
            let reason = match why {
                Refused::Whole(s) => s,
                Refused::Constant(b, more, cause) => {
                    losses.extend(more);
                    let mut fields: Vec<String> = Vec::new();
                    for l in losses.iter().filter(|l| l.effect != Effect::None) {
                        let said = format!("{} ({})", l.what, l.why);
                        if !fields.contains(&said) {
                            fields.push(said);
                        }
                    }
                    let without = match (fields.is_empty(), cause) {
                        (true, None) => String::new(),
                        (true, Some(c)) => format!(": {c}"),
                        (false, None) => format!(": it needs {}", fields.join(", ")),
                        (false, Some(c)) => format!(": it needs {}; {c}", fields.join(", ")),
                    };
                    match b {
                        false => format!("it could never fire there{without}"),
                        true => format!("every event would match there{without}"),
                    }
                }
            };
            Ok(Conversion {
                text: String::new(),
                fidelity: Fidelity::Refused,
                losses,
                assumptions: Vec::new(),
                reason: Some(reason),
                pair: None,
            })
        }
        Ok(made) => {
            for l in made.losses {
                if !losses.contains(&l) {
                    losses.push(l);
                }
            }
            assumptions.extend(made.assumptions);
            // What is taken for granted of the data holds on both sides.
            let granted = |rel: Rel| match made.taken.is_empty() {
                true => rel,
                false => rel.filter(Expr::and(made.taken.clone(), Span::default()), Span::default()),
            };
            let mut text = made.text;
            if let Some((s, Ok(place))) = &shown {
                text = s.apply(text, target, place, options, catalog, &mut losses);
            }
            let pair = made.pair.map(|(a, b)| (granted(a), granted(b)));
            let (fidelity, reason) = match &pair {
                None => (Fidelity::Unproved, Some("the two have no table in common".to_string())),
                Some((conversion, original)) => {
                    let (conversion, original) =
                        proof::aligned(conversion, original, &made.paths, &mut assumptions);
                    let a = prove.compare(&conversion, &original);
                    assumptions.extend(a.assumptions);
                    let f = match a.relation {
                        Relation::Equal => Fidelity::Exact,
                        Relation::Wider => Fidelity::Wider,
                        Relation::Narrower => Fidelity::Narrower,
                        Relation::Different => Fidelity::Different,
                        Relation::Unknown => Fidelity::Unproved,
                    };
                    losses.extend(unnamed(a.relation, a.reason.as_deref(), &losses));
                    let all = with_losses(f, &losses);
                    let apart = f == Fidelity::Exact && all != f && a.reason.is_none();
                    (all, if apart { Some(APART.to_string()) } else { a.reason })
                }
            };
            Ok(Conversion {
                text,
                fidelity,
                losses,
                assumptions: assumptions.into_iter().map(str::to_string).collect(),
                reason,
                pair,
            })
        }
    }
}

/// What a proof found to differ where no loss says so: nothing differs without a name.
fn unnamed(proved: Relation, reason: Option<&str>, losses: &[Loss]) -> Vec<Loss> {
    let sides = match proved {
        Relation::Equal | Relation::Unknown => &[][..],
        Relation::Wider => &[Effect::Wider],
        Relation::Narrower => &[Effect::Narrower],
        Relation::Different => &[Effect::Wider, Effect::Narrower],
    };
    let named = |e: &Effect| losses.iter().any(|l| l.effect == *e);
    let loss = |e: &Effect| {
        let who = if *e == Effect::Wider { proof::ONLY_CONVERSION } else { proof::ONLY_ORIGINAL };
        let event = reason.and_then(|r| r.find(who).and_then(|at| r.get(at..)));
        // The event of the other side, where one follows.
        let event = event.map(|r| r.split("; only the original finds").next().unwrap_or(r));
        Loss { what: "some events".into(), why: event.unwrap_or(who).to_string(), effect: *e }
    };
    sides.iter().filter(|e| !named(e)).map(loss).collect()
}

const APART: &str = "proved equal apart from what is lost";

/// The proof is about one table's rows as the views tell them. What a table does not record at all is a
/// loss beyond it.
pub(crate) fn with_losses(proved: Fidelity, losses: &[Loss]) -> Fidelity {
    let mut f = proved;
    for l in losses {
        f = match (f, l.effect) {
            (f, Effect::None) => f,
            (Fidelity::Exact | Fidelity::Wider, Effect::Wider) => Fidelity::Wider,
            (Fidelity::Exact | Fidelity::Narrower, Effect::Narrower) => Fidelity::Narrower,
            (Fidelity::Wider, Effect::Narrower) | (Fidelity::Narrower, Effect::Wider) => Fidelity::Different,
            (f, _) => f,
        };
    }
    f
}
