//! Which requests get a line.
//!
//! A request on a path that is skipped gets none. Of the others every one does, unless there is something to choose by; then
//! those with a chosen status, those that took long enough, and a sample of the rest.

use std::fmt;

use super::record::Record;

/// What a filter is made from.
#[derive(Debug, Clone, Default)]
pub struct FilterSettings {
    /// Paths: in full, or with a `*` at the end for all that begin so.
    pub skip: Vec<String>,
    /// Statuses: `404`, or `5xx` for a class; `none` for requests whose client was gone before there was one.
    pub statuses: Vec<String>,
    /// Requests of this duration or longer, in nanoseconds; 0 for no choice by duration.
    pub slow_nanos: u64,
    /// One in so many of the others, by chance; 0 for none.
    pub sample: u32,
}

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Filter {
    skip: Box<[Pattern]>,
    chooses: bool,
    statuses: Box<[Span]>,
    slow_nanos: u64,
    sample: u32,
    chance: u64,
}

#[derive(Debug, Clone)]
struct Pattern {
    text: Box<[u8]>,
    is_prefix: bool,
}

/// Statuses from the first to the last.
#[derive(Debug, Clone, Copy)]
struct Span(u16, u16);

/// A filter that cannot be made. Shown as its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError(String);

impl fmt::Display for FilterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Compiles settings; `None` if every request gets a line.
    ///
    /// # Errors
    /// [`FilterError`] for a status or path that cannot be.
    pub fn compile(settings: &FilterSettings, seed: u64) -> Result<Option<Self>, FilterError> {
        let skip = settings
            .skip
            .iter()
            .map(|text| parse_pattern(text))
            .collect::<Result<Box<[_]>, _>>()?;
        let statuses = settings
            .statuses
            .iter()
            .map(|text| parse_span(text))
            .collect::<Result<Box<[_]>, _>>()?;
        let chooses = !statuses.is_empty() || settings.slow_nanos > 0 || settings.sample > 0;
        if skip.is_empty() && !chooses {
            return Ok(None);
        }
        Ok(Some(Self {
            skip,
            chooses,
            statuses,
            slow_nanos: settings.slow_nanos,
            sample: settings.sample,
            // xorshift must not begin with zero.
            chance: seed | 1,
        }))
    }

    /// Whether the request gets a line.
    pub(super) fn accepts(&mut self, record: &Record<'_>) -> bool {
        if self.skip.iter().any(|pattern| pattern.fits(record.path)) {
            return false;
        }
        !self.chooses
            || self
                .statuses
                .iter()
                .any(|span| (span.0..=span.1).contains(&record.status))
            || (self.slow_nanos > 0 && record.duration_nanos >= self.slow_nanos)
            || (self.sample > 0 && self.roll() % u64::from(self.sample) == 0)
    }

    /// Marsaglia's xorshift64: no more is asked of it than to favour no kind of request.
    fn roll(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance >> 16
    }
}

impl Pattern {
    fn fits(&self, path: &[u8]) -> bool {
        if self.is_prefix {
            path.starts_with(&self.text)
        } else {
            path == &*self.text
        }
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, FilterError> {
    let plain = text.strip_suffix('*').unwrap_or(text);
    if !plain.starts_with('/') || plain.contains('*') {
        return Err(FilterError(format!(
            "{text:?} is not a path to skip; it begins with \"/\", and may end with \"*\" for all below"
        )));
    }
    Ok(Pattern {
        text: plain.as_bytes().into(),
        is_prefix: plain.len() < text.len(),
    })
}

fn parse_span(text: &str) -> Result<Span, FilterError> {
    let span = match text.as_bytes() {
        b"none" => Some(Span(0, 0)),
        [class @ b'1'..=b'5', b'x', b'x'] => {
            let first = u16::from(class - b'0') * 100;
            Some(Span(first, first + 99))
        }
        [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
            text.parse().ok().map(|status| Span(status, status))
        }
        _ => None,
    };
    span.ok_or_else(|| {
        FilterError(format!(
            "{text:?} is not a status; write such as 404, 5xx or none"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::NoFields;
    use super::*;

    fn record(path: &'static [u8], status: u16, millis: u64) -> Record<'static> {
        Record {
            client: b"",
            started_unix_nanos: 0,
            duration_nanos: millis * 1_000_000,
            method: b"GET",
            target: path,
            path,
            query: b"",
            protocol: b"HTTP/1.1",
            status,
            body_bytes: 0,
            request_id: b"",
            scheme: "http",
            pid: 1,
            fields: &NoFields,
        }
    }

    fn texts(of: &[&str]) -> Vec<String> {
        of.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn nothing_to_choose_by_is_no_filter() {
        let none = Filter::compile(&FilterSettings::default(), 1).unwrap();
        assert!(none.is_none());
    }

    #[test]
    fn paths_are_skipped_in_full_or_from_their_beginning() {
        let settings = FilterSettings {
            skip: texts(&["/health", "/static/*"]),
            ..FilterSettings::default()
        };
        let mut filter = Filter::compile(&settings, 1).unwrap().unwrap();
        assert!(!filter.accepts(&record(b"/health", 500, 0)));
        assert!(!filter.accepts(&record(b"/static/a.css", 200, 0)));
        assert!(filter.accepts(&record(b"/healthy", 200, 0)));
        assert!(filter.accepts(&record(b"/static", 200, 0)));
    }

    #[test]
    fn errors_and_slow_requests_are_chosen() {
        let settings = FilterSettings {
            statuses: texts(&["404", "5xx", "none"]),
            slow_nanos: 50_000_000,
            ..FilterSettings::default()
        };
        let mut filter = Filter::compile(&settings, 1).unwrap().unwrap();
        for (status, millis, wanted) in [
            (200, 0, false),
            (403, 49, false),
            (404, 0, true),
            (500, 0, true),
            (599, 0, true),
            (0, 0, true),
            (200, 50, true),
        ] {
            assert_eq!(
                filter.accepts(&record(b"/", status, millis)),
                wanted,
                "{status} {millis}"
            );
        }
    }

    #[test]
    fn sample_takes_its_share_of_the_rest() {
        let settings = FilterSettings {
            statuses: texts(&["5xx"]),
            sample: 10,
            ..FilterSettings::default()
        };
        let mut filter = Filter::compile(&settings, 77).unwrap().unwrap();
        let taken = (0..10_000)
            .filter(|_| filter.accepts(&record(b"/", 200, 0)))
            .count();
        assert!((800..1_200).contains(&taken), "{taken}");
        assert!((0..1_000).all(|_| filter.accepts(&record(b"/", 502, 0))));
    }

    #[test]
    fn what_is_no_status_or_path_is_told() {
        for bad in ["600", "20", "2xx3", "xxx", "", "x00"] {
            let settings = FilterSettings {
                statuses: texts(&[bad]),
                ..FilterSettings::default()
            };
            let error = Filter::compile(&settings, 1).unwrap_err().to_string();
            assert!(error.contains("is not a status"), "{error}");
        }
        for bad in ["health", "", "*", "/a*b"] {
            let settings = FilterSettings {
                skip: texts(&[bad]),
                ..FilterSettings::default()
            };
            let error = Filter::compile(&settings, 1).unwrap_err().to_string();
            assert!(error.contains("is not a path"), "{error}");
        }
    }
}
