//! What the targets of the readers share.

use std::ops::ControlFlow;

use tercel_schema::Schemas;
use tercel_telemetry::{EventSink, RawEvent, ReadOptions, read_bytes, typing};

/// Takes every event and decodes every value of it in each way that a column may want.
struct Everything;

impl EventSink for Everything {
    fn wants(&mut self, _: &tercel_ir::Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn event(&mut self, event: &RawEvent<'_>) -> ControlFlow<()> {
        let _ = event.time();
        let mut text = String::new();
        for field in event.fields {
            let _ = typing::bool(&field.value);
            let _ = typing::long(&field.value);
            let _ = typing::real(&field.value);
            let _ = typing::datetime(&field.value);
            let _ = typing::timespan(&field.value);
            let _ = typing::dynamic(&field.value, &mut text);
            text.clear();
            let _ = typing::string(&field.value, &mut text);
        }
        ControlFlow::Continue(())
    }
}

/// Reads the bytes as a file of that name.
pub fn read(name: &str, data: &[u8]) {
    thread_local!(static SCHEMAS: Schemas = Schemas::builtin());
    SCHEMAS.with(|schemas| {
        let _ = read_bytes(name, data, schemas, &ReadOptions::default(), &mut Everything);
    });
}
