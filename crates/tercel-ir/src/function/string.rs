//! Functions of text.

use super::{ANY, Function, function, string_predicate, text, to_dynamic, to_long, to_string};
use crate::value::Value;

/// Case folding used by every case-insensitive operator: Unicode simple lower-casing per character,
/// so that the length in characters stays and ASCII stays ASCII.
pub fn fold(s: &str) -> String {
    if s.is_ascii() {
        return s.to_ascii_lowercase();
    }
    s.chars()
        .map(|c| {
            let mut l = c.to_lowercase();
            match (l.next(), l.next()) {
                (Some(x), None) => x,
                _ => c,
            }
        })
        .collect()
}

/// Characters `[start, start+len)` of a text; a negative start counts from the end.
fn substring(s: &str, start: i64, len: Option<i64>) -> String {
    let n = s.chars().count() as i64;
    let from = if start < 0 { (n + start).max(0) } else { start.min(n) };
    let len = len.map_or(n, |l| l.max(0));
    s.chars().skip(from as usize).take(len as usize).collect()
}

/// What follows the last `\` or `/`; the text itself when there is none.
pub fn basename(path: &str) -> &str {
    path.rfind(['\\', '/']).map_or(path, |i| &path[i + 1..])
}

fn percent_decode(s: &str) -> String {
    let b = s.as_bytes();
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    while i < b.len() {
        let hex = |k: usize| b.get(k).and_then(|c| (*c as char).to_digit(16));
        match (b[i], hex(i + 1), hex(i + 2)) {
            (b'%', Some(h), Some(l)) => {
                out.push((h * 16 + l) as u8);
                i += 3;
            }
            (c, ..) => {
                out.push(if c == b'+' { b' ' } else { c });
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Standard base64 with or without padding; `None` when it is not that.
pub fn base64_decode(s: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(s.len() * 3 / 4);
    let (mut acc, mut bits) = (0u32, 0);
    for c in s.trim_end_matches('=').bytes() {
        let v = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue,
            _ => return None,
        };
        acc = acc << 6 | u32::from(v);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((acc >> bits) as u8);
            acc &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// Standard base64 with padding.
pub fn base64_encode(data: &[u8]) -> String {
    const T: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    for c in data.chunks(3) {
        let n = u32::from(c[0]) << 16
            | u32::from(*c.get(1).unwrap_or(&0)) << 8
            | u32::from(*c.get(2).unwrap_or(&0));
        for i in 0..4 {
            out.push(if i <= c.len() { T[(n >> (18 - 6 * i) & 63) as usize] as char } else { '=' });
        }
    }
    out
}

fn decoded(s: &str) -> Value {
    match base64_decode(s).map(String::from_utf8) {
        Some(Ok(t)) => Value::Str(t),
        _ => Value::str(""),
    }
}

fn index_of(s: &str, needle: &str, from: i64) -> i64 {
    let from = from.max(0) as usize;
    let Some((at, _)) = s.char_indices().map(Some).chain([Some((s.len(), ' '))]).flatten().nth(from) else {
        return -1;
    };
    s[at..].find(needle).map_or(-1, |i| s[..at + i].chars().count() as i64)
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!("contains", (2, 2), string_predicate, kql ["contains"], sumo [],
        |a, _| Value::Bool(fold(&text(a, 0)).contains(&fold(&text(a, 1)))), "Substring, ignoring case."),
    function!("contains_cs", (2, 2), string_predicate, kql ["contains_cs", "containscs"], sumo ["contains"],
        |a, _| Value::Bool(text(a, 0).contains(text(a, 1).as_ref())), "Substring, case-sensitive."),
    function!("startswith", (2, 2), string_predicate, kql ["startswith"], sumo [],
        |a, _| Value::Bool(fold(&text(a, 0)).starts_with(&fold(&text(a, 1)))), "Prefix, ignoring case."),
    function!("startswith_cs", (2, 2), string_predicate, kql ["startswith_cs"], sumo [],
        |a, _| Value::Bool(text(a, 0).starts_with(text(a, 1).as_ref())), "Prefix, case-sensitive."),
    function!("endswith", (2, 2), string_predicate, kql ["endswith"], sumo [],
        |a, _| Value::Bool(fold(&text(a, 0)).ends_with(&fold(&text(a, 1)))), "Suffix, ignoring case."),
    function!("endswith_cs", (2, 2), string_predicate, kql ["endswith_cs"], sumo [],
        |a, _| Value::Bool(text(a, 0).ends_with(text(a, 1).as_ref())), "Suffix, case-sensitive."),
    function!(
        "tolower",
        (1, 1),
        to_string,
        kql["tolower"],
        sumo["tolowercase"],
        |a, _| Value::Str(text(a, 0).to_lowercase()),
        "Lower case."
    ),
    function!(
        "toupper",
        (1, 1),
        to_string,
        kql["toupper"],
        sumo["touppercase"],
        |a, _| Value::Str(text(a, 0).to_uppercase()),
        "Upper case."
    ),
    function!(
        "strcat",
        (1, ANY),
        to_string,
        kql["strcat"],
        sumo["concat"],
        |a, _| Value::Str(a.iter().map(|v| v.to_text()).collect()),
        "All arguments as text, one after the other."
    ),
    function!("strcat_delim", (2, ANY), to_string, kql ["strcat_delim"], sumo [],
        |a, _| Value::Str(a[1..].iter().map(Value::to_text).collect::<Vec<_>>().join(&text(a, 0))), "The arguments after the first, joined by the first."),
    function!(
        "strlen",
        (1, 1),
        to_long,
        kql["strlen"],
        sumo["length"],
        |a, _| Value::Long(text(a, 0).chars().count() as i64),
        "Length in characters."
    ),
    function!("substring", (2, 3), to_string, kql ["substring"], sumo [],
        |a, _| a[1].as_i64().map_or(Value::str(""), |i| Value::Str(substring(&text(a, 0), i, a.get(2).map(|v| v.as_i64().unwrap_or(0))))),
        "Characters from a 0-based start, of a length."),
    function!("slice", (2, 3), to_string, kql [], sumo ["substring"],
        |a, _| a[1].as_i64().map_or(Value::str(""), |i| Value::Str(substring(&text(a, 0), i, a.get(2).and_then(Value::as_i64).map(|e| e.saturating_sub(i))))),
        "Characters from a 0-based start up to, not including, an end."),
    function!("trim_blanks", (1, 1), to_string, kql [], sumo ["trim"], |a, _| Value::str(text(a, 0).trim()), "Without blanks at either end."),
    function!(
        "replace_string",
        (3, 3),
        to_string,
        kql["replace_string"],
        sumo["replace"],
        |a, _| if text(a, 1).is_empty() {
            Value::str(text(a, 0))
        } else {
            Value::Str(text(a, 0).replace(text(a, 1).as_ref(), &text(a, 2)))
        },
        "Every occurrence of a text replaced."
    ),
    function!("indexof", (2, 3), to_long, kql ["indexof"], sumo [],
        |a, _| Value::Long(index_of(&text(a, 0), &text(a, 1), a.get(2).and_then(Value::as_i64).unwrap_or(0))), "0-based place of a text, -1 if absent."),
    function!("split", (2, 3), to_dynamic, kql ["split"], sumo [], |a, _| {
        let (s, d) = (text(a, 0), text(a, 1));
        let parts: Vec<serde_json::Value> =
            if d.is_empty() { vec![s.as_ref().into()] } else { s.split(d.as_ref()).map(Into::into).collect() };
        match a.get(2) {
            None => Value::Dynamic(parts.into()),
            Some(i) => Value::Dynamic(i.as_i64().and_then(|i| usize::try_from(i).ok()).and_then(|i| parts.get(i).cloned()).into_iter().collect()),
        }
    }, "Parts of a text between delimiters, as an array; with an index, the array of that one part."),
    function!("reverse", (1, 1), to_string, kql ["reverse"], sumo [], |a, _| Value::Str(text(a, 0).chars().rev().collect()), "Characters in reverse."),
    function!(
        "url_decode",
        (1, 1),
        to_string,
        kql["url_decode"],
        sumo["urldecode"],
        |a, _| Value::Str(percent_decode(&text(a, 0))),
        "Percent-decoded text."
    ),
    function!(
        "base64_decode_tostring",
        (1, 1),
        to_string,
        kql["base64_decode_tostring"],
        sumo["base64decode"],
        |a, _| decoded(&text(a, 0)),
        "Base64 to UTF-8 text; \"\" when it is not that."
    ),
    function!(
        "base64_encode_tostring",
        (1, 1),
        to_string,
        kql["base64_encode_tostring"],
        sumo["base64encode"],
        |a, _| Value::Str(base64_encode(text(a, 0).as_bytes())),
        "UTF-8 text to base64."
    ),
    function!("basename", (1, 1), to_string, kql ["path_basename"], sumo [], |a, _| Value::str(basename(&text(a, 0))), "What follows the last path separator. Not part of KQL; used by views."),
    function!("dirname", (1, 1), to_string, kql ["path_dirname"], sumo [],
        |a, _| { let s = text(a, 0); Value::str(&s[..s.len() - basename(&s).len()]) }, "A path up to and including its last separator. Not part of KQL; used by views."),
];
