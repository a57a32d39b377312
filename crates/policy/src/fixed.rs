//! Scores and times as the whole numbers that Cedar compares.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// Largest score a rule sees, in ten-thousandths: more means nothing, and Cedar's decimal has an end.
const MOST: i64 = 1_000_000 * 10_000;

/// A score in ten-thousandths. What is not a number counts as the largest: a
/// miscounted message must not pass for a harmless one.
pub(crate) fn score(score: f32) -> i64 {
    if score.is_nan() {
        return MOST;
    }
    // The range makes the conversion exact enough and never saturate.
    (f64::from(score) * 10_000.0).round().clamp(-(MOST as f64), MOST as f64) as i64
}

/// The text Cedar's `decimal` reads.
pub(crate) fn decimal(ten_thousandths: i64) -> String {
    let sign = if ten_thousandths < 0 { "-" } else { "" };
    let n = ten_thousandths.unsigned_abs();
    format!("{sign}{}.{:04}", n / 10_000, n % 10_000)
}

/// A literal of Cedar's `decimal`: digits, a point, one to four digits.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.')?;
    let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > 4 {
        return None;
    }
    let part: i64 = format!("{part:0<4}").parse().ok()?;
    let value = whole.parse::<i64>().ok()?.checked_mul(10_000)?.checked_add(part)?;
    Some(if negative { -value } else { value })
}

/// A time in milliseconds since 1970, as Cedar's `datetime` counts. Earlier times count as 1970.
pub(crate) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond().max(0)
}

/// The text Cedar's `datetime` reads.
pub(crate) fn datetime(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A literal of Cedar's `datetime` in the forms `2027-03-31` and `2027-03-31T08:00:00Z`;
/// `None` for the others, which are then compared as they are.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let time: Timestamp = match text.len() {
        10 => {
            let date: Date = text.parse().ok()?;
            date.to_datetime(Time::midnight()).to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
        20 if text.ends_with('Z') => text.parse().ok()?,
        _ => return None,
    };
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_keep_four_places_and_have_an_end() {
        assert_eq!(decimal(score(12.5)), "12.5000");
        assert_eq!(decimal(score(-0.25)), "-0.2500");
        assert_eq!(decimal(score(f32::INFINITY)), "1000000.0000");
        assert_eq!(score(f32::NAN), score(f32::INFINITY));
        assert_eq!(
            (parse("12.5"), parse("-0.25"), parse("5"), parse("1.23456")),
            (Some(125_000), Some(-2_500), None, None)
        );
    }

    #[test]
    fn times_are_read_and_written_as_cedar_does() {
        assert_eq!(datetime(parse_time("2027-03-31T08:00:00Z").unwrap()), "2027-03-31T08:00:00.000Z");
        assert_eq!(parse_time("2027-03-31").unwrap() % 86_400_000, 0);
        assert_eq!(parse_time("2027-03-31T08:00:00+0100"), None);
        assert_eq!(millis(Timestamp::MIN), 0);
    }
}
