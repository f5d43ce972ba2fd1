//! Times on the command line: a point in time, or how long before "now".

use crate::failure::Failure;
use tercel_ir::time;

/// `2024-05-01`, `2024-05-01T12:00:00Z`, or `now` for the clock.
///
/// # Errors
/// When the text is none of these.
pub fn point(option: &str, text: &str) -> Result<i64, Failure> {
    if text.eq_ignore_ascii_case("now") {
        return Ok(clock());
    }
    time::parse_datetime(text).ok_or_else(|| {
        Failure::new(format!("`{option} {text}` is not a time"))
            .help("write 2024-05-01, 2024-05-01T12:00:00Z, or now for the clock")
    })
}

/// A point in time, or a span before `now` such as `90m`, `24h`, `30d`.
///
/// # Errors
/// When the text is neither.
pub fn point_or_span(option: &str, text: &str, now: Option<i64>) -> Result<i64, Failure> {
    match (span(text), now) {
        (Some(s), Some(now)) => Ok((now - s).max(0)),
        (Some(_), None) => Err(Failure::new(format!(
            "`{option} {text}` counts from \"now\", and the data has no event with a time"
        ))
        .help("give --now, or a point in time")),
        (None, _) => point(option, text)
            .map_err(|f| f.help("write 2024-05-01T12:00:00Z, or a span such as 90m, 24h, 30d")),
    }
}

/// `90m` → ticks.
fn span(text: &str) -> Option<i64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "s" => time::TICKS_PER_SECOND,
        "m" => time::TICKS_PER_MINUTE,
        "h" => time::TICKS_PER_HOUR,
        "d" => time::TICKS_PER_DAY,
        "w" => 7 * time::TICKS_PER_DAY,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

/// The clock.
pub fn clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    time::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(0))
}

/// For people: `2024-05-01 12:00:00`.
pub fn show(ticks: i64) -> String {
    let text = time::format_datetime(ticks);
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_spans() {
        let now = time::parse_datetime("2024-05-02").unwrap();
        let day = time::parse_datetime("2024-05-01").unwrap();
        assert_eq!(point_or_span("--since", "24h", Some(now)).unwrap(), day);
        assert_eq!(point_or_span("--since", "1d", Some(now)).unwrap(), day);
        assert_eq!(point_or_span("--since", "2024-05-01", None).unwrap(), day);
        assert!(point_or_span("--since", "24h", None).is_err());
        assert!(point_or_span("--since", "yesterday", Some(now)).is_err());
        assert!(point("--now", "99999999999999999999d").is_err());
        assert_eq!(show(day), "2024-05-01 00:00:00");
    }
}
