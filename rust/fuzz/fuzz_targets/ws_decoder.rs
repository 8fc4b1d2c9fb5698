//! Invariant: any split of a client's bytes gives the same events and the same fault; what is held follows what was
//! received and, decompressed, stays within the limit; text is UTF-8 and nothing comes after a close frame.
#![no_main]

use hostler_engine::codec::ws::{
    Decoder, Event, Fault, InflateParams, Limits, is_valid_close_code,
};
use libfuzzer_sys::fuzz_target;

/// Most that is held beyond what was received: a control frame, and a window of 9 bits.
const SLACK: usize = 125 + 512;

const PARAMS: [Option<InflateParams>; 3] = [
    None,
    Some(InflateParams {
        context_takeover: true,
        window_bits: 9,
    }),
    Some(InflateParams {
        context_takeover: false,
        window_bits: 15,
    }),
];

/// The events and the fault, with reads of `step` bytes.
fn decode(
    bytes: &[u8],
    step: usize,
    limits: &Limits,
    params: Option<InflateParams>,
) -> (Vec<Event>, Option<Fault>) {
    let mut decoder = Decoder::new(limits, params);
    let (mut events, mut received) = (Vec::new(), 0);
    for piece in bytes.chunks(step) {
        let mut buffer = piece.to_vec();
        received += piece.len();
        let mut at = 0;
        loop {
            let decoded = match decoder.decode(&mut buffer[at..]) {
                Ok(decoded) => decoded,
                Err(fault) => return (events, Some(fault)),
            };
            at += decoded.consumed;
            let most = if params.is_none() {
                2 * received
            } else {
                2 * limits.message_size.max(received) + 1
            };
            assert!(limits.message_size == 0 || decoder.buffered() <= most + SLACK);
            let Some(event) = decoded.event else {
                assert_eq!(at, buffer.len());
                break;
            };
            events.push(event);
        }
    }
    (events, None)
}

fn check_events(events: &[Event], limits: &Limits) {
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Message { is_text, data } => {
                assert!(limits.message_size == 0 || data.len() <= limits.message_size);
                assert!(!is_text || std::str::from_utf8(data).is_ok());
            }
            Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
            Event::Close { code, reason } => {
                assert!(code.is_none_or(is_valid_close_code) && reason.len() <= 123);
                assert_eq!(index + 1, events.len());
            }
        }
    }
}

// Input: the size of the reads, then the bytes.
fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else {
        return;
    };
    for message_size in [0, 20, 1000] {
        let limits = Limits { message_size };
        for params in PARAMS {
            let whole = decode(bytes, bytes.len().max(1), &limits, params);
            check_events(&whole.0, &limits);
            let split = decode(bytes, usize::from(step).max(1), &limits, params);
            assert_eq!(whole, split);
        }
    }
});
