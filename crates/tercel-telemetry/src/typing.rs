//! The one place where raw values become typed ones.
//!
//! The same fact arrives as `true`, `"true"` and `"True"`, as `443` and `"443"`, as `0x1a2c` and `6700`,
//! depending on the carrier. What a column holds is decided by its type alone:
//!
//! | column type | accepted | null |
//! |---|---|---|
//! | bool | `true`/`false` in any case, `1`/`0`, `T`/`F` as bare text; a number: whether it is not 0 | see below |
//! | int, long | decimal, `0x…`, a number without fraction (`80.0`), a boolean (1/0) (an `int` keeps 64 bits: nothing is cut) | |
//! | real, decimal | any number, as number or text | |
//! | datetime | ISO 8601 with `T` or a blank, with or without zone (UTC assumed); `5/13/2022, 8:54:05.210 AM`; `/Date(ms)/`; a number since 1970 in seconds, milli-, micro- or nanoseconds, told apart by size | |
//! | timespan | Kusto's text forms; a number: seconds | |
//! | string, guid | any scalar, as written; nested JSON: its text | |
//! | dynamic | everything, as JSON text; a string that holds a JSON object or array is that object or array | |
//!
//! Absent and JSON null are null for every type. `""` and `"-"` (Windows' and Zeek's "nothing here") stay as
//! they are in a string column, because sources and rules tell them apart; in a typed column they are
//! null and count as no error. Anything else that does not fit is null and counted as mistyped.

use tercel_ir::{Type, time};

use crate::utf16;
use crate::value::{RawValue, push_json_value, unescape};

/// The value does not fit the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mistyped;

type Typed<T> = Result<Option<T>, Mistyped>;

/// Calls `f` with the text of a string value.
#[inline]
fn with_text<T>(body: &str, escaped: bool, f: impl FnOnce(&str) -> Typed<T>) -> Typed<T> {
    if escaped {
        let mut text = String::with_capacity(body.len());
        unescape(body, &mut text);
        f(&text)
    } else {
        f(body)
    }
}

/// Texts that say "no value".
#[inline]
fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "-")
}

/// As a boolean.
///
/// # Errors
/// The value is something else.
pub fn bool(value: &RawValue<'_>) -> Typed<bool> {
    match *value {
        RawValue::Null => Ok(None),
        RawValue::Bool(b) => Ok(Some(b)),
        RawValue::Long(n) => Ok(Some(n != 0)),
        RawValue::Number(n) => n.parse::<f64>().map(|n| Some(n != 0.0)).map_err(|_| Mistyped),
        RawValue::Str { body, escaped } => with_text(body, escaped, bool_text),
        RawValue::Text(s) => bool_text(s),
        RawValue::Utf16(u) => utf16::with_text(u, bool_text),
        RawValue::Json(_) | RawValue::Real(_) | RawValue::Time(_) => Err(Mistyped),
    }
}

fn bool_text(s: &str) -> Typed<bool> {
    match s {
        "true" | "True" | "TRUE" | "1" | "T" => Ok(Some(true)),
        "false" | "False" | "FALSE" | "0" | "F" => Ok(Some(false)),
        s if is_nothing(s) => Ok(None),
        s if s.eq_ignore_ascii_case("true") => Ok(Some(true)),
        s if s.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(Mistyped),
    }
}

/// As a 64-bit integer.
///
/// # Errors
/// The value is something else, has a fraction or does not fit.
pub fn long(value: &RawValue<'_>) -> Typed<i64> {
    match *value {
        RawValue::Null => Ok(None),
        RawValue::Bool(b) => Ok(Some(i64::from(b))),
        RawValue::Long(n) => Ok(Some(n)),
        RawValue::Real(r) => whole(r).map(Some),
        RawValue::Number(s) | RawValue::Text(s) => long_text(s),
        RawValue::Str { body, escaped } => with_text(body, escaped, long_text),
        RawValue::Utf16(u) => utf16::with_text(u, long_text),
        RawValue::Json(_) | RawValue::Time(_) => Err(Mistyped),
    }
}

fn long_text(s: &str) -> Typed<i64> {
    // The common case by hand: a few digits.
    let b = s.as_bytes();
    if (1..=18).contains(&b.len()) && b.iter().all(u8::is_ascii_digit) {
        return Ok(Some(b.iter().fold(0, |n, c| n * 10 + i64::from(c - b'0'))));
    }
    if is_nothing(s) {
        return Ok(None);
    }
    let t = s.trim();
    if let Some(hex) = t.strip_prefix("0x").or_else(|| t.strip_prefix("0X")) {
        // Keywords and handles use all 64 bits.
        if !hex.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(Mistyped);
        }
        return u64::from_str_radix(hex, 16).map(|n| Some(n.cast_signed())).map_err(|_| Mistyped);
    }
    if let Ok(n) = t.parse::<i64>() {
        return Ok(Some(n));
    }
    if t.bytes().any(|c| matches!(c, b'.' | b'e' | b'E')) && t.bytes().all(number_byte) {
        return whole(t.parse().map_err(|_| Mistyped)?).map(Some);
    }
    Err(Mistyped)
}

fn number_byte(c: u8) -> bool {
    c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-')
}

fn whole(r: f64) -> Result<i64, Mistyped> {
    // 2^63 itself does not fit.
    if r.fract() == 0.0 && r >= -(2f64.powi(63)) && r < 2f64.powi(63) { Ok(r as i64) } else { Err(Mistyped) }
}

/// As a floating-point number.
///
/// # Errors
/// The value is something else.
pub fn real(value: &RawValue<'_>) -> Typed<f64> {
    let text = |s: &str| match s.trim() {
        s if is_nothing(s) => Ok(None),
        s if s.bytes().all(number_byte) => s.parse().map(Some).map_err(|_| Mistyped),
        s if s.eq_ignore_ascii_case("nan") => Ok(Some(f64::NAN)),
        "Infinity" => Ok(Some(f64::INFINITY)),
        "-Infinity" => Ok(Some(f64::NEG_INFINITY)),
        _ => Err(Mistyped),
    };
    match *value {
        RawValue::Null => Ok(None),
        RawValue::Long(n) => Ok(Some(n as f64)),
        RawValue::Real(r) => Ok(Some(r)),
        RawValue::Number(s) | RawValue::Text(s) => text(s),
        RawValue::Str { body, escaped } => with_text(body, escaped, text),
        RawValue::Utf16(u) => utf16::with_text(u, text),
        RawValue::Bool(_) | RawValue::Json(_) | RawValue::Time(_) => Err(Mistyped),
    }
}

/// As a point in time, in ticks.
///
/// # Errors
/// The value is something else, or no day of the calendar.
pub fn datetime(value: &RawValue<'_>) -> Typed<i64> {
    match *value {
        RawValue::Null => Ok(None),
        RawValue::Time(t) => Ok(Some(t)),
        RawValue::Long(n) => from_epoch(n as f64, Some(n)).map(Some),
        RawValue::Real(r) => from_epoch(r, None).map(Some),
        RawValue::Number(s) => epoch_text(s).map(Some),
        RawValue::Text(s) => datetime_text(s),
        RawValue::Str { body, escaped } => with_text(body, escaped, datetime_text),
        RawValue::Utf16(u) => utf16::with_text(u, datetime_text),
        RawValue::Bool(_) | RawValue::Json(_) => Err(Mistyped),
    }
}

fn datetime_text(s: &str) -> Typed<i64> {
    if let Some(t) = iso_fast(s.as_bytes()) {
        return Ok(Some(t));
    }
    if is_nothing(s) {
        return Ok(None);
    }
    if let Some(t) = time::parse_datetime(s) {
        return Ok(Some(t));
    }
    let t = s.trim();
    if let Some(ms) = t.strip_prefix("/Date(").and_then(|t| t.strip_suffix(")/")) {
        let ms: i64 = ms.parse().map_err(|_| Mistyped)?;
        return Ok(Some(time::from_unix_micros(ms.saturating_mul(1000))));
    }
    if let Some(t) = us_form(t) {
        return Ok(Some(t));
    }
    // A bare number is an epoch only if it cannot be a year or a small count.
    if t.bytes().next().is_some_and(|c| c.is_ascii_digit())
        && t.bytes().take_while(u8::is_ascii_digit).count() >= 9
    {
        return epoch_text(t).map(Some);
    }
    Err(Mistyped)
}

/// `2019-07-19 14:50:20.871` and `2019-07-19T14:50:20.8712345Z`, the forms of nearly all events.
/// Anything unusual is left to the full parser.
fn iso_fast(b: &[u8]) -> Option<i64> {
    if b.len() < 19
        || b[4] != b'-'
        || b[7] != b'-'
        || b[13] != b':'
        || b[16] != b':'
        || !matches!(b[10], b'T' | b' ')
    {
        return None;
    }
    let mut bad = 0u8;
    let mut two = |i: usize| {
        let (hi, lo) = (b[i].wrapping_sub(b'0'), b[i + 1].wrapping_sub(b'0'));
        bad |= u8::from(hi > 9) | u8::from(lo > 9);
        u32::from(hi) * 10 + u32::from(lo)
    };
    let (y, mo, d) = (two(0) * 100 + two(2), two(5), two(8));
    let (h, mi, s) = (two(11), two(14), two(17));
    if bad != 0 {
        return None;
    }
    let mut rest = &b[19..];
    if let [.., b'Z'] = rest {
        rest = &rest[..rest.len() - 1];
    }
    let mut ticks = 0u32;
    if let [b'.', digits @ ..] = rest {
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for i in 0..7 {
            ticks = ticks * 10 + u32::from(digits.get(i).map_or(0, |c| c - b'0'));
        }
    } else if !rest.is_empty() {
        return None;
    }
    // Days since 0001-01-01 (proleptic Gregorian), without going through a calendar type.
    if !(1..=12).contains(&mo) || d == 0 || y == 0 || h > 23 || mi > 59 || s > 59 {
        return None;
    }
    let leap = y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    const BEFORE: [u32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let m = mo as usize;
    let month = BEFORE[m] - BEFORE[m - 1] + u32::from(leap && mo == 2);
    if d > month {
        return None;
    }
    let p = y - 1;
    let days = p * 365 + p / 4 - p / 100 + p / 400 + BEFORE[m - 1] + u32::from(leap && mo > 2) + d - 1;
    let secs = i64::from(h) * 3600 + i64::from(mi) * 60 + i64::from(s);
    Some(i64::from(days) * time::TICKS_PER_DAY + secs * time::TICKS_PER_SECOND + i64::from(ticks))
}

/// `5/13/2022, 8:54:05.210 AM`: what the portals write into CSV.
fn us_form(s: &str) -> Option<i64> {
    let (date, clock) = s.split_once([',', ' '])?;
    let mut d = date.split('/');
    let num = |p: Option<&str>| -> Option<u32> {
        p.filter(|p| (1..=4).contains(&p.len()) && p.bytes().all(|c| c.is_ascii_digit()))?.parse().ok()
    };
    let (mo, day, y) = (num(d.next())?, num(d.next())?, num(d.next())?);
    if d.next().is_some() {
        return None;
    }
    let (clock, half) = clock.trim().rsplit_once(' ')?;
    let mut c = clock.trim().split(':');
    let (h, mi, sec) = (num(c.next())?, num(c.next())?, c.next()?);
    let (sec, frac) = sec.split_once('.').unwrap_or((sec, ""));
    if c.next().is_some() || h == 0 || h > 12 || frac.len() > 7 || !frac.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let h = match half {
        "AM" | "am" => h % 12,
        "PM" | "pm" => h % 12 + 12,
        _ => return None,
    };
    let ticks =
        if frac.is_empty() { 0 } else { frac.parse::<u32>().ok()? * 10u32.pow(7 - frac.len() as u32) };
    time::from_parts(y as i32, mo, day, h, mi, num(Some(sec))?, ticks)
}

/// `1588205199.82437` exactly, without a detour over binary fractions.
fn epoch_text(s: &str) -> Result<i64, Mistyped> {
    if let Some((whole, frac)) = s.split_once('.')
        && let Ok(secs) = whole.parse::<i64>()
        && (0..100_000_000_000).contains(&secs)
        && !frac.is_empty()
        && frac.bytes().all(|c| c.is_ascii_digit())
    {
        let mut ticks = 0;
        for i in 0..7 {
            ticks = ticks * 10 + frac.as_bytes().get(i).map_or(0, |c| i64::from(c - b'0'));
        }
        return Ok((time::UNIX_EPOCH + secs * time::TICKS_PER_SECOND + ticks).min(time::MAX));
    }
    match s.parse::<i64>() {
        Ok(n) => from_epoch(n as f64, Some(n)),
        Err(_) => from_epoch(s.parse().map_err(|_| Mistyped)?, None),
    }
}

/// Seconds, milli-, micro- or nanoseconds since 1970: each unit's numbers for the years 1973 to 5138
/// of the calendar are of a size of their own.
fn from_epoch(n: f64, exact: Option<i64>) -> Result<i64, Mistyped> {
    if !(0.0..1e19).contains(&n) {
        return Err(Mistyped);
    }
    let (per_unit, divide) = match n {
        n if n < 1e11 => (time::TICKS_PER_SECOND, 1),
        n if n < 1e14 => (time::TICKS_PER_MILLI, 1),
        n if n < 1e17 => (time::TICKS_PER_MICRO, 1),
        _ => (1, 100),
    };
    let ticks = match exact {
        Some(n) => n.saturating_mul(per_unit) / divide,
        None => (n * per_unit as f64 / divide as f64).round() as i64,
    };
    let t = ticks.saturating_add(time::UNIX_EPOCH);
    if t <= time::MAX { Ok(t) } else { Err(Mistyped) }
}

/// As a span of time, in ticks.
///
/// # Errors
/// The value is something else.
pub fn timespan(value: &RawValue<'_>) -> Typed<i64> {
    let seconds = |r: f64| {
        let t = r * time::TICKS_PER_SECOND as f64;
        if t.abs() < 9e18 { Ok(Some(t.round() as i64)) } else { Err(Mistyped) }
    };
    let text = |s: &str| {
        if is_nothing(s) {
            return Ok(None);
        }
        time::parse_timespan(s).map(Some).ok_or(Mistyped)
    };
    match *value {
        RawValue::Null => Ok(None),
        RawValue::Long(n) => seconds(n as f64),
        RawValue::Real(r) => seconds(r),
        RawValue::Number(s) => seconds(s.parse().map_err(|_| Mistyped)?),
        RawValue::Text(s) => text(s),
        RawValue::Str { body, escaped } => with_text(body, escaped, text),
        RawValue::Utf16(u) => utf16::with_text(u, text),
        RawValue::Bool(_) | RawValue::Json(_) | RawValue::Time(_) => Err(Mistyped),
    }
}

/// As text; `buffer` is used when the text is not in the value as it is. `None` is null.
pub fn string<'t>(value: &RawValue<'t>, buffer: &'t mut String) -> Option<&'t str> {
    match *value {
        RawValue::Null => None,
        RawValue::Str { body, escaped: false } => Some(body),
        RawValue::Text(s) | RawValue::Number(s) | RawValue::Json(s) => Some(s),
        RawValue::Bool(b) => Some(if b { "true" } else { "false" }),
        RawValue::Str { body, escaped: true } => {
            buffer.clear();
            unescape(body, buffer);
            Some(buffer)
        }
        RawValue::Utf16(units) => {
            buffer.clear();
            utf16::decode(units, buffer);
            Some(buffer)
        }
        RawValue::Time(t) => {
            *buffer = time::format_datetime(t);
            Some(buffer)
        }
        RawValue::Long(_) | RawValue::Real(_) => {
            buffer.clear();
            push_json_value(value, buffer);
            Some(buffer)
        }
    }
}

/// As JSON text. A string that itself holds a JSON object or array stands for that.
pub fn dynamic<'t>(value: &RawValue<'t>, buffer: &'t mut String) -> Option<&'t str> {
    match *value {
        RawValue::Null => None,
        RawValue::Json(s) | RawValue::Number(s) => Some(s),
        RawValue::Bool(b) => Some(if b { "true" } else { "false" }),
        RawValue::Str { body, escaped } if body.starts_with(['{', '[']) => {
            buffer.clear();
            if escaped {
                unescape(body, buffer);
            } else {
                buffer.push_str(body);
            }
            if !is_json(buffer) {
                let text = std::mem::take(buffer);
                crate::value::push_json_string(&text, buffer);
            }
            Some(buffer)
        }
        RawValue::Text(s) if s.starts_with(['{', '[']) && is_json(s) => Some(s),
        RawValue::Utf16(units @ ([b'{', 0, ..] | [b'[', 0, ..])) => {
            buffer.clear();
            utf16::decode(units, buffer);
            if !is_json(buffer) {
                let text = std::mem::take(buffer);
                crate::value::push_json_string(&text, buffer);
            }
            Some(buffer)
        }
        _ => {
            buffer.clear();
            push_json_value(value, buffer);
            Some(buffer)
        }
    }
}

fn is_json(text: &str) -> bool {
    matches!(crate::json::scan_value(text, 0), Ok((_, end)) if text[end..].trim().is_empty())
}

/// The type a value suggests for a column nobody declared. Text (CSV) is looked into; JSON strings are
/// only looked into for dates. `None`: null or empty, says nothing.
pub fn suggest(value: &RawValue<'_>) -> Option<Type> {
    match *value {
        RawValue::Null => None,
        RawValue::Bool(_) => Some(Type::Bool),
        RawValue::Long(_) => Some(Type::Long),
        RawValue::Real(_) => Some(Type::Real),
        RawValue::Time(_) => Some(Type::DateTime),
        RawValue::Number(n) => Some(if n.parse::<i64>().is_ok() { Type::Long } else { Type::Real }),
        RawValue::Json(_) => Some(Type::Dynamic),
        RawValue::Str { body, .. } => match body {
            s if is_nothing(s) => None,
            s if iso_fast(s.as_bytes()).is_some() => Some(Type::DateTime),
            _ => Some(Type::String),
        },
        RawValue::Utf16(units) => utf16::with_text(units, |s| match s {
            s if is_nothing(s) => None,
            s if iso_fast(s.as_bytes()).is_some() => Some(Type::DateTime),
            _ => Some(Type::String),
        }),
        RawValue::Text(s) => match s {
            s if is_nothing(s) => None,
            s if iso_fast(s.as_bytes()).is_some() || us_form(s).is_some() => Some(Type::DateTime),
            s if s.eq_ignore_ascii_case("true") || s.eq_ignore_ascii_case("false") => Some(Type::Bool),
            // "007" is a name, not a number.
            s if s.len() > 1 && s.starts_with('0') && !s.starts_with("0.") => Some(Type::String),
            s if s.len() < 19 && s.parse::<i64>().is_ok() => Some(Type::Long),
            s if s.bytes().all(number_byte) && s.parse::<f64>().is_ok() => Some(Type::Real),
            s if s.starts_with(['{', '[']) && is_json(s) => Some(Type::Dynamic),
            _ => Some(Type::String),
        },
    }
}

/// The type of a column that has shown values of both types.
pub fn join(a: Type, b: Type) -> Type {
    match (a, b) {
        (a, b) if a == b => a,
        (Type::Long, Type::Real) | (Type::Real, Type::Long) => Type::Real,
        (Type::Dynamic, _) | (_, Type::Dynamic) => Type::Dynamic,
        _ => Type::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(body: &str) -> RawValue<'_> {
        RawValue::Str { body, escaped: false }
    }

    #[test]
    fn booleans() {
        for yes in
            [RawValue::Bool(true), s("true"), s("True"), s("TRUE"), s("tRue"), RawValue::Number("1"), s("1")]
        {
            assert_eq!(bool(&yes), Ok(Some(true)), "{yes:?}");
        }
        assert_eq!(bool(&RawValue::Text("F")), Ok(Some(false)));
        assert_eq!(bool(&s("")), Ok(None));
        assert_eq!(bool(&s("-")), Ok(None));
        assert_eq!(bool(&s("yes")), Err(Mistyped));
    }

    #[test]
    fn integers() {
        for n in [
            RawValue::Number("443"),
            s("443"),
            s(" 443 "),
            s("0x1bb"),
            RawValue::Number("443.0"),
            s("4.43e2"),
        ] {
            assert_eq!(long(&n), Ok(Some(443)), "{n:?}");
        }
        assert_eq!(long(&s("0x8000000000000000")), Ok(Some(i64::MIN)));
        assert_eq!(long(&s("-9223372036854775808")), Ok(Some(i64::MIN)));
        assert_eq!(long(&RawValue::Number("18446744073709551616")), Err(Mistyped));
        assert_eq!(long(&s("0x")), Err(Mistyped));
        assert_eq!(long(&s("0x+1")), Err(Mistyped));
        assert_eq!(long(&s("4.5")), Err(Mistyped));
        assert_eq!(long(&s("9223372036854775808")), Err(Mistyped));
        assert_eq!(long(&s("-")), Ok(None));
        assert_eq!(long(&s("")), Ok(None));
        assert_eq!(long(&s("%%1936")), Err(Mistyped));
    }

    #[test]
    fn times() {
        let t = time::parse_datetime("2019-07-19T14:50:20.871Z").unwrap();
        for v in [
            s("2019-07-19 14:50:20.871"),
            s("2019-07-19T14:50:20.8710000Z"),
            s("2019-07-19T14:50:20.871000000Z"),
            s("2019-07-19T16:50:20.871+02:00"),
            s("7/19/2019, 2:50:20.871 PM"),
            s("/Date(1563547820871)/"),
            RawValue::Number("1563547820.871"),
            RawValue::Number("1563547820871"),
            RawValue::Number("1563547820871000"),
            RawValue::Number("1563547820871000000"),
            s("1563547820.871"),
            RawValue::Real(1_563_547_820.871),
        ] {
            // A binary fraction of a second is exact to a microsecond only.
            let got = datetime(&v).unwrap().unwrap();
            assert!((got - t).abs() < 10, "{v:?} {got} {t}");
        }
        assert_eq!(datetime(&s("-")), Ok(None));
        assert_eq!(datetime(&s("2019")), Err(Mistyped));
        assert_eq!(datetime(&s("2019-02-30 00:00:00")), Err(Mistyped));
        assert_eq!(datetime(&RawValue::Number("-1")), Err(Mistyped));
    }

    #[test]
    fn fast_and_full_parser_agree() {
        for y in [1, 4, 100, 400, 1900, 1970, 1999, 2000, 2024, 2100, 9999] {
            for m in 0..=13 {
                for d in [0, 1, 15, 28, 29, 30, 31, 32] {
                    let text = format!("{y:04}-{m:02}-{d:02}T23:59:59.9999999Z");
                    assert_eq!(iso_fast(text.as_bytes()), time::parse_datetime(&text), "{text}");
                }
            }
        }
    }

    #[test]
    fn texts() {
        let mut b = String::new();
        assert_eq!(string(&RawValue::Bool(true), &mut b), Some("true"));
        assert_eq!(string(&s(""), &mut b), Some(""));
        assert_eq!(string(&s("-"), &mut b), Some("-"));
        assert_eq!(string(&RawValue::Null, &mut b), None);
        assert_eq!(string(&RawValue::Json("{\"a\":1}"), &mut b), Some("{\"a\":1}"));
        assert_eq!(dynamic(&s("a"), &mut b), Some("\"a\""));
        assert_eq!(dynamic(&s("[a"), &mut b), Some("\"[a\""));
        let nested = RawValue::Str { body: r#"{\"a\":\"\\\\x\"}"#, escaped: true };
        assert_eq!(dynamic(&nested, &mut b), Some(r#"{"a":"\\x"}"#));
    }
}
