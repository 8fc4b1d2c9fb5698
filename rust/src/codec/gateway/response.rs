//! The answer's head in a gateway's form (RFC 3875 6, and what uWSGI answers).

use crate::codec::http1::{
    BodyFraming, Refusal, ResponsePlan, Version, plan_response as plan_http, reason_phrase,
    write_field as write_http_field, write_retry_after,
};

/// How the answer to a gateway begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `HTTP/1.1 200 OK`, as uWSGI answers.
    Uwsgi,
    /// `Status: 200 OK` (RFC 3875 6.3.3).
    Scgi,
    /// `Status: 200 OK` (RFC 3875 6.3.3).
    FastCgi,
}

/// Chooses how a response is framed. As for HTTP/1.0, but that nothing is said about the connection:
/// [`BodyFraming::UntilClose`] is the connection's end in uwsgi and SCGI and the end of the stream in FastCGI, where
/// the connection may outlive it.
#[must_use]
#[inline]
pub fn plan_response(
    request_method_is_head: bool,
    request_keep_alive: bool,
    status: u16,
    declared_length: Option<u64>,
    known_body_length: Option<u64>,
) -> ResponsePlan {
    let plan = plan_http(
        request_method_is_head,
        Version::Http10,
        request_keep_alive,
        status,
        declared_length,
        known_body_length,
    );
    ResponsePlan {
        keep_alive: request_keep_alive,
        ..plan
    }
}

/// Appends the first line, of a status that passed [`check_status`](crate::codec::http1::check_status).
#[inline]
pub fn write_status_line(out: &mut Vec<u8>, dialect: Dialect, status: &[u8]) {
    out.extend_from_slice(match dialect {
        Dialect::Uwsgi => b"HTTP/1.1 ".as_slice(),
        Dialect::Scgi | Dialect::FastCgi => b"Status: ",
    });
    out.extend_from_slice(status);
    // RFC 9112 4: the space after the code stays even if no phrase follows. Web servers read it in a Status field too.
    out.extend_from_slice(if status.len() == 3 { b" \r\n" } else { b"\r\n" });
}

/// Whether a field would be read as the status, which the first line has said. Only gateways know such a field.
#[must_use]
#[inline]
pub fn is_status_field(name: &[u8]) -> bool {
    name.len() == 6 && name.eq_ignore_ascii_case(b"status")
}

/// Appends a field that passed [`check_field`](crate::codec::http1::check_field) and is not its `ContentLength`. The
/// application's own `Status` is left out.
#[inline]
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if !is_status_field(name) {
        write_http_field(out, name, value);
    }
}

/// Appends the length, if the plan has one, and the empty line. Nothing else is this server's to say: `Date`, `Server`
/// and everything about the connection come from the web server. The length is how that notices a body cut short.
#[inline]
pub fn finish_head(out: &mut Vec<u8>, plan: &ResponsePlan) {
    if let Some(length) = plan.content_length {
        let mut digits = itoa::Buffer::new();
        write_http_field(out, b"Content-Length", digits.format(length).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole answer to a refused request. `is_head` leaves the body out. In FastCGI it is the content of
/// `STDOUT`: see [`fastcgi::write_refusal`](crate::codec::fastcgi::write_refusal).
#[cold]
pub fn write_refusal(out: &mut Vec<u8>, dialect: Dialect, refusal: &Refusal, is_head: bool) {
    let mut status = itoa::Buffer::new().format(refusal.status).to_owned();
    status.push(' ');
    status.push_str(reason_phrase(refusal.status));
    write_status_line(out, dialect, status.as_bytes());
    write_field(out, b"Content-Type", b"text/plain; charset=utf-8");
    write_retry_after(out, refusal);
    let plan = ResponsePlan {
        body: BodyFraming::Length(refusal.body_length()),
        keep_alive: false,
        content_length: Some(refusal.body_length()),
        suppress_body: is_head,
        version: Version::Http10,
    };
    finish_head(out, &plan);
    if !is_head {
        out.extend_from_slice(refusal.reason.as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_begin_as_each_gateway_wants_them() {
        for (dialect, line) in [
            (Dialect::Uwsgi, "HTTP/1.1 200 OK\r\n"),
            (Dialect::Scgi, "Status: 200 OK\r\n"),
            (Dialect::FastCgi, "Status: 200 OK\r\n"),
        ] {
            let mut out = Vec::new();
            write_status_line(&mut out, dialect, b"200 OK");
            assert_eq!(out, line.as_bytes());
        }
        let mut out = Vec::new();
        write_status_line(&mut out, Dialect::Scgi, b"204");
        assert_eq!(out, b"Status: 204 \r\n");
    }

    #[test]
    fn an_application_cannot_give_a_second_status() {
        let mut out = Vec::new();
        write_field(&mut out, b"STATUS", b"500 Oops");
        write_field(&mut out, b"X-Status", b"1");
        assert_eq!(out, b"X-Status: 1\r\n");
    }

    #[test]
    fn only_the_length_is_the_servers() {
        for (head, status, declared, known, body, text) in [
            (false, 200, None, None, BodyFraming::UntilClose, "\r\n"),
            (
                false,
                200,
                None,
                Some(5),
                BodyFraming::Length(5),
                "Content-Length: 5\r\n\r\n",
            ),
            (
                false,
                200,
                Some(7),
                None,
                BodyFraming::Length(7),
                "Content-Length: 7\r\n\r\n",
            ),
            (
                true,
                200,
                Some(7),
                None,
                BodyFraming::None,
                "Content-Length: 7\r\n\r\n",
            ),
            (false, 204, None, None, BodyFraming::None, "\r\n"),
            (false, 304, None, None, BodyFraming::None, "\r\n"),
        ] {
            for keep_alive in [false, true] {
                let plan = plan_response(head, keep_alive, status, declared, known);
                assert_eq!((plan.body, plan.keep_alive), (body, keep_alive));
                let mut out = Vec::new();
                finish_head(&mut out, &plan);
                assert_eq!(out, text.as_bytes());
            }
        }
    }

    #[test]
    fn refusals_are_whole_answers() {
        let refusal = Refusal::new(503, "Later.");
        let mut out = Vec::new();
        write_refusal(&mut out, Dialect::Uwsgi, &refusal, false);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n\
             Content-Length: 7\r\n\r\nLater.\n"
        );
        let mut out = Vec::new();
        write_refusal(&mut out, Dialect::Scgi, &refusal, true);
        assert!(out.starts_with(b"Status: 503 Service Unavailable\r\n"));
        assert!(out.ends_with(b"Content-Length: 7\r\n\r\n"));
    }
}
