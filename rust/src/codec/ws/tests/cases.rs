//! Cases as data: each is run whole, byte by byte, cut everywhere, and with something behind it.

use super::*;

/// Frames and what they amount to.
pub(super) struct Case {
    name: &'static str,
    frames: &'static [(u8, &'static [u8])],
    events: Vec<Event>,
    fault: Option<u16>,
}

pub(super) fn check(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        let bytes = frames(case.frames);
        let (events, fault) = decode_everyhow(&bytes, Limits::default(), None);
        assert_eq!(events, case.events, "{}", case.name);
        assert_eq!(fault.map(|fault| fault.code), case.fault, "{}", case.name);
        check_trailing(&case, bytes);
    }
}

/// What follows is decoded if nothing ended the connection, and has no effect otherwise.
fn check_trailing(case: &Case, mut bytes: Vec<u8>) {
    let is_over = case.fault.is_some() || matches!(case.events.last(), Some(Event::Close { .. }));
    bytes.extend(frame(FIN | PING, b"trailing"));
    bytes.push(FIN | TEXT);
    let (mut events, fault) = decode_everyhow(&bytes, Limits::default(), None);
    if !is_over {
        assert_eq!(events.pop(), Some(ping(b"trailing")), "{}", case.name);
    }
    assert_eq!(events, case.events, "{}", case.name);
    assert_eq!(fault.map(|fault| fault.code), case.fault, "{}", case.name);
}

pub(super) fn good(
    name: &'static str,
    frames: &'static [(u8, &'static [u8])],
    events: Vec<Event>,
) -> Case {
    Case {
        name,
        frames,
        events,
        fault: None,
    }
}

pub(super) fn bad(
    name: &'static str,
    frames: &'static [(u8, &'static [u8])],
    events: Vec<Event>,
    code: u16,
) -> Case {
    Case {
        name,
        frames,
        events,
        fault: Some(code),
    }
}
