//! What is said after a run: what was read, what was not, what could not have fired, what fired.

use crate::data::Data;
use crate::interrupt;
use crate::output::visible;
use crate::talk::Talk;
use crate::times;
use std::time::Duration;
use tercel_catalog::Level;
use tercel_telemetry::{ProblemKind, ReadStats};

/// Lines of a list that are shown unless all are asked for.
const SHOWN: usize = 5;

/// Names of one list that are shown unless all are asked for.
const NAMES: usize = 6;

/// A rule and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Remark {
    pub rule: String,
    pub why: String,
}

/// How rules fared.
#[derive(Clone, Debug, Default)]
pub struct RuleReport {
    /// Detections found.
    pub loaded: usize,
    /// Those that ran.
    pub ran: usize,
    /// Errors kept them from running.
    pub skipped: Vec<Remark>,
    /// They ran, and could not have fired.
    pub unable: Vec<Remark>,
    /// They broke off.
    pub failed: Vec<Remark>,
    /// Views with columns that this data cannot fill, and rules that read those.
    pub gaps: Vec<Remark>,
    /// Hits of each level, lowest first.
    pub hits: [u64; 5],
    /// Rules that fired: title, id, level, hits; most severe and most hits first.
    pub fired: Vec<(String, String, Level, u64)>,
    /// Hits that were counted and not written.
    pub unwritten: u64,
}

/// Everything that is said after a run.
#[derive(Clone, Debug, Default)]
pub struct Footer {
    stats: Option<ReadStats>,
    files: usize,
    /// Problems of opening, when nothing was read.
    problems: Vec<tercel_telemetry::Problem>,
    shapes: Vec<(String, usize)>,
    outside: u64,
    elapsed: Duration,
    pub now: Option<i64>,
    pub named_now: bool,
    pub rules: Option<RuleReport>,
    pub notes: Vec<String>,
}

impl Footer {
    /// About the data.
    pub fn of_data(data: &Data, elapsed: Duration) -> Footer {
        let mut shapes: Vec<(String, usize)> = Vec::new();
        for f in &data.survey.files {
            let name = f
                .shape
                .map_or_else(|| format!("{} without events", f.format.as_str()), |s| s.as_str().to_string());
            match shapes.iter_mut().find(|(n, _)| *n == name) {
                Some((_, n)) => *n += 1,
                None => shapes.push((name, 1)),
            }
        }
        Footer {
            stats: data.stats(),
            files: data.inputs.files().len(),
            problems: data.problems(),
            shapes,
            outside: data.outside(),
            elapsed,
            now: data.newest_seen(),
            ..Footer::default()
        }
    }

    /// To standard error. `all`: lists are not cut.
    pub fn write(&self, talk: &Talk, all: bool) {
        if talk.quiet {
            return;
        }
        self.write_data(talk, all);
        if let Some(r) = &self.rules {
            write_rules(r, talk, all);
        }
        for note in &self.notes {
            line(talk, "note", &talk.yellow(&visible(note)));
        }
        if interrupt::stopped() {
            line(
                talk,
                "interrupted",
                &talk.yellow("the run was stopped; what is above is what was done until then"),
            );
        }
    }

    fn write_data(&self, talk: &Talk, all: bool) {
        if self.files == 0 && self.problems.is_empty() {
            return;
        }
        match &self.stats {
            Some(s) => {
                let seconds = self.elapsed.as_secs_f64().max(1e-3);
                line(
                    talk,
                    "events",
                    &format!(
                        "{} in {} ({}), {} in {:.1} s, {:.0} events/s",
                        talk.bold(&number(s.events)),
                        crate::commands::count(usize::try_from(s.files).unwrap_or(usize::MAX), "file"),
                        shapes(&self.shapes),
                        bytes(s.bytes),
                        seconds,
                        s.events as f64 / seconds,
                    ),
                );
                if let (Some(from), Some(to)) = (s.min_time, s.max_time) {
                    line(talk, "time", &format!("{} to {} (UTC)", times::show(from), times::show(to)));
                }
                if s.unparsed > 0 {
                    let first = s.first_problem().map(|p| format!("; first: {}", visible(&p.to_string())));
                    let text = format!(
                        "{} {}",
                        number(s.unparsed),
                        first.unwrap_or_default().trim_start_matches("; ")
                    );
                    line(talk, "unparsed", &talk.yellow(&text));
                }
                if s.mistyped > 0 {
                    let example = s.mistyped_example.as_ref().map(|e| {
                        format!(
                            "; first: {} is no {} for {}.{} ({}, record {})",
                            e.value, e.ty, e.table, e.column, e.file, e.record
                        )
                    });
                    let text = format!(
                        "{} {} read as null{}",
                        number(s.mistyped),
                        if s.mistyped == 1 { "value" } else { "values" },
                        visible(&example.unwrap_or_default())
                    );
                    line(talk, "mistyped", &talk.yellow(&text));
                }
            }
            None => {
                line(talk, "events", &format!("none read ({})", crate::commands::count(self.files, "file")))
            }
        }
        if self.outside > 0 {
            line(talk, "left out", &format!("{} rows outside --since and --until", number(self.outside)));
        }
        // What could not be opened was said at the start.
        let told: Vec<_> = self
            .problems
            .iter()
            .filter(|p| !matches!(p.kind, ProblemKind::Skipped | ProblemKind::Unreadable))
            .collect();
        list(
            talk,
            "problem",
            &told.iter().map(|p| visible(&p.to_string()).into_owned()).collect::<Vec<_>>(),
            all,
        );
        let skipped: Vec<_> = self.problems.iter().filter(|p| p.kind == ProblemKind::Skipped).collect();
        if !skipped.is_empty() {
            let first = format!("; first: {}", skipped[0]);
            line(
                talk,
                "no data in",
                &format!("{}{}", crate::commands::count(skipped.len(), "file"), visible(&first)),
            );
        }
        if let Some(now) = self.now {
            let from = if self.named_now { "--now" } else { "the newest event" };
            line(talk, "now", &format!("{} ({from})", times::show(now)));
        }
    }
}

fn write_rules(r: &RuleReport, talk: &Talk, all: bool) {
    let mut text = format!("{} loaded, {} ran", r.loaded, r.ran);
    for (n, what) in [
        (r.skipped.len(), "skipped"),
        (r.failed.len(), "broke off"),
        (r.unable.len(), "unable to fire on this data"),
    ] {
        if n > 0 {
            text.push_str(&format!(", {}", talk.yellow(&format!("{n} {what}"))));
        }
    }
    line(talk, "rules", &text);
    let remarks = |what: &str, list_of: &[Remark]| {
        let lines: Vec<String> =
            list_of.iter().map(|m| format!("{}: {}", visible(&m.rule), visible(&m.why))).collect();
        list(talk, what, &lines, all);
    };
    remarks("skipped", &r.skipped);
    remarks("broke off", &r.failed);
    remarks("unable", &r.unable);
    remarks("not filled", &r.gaps);
    let total: u64 = r.hits.iter().sum();
    let by_level: Vec<String> = Level::ALL
        .iter()
        .rev()
        .filter(|l| r.hits[**l as usize] > 0)
        .map(|l| format!("{} {l}", number(r.hits[*l as usize])))
        .collect();
    let by_level = if by_level.is_empty() { String::new() } else { format!(" ({})", by_level.join(", ")) };
    let shown = if total > 0 { talk.red(&number(total)) } else { "0".into() };
    let written = if r.unwritten > 0 {
        format!("; {} not written (--limit-hits)", number(r.unwritten))
    } else {
        String::new()
    };
    line(talk, "hits", &format!("{shown}{by_level}{written}"));
    let fired: Vec<String> = r
        .fired
        .iter()
        .map(|(title, id, level, n)| {
            format!("{:>7} {level:<13} {} ({})", number(*n), visible(title), visible(id))
        })
        .collect();
    list(talk, "", &fired, all);
}

fn line(talk: &Talk, name: &str, text: &str) {
    talk.say(format!("{} {text}", talk.dim(&format!("{name:<11}"))));
}

fn list(talk: &Talk, name: &str, lines: &[String], all: bool) {
    let shown = if all { lines.len() } else { SHOWN.max(if name.is_empty() { 10 } else { 0 }) };
    for (i, text) in lines.iter().take(shown).enumerate() {
        line(talk, if i == 0 { name } else { "" }, text);
    }
    if lines.len() > shown {
        let rest = lines.len() - shown;
        line(talk, "", &talk.dim(&format!("… and {rest} more (--explain-skips lists all)")));
    }
}

/// `a, b and 3 more`.
fn shapes(shapes: &[(String, usize)]) -> String {
    match shapes {
        [] => "no events".into(),
        [(one, _)] => one.clone(),
        many => many.iter().map(|(n, c)| format!("{c} {n}")).collect::<Vec<_>>().join(", "),
    }
}

/// A list of names, cut unless all are asked for.
pub fn shortened(names: &str, all: bool) -> String {
    let total = names.split(", ").count();
    if all || total <= NAMES {
        return names.to_string();
    }
    let shown: Vec<&str> = names.split(", ").take(NAMES).collect();
    format!("{} and {} more", shown.join(", "), total - NAMES)
}

/// `1,234,567`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// `12.3 MB`.
fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(number).each_ref().map(|s| &**s)
        );
        assert_eq!(
            ["12 B", "1.5 kB", "2.0 MB", "3.00 GB"],
            [12, 1500, 2_000_000, 3_000_000_000].map(bytes).each_ref().map(|s| &**s)
        );
    }
}
