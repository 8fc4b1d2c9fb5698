//! Close frames (RFC 6455 5.5.1 and 7.4), by the sections of the Autobahn test suite.

use super::cases::{bad, check, good};
use super::*;

/// Autobahn 7; 5.5.1 and 7.4.
#[test]
fn a_close_frame_ends_everything() {
    const LONG: &[u8] = &[b'x'; 125];
    let reason = "x".repeat(123);
    check([
        good(
            "7.1.1",
            &[(FIN | TEXT, b"a"), (FIN | CLOSE, b"")],
            vec![text("a"), close(None, "")],
        ),
        good(
            "7.1.4",
            &[
                (FIN | CLOSE, b"\x03\xe8"),
                (FIN | TEXT, b"late"),
                (FIN | 3, b""),
            ],
            vec![close(Some(1000), "")],
        ),
        good(
            "7.1.5",
            &[
                (TEXT, b"half"),
                (FIN | CLOSE, b""),
                (FIN | CONTINUATION, b"late"),
            ],
            vec![close(None, "")],
        ),
        bad("7.3.2", &[(FIN | CLOSE, b"a")], vec![], 1002),
        good(
            "7.3.3",
            &[(FIN | CLOSE, b"\x03\xe8")],
            vec![close(Some(1000), "")],
        ),
        good(
            "7.3.4",
            &[(FIN | CLOSE, b"\x03\xe8Hello")],
            vec![close(Some(1000), "Hello")],
        ),
        bad("7.3.6", &[(FIN | CLOSE, &[0; 126])], vec![], 1002),
        bad(
            "7.5.1",
            &[(FIN | CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80")],
            vec![],
            1007,
        ),
        good(
            "7.13",
            &[(FIN | CLOSE, b"\x13\x87")],
            vec![close(Some(4999), "")],
        ),
        bad(
            "a long one with a bad code",
            &[(FIN | CLOSE, LONG)],
            vec![],
            1002,
        ),
        bad("fragmented", &[(CLOSE, b"\x03\xe8")], vec![], 1002),
    ]);
    let bytes = frame(FIN | CLOSE, &[b"\x0b\xb8", reason.as_bytes()].concat());
    assert_eq!(
        decode_everyhow(&bytes, Limits::default(), None),
        (vec![close(Some(3000), &reason)], None)
    );
}

/// Autobahn 7.7 and 7.9.
#[test]
fn close_frames_have_codes_that_may_be_sent() {
    for code in [
        0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 2999, 3000, 4999, 5000,
        65_535,
    ] {
        let bytes = frame(FIN | CLOSE, &u16::to_be_bytes(code));
        let expected = if is_valid_close_code(code) {
            (vec![close(Some(code), "")], None)
        } else {
            (vec![], Some(1002))
        };
        let (events, fault) = decode_everyhow(&bytes, Limits::default(), None);
        assert_eq!((events, fault.map(|fault| fault.code)), expected, "{code}");
    }
}
