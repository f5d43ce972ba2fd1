//! Points in time and spans of time as ticks of 100 ns, Kusto's resolution.
//!
//! A datetime is ticks since 0001-01-01T00:00:00 UTC, so that every year from 1 to 9999 fits an `i64`.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

pub const TICKS_PER_MICRO: i64 = 10;
pub const TICKS_PER_MILLI: i64 = 10_000;
pub const TICKS_PER_SECOND: i64 = 10_000_000;
pub const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
pub const TICKS_PER_HOUR: i64 = 60 * TICKS_PER_MINUTE;
pub const TICKS_PER_DAY: i64 = 24 * TICKS_PER_HOUR;
/// 1970-01-01T00:00:00Z.
pub const UNIX_EPOCH: i64 = 621_355_968_000_000_000;
/// 9999-12-31T23:59:59.9999999Z.
pub const MAX: i64 = 3_155_378_975_999_999_999;

/// From microseconds since 1970. Saturates at the limits of the calendar.
pub fn from_unix_micros(us: i64) -> i64 {
    us.saturating_mul(TICKS_PER_MICRO).saturating_add(UNIX_EPOCH).clamp(0, MAX)
}
/// To microseconds since 1970 (the seventh digit is cut).
pub fn to_unix_micros(ticks: i64) -> i64 {
    (ticks - UNIX_EPOCH).div_euclid(TICKS_PER_MICRO)
}

/// Ticks of a calendar date and time of day; `None` when there is no such day or second.
pub fn from_parts(y: i32, mo: u32, d: u32, h: u32, mi: u32, s: u32, ticks: u32) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(y, mo, d)?;
    if !(1..=9999).contains(&y) || h > 23 || mi > 59 || s > 59 || ticks > 9_999_999 {
        return None;
    }
    let days = i64::from(date.num_days_from_ce() - 1);
    let secs = i64::from(h) * 3600 + i64::from(mi) * 60 + i64::from(s);
    Some(days * TICKS_PER_DAY + secs * TICKS_PER_SECOND + i64::from(ticks))
}

/// Calendar form; the fraction of a second is `ticks.rem_euclid(TICKS_PER_SECOND)`.
pub fn to_civil(ticks: i64) -> NaiveDateTime {
    let t = ticks.clamp(0, MAX);
    let days = (t / TICKS_PER_DAY) as i32 + 1;
    let rest = t % TICKS_PER_DAY;
    let secs = (rest / TICKS_PER_SECOND) as u32;
    let nanos = (rest % TICKS_PER_SECOND) as u32 * 100;
    NaiveDate::from_num_days_from_ce_opt(days)
        .and_then(|d| {
            let t = chrono::NaiveTime::from_num_seconds_from_midnight_opt(secs, nanos)?;
            Some(NaiveDateTime::new(d, t))
        })
        .unwrap_or_default()
}

/// Reads the forms that event sources write: ISO 8601 with `T` or a blank, a fraction of any length
/// (cut to seven digits), `Z`, an offset or nothing (UTC); and a date alone.
pub fn parse_datetime(text: &str) -> Option<i64> {
    let s = text.trim();
    let b = s.as_bytes();
    let num = |from: usize, len: usize| -> Option<u32> {
        let part = b.get(from..from + len)?;
        part.iter().try_fold(0u32, |n, c| c.is_ascii_digit().then(|| n * 10 + u32::from(c - b'0')))
    };
    let (y, mo, d) = (num(0, 4)?, num(5, 2)?, num(8, 2)?);
    if !matches!(b.get(4)?, b'-' | b'/') || b.get(7) != b.get(4) {
        return None;
    }
    if b.len() == 10 {
        return from_parts(y as i32, mo, d, 0, 0, 0, 0);
    }
    if !matches!(b[10], b'T' | b't' | b' ') || b.get(13) != Some(&b':') {
        return None;
    }
    let (h, mi) = (num(11, 2)?, num(14, 2)?);
    let mut at = 16;
    let mut sec = 0;
    if b.get(at) == Some(&b':') {
        sec = num(17, 2)?;
        at = 19;
    }
    let mut ticks = 0u32;
    if matches!(b.get(at), Some(b'.' | b',')) {
        at += 1;
        let start = at;
        while let Some(c) = b.get(at).filter(|c| c.is_ascii_digit()) {
            if at - start < 7 {
                ticks = ticks * 10 + u32::from(c - b'0');
            }
            at += 1;
        }
        if at == start {
            return None;
        }
        for _ in at - start..7 {
            ticks *= 10;
        }
    }
    let mut t = from_parts(y as i32, mo, d, h, mi, sec, ticks)?;
    match &s[at..] {
        "" | "Z" | "z" | " UTC" | "UTC" => {}
        rest => {
            let r = rest.trim_start().as_bytes();
            let sign = match r.first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let digits: Vec<u8> = r[1..].iter().copied().filter(|c| *c != b':').collect();
            if !matches!(digits.len(), 2 | 4) || !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let n = |i: usize| i64::from(digits[i] - b'0');
            let minutes = (n(0) * 10 + n(1)) * 60 + if digits.len() == 4 { n(2) * 10 + n(3) } else { 0 };
            t -= sign * minutes * TICKS_PER_MINUTE;
        }
    }
    (0..=MAX).contains(&t).then_some(t)
}

/// `2020-01-02T03:04:05.6000000Z`, as Kusto prints it.
pub fn format_datetime(ticks: i64) -> String {
    let c = to_civil(ticks);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
        c.year(),
        c.month(),
        c.day(),
        c.hour(),
        c.minute(),
        c.second(),
        ticks.clamp(0, MAX) % TICKS_PER_SECOND
    )
}

/// `[-][d.]hh:mm:ss[.fffffff]`, as Kusto prints it.
pub fn format_timespan(ticks: i64) -> String {
    let n = ticks.unsigned_abs();
    let day = TICKS_PER_DAY as u64;
    let (d, r) = (n / day, n % day);
    let s = r / TICKS_PER_SECOND as u64;
    let f = r % TICKS_PER_SECOND as u64;
    let mut out = String::new();
    if ticks < 0 {
        out.push('-');
    }
    if d > 0 {
        out.push_str(&format!("{d}."));
    }
    out.push_str(&format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60));
    if f > 0 {
        out.push_str(&format!(".{f:07}"));
    }
    out
}

/// Reads `[-][d.]hh:mm[:ss[.fffffff]]` and a bare number of days, the text forms of a timespan.
pub fn parse_timespan(text: &str) -> Option<i64> {
    let s = text.trim();
    let (neg, s) = match s.strip_prefix('-') {
        Some(r) => (true, r),
        None => (false, s),
    };
    let int = |p: &str| -> Option<i64> {
        (!p.is_empty() && p.len() <= 9 && p.bytes().all(|c| c.is_ascii_digit())).then(|| p.parse().ok())?
    };
    let ticks = if s.contains(':') {
        let mut parts = s.split(':');
        let (head, mi, sec) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        let (d, h) = match head.split_once('.') {
            Some((d, h)) => (int(d)?, int(h)?),
            None => (0, int(head)?),
        };
        let (sec, frac) = match sec {
            None => (0, 0),
            Some(p) => match p.split_once('.') {
                None => (int(p)?, 0),
                Some((a, f)) if !f.is_empty() && f.len() <= 7 => {
                    (int(a)?, int(f)? * 10i64.pow(7 - f.len() as u32))
                }
                Some(_) => return None,
            },
        };
        if h > 23 || int(mi)? > 59 || sec > 59 {
            return None;
        }
        d * TICKS_PER_DAY + ((h * 60 + int(mi)?) * 60 + sec) * TICKS_PER_SECOND + frac
    } else {
        int(s)?.checked_mul(TICKS_PER_DAY)?
    };
    Some(if neg { -ticks } else { ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_datetime() {
        let t = parse_datetime("2020-01-02T03:04:05.6Z").unwrap();
        assert_eq!(format_datetime(t), "2020-01-02T03:04:05.6000000Z");
        assert_eq!(parse_datetime("2020-01-02 03:04:05.6"), Some(t));
        assert_eq!(parse_datetime("2020-01-02T05:04:05.6+02:00"), Some(t));
        assert_eq!(parse_datetime("1970-01-01"), Some(UNIX_EPOCH));
        assert_eq!(parse_datetime("2020-02-30T00:00:00Z"), None);
        assert_eq!(parse_datetime("2020-01-02T"), None);
        assert_eq!(parse_datetime("é020-01-02"), None);
        assert_eq!(format_datetime(MAX), "9999-12-31T23:59:59.9999999Z");
    }

    #[test]
    fn forms_of_a_timespan() {
        for s in ["1.02:03:04.5000000", "00:00:01", "-3.00:00:00"] {
            assert_eq!(format_timespan(parse_timespan(s).unwrap()), s);
        }
        assert_eq!(parse_timespan("7"), Some(7 * TICKS_PER_DAY));
        assert_eq!(parse_timespan("25:00:00"), None);
    }
}
