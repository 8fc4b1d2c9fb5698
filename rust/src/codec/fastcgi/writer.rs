//! What is sent: records of the answer, and its end.

use super::record::{HEADER_SIZE, Kind, MAX_CONTENT, VERSION};
use crate::codec::gateway::{self, Dialect};
use crate::codec::http1::Refusal;

/// How a request ended, as far as the protocol is concerned (FastCGI 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolStatus {
    /// It was answered.
    RequestComplete = 0,
    /// It was a second one on the same connection.
    CantMpxConn = 1,
    /// There is too much to do.
    Overloaded = 2,
    /// It was for a role that is not played here.
    UnknownRole = 3,
}

/// Bytes of padding that follow content of `length` bytes.
#[must_use]
#[inline]
pub const fn padding_after(length: usize) -> usize {
    length.wrapping_neg() & 7
}

/// The header of a record with at most [`MAX_CONTENT`] bytes of content; the content and [`padding_after`] it must
/// follow. More than that is cut.
#[must_use]
#[inline]
pub fn record_header(kind: Kind, id: u16, length: usize) -> [u8; HEADER_SIZE] {
    let length = length.min(MAX_CONTENT);
    let [id_high, id_low] = id.to_be_bytes();
    let [content_high, content_low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let padding = u8::try_from(padding_after(length)).unwrap_or_default();
    [
        VERSION,
        kind as u8,
        id_high,
        id_low,
        content_high,
        content_low,
        padding,
        0,
    ]
}

/// Appends one record.
pub(super) fn write_record(out: &mut Vec<u8>, kind: Kind, id: u16, content: &[u8]) {
    out.extend_from_slice(&record_header(kind, id, content.len()));
    out.extend_from_slice(content);
    out.resize(out.len() + padding_after(content.len()), 0);
}

/// Appends as much of the answer, head or body, as `data` has. None is none: an empty record would end the stream.
#[inline]
pub fn write_stdout(out: &mut Vec<u8>, id: u16, data: &[u8]) {
    for content in data.chunks(MAX_CONTENT) {
        write_record(out, Kind::Stdout, id, content);
    }
}

/// Appends a message for the web server's log.
pub fn write_stderr(out: &mut Vec<u8>, id: u16, data: &[u8]) {
    for content in data.chunks(MAX_CONTENT) {
        write_record(out, Kind::Stderr, id, content);
    }
}

/// Appends the end of a request that was answered or given up: the end of `STDOUT` and `END_REQUEST`. `app_status` is
/// what a program would exit with: 0 if all is well.
///
/// After an answer that could not be finished the connection is to be reset instead: see [`gateway`].
pub fn write_end(out: &mut Vec<u8>, id: u16, app_status: u32) {
    write_record(out, Kind::Stdout, id, b"");
    write_end_request(out, id, app_status, ProtocolStatus::RequestComplete);
}

/// Appends `END_REQUEST` alone.
pub(super) fn write_end_request(
    out: &mut Vec<u8>,
    id: u16,
    app_status: u32,
    status: ProtocolStatus,
) {
    let [a, b, c, d] = app_status.to_be_bytes();
    write_record(
        out,
        Kind::EndRequest,
        id,
        &[a, b, c, d, status as u8, 0, 0, 0],
    );
}

/// Appends a whole answer to a refused request, and its end.
#[cold]
pub fn write_refusal(out: &mut Vec<u8>, id: u16, refusal: &Refusal, is_head: bool) {
    let mut answer = Vec::new();
    gateway::write_refusal(&mut answer, Dialect::FastCgi, refusal, is_head);
    write_stdout(out, id, &answer);
    write_end(out, id, 0);
}
