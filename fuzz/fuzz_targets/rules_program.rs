//! Rules, a line `%%`, and lines of JSON: the program that runs all rules in one pass finds what the plain reading of each rule on
//! each event finds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (rules, events) = text.split_once("\n%%\n").unwrap_or((text, ""));
    tercel_fuzz::program::compare(rules, events.as_bytes());
});
