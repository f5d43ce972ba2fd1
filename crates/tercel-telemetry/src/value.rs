//! Values as a reader finds them, not yet decoded, and the fields of an event.

use std::borrow::Cow;

use crate::utf16;

/// A value in the reader's buffer. Only what a sink asks for is decoded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RawValue<'a> {
    /// JSON `null`, an unset Zeek field, a null in a column.
    Null,
    Bool(bool),
    /// The text of a JSON number.
    Number(&'a str),
    /// The inside of a JSON string. `escaped`: it holds backslash escapes.
    Str {
        body: &'a str,
        escaped: bool,
    },
    /// Text as it is: a CSV cell, an XML text.
    Text(&'a str),
    /// Text as an event log holds it: little-endian UTF-16 units, up to the first NUL.
    Utf16(&'a [u8]),
    /// A JSON object or array, as written.
    Json(&'a str),
    Long(i64),
    Real(f64),
    /// Ticks since year 1.
    Time(i64),
}

impl<'a> RawValue<'a> {
    /// Null, or an empty text.
    pub fn is_blank(&self) -> bool {
        matches!(
            self,
            RawValue::Null | RawValue::Str { body: "", .. } | RawValue::Text("") | RawValue::Utf16([])
        )
    }
    /// The text of a string; `None` for everything else.
    pub fn as_text(&self) -> Option<Cow<'a, str>> {
        match *self {
            RawValue::Text(s) | RawValue::Str { body: s, escaped: false } => Some(Cow::Borrowed(s)),
            RawValue::Str { body, escaped: true } => {
                let mut out = String::with_capacity(body.len());
                unescape(body, &mut out);
                Some(Cow::Owned(out))
            }
            RawValue::Utf16(units) => {
                let mut out = String::new();
                utf16::decode(units, &mut out);
                Some(Cow::Owned(out))
            }
            _ => None,
        }
    }
    /// Whether this is a string equal to `text`. Escaped strings are decoded only if they may be equal.
    pub fn is_text(&self, text: &str) -> bool {
        match *self {
            RawValue::Text(s) | RawValue::Str { body: s, escaped: false } => s == text,
            RawValue::Str { body, escaped: true } => {
                body.len() > text.len() && self.as_text().is_some_and(|t| t == text)
            }
            RawValue::Utf16(units) => utf16::equals(units, text),
            _ => false,
        }
    }
    /// The number in a JSON number or in a string.
    pub fn as_i64(&self) -> Option<i64> {
        crate::typing::long(self).ok().flatten()
    }
}

/// A named value of an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Field<'a> {
    pub name: Cow<'a, str>,
    pub value: RawValue<'a>,
}

impl<'a> Field<'a> {
    /// A field.
    pub fn new(name: impl Into<Cow<'a, str>>, value: RawValue<'a>) -> Field<'a> {
        Field { name: name.into(), value }
    }
}

/// The first value of that name.
pub fn find<'a>(fields: &[Field<'a>], name: &str) -> Option<RawValue<'a>> {
    fields.iter().find(|f| f.name == name).map(|f| f.value)
}

/// Empties a list and gives its allocation to fields of another lifetime.
pub fn recycle<'b>(mut fields: Vec<Field<'_>>) -> Vec<Field<'b>> {
    fields.clear();
    // Collecting an empty iterator over the same layout keeps the allocation.
    fields
        .into_iter()
        .map(|f| Field { name: Cow::Owned(f.name.into_owned()), value: RawValue::Null })
        .collect()
}

/// Decodes the inside of a JSON string. Escapes that mean nothing are kept as written; lone
/// surrogates become U+FFFD.
pub fn unescape(body: &str, out: &mut String) {
    let mut rest = body;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let simple = match tail.as_bytes().first() {
            Some(b'"') => Some('"'),
            Some(b'\\') => Some('\\'),
            Some(b'/') => Some('/'),
            Some(b'b') => Some('\u{8}'),
            Some(b'f') => Some('\u{c}'),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            _ => None,
        };
        if let Some(c) = simple {
            out.push(c);
            rest = &tail[1..];
        } else if let Some((c, used)) = unicode_escape(tail) {
            out.push(c);
            rest = &tail[used..];
        } else {
            out.push('\\');
            rest = tail;
        }
    }
    out.push_str(rest);
}

/// `uXXXX`, or two of them that make one character; with the bytes used, counted after the first backslash.
fn unicode_escape(s: &str) -> Option<(char, usize)> {
    let unit = |s: &str| -> Option<u32> {
        let hex = s.strip_prefix('u')?.get(..4)?;
        hex.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(hex, 16).ok())?
    };
    let hi = unit(s)?;
    if (0xD800..0xDC00).contains(&hi)
        && let Some(lo) = s.get(5..).and_then(|t| t.strip_prefix('\\')).and_then(unit)
        && (0xDC00..0xE000).contains(&lo)
    {
        let c = 0x1_0000 + ((hi - 0xD800) << 10) + (lo - 0xDC00);
        return Some((char::from_u32(c).unwrap_or('\u{FFFD}'), 11));
    }
    Some((char::from_u32(hi).unwrap_or('\u{FFFD}'), 5))
}

/// Appends `text` as a JSON string, with its quotes.
pub fn push_json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut start = 0;
    for (i, b) in text.bytes().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.push_str(&text[start..i]);
        start = i + 1;
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(HEX[usize::from(b >> 4)] as char);
                out.push(HEX[usize::from(b & 15)] as char);
            }
        }
    }
    out.push_str(&text[start..]);
    out.push('"');
}

/// Appends a value as JSON.
pub fn push_json_value(value: &RawValue<'_>, out: &mut String) {
    use std::fmt::Write as _;
    match *value {
        RawValue::Null => out.push_str("null"),
        RawValue::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        RawValue::Number(n) => out.push_str(n),
        RawValue::Str { body, escaped } => {
            // As written, unless an escape or a control character would not be JSON.
            let clean = !body.bytes().any(|b| b < 0x20);
            if clean && (!escaped || crate::json::escapes_are_valid(body)) {
                out.push('"');
                out.push_str(body);
                out.push('"');
            } else {
                let mut text = String::new();
                unescape(body, &mut text);
                push_json_string(&text, out);
            }
        }
        RawValue::Text(s) => push_json_string(s, out),
        RawValue::Utf16(units) => utf16::with_text(units, |s| push_json_string(s, out)),
        RawValue::Json(s) => out.push_str(s),
        RawValue::Long(n) => {
            let _ = write!(out, "{n}");
        }
        RawValue::Real(r) if r.is_finite() => {
            let _ = write!(out, "{r:?}");
        }
        RawValue::Real(_) => out.push_str("null"),
        RawValue::Time(t) => push_json_string(&tercel_ir::time::format_datetime(t), out),
    }
}

/// The fields as one JSON object. Nulls are written; of a repeated name the first counts.
pub fn object_text(fields: &[Field<'_>], out: &mut String) {
    out.push('{');
    for (i, f) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_json_string(&f.name, out);
        out.push(':');
        push_json_value(&f.value, out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn un(s: &str) -> String {
        let mut out = String::new();
        unescape(s, &mut out);
        out
    }

    #[test]
    fn escapes() {
        assert_eq!(un(r"C:\\Users\\a\u00e9\n"), "C:\\Users\\aé\n");
        assert_eq!(un(r"\ud83d\ude00!"), "😀!");
        assert_eq!(un(r"\ud83d!"), "\u{FFFD}!");
        assert_eq!(un(r"\ud83d\u0041"), "\u{FFFD}A");
        assert_eq!(un(r"\q\"), r"\q\");
        assert_eq!(un(r"\u12"), r"\u12");
        assert_eq!(un("\\ué123"), "\\ué123");
    }

    #[test]
    fn json_strings() {
        let mut out = String::new();
        push_json_string("a\"\\\u{1}\né", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\u0001\\né\"");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"\\\u{1}\né");
    }
}
