//! Dates of log lines in UTC, made once per second.

const WEEKDAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// Year, month and day from days since 1970-01-01, by counting 400-year eras from 1 March of year 0 (proleptic Gregorian).
fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01; an era of 400 years has 146,097.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The moment of a Unix time in seconds, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Civil {
    year: u64,
    month: u64,
    pub(super) day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    pub(super) fn of(seconds: u64) -> Self {
        let (year, month, day) = civil(seconds / 86_400);
        let rest = seconds % 86_400;
        Self {
            year,
            month,
            day,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// The first three letters of the month.
    pub(super) fn month_name(&self) -> &'static [u8] {
        #[allow(clippy::cast_possible_truncation)] // 1 to 12
        let start = (self.month as usize - 1) * 3;
        &MONTHS[start..start + 3]
    }

    /// `hh:mm:ss`
    pub(super) fn time(&self) -> [u8; 8] {
        let mut out = *b"00:00:00";
        put(&mut out[0..2], self.hour);
        put(&mut out[3..5], self.minute);
        put(&mut out[6..8], self.second);
        out
    }
}

/// `Tue Oct 10 13:55:36 2000`: the form of C's asctime, of a Unix time in seconds. The day has a space in front below ten.
pub(super) fn asctime(seconds: u64) -> [u8; 24] {
    let civil = Civil::of(seconds);
    let mut out = *b"Thu Jan  1 00:00:00 1970";
    #[allow(clippy::cast_possible_truncation)] // 0 to 6; 1970-01-01 was a Thursday
    let weekday = (seconds / 86_400 + 4) as usize % 7 * 3;
    out[0..3].copy_from_slice(&WEEKDAYS[weekday..weekday + 3]);
    out[4..7].copy_from_slice(civil.month_name());
    if civil.day < 10 {
        put(&mut out[9..10], civil.day);
    } else {
        put(&mut out[8..10], civil.day);
    }
    out[11..19].copy_from_slice(&civil.time());
    put(&mut out[20..24], civil.year);
    out
}

/// Writes decimal digits into all of `out`, from the right.
fn put(out: &mut [u8], value: u64) {
    let mut rest = value;
    for place in out.iter_mut().rev() {
        #[allow(clippy::cast_possible_truncation)] // a digit
        let digit = (rest % 10) as u8;
        *place = b'0' + digit;
        rest /= 10;
    }
}

/// Remembers the date of the second it was last asked for.
#[derive(Debug, Clone)]
pub(super) struct DateCache {
    second: u64,
    clf: [u8; 28],
    rfc3339: [u8; 24],
}

impl DateCache {
    pub(super) fn new() -> Self {
        let mut cache = Self {
            second: 0,
            clf: *b"[01/Jan/1970:00:00:00 +0000]",
            rfc3339: *b"1970-01-01T00:00:00.000Z",
        };
        cache.set(0);
        cache
    }

    /// `[10/Oct/2000:13:55:36 +0000]`
    #[inline]
    pub(super) fn clf(&mut self, unix_nanos: u64) -> &[u8; 28] {
        self.at(unix_nanos / 1_000_000_000);
        &self.clf
    }

    /// `2000-10-10T13:55:36.123Z`
    #[inline]
    pub(super) fn rfc3339(&mut self, unix_nanos: u64) -> &[u8; 24] {
        self.at(unix_nanos / 1_000_000_000);
        put(&mut self.rfc3339[20..23], unix_nanos / 1_000_000 % 1_000);
        &self.rfc3339
    }

    #[inline]
    fn at(&mut self, second: u64) {
        if second != self.second {
            self.set(second);
        }
    }

    fn set(&mut self, second: u64) {
        let civil = Civil::of(second);
        self.second = second;
        put(&mut self.clf[1..3], civil.day);
        self.clf[4..7].copy_from_slice(civil.month_name());
        put(&mut self.clf[8..12], civil.year);
        self.clf[13..21].copy_from_slice(&civil.time());
        put(&mut self.rfc3339[0..4], civil.year);
        put(&mut self.rfc3339[5..7], civil.month);
        put(&mut self.rfc3339[8..10], civil.day);
        self.rfc3339[11..19].copy_from_slice(&civil.time());
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn shown(seconds: u64, millis: u64) -> (String, String) {
        let mut cache = DateCache::new();
        let nanos = seconds * 1_000_000_000 + millis * 1_000_000;
        let clf = String::from_utf8(cache.clf(nanos).to_vec()).unwrap();
        (
            clf,
            String::from_utf8(cache.rfc3339(nanos).to_vec()).unwrap(),
        )
    }

    #[test]
    fn asctime_is_that_of_c() {
        assert_eq!(&asctime(0), b"Thu Jan  1 00:00:00 1970");
        assert_eq!(&asctime(951_782_399), b"Mon Feb 28 23:59:59 2000");
        assert_eq!(&asctime(1_893_456_000), b"Tue Jan  1 00:00:00 2030");
    }

    #[test]
    fn known_moments_are_shown() {
        assert_eq!(shown(0, 0).1, "1970-01-01T00:00:00.000Z");
        let (clf, rfc3339) = shown(971_186_136, 7);
        assert_eq!(clf, "[10/Oct/2000:13:55:36 +0000]");
        assert_eq!(rfc3339, "2000-10-10T13:55:36.007Z");
        assert_eq!(shown(951_782_400, 999).1, "2000-02-29T00:00:00.999Z");
        assert_eq!(shown(4_107_542_400, 0).1, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_agrees_with_an_independent_calendar() {
        for day in 0..60_000 {
            let seconds = day * 86_400 + 86_399;
            // "Thu, 01 Jan 1970 00:00:00 GMT"
            let other = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            let (clf, _) = shown(seconds, 0);
            let ours = format!(
                "{} {} {} {}",
                &clf[1..3],
                &clf[4..7],
                &clf[8..12],
                &clf[13..21]
            );
            assert_eq!(ours, other[5..25], "{day}");
        }
    }

    #[test]
    fn the_cache_follows_the_clock_forwards_and_backwards() {
        let mut cache = DateCache::new();
        assert_eq!(&cache.clf(1_000_000_000)[19..21], b"01");
        assert_eq!(&cache.clf(2_999_999_999)[19..21], b"02");
        assert_eq!(&cache.clf(0)[19..21], b"00");
    }
}
