//! SCGI on the server's side.
//!
//! # Theory of operation
//!
//! A request is a netstring (its size in decimal digits, a colon, the variables, a comma) in which each name and each
//! value ends with a NUL, and the body as it is. The answer is that of a CGI program, until the connection closes. One
//! connection carries one request.
//!
//! A connection hands its unread bytes to [`parse_request`] until that says [`Progress::Request`], then reads the body
//! as [`Head::framing`] says. What is common to all gateways is in [`gateway`](super::gateway).
//!
//! # Invariants
//!
//! - The outcome is decided by the size's digits, or when the variables and the comma are there, so how bytes were
//!   split over reads never changes it.
//!
//! # Decisions
//!
//! | subject | decision |
//! |---|---|
//! | the size | digits without a zero in front, up to [`Limits::head_size`]; beyond it 431 before the variables are there |
//! | the first variable | `CONTENT_LENGTH`, a number, as the specification wants it |
//! | `SCGI` | must be there, and 1 |
//! | repeated variables | the specification forbids them, and nginx sends fields that a client repeats; the rules of [`gateway`](super::gateway) apply |
//! | an empty name, a missing NUL or comma | 400 |

mod variables;

#[cfg(test)]
pub(in crate::codec) mod tests;

use variables::Variables;

use super::gateway::{Body, Shape, Told, assemble};
use super::http1::grammar::parse_decimal;
use super::http1::{Head, Limits, Refusal, Span};

/// Most digits of a size: those of `u32::MAX`, which is as much as a head may have.
const MAX_DIGITS: usize = 10;

const SIZE: Refusal =
    Refusal::bad_request("An SCGI request must begin with its size in decimal digits and a colon.");
const TOO_LARGE: Refusal = Refusal::new(
    431,
    "The variables of the SCGI request are larger than this server accepts.",
);
const COMMA: Refusal =
    Refusal::bad_request("There is no comma after the variables of the SCGI request.");
const VARIABLES: Refusal = Refusal::bad_request(
    "The variables of the SCGI request are not names and values that end with NUL.",
);
const LENGTH_FIRST: Refusal =
    Refusal::bad_request("The first variable of an SCGI request must be CONTENT_LENGTH.");
const VERSION: Refusal =
    Refusal::bad_request("An SCGI request must have the variable SCGI with the value 1.");

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// A request; its body, if it has one, starts after so many bytes.
    Request {
        /// Size of the netstring.
        len: usize,
    },
}

/// Parses the request at the start of `received`. Call it again with the same bytes and more while it says `Partial`.
///
/// After `Request`, `bytes` holds what `head` and `told` point to; see [`assemble`].
///
/// # Errors
///
/// 400, 411, 413, 414, 431 or 501, to be answered with
/// [`gateway::write_refusal`](super::gateway::write_refusal).
pub fn parse_request(
    received: &[u8],
    limits: &Limits,
    bytes: &mut Vec<u8>,
    head: &mut Head,
    told: &mut Told,
) -> Result<Progress, Refusal> {
    // After a refusal that comes before the variables, no method is known.
    head.method = Span::default();
    let Some((start, size)) = parse_size(received, limits)? else {
        return Ok(Progress::Partial);
    };
    let end = start + size;
    match received.get(end) {
        None => return Ok(Progress::Partial),
        Some(b',') => {}
        Some(_) => return Err(COMMA),
    }
    let text = received.get(start..end).unwrap_or_default();
    let variables = Variables::check(text).ok_or(VARIABLES)?;
    check_protocol(variables.clone())?;
    let shape = Shape {
        strip_script_name: false,
        body: Body::Declared,
        keep_alive: false,
    };
    assemble(variables, shape, limits, bytes, head, told)?;
    Ok(Progress::Request { len: end + 1 })
}

/// The place behind the colon, and the size before it. The digits are judged before what follows them, so that it does
/// not matter whether that is there.
fn parse_size(received: &[u8], limits: &Limits) -> Result<Option<(usize, usize)>, Refusal> {
    let digits = received
        .iter()
        .take(MAX_DIGITS + 1)
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let text = received.get(..digits).unwrap_or_default();
    if text.starts_with(b"0") {
        return Err(SIZE);
    }
    let size = match parse_decimal(text).map(usize::try_from) {
        None => 0, // no digit
        Some(Ok(size)) if size <= limits.head_size.min(u32::MAX as usize) => size,
        Some(_) => return Err(TOO_LARGE),
    };
    match received.get(digits) {
        None => Ok(None),
        Some(b':') if digits > 0 => Ok(Some((digits + 1, size))),
        Some(_) => Err(SIZE),
    }
}

fn check_protocol(mut variables: Variables<'_>) -> Result<(), Refusal> {
    let Some((b"CONTENT_LENGTH", length)) = variables.next() else {
        return Err(LENGTH_FIRST);
    };
    if length.is_empty() {
        return Err(LENGTH_FIRST);
    }
    let mut versions = variables.filter(|(name, _)| *name == b"SCGI");
    match (versions.next(), versions.next()) {
        (Some((_, b"1")), None) => Ok(()),
        _ => Err(VERSION),
    }
}
