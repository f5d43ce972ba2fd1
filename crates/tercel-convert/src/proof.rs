//! The prover of this product, asked about conversions.

use crate::asks::{Answer, Prove, Relation};
use tercel_ir::Rel;
use tercel_verify::Budget;

/// Decides by formulas and automata, within a budget.
#[derive(Clone, Debug, Default)]
pub struct Prover {
    /// Beyond it, the answer is that it is not known.
    pub budget: Budget,
}

impl Prove for Prover {
    fn compare(&self, conversion: &Rel, original: &Rel) -> Answer {
        let found = tercel_verify::compare(conversion, original, &self.budget);
        let different: Vec<_> = found.witnesses.iter().filter(|w| w.first != w.second).collect();
        // Languages differ in which characters beyond ASCII are letters, and how they fold.
        let letters = !different.is_empty() && different.iter().all(|w| w.event.beyond_ascii());
        let relation = match found.relation {
            _ if letters => Relation::Unknown,
            tercel_verify::Relation::Equal => Relation::Equal,
            tercel_verify::Relation::Subset => Relation::Narrower,
            tercel_verify::Relation::Superset => Relation::Wider,
            tercel_verify::Relation::Overlap | tercel_verify::Relation::Disjoint => Relation::Different,
            tercel_verify::Relation::Unknown => Relation::Unknown,
        };
        let mut reason = found.reason;
        if relation != Relation::Equal
            && let Some(w) = different.first()
        {
            let who = if w.first { "only the conversion finds" } else { "only the original finds" };
            let values: Vec<String> =
                w.event.values.iter().map(|(n, v)| format!("{n}: {}", v.to_text())).collect();
            let who = if letters { format!("beyond ASCII they differ: {who}") } else { who.to_string() };
            let event = format!("{who} an event of {} with {}", w.event.table, values.join(", "));
            reason = Some(match reason {
                Some(r) => format!("{r}; {event}"),
                None => event,
            });
        }
        Answer { relation, reason }
    }
}
