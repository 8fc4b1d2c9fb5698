//! Frames and messages without compression. The cases follow the sections of the Autobahn test suite, which
//! clients and servers are commonly measured with; the clauses are those of RFC 6455.

use super::cases::{bad, check, good};
use super::*;

/// 5.7, the masked ones of its examples.
#[test]
fn frames_of_the_specification() {
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(
        decode_everyhow(hello, Limits::default(), None),
        (vec![text("Hello")], None)
    );
    let answer = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(
        decode_everyhow(answer, Limits::default(), None),
        (vec![pong(b"Hello")], None)
    );
}

/// 5.7, what a server sends of its examples.
#[test]
fn frames_of_a_server() {
    let write = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = vec![0xee];
        write(&mut out);
        out.split_off(1)
    };
    assert_eq!(
        write(&|out| write_message(out, true, b"Hello", None)),
        b"\x81\x05Hello"
    );
    assert_eq!(write(&|out| write_ping(out, b"Hello")), b"\x89\x05Hello");
    assert_eq!(write(&|out| write_pong(out, b"Hello")), b"\x8a\x05Hello");
    assert_eq!(
        write(&|out| write_header(out, Opcode::Binary, false, 256)),
        b"\x82\x7e\x01\x00"
    );
    assert_eq!(
        write(&|out| write_header(out, Opcode::Binary, false, 65_536)),
        b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"
    );
    assert_eq!(write(&|out| write_close(out, None, "ignored")), b"\x88\x00");
    assert_eq!(
        write(&|out| write_close(out, Some(1000), "bye")),
        b"\x88\x05\x03\xe8bye"
    );
    let long = "x".repeat(MAX_REASON - 1) + "\u{e9}";
    assert_eq!(
        write(&|out| write_close(out, Some(1011), &long)).len(),
        2 + MAX_CONTROL - 1
    );
    assert_eq!(
        write(&|out| write_ping(out, &[0; 126])).len(),
        2 + MAX_CONTROL
    );
}

/// Autobahn 1 and 9: sizes at which the form of the length changes.
#[test]
fn messages_of_every_kind_of_length() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537] {
        let data = vec![b'*'; length];
        for (opcode, is_text) in [(TEXT, true), (BINARY, false)] {
            let whole = frame(FIN | opcode, &data);
            let bytes = [whole.clone(), whole].concat();
            let event = message(is_text, &data);
            let expected = (vec![event.clone(), event], None);
            if length < 1000 {
                assert_eq!(decode_everyhow(&bytes, Limits::default(), None), expected);
            }
            for step in [997, 1 << 16, usize::MAX] {
                let mut decoder = Decoder::new(&Limits::default(), None);
                assert_eq!(decode_pieces(&mut decoder, bytes.chunks(step)), expected);
            }
        }
    }
}

/// Autobahn 2: pings and pongs.
#[test]
fn pings_and_pongs_are_handed_on_with_their_payload() {
    const LONG: &[u8] = &[0xfe; 125];
    check([
        good("2.1", &[(FIN | PING, b"")], vec![ping(b"")]),
        good("2.2", &[(FIN | PING, b"Hello")], vec![ping(b"Hello")]),
        good(
            "2.3",
            &[(FIN | PING, b"\x00\xff\xfe\xfd")],
            vec![ping(b"\x00\xff\xfe\xfd")],
        ),
        good("2.4", &[(FIN | PING, LONG)], vec![ping(LONG)]),
        bad("2.5", &[(FIN | PING, &[0xfe; 126])], vec![], 1002),
        good("2.7", &[(FIN | PONG, b"")], vec![pong(b"")]),
        good("2.8", &[(FIN | PONG, b"unasked")], vec![pong(b"unasked")]),
        good(
            "2.9",
            &[(FIN | PONG, b"a"), (FIN | PING, b"b")],
            vec![pong(b"a"), ping(b"b")],
        ),
        good(
            "2.10",
            &[(FIN | PING, b"1"), (FIN | PING, b"2"), (FIN | PING, b"3")],
            vec![ping(b"1"), ping(b"2"), ping(b"3")],
        ),
    ]);
}

/// Autobahn 3 (reserved bits) and 4 (reserved opcodes); 5.2.
#[test]
fn what_is_reserved_is_a_fault() {
    for bits in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            let bytes = frames(&[(FIN | TEXT, b"a"), (FIN | bits | opcode, b"")]);
            let (events, fault) = decode_everyhow(&bytes, Limits::default(), None);
            assert_eq!((events, fault.unwrap().code), (vec![text("a")], 1002));
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"x"] {
            let bytes = frames(&[
                (FIN | TEXT, b"a"),
                (FIN | opcode, payload),
                (FIN | PING, b""),
            ]);
            let (events, fault) = decode_everyhow(&bytes, Limits::default(), None);
            assert_eq!((events, fault.unwrap().code), (vec![text("a")], 1002));
        }
    }
}

/// 5.1 and 5.2.
#[test]
fn frames_that_no_client_may_send_are_faults() {
    for bytes in [
        &b"\x81\x05Hello"[..],
        b"\x89\x00",
        b"\x82\xfe\x00\x05\x00\x00\x00\x00Hello",
        b"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7e\x00\x00\x00\x00",
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x88\xfe\x00\x7e\x00\x00\x00\x00",
    ] {
        let (events, fault) = decode_everyhow(bytes, Limits::default(), None);
        assert_eq!((events, fault.unwrap().code), (vec![], 1002), "{bytes:x?}");
    }
}

/// Autobahn 5; 5.4.
#[test]
fn fragments_become_messages_with_control_frames_between() {
    check([
        bad(
            "5.1",
            &[(PING, b"a"), (FIN | CONTINUATION, b"b")],
            vec![],
            1002,
        ),
        bad(
            "5.2",
            &[(PONG, b"a"), (FIN | CONTINUATION, b"b")],
            vec![],
            1002,
        ),
        good(
            "5.3",
            &[(TEXT, b"a"), (FIN | CONTINUATION, b"b")],
            vec![text("ab")],
        ),
        good(
            "5.6",
            &[(TEXT, b"a"), (FIN | PING, b"p"), (FIN | CONTINUATION, b"b")],
            vec![ping(b"p"), text("ab")],
        ),
        bad(
            "5.9",
            &[(FIN | CONTINUATION, b"a"), (FIN | TEXT, b"b")],
            vec![],
            1002,
        ),
        bad(
            "5.11",
            &[(CONTINUATION, b"a"), (FIN | TEXT, b"b")],
            vec![],
            1002,
        ),
        bad(
            "5.15",
            &[
                (TEXT, b"a"),
                (FIN | CONTINUATION, b"b"),
                (CONTINUATION, b"c"),
            ],
            vec![text("ab")],
            1002,
        ),
        bad("5.18", &[(TEXT, b"a"), (FIN | TEXT, b"b")], vec![], 1002),
        bad(
            "a binary one within",
            &[(BINARY, b"a"), (BINARY, b"b")],
            vec![],
            1002,
        ),
        good(
            "5.19",
            &[
                (TEXT, b"1"),
                (CONTINUATION, b"2"),
                (FIN | PING, b"p"),
                (CONTINUATION, b"3"),
                (CONTINUATION, b""),
                (FIN | PONG, b"q"),
                (FIN | CONTINUATION, b"5"),
            ],
            vec![ping(b"p"), pong(b"q"), text("1235")],
        ),
        good(
            "nothing in many pieces",
            &[
                (BINARY, b""),
                (CONTINUATION, b""),
                (FIN | CONTINUATION, b""),
            ],
            vec![message(false, b"")],
        ),
        good(
            "two in a row",
            &[
                (BINARY, b"\xff"),
                (FIN | CONTINUATION, b"\xfe"),
                (TEXT, b"a"),
                (FIN | CONTINUATION, b""),
            ],
            vec![message(false, b"\xff\xfe"), text("a")],
        ),
    ]);
}

/// Autobahn 6; 8.1.
#[test]
fn text_is_utf8_wherever_it_is_cut() {
    const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
    check([
        good(
            "6.1",
            &[(TEXT, b""), (CONTINUATION, b""), (FIN | CONTINUATION, b"")],
            vec![text("")],
        ),
        good(
            "6.2.1",
            &[(FIN | TEXT, KOSME)],
            vec![text("\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}")],
        ),
        good(
            "6.2.4",
            &[
                (TEXT, b"\xe1"),
                (CONTINUATION, b"\xbd"),
                (FIN | CONTINUATION, b"\xb9"),
            ],
            vec![text("\u{1f79}")],
        ),
        good(
            "a control frame within a character",
            &[
                (TEXT, b"\xf0\x9f"),
                (FIN | PING, b"\xff"),
                (FIN | CONTINUATION, b"\x92\xa9"),
            ],
            vec![ping(b"\xff"), text("\u{1f4a9}")],
        ),
        bad(
            "6.3.1",
            &[(FIN | TEXT, b"\xce\xba\xed\xa0\x80edited")],
            vec![],
            1007,
        ),
        bad(
            "6.4.1",
            &[(TEXT, b"\xce\xba\xf4"), (CONTINUATION, b"\x90\x80\x80")],
            vec![],
            1007,
        ),
        bad("6.6", &[(FIN | TEXT, b"\xce")], vec![], 1007),
        bad(
            "6.6 in fragments",
            &[(TEXT, b"a\xe2"), (FIN | CONTINUATION, b"\x82")],
            vec![],
            1007,
        ),
        bad(
            "6.10",
            &[(FIN | TEXT, b"\xf8\x88\x80\x80\x80")],
            vec![],
            1007,
        ),
        bad("6.14", &[(FIN | TEXT, b"\x80")], vec![], 1007),
        bad("6.17", &[(FIN | TEXT, b"\xc0\xaf")], vec![], 1007),
        bad("6.20", &[(FIN | TEXT, b"\xed\xbf\xbf")], vec![], 1007),
        good(
            "6.22",
            &[(FIN | TEXT, b"\xef\xbf\xbe")],
            vec![text("\u{fffe}")],
        ),
        good(
            "binary is anything",
            &[(FIN | BINARY, b"\xff\xc0")],
            vec![message(false, b"\xff\xc0")],
        ),
    ]);
}

/// Autobahn 6.4: the fault comes with the first wrong byte, not with the end of frame or message.
#[test]
fn text_that_is_wrong_is_noticed_before_its_frame_ends() {
    let bytes = frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80 and much more");
    let wrong = 6 + 6; // the head, and the five bytes before F4 90
    let mut decoder = Decoder::new(&Limits::default(), None);
    assert_eq!(
        decode_pieces(&mut decoder, [&bytes[..wrong]]),
        (vec![], None)
    );
    let (_, fault) = decode_pieces(&mut decoder, [&bytes[wrong..=wrong]]);
    assert_eq!(fault.unwrap().code, 1007);
}

#[test]
fn a_message_over_the_limit_is_a_fault_when_it_is_announced() {
    let limits = Limits { message_size: 10 };
    let fits = [
        frame(FIN | BINARY, &[1; 10]),
        frames(&[(TEXT, b"12345"), (FIN | CONTINUATION, b"67890")]),
    ];
    let (events, fault) = decode_everyhow(&fits.concat(), limits, None);
    assert_eq!((events.len(), fault), (2, None));
    for bytes in [
        b"\x82\x8b\x00\x00\x00\x00".to_vec(),
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00".to_vec(),
        [
            frames(&[(TEXT, b"12345"), (CONTINUATION, b"6789")]),
            b"\x80\x82\x00\x00\x00\x00".to_vec(),
        ]
        .concat(),
    ] {
        let (events, fault) = decode_everyhow(&bytes, limits, None);
        assert_eq!((events, fault.unwrap().code), (vec![], 1009), "{bytes:x?}");
    }
    let long = frame(FIN | PING, &[1; 125]);
    assert_eq!(decode_everyhow(&long, limits, None).1, None);
}

#[test]
fn without_a_limit_any_length_may_be_announced_and_nothing_is_held_for_it() {
    let mut decoder = Decoder::new(&Limits { message_size: 0 }, None);
    let head = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00abc";
    assert_eq!(decode_pieces(&mut decoder, [&head[..]]), (vec![], None));
    assert!(decoder.buffered() < 16);
}

#[test]
fn a_caller_may_pause_between_events() {
    let mut bytes = frames(&[(FIN | TEXT, b"one"), (FIN | TEXT, b"two")]);
    let first = frame(FIN | TEXT, b"one").len();
    let mut decoder = Decoder::new(&Limits::default(), None);
    let got = decoder.decode(&mut bytes).unwrap();
    assert_eq!((got.consumed, got.event), (first, Some(text("one"))));
    let got = decoder.decode(&mut bytes[first..]).unwrap();
    assert_eq!(got.event, Some(text("two")));
    let got = decoder.decode(&mut []).unwrap();
    assert_eq!((got.consumed, got.event), (0, None));
}

#[test]
fn a_message_leaves_nothing_behind() {
    let mut decoder = Decoder::new(&Limits::default(), None);
    let bytes = frames(&[
        (TEXT, &[b'x'; 500]),
        (FIN | PING, b"abc"),
        (FIN | CONTINUATION, &[b'y'; 90]),
    ]);
    assert_eq!(decode_pieces(&mut decoder, bytes.chunks(7)).0.len(), 2);
    assert_eq!(decoder.buffered(), 0);
}
