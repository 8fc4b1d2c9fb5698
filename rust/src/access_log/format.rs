//! Formats of log lines: compiled once from a string, then written for each request.

use std::fmt;

use super::date::DateCache;
use super::record::Record;
use super::{json, suggest, text};

/// The Common Log Format, as Apache and NCSA httpd defined it.
const COMMON: &str = "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s";

/// The Common Log Format with referrer and user agent; what Gunicorn writes by default.
const COMBINED: &str = "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\"";

/// One piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    Literal(Box<[u8]>),
    Client,
    Dash,
    User,
    Time,
    RequestLine,
    Status,
    Method,
    Path,
    Query,
    Protocol,
    BytesOrDash,
    Bytes,
    Referer,
    UserAgent,
    Seconds,
    Millis,
    Micros,
    DecimalSeconds,
    Pid,
    RequestHeader(Box<[u8]>),
    ResponseHeader(Box<[u8]>),
    Environ(Box<[u8]>),
    Own(Box<[u8]>),
    RequestId,
    Scheme,
    Rfc3339,
    BareTime,
    Asctime,
    Epoch,
    Target,
    PlainPid,
}

impl Op {
    /// The piece that stands for an atom of one letter.
    fn of_letter(letter: &str) -> Option<Self> {
        Some(match letter {
            "h" => Self::Client,
            "l" => Self::Dash,
            "u" => Self::User,
            "t" => Self::Time,
            "r" => Self::RequestLine,
            "s" => Self::Status,
            "m" => Self::Method,
            "U" => Self::Path,
            "q" => Self::Query,
            "H" => Self::Protocol,
            "b" => Self::BytesOrDash,
            "B" => Self::Bytes,
            "f" => Self::Referer,
            "a" => Self::UserAgent,
            "T" => Self::Seconds,
            "M" => Self::Millis,
            "D" => Self::Micros,
            "L" => Self::DecimalSeconds,
            "p" => Self::Pid,
            _ => return None,
        })
    }

    /// The piece that stands for `{name}kind`.
    fn of_named(name: &str, kind: &str) -> Option<Self> {
        let lower = || name.to_ascii_lowercase().into_bytes().into_boxed_slice();
        match kind {
            _ if name.is_empty() => None,
            "i" => Some(Self::RequestHeader(lower())),
            "o" => Some(Self::ResponseHeader(lower())),
            "e" => Some(Self::Environ(name.as_bytes().into())),
            "f" => Some(Self::Own(name.as_bytes().into())),
            "x" => match name {
                "request_id" => Some(Self::RequestId),
                "scheme" => Some(Self::Scheme),
                "time" => Some(Self::Rfc3339),
                "clf" => Some(Self::BareTime),
                "date" => Some(Self::Asctime),
                "epoch" => Some(Self::Epoch),
                "target" => Some(Self::Target),
                "pid" => Some(Self::PlainPid),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether Gunicorn's `%(...)d` works for it, because its value is a number.
    fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Bytes | Self::Seconds | Self::Millis | Self::Micros
        )
    }
}

/// What a format asks for beyond the plain values of a record, so that the engine keeps it until the line is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The request's head must still be there.
    pub request_headers: bool,
    /// The response's head must be kept.
    pub response_headers: bool,
    /// Keys of the environ whose values must be kept, as they were written in the format, each once. Compare without regard to case.
    pub environ: Vec<String>,
    /// The fields that the application sets must be kept.
    pub own: bool,
}

impl Needs {
    fn of(ops: &[Op]) -> Self {
        let mut needs = Self::default();
        for op in ops {
            match op {
                Op::User | Op::Referer | Op::UserAgent | Op::RequestHeader(_) => {
                    needs.request_headers = true;
                }
                Op::ResponseHeader(_) => needs.response_headers = true,
                Op::Environ(name) => needs.add_environ(name),
                Op::Own(_) => needs.own = true,
                _ => {}
            }
        }
        needs
    }

    fn add_environ(&mut self, name: &[u8]) {
        let name = String::from_utf8_lossy(name).into_owned();
        if !self.environ.contains(&name) {
            self.environ.push(name);
        }
    }
}

/// A compiled format.
#[derive(Debug, Clone)]
pub struct Format {
    shape: Shape,
    needs: Needs,
    dates: DateCache,
}

#[derive(Debug, Clone)]
enum Shape {
    Text(Box<[Op]>),
    Json,
}

impl Format {
    /// Compiles `common`, `combined`, `json`, or a string with Gunicorn's atoms.
    ///
    /// # Errors
    ///
    /// [`FormatError`] tells what is wrong at which character, and the atom that was probably meant.
    pub fn compile(format: &str) -> Result<Self, FormatError> {
        if format == "json" {
            let needs = Needs {
                request_headers: true,
                own: true,
                ..Needs::default()
            };
            return Ok(Self {
                shape: Shape::Json,
                needs,
                dates: DateCache::new(),
            });
        }
        let ops = parse(match format {
            "common" => COMMON,
            "combined" => COMBINED,
            custom => custom,
        })?;
        let needs = Needs::of(&ops);
        Ok(Self {
            shape: Shape::Text(ops.into()),
            needs,
            dates: DateCache::new(),
        })
    }

    /// What the engine must keep for it.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Appends the line of one request, with the line feed that ends it. The line has no other.
    #[inline]
    pub fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match &self.shape {
            Shape::Text(ops) => text::write(ops, record, &mut self.dates, out),
            Shape::Json => json::write(record, &mut self.dates, out),
        }
        out.push(b'\n');
    }
}

fn parse(format: &str) -> Result<Vec<Op>, FormatError> {
    if format.is_empty() {
        return Err(FormatError::new(
            format,
            0,
            "the format is empty; write common, combined, json or a format string".to_owned(),
        ));
    }
    let mut ops = Vec::new();
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(percent) = format[at..].find('%').map(|found| at + found) {
        push_literal(format, at, percent, &mut literal)?;
        if format[percent..].starts_with("%%") {
            literal.push(b'%');
            at = percent + 2;
            continue;
        }
        let (op, end) = parse_atom(format, percent)?;
        end_literal(&mut literal, &mut ops);
        ops.push(op);
        at = end;
    }
    push_literal(format, at, format.len(), &mut literal)?;
    end_literal(&mut literal, &mut ops);
    Ok(ops)
}

fn push_literal(
    format: &str,
    from: usize,
    to: usize,
    literal: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let text = &format[from..to];
    if let Some(bad) = text.find(['\n', '\r', '\0']) {
        return Err(FormatError::new(
            format,
            from + bad,
            "a line of the log cannot have a line break in it".to_owned(),
        ));
    }
    literal.extend_from_slice(text.as_bytes());
    Ok(())
}

fn end_literal(literal: &mut Vec<u8>, ops: &mut Vec<Op>) {
    if !literal.is_empty() {
        ops.push(Op::Literal(std::mem::take(literal).into()));
    }
}

/// Parses the atom whose percent sign stands at `start`; gives its piece and the place after it.
fn parse_atom(format: &str, start: usize) -> Result<(Op, usize), FormatError> {
    let rest = &format[start + 1..];
    let Some(inside) = rest.strip_prefix('(') else {
        return Err(FormatError::new(
            format,
            start,
            suggest::without_parentheses(rest),
        ));
    };
    let Some((name, after)) = inside.split_once(')') else {
        let reason = "the parenthesis is not closed; write an atom as %(name)s".to_owned();
        return Err(FormatError::new(format, start, reason));
    };
    let Some(op) = parse_name(name) else {
        return Err(FormatError::new(format, start, suggest::unknown(name)));
    };
    let end = start + 1 + "()".len() + name.len() + 1;
    match after.chars().next() {
        Some('s') => Ok((op, end)),
        Some('d') if op.is_number() => Ok((op, end)),
        _ => {
            let reason = format!("an \"s\" is missing after the atom; write %({name})s");
            Err(FormatError::new(format, start, reason))
        }
    }
}

fn parse_name(name: &str) -> Option<Op> {
    match name.strip_prefix('{') {
        Some(named) => named
            .split_once('}')
            .and_then(|(name, kind)| Op::of_named(name, kind)),
        None => Op::of_letter(name),
    }
}

/// A format that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// The character at which it goes wrong, counted from 1.
    pub position: usize,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl FormatError {
    fn new(format: &str, at: usize, reason: String) -> Self {
        Self {
            position: format[..at].chars().count() + 1,
            reason,
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "access log format, character {}: {}",
            self.position, self.reason
        )
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(format: &str) -> String {
        Format::compile(format).unwrap_err().to_string()
    }

    #[test]
    fn literals_and_atoms_are_taken_apart() {
        let ops = parse("a%%b %(h)s%(s)s!").unwrap();
        let literal = |text: &str| Op::Literal(text.as_bytes().into());
        assert_eq!(ops, [literal("a%b "), Op::Client, Op::Status, literal("!")]);
    }

    #[test]
    fn names_of_fields_are_lowercased_and_of_environ_keys_are_not() {
        let ops = parse("%({X-Foo}i)s%({X-Bar}o)s%({REMOTE_USER}e)s").unwrap();
        assert_eq!(
            ops,
            [
                Op::RequestHeader(b"x-foo"[..].into()),
                Op::ResponseHeader(b"x-bar"[..].into()),
                Op::Environ(b"REMOTE_USER"[..].into())
            ]
        );
    }

    #[test]
    fn needs_follow_from_the_atoms() {
        let needs = |format| Format::compile(format).unwrap().needs().clone();
        assert_eq!(
            needs("common"),
            Needs {
                request_headers: true,
                ..Needs::default()
            }
        );
        assert_eq!(needs("%(h)s %(r)s %(D)s"), Needs::default());
        assert!(needs("json").request_headers && needs("json").own);
        assert!(needs("%({user}f)s").own);
        assert!(needs("%({content-type}o)s").response_headers);
        assert_eq!(needs("%({A}e)s %({b}e)s %({A}e)s").environ, ["A", "b"]);
    }

    #[test]
    fn numbers_take_the_d_of_a_number_too() {
        assert!(Format::compile("%(B)d %(T)d %(D)d %(M)d").is_ok());
        assert!(error("%(h)d").contains("%(h)s"));
    }

    #[test]
    fn errors_tell_where_and_what_was_meant() {
        assert_eq!(
            error("é %(h)s %(S)s"),
            "access log format, character 9: unknown atom %(S)s; did you mean %(s)s (status)?"
        );
        assert!(
            error("%(status)s").contains("%(s)s"),
            "{}",
            error("%(status)s")
        );
        assert!(error("%(methd)s").contains("%(m)s"));
        assert!(error("%h").contains("%(h)s"));
        assert!(error("%>s").contains("%(s)s"));
        assert!(error("%{Referer}i").contains("%({Referer}i)s"));
        assert!(error("%({referer})s").contains("%({referer}i)s"));
        assert!(error("%({request-id}x)s").contains("%({request_id}x)s"));
        assert!(error("%({}i)s").contains("name"));
        assert!(error("100%").contains("%%"));
        assert!(error("%(h").contains("not closed"));
        assert!(error("%(h)").contains("%(h)s"));
        assert!(error("%(h)5s").contains("%(h)s"));
        assert!(error("").contains("empty"));
        assert!(error("a\nb").contains("character 2"));
        assert!(error("%(é)s").contains("unknown atom"));
    }
}
