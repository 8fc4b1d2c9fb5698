//! FastCGI 1.0 on the server's side (what the specification calls the application), in the role of a responder.
//!
//! # Theory of operation
//!
//! Everything is a record of a type, a request id, content of up to 65535 bytes and padding. A [`Decoder`] is given the
//! connection's bytes and says, one [`Event`] at a time, what they mean; what it must answer at once (the management
//! records, a second request, another role) it appends to the buffer that is handed to it. After [`Event::Request`],
//! [`Decoder::read_request`] makes the head of the variables; the body then comes as [`Event::Data`] until
//! [`Event::End`].
//!
//! The answer's head is written by [`gateway`](super::gateway); head and body are then the content of `STDOUT`, in
//! records made by [`write_stdout`] or, around a body that is not copied, by [`record_header`] and [`padding_after`].
//! [`write_end`] ends the answer, and the caller says so with [`Decoder::finish`].
//!
//! # Invariants
//!
//! - How bytes were split over reads never changes the events, the answers, nor the fault that ends them.
//! - Memory follows what was received and stays within [`Limits::head_size`] for the variables and
//!   [`MAX_VALUES`] for a management record. The body is never kept.
//! - There is at most one request at a time, and no event of another one.
//! - A body is exactly as long as `CONTENT_LENGTH` says, if it says.
//! - Nothing is read after a fault.
//!
//! # Decisions where the specification leaves room
//!
//! | subject | decision |
//! |---|---|
//! | several requests at once | a second `BEGIN_REQUEST` is ended with `CANT_MPX_CONN`, and its records are ignored; the connection and the first request go on |
//! | the same id again while it is active, id 0 in a record of a request | a fault |
//! | roles | a responder only; others are ended with `UNKNOWN_ROLE` and, without the keep-conn flag, the connection |
//! | records of a request that is not active | ignored, as the specification says; their types must exist |
//! | `GET_VALUES` | answered with those of `FCGI_MAX_CONNS`, `FCGI_MAX_REQS` and `FCGI_MPXS_CONNS` that were asked for; unknown names and values are ignored |
//! | unknown types | answered with `UNKNOWN_TYPE`, whatever the id; types that only an application sends, and `DATA`, are a fault |
//! | `ABORT_REQUEST` | [`Event::Abort`]; the caller answers with [`write_end`] when it has stopped |
//! | the body without `CONTENT_LENGTH` | what comes until the stream's end: nginx (unbuffered) and Apache stream a chunked body so |
//! | the body with `CONTENT_LENGTH` | one that is longer or shorter is a fault |
//! | the first record of `STDIN` | is awaited before the request is told, so that a request without a body is known as one |
//! | sizes of records | up to 65528 bytes of content, the largest multiple of 8; shorter ones are padded to such |
//!
//! [`Limits::head_size`]: super::http1::Limits::head_size

mod decoder;
mod pairs;
mod record;
mod writer;

#[cfg(test)]
pub(in crate::codec) mod tests;

pub use decoder::{Capacity, Decoded, Decoder, Event, Fault, MAX_VALUES};
pub use record::{HEADER_SIZE, Kind, MAX_CONTENT};
pub use writer::{
    ProtocolStatus, padding_after, record_header, write_end, write_refusal, write_stderr,
    write_stdout,
};
