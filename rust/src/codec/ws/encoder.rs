//! Frames of the server: never masked (RFC 6455 5.1), one per message.

use super::close::{MAX_CONTROL, cut_reason};
use super::deflate::Deflater;
use super::frame::{MAX_HEAD, Opcode, build_head};

/// Appends the head of a frame whose payload of `length` bytes follows, so that a large one need not be copied.
#[inline]
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, is_compressed: bool, length: usize) {
    let mut room = [0; MAX_HEAD];
    let size = build_head(&mut room, opcode, is_compressed, length);
    out.extend_from_slice(&room[..size]);
}

/// Appends a message. With a `deflater` it is compressed if it is large enough ([`super::MIN_IN_CONTEXT`],
/// [`super::MIN_ALONE`]) and that is of use; there may only be one if the extension was agreed on. A text message's payload must be valid UTF-8.
#[inline]
pub fn write_message(
    out: &mut Vec<u8>,
    is_text: bool,
    payload: &[u8],
    deflater: Option<&mut Deflater>,
) {
    let opcode = if is_text {
        Opcode::Text
    } else {
        Opcode::Binary
    };
    let is_compressed = match deflater {
        Some(deflater) if deflater.is_worth(payload.len()) => {
            write_compressed(out, opcode, payload, deflater)
        }
        _ => false,
    };
    if !is_compressed {
        write_frame(out, opcode, payload);
    }
}

#[inline]
fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.reserve(MAX_HEAD + payload.len());
    write_header(out, opcode, false, payload.len());
    out.extend_from_slice(payload);
}

/// The size of a head is known only when the payload is compressed. Room is left for the head of the payload as it is,
/// which is seldom wrong by more than two bytes; if it is wrong, the result, which is small then, moves.
fn write_compressed(
    out: &mut Vec<u8>,
    opcode: Opcode,
    payload: &[u8],
    deflater: &mut Deflater,
) -> bool {
    let start = out.len();
    write_header(out, opcode, true, payload.len());
    let body = out.len();
    if !deflater.compress(payload, out) {
        out.truncate(start);
        return false;
    }
    let mut room = [0; MAX_HEAD];
    let size = build_head(&mut room, opcode, true, out.len() - body);
    out.splice(start..body, room[..size].iter().copied());
    true
}

/// Appends a close frame. Without a code it has no payload; the reason is cut to what fits (RFC 6455 5.5.1). The code
/// must be one that [`super::is_valid_close_code`] allows.
pub fn write_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let Some(code) = code else {
        write_frame(out, Opcode::Close, &[]);
        return;
    };
    let reason = cut_reason(reason);
    write_header(out, Opcode::Close, false, size_of_val(&code) + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a ping with up to [`MAX_CONTROL`] bytes of `payload`.
pub fn write_ping(out: &mut Vec<u8>, payload: &[u8]) {
    write_frame(out, Opcode::Ping, cut_payload(payload));
}

/// Appends the answer to a ping with the same payload, up to [`MAX_CONTROL`] bytes of it.
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_frame(out, Opcode::Pong, cut_payload(payload));
}

fn cut_payload(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(MAX_CONTROL)]
}
