//! A scanner for JSON objects: one pass, fields of depth 1 only, nested values as raw slices.
//!
//! It checks the grammar of everything it passes over (escapes aside, which are looked at when a
//! string is decoded), without recursion and with bounded depth. Control characters inside strings
//! are let through: sensors write them.

use std::borrow::Cow;
use std::ops::Range;

use crate::value::{Field, RawValue, unescape};

/// Deepest nesting that is read.
pub const MAX_DEPTH: u32 = 120;

/// Why a scan stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanError {
    /// The text ends inside the value. `at` is where the value that is not finished begins.
    Incomplete,
    /// At byte `at` there is something else than expected.
    Unexpected {
        at: usize,
        expected: &'static str,
    },
    TooDeep {
        at: usize,
    },
}

impl ScanError {
    /// In words.
    pub fn message(&self, text: &str) -> String {
        match *self {
            ScanError::Incomplete => "the JSON text ends inside a record".into(),
            ScanError::Unexpected { at, expected } => {
                let found = text.get(at..).and_then(|t| t.chars().next());
                match found {
                    Some(c) => {
                        format!("not valid JSON: expected {expected}, found {c:?} at byte {at} of the record")
                    }
                    None => format!("not valid JSON: expected {expected} at byte {at} of the record"),
                }
            }
            ScanError::TooDeep { .. } => format!("JSON nested deeper than {MAX_DEPTH} levels"),
        }
    }
}

fn unexpected<T>(at: usize, expected: &'static str) -> Result<T, ScanError> {
    Err(ScanError::Unexpected { at, expected })
}

/// The first position from `at` on that is no JSON white space.
#[inline]
pub fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Scans the object that starts at `at` (a `{`); fields are appended to `fields`. Returns the
/// position after it.
///
/// # Errors
/// See [`ScanError`]; `fields` may hold some fields then.
pub fn scan_object<'a>(text: &'a str, at: usize, fields: &mut Vec<Field<'a>>) -> Result<usize, ScanError> {
    let b = text.as_bytes();
    let mut p = at;
    match b.get(p) {
        Some(b'{') => p = skip_space(b, p + 1),
        Some(_) => return unexpected(p, "`{`"),
        None => return Err(ScanError::Incomplete),
    }
    if b.get(p) == Some(&b'}') {
        return Ok(p + 1);
    }
    loop {
        let (end, escaped, next) = string(b, p)?;
        let key = &text[p + 1..end];
        let name = if escaped {
            let mut out = String::with_capacity(key.len());
            unescape(key, &mut out);
            Cow::Owned(out)
        } else {
            Cow::Borrowed(key)
        };
        p = skip_space(b, next);
        match b.get(p) {
            Some(b':') => p = skip_space(b, p + 1),
            Some(_) => return unexpected(p, "`:`"),
            None => return Err(ScanError::Incomplete),
        }
        let (value, next) = scan_value(text, p)?;
        fields.push(Field { name, value });
        p = skip_space(b, next);
        match b.get(p) {
            Some(b',') => p = skip_space(b, p + 1),
            Some(b'}') => return Ok(p + 1),
            Some(_) => return unexpected(p, "`,` or `}`"),
            None => return Err(ScanError::Incomplete),
        }
    }
}

/// The position after the object that starts at `at`, in bytes that need not be UTF-8.
///
/// # Errors
/// See [`ScanError`].
pub fn object_end(bytes: &[u8], at: usize) -> Result<usize, ScanError> {
    match bytes.get(at) {
        Some(b'{') => nested(bytes, at),
        Some(_) => unexpected(at, "`{`"),
        None => Err(ScanError::Incomplete),
    }
}

/// Scans one value of any kind; nested values are passed over and returned as text.
///
/// # Errors
/// See [`ScanError`].
pub fn scan_value(text: &str, at: usize) -> Result<(RawValue<'_>, usize), ScanError> {
    let b = text.as_bytes();
    match b.get(at) {
        Some(b'"') => {
            let (end, escaped, next) = string(b, at)?;
            Ok((RawValue::Str { body: &text[at + 1..end], escaped }, next))
        }
        Some(b'{' | b'[') => {
            let next = nested(b, at)?;
            Ok((RawValue::Json(&text[at..next]), next))
        }
        Some(b't') => literal(b, at, b"true").map(|n| (RawValue::Bool(true), n)),
        Some(b'f') => literal(b, at, b"false").map(|n| (RawValue::Bool(false), n)),
        Some(b'n') => literal(b, at, b"null").map(|n| (RawValue::Null, n)),
        Some(b'-' | b'0'..=b'9') => {
            let next = number(b, at)?;
            Ok((RawValue::Number(&text[at..next]), next))
        }
        Some(_) => unexpected(at, "a value"),
        None => Err(ScanError::Incomplete),
    }
}

/// The end of the object or array at `at`.
///
/// # Errors
/// See [`ScanError`].
pub(crate) fn nested_end(bytes: &[u8], at: usize) -> Result<usize, ScanError> {
    nested(bytes, at)
}

/// The end of the number at `at`; `None` if there is none.
pub(crate) fn number_end(bytes: &[u8], at: usize) -> Option<usize> {
    number(bytes, at).ok()
}

/// An object taken apart.
pub(crate) struct Pieces<'a> {
    /// What stands before each value: keys with all punctuation.
    pub before: Vec<Range<usize>>,
    pub names: Vec<Cow<'a, str>>,
    /// Where the object ends.
    pub end: usize,
}

/// Takes the object at `at` apart. `None`: it is none, or there is white space before its closing bracket.
pub(crate) fn object_pieces(text: &str, at: usize) -> Option<Pieces<'_>> {
    let mut fields = Vec::new();
    let end = scan_object(text, at, &mut fields).ok()?;
    let b = text.as_bytes();
    let mut before = Vec::with_capacity(fields.len());
    let mut from = at;
    for _ in &fields {
        // The scan has seen that everything is where it must be. The first piece begins with the opening
        // bracket, the others with a comma.
        let name = skip_space(b, skip_space(b, from) + 1);
        let colon = skip_space(b, string(b, name).ok()?.2);
        let value = skip_space(b, colon + 1);
        before.push(from..value);
        from = scan_value(text, value).ok()?.1;
    }
    let names = fields.into_iter().map(|f| f.name).collect();
    (from + 1 == end).then_some(Pieces { before, names, end })
}

/// The elements of an array text, each raw; stops at the first error (the text was scanned before).
pub fn elements(array: &str) -> impl Iterator<Item = RawValue<'_>> {
    let b = array.as_bytes();
    let mut p = if b.first() == Some(&b'[') { Some(skip_space(b, 1)) } else { None };
    std::iter::from_fn(move || {
        let at = p?;
        let Ok((value, next)) = scan_value(array, at) else {
            p = None;
            return None;
        };
        let next = skip_space(b, next);
        p = (b.get(next) == Some(&b',')).then(|| skip_space(b, next + 1));
        Some(value)
    })
}

/// A string at `at`: the end of its inside, whether it has escapes, and the position after it.
#[inline]
fn string(b: &[u8], at: usize) -> Result<(usize, bool, usize), ScanError> {
    match b.get(at) {
        Some(b'"') => {}
        Some(_) => return unexpected(at, "a string"),
        None => return Err(ScanError::Incomplete),
    }
    let mut p = at + 1;
    let mut escaped = false;
    loop {
        let Some(found) = find_quote(&b[p..]) else {
            return Err(ScanError::Incomplete);
        };
        p += found;
        if b[p] == b'"' {
            return Ok((p, escaped, p + 1));
        }
        escaped = true;
        p += 2;
        if p > b.len() {
            return Err(ScanError::Incomplete);
        }
    }
}

/// The first `"` or `\`. Most strings are short: a few words by hand before the call is made.
#[inline]
fn find_quote(b: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let mut at = 0;
    while at < 32 {
        let Some(word) = b.get(at..at + 8).and_then(|w| w.try_into().ok()) else {
            return b[at..].iter().position(|c| matches!(c, b'"' | b'\\')).map(|i| i + at);
        };
        let w = u64::from_le_bytes(word);
        // The lowest set bit of either is exact; higher ones may be borrows.
        let hit = zero(w ^ (ONES * u64::from(b'"'))) | zero(w ^ (ONES * u64::from(b'\\')));
        if hit != 0 {
            return Some(at + (hit.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', &b[at..]).map(|i| i + at)
}

fn literal(b: &[u8], at: usize, word: &'static [u8]) -> Result<usize, ScanError> {
    let end = at + word.len();
    match b.get(at..end) {
        Some(w) if w == word => Ok(end),
        Some(_) => unexpected(at, "a value"),
        None if word.starts_with(&b[at..]) => Err(ScanError::Incomplete),
        None => unexpected(at, "a value"),
    }
}

/// JSON's number grammar. A number at the very end of the text counts as complete.
fn number(b: &[u8], at: usize) -> Result<usize, ScanError> {
    let digits = |mut p: usize| {
        let from = p;
        while b.get(p).is_some_and(u8::is_ascii_digit) {
            p += 1;
        }
        (p > from).then_some(p)
    };
    let fail = |p: usize| if p >= b.len() { Err(ScanError::Incomplete) } else { unexpected(p, "a digit") };
    let mut p = at;
    if b.get(p) == Some(&b'-') {
        p += 1;
    }
    // Leading zeros are let through: writers of hexadecimal-minded tools make them.
    p = match digits(p) {
        Some(p) => p,
        None => return fail(p),
    };
    if b.get(p) == Some(&b'.') {
        p = match digits(p + 1) {
            Some(p) => p,
            None => return fail(p + 1),
        };
    }
    if matches!(b.get(p), Some(b'e' | b'E')) {
        p += 1;
        if matches!(b.get(p), Some(b'+' | b'-')) {
            p += 1;
        }
        p = match digits(p) {
            Some(p) => p,
            None => return fail(p),
        };
    }
    Ok(p)
}

/// Passes over an object or array. The open brackets are bits of a number, so there is no recursion.
fn nested(b: &[u8], at: usize) -> Result<usize, ScanError> {
    // Bit 0 is the innermost bracket: 1 = object. `depth` counts them.
    let mut stack: u128 = 0;
    let mut depth: u32 = 0;
    let mut p = at;
    loop {
        // At the start of a value.
        match b.get(p) {
            Some(&open @ (b'{' | b'[')) => {
                if depth >= MAX_DEPTH {
                    return Err(ScanError::TooDeep { at: p });
                }
                let object = open == b'{';
                stack = stack << 1 | u128::from(object);
                depth += 1;
                p = skip_space(b, p + 1);
                let close = if object { b'}' } else { b']' };
                if b.get(p) == Some(&close) {
                    p += 1;
                    stack >>= 1;
                    depth -= 1;
                } else {
                    if object {
                        p = key(b, p)?;
                    }
                    continue;
                }
            }
            Some(b'"') => p = string(b, p)?.2,
            Some(b't') => p = literal(b, p, b"true")?,
            Some(b'f') => p = literal(b, p, b"false")?,
            Some(b'n') => p = literal(b, p, b"null")?,
            Some(b'-' | b'0'..=b'9') => p = number(b, p)?,
            Some(_) => return unexpected(p, "a value"),
            None => return Err(ScanError::Incomplete),
        }
        // After a value.
        loop {
            if depth == 0 {
                return Ok(p);
            }
            p = skip_space(b, p);
            let object = stack & 1 == 1;
            match b.get(p) {
                Some(b',') => {
                    p = skip_space(b, p + 1);
                    if object {
                        p = key(b, p)?;
                    }
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                Some(_) => return unexpected(p, if object { "`,` or `}`" } else { "`,` or `]`" }),
                None => return Err(ScanError::Incomplete),
            }
            p += 1;
            stack >>= 1;
            depth -= 1;
        }
    }
}

/// Passes over `"key" :` and white space.
fn key(b: &[u8], at: usize) -> Result<usize, ScanError> {
    let p = skip_space(b, string(b, at)?.2);
    match b.get(p) {
        Some(b':') => Ok(skip_space(b, p + 1)),
        Some(_) => unexpected(p, "`:`"),
        None => Err(ScanError::Incomplete),
    }
}

/// Whether every backslash of a string's inside begins an escape that JSON knows.
pub fn escapes_are_valid(body: &str) -> bool {
    let b = body.as_bytes();
    let mut p = 0;
    while let Some(i) = memchr::memchr(b'\\', &b[p..]) {
        p += i + 1;
        match b.get(p) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => p += 1,
            Some(b'u') if b.get(p + 1..p + 5).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) => p += 5,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(text: &str) -> Result<Vec<Field<'_>>, ScanError> {
        let mut out = Vec::new();
        scan_object(text, 0, &mut out).map(|_| out)
    }

    #[test]
    fn an_object() {
        let text = r#"{ "a":1, "b\n":"x\\y", "c":{"d":[1,{}]},"e":[],"f":null , "g":true,"h":-1.5e3}"#;
        let f = fields(text).unwrap();
        let names: Vec<_> = f.iter().map(|f| f.name.as_ref()).collect();
        assert_eq!(names, ["a", "b\n", "c", "e", "f", "g", "h"]);
        assert_eq!(f[1].value, RawValue::Str { body: r"x\\y", escaped: true });
        assert_eq!(f[2].value, RawValue::Json(r#"{"d":[1,{}]}"#));
        assert_eq!(f[6].value, RawValue::Number("-1.5e3"));
        assert_eq!(fields("{}").unwrap(), vec![]);
    }

    #[test]
    fn errors() {
        for bad in [
            "{a}",
            "{\"a\" 1}",
            "{\"a\":1 2}",
            "{\"a\":tru}",
            "{\"a\":[1}}",
            "{\"a\":01x}",
            "{\"a\":{,}}",
            "[1]",
        ] {
            assert!(matches!(fields(bad), Err(ScanError::Unexpected { .. })), "{bad}");
        }
        for cut in ["{", "{\"a", "{\"a\\", "{\"a\":", "{\"a\":[", "{\"a\":tr", "{\"a\":-", "{\"a\":1"] {
            assert_eq!(fields(cut), Err(ScanError::Incomplete), "{cut}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(fields(&deep), Err(ScanError::TooDeep { .. })));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(120), "]".repeat(120));
        assert!(fields(&deep).is_ok());
    }

    #[test]
    fn quotes_are_found_wherever_they_stand() {
        for n in 0..80 {
            for q in ['"', '\\'] {
                let s = format!("{}{q}zz\"", "é".repeat(n));
                assert_eq!(find_quote(s.as_bytes()), Some(2 * n), "{n}");
            }
        }
        assert_eq!(find_quote(b"abc"), None);
    }

    #[test]
    fn array_elements() {
        let v: Vec<_> = elements("[1, \"x\", {\"a\":2}]").collect();
        assert_eq!(v.len(), 3);
        assert_eq!(v[2], RawValue::Json("{\"a\":2}"));
        assert_eq!(elements("[]").count(), 0);
        assert_eq!(elements("7").count(), 0);
    }

    fn json(depth: u32) -> BoxedStrategy<serde_json::Value> {
        use serde_json::Value as J;
        let leaf = prop_oneof![
            Just(J::Null),
            any::<bool>().prop_map(J::from),
            any::<i64>().prop_map(J::from),
            any::<i32>().prop_map(|n| J::from(f64::from(n) / 8.0)),
            "\\PC{0,40}".prop_map(J::from),
        ];
        leaf.prop_recursive(depth, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(J::Array),
                prop::collection::vec(("[a-z\"\\\\]{0,8}", inner), 0..6)
                    .prop_map(|v| J::Object(v.into_iter().collect())),
            ]
        })
        .boxed()
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in prop::collection::vec(("\\PC{0,9}", json(4)), 0..8), pretty: bool) {
            let value = serde_json::Value::Object(value.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let got = fields(&text).unwrap();
            let mut rendered = String::new();
            crate::value::object_text(&got, &mut rendered);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&rendered).unwrap(), value);
        }

        #[test]
        fn never_panics(text in "[\\[\\]{}\",:\\\\a-c0-9.eE\\- \u{e9}\n]{0,60}") {
            let whole = format!("{{\"a\":{text}");
            let ours = fields(&whole);
            // What serde_json takes, we take.
            let value: Result<serde_json::Value, _> = serde_json::from_str(&whole);
            if value.is_ok() {
                prop_assert!(ours.is_ok());
            }
        }
    }
}
