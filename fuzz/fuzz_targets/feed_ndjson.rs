//! Lines of JSON, valid or not: by layout come the same events as one by one. Every line is there twice, so that
//! keys learned from the first are foreseen in the second.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let twice = [data, b"\n", data].concat();
    tercel_fuzz::feed(&twice);
});
