//! Connections whole, in every split, and spoiled.

use super::*;
use crate::codec::gateway::tests::{Dice, Room, fastcgi_pairs};
use crate::codec::http1::{Limits, Refusal};

const CAPACITY: Capacity = Capacity {
    connections: 100,
    requests: 100,
};

const BEGIN: u8 = 1;
const ABORT: u8 = 2;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const GET_VALUES: u8 = 9;

const GET: &[(&str, &str)] = &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/x")];

const POST: &[(&str, &str)] = &[
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_URI", "/x"),
    ("CONTENT_LENGTH", "4"),
];

fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let mut out = vec![1, kind];
    out.extend(id.to_be_bytes());
    out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    out.extend([padding, 0]);
    out.extend(content);
    out.extend(vec![0xee; padding.into()]);
    out
}

fn begin(id: u16, role: u8, flags: u8) -> Vec<u8> {
    record(BEGIN, id, &[0, role, flags, 0, 0, 0, 0, 0], 0)
}

fn request(id: u16, flags: u8, variables: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = begin(id, 1, flags);
    out.extend(record(PARAMS, id, &fastcgi_pairs(variables), 3));
    out.extend(record(PARAMS, id, b"", 0));
    if !body.is_empty() {
        out.extend(record(STDIN, id, body, 5));
    }
    out.extend(record(STDIN, id, b"", 0));
    out
}

/// What a caller would note.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Noted {
    Request(String),
    Refused(Refusal),
    Data(Vec<u8>),
    End,
    Abort,
    Answered,
    Close,
}

/// What a connection's bytes amount to: events, with data joined; answers; the fault.
type Log = (Vec<Noted>, Vec<u8>, Option<Fault>);

/// Decodes pieces one after the other. A request is answered when it has ended or was aborted.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Log {
    let mut decoder = Decoder::new(limits, CAPACITY);
    let mut room = Room::default();
    let (mut noted, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = piece;
        loop {
            let step = match decoder.decode(rest, &mut out) {
                Ok(step) => step,
                Err(fault) => {
                    assert_eq!(decoder.buffered(), 0);
                    assert_eq!(decoder.decode(b"more", &mut out).unwrap().consumed, 4);
                    return (noted, out, Some(fault));
                }
            };
            rest = &rest[step.consumed..];
            assert!(decoder.buffered() <= limits.head_size + MAX_VALUES);
            let Some(event) = step.event else {
                assert!(rest.is_empty());
                break;
            };
            note(event, &mut decoder, &mut room, limits, &mut noted);
        }
    }
    (noted, out, None)
}

fn note(
    event: Event<'_>,
    decoder: &mut Decoder,
    room: &mut Room,
    limits: &Limits,
    noted: &mut Vec<Noted>,
) {
    let happened = match event {
        Event::Request => {
            let Room { bytes, head, told } = room;
            match decoder.read_request(limits, bytes, head, told) {
                Ok(()) => {
                    room.check();
                    Noted::Request(room.describe(&[]))
                }
                Err(refusal) => Noted::Refused(refusal),
            }
        }
        Event::Data(data) => {
            if let Some(Noted::Data(before)) = noted.last_mut() {
                before.extend(data);
                return;
            }
            Noted::Data(data.to_vec())
        }
        Event::End => {
            decoder.finish();
            Noted::End
        }
        Event::Abort => {
            decoder.finish();
            Noted::Abort
        }
        Event::Answered => Noted::Answered,
        Event::Close => Noted::Close,
    };
    noted.push(happened);
}

fn decode_everyhow(bytes: &[u8]) -> Log {
    let limits = Limits::default();
    let whole = decode_pieces([bytes], &limits);
    assert_eq!(decode_pieces(bytes.chunks(1), &limits), whole);
    for place in 0..bytes.len() {
        let (left, right) = bytes.split_at(place);
        assert_eq!(
            decode_pieces([left, right], &limits),
            whole,
            "cut at {place}"
        );
    }
    whole
}

/// The description of a request that is expected to be good.
pub(in crate::codec) fn receive(bytes: &[u8]) -> String {
    let (noted, out, fault) = decode_everyhow(bytes);
    assert_eq!((out.len(), fault), (0, None));
    // Another request may follow on the same connection.
    let trailing = [bytes, &request(1, 0, GET, b"")].concat();
    let (more, _, fault) = decode_everyhow(&trailing);
    assert_eq!((more.len(), fault), (noted.len() + 2, None));
    let body = match &noted[..] {
        [Noted::Request(_), Noted::End] => &[][..],
        [Noted::Request(_), Noted::Data(data), Noted::End] => data,
        other => panic!("{other:?}"),
    };
    let mut decoder = Decoder::new(&Limits::default(), CAPACITY);
    let mut room = Room::default();
    let step = decoder.decode(bytes, &mut Vec::new()).unwrap();
    assert_eq!(step.event, Some(Event::Request));
    let Room { bytes, head, told } = &mut room;
    decoder
        .read_request(&Limits::default(), bytes, head, told)
        .unwrap();
    room.describe(body)
}

fn joined(records: &[Vec<u8>]) -> Vec<u8> {
    records.concat()
}

#[test]
fn bodies_come_as_they_are_framed() {
    let (noted, out, fault) = decode_everyhow(&request(7, 1, POST, b"body"));
    assert!(matches!(&noted[0], Noted::Request(text) if text.contains("keep-alive true")));
    assert_eq!(noted[1..], [Noted::Data(b"body".to_vec()), Noted::End]);
    assert_eq!((out, fault), (Vec::new(), None));
    let (noted, ..) = decode_everyhow(&request(7, 0, GET, b""));
    assert!(
        matches!(&noted[..], [Noted::Request(text), Noted::End] if text.contains("length none"))
    );
    let (noted, ..) = decode_everyhow(&request(7, 0, GET, b"unknown"));
    assert!(
        matches!(&noted[..], [Noted::Request(text), Noted::Data(_), Noted::End]
        if text.contains("length unknown"))
    );
}

#[test]
fn streams_may_come_in_any_records() {
    let pairs = fastcgi_pairs(POST);
    let mut bytes = begin(1, 1, 1);
    for piece in pairs.chunks(5) {
        bytes.extend(record(PARAMS, 1, piece, 1));
    }
    bytes.extend(record(PARAMS, 1, b"", 255));
    for octet in b"body" {
        bytes.extend(record(STDIN, 1, &[*octet], 0));
    }
    bytes.extend(record(STDIN, 1, b"", 2));
    let (noted, _, fault) = decode_everyhow(&bytes);
    assert_eq!(noted[1..], [Noted::Data(b"body".to_vec()), Noted::End]);
    assert_eq!(fault, None);
}

#[test]
fn names_and_values_may_be_long() {
    let long = "v".repeat(300);
    let variables = [GET, &[("X_LONG", long.as_str())]].concat();
    let (noted, ..) = decode_everyhow(&request(1, 0, &variables, b""));
    assert!(matches!(&noted[0], Noted::Request(text) if text.contains(&long)));
}

#[test]
fn a_second_request_is_turned_away_and_the_first_goes_on() {
    let first = request(1, 1, POST, b"body");
    let at = begin(1, 1, 1).len();
    let bytes = joined(&[
        first[..at].to_vec(),
        request(2, 1, POST, b"other"),
        first[at..].to_vec(),
    ]);
    let (noted, out, fault) = decode_everyhow(&bytes);
    assert_eq!(noted[0], Noted::Answered);
    assert!(matches!(noted[1], Noted::Request(_)));
    assert_eq!(noted[2..], [Noted::Data(b"body".to_vec()), Noted::End]);
    assert_eq!(out, record(3, 2, &[0, 0, 0, 0, 1, 0, 0, 0], 0));
    assert_eq!(fault, None);
}

#[test]
fn other_roles_are_unknown() {
    for (role, flags, noted) in [(2, 1, Noted::Answered), (3, 0, Noted::Close)] {
        let bytes = begin(1, role, flags);
        let outcome = decode_everyhow(&bytes);
        let out = record(3, 1, &[0, 0, 0, 0, 3, 0, 0, 0], 0);
        assert_eq!(outcome, (vec![noted], out, None));
    }
}

#[test]
fn values_are_told_if_they_are_asked_for() {
    for (asked, answer) in [
        (&[][..], &[][..]),
        (
            &[("FCGI_MPXS_CONNS", ""), ("FCGI_MAX_CONNS", ""), ("X", "y")],
            &[("FCGI_MAX_CONNS", "100"), ("FCGI_MPXS_CONNS", "0")],
        ),
        (&[("FCGI_MAX_REQS", "")], &[("FCGI_MAX_REQS", "100")]),
    ] {
        let bytes = record(GET_VALUES, 0, &fastcgi_pairs(asked), 4);
        let (noted, out, fault) = decode_everyhow(&bytes);
        assert_eq!((noted, fault), (vec![Noted::Answered], None));
        let content = fastcgi_pairs(answer);
        let padding = u8::try_from(padding_after(content.len())).unwrap();
        let mut wanted = record(10, 0, &content, padding);
        let end = wanted.len() - usize::from(padding);
        wanted[end..].fill(0);
        assert_eq!(out, wanted);
    }
}

#[test]
fn unknown_types_are_named_in_the_answer() {
    for (kind, id) in [(0, 0), (12, 0), (255, 0), (77, 5)] {
        let (noted, out, fault) = decode_everyhow(&record(kind, id, b"whatever", 3));
        assert_eq!((noted, fault), (vec![Noted::Answered], None));
        assert_eq!(out, record(11, 0, &[kind, 0, 0, 0, 0, 0, 0, 0], 0));
    }
}

#[test]
fn records_of_requests_that_are_not_active_are_ignored() {
    let strays = joined(&[
        record(PARAMS, 9, b"whatever", 0),
        record(STDIN, 9, b"whatever", 1),
        record(ABORT, 9, b"", 0),
    ]);
    let bytes = joined(&[strays.clone(), request(1, 1, GET, b""), strays]);
    let (noted, out, fault) = decode_everyhow(&bytes);
    assert!(matches!(&noted[..], [Noted::Request(_), Noted::End]));
    assert_eq!((out, fault), (Vec::new(), None));
}

#[test]
fn an_abort_ends_a_request_at_any_stage() {
    let whole = request(1, 1, POST, b"body");
    // Within the variables, behind them, within the body.
    let body = whole.len() - record(STDIN, 1, b"", 0).len();
    for cut in [begin(1, 1, 1).len(), body] {
        let bytes = joined(&[
            whole[..cut].to_vec(),
            record(ABORT, 1, b"", 0),
            request(2, 1, GET, b""),
        ]);
        let (noted, _, fault) = decode_everyhow(&bytes);
        let place = noted
            .iter()
            .position(|noted| *noted == Noted::Abort)
            .unwrap();
        assert!(matches!(
            &noted[place + 1..],
            [Noted::Request(_), Noted::End]
        ));
        assert_eq!(fault, None);
    }
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    let started = joined(&[begin(1, 1, 1), record(PARAMS, 1, &fastcgi_pairs(GET), 0)]);
    let told = joined(&[started.clone(), record(PARAMS, 1, b"", 0)]);
    for (name, bytes, status) in [
        ("another version", vec![2], None),
        ("HTTP", b"GET / HTTP/1.1\r\n".to_vec(), None),
        ("TLS", vec![22, 3, 1], None),
        ("an id of 0", begin(0, 1, 0), None),
        ("params of id 0", record(PARAMS, 0, b"", 0), None),
        ("a short beginning", record(BEGIN, 1, b"\0\x01", 0), None),
        (
            "begun twice",
            joined(&[begin(1, 1, 1), begin(1, 1, 1)]),
            None,
        ),
        ("STDOUT", record(6, 1, b"x", 0), None),
        ("DATA", record(8, 1, b"x", 0), None),
        ("values of a request", record(GET_VALUES, 1, b"", 0), None),
        (
            "many values",
            record(GET_VALUES, 0, &[0; MAX_VALUES + 1], 0),
            None,
        ),
        ("no values", record(GET_VALUES, 0, b"\x05\x00ab", 0), None),
        (
            "a body too early",
            joined(&[started, record(STDIN, 1, b"", 0)]),
            Some(400),
        ),
        (
            "variables too late",
            joined(&[told, record(PARAMS, 1, b"x", 0)]),
            Some(400),
        ),
    ] {
        let (_, _, fault) = decode_everyhow(&bytes);
        let fault = fault.expect(name);
        let refusal = fault.refusal;
        assert_eq!(
            refusal.map(|(_, refusal)| refusal.status),
            status,
            "{name}: {fault}"
        );
    }
}

#[test]
fn a_body_is_as_long_as_it_says() {
    for (body, is_told) in [(&b"bod"[..], true), (b"bodyx", true), (b"", false)] {
        let (noted, _, fault) = decode_everyhow(&request(1, 1, POST, body));
        assert_eq!(matches!(noted[0], Noted::Request(_)), is_told);
        let refusal = match noted[0] {
            Noted::Refused(refusal) => Some(refusal),
            _ => fault
                .and_then(|fault| fault.refusal)
                .map(|refusal| refusal.1),
        };
        assert_eq!(refusal.map(|refusal| refusal.status), Some(400), "{body:?}");
    }
    let variables = [GET, &[("CONTENT_LENGTH", "0")]].concat();
    let (noted, ..) = decode_everyhow(&request(1, 1, &variables, b"x"));
    assert!(matches!(noted[..], [Noted::Refused(_)]));
}

#[test]
fn limits_hold_before_what_is_over_them_is_there() {
    let limits = Limits {
        head_size: 100,
        body_size: 10,
        ..Limits::default()
    };
    let params = [&begin(1, 1, 1)[..], &record(PARAMS, 1, &[0; 101], 0)[..8]].concat();
    let (_, _, fault) = decode_pieces([&params[..]], &limits);
    assert_eq!(fault.unwrap().refusal.unwrap().1.status, 431);
    let body = request(1, 1, GET, b"12345678901");
    let (_, _, fault) = decode_pieces([&body[..]], &limits);
    assert_eq!(fault.unwrap().refusal.unwrap().1.status, 413);
}

#[test]
fn variables_that_are_none_are_refused() {
    for text in [
        &b"\x05\x00ab"[..],
        b"\x80\0\0",
        b"\xff\xff\xff\xff\0",
        b"\0\x01a",
        b"\x01",
    ] {
        let bytes = joined(&[
            begin(1, 1, 1),
            record(PARAMS, 1, text, 0),
            record(PARAMS, 1, b"", 0),
            record(STDIN, 1, b"", 0),
        ]);
        let (noted, ..) = decode_everyhow(&bytes);
        assert!(matches!(noted[..], [Noted::Refused(refusal)] if refusal.status == 400));
    }
}

#[test]
fn answers_are_records_of_whole_words() {
    for length in [
        0,
        1,
        7,
        8,
        9,
        MAX_CONTENT - 1,
        MAX_CONTENT,
        MAX_CONTENT + 1,
        200_000,
    ] {
        let data: Vec<u8> = (0..=250).cycle().take(length).collect();
        let mut out = Vec::new();
        write_stdout(&mut out, 0x0102, &data);
        let (mut rest, mut found) = (&out[..], Vec::new());
        while let [1, 6, 1, 2, high, low, padding, 0, tail @ ..] = rest {
            let content = usize::from(u16::from_be_bytes([*high, *low]));
            assert!(content > 0 && (content + usize::from(*padding)) % 8 == 0);
            found.extend(&tail[..content]);
            rest = &tail[content + usize::from(*padding)..];
        }
        assert_eq!((rest, found), (&[][..], data));
    }
    let mut out = Vec::new();
    write_stderr(&mut out, 1, b"oh");
    assert_eq!(out, b"\x01\x07\0\x01\0\x02\x06\0oh\0\0\0\0\0\0");
    out.clear();
    write_end(&mut out, 1, 0x0102_0304);
    assert_eq!(
        out,
        b"\x01\x06\0\x01\0\0\0\0\x01\x03\0\x01\0\x08\0\0\x01\x02\x03\x04\0\0\0\0"
    );
    out.clear();
    write_refusal(&mut out, 1, &Refusal::bad_request("No."), false);
    assert!(out[8..].starts_with(b"Status: 400 Bad Request\r\n"));
}

/// Something like what web servers send: mostly valid, some wrong.
fn roll_traffic(dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..dice.roll(6) {
        let id = u16::try_from(dice.roll(3)).unwrap();
        match dice.roll(8) {
            0 => {
                let kind = dice.octet() % 14;
                out.extend(record(kind, id, b"whatever", dice.octet() % 9));
            }
            1 => out.extend(begin(id, dice.octet() % 4, dice.octet() % 2)),
            2 => out.extend(record(
                GET_VALUES,
                0,
                &fastcgi_pairs(&[("FCGI_MAX_REQS", "")]),
                0,
            )),
            3 => out.extend(record(ABORT, id, b"", 0)),
            _ => {
                let variables = dice.variables();
                let body = *dice.pick(&[b"".as_slice(), b"abc", b"abc", b"abc", b"abcd"]);
                out.extend(request(1 + id, 1, &variables, body));
            }
        }
    }
    if dice.roll(2) == 0 {
        dice.spoil(&mut out);
    }
    out
}

#[test]
fn any_split_of_any_input_gives_the_same_outcome() {
    let mut dice = Dice(23);
    let mut accepted = 0;
    for _ in 0..5000 {
        let bytes = roll_traffic(&mut dice);
        let limits = Limits::default();
        let whole = decode_pieces([&bytes[..]], &limits);
        accepted += usize::from(whole.0.contains(&Noted::End));
        let pieces = dice.cut(&bytes);
        assert_eq!(decode_pieces(pieces, &limits), whole, "{bytes:x?}");
    }
    assert!(accepted > 100, "{accepted}");
}

#[test]
fn what_every_connection_holds_is_small() {
    assert!(size_of::<Decoder>() <= 144, "{}", size_of::<Decoder>());
}
