//! Values that do not fit the type of their column, where the rule-set program meets them: they are null to
//! its rules, as they are to plans.
//!
//! Looked at are the columns that a rule reads of the event's own table and whose type there is not text. Which
//! these are is settled once for each layout; an event then costs one look at each such value, for most a
//! few digits.

use std::collections::HashSet;
use tercel_ir::{Name, Type};
use tercel_schema::Schemas;
use tercel_telemetry::{LaidOut, MistypedExample, RawValue, ReadStats, push_json_value, typing};

/// Characters of a value that is shown.
const SHOWN: usize = 80;

/// A typed column of a layout that some rule looks at.
pub struct Typed {
    at: usize,
    ty: Type,
    column: Name,
}

/// The typed columns among the fields of a layout of a table.
pub fn typed(schemas: &Schemas, table: &str, names: &[Name], looked_at: &HashSet<Name>) -> Vec<Typed> {
    let Some(table) = schemas.table(table) else { return Vec::new() };
    let typed = |(at, name): (usize, &Name)| {
        let column = table.column(name).filter(|_| looked_at.contains(name))?;
        let checked = !matches!(column.ty, Type::String | Type::Guid | Type::Dynamic);
        checked.then(|| Typed { at, ty: column.ty, column: column.name.clone() })
    };
    names.iter().enumerate().filter_map(typed).collect()
}

/// Whether a value has a meaning in a column of the type.
#[inline]
fn fits(value: &RawValue<'_>, ty: Type) -> bool {
    match ty {
        Type::Bool => typing::bool(value).is_ok(),
        Type::Int | Type::Long => typing::long(value).is_ok(),
        Type::Real | Type::Decimal => typing::real(value).is_ok(),
        Type::DateTime => typing::datetime(value).is_ok(),
        Type::TimeSpan => typing::timespan(value).is_ok(),
        Type::String | Type::Guid | Type::Dynamic => true,
    }
}

/// How many values did not fit, and the first of them.
#[derive(Default)]
pub struct Mistyped {
    count: u64,
    first: Option<MistypedExample>,
}

impl Mistyped {
    /// Looks at the typed columns of an event.
    #[inline]
    pub fn look(&mut self, columns: &[Typed], event: &LaidOut<'_>, table: &Name, source: &Name) {
        for c in columns {
            if let Some(value) = event.values.get(c.at)
                && !fits(value, c.ty)
            {
                self.note(c, value, event.record, table, source);
            }
        }
    }

    #[cold]
    fn note(&mut self, column: &Typed, value: &RawValue<'_>, record: i64, table: &Name, source: &Name) {
        self.count += 1;
        // Which thread meets which part of the data differs from run to run; what is shown must not.
        if self.first.as_ref().is_some_and(|f| (&f.file, f.record) <= (source, record)) {
            return;
        }
        let mut text = String::new();
        push_json_value(value, &mut text);
        if let Some((at, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(at);
            text.push('…');
        }
        self.first = Some(MistypedExample {
            table: table.clone(),
            column: column.column.clone(),
            ty: column.ty,
            value: text,
            file: source.clone(),
            record,
        });
    }

    /// Adds what another thread saw.
    pub fn add(&mut self, other: Mistyped) {
        self.count += other.count;
        if let Some(f) = other.first
            && self.first.as_ref().is_none_or(|s| (&f.file, f.record) < (&s.file, s.record))
        {
            self.first = Some(f);
        }
    }

    /// Says it where the reading of the data says such things.
    pub fn tell(self, stats: &mut ReadStats) {
        stats.mistyped += self.count;
        if stats.mistyped_example.is_none() {
            stats.mistyped_example = self.first;
        }
    }
}
