//! Which deadline a path has.

use crate::time::Millis;

/// One pattern, cut at its asterisks.
#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    pieces: Vec<Box<[u8]>>,
    /// Bytes that are not asterisks: the more, the more exactly it says what it means.
    weight: usize,
}

/// Patterns of paths with how long their requests may take, and what holds for all others.
#[derive(Debug)]
pub struct Routes {
    /// The most exact first, so that the first that fits is the one.
    routes: Vec<(Pattern, Millis)>,
    default: Millis,
}

impl Routes {
    /// Compiles patterns. Durations of 0 mean that there is no deadline.
    ///
    /// # Errors
    /// A sentence about the first pattern that is none; see [`check_pattern`].
    pub fn new<'a>(
        default: Millis,
        patterns: impl IntoIterator<Item = (&'a str, Millis)>,
    ) -> Result<Self, String> {
        let mut routes = Vec::new();
        for (text, duration) in patterns {
            routes.push((Pattern::parse(text)?, duration));
        }
        routes.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.weight));
        Ok(Self { routes, default })
    }

    /// Whether any path has a deadline.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.default > 0 || self.routes.iter().any(|(_, duration)| *duration > 0)
    }

    /// How long a request for the decoded `path` may take; 0 for as long as it likes.
    #[must_use]
    pub fn patience(&self, path: &[u8]) -> Millis {
        self.routes
            .iter()
            .find(|(pattern, _)| pattern.fits(path))
            .map_or(self.default, |(_, duration)| *duration)
    }
}

/// Says what is wrong with a pattern: it begins with a slash, and names a path and all below it; an asterisk stands for
/// any part of one segment.
///
/// # Errors
/// A sentence without the pattern.
pub fn check_pattern(text: &str) -> Result<(), String> {
    Pattern::parse(text).map(drop)
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!(
                "{text:?} is not a pattern of paths: it must begin with a slash"
            ));
        }
        if text.contains("**") {
            return Err(format!(
                "{text:?} is not a pattern of paths: one asterisk stands for any part of a segment, and all below is meant already"
            ));
        }
        let trimmed = text.trim_end_matches('/');
        let pieces: Vec<Box<[u8]>> = trimmed
            .split('*')
            .map(|piece| piece.as_bytes().into())
            .collect();
        let weight = pieces.iter().map(|piece| piece.len()).sum();
        Ok(Self { pieces, weight })
    }

    /// Whether `path` is what the pattern says, or below it.
    fn fits(&self, path: &[u8]) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else {
            return true;
        };
        path.strip_prefix(&**first)
            .is_some_and(|left| fits_rest(rest, left))
    }
}

/// Whether what is left of a path is an asterisk and a piece for each of `pieces`, and then its end or a slash. An asterisk
/// takes as little as it can, as the next one takes the rest; only the last has to reach the end of its segment.
fn fits_rest(pieces: &[Box<[u8]>], path: &[u8]) -> bool {
    let Some((last, rest)) = pieces.split_last() else {
        return is_end(path);
    };
    let mut path = path;
    for piece in rest {
        let Some(left) = tails(path).find_map(|tail| tail.strip_prefix(&**piece)) else {
            return false;
        };
        path = left;
    }
    tails(path).any(|tail| tail.strip_prefix(&**last).is_some_and(is_end))
}

/// What an asterisk can leave of a path.
fn tails(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let segment = path.iter().position(|byte| *byte == b'/');
    (0..=segment.unwrap_or(path.len())).map(|taken| &path[taken..])
}

fn is_end(path: &[u8]) -> bool {
    path.is_empty() || path.starts_with(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[(&str, Millis)], path: &str) -> Millis {
        let routes = Routes::new(7, patterns.iter().copied()).unwrap();
        routes.patience(path.as_bytes())
    }

    #[test]
    fn pattern_names_a_path_and_what_is_below_it() {
        let patterns = [("/reports", 60)];
        for (path, expected) in [
            ("/reports", 60),
            ("/reports/", 60),
            ("/reports/2026/all", 60),
            ("/reportsx", 7),
            ("/a/reports", 7),
            ("/", 7),
        ] {
            assert_eq!(found(&patterns, path), expected, "{path}");
        }
    }

    #[test]
    fn slash_names_every_path() {
        for path in ["/", "/a", "/a/b", "*"] {
            assert_eq!(
                found(&[("/", 60)], path),
                if path == "*" { 7 } else { 60 },
                "{path}"
            );
        }
    }

    #[test]
    fn asterisk_stays_within_a_segment() {
        let patterns = [("/users/*/export", 60), ("/files/a*z.*", 30)];
        for (path, expected) in [
            ("/users/1/export", 60),
            ("/users/1/export/csv", 60),
            ("/users//export", 60),
            ("/users/1/2/export", 7),
            ("/users/1/exports", 7),
            ("/files/az.txt", 30),
            ("/files/abczzz.txt", 30),
            ("/files/abc/z.txt", 7),
        ] {
            assert_eq!(found(&patterns, path), expected, "{path}");
        }
    }

    #[test]
    fn most_exact_pattern_wins_wherever_it_stands() {
        let patterns = [("/a", 1), ("/a/b/c", 3), ("/a/*/c", 2), ("/a/b/c/d", 0)];
        for (path, expected) in [("/a/x", 1), ("/a/x/c", 2), ("/a/b/c", 3), ("/a/b/c/d", 0)] {
            assert_eq!(found(&patterns, path), expected, "{path}");
        }
    }

    #[test]
    fn many_asterisks_take_no_time_that_matters() {
        let pattern = format!("/{}b", "*a".repeat(6));
        let path = format!("/{}", "a".repeat(200));
        assert_eq!(found(&[(&pattern, 60)], &path), 7);
    }

    #[test]
    fn pattern_without_a_slash_or_with_two_asterisks_is_none() {
        for text in ["", "a", "*", "/a/**"] {
            assert!(check_pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_everywhere_is_no_deadline() {
        let routes = Routes::new(0, [("/a", 0)]).unwrap();
        assert!(!routes.is_used());
        assert_eq!(routes.patience(b"/a"), 0);
    }
}
