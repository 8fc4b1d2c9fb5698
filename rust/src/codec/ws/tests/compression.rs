//! Compressed messages (RFC 7692), and what goes around between our two halves.

use super::*;

const TAKEOVER: InflateParams = InflateParams {
    context_takeover: true,
    window_bits: 15,
};
const NO_TAKEOVER: InflateParams = InflateParams {
    context_takeover: false,
    ..TAKEOVER
};

/// A stored block of up to 65535 bytes (RFC 1951 3.2.4).
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [
        &[0][..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        data,
    ]
    .concat()
}

fn decode_compressed(payloads: &[&[u8]], limit: usize, params: InflateParams) -> Outcome {
    let bytes: Vec<u8> = (payloads.iter())
        .flat_map(|payload| frame(FIN | RSV1 | TEXT, payload))
        .collect();
    decode_everyhow(
        &bytes,
        Limits {
            message_size: limit,
        },
        Some(params),
    )
}

/// RFC 7692 7.2.3.1 to 7.2.3.5, each a message of its own.
#[test]
fn messages_of_the_specification() {
    for (name, payload) in [
        ("one block", &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
        (
            "no compression",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        ),
        ("BFINAL set", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        (
            "two blocks",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ),
    ] {
        for params in [TAKEOVER, NO_TAKEOVER] {
            let outcome = decode_compressed(&[payload, payload], 0, params);
            assert_eq!(
                outcome,
                (vec![text("Hello"), text("Hello")], None),
                "{name}"
            );
        }
    }
}

/// RFC 7692 7.2.3.1: fragments are those of the compressed payload.
#[test]
fn a_compressed_message_may_be_fragmented() {
    let bytes = frames(&[
        (RSV1 | TEXT, b"\xf2\x48\xcd"),
        (FIN | PING, b"p"),
        (CONTINUATION, b""),
        (FIN | CONTINUATION, b"\xc9\xc9\x07\x00"),
    ]);
    let outcome = decode_everyhow(&bytes, Limits::default(), Some(NO_TAKEOVER));
    assert_eq!(outcome, (vec![ping(b"p"), text("Hello")], None));
}

/// RFC 7692 7.2.3.2.
#[test]
fn a_message_may_refer_to_those_before_it_only_with_context_takeover() {
    let both: [&[u8]; 2] = [b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00"];
    assert_eq!(
        decode_compressed(&both, 0, TAKEOVER),
        (vec![text("Hello"), text("Hello")], None)
    );
    let (events, fault) = decode_compressed(&both, 0, NO_TAKEOVER);
    assert_eq!((events, fault.unwrap().code), (vec![text("Hello")], 1007));
}

/// RFC 7692 7.2.3.6, and senders that leave out the byte.
#[test]
fn an_empty_message_may_be_compressed() {
    for payload in [&b"\x00"[..], b"", b"\x02\x00"] {
        assert_eq!(
            decode_compressed(&[payload], 0, TAKEOVER),
            (vec![text("")], None)
        );
    }
}

/// RFC 7692 6.
#[test]
fn only_the_first_frame_of_a_message_says_that_it_is_compressed() {
    for list in [
        &[
            (RSV1 | TEXT, &b"\xf2"[..]),
            (FIN | RSV1 | CONTINUATION, b""),
        ][..],
        &[(TEXT, b"a"), (FIN | RSV1 | CONTINUATION, b"")],
        &[(FIN | RSV1 | PING, b"")],
        &[(FIN | RSV1 | CLOSE, b"")],
    ] {
        let outcome = decode_everyhow(&frames(list), Limits::default(), Some(TAKEOVER));
        assert_eq!((outcome.0, outcome.1.unwrap().code), (vec![], 1002));
    }
    let plain = frames(&[
        (FIN | TEXT, b"plain"),
        (FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
    ]);
    assert_eq!(
        decode_everyhow(&plain, Limits::default(), Some(TAKEOVER)),
        (vec![text("plain"), text("Hello")], None)
    );
}

#[test]
fn invalid_compression_is_a_fault() {
    for (name, payload) in [
        ("a reserved kind of block", b"\x07".to_vec()),
        (
            "a length and its complement that differ",
            b"\x00\x05\x00\x00\x00Hello".to_vec(),
        ),
        (
            "a distance beyond the beginning",
            b"\xf2\x00\x11\x00\x00".to_vec(),
        ),
        (
            "an end within a stored block",
            b"\x00\x50\x00\xaf\xffHello".to_vec(),
        ),
        ("an end within a block", b"\xf2\x48\xcd\xc9".to_vec()),
        (
            "a final block without what follows it",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec(),
        ),
        ("text that is none", stored(b"\xce\xba\xed\xa0\x80")),
        (
            "text that ends within a character",
            [stored(b"\xce"), vec![0]].concat(),
        ),
        (
            "text that is none, then a reserved block",
            [stored(b"a\xff"), vec![7]].concat(),
        ),
    ] {
        let (events, fault) = decode_compressed(&[&payload], 0, TAKEOVER);
        assert_eq!(
            (events, fault.map(|fault| fault.code)),
            (vec![], Some(1007)),
            "{name}"
        );
    }
}

/// A kilobyte that decompresses to a megabyte costs no more than the limit.
#[test]
fn decompression_stops_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    let mut bomb = Vec::new();
    let mut deflater = Deflater::new(params(false, 15, 9, 8));
    write_message(&mut bomb, false, &zeros, Some(&mut deflater));
    let payload = &bomb[4..];
    assert!(payload.len() < 2000);
    let bytes = frame(FIN | RSV1 | BINARY, payload);
    let mut held = 0;
    let mut decoder = Decoder::new(
        &Limits {
            message_size: 10_000,
        },
        Some(TAKEOVER),
    );
    let fault = bytes.chunks(1).find_map(|piece| {
        held = held.max(decoder.buffered());
        decoder.decode(&mut piece.to_vec()).err()
    });
    assert_eq!(fault.unwrap().code, 1009);
    assert!(held <= 10_001, "{held}");
    for (limit, is_fault) in [(zeros.len() - 1, true), (zeros.len(), false)] {
        let mut decoder = Decoder::new(
            &Limits {
                message_size: limit,
            },
            Some(TAKEOVER),
        );
        assert_eq!(
            decode_pieces(&mut decoder, [&bytes[..]]).1.is_some(),
            is_fault
        );
    }
}

/// The limit counts before what is wrong behind it, and after what is wrong before it.
#[test]
fn the_first_fault_counts() {
    for (data, code) in [
        (&b"0123456789\xff"[..], 1009),
        (b"012345678\xff9", 1007),
        (b"0123456789", 1007), // the reserved block
    ] {
        let payload = [stored(data), vec![7]].concat();
        let (_, fault) = decode_compressed(&[&payload], 10, NO_TAKEOVER);
        assert_eq!(fault.unwrap().code, code, "{data:x?}");
    }
}

#[test]
fn history_is_kept_only_with_takeover_and_only_as_far_as_the_window() {
    let data = [b'a'; 700];
    let payload = [stored(&data), vec![0]].concat();
    let bytes = frame(FIN | RSV1 | TEXT, &payload);
    for (context_takeover, most) in [(true, 512), (false, 0)] {
        let params = InflateParams {
            context_takeover,
            window_bits: 9,
        };
        let mut decoder = Decoder::new(&Limits::default(), Some(params));
        assert_eq!(decoder.buffered(), 0);
        for _ in 0..3 {
            assert_eq!(
                decode_pieces(&mut decoder, [&bytes[..]]).0,
                [message(true, &data)]
            );
            assert_eq!(decoder.buffered(), most);
        }
    }
    let mut decoder = Decoder::new(&Limits::default(), Some(TAKEOVER));
    let small = frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    assert_eq!(decode_pieces(&mut decoder, [&small[..]]).0, [text("Hello")]);
    assert!(decoder.buffered() < 16);
}

const fn params(
    context_takeover: bool,
    window_bits: u8,
    level: u8,
    mem_level: u8,
) -> DeflateParams {
    DeflateParams {
        context_takeover,
        window_bits,
        level,
        mem_level,
    }
}

/// What a server frame becomes when a client sends it.
fn as_client(server: &[u8]) -> Vec<u8> {
    let at = match server[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame(server[0], &server[at..])
}

/// Autobahn 12 and 13: sizes and parameters.
#[test]
fn messages_go_around_with_every_window_level_and_takeover() {
    let mut dice = Dice(12);
    let messages: Vec<Vec<u8>> = [0, 16, 63, 64, 65, 256, 1024, 8192, 40_000]
        .iter()
        .map(|&size| {
            let mut data = dice.prose(0);
            while data.len() < size {
                data.extend(dice.prose(2000));
            }
            data.truncate(size);
            data
        })
        .collect();
    for context_takeover in [false, true] {
        for window_bits in 9..=15 {
            for (level, mem_level) in [(1, 1), (2, 5), (9, 9)] {
                let params = params(context_takeover, window_bits, level, mem_level);
                go_around(params, &messages);
            }
        }
    }
}

fn go_around(params: DeflateParams, messages: &[Vec<u8>]) {
    let mut deflater = Deflater::new(params);
    let inflate = InflateParams {
        context_takeover: params.context_takeover,
        window_bits: params.window_bits,
    };
    let mut decoder = Decoder::new(&Limits::default(), Some(inflate));
    for step in [usize::MAX, 61] {
        for data in messages {
            let mut out = Vec::new();
            write_message(&mut out, false, data, Some(&mut deflater));
            assert_eq!(
                out[0] & RSV1 != 0,
                deflater.is_worth(data.len()),
                "{params:?}"
            );
            assert!(out.len() < data.len().max(130));
            let bytes = as_client(&out);
            let outcome = decode_pieces(&mut decoder, bytes.chunks(step));
            assert!(
                outcome == (vec![message(false, data)], None),
                "{params:?} {}",
                data.len()
            );
        }
    }
}

/// A window that was agreed on binds the sender: nothing it refers to is further away, as the decoder has forgotten it.
#[test]
fn a_deflater_keeps_to_its_window_across_messages() {
    let mut dice = Dice(9);
    for window_bits in 9..=15 {
        for level in [1, 2, 6, 9] {
            let messages: Vec<Vec<u8>> = (0..60).map(|_| dice.prose(900)).collect();
            go_around_small(params(true, window_bits, level, 5), &messages);
        }
    }
}

fn go_around_small(params: DeflateParams, messages: &[Vec<u8>]) {
    let mut deflater = Deflater::new(params);
    let inflate = InflateParams {
        context_takeover: true,
        window_bits: params.window_bits,
    };
    let mut decoder = Decoder::new(&Limits::default(), Some(inflate));
    for (index, data) in messages.iter().enumerate() {
        let mut out = Vec::new();
        write_message(&mut out, true, data, Some(&mut deflater));
        let outcome = decode_pieces(&mut decoder, [&as_client(&out)[..]]);
        assert!(
            outcome == (vec![message(true, data)], None),
            "{params:?} {index}"
        );
        if index == 30 {
            deflater.release();
            assert_eq!(deflater.held(), 0);
        }
    }
}

#[test]
fn what_does_not_become_smaller_is_sent_as_it_is_unless_the_next_message_may_refer_to_it() {
    let mut dice = Dice(5);
    let noise: Vec<u8> = (0..100_000).map(|_| dice.octet()).collect();
    for context_takeover in [false, true] {
        let mut deflater = Deflater::new(params(context_takeover, 12, 1, 5));
        let mut out = Vec::new();
        write_message(&mut out, false, &noise, Some(&mut deflater));
        assert_eq!(out[0] & RSV1 != 0, context_takeover);
        assert!(out.len() < noise.len() * 9 / 8 + 64);
        let mut decoder = Decoder::new(&Limits::default(), Some(TAKEOVER));
        let outcome = decode_pieces(&mut decoder, [&as_client(&out)[..]]);
        assert!(outcome == (vec![message(false, &noise)], None));
    }
}

#[test]
fn without_takeover_one_deflater_serves_many_connections() {
    let data = [b'a'; 300];
    let mut deflater = Deflater::new(params(false, 15, 6, 8));
    assert_eq!(deflater.held(), 0);
    let mut outs = (0..3).map(|_| {
        let mut out = Vec::new();
        write_message(&mut out, true, &data, Some(&mut deflater));
        out
    });
    let first = outs.next().unwrap();
    assert!(outs.all(|out| out == first));
}
