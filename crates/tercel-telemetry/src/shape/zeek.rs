//! Zeek logs.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::marks::{Mark, Marks};
use super::{Origin, Recogniser, Shape};
use crate::event::EventSink;
use crate::value::{Field, RawValue};

/// `conn` → `ZeekConn`; `smb_files` → `ZeekSmbFiles`.
pub(crate) fn table_name(path: &str) -> String {
    let mut out = String::from("Zeek");
    for part in path.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut chars = part.chars();
        if let Some(first) = chars.next() {
            out.push(first.to_ascii_uppercase());
            out.extend(chars);
        }
    }
    out
}

/// The log that has such fields.
fn log_of(marks: &Marks) -> Option<&'static str> {
    use Mark as M;
    [(M::ConnState, "conn"), (M::DnsQuery, "dns"), (M::SslCipher, "ssl"), (M::HttpMethod, "http")]
        .into_iter()
        .find_map(|(m, log)| marks.has(m).then_some(log))
}

impl Recogniser<'_> {
    /// The table of all records with such fields; values are those that are the same in all.
    pub(super) fn zeek_of_columns(&mut self, marks: &Marks, fields: &[Field<'_>]) -> Option<tercel_ir::Name> {
        let path = marks.first(&[Mark::ZeekPath, Mark::ZeekStream], fields).and_then(|v| v.as_text());
        match path.as_deref() {
            Some("\u{0}") => None,
            Some(p) if !p.is_empty() && p.len() <= 64 => Some(self.names.get(&table_name(p))),
            _ => log_of(marks).map(|log| self.names.get(&table_name(log))),
        }
    }

    pub(super) fn zeek<'a>(
        &mut self,
        origin: &Origin<'_>,
        marks: &Marks,
        fields: &mut [Field<'a>],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        use Mark as M;
        let path = marks.first(&[M::ZeekPath, M::ZeekStream], fields).and_then(|v| v.as_text());
        let path: &str = match path.as_deref() {
            Some(p) if !p.is_empty() && p.len() <= 64 => p,
            _ => match log_of(marks) {
                Some(log) => log,
                None => return self.other(origin, fields, sink),
            },
        };
        let table = match path {
            "conn" => self.names.get("ZeekConn"),
            p => self.names.get(&table_name(p)),
        };
        self.count(&table, Shape::Zeek);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        for f in fields.iter_mut() {
            if f.name.contains('.') {
                f.name = Cow::Owned(f.name.replace('.', "_"));
            }
        }
        let ts = marks.get(M::ZeekTs, fields).unwrap_or(RawValue::Null);
        self.push(origin, &table, fields, [ts, RawValue::Null], sink)
    }
}
