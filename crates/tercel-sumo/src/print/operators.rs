//! The operators with more grammar than a list of fields.

use super::Printer;
use crate::ast::*;

impl Printer {
    pub(super) fn common(&mut self, field: &Option<Name>) {
        if let Some(f) = field {
            self.put(" field=");
            self.name(f);
        }
    }

    pub(super) fn flag(&mut self, on: bool, word: &str) {
        if on {
            self.put(" ");
            self.put(word);
        }
    }

    pub(super) fn as_names(&mut self, names: &[Name]) {
        if !names.is_empty() {
            self.put(" as ");
            self.names(names);
        }
    }

    pub(super) fn extracting(&mut self, op: &Operator) {
        match op {
            Operator::ParseAnchor { field, clauses, nodrop } => {
                self.put("parse");
                self.common(field);
                self.put(" ");
                self.list(clauses, |p, c| {
                    p.text(&c.pattern);
                    p.as_names(&c.names);
                });
                self.flag(*nodrop, "nodrop");
            }
            Operator::ParseRegex { field, patterns, extract, nodrop, multi } => {
                self.put(if *extract { "extract" } else { "parse regex" });
                self.common(field);
                self.put(" ");
                self.list(patterns, Self::text);
                self.flag(*nodrop, "nodrop");
                self.flag(*multi, "multi");
            }
            Operator::ParseXml { field, paths, names, nodrop } => {
                self.put("parse xml");
                self.common(field);
                self.put(" ");
                self.list(paths, Self::text);
                self.as_names(names);
                self.flag(*nodrop, "nodrop");
            }
            Operator::ParseUsing { path, nodrop } => {
                self.put("parse using ");
                self.put(path);
                self.flag(*nodrop, "nodrop");
            }
            Operator::Json { field, auto, maxdepth, extractarrays, refonly, paths, names, nodrop } => {
                self.put("json");
                self.flag(*auto, "auto");
                self.common(field);
                if let Some(m) = maxdepth {
                    self.put(" maxdepth ");
                    self.expr(m, 0);
                }
                self.flag(*extractarrays, "extractarrays");
                if !paths.is_empty() {
                    self.put(if *auto { " keys " } else { " " });
                    self.list(paths, Self::text);
                }
                self.flag(*refonly, "refonly");
                self.as_names(names);
                self.flag(*nodrop, "nodrop");
            }
            Operator::Split { csv, field, settings, extract, nodrop } => {
                self.put(if *csv { "csv" } else { "split" });
                if let Some(f) = field {
                    self.put(" ");
                    self.name(f);
                }
                for (name, value) in settings {
                    self.put(" ");
                    self.put(&name.text);
                    self.put("=");
                    self.text(value);
                }
                self.put(" extract ");
                self.list(extract, |p, e| {
                    match (&e.index, &e.name) {
                        (Some(i), Some(n)) => {
                            p.put(i);
                            p.put(" as ");
                            p.name(n);
                        }
                        (Some(i), None) => p.put(i),
                        (None, Some(n)) => p.name(n),
                        (None, None) => p.put("_"),
                    };
                });
                self.flag(*nodrop, "nodrop");
            }
            Operator::KeyValue { field, mode, delim, keys, names, nodrop, refonly, multi } => {
                self.put("keyvalue");
                self.common(field);
                match mode {
                    KeyValueMode::Infer => {}
                    KeyValueMode::Auto => self.put(" auto"),
                    KeyValueMode::Regex(r) => {
                        self.put(" regex ");
                        self.text(r);
                    }
                }
                if let Some(d) = delim {
                    self.put(" delim ");
                    self.text(d);
                }
                if !keys.is_empty() {
                    if matches!(mode, KeyValueMode::Regex(_) | KeyValueMode::Auto) {
                        self.put(" keys");
                    }
                    self.put(" ");
                    self.list(keys, Self::text);
                }
                self.flag(*refonly, "refonly");
                self.as_names(names);
                self.flag(*nodrop, "nodrop");
                self.flag(*multi, "multi");
            }
            _ => {}
        }
    }

    pub(super) fn series(&mut self, op: &Operator) {
        match op {
            Operator::FillMissing { fillers, defaults, take_last } => {
                self.put("fillmissing ");
                self.list(fillers, |p, f| {
                    match &f.kind {
                        FillerKind::Timeslice(None) => p.put("timeslice"),
                        FillerKind::Timeslice(Some(w)) => {
                            p.put("timeslice(");
                            p.amount(w);
                            p.put(")");
                        }
                        FillerKind::All => p.put("values all"),
                        FillerKind::Values(v) => {
                            p.put("values(");
                            p.list(v, |p, x| p.expr(x, 0));
                            p.put(")");
                        }
                    }
                    if !f.fields.is_empty() {
                        p.put(" in ");
                        p.names(&f.fields);
                    }
                });
                for (value, names) in defaults {
                    self.put(" with ");
                    self.amount(value);
                    if !names.is_empty() {
                        self.put(" for ");
                        self.names(names);
                    }
                }
                self.flag(*take_last, "takeLast");
            }
            Operator::Compare(shifts) => {
                self.put("compare with ");
                self.list(shifts, |p, s| {
                    p.put("timeshift ");
                    p.amount(&s.by);
                    if let Some(n) = &s.periods {
                        p.put(" ");
                        p.amount(n);
                    }
                    if let Some(a) = &s.aggregate {
                        p.put(" ");
                        p.name(a);
                    }
                    p.alias(&s.alias);
                });
            }
            Operator::Outlier { fields, by, settings } => {
                self.put("outlier ");
                self.list(fields, |p, f| p.amount(f));
                self.by(by);
                self.settings(settings);
            }
            Operator::Predict { field, by, settings } => {
                self.put("predict ");
                self.amount(field);
                if let Some(b) = by {
                    self.put(" by ");
                    self.amount(b);
                }
                self.settings(settings);
            }
            _ => {}
        }
    }

    pub(super) fn pairs(&mut self, on: &[OnPair]) {
        for (i, p) in on.iter().enumerate() {
            if i > 0 {
                self.put(" and ");
            }
            self.amount(&p.left);
            if let Some(r) = &p.right {
                self.put(" = ");
                self.amount(r);
            }
        }
    }

    pub(super) fn merge(&mut self, fields: &[MergeField]) {
        self.list(fields, |p, f| {
            p.name(&f.field);
            match &f.how {
                MergeHow::Default => {}
                MergeHow::First => p.put(" takeFirst"),
                MergeHow::Last => p.put(" takeLast"),
                MergeHow::Distinct => p.put(" takeDistinct"),
                MergeHow::Join(t) => {
                    p.put(" join with ");
                    p.text(t);
                }
            }
        });
    }

    pub(super) fn combining(&mut self, op: &Operator) {
        match op {
            Operator::Join { tables, on, timewindow } => {
                self.put("join ");
                self.list(tables, |p, t| {
                    p.child(&t.query);
                    p.alias(&t.alias);
                });
                self.put(" on ");
                self.pairs(on);
                if let Some(w) = timewindow {
                    self.put(" timewindow ");
                    self.amount(w);
                }
            }
            Operator::Transaction { on, settings, states, results_by, showing } => {
                self.put("transaction on ");
                self.names(on);
                self.settings(settings);
                for s in states {
                    match s {
                        TransactionState::Pattern(t, n) => {
                            self.put(" with ");
                            self.text(t);
                            self.put(" as ");
                            self.name(n);
                        }
                        TransactionState::States(names, field) => {
                            self.put(" with states ");
                            self.names(names);
                            if let Some(f) = field {
                                self.put(" in ");
                                self.name(f);
                            }
                        }
                    }
                }
                if let Some(r) = results_by {
                    self.put(" results by ");
                    self.name(r);
                }
                if !showing.is_empty() {
                    self.put(" showing ");
                    self.list(showing, |p, a| {
                        p.aggregate(&Aggregate { alias: None, ..a.clone() });
                        if let Some(s) = &a.state {
                            p.put(" for ");
                            p.name(s);
                        }
                        p.alias(&a.alias);
                    });
                }
            }
            Operator::Transactionize { fields, alias, settings, merge } => {
                self.put("transactionize ");
                self.names(fields);
                self.alias(alias);
                for s in settings {
                    self.put(" ");
                    self.put(&s.name.text);
                    if !s.value.is_empty() {
                        self.put("=");
                        self.put(&s.value);
                    }
                }
                if !merge.is_empty() {
                    self.put(" (merge ");
                    self.merge(merge);
                    self.put(")");
                }
            }
            Operator::Merge(fields) => {
                self.put("merge ");
                self.merge(fields);
            }
            Operator::Sessionize { steps, settings } => {
                self.put("sessionize ");
                self.list(steps, |p, s| {
                    p.text(&s.pattern);
                    if !s.names.is_empty() {
                        p.put(" as (");
                        p.names(&s.names);
                        p.put(")");
                    }
                });
                self.settings(settings);
            }
            Operator::Trace(texts) => {
                self.put("trace");
                for t in texts {
                    self.put(" ");
                    self.text(t);
                }
            }
            _ => {}
        }
    }

    pub(super) fn service(&mut self, op: &Operator) {
        match op {
            Operator::Lookup { columns, from, on } => {
                self.put("lookup ");
                self.list(columns, |p, c| {
                    if c.column.text == "*" {
                        p.put("*");
                    } else {
                        p.name(&c.column);
                    }
                    p.alias(&c.alias);
                });
                self.put(" from ");
                self.put(from);
                self.put(" on ");
                self.pairs(on);
            }
            Operator::Intel { operator, modifiers, fields } => {
                self.put(operator);
                self.put(" ");
                let front = usize::from(operator == "threatlookup").min(modifiers.len());
                for m in &modifiers[..front] {
                    self.name(m);
                    self.put(" ");
                }
                self.names(fields);
                for m in &modifiers[front..] {
                    self.put(" ");
                    self.name(m);
                }
            }
            Operator::LogAnalysis { operator, mode, expr, timeshift, pipelines, on, by, settings } => {
                self.put(operator);
                if let Some(m) = mode {
                    self.put(" ");
                    self.name(m);
                }
                if let Some(e) = expr {
                    if operator == "logexplain" {
                        self.put(" ");
                        self.expr(e, 0);
                    } else {
                        self.put("(");
                        self.expr(e, 0);
                        self.put(")");
                    }
                }
                if let Some(t) = timeshift {
                    self.put(" timeshift ");
                    self.amount(t);
                }
                for (name, q) in pipelines {
                    self.put(" ");
                    self.name(name);
                    self.child(q);
                }
                if !on.is_empty() {
                    self.put(" on ");
                    self.names(on);
                }
                self.by(by);
                self.settings(settings);
            }
            Operator::Service { operator, words } => {
                self.put(operator);
                for w in words {
                    self.put(" ");
                    self.put(w);
                }
            }
            _ => {}
        }
    }
}
