//! The values behind literal texts.

use tercel_ir::{Type, Value, time};

/// Ticks (100 ns) of a timespan suffix such as `m`, `hours`, `ms`.
pub(crate) fn timespan_unit(suffix: &str) -> Option<i64> {
    Some(match suffix {
        "d" | "day" | "days" => 864_000_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 36_000_000_000,
        "m" | "min" | "minute" | "minutes" => 600_000_000,
        "s" | "sec" | "second" | "seconds" => 10_000_000,
        "ms" | "milli" | "millis" | "millisec" | "millisecond" | "milliseconds" => 10_000,
        "micro" | "micros" | "microsec" | "microsecond" | "microseconds" => 10,
        "nano" | "nanos" | "nanosec" | "nanosecond" | "nanoseconds" => 0,
        "tick" | "ticks" => 1,
        _ => return None,
    })
}

/// Ticks of a literal like `1.5h`; `None` when it is none or does not fit.
pub fn timespan_literal(text: &str) -> Option<i64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, suffix) = text.split_at(split);
    let unit = timespan_unit(suffix)?;
    if let Ok(n) = number.parse::<i64>() {
        // The one unit below a tick.
        return if unit == 0 { Some(n / 100) } else { n.checked_mul(unit) };
    }
    let n: f64 = number.parse().ok()?;
    let ticks = if unit == 0 { n / 100.0 } else { n * unit as f64 };
    (ticks.abs() < i64::MAX as f64).then(|| ticks.round() as i64)
}

/// Names that, with `(` behind them, open a literal with raw text inside.
pub(crate) fn is_typed_literal_name(word: &str) -> bool {
    word == "typeof" || typed_literal_type(word).is_some()
}

/// The type that a typed literal's name stands for.
pub(crate) fn typed_literal_type(word: &str) -> Option<Type> {
    Some(match word {
        "datetime" | "date" => Type::DateTime,
        "timespan" | "time" => Type::TimeSpan,
        "long" | "int64" => Type::Long,
        "int" | "int32" => Type::Int,
        "real" | "double" => Type::Real,
        "decimal" => Type::Decimal,
        "guid" | "uuid" | "uniqueid" => Type::Guid,
        "bool" | "boolean" => Type::Bool,
        _ => return None,
    })
}

/// The type that a declaration names: Kusto's types, their aliases, and the ones `find` knows.
pub(crate) fn declared_type(word: &str) -> Option<Type> {
    Some(match word {
        "float" => Type::Real,
        "int8" | "int16" | "uint" | "uint8" | "uint16" | "uint32" | "char" | "byte" => Type::Int,
        "ulong" | "uint64" => Type::Long,
        _ => return Type::parse(word),
    })
}

/// The text between the quotes of a string literal with its escapes resolved. The second part lists
/// escapes that Kusto does not know (offset and length in `raw`); they are kept as they stand.
pub(crate) fn string_value(raw: &str) -> (String, Vec<(usize, usize)>) {
    let body = raw.strip_prefix(['h', 'H']).unwrap_or(raw);
    for fence in ["```", "~~~"] {
        if let Some(inner) = body.strip_prefix(fence) {
            return (inner.strip_suffix(fence).unwrap_or(inner).to_string(), Vec::new());
        }
    }
    if let Some(verbatim) = body.strip_prefix('@') {
        let quote = verbatim.chars().next().unwrap_or('"');
        let inner = &verbatim[quote.len_utf8().min(verbatim.len())..];
        let inner = inner.strip_suffix(quote).unwrap_or(inner);
        let doubled = [quote, quote].iter().collect::<String>();
        return (inner.replace(&doubled, &quote.to_string()), Vec::new());
    }
    let quote = body.chars().next().unwrap_or('"');
    let lead = raw.len() - body.len() + quote.len_utf8().min(body.len());
    let inner = &raw[lead..];
    // An escaped quote at the end of an unterminated string is no terminator; the caller has
    // reported that string already, so which of the two it was does not matter here.
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    if !inner.contains('\\') {
        return (inner.to_string(), Vec::new());
    }
    let mut out = String::with_capacity(inner.len());
    let mut unknown = Vec::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(&(_, e)) = chars.peek() else {
            out.push('\\');
            break;
        };
        let rest = &inner[at + 1..];
        let simple = match e {
            '\\' | '\'' | '"' => Some(e),
            'a' => Some('\x07'),
            'b' => Some('\x08'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0b'),
            _ => None,
        };
        if let Some(s) = simple {
            out.push(s);
            chars.next();
            continue;
        }
        let (skip, value) = match e {
            'x' => numeric(rest, 1, 2, 16),
            'u' => numeric(rest, 1, 4, 16),
            'U' => numeric(rest, 1, 8, 16),
            '0'..='7' => {
                let digits = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let digits = if digits == 3 && rest.as_bytes()[0] > b'3' { 2 } else { digits };
                numeric(rest, 0, digits, 8)
            }
            _ => (0, None),
        };
        if let Some(v) = value {
            out.push(v);
            for _ in 0..skip {
                chars.next();
            }
        } else {
            unknown.push((lead + at, 1 + e.len_utf8()));
            out.push('\\');
        }
    }
    (out, unknown)
}

/// `digits` digits of `rest` behind `lead` bytes, as a character.
fn numeric(rest: &str, lead: usize, digits: usize, radix: u32) -> (usize, Option<char>) {
    let value = rest.get(lead..lead + digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    let value = value.and_then(|d| u32::from_str_radix(d, radix).ok()).and_then(char::from_u32);
    (lead + digits, value)
}

/// Whether a string literal is written obfuscated (`h"…"`).
pub(crate) fn is_hidden(raw: &str) -> bool {
    raw.starts_with(['h', 'H'])
}

/// The value of a typed literal such as `datetime(2024-01-01)`; `None` when the text is no such value.
pub fn typed_literal(ty: Type, text: &str) -> Option<Value> {
    let t = text.trim();
    // Quotes inside are tolerated: `datetime("2024-01-01")`, `guid('…')`.
    let t = t
        .strip_prefix('"')
        .and_then(|x| x.strip_suffix('"'))
        .or_else(|| t.strip_prefix('\'').and_then(|x| x.strip_suffix('\'')))
        .unwrap_or(t)
        .trim();
    if t.eq_ignore_ascii_case("null") {
        return Some(Value::Null);
    }
    Some(match ty {
        Type::Bool => match t.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Bool(long_text(t)? != 0),
        },
        Type::Int | Type::Long => Value::Long(long_text(t)?),
        Type::Real | Type::Decimal => Value::Real(real_text(t)?),
        Type::DateTime => Value::DateTime(datetime_text(t)?),
        Type::TimeSpan => Value::TimeSpan(timespan_text(t)?),
        Type::Guid => {
            let hex: String = t.chars().filter(|c| !matches!(c, '-' | '{' | '}' | '(')).collect();
            if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let h = hex.to_ascii_lowercase();
            Value::Str(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]))
        }
        Type::String | Type::Dynamic => return None,
    })
}

fn long_text(t: &str) -> Option<i64> {
    let (negative, digits) = match t.strip_prefix('-') {
        Some(d) => (true, d.trim_start()),
        None => (false, t.strip_prefix('+').unwrap_or(t)),
    };
    let n = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as i64,
        None => return if negative { format!("-{digits}").parse().ok() } else { digits.parse().ok() },
    };
    Some(if negative { n.wrapping_neg() } else { n })
}

fn real_text(t: &str) -> Option<f64> {
    match t.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "+inf" | "inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

/// `2024-01-01`, `2017 - 08 - 01`, `01/31/2024`, `2024`, `2024-01`, ISO 8601.
fn datetime_text(t: &str) -> Option<i64> {
    if let Some(v) = time::parse_datetime(t) {
        return Some(v);
    }
    // The documentation itself writes dates with blanks round the dashes.
    let mut tight = String::with_capacity(t.len());
    for part in t.split('-') {
        if !tight.is_empty() {
            tight.push('-');
        }
        tight.push_str(part.trim());
    }
    if let Some(v) = time::parse_datetime(&tight) {
        return Some(v);
    }
    let numbers: Vec<&str> = tight.split('-').collect();
    match numbers.as_slice() {
        [y] if y.len() == 4 => return time::from_parts(y.parse().ok()?, 1, 1, 0, 0, 0, 0),
        [y, m] if y.len() == 4 => return time::from_parts(y.parse().ok()?, m.parse().ok()?, 1, 0, 0, 0, 0),
        [y, m, d] if y.len() == 4 && d.len() <= 2 => {
            return time::from_parts(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?, 0, 0, 0, 0);
        }
        _ => {}
    }
    if let [y, m, d] = t.split(',').map(str::trim).collect::<Vec<_>>().as_slice() {
        return time::from_parts(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?, 0, 0, 0, 0);
    }
    // American order, with or without a time.
    let (date, clock) = t.split_once(' ').unwrap_or((t, ""));
    let parts: Vec<&str> = date.split(['/', '-']).collect();
    if let [m, d, y] = parts.as_slice() {
        let (m, d, y) = (m.parse::<u32>().ok()?, d.parse::<u32>().ok()?, y.parse::<i32>().ok()?);
        let clock = if clock.is_empty() { "00:00:00" } else { clock };
        return time::parse_datetime(&format!("{y:04}-{m:02}-{d:02}T{clock}"));
    }
    None
}

/// Whether the text is a time of day alone: a datetime literal of today, whenever that is.
pub(crate) fn is_clock(t: &str) -> bool {
    let t = t.trim().trim_matches(['"', '\'']).trim();
    let t = t.strip_suffix(" AM").or_else(|| t.strip_suffix(" PM")).unwrap_or(t);
    let parts: Vec<&str> = t.split(':').collect();
    matches!(parts.len(), 2 | 3)
        && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

fn timespan_text(t: &str) -> Option<i64> {
    let (sign, body) = match t.strip_prefix('-') {
        Some(b) => (-1, b.trim_start()),
        None => (1, t),
    };
    // `1d`, `0.5h`, also `3 days`.
    let packed: String = body.split_whitespace().collect();
    match timespan_literal(&packed) {
        Some(v) => v.checked_mul(sign),
        None => time::parse_timespan(t),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let value = |raw: &str| string_value(raw).0;
        assert_eq!(value(r#""a\\b\"c""#), "a\\b\"c");
        assert_eq!(value(r#"@"C:\Temp\""x""#), "C:\\Temp\\\"x");
        assert_eq!(value("@'it''s'"), "it's");
        assert_eq!(value(r#"h"secret""#), "secret");
        assert_eq!(value("H@'a\\b'"), "a\\b");
        assert_eq!(value("```a\n\\b```"), "a\n\\b");
        assert_eq!(value("~~~x~~~"), "x");
        assert_eq!(value(r#""\x41\u0042\U00000043\104""#), "ABCD");
        assert_eq!(value(r#""\0""#), "\0");
        assert_eq!(string_value(r#""a\d""#), ("a\\d".to_string(), vec![(2, 2)]));
        assert_eq!(value(r#""unclosed"#), "unclosed");
    }

    #[test]
    fn timespans() {
        assert_eq!(timespan_literal("1d"), Some(864_000_000_000));
        assert_eq!(timespan_literal("1.5h"), Some(54_000_000_000));
        assert_eq!(timespan_literal("10ms"), Some(100_000));
        assert_eq!(timespan_literal("3ticks"), Some(3));
        assert_eq!(timespan_literal("250nanoseconds"), Some(2));
        assert_eq!(timespan_literal("99999999999999d"), None);
        assert_eq!(typed_literal(Type::TimeSpan, "1.02:03:04"), Some(Value::TimeSpan(937_840_000_000)));
    }

    #[test]
    fn typed() {
        assert_eq!(typed_literal(Type::Bool, "TRUE"), Some(Value::Bool(true)));
        assert_eq!(typed_literal(Type::Bool, "0"), Some(Value::Bool(false)));
        assert_eq!(typed_literal(Type::Long, " -5 "), Some(Value::Long(-5)));
        assert_eq!(typed_literal(Type::Long, "0xff"), Some(Value::Long(255)));
        assert_eq!(typed_literal(Type::Long, "9223372036854775808"), None);
        assert_eq!(typed_literal(Type::Int, "null"), Some(Value::Null));
        assert_eq!(
            typed_literal(Type::DateTime, "2017 - 08 - 01"),
            typed_literal(Type::DateTime, "2017-08-01")
        );
        assert!(typed_literal(Type::DateTime, "2024-01-01T00:00Z").is_some());
        assert_eq!(
            typed_literal(Type::DateTime, "12/31/2023 23:59:00"),
            typed_literal(Type::DateTime, "2023-12-31 23:59:00")
        );
        assert_eq!(typed_literal(Type::DateTime, "next week"), None);
        assert_eq!(
            typed_literal(Type::Guid, "74BE27DE-1E4E-49D9-B579-FE0B331D3642"),
            Some(Value::Str("74be27de-1e4e-49d9-b579-fe0b331d3642".into()))
        );
    }
}
