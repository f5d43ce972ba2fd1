//! Recognition by names alone: what can be said of all events with the same keys.
//!
//! A [`Plan`] does for such an event what [`Recogniser::record`] would do, without looking at names again.
//! What depends on values - which log, which of two columns is blank - is decided event by event and makes
//! *variants* of a plan: events of one variant have the same table and the same names.

use std::borrow::Cow;

use tercel_ir::Name;

use super::marks::{Mark, Marks};
use super::windows::{Log, message_line, nxlog_severity};
use super::{Recogniser, Shape, TIME_NAMES, defender};
use crate::value::{Field, RawValue};

/// Keys at most.
const MAX_KEYS: usize = 512;

/// The variant of an event, and its times.
#[derive(Clone, Copy)]
pub(crate) struct Settled<'a> {
    pub variant: u32,
    pub times: [RawValue<'a>; 2],
}

/// What all events with the same keys have in common.
pub(crate) struct Plan {
    /// The keys, under the names they are pushed with.
    keys: Vec<Name>,
    kind: Kind,
}

enum Kind {
    Windows(Windows),
    Defender(Rows),
    /// The table is named after the file.
    Other(Vec<u16>),
}

/// Positions of values; the first that is not blank counts.
type Choice = Vec<u16>;

struct Windows {
    provider: Choice,
    channel: Option<u16>,
    /// The keys alone say Sysmon, if provider and channel do not say otherwise.
    sysmon: bool,
    /// Copies under native names that no key has.
    extra: Vec<Extra>,
    opcode: Option<u16>,
    /// `EventType` may be NXLog's own, and where the message is that has the event's.
    event_type: Option<(u16, Option<u16>)>,
    record_time: Choice,
    local_time: Choice,
    utc: Option<u16>,
}

struct Extra {
    name: &'static str,
    from: Choice,
    /// A blank one is copied, too.
    blank: bool,
}

struct Rows {
    action: u16,
    timestamp: Option<u16>,
    generated: Option<u16>,
    /// Tables whose `Timestamp` is a copy of `TimeGenerated`, one bit each.
    copy: u32,
    guess: Vec<u16>,
}

const RENAMED: u32 = 4;
const EVENT_TYPE: u32 = 8;
/// The first of the bits of `extra`.
const EXTRA: u32 = 4;

#[inline]
fn first<'a>(choice: &[u16], values: &[RawValue<'a>]) -> Option<RawValue<'a>> {
    choice.iter().map(|i| values[usize::from(*i)]).find(|v| !v.is_blank())
}

impl Plan {
    /// The most values that [`Plan::settle`] adds.
    pub const MORE: usize = 12;

    /// Whether the table depends on the file.
    pub fn by_file(&self) -> bool {
        matches!(self.kind, Kind::Other(_))
    }

    /// Decides what depends on values: one for each key, and room for more. Copies are put behind them;
    /// returns how many values there are then. `None`: this event must be read in the ordinary way.
    #[inline]
    pub fn settle<'a>(&self, values: &mut [RawValue<'a>]) -> Option<(Settled<'a>, usize)> {
        let mut n = self.keys.len();
        let mut push = |values: &mut [RawValue<'a>], v| {
            values[n] = v;
            n += 1;
        };
        let settled = match &self.kind {
            Kind::Windows(w) => w.settle(values, &mut push),
            Kind::Defender(rows) => rows.settle(values, &mut push)?,
            Kind::Other(guess) => Settled { variant: 0, times: two(guess, values) },
        };
        Some((settled, n))
    }

    /// The table, shape and names of a variant. The names are distinct.
    pub fn describe(
        &self,
        variant: u32,
        stem: &Name,
        recogniser: &mut Recogniser<'_>,
    ) -> (Name, Shape, Vec<Name>) {
        let mut names = self.keys.clone();
        match &self.kind {
            Kind::Windows(w) => {
                let log = match variant & 3 {
                    0 => Log::Sysmon,
                    1 => Log::Security,
                    _ => Log::Other,
                };
                if w.opcode.is_some() {
                    names.push("Opcode".into());
                }
                if let Some((at, _)) = w.event_type
                    && variant & RENAMED != 0
                {
                    names[usize::from(at)] = "NxlogEventType".into();
                }
                if variant & EVENT_TYPE != 0 {
                    names.push("EventType".into());
                }
                let extra = |i: usize| variant >> EXTRA >> i & 1 == 1;
                // In the order in which the ordinary way pushes them.
                for (i, e) in w.extra.iter().enumerate() {
                    if extra(i) {
                        names.push(e.name.into());
                    }
                }
                (recogniser.log_name(log), Shape::FlatWindows, names)
            }
            Kind::Defender(rows) => {
                if rows.copy >> variant & 1 == 1 {
                    names.push("Timestamp".into());
                }
                let table = defender::FIRST[variant as usize % defender::FIRST.len()];
                (recogniser.names.get(table), Shape::Defender, names)
            }
            Kind::Other(_) => (stem.clone(), Shape::Other, names),
        }
    }
}

/// The first two that are not blank.
fn two<'a>(choice: &[u16], values: &[RawValue<'a>]) -> [RawValue<'a>; 2] {
    let mut found = choice.iter().map(|i| values[usize::from(*i)]).filter(|v| !v.is_blank());
    [found.next().unwrap_or(RawValue::Null), found.next().unwrap_or(RawValue::Null)]
}

impl Windows {
    #[inline]
    fn settle<'a>(
        &self,
        values: &mut [RawValue<'a>],
        push: &mut impl FnMut(&mut [RawValue<'a>], RawValue<'a>),
    ) -> Settled<'a> {
        let at = |i: u16| usize::from(i);
        let provider = first(&self.provider, values);
        let channel = self.channel.map(|i| values[at(i)]);
        let log = if provider.is_none() && channel.is_none() && self.sysmon {
            Log::Sysmon
        } else {
            Log::of(provider, channel)
        };
        let mut variant = match log {
            Log::Sysmon => 0,
            Log::Security => 1,
            Log::Other => 2,
        };
        if let Some(i) = self.opcode {
            push(values, values[at(i)]);
        }
        if log == Log::Sysmon
            && let Some((i, message)) = self.event_type
            && nxlog_severity(&values[at(i)])
        {
            variant |= RENAMED;
            if let Some(RawValue::Str { body, .. }) = message.map(|m| values[at(m)])
                && let Some(value) = message_line(body)
            {
                variant |= EVENT_TYPE;
                push(values, RawValue::Str { body: value, escaped: false });
            }
        }
        for (i, e) in self.extra.iter().enumerate() {
            let value = if e.blank { Some(values[at(e.from[0])]) } else { first(&e.from, values) };
            if let Some(v) = value {
                variant |= 1 << EXTRA << i;
                push(values, v);
            }
        }
        let record_time = first(&self.record_time, values);
        let local_time = first(&self.local_time, values).unwrap_or(RawValue::Null);
        let times = match (record_time, self.utc.map(|i| values[at(i)])) {
            (Some(t), Some(utc)) if log == Log::Sysmon => [t, utc],
            (Some(t), _) => [t, local_time],
            (None, Some(utc)) if log == Log::Sysmon => [utc, local_time],
            (None, _) => [local_time, RawValue::Null],
        };
        Settled { variant, times }
    }
}

impl Rows {
    #[inline]
    fn settle<'a>(
        &self,
        values: &mut [RawValue<'a>],
        push: &mut impl FnMut(&mut [RawValue<'a>], RawValue<'a>),
    ) -> Option<Settled<'a>> {
        let action = match values[usize::from(self.action)] {
            RawValue::Str { body, escaped: false } | RawValue::Text(body) => body,
            _ => return None,
        };
        let table = defender::by_action(action)?;
        let table = defender::FIRST.iter().position(|t| *t == table)?;
        let get = |i: Option<u16>| i.map(|i| values[usize::from(i)]).filter(|v| !v.is_blank());
        let copy = self.copy >> table & 1 == 1;
        let generated = get(self.generated);
        let timestamp = if copy { generated } else { get(self.timestamp) };
        let times = match (timestamp, generated) {
            (Some(a), Some(b)) => [a, b],
            (Some(a), None) | (None, Some(a)) => [a, RawValue::Null],
            // Only names of no known table's time column are left to guess from.
            (None, None) => two(&self.guess, values),
        };
        if copy {
            push(values, values[usize::from(self.generated?)]);
        }
        Some(Settled { variant: table as u32, times })
    }
}

impl Recogniser<'_> {
    /// The plan for records with these keys; `None` if more than the keys decides about them.
    pub(crate) fn plan(&mut self, keys: &[Cow<'_, str>]) -> Option<Plan> {
        use Mark as M;
        let mut distinct: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        distinct.sort_unstable();
        if keys.len() > MAX_KEYS || distinct.windows(2).any(|w| w[0] == w[1]) {
            return None;
        }
        let fields: Vec<Field<'_>> = keys.iter().map(|k| Field::new(k.as_ref(), RawValue::Null)).collect();
        let marks = Marks::of(&fields);
        // Their values decide about the shape.
        let decides = [M::Event, M::Winlog, M::Records, M::Properties, M::EventDataSnake, M::Type];
        if decides.into_iter().any(|m| marks.has(m)) {
            return None;
        }
        let index = |m: Mark| marks.index(m).map(|i| i as u16);
        let choice = |list: &[Mark]| -> Choice { list.iter().filter_map(|m| index(*m)).collect() };
        let mut names: Vec<Name> = keys.iter().map(|k| k.as_ref().into()).collect();
        let has = |name: &str| keys.iter().any(|k| k == name);
        let place = |name: &str| keys.iter().position(|k| k == name).map(|i| i as u16);
        let guess = || -> Vec<u16> { TIME_NAMES.iter().filter_map(|n| place(n)).collect() };
        let kind = match marks.shape(&fields) {
            Shape::FlatWindows => {
                let opcode = index(M::OpcodeValue).filter(|_| marks.has(M::Opcode));
                if opcode.is_some()
                    && let Some(at) = marks.index(M::Opcode)
                {
                    names[at] = "OpcodeName".into();
                }
                let event_type =
                    index(M::EventType).filter(|_| marks.has(M::Severity)).map(|at| (at, index(M::Message)));
                // Two of a name: which one counts is better seen in the ordinary way.
                if opcode.is_some() && has("OpcodeName") || event_type.is_some() && has("NxlogEventType") {
                    return None;
                }
                let provider = choice(&[M::Provider, M::SourceName]);
                let extra = [
                    ("EventID", choice(&[M::EventId])),
                    ("Provider", provider.clone()),
                    ("Channel", choice(&[M::Channel])),
                    ("Computer", choice(&[M::Computer, M::Hostname])),
                    ("EventRecordID", choice(&[M::RecordNumber])),
                    ("SystemProcessId", choice(&[M::ExecutionProcessId])),
                    ("SystemThreadId", choice(&[M::ThreadId])),
                    ("SystemUserId", choice(&[M::UserId])),
                ];
                Kind::Windows(Windows {
                    provider,
                    channel: index(M::Channel),
                    sysmon: marks.has(M::UtcTime) || marks.has(M::ProcessGuid),
                    extra: extra
                        .into_iter()
                        .filter(|(name, from)| !has(name) && !from.is_empty())
                        .map(|(name, from)| Extra { name, from, blank: name == "Channel" })
                        .collect(),
                    opcode,
                    event_type,
                    record_time: choice(&[M::AtTimestamp, M::TimeCreated, M::TimeGenerated]),
                    local_time: choice(&[M::EventTime]),
                    utc: index(M::UtcTime),
                })
            }
            Shape::Defender => {
                let (timestamp, generated) = (place("Timestamp"), place("TimeGenerated"));
                let mut copy = 0;
                if timestamp.is_none() && generated.is_some() {
                    for (i, table) in defender::FIRST.iter().enumerate() {
                        let has = self.schemas.table(table).is_some_and(|t| t.column("Timestamp").is_some());
                        copy |= u32::from(has) << i;
                    }
                }
                Kind::Defender(Rows {
                    action: index(M::ActionType)?,
                    timestamp,
                    generated,
                    copy,
                    guess: guess(),
                })
            }
            Shape::Other => Kind::Other(guess()),
            _ => return None,
        };
        Some(Plan { keys: names, kind })
    }
}
