//! What a plain scalar means: the core schema of YAML 1.2, nothing of 1.1 (`yes` is text).

use super::Kind;

/// The value of a scalar without quotes.
pub(crate) fn plain_value(text: &str) -> Kind {
    no_text(text).unwrap_or_else(|| Kind::Str(text.to_string()))
}

/// The same where it is anything but text, which is rare.
pub(super) fn no_text(text: &str) -> Option<Kind> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Kind::Null),
        "true" | "True" | "TRUE" => return Some(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Kind::Bool(false)),
        _ => {}
    }
    // All numbers start with one of these.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    integer(text).map(Kind::Int).or_else(|| float(text).map(Kind::Float))
}

/// An integer that fits 64 bits. Larger ones stay text: text compares digit for digit, a float would not.
fn integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn digits(text: &str, radix: u32) -> Option<i64> {
    if text.is_empty() || !text.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    i64::from_str_radix(text, radix).ok()
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, at least a dot or an exponent.
/// `.inf` and `.nan` stay text: no event field is compared with them.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(i) => (&unsigned[..i], Some(&unsigned[i + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.find('.') {
        Some(i) => (&mantissa[..i], Some(&mantissa[i + 1..])),
        None => (mantissa, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && all_digits(e)
    });
    let any_digit = !whole.is_empty() || fraction.is_some_and(|f| !f.is_empty());
    if !any_digit || !all_digits(whole) || !fraction.is_none_or(all_digits) || !exponent_fits {
        return None;
    }
    if fraction.is_none() && exponent.is_none() {
        return None;
    }
    text.parse().ok().filter(|r: &f64| r.is_finite())
}

/// A float so that reading it gives the same float again (and never an integer).
pub(super) fn float_text(r: f64) -> String {
    let text = format!("{r:?}");
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_schema() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("null", Kind::Null),
            ("nULL", Kind::Str("nULL".into())),
            ("true", Kind::Bool(true)),
            ("yes", Kind::Str("yes".into())),
            ("443", Kind::Int(443)),
            ("-1", Kind::Int(-1)),
            ("0x10", Kind::Int(16)),
            ("0o17", Kind::Int(15)),
            ("0x", Kind::Str("0x".into())),
            ("007", Kind::Int(7)),
            ("1_000", Kind::Str("1_000".into())),
            ("22:30", Kind::Str("22:30".into())),
            ("9223372036854775808", Kind::Str("9223372036854775808".into())),
            ("1.5", Kind::Float(1.5)),
            (".5", Kind::Float(0.5)),
            ("5.", Kind::Float(5.0)),
            ("1e3", Kind::Float(1000.0)),
            ("1e", Kind::Str("1e".into())),
            (".", Kind::Str(".".into())),
            (".inf", Kind::Str(".inf".into())),
            ("1e999", Kind::Str("1e999".into())),
            ("1.2.3", Kind::Str("1.2.3".into())),
            ("-", Kind::Str("-".into())),
        ] {
            assert_eq!(plain_value(text), kind, "{text}");
        }
    }
}
