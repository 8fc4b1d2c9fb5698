//! Invariant: any split of a web server's bytes gives the same events, answers and fault; what is held stays within the
//! limits; answers are whole records; a body is as long as it says.
#![no_main]

use hostler_engine::codec::fastcgi::{Capacity, Decoder, Event, MAX_VALUES};
use hostler_engine::codec::gateway::Told;
use hostler_engine::codec::http1::{Framing, Head, Limits};
use libfuzzer_sys::fuzz_target;

const CAPACITY: Capacity = Capacity {
    connections: 10,
    requests: 10,
};

/// Events as text, with data joined, and what was answered at once; with reads of `step` bytes.
fn decode(bytes: &[u8], step: usize, limits: &Limits) -> (Vec<String>, Vec<u8>) {
    let mut decoder = Decoder::new(limits, CAPACITY);
    let (mut text, mut head, mut told) = (Vec::new(), Head::new(), Told::default());
    let (mut log, mut out) = (Vec::<String>::new(), Vec::new());
    let (mut body, mut length) = (0, 0);
    for piece in bytes.chunks(step) {
        let mut rest = piece;
        loop {
            let decoded = match decoder.decode(rest, &mut out) {
                Ok(decoded) => decoded,
                Err(fault) => {
                    log.push(format!("{fault:?}"));
                    return (log, out);
                }
            };
            rest = &rest[decoded.consumed..];
            assert!(decoder.buffered() <= limits.head_size + MAX_VALUES);
            match decoded.event {
                None => {
                    assert!(rest.is_empty());
                    break;
                }
                Some(Event::Request) => {
                    let read = decoder.read_request(limits, &mut text, &mut head, &mut told);
                    log.push(format!("{read:?} {head:?} {told:?}"));
                    if read.is_ok() {
                        assert!(text[..head.len].ends_with(b"\r\n\r\n"));
                        body = 0;
                        length = match head.framing {
                            Framing::Length(length) => length,
                            Framing::None => 0,
                            Framing::Chunked => u64::MAX,
                        };
                    }
                }
                Some(Event::Data(data)) => {
                    assert!(!data.is_empty());
                    if body == 0 {
                        log.push("data ".to_owned());
                    }
                    if let Some(last) = log.last_mut() {
                        *last += &data.escape_ascii().to_string();
                    }
                    body += data.len() as u64;
                    assert!(body <= length);
                }
                Some(Event::End) => {
                    assert!(length == u64::MAX || body == length);
                    log.push("end".to_owned());
                    decoder.finish();
                }
                Some(Event::Abort) => {
                    log.push("abort".to_owned());
                    decoder.finish();
                }
                Some(event @ (Event::Answered | Event::Close)) => log.push(format!("{event:?}")),
            }
        }
    }
    (log, out)
}

// Input: the size of the reads, then the bytes.
fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else {
        return;
    };
    let tight = Limits {
        head_size: 300,
        body_size: 10,
        header_count: 4,
        ..Limits::default()
    };
    for limits in [Limits::default(), tight] {
        let whole = decode(bytes, bytes.len().max(1), &limits);
        assert_eq!(whole, decode(bytes, usize::from(step).max(1), &limits));
        assert_eq!(whole.1.len() % 8, 0);
    }
});
