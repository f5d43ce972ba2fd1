//! Any bytes: no panic, bounded memory, and every event's fields can be decoded.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tercel_fuzz::read("input.jsonl", data));
