//! HTTP/1.0 and HTTP/1.1 on the server's side, strict to RFC 9110 and RFC 9112.
//!
//! # Theory of operation
//!
//! A connection hands its unread bytes to [`parse_head`] until that says [`Progress::Complete`], then reads the body
//! as [`Head::framing`] says (a [`ChunkedDecoder`] for chunked bodies), decodes the path with [`path::decode_path`],
//! calls the application, checks what it answers with [`check_status`] and [`ResponseFields`], asks [`plan_response`]
//! how the answer is framed, and writes it with the `write_` functions.
//!
//! # Invariants
//!
//! - A parser works from left to right and decides on the earliest byte that decides, so the way in which bytes were
//!   split over reads never changes the outcome. What depends on several fields (Host, framing) is decided when the
//!   head is complete, never before.
//! - Whatever could be read in two ways is refused, never repaired: two readers of one message that disagree are how
//!   requests are smuggled.
//! - Every refusal is a [`Refusal`], which [`write_refusal`] turns into a whole answer that closes the connection.
//! - The hot path does not allocate: [`Head`] keeps the room for its fields, writers append to a buffer of the caller.
//!
//! # Decisions where the specifications leave room
//!
//! | subject | decision |
//! |---|---|
//! | empty lines before a request | up to [`MAX_EMPTY_LINES`] are skipped (RFC 9112 2.2) |
//! | methods | any token of up to [`MAX_METHOD`] bytes; a longer one is 501 (RFC 9112 3); `CONNECT` is 501, as this is no proxy (RFC 9110 9.3.6) |
//! | target | printable ASCII but for `#`; characters that RFC 3986 wants escaped (such as `\|`) pass, as browsers send them |
//! | absolute-form | `http` and `https` only; no user information; an empty path is `/`; it overrides Host, which must be valid all the same |
//! | empty Host | refused, as an http URI has a host (RFC 9110 4.2.1) |
//! | transfer codings | `chunked` alone; any other is 501; empty list members and parameters are refused |
//! | Content-Length | one field, digits only, within 64 bits; equal duplicates are refused too |
//! | a request with neither | has no body, whatever its method: 411 is never needed |
//! | `Expect` | `100-continue` is honoured in HTTP/1.1 when a body follows, ignored in 1.0 (RFC 9110 10.1.1); all else is 417 |
//! | chunk extensions | skipped; [`chunked::MAX_EXTENSIONS`] bytes per body |
//! | trailers | checked like fields, bounded like a head, dropped (RFC 9110 6.5.1) |

pub mod chunked;
mod date;
mod framing;
pub(in crate::codec) mod grammar;
mod head;
mod limits;
pub mod path;
mod refusal;
mod response;
mod span;
mod target;

pub use chunked::{ChunkedDecoder, ChunkedProgress};
pub use date::DateCache;
pub(in crate::codec) use framing::Facts;
pub use framing::Framing;
pub use head::{Field, Head, MAX_EMPTY_LINES, MAX_METHOD, Progress, Scanned, parse_head};
pub use limits::Limits;
pub use refusal::{Refusal, phrase_of, reason_phrase};
pub(in crate::codec) use response::has_control;
pub use response::{
    BodyFraming, CHUNK_END, FieldError, FieldFault, FieldKind, LAST_CHUNK, ResponseFields,
    ResponsePlan, check_field, check_status, finish_head, plan_response, write_brief,
    write_chunk_header, write_field, write_head, write_last_chunk, write_redirect, write_refusal,
    write_retry_after, write_status_line,
};
pub use span::{Span, Version};
pub use target::TargetForm;
pub(in crate::codec) use target::{CONNECT, is_host, parse_target};
