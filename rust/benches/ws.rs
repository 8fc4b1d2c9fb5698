//! Costs of the WebSocket codec: nanoseconds per operation, the least of some rounds, and what compression makes of
//! messages. Run with `cargo bench --no-default-features --bench ws`.

#![allow(missing_docs, reason = "a benchmark has no interface")]

use std::hint::black_box;
use std::time::Instant;

use hostler_engine::codec::ws::{
    Decoder, DeflateParams, Deflater, Event, InflateParams, Limits, Opcode, accept_key,
    check_upgrade, write_header, write_message,
};

const ROUNDS: u32 = 15;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FIELDS: [(&[u8], &[u8]); 8] = [
    (b"Host", b"www.example.org"),
    (b"Connection", b"keep-alive, Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Origin", b"https://www.example.org"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (
        b"Sec-WebSocket-Extensions",
        b"permessage-deflate; client_max_window_bits",
    ),
    (b"Sec-WebSocket-Protocol", b"chat, superchat"),
];

/// Prints the least time per call of `operation`, over rounds of about 10 ms.
fn measure(name: &str, bytes: usize, mut operation: impl FnMut()) {
    let mut calls = 1_u32;
    while time(calls, &mut operation) < 10e6 {
        calls = calls.saturating_mul(2);
    }
    let best = (0..ROUNDS)
        .map(|_| time(calls, &mut operation) / f64::from(calls))
        .fold(f64::INFINITY, f64::min);
    println!("{name:<44} {bytes:>7} bytes {best:>10.1} ns");
}

fn time(calls: u32, operation: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        operation();
    }
    start.elapsed().as_secs_f64() * 1e9
}

/// A frame as clients send it, but for the masking of its payload where the key is 0.
fn frame(opcode: Opcode, is_compressed: bool, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(&mut out, opcode, is_compressed, payload.len());
    out[1] |= 0x80;
    out.extend(key);
    out.extend((payload.iter().zip(key.iter().cycle())).map(|(octet, key)| octet ^ key));
    out
}

/// Decodes one message that `frame` is. The copy into the buffer, which a read from a socket would be, counts.
fn decode_message(decoder: &mut Decoder, frame: &[u8], buffer: &mut Vec<u8>, step: usize) {
    buffer.clear();
    buffer.extend_from_slice(frame);
    let mut message = None;
    for piece in buffer.chunks_mut(step) {
        match decoder.decode(black_box(piece)) {
            Ok(done) => message = done.event,
            Err(fault) => panic!("{fault}"),
        }
    }
    assert!(matches!(black_box(message), Some(Event::Message { .. })));
}

/// JSON as an application sends it: the same keys, other values.
fn json(size: usize, mut seed: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < size {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend(
            format!(
                "{{\"id\": {}, \"user\": \"name-{}\", \"price\": {}.{:02}, \"is_active\": {}}}, ",
                seed >> 40,
                seed >> 50 & 0xfff,
                seed >> 44 & 0xff,
                seed >> 30 & 63,
                seed >> 33 & 1 == 0
            )
            .into_bytes(),
        );
    }
    out.truncate(size);
    out
}

fn measure_decoding() {
    let umlauts = "\u{e4}\u{20ac}".repeat(16 * 1024 / 5);
    let mut buffer = Vec::new();
    for (name, opcode, payload, step) in [
        ("decode: binary", Opcode::Binary, vec![b'x'; 64], usize::MAX),
        ("decode: ASCII", Opcode::Text, vec![b'x'; 64], usize::MAX),
        (
            "decode: ASCII, byte by byte",
            Opcode::Text,
            vec![b'x'; 64],
            1,
        ),
        (
            "decode: binary",
            Opcode::Binary,
            vec![b'x'; 16_384],
            usize::MAX,
        ),
        (
            "decode: ASCII",
            Opcode::Text,
            vec![b'x'; 16_384],
            usize::MAX,
        ),
        (
            "decode: ASCII, reads of 4 KiB",
            Opcode::Text,
            vec![b'x'; 16_384],
            4096,
        ),
        (
            "decode: no ASCII",
            Opcode::Text,
            umlauts.into_bytes(),
            usize::MAX,
        ),
        (
            "decode: binary",
            Opcode::Binary,
            vec![b'x'; 1 << 20],
            usize::MAX,
        ),
    ] {
        let frame = frame(opcode, false, KEY, &payload);
        let mut decoder = Decoder::new(&Limits::default(), None);
        measure(name, payload.len(), || {
            decode_message(&mut decoder, &frame, &mut buffer, step);
        });
    }
    for size in [64, 16_384] {
        let payload = vec![b'x'; size];
        let mut copy = Vec::new();
        measure("  of which: copy into buffer and message", size, || {
            copy.clear();
            copy.extend_from_slice(black_box(&payload));
            black_box(copy.clone());
        });
    }
}

fn measure_encoding() {
    let mut out = Vec::with_capacity(1 << 20);
    for size in [64, 16_384] {
        let payload = vec![b'x'; size];
        measure("encode: plain", size, || {
            out.clear();
            write_message(&mut out, true, black_box(&payload), None);
            black_box(&out);
        });
    }
}

fn measure_handshake() {
    measure("handshake: key", 24, || {
        black_box(accept_key(black_box(b"dGhlIHNhbXBsZSBub25jZQ==")));
    });
    let settings = Some(hostler_engine::codec::ws::DeflateSettings::default());
    measure("handshake: whole", 300, || {
        let upgrade = check_upgrade(b"GET", true, black_box(FIELDS).into_iter(), settings);
        assert!(upgrade.is_some_and(|upgrade| upgrade.is_ok()));
    });
    measure("handshake: none", 300, || {
        let upgrade = check_upgrade(
            b"GET",
            true,
            black_box(&FIELDS[..2]).iter().copied(),
            settings,
        );
        assert!(upgrade.is_none());
    });
}

fn measure_compression(params: DeflateParams, size: usize) {
    let mut deflater = Deflater::new(params);
    let payloads: Vec<Vec<u8>> = (0..64).map(|seed| json(size, seed * 7919)).collect();
    let mut out = Vec::with_capacity(1 << 20);
    let (mut sent, mut plain) = (0, 0);
    for payload in &payloads {
        out.clear();
        write_message(&mut out, true, payload, Some(&mut deflater));
        sent += out.len();
        plain += payload.len();
    }
    let takeover = if params.context_takeover {
        "kept"
    } else {
        "none"
    };
    let name = format!(
        "deflate: window {}, level {}, memory {}, {takeover}, {}%",
        params.window_bits,
        params.level,
        params.mem_level,
        sent * 100 / plain
    );
    let mut turn = payloads.iter().cycle();
    measure(&name, size, || {
        out.clear();
        let payload = turn.next().map_or(&[][..], Vec::as_slice);
        write_message(&mut out, true, black_box(payload), Some(&mut deflater));
        black_box(&out);
    });
}

fn measure_decompression(context_takeover: bool, size: usize) {
    let deflate = DeflateParams {
        context_takeover: false,
        window_bits: 12,
        level: 6,
        mem_level: 8,
    };
    let mut server = Vec::new();
    write_message(
        &mut server,
        true,
        &json(size, 1),
        Some(&mut Deflater::new(deflate)),
    );
    let head = if server[1] == 126 { 4 } else { 2 };
    let frame = frame(Opcode::Text, true, KEY, &server[head..]);
    let params = InflateParams {
        context_takeover,
        window_bits: 15,
    };
    let mut decoder = Decoder::new(&Limits::default(), Some(params));
    let mut buffer = Vec::new();
    let name = if context_takeover {
        "inflate: takeover, 32 KiB"
    } else {
        "inflate: no takeover"
    };
    measure(name, size, || {
        decode_message(&mut decoder, &frame, &mut buffer, usize::MAX);
    });
}

fn main() {
    println!(
        "decoder {} bytes, event {} bytes",
        size_of::<Decoder>(),
        size_of::<Event>()
    );
    measure_decoding();
    measure_encoding();
    measure_handshake();
    for size in [128, 1024, 16_384] {
        for context_takeover in [false, true] {
            measure_decompression(context_takeover, size);
        }
    }
    for size in [64, 96, 128, 256, 1024, 16_384] {
        for (context_takeover, window_bits, level, mem_level) in [
            (false, 12, 1, 5),
            (false, 12, 2, 5),
            (false, 12, 6, 5),
            (false, 15, 6, 8),
            (true, 12, 1, 5),
            (true, 12, 6, 5),
        ] {
            let params = DeflateParams {
                context_takeover,
                window_bits,
                level,
                mem_level,
            };
            measure_compression(params, size);
        }
    }
}
