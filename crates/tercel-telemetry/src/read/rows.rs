//! Rows of columnar files, recognised many at a time.
//!
//! A row is a record whose keys are the columns that are not null in it. Rows with the same keys share what
//! the recogniser decides by names (a [`Plan`]); what is left for each is to fetch its values and to decide
//! what depends on them. Rows without a plan are recognised one by one, as records of other formats are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::NullBuffer;
use tercel_ir::Name;

use super::arrow::{Column, push_json_row};
use crate::batch::NameHasher;
use crate::event::{EventSink, RawEvent};
use crate::gist::{self, FixedText, TextParts};
use crate::layout::{EventText, LaidOut};
use crate::shape::{Origin, Plan, Recogniser, Shape};
use crate::value::{Field, RawValue, recycle};

/// Sets of columns that are remembered. Real files have some dozens.
const MAX_PATTERNS: usize = 2048;

/// Rows of one table with the same names.
struct Variant {
    /// As the plan numbers them.
    number: u32,
    table: Name,
    shape: Shape,
    names: Vec<Name>,
    /// The place of the time that the user chose.
    chosen: Option<usize>,
    /// What a sink by layouts calls it, and in which of its generations.
    id: Option<usize>,
    generation: Option<u64>,
    /// Rows that the recogniser was not told of yet.
    rows: u64,
}

/// Rows in which the same columns have values.
struct Pattern {
    columns: Vec<usize>,
    plan: Option<Plan>,
    variants: Vec<Variant>,
    last: usize,
}

type ByMask = HashMap<Box<[u64]>, usize, std::hash::BuildHasherDefault<NameHasher>>;

/// Where rows come from, and what is known of them.
pub(super) struct Rows<'f> {
    names: &'f [String],
    /// All of them, for those who look for texts.
    fixed: FixedText,
    source: &'f Name,
    stem: &'f Name,
    /// What the text of an event begins with; the row follows. `None`: nobody may ask for it.
    locator: Option<String>,
    patterns: Vec<Pattern>,
    by_mask: ByMask,
    last: usize,
    fields: Vec<Field<'static>>,
    values: Vec<RawValue<'static>>,
    masks: Vec<u64>,
}

impl<'f> Rows<'f> {
    pub fn new(names: &'f [String], source: &'f Name, stem: &'f Name, locator: Option<String>) -> Rows<'f> {
        Rows {
            names,
            fixed: FixedText::new(names.join("\"")),
            source,
            stem,
            locator,
            patterns: Vec::new(),
            by_mask: ByMask::default(),
            last: 0,
            fields: Vec::new(),
            values: Vec::new(),
            masks: Vec::new(),
        }
    }

    /// Pushes the rows of a batch; `first` is the number of its first row.
    pub fn push(
        &mut self,
        batch: &RecordBatch,
        first: usize,
        recogniser: &mut Recogniser<'_>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
        let mut masks = std::mem::take(&mut self.masks);
        let words = columns.len().div_ceil(64).max(1);
        mark(&columns, batch.num_rows(), words, &mut masks);
        let mut flow = ControlFlow::Continue(());
        for row in 0..batch.num_rows() {
            let mask = &masks[row * words..(row + 1) * words];
            flow = self.row(&columns, mask, row, first + row, recogniser, sink);
            if flow.is_break() {
                break;
            }
        }
        self.masks = masks;
        for v in self.patterns.iter_mut().flat_map(|p| &mut p.variants).filter(|v| v.rows > 0) {
            recogniser.count_rows(&v.table, v.shape, std::mem::take(&mut v.rows));
        }
        flow
    }

    /// Pushes the rows of a batch as rows of a table whose columns they are. `times`: where their time
    /// may stand, best first.
    pub fn push_table(
        &mut self,
        batch: &RecordBatch,
        first: usize,
        table: &Name,
        times: &[usize],
        recogniser: &mut Recogniser<'_>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
        if self.patterns.is_empty() {
            let variant = Variant {
                number: 0,
                table: table.clone(),
                shape: Shape::Other,
                names: self.names.iter().map(|n| n.as_str().into()).collect(),
                chosen: None,
                id: None,
                generation: None,
                rows: 0,
            };
            self.patterns.push(Pattern { columns: Vec::new(), plan: None, variants: vec![variant], last: 0 });
        }
        let variant = &mut self.patterns[0].variants[0];
        for row in 0..batch.num_rows() {
            let mut values = recycle_values(std::mem::take(&mut self.values));
            values.extend(columns.iter().map(|c| c.value(row)));
            let mut found = times.iter().map(|t| values[*t]).filter(|v| !v.is_blank());
            let times = [found.next().unwrap_or(RawValue::Null), found.next().unwrap_or(RawValue::Null)];
            let number = first + row;
            let row = Row { names: self.names, fixed: &self.fixed, columns: &columns, at: row };
            let to = Target { source: self.source, locator: self.locator.as_deref(), number, row };
            let mut fields = recycle(std::mem::take(&mut self.fields));
            let flow = to.deliver(variant, &values, times, &mut fields, sink);
            self.fields = recycle(fields);
            self.values = recycle_values(values);
            recogniser.count_rows(table, Shape::Other, 1);
            flow?;
        }
        ControlFlow::Continue(())
    }

    /// The pattern of a row.
    fn pattern(&mut self, mask: &[u64], recogniser: &mut Recogniser<'_>) -> usize {
        if let Some(i) = self.by_mask.get(mask) {
            return *i;
        }
        let columns: Vec<usize> =
            (0..self.names.len()).filter(|c| mask[c / 64] >> (c % 64) & 1 == 1).collect();
        let keys: Vec<Cow<'_, str>> =
            columns.iter().map(|c| Cow::Borrowed(self.names[*c].as_str())).collect();
        // Of too many, the rest is recognised row by row.
        let plan = if self.patterns.len() < MAX_PATTERNS { recogniser.plan(&keys) } else { None };
        let pattern = Pattern { columns, plan, variants: Vec::new(), last: 0 };
        if self.patterns.len() > MAX_PATTERNS {
            // The last place is used again and again.
            self.patterns[MAX_PATTERNS] = pattern;
            return MAX_PATTERNS;
        }
        self.patterns.push(pattern);
        if self.patterns.len() <= MAX_PATTERNS {
            self.by_mask.insert(mask.into(), self.patterns.len() - 1);
        }
        self.patterns.len() - 1
    }

    fn row(
        &mut self,
        columns: &[Column],
        mask: &[u64],
        row: usize,
        number: usize,
        recogniser: &mut Recogniser<'_>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        self.last = self.pattern(mask, recogniser);
        let pattern = &mut self.patterns[self.last];
        if let Some(plan) = &pattern.plan {
            let mut values = recycle_values(std::mem::take(&mut self.values));
            values.extend(pattern.columns.iter().map(|c| columns[*c].value(row)));
            values.resize(pattern.columns.len() + Plan::MORE, RawValue::Null);
            let settled = plan.settle(&mut values).map(|(s, n)| (s.variant, s.times, n));
            if let Some((variant, times, n)) = settled {
                let is = |v: &Variant| v.number == variant;
                if !pattern.variants.get(pattern.last).is_some_and(is) {
                    pattern.last = match pattern.variants.iter().position(is) {
                        Some(i) => i,
                        None => {
                            let (table, shape, names) = plan.describe(variant, self.stem, recogniser);
                            let chosen =
                                recogniser.time_field().and_then(|f| names.iter().position(|n| **n == *f));
                            pattern.variants.push(Variant {
                                number: variant,
                                table,
                                shape,
                                names,
                                chosen,
                                id: None,
                                generation: None,
                                rows: 0,
                            });
                            pattern.variants.len() - 1
                        }
                    };
                }
                let variant = &mut pattern.variants[pattern.last];
                variant.rows += 1;
                let times = match variant.chosen {
                    Some(i) => [values[i], times[0]],
                    None => times,
                };
                let row = Row { names: self.names, fixed: &self.fixed, columns, at: row };
                let to = Target { source: self.source, locator: self.locator.as_deref(), number, row };
                let mut fields = recycle(std::mem::take(&mut self.fields));
                let flow = to.deliver(variant, &values[..n], times, &mut fields, sink);
                self.fields = recycle(fields);
                self.values = recycle_values(values);
                return flow;
            }
            self.values = recycle_values(values);
        }
        // Decided by more than the names.
        let mut fields = recycle(std::mem::take(&mut self.fields));
        let value = |c: &usize| Field::new(self.names[*c].as_str(), columns[*c].value(row));
        fields.extend(pattern.columns.iter().map(value).filter(|f| f.value != RawValue::Null));
        let text = match &self.locator {
            Some(_) if sink.by_layout().is_some() => {
                let mut text = String::new();
                push_json_row(self.names, columns, row, &mut text);
                Some(text)
            }
            Some(locator) if sink.wants_text() => Some(format!("{locator}{number}")),
            _ => None,
        };
        let origin =
            Origin { source: self.source, stem: self.stem, record: number as i64, text: text.as_deref() };
        let flow = recogniser.record(&origin, &mut fields, sink);
        self.fields = recycle(fields);
        flow
    }
}

/// A row of a batch.
#[derive(Clone, Copy)]
struct Row<'t> {
    names: &'t [String],
    fixed: &'t FixedText,
    columns: &'t [Column],
    at: usize,
}

/// A row as text: one JSON object of its names and values.
struct RowText<'t> {
    row: Row<'t>,
    values: &'t [RawValue<'t>],
}

impl TextParts for RowText<'_> {
    fn fixed(&self, each: &mut dyn FnMut(&FixedText)) {
        each(self.row.fixed);
    }
    fn own(&self, out: &mut Vec<u8>) -> bool {
        self.values.iter().all(|v| gist::push_own(v, out))
    }
    fn render(&self, out: &mut String) {
        push_json_row(self.row.names, self.row.columns, self.row.at, out);
    }
}

/// Where a row goes, and as what.
struct Target<'t> {
    source: &'t Name,
    locator: Option<&'t str>,
    number: usize,
    row: Row<'t>,
}

impl Target<'_> {
    fn deliver<'v>(
        &self,
        variant: &'v mut Variant,
        values: &[RawValue<'v>],
        times: [RawValue<'v>; 2],
        fields: &mut Vec<Field<'v>>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let record = self.number as i64;
        if let Some(sink) = sink.by_layout() {
            if variant.generation != Some(sink.generation()) {
                variant.id = sink.layout(&variant.table, &variant.names);
                // Announcing may begin a new one.
                variant.generation = Some(sink.generation());
            }
            let Some(id) = variant.id else { return ControlFlow::Continue(()) };
            // All columns are at hand: the event itself, which keywords are looked for in. Finding the row
            // again by a locator would read the file up to it.
            let text = EventText::Parts(&RowText { row: self.row, values });
            return sink.event(id, &LaidOut { values, times, record, text });
        }
        if !sink.wants(&variant.table) {
            return ControlFlow::Continue(());
        }
        let text = match self.locator {
            Some(locator) if sink.wants_text() => Some(format!("{locator}{}", self.number)),
            _ => None,
        };
        let variant: &'v Variant = variant;
        fields.extend(variant.names.iter().zip(values).map(|(n, v)| Field::new(&**n, *v)));
        sink.event(&RawEvent {
            table: &variant.table,
            fields,
            times,
            source: self.source,
            record,
            text: text.as_deref(),
        })
    }
}

/// For each row the columns that have a value, one bit each.
fn mark(columns: &[Column], rows: usize, words: usize, masks: &mut Vec<u64>) {
    masks.clear();
    masks.resize(rows * words, 0);
    for (c, column) in columns.iter().enumerate() {
        let (word, bit) = (c / 64, 1 << (c % 64));
        let mut set = |row: usize| {
            if let Some(m) = masks.get_mut(row * words + word) {
                *m |= bit;
            }
        };
        match column.nulls() {
            None => {}
            Some(None) => (0..rows).for_each(set),
            // Nulls cost next to nothing: most columns of a mixed log are null in most rows.
            Some(Some(nulls)) => NullBuffer::valid_indices(nulls).for_each(&mut set),
        }
    }
}

/// Gives the allocation of a list of values to another lifetime.
fn recycle_values<'b>(mut values: Vec<RawValue<'_>>) -> Vec<RawValue<'b>> {
    values.clear();
    // Collecting an empty iterator over the same layout keeps the allocation.
    values.into_iter().map(|_| RawValue::Null).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int32Array, StringArray};
    use proptest::prelude::*;
    use tercel_schema::Schemas;

    use super::super::arrow::json_object;
    use super::*;
    use crate::layout::ByLayout;
    use crate::typing;

    /// What a sink sees of an event, repeated names aside.
    type Seen = (String, i64, Option<i64>, Vec<(String, Option<String>)>, Option<String>);

    fn fields<'v>(of: impl Iterator<Item = (&'v str, RawValue<'v>)>) -> Vec<(String, Option<String>)> {
        let mut out: Vec<(String, Option<String>)> = Vec::new();
        for (name, value) in of {
            if !out.iter().any(|(n, _)| n == name) {
                out.push((name.into(), typing::string(&value, &mut String::new()).map(str::to_owned)));
            }
        }
        // Copies under native names may stand in another order.
        out.sort();
        out
    }

    #[derive(Default)]
    struct Sink {
        by_layout: bool,
        layouts: Vec<(Name, Vec<Name>)>,
        seen: Vec<Seen>,
    }

    impl EventSink for Sink {
        fn wants(&mut self, table: &Name) -> bool {
            &**table != "SecurityEvent"
        }
        fn wants_text(&self) -> bool {
            true
        }
        fn by_layout(&mut self) -> Option<&mut dyn ByLayout> {
            if self.by_layout { Some(self) } else { None }
        }
        fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
            if self.wants(e.table) {
                let fields = fields(e.fields.iter().map(|f| (f.name.as_ref(), f.value)));
                self.seen.push((e.table.to_string(), e.record, e.time(), fields, e.text.map(str::to_owned)));
            }
            ControlFlow::Continue(())
        }
    }

    impl ByLayout for Sink {
        fn layout(&mut self, table: &Name, names: &[Name]) -> Option<usize> {
            let wanted = self.wants(table);
            self.layouts.push((table.clone(), names.to_vec()));
            wanted.then_some(self.layouts.len() - 1)
        }
        fn event(&mut self, layout: usize, e: &LaidOut<'_>) -> ControlFlow<()> {
            let (table, names) = &self.layouts[layout];
            assert_eq!(names.len(), e.values.len());
            let mut text = String::new();
            e.text.push(&mut text);
            let fields = fields(names.iter().map(|n| &**n).zip(e.values.iter().copied()));
            self.seen.push((table.to_string(), e.record, e.time(), fields, Some(text)));
            ControlFlow::Continue(())
        }
        fn generation(&self) -> u64 {
            0
        }
    }

    const NAMES: [&str; 24] = [
        "EventID",
        "Channel",
        "SourceName",
        "Provider",
        "UtcTime",
        "@timestamp",
        "EventType",
        "SeverityValue",
        "Message",
        "Opcode",
        "OpcodeValue",
        "Hostname",
        "Computer",
        "ActionType",
        "Timestamp",
        "TimeGenerated",
        "ReportId",
        "DeviceId",
        "Type",
        "EventTime",
        "RecordNumber",
        "id.orig_h",
        "ts",
        "x",
    ];
    const VALUES: [&str; 12] = [
        "Microsoft-Windows-Sysmon",
        "Microsoft-Windows-Sysmon/Operational",
        "Security",
        "ConnectionSuccess",
        "ProcessCreated",
        "DeviceNetworkEvents",
        "2026-05-31T00:00:00Z",
        "2026-05-31 00:00:01",
        "INFO",
        "",
        "3",
        "{}",
    ];

    proptest! {
        #[test]
        fn as_row_by_row(
            columns in proptest::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 1..12),
            cells in proptest::collection::vec(proptest::option::of(0..VALUES.len()), 12 * 9),
            time_field in proptest::option::of(0..NAMES.len()),
        ) {
            let schemas = Schemas::builtin();
            let time_field = time_field.map(|i| NAMES[i]);
            let names: Vec<String> = columns.iter().map(|c| NAMES[*c].to_owned()).collect();
            let arrays: Vec<(&String, ArrayRef)> = names
                .iter()
                .enumerate()
                .map(|(c, n)| {
                    let cell = |r: usize| cells[c * 9 + r];
                    let array: ArrayRef = if n == "EventID" {
                        Arc::new((0..9).map(|r| cell(r).map(|v| v as i32)).collect::<Int32Array>())
                    } else {
                        Arc::new((0..9).map(|r| cell(r).map(|v| VALUES[v])).collect::<StringArray>())
                    };
                    (n, array)
                })
                .collect();
            let batch = RecordBatch::try_from_iter_with_nullable(
                arrays.into_iter().map(|(n, a)| (n, a, true)),
            ).unwrap();
            let (source, stem): (Name, Name) = ("file".into(), "stem".into());

            let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
            for by_layout in [false, true] {
                let mut recogniser = Recogniser::new(&schemas, time_field);
                let mut expected = Sink::default();
                for row in 0..batch.num_rows() {
                    let mut fields: Vec<Field<'_>> = names
                        .iter()
                        .zip(&columns)
                        .map(|(n, c)| Field::new(n.as_str(), c.value(row)))
                        .filter(|f| f.value != RawValue::Null)
                        .collect();
                    // Sinks by layout get the event itself, others a place where it can be found.
                    let text = match by_layout {
                        true => json_object(&names, batch.columns(), row),
                        false => format!("@{}", row + 7),
                    };
                    let origin =
                        Origin { source: &source, stem: &stem, record: row as i64 + 7, text: Some(&text) };
                    let _ = recogniser.record(&origin, &mut fields, &mut expected);
                }
                let mut counts = recogniser.take_counts();
                counts.sort();
                let mut recogniser = Recogniser::new(&schemas, time_field);
                let mut sink = Sink { by_layout, ..Sink::default() };
                let mut rows = Rows::new(&names, &source, &stem, Some("@".into()));
                // Twice: everything is known the second time.
                for _ in 0..2 {
                    sink.seen.clear();
                    let _ = rows.push(&batch, 7, &mut recogniser, &mut sink);
                    // A sink by layouts gets rows without a plan as events.
                    prop_assert_eq!(&sink.seen, &expected.seen, "by layout: {}", by_layout);
                    let mut counted = recogniser.take_counts();
                    counted.sort();
                    prop_assert_eq!(&counted, &counts);
                }
            }
        }
    }
}
