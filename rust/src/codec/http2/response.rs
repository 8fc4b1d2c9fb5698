//! The answer's head as a header block, from the text that HTTP/1 would send.

use super::encoder::HeaderEncoder;

/// Appends the header block for the first head in `text`, which is one that this server has written: a status line,
/// field lines, an empty line. Returns that head's length.
///
/// What is said of the connection is left out (RFC 9113 8.2.2). The switch to WebSocket is a plain 200 here, without the
/// proof that the handshake was read (RFC 8441 5).
pub fn write_head(out: &mut Vec<u8>, text: &[u8], encoder: &mut HeaderEncoder) -> usize {
    encoder.begin(out);
    // "HTTP/1.1 200 OK"
    let status = match text.get(9..12) {
        Some(b"101") | None => *b"200",
        Some(code) => [code[0], code[1], code[2]],
    };
    encoder.status(out, status);
    let first = memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1);
    first + write_lines(out, &text[first..], encoder)
}

/// Appends the header block for trailers, which are field lines.
pub fn write_trailers(out: &mut Vec<u8>, text: &[u8], encoder: &mut HeaderEncoder) {
    encoder.begin(out);
    write_lines(out, text, encoder);
}

/// Appends fields up to the empty line. Returns the bytes used.
fn write_lines(out: &mut Vec<u8>, text: &[u8], encoder: &mut HeaderEncoder) -> usize {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &text[at..]) {
        let line = &text[at..at + end];
        at += end + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        write_line(out, line, encoder);
    }
    at
}

fn write_line(out: &mut Vec<u8>, line: &[u8], encoder: &mut HeaderEncoder) {
    /// Names longer than this are written in lower case somewhere else.
    const ROOM: usize = 64;
    let Some(colon) = memchr::memchr(b':', line) else {
        return;
    };
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    let mut room = [0; ROOM];
    if let Some(lower) = room.get_mut(..name.len()) {
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        if !is_about_connection(lower) {
            encoder.field(out, lower, value);
        }
    } else {
        encoder.field(out, &name.to_ascii_lowercase(), value);
    }
}

fn is_about_connection(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"transfer-encoding"
            | b"upgrade"
            | b"sec-websocket-accept"
    )
}

/// RFC 9113 8.2.1: no white space at either end.
fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}
