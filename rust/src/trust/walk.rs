//! Comma-separated lists over several field lines, read from the right: the last element is the one that the peer itself wrote.
//!
//! Whatever a client sent ahead of it stands further left and is never looked at, so that it cannot spoil what a proxy appended.

/// Field lines of one name that are remembered; of more, the last ones. Each trusted proxy adds one at most; 8 is arbitrary.
const MAX_LINES: usize = 8;

/// The lines of one field, in the order they came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lines<'a> {
    kept: [&'a [u8]; MAX_LINES],
    len: usize,
    overflowed: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn push(&mut self, line: &'a [u8]) {
        if self.len == MAX_LINES {
            self.kept.copy_within(1.., 0);
            self.len -= 1;
            self.overflowed = true;
        }
        self.kept[self.len] = line;
        self.len += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The only line; none if there are several.
    pub(super) fn single(&self) -> Option<&'a [u8]> {
        (self.len == 1 && !self.overflowed).then(|| self.kept[0])
    }

    /// The elements from the last to the first, without the white space around them. Empty elements are skipped (RFC 9110 5.6.1.2).
    pub(super) fn elements(&self) -> FromRight<'_, 'a> {
        FromRight {
            lines: &self.kept[..self.len],
            rest: None,
        }
    }
}

/// Yields the elements of [`Lines`] from the right. A comma inside a quoted string does not separate.
pub(super) struct FromRight<'l, 'a> {
    lines: &'l [&'a [u8]],
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for FromRight<'_, 'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = if let Some(line) = self.rest.take() {
                line
            } else {
                let (&last, others) = self.lines.split_last()?;
                self.lines = others;
                last
            };
            let element = match last_comma(line) {
                Some(comma) => {
                    self.rest = Some(&line[..comma]);
                    &line[comma + 1..]
                }
                None => line,
            };
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The last comma outside of quotes, counted from the right end.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' if !is_escaped(line, at) => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes stands before the byte.
fn is_escaped(line: &[u8], at: usize) -> bool {
    line[..at]
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'\\')
        .count()
        % 2
        == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(lines: &[&'a str]) -> Vec<&'a str> {
        let mut all = Lines::default();
        for line in lines {
            all.push(line.as_bytes());
        }
        all.elements()
            .map(|element| std::str::from_utf8(element).unwrap())
            .collect()
    }

    #[test]
    fn elements_come_from_the_right_and_over_lines() {
        assert_eq!(seen(&["a, b", "c ,\td"]), ["d", "c", "b", "a"]);
        assert_eq!(seen(&["", ",a,, ,b,"]), ["b", "a"]);
        assert!(seen(&[]).is_empty());
        assert!(seen(&[" , "]).is_empty());
    }

    #[test]
    fn commas_in_quotes_do_not_separate() {
        assert_eq!(
            seen(&[r#"x="a,b", y="c\",d""#]),
            [r#"y="c\",d""#, r#"x="a,b""#]
        );
    }

    #[test]
    fn an_open_quote_from_a_client_does_not_swallow_what_a_proxy_appended() {
        assert_eq!(seen(&[r#"for="evil, for=192.0.2.1"#])[0], "for=192.0.2.1");
    }

    #[test]
    fn of_too_many_lines_the_last_are_kept() {
        let lines: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let kept = seen(&lines);
        assert_eq!(kept.len(), MAX_LINES);
        assert_eq!(kept[0], "19");
    }
}
