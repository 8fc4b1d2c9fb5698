//! The end of a connection: status codes (RFC 6455 7.4), close payloads (5.5.1) and what a peer is failed with.

use core::{fmt, str};

/// Most bytes of a control frame's payload (RFC 6455 5.5).
pub const MAX_CONTROL: usize = 125;

/// Most bytes of a close frame's reason: a control frame's payload without the code.
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// Why a connection is failed (RFC 6455 7.1.7): the code of the close frame that says so, and one plain sentence for
/// the client and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// 1002, 1007 or 1009.
    pub code: u16,
    /// One sentence, ASCII, of at most [`MAX_REASON`] bytes.
    pub reason: &'static str,
}

impl Fault {
    /// 1002: what was received is no WebSocket traffic.
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }

    /// 1007: a message is not of the type that it claims.
    pub(super) const fn data(reason: &'static str) -> Self {
        Self { code: 1007, reason }
    }

    /// 1009: a message is larger than the limit.
    pub(super) const fn too_big(reason: &'static str) -> Self {
        Self { code: 1009, reason }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code, self.reason)
    }
}

impl core::error::Error for Fault {}

const PAYLOAD: Fault = Fault::protocol("The payload of a close frame is one byte long.");
const CODE: Fault = Fault::protocol("The code of a close frame may not be sent.");
const REASON: Fault = Fault::data("The reason of a close frame is not valid UTF-8.");

/// Whether `code` may stand in a close frame, of either side.
///
/// The registry of RFC 6455 11.7 as IANA keeps it: 1004 is reserved; 1005, 1006 and 1015 only ever stand for what was
/// *not* received; up to 2999 the rest is for later standards; 3000 to 4999 are for libraries and applications.
#[must_use]
pub const fn is_valid_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a close frame.
///
/// # Errors
///
/// 1002 for a payload of one byte or a code that may not be sent, 1007 for a reason that is not UTF-8 (RFC 6455 8.1).
pub(super) fn parse_close(payload: &[u8]) -> Result<(Option<u16>, &str), Fault> {
    match payload {
        [] => Ok((None, "")),
        [_] => Err(PAYLOAD),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_valid_close_code(code) {
                return Err(CODE);
            }
            let reason = str::from_utf8(reason).map_err(|_| REASON)?;
            Ok((Some(code), reason))
        }
    }
}

/// As much of `reason` as fits a close frame, cut between characters.
pub(super) fn cut_reason(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_may_stand_in_a_frame() {
        let valid: Vec<u16> = (0..=u16::MAX).filter(|&c| is_valid_close_code(c)).collect();
        let mut expected = vec![1000, 1001, 1002, 1003];
        expected.extend(1007..=1014);
        expected.extend(3000..=4999);
        assert_eq!(valid, expected);
    }

    #[test]
    fn close_payloads_have_a_code_and_a_reason_or_nothing() {
        assert_eq!(parse_close(b""), Ok((None, "")));
        assert_eq!(parse_close(b"\x03\xe8"), Ok((Some(1000), "")));
        assert_eq!(parse_close(b"\x0f\xa0bye"), Ok((Some(4000), "bye")));
        assert_eq!(parse_close(b"\x03"), Err(PAYLOAD));
        assert_eq!(parse_close(b"\x03\xed"), Err(CODE));
        assert_eq!(parse_close(b"\x03\xe8\xce\xba\xe1"), Err(REASON));
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(cut_reason("short"), "short");
        let long = format!("{}\u{20ac}", "x".repeat(MAX_REASON - 2));
        assert_eq!(cut_reason(&long), "x".repeat(MAX_REASON - 2));
        let exact = format!("{}\u{20ac}", "x".repeat(MAX_REASON - 3));
        assert_eq!(cut_reason(&exact), exact);
    }

    #[test]
    fn faults_fit_a_close_frame() {
        for fault in [PAYLOAD, CODE, REASON] {
            assert!(fault.reason.len() <= MAX_REASON && is_valid_close_code(fault.code));
        }
    }
}
