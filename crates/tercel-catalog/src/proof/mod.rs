//! What can be proved of a detection alone, as findings that its author can follow: parts that do
//! nothing, and why.

mod places;

use crate::compile::CompileOptions;
use crate::detection::{Detection, Syntax};
use places::{Places, short};
use std::collections::BTreeMap;
use tercel_ir::{Diagnostic, Span};
use tercel_verify::{Budget, DeadKind, DeadSite, Event, ReasonKind, Unknown, dead_sites};

/// From so many idle items of one list on they are one finding.
const MANY: usize = 4;
/// Columns of an event that are shown.
const COLUMNS: usize = 6;

/// Findings about the logic of a compiled detection. `known` is what is to be said already: the same is not
/// said twice. Nothing is guessed: what could not be decided is a note that says why.
pub(crate) fn findings(
    detection: &Detection,
    known: &[Diagnostic],
    options: &CompileOptions,
    budget: &Budget,
) -> Vec<Diagnostic> {
    let Some(rel) = detection.logic(options, false) else { return Vec::new() };
    let report = match dead_sites(&rel, budget) {
        Ok(report) => report,
        // Logic over many events has other questions.
        Err(_) if !matches!(detection.syntax, Syntax::Sigma(_)) && grouped(&rel) => return Vec::new(),
        Err(why) => return vec![undecided(detection, &why)],
    };
    let places = Places::of(detection);
    let never = report.sites.iter().any(|s| s.kind == DeadKind::NeverFires);
    let mut out = Vec::new();
    let sites =
        report.sites.into_iter().filter(|s| !in_scope(detection, s) && !is_guard(detection, s)).collect();
    for group in grouped_by_list(&places, sites) {
        out.extend(match &group[..] {
            [one] => said(&places, one),
            many => Some(said_of_many(&places, many)),
        });
    }
    out.retain(|d| !known.iter().any(|k| same(k, d)));
    if report.unknown > 0 {
        let why = report.reason.unwrap_or_else(|| "the budget is used up".into());
        let what = format!("{} of {} parts could not be decided: {why}", report.unknown, report.checked);
        out.push(Diagnostic::note("not-proved", what).meaning("each of them may or may not have an effect"));
    }
    if !never && !known.iter().any(|k| k.code == "never-fires") {
        out.extend(clash(detection, &places, budget));
    }
    out
}

/// Whether a part that is always true is there for something else: an operator that takes a field out of a
/// text, or the test of an address before its range is asked for, which Sumo Logic's pages advise.
fn is_guard(d: &Detection, s: &DeadSite) -> bool {
    if !matches!(d.syntax, Syntax::Sumo(_)) || s.kind != DeadKind::AlwaysTrue {
        return false;
    }
    let text = d.text.get(s.span.range()).unwrap_or_default();
    let text = text.trim_start_matches(|c: char| c == '|' || c.is_whitespace());
    ["parse", "extract", "json", "csv", "keyvalue", "split", "isvalidip"]
        .iter()
        .any(|word| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word)))
}

/// What stands before the first `|` of a Sumo search chooses collectors and categories, which every
/// deployment names as it likes; that some of it is no choice here means nothing.
fn in_scope(d: &Detection, s: &DeadSite) -> bool {
    if !matches!(d.syntax, Syntax::Sumo(_)) || s.kind == DeadKind::NeverFires {
        return false;
    }
    // What only follows from how records are read here is nothing that an author could follow.
    let unexplained = s.because.is_empty() && s.covered_by.is_none();
    unexplained
        || d.text
            .get(d.span.range())
            .and_then(|t| t.find('|'))
            .is_none_or(|at| s.span.end as usize <= d.span.start as usize + at)
}

/// Whether a detection looks at many events together.
fn grouped(rel: &tercel_ir::Rel) -> bool {
    use tercel_ir::RelKind as K;
    matches!(
        rel.kind,
        K::Aggregate { .. } | K::Join { .. } | K::Limit { .. } | K::Unnest { .. } | K::Values { .. }
    ) || rel.inputs().into_iter().any(grouped)
}

fn undecided(d: &Detection, why: &Unknown) -> Diagnostic {
    Diagnostic::note("not-proved", format!("what this detection finds could not be decided: {why}"))
        .at(Span { end: d.span.start, ..d.span })
        .meaning("it may or may not have parts without effect")
}

/// The checks of domains say some of the same things at the same places, or about what is inside.
fn same(known: &Diagnostic, new: &Diagnostic) -> bool {
    let about_logic = matches!(
        known.code,
        "never-fires"
            | "never-true"
            | "shadowed-item"
            | "type-mismatch"
            | "duplicate-value"
            | "constant-condition"
            | "unused-let"
            | "sumo-dead-filter"
            | "sumo-dead-list-item"
            | "sumo-unreachable-label"
    );
    about_logic
        && match (known.span, new.span) {
            (Some(k), Some(n)) => {
                k == n
                    || n.start <= k.start && k.end <= n.end
                    || known.code == new.code && k.start <= n.start && n.end <= k.end
            }
            _ => known.code == new.code,
        }
}

/// Idle items of one list together, if they are many.
fn grouped_by_list(places: &Places<'_>, sites: Vec<DeadSite>) -> Vec<Vec<DeadSite>> {
    let mut lists: BTreeMap<(u32, u32), Vec<DeadSite>> = BTreeMap::new();
    let mut out: Vec<Vec<DeadSite>> = Vec::new();
    for s in sites {
        let list = match s.kind {
            DeadKind::Shadowed | DeadKind::ItemNeverMatters => places.list_of(s.span).or(s.parent),
            _ => None,
        };
        match list {
            Some(l) => lists.entry((l.start, l.end)).or_default().push(s),
            None => out.push(vec![s]),
        }
    }
    for (_, group) in lists {
        if group.len() < MANY {
            out.extend(group.into_iter().map(|s| vec![s]));
        } else {
            out.push(group);
        }
    }
    out
}

/// Why a part has no effect, as a clause; `None` when there is nothing to show.
fn why(places: &Places<'_>, s: &DeadSite) -> Option<String> {
    if let Some(by) = s.covered_by {
        return Some(format!("every event that meets it meets {} too", places.words(by)));
    }
    let of = |kind: ReasonKind| -> Vec<String> {
        s.because.iter().filter(|r| r.kind == kind).map(|r| places.words(r.span)).collect()
    };
    let (conditions, exclusions, others) =
        (of(ReasonKind::Condition), of(ReasonKind::Exclusion), of(ReasonKind::Alternative));
    if s.kind == DeadKind::AlwaysTrue && exclusions.is_empty() && others.is_empty() && !s.by_source {
        return (!conditions.is_empty())
            .then(|| format!("every event that meets {} meets it", list(&conditions, "and")));
    }
    let it = match s.kind {
        DeadKind::FilterNeverBites => "what it excludes",
        DeadKind::AlwaysTrue | DeadKind::Redundant => "an event that this would keep out",
        _ => "an event that meets it",
    };
    let mut said = Vec::new();
    if s.by_source {
        said.push("does not belong to the log source".to_string());
    }
    if !conditions.is_empty() {
        said.push(format!("never meets {}", list(&conditions, "and")));
    }
    if !exclusions.is_empty() {
        said.push(format!("is already excluded by {}", list(&exclusions, "or")));
    }
    if !others.is_empty() {
        said.push(format!("is found by {} anyway", list(&others, "or")));
    }
    (!said.is_empty()).then(|| format!("{it} {}", said.join(", or ")))
}

fn list(items: &[String], word: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

fn said(places: &Places<'_>, s: &DeadSite) -> Option<Diagnostic> {
    let name = places.name(s.span);
    let because = why(places, s);
    let event = s.example.as_ref().and_then(event);
    let d = match s.kind {
        DeadKind::NeverFires => return Some(never(places, s)),
        DeadKind::SelectionWithoutEffect if s.excludes => {
            Diagnostic::warning("selection-without-effect", format!("{name} excludes nothing"))
        }
        DeadKind::SelectionWithoutEffect => Diagnostic::warning(
            "selection-without-effect",
            format!("{name} adds nothing to what the rule finds"),
        ),
        DeadKind::FilterNeverBites => {
            Diagnostic::warning("filter-never-bites", format!("the exclusion {name} never excludes anything"))
        }
        DeadKind::AlwaysTrue => {
            Diagnostic::warning("always-true", format!("{name} is true of every event that gets here"))
        }
        DeadKind::ItemNeverMatters if s.excludes => {
            Diagnostic::warning("item-never-matters", format!("{name} excludes nothing"))
        }
        DeadKind::ItemNeverMatters => {
            Diagnostic::warning("item-never-matters", format!("{name} never makes a difference"))
        }
        DeadKind::Shadowed => Diagnostic::warning(
            "shadowed-item",
            format!(
                "{name} is covered by {}",
                s.covered_by.map_or_else(|| "another".into(), |c| places.words(c))
            ),
        ),
        // Other engines tell null from the empty text, so asking for both is no mistake.
        DeadKind::Redundant if s.covered_by.is_some() => return None,
        DeadKind::Redundant => Diagnostic::note("redundant-condition", format!("{name} is not needed")),
    };
    let shown = match (s.kind, event) {
        // What covers it says enough.
        _ if s.covered_by.is_some() => None,
        (DeadKind::FilterNeverBites, Some(e)) => {
            Some(format!("the event {e} should be kept out by it, and is not found with or without it"))
        }
        (DeadKind::SelectionWithoutEffect | DeadKind::ItemNeverMatters, Some(e)) if s.excludes => {
            Some(format!("the event {e} should be kept out by it, and would not be found anyway"))
        }
        (DeadKind::SelectionWithoutEffect | DeadKind::ItemNeverMatters, Some(e)) => {
            let then = if s.because.iter().any(|r| r.kind == ReasonKind::Alternative) {
                "would be found anyway, or not at all"
            } else {
                "is not found with it"
            };
            Some(format!("the event {e} meets it, and {then}"))
        }
        _ => None,
    };
    let proof: Vec<String> = because.into_iter().chain(shown).collect();
    let proof = if proof.is_empty() {
        "without it, exactly the same events are found".to_string()
    } else {
        proof.join("; ")
    };
    let mut d = d.at(places.shown(s.span)).meaning(proof);
    if let Some(help) = help(s) {
        d = d.help(help);
    }
    for r in &s.because {
        d = d.related(places.shown(r.span), role(r.kind));
    }
    if let Some(c) = s.covered_by {
        d = d.related(places.shown(c), "this covers it");
    }
    Some(d)
}

fn role(kind: ReasonKind) -> &'static str {
    match kind {
        ReasonKind::Condition => "required here",
        ReasonKind::Exclusion => "excluded here",
        ReasonKind::Alternative => "found here",
    }
}

fn help(s: &DeadSite) -> Option<&'static str> {
    Some(match s.kind {
        DeadKind::NeverFires => return None,
        DeadKind::FilterNeverBites => {
            "take it out, or compare what it tests with what the rule has required before"
        }
        DeadKind::SelectionWithoutEffect | DeadKind::ItemNeverMatters => {
            "take it out, or mend what makes it idle"
        }
        DeadKind::AlwaysTrue => "take it out, or test what was meant",
        DeadKind::Shadowed => "take it out; if the other one is wider than it was meant to be, mend that one",
        DeadKind::Redundant => "take it out",
    })
}

fn never(places: &Places<'_>, s: &DeadSite) -> Diagnostic {
    let parts: Vec<String> = s
        .because
        .iter()
        .map(|r| match r.kind {
            ReasonKind::Exclusion => format!("the exclusion {}", places.words(r.span)),
            _ => places.words(r.span),
        })
        .collect();
    let message = match &parts[..] {
        [] => "no event can meet the conditions of this rule".to_string(),
        [one] => format!("no event can match: {one} is never met"),
        many => format!("no event can match: {} can never hold together", list(many, "and")),
    };
    let mut d = Diagnostic::error("never-fires", message)
        .at(places.shown(s.span))
        .label("never together with the rest")
        .meaning("the rule can never fire, on any data, and nothing tells you so when it runs")
        .help("one of them is not what was meant: mostly a missing `contains`, or `and` for `or`");
    for r in s.because.iter().skip(1) {
        d = d.related(places.shown(r.span), "contradicts it");
    }
    d
}

/// Many idle items of one list: what they are is shown of a few.
fn said_of_many(places: &Places<'_>, sites: &[DeadSite]) -> Diagnostic {
    let first = &sites[0];
    let code = if sites.iter().all(|s| s.kind == DeadKind::Shadowed) {
        "shadowed-item"
    } else {
        "item-never-matters"
    };
    let span = places.list_of(first.span).or(first.parent).unwrap_or(first.span);
    let total = first.siblings + 1;
    let some: Vec<String> = sites
        .iter()
        .take(3)
        .map(|s| match s.covered_by {
            Some(by) => format!("{} by {}", places.words(s.span), places.name(by)),
            None => places.words(s.span),
        })
        .collect();
    let how = if code == "shadowed-item" { "are covered by others of it" } else { "change nothing" };
    let mut d = Diagnostic::warning(
        code,
        format!("{} of {} items of this list {how}", sites.len(), total.max(sites.len())),
    )
    .at(span)
    .meaning(format!("without them exactly the same events are found; for example {}", list(&some, "and")))
    .help("take them out; if the shorter ones are wider than they were meant to be, mend those");
    for s in sites.iter().take(8) {
        d = d.related(s.span, "changes nothing");
    }
    d
}

/// A rule that could fire, but not on events of its log source as they are understood here.
fn clash(detection: &Detection, places: &Places<'_>, budget: &Budget) -> Option<Diagnostic> {
    if !matches!(detection.syntax, Syntax::Sigma(_)) {
        return None;
    }
    let core = tercel_verify::contradiction(detection.rel.as_ref()?, budget).ok()??;
    let parts: Vec<String> = core.because.iter().map(|r| places.words(r.span)).collect();
    let what = if parts.is_empty() { "what the rule demands".to_string() } else { list(&parts, "with") };
    let mut d = Diagnostic::warning(
        "log-source-clash",
        format!("no event of the log source {} as it is read here can match: {what} is never met", detection.data().join(", ")),
    )
    .meaning("by itself the rule could fire; here it contradicts what defines the log source, or asks for a field that no source fills (a field of the same name inside the event's data is hidden by the event's own)")
    .help("test another field, or give the rule the log source whose events it means");
    d.span = core.because.first().map(|r| places.shown(r.span));
    Some(d)
}

/// An event in words, as far as it fits.
pub(crate) fn event(e: &Event) -> Option<String> {
    let mut parts: Vec<String> = e
        .values
        .iter()
        .filter(|(n, v)| !n.starts_with('$') && !v.is_null())
        .map(|(n, v)| format!("{n}={}", short(&v.text())))
        .collect();
    if parts.is_empty() {
        return None;
    }
    if parts.len() > COLUMNS {
        parts.truncate(COLUMNS);
        parts.push("…".into());
    }
    Some(format!("`{}`", parts.join(", ").replace('`', "'")))
}
