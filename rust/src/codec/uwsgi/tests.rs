//! Packets whole, in every split, and spoiled.

use super::*;
use crate::codec::gateway::tests::{
    Dice, Outcome, Room, parse_everyhow, parse_pieces, receive_with, uwsgi_packet,
};

const GOOD: &[(&str, &str)] = &[
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_URI", "/app/x?q"),
    ("SCRIPT_NAME", "/app"),
    ("PATH_INFO", "/app/x"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("HTTP_HOST", "a.example"),
    ("CONTENT_LENGTH", "4"),
];

fn parse(received: &[u8], limits: &Limits, room: &mut Room) -> (Outcome, usize) {
    let Room { bytes, head, told } = room;
    match parse_request(received, limits, bytes, head, told) {
        Ok(Progress::Partial) => (Outcome::Partial, 0),
        Ok(Progress::Ping { len }) => (Outcome::Ping, len),
        Ok(Progress::Request { len }) => {
            room.check();
            (Outcome::Request(room.describe(&[])), len)
        }
        Err(refusal) => (Outcome::Refused(refusal), 0),
    }
}

/// The description of a request that is expected to be good; its body is all that follows the packet.
pub(in crate::codec) fn receive(bytes: &[u8]) -> String {
    receive_with(parse, bytes)
}

pub(in crate::codec) fn refuse(bytes: &[u8]) -> Refusal {
    match parse_everyhow(parse, bytes).0 {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn modifiers_decide_what_a_packet_is() {
    for modifier in 0..=u8::MAX {
        let (outcome, len) = parse_everyhow(parse, &uwsgi_packet(modifier, GOOD));
        match modifier {
            0 => {
                let Outcome::Request(text) = outcome else {
                    panic!()
                };
                assert!(
                    text.contains("path [/app] /app/x\nwhole path /app/app/x\n"),
                    "{text}"
                );
                assert_eq!(len, uwsgi_packet(0, GOOD).len());
            }
            30 => {
                let Outcome::Request(text) = outcome else {
                    panic!()
                };
                assert!(
                    text.contains("path [/app] /x\nwhole path /app/x\n"),
                    "{text}"
                );
            }
            b'A'..=b'Z' => assert_eq!(outcome, Outcome::Refused(HTTP)),
            22 => assert_eq!(outcome, Outcome::Refused(TLS)),
            100 => assert_eq!(outcome, Outcome::Refused(PING_SIZE)),
            _ => assert_eq!(outcome, Outcome::Refused(MODIFIER)),
        }
    }
}

#[test]
fn pings_are_answered() {
    assert_eq!(parse_everyhow(parse, &[100, 0, 0, 0]), (Outcome::Ping, 4));
    assert_eq!(parse_everyhow(parse, &[100, 0, 0]), (Outcome::Partial, 0));
    let mut out = Vec::new();
    write_pong(&mut out);
    assert_eq!(out, [100, 0, 0, 1]);
}

#[test]
fn malformed_packets_are_refused() {
    for (bytes, refusal) in [
        (&b"\0\x01\0\0\0"[..], BLOCK),
        (b"\0\x02\0\0\0\0", BLOCK),
        (b"\0\x04\0\0\0\0\0\0", BLOCK),       // an empty name
        (b"\0\x05\0\0\x01\0A\x01\0", BLOCK),  // no value
        (b"\0\x06\0\0\x01\0A\x02\0B", BLOCK), // beyond the block
        (b"\0\x04\0\0\xff\xffA\0", BLOCK),
        (b"\0\x00\0\x01", SECOND_MODIFIER),
        (b"GET / HTTP/1.1\r\n\r\n", HTTP),
        (b"\x16\x03\x01", TLS),
    ] {
        assert_eq!(
            parse_everyhow(parse, bytes).0,
            Outcome::Refused(refusal),
            "{bytes:x?}"
        );
    }
    // An empty block has no method.
    assert!(matches!(
        parse_everyhow(parse, &[0, 0, 0, 0]).0,
        Outcome::Refused(_)
    ));
}

#[test]
fn a_block_over_the_limit_is_refused_before_it_is_there() {
    let limits = Limits {
        head_size: 200,
        ..Limits::default()
    };
    for (size, outcome) in [
        (200, Outcome::Partial),
        (201, Outcome::Refused(BLOCK_TOO_LARGE)),
    ] {
        let bytes = [0, size, 0, 0];
        assert_eq!(parse_pieces(parse, [&bytes[..]], &limits).0, outcome);
        assert_eq!(parse_pieces(parse, bytes.chunks(1), &limits).0, outcome);
    }
    // The largest block there is.
    assert_eq!(parse_everyhow(parse, &[0, 255, 255, 0]).0, Outcome::Partial);
}

#[test]
fn any_split_of_any_input_gives_the_same_outcome() {
    let mut dice = Dice(21);
    let mut accepted = 0;
    for _ in 0..5000 {
        let modifier = *dice.pick(&[0, 0, 30, 100]);
        let variables = dice.variables();
        let mut bytes = uwsgi_packet(modifier, &variables);
        dice.spoil(&mut bytes);
        let limits = Limits::default();
        let whole = parse_pieces(parse, [&bytes[..]], &limits);
        accepted += usize::from(matches!(whole.0, Outcome::Request(_)));
        let pieces = dice.cut(&bytes);
        assert_eq!(parse_pieces(parse, pieces, &limits), whole, "{bytes:x?}");
    }
    assert!(accepted > 500, "{accepted}");
}
