//! Why a request is refused.

use core::fmt;

/// A request that never reaches the application: the status of the answer and one plain sentence for the client and
/// the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code of the answer.
    pub status: u16,
    /// One sentence, ASCII, without a line end.
    pub reason: &'static str,
    /// Seconds after which the client may come again; 0 for not to say.
    pub retry_after: u16,
}

impl Refusal {
    /// A refusal with any status.
    #[must_use]
    pub const fn new(status: u16, reason: &'static str) -> Self {
        // RFC 9110 10.2.3. Overload passes quickly, or lasts; a second is short enough for the one.
        let retry_after = if status == 503 { 1 } else { 0 };
        Self {
            status,
            reason,
            retry_after,
        }
    }

    /// The same refusal, whose client is told when to come again; 0 for never.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u16) -> Self {
        self.retry_after = seconds;
        self
    }

    /// The length of the answer's body in bytes: the reason and a line end.
    #[must_use]
    pub const fn body_length(&self) -> u64 {
        self.reason.len() as u64 + 1
    }

    /// 400: the request cannot be read in exactly one way.
    #[must_use]
    pub const fn bad_request(reason: &'static str) -> Self {
        Self::new(400, reason)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {}: {}",
            self.status,
            reason_phrase(self.status),
            self.reason
        )
    }
}

impl core::error::Error for Refusal {}

/// The reason phrase of a status that the server itself answers with (RFC 9110 15); "Error" for others.
#[must_use]
pub const fn reason_phrase(status: u16) -> &'static str {
    match phrase_of(status) {
        Some(phrase) => phrase,
        None => "Error",
    }
}

/// The reason phrase of a final status in IANA's registry of HTTP status codes.
#[must_use]
pub const fn phrase_of(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => return None,
    })
}
