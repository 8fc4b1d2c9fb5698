//! The `Date` field's value, formatted once per second.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// Holds the formatted date of one second (IMF-fixdate, RFC 9110 5.6.7).
#[derive(Clone, Debug)]
pub struct DateCache {
    second: Option<u64>,
    text: [u8; 29],
}

/// 31 December 9999, the last second that the format can express.
const LAST_SECOND: u64 = 253_402_300_799;

impl DateCache {
    /// An empty cache.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            second: None,
            text: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }

    /// The date of `unix_seconds`, seconds since 1970 in UTC; formatted only when the second differs from the last
    /// call's.
    pub fn get(&mut self, unix_seconds: u64) -> &[u8; 29] {
        if self.second != Some(unix_seconds) {
            self.format(unix_seconds);
        }
        &self.text
    }

    #[cold]
    fn format(&mut self, unix_seconds: u64) {
        let moment = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(LAST_SECOND));
        let mut text = [0; 29];
        // The text is 29 bytes for every second up to LAST_SECOND, so this write fits; if it did not, the last text
        // stays.
        if write!(&mut text[..], "{}", httpdate::fmt_http_date(moment)).is_ok() {
            self.text = text;
        }
        self.second = Some(unix_seconds);
    }
}

impl Default for DateCache {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_the_example_of_rfc_9110() {
        assert_eq!(
            DateCache::new().get(784_111_777),
            b"Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }

    #[test]
    fn date_follows_the_second() {
        let mut cache = DateCache::new();
        assert_eq!(cache.get(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(cache.get(1), b"Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(cache.get(1), b"Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(cache.get(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn date_beyond_the_format_is_its_last_second() {
        assert_eq!(
            DateCache::new().get(u64::MAX),
            b"Fri, 31 Dec 9999 23:59:59 GMT"
        );
    }
}
