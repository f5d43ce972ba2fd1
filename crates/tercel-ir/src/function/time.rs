//! Functions of time. `now()` is no function here: front ends lower it to [`NOW`], which the engine
//! replaces once, where a run starts.

use super::{Function, function, text, to_datetime, to_long};
use crate::time::{
    TICKS_PER_DAY, TICKS_PER_HOUR, TICKS_PER_MILLI, TICKS_PER_MINUTE, TICKS_PER_SECOND, UNIX_EPOCH,
    from_parts, to_civil,
};
use crate::types::Type;
use crate::value::Value;
use chrono::{Datelike, Timelike};

fn timespan(_: &[Type]) -> Result<Type, String> {
    Ok(Type::TimeSpan)
}
fn at(a: &[Value], f: impl Fn(i64) -> Option<i64>) -> Value {
    match &a[0] {
        Value::DateTime(t) => f(*t).map_or(Value::Null, Value::DateTime),
        _ => Value::Null,
    }
}
fn part(a: &[Value], f: impl Fn(chrono::NaiveDateTime) -> i64) -> Value {
    match &a[0] {
        Value::DateTime(t) => Value::Long(f(to_civil(*t))),
        _ => Value::Null,
    }
}
fn day(t: i64) -> i64 {
    t - t.rem_euclid(TICKS_PER_DAY)
}

/// How many boundaries of `unit` lie between two points.
fn diff(unit: &str, a: i64, b: i64) -> Option<i64> {
    let (ca, cb) = (to_civil(a), to_civil(b));
    let months = |c: chrono::NaiveDateTime| i64::from(c.year()) * 12 + i64::from(c.month0());
    let by = |ticks: i64| a.div_euclid(ticks) - b.div_euclid(ticks);
    Some(match unit.to_ascii_lowercase().as_str() {
        "year" => i64::from(ca.year() - cb.year()),
        "quarter" => months(ca).div_euclid(3) - months(cb).div_euclid(3),
        "month" => months(ca) - months(cb),
        // 0001-01-01 was a Monday; weeks begin on Sunday.
        "week" => {
            (a + TICKS_PER_DAY).div_euclid(7 * TICKS_PER_DAY)
                - (b + TICKS_PER_DAY).div_euclid(7 * TICKS_PER_DAY)
        }
        "day" => by(TICKS_PER_DAY),
        "hour" => by(TICKS_PER_HOUR),
        "minute" => by(TICKS_PER_MINUTE),
        "second" => by(TICKS_PER_SECOND),
        "millisecond" => by(TICKS_PER_MILLI),
        "microsecond" => by(10),
        "nanosecond" => (a - b).checked_mul(100)?,
        _ => return None,
    })
}

fn unix(a: &[Value], ticks_per_unit: f64) -> Value {
    a[0].as_f64().map_or(Value::Null, |n| {
        let t = n * ticks_per_unit + UNIX_EPOCH as f64;
        if (0.0..=crate::time::MAX as f64).contains(&t) {
            Value::DateTime((n * ticks_per_unit) as i64 + UNIX_EPOCH)
        } else {
            Value::Null
        }
    })
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!("now", (0, 0), to_datetime, kql [], sumo [], |_, _| Value::Null, "The run's present time: replaced by a literal before anything runs (see `Rel::fold_now`)."),
    function!("startofday", (1, 1), to_datetime, kql ["startofday"], sumo [], |a, _| at(a, |t| Some(day(t))), "Midnight before."),
    function!("endofday", (1, 1), to_datetime, kql ["endofday"], sumo [], |a, _| at(a, |t| Some(day(t) + TICKS_PER_DAY - 1)), "Last tick of the day."),
    function!("startofweek", (1, 1), to_datetime, kql ["startofweek"], sumo [], |a, _| at(a, |t| Some(day(t) - i64::from(to_civil(t).weekday().num_days_from_sunday()) * TICKS_PER_DAY).filter(|t| *t >= 0)), "Midnight of the Sunday before."),
    function!("startofmonth", (1, 1), to_datetime, kql ["startofmonth"], sumo [], |a, _| at(a, |t| { let c = to_civil(t); from_parts(c.year(), c.month(), 1, 0, 0, 0, 0) }), "First of the month."),
    function!("startofyear", (1, 1), to_datetime, kql ["startofyear"], sumo [], |a, _| at(a, |t| from_parts(to_civil(t).year(), 1, 1, 0, 0, 0, 0)), "First of January."),
    function!("getyear", (1, 1), to_long, kql ["getyear"], sumo [], |a, _| part(a, |c| i64::from(c.year())), "Year."),
    function!("monthofyear", (1, 1), to_long, kql ["monthofyear", "getmonth"], sumo [], |a, _| part(a, |c| i64::from(c.month())), "Month, 1 to 12."),
    function!("dayofmonth", (1, 1), to_long, kql ["dayofmonth"], sumo [], |a, _| part(a, |c| i64::from(c.day())), "Day of the month."),
    function!("hourofday", (1, 1), to_long, kql ["hourofday"], sumo [], |a, _| part(a, |c| i64::from(c.hour())), "Hour, 0 to 23."),
    function!("minuteofhour", (1, 1), to_long, kql [], sumo [], |a, _| part(a, |c| i64::from(c.minute())), "Minute, 0 to 59."),
    function!("dayofyear", (1, 1), to_long, kql ["dayofyear"], sumo [], |a, _| part(a, |c| i64::from(c.ordinal())), "Day of the year."),
    function!("weekofyear", (1, 1), to_long, kql ["week_of_year", "weekofyear"], sumo [], |a, _| part(a, |c| i64::from(c.iso_week().week())), "ISO week number."),
    function!("dayofweek", (1, 1), timespan, kql ["dayofweek"], sumo [], |a, _| match &a[0] {
        Value::DateTime(t) => Value::TimeSpan(i64::from(to_civil(*t).weekday().num_days_from_sunday()) * TICKS_PER_DAY),
        _ => Value::Null,
    }, "Days since Sunday, as a timespan."),
    function!("datetime_diff", (3, 3), to_long, kql ["datetime_diff"], sumo [], |a, _| match (&a[1], &a[2]) {
        (Value::DateTime(x), Value::DateTime(y)) => diff(&text(a, 0), *x, *y).map_or(Value::Null, Value::Long),
        _ => Value::Null,
    }, "Boundaries of a unit crossed between two points."),
    function!("unixtime_seconds_todatetime", (1, 1), to_datetime, kql ["unixtime_seconds_todatetime"], sumo [], |a, _| unix(a, 1e7), "Seconds since 1970 as a point in time."),
    function!("unixtime_milliseconds_todatetime", (1, 1), to_datetime, kql ["unixtime_milliseconds_todatetime"], sumo [], |a, _| unix(a, 1e4), "Milliseconds since 1970 as a point in time."),
    function!("unixtime_microseconds_todatetime", (1, 1), to_datetime, kql ["unixtime_microseconds_todatetime"], sumo [], |a, _| unix(a, 10.0), "Microseconds since 1970 as a point in time."),
    function!("datetime_to_unixtime_ms", (1, 1), to_long, kql [], sumo [], |a, _| match &a[0] {
        Value::DateTime(t) => Value::Long((t - UNIX_EPOCH).div_euclid(TICKS_PER_MILLI)),
        _ => Value::Null,
    }, "A point in time as milliseconds since 1970; what Sumo Logic's time fields hold."),
];
