//! Requests whole, in every split, and spoiled.

use super::*;
use crate::codec::gateway::tests::{
    Dice, Outcome, Room, parse_everyhow, parse_pieces, receive_with, scgi_netstring,
};

const GOOD: &[(&str, &str)] = &[
    ("CONTENT_LENGTH", "4"),
    ("SCGI", "1"),
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_URI", "/x"),
];

fn parse(received: &[u8], limits: &Limits, room: &mut Room) -> (Outcome, usize) {
    let Room { bytes, head, told } = room;
    match parse_request(received, limits, bytes, head, told) {
        Ok(Progress::Partial) => (Outcome::Partial, 0),
        Ok(Progress::Request { len }) => {
            room.check();
            (Outcome::Request(room.describe(&[])), len)
        }
        Err(refusal) => (Outcome::Refused(refusal), 0),
    }
}

/// The description of a request that is expected to be good; its body is all that follows the netstring.
pub(in crate::codec) fn receive(bytes: &[u8]) -> String {
    receive_with(parse, bytes)
}

fn refusal_of(bytes: &[u8]) -> Option<Refusal> {
    match parse_everyhow(parse, bytes).0 {
        Outcome::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

#[test]
fn a_good_request_is_accepted() {
    let bytes = scgi_netstring(GOOD);
    let (outcome, len) = parse_everyhow(parse, &[&bytes[..], b"body"].concat());
    assert!(matches!(outcome, Outcome::Request(_)));
    assert_eq!(len, bytes.len());
}

#[test]
fn sizes_are_digits_within_the_limit() {
    for (bytes, refusal) in [
        (&b":"[..], Some(SIZE)),
        (b"GET / HTTP/1.1", Some(SIZE)),
        (b"-1:", Some(SIZE)),
        (b" 1:", Some(SIZE)),
        (b"1 :", Some(SIZE)),
        (b"01:", Some(SIZE)),
        (b"0", Some(SIZE)),
        (b"65537", Some(TOO_LARGE)),
        (b"99999999999999999999999:", Some(TOO_LARGE)),
        (b"65536:", None),
        (b"65", None),
        (b"", None),
    ] {
        assert_eq!(refusal_of(bytes), refusal, "{}", bytes.escape_ascii());
    }
}

#[test]
fn malformed_variables_are_refused() {
    for (text, refusal) in [
        (&b"CONTENT_LENGTH\x000\0SCGI\x001\0"[..], None),
        (b"CONTENT_LENGTH\x000\0SCGI\x001", Some(VARIABLES)),
        (b"CONTENT_LENGTH\x000\0SCGI", Some(VARIABLES)),
        (b"CONTENT_LENGTH\x000\0SCGI\0", Some(VARIABLES)),
        (b"CONTENT_LENGTH\x000\0\x001\0", Some(VARIABLES)),
        (b"SCGI\x001\0CONTENT_LENGTH\x000\0", Some(LENGTH_FIRST)),
        (b"CONTENT_LENGTH\0\0SCGI\x001\0", Some(LENGTH_FIRST)),
        (b"CONTENT_LENGTH\x000\0", Some(VERSION)),
        (b"CONTENT_LENGTH\x000\0SCGI\x002\0", Some(VERSION)),
        (
            b"CONTENT_LENGTH\x000\0SCGI\x001\0SCGI\x001\0",
            Some(VERSION),
        ),
    ] {
        let bytes = [format!("{}:", text.len()).as_bytes(), text, b","].concat();
        // Without a fault of its own, what is missing is a method.
        let found = refusal_of(&bytes).unwrap();
        let own = [VARIABLES, LENGTH_FIRST, VERSION].contains(&found);
        assert_eq!(own.then_some(found), refusal, "{}", text.escape_ascii());
    }
    let mut bytes = scgi_netstring(GOOD);
    let last = bytes.len() - 1;
    bytes[last] = b';';
    assert_eq!(refusal_of(&bytes), Some(COMMA));
}

#[test]
fn any_split_of_any_input_gives_the_same_outcome() {
    let mut dice = Dice(22);
    let mut accepted = 0;
    for _ in 0..5000 {
        let variables = dice.variables();
        let mut bytes = scgi_netstring(&variables);
        dice.spoil(&mut bytes);
        let limits = Limits::default();
        let whole = parse_pieces(parse, [&bytes[..]], &limits);
        accepted += usize::from(matches!(whole.0, Outcome::Request(_)));
        let pieces = dice.cut(&bytes);
        assert_eq!(parse_pieces(parse, pieces, &limits), whole, "{bytes:x?}");
    }
    assert!(accepted > 500, "{accepted}");
}
