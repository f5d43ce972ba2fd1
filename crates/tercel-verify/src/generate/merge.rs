//! Events of several kinds put together: first those that are rows as a source writes them, then others for what no such
//! row shows.

use super::{Gap, Generated, Missing, Request, Role, Rows, Shown, events};
use crate::Unknown;
use std::time::Instant;
use tercel_ir::Rel;

impl Generated {
    /// Takes from other events of the detection those that show what these cannot. `again`: these were asked to
    /// be rows as a source writes them, and the others the same without that, so that what is said of parts
    /// without an event is what the others say.
    pub fn complete(&mut self, other: Generated, again: bool) {
        let of = |s: &Shown| (s.span, s.item.clone());
        let fits = |m: &Missing, s: &Shown| {
            let role = m.part.role == s.role || m.part.role == Role::Alternative && s.role == Role::Shared;
            role && of(&m.part) == of(s)
        };
        for mut c in other.cases {
            c.shows.retain(|s| {
                let shared = |x: &Shown| x.role == Role::Shared && of(x) == of(s);
                let known = s.role == Role::Shared && self.cases.iter().any(|c| c.shows.iter().any(shared));
                !known && self.missing.iter().any(|m| fits(m, s))
            });
            if c.shows.is_empty() {
                continue;
            }
            self.missing.retain(|m| !c.shows.iter().any(|s| fits(m, s)));
            self.cases.push(c);
        }
        if again {
            self.missing.retain_mut(|m| {
                let said = other.missing.iter().find(|o| o.part == m.part);
                m.why = said.map_or(Gap::None, |s| s.why.clone());
                said.is_some()
            });
        }
        self.cases.sort_by_key(|c| !c.fires);
    }

    /// Parts of which it is only known that no such row shows them, or shows them alone: an event that is
    /// no such row may.
    fn open(&mut self) {
        let alone =
            |s: &Shown| (s.role == Role::Shared).then(|| Shown { role: Role::Alternative, ..s.clone() });
        let shared: Vec<Shown> = self.cases.iter().flat_map(|c| c.shows.iter().filter_map(alone)).collect();
        self.missing.extend(shared.into_iter().map(|part| Missing { part, why: Gap::None }));
    }
}

/// Test events of one table: rows as its source writes them, of the first of these kinds of which there are any;
/// for what no such row shows, rows of one more kind of which less is asked, and in the end any event.
///
/// # Errors
/// As of [`events`].
pub fn rows_first(
    rel: &Rel,
    table: &str,
    kinds: &[Rows<'_>],
    more: Option<Rows<'_>>,
    request: &Request<'_>,
) -> Result<Generated, Unknown> {
    let deadline = Instant::now() + request.time;
    let mut best: Option<Generated> = None;
    for (i, rows) in kinds.iter().copied().chain(more).enumerate() {
        if best.is_some() && i < kinds.len() || best.as_ref().is_some_and(|b| b.missing.is_empty()) {
            continue;
        }
        // What is left is for what cannot be a row.
        let time = deadline.saturating_duration_since(Instant::now()) / 2;
        match (events(rel, table, &Request { rows: Some(rows), time, ..*request }), &mut best) {
            (Ok(mut made), None) if !made.cases.is_empty() => {
                made.open();
                best = Some(made);
            }
            (Ok(made), Some(best)) => best.complete(made, false),
            _ => {}
        }
    }
    let Some(mut best) = best else { return events(rel, table, &Request { rows: None, ..*request }) };
    if best.missing.is_empty() {
        return Ok(best);
    }
    let time = deadline.saturating_duration_since(Instant::now());
    match events(rel, table, &Request { rows: None, time, ..*request }) {
        Ok(other) => best.complete(other, true),
        Err(u) => best.missing.iter_mut().for_each(|m| m.why = Gap::Unknown(u.reason.clone())),
    }
    Ok(best)
}
