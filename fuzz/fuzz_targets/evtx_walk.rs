//! Any bytes as the chunks of an event log that is walked: no panic, bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tercel_fuzz::walk(data));
