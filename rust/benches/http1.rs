//! Cost of the HTTP/1 codec: nanoseconds per operation, the least of several rounds, as everything else only adds.

#![allow(clippy::print_stdout, reason = "prints its result")]

use std::hint::black_box;
use std::time::Instant;

use hostler_engine::codec::http1::path::decode_path;
use hostler_engine::codec::http1::{
    ChunkedDecoder, Head, Limits, ResponseFields, Scanned, Version, check_status, finish_head,
    parse_head, plan_response, write_chunk_header, write_field, write_status_line,
};

const WRK: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

const CURL: &[u8] = b"GET /plaintext?a=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const PROXIED_POST: &[u8] = b"POST /api/items HTTP/1.0\r\nHost: app.example.org\r\nX-Real-IP: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.9\r\n\
X-Forwarded-Proto: https\r\nConnection: close\r\nContent-Length: 16384\r\nContent-Type: application/json\r\nAccept: application/json\r\n\r\n";

const BROWSER: &[u8] = b"GET /en/articles/2026/11/a-longer-path-as-sites-have-them?page=2&sort=newest HTTP/1.1\r\nHost: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://www.example.org/en/articles/2026/11/?page=1&sort=newest\r\nConnection: keep-alive\r\n\
Cookie: sessionid=0f1e2d3c4b5a69788796a5b4c3d2e1f0; csrftoken=abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab; theme=dark\r\n\
Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-User: ?1\r\n\
Priority: u=0, i\r\nTE: trailers\r\n\r\n";

const DATE: &[u8; 29] = b"Thu, 20 Nov 2026 14:00:00 GMT";

const ROUNDS: u32 = 15;

/// Prints the least time per call of `operation`, over rounds of about 10 ms.
fn measure(name: &str, bytes: usize, mut operation: impl FnMut()) {
    let mut calls = 1_u32;
    while time(calls, &mut operation) < 10e6 {
        calls = calls.saturating_mul(2);
    }
    let best = (0..ROUNDS)
        .map(|_| time(calls, &mut operation) / f64::from(calls))
        .fold(f64::INFINITY, f64::min);
    println!("{name:<28} {bytes:>7} bytes {best:>10.1} ns");
}

fn time(calls: u32, operation: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        operation();
    }
    start.elapsed().as_secs_f64() * 1e9
}

fn measure_heads() {
    let limits = Limits::default();
    let mut head = Head::new();
    for (name, bytes) in [
        ("head: wrk", WRK),
        ("head: curl", CURL),
        ("head: proxied POST", PROXIED_POST),
        ("head: browser", BROWSER),
    ] {
        measure(name, bytes.len(), || {
            let mut scanned = Scanned::default();
            let progress = parse_head(black_box(bytes), &mut scanned, &limits, &mut head);
            assert!(progress.is_ok());
            black_box(&head);
        });
    }
    measure("head: browser, byte by byte", BROWSER.len(), || {
        let mut scanned = Scanned::default();
        for end in 1..=BROWSER.len() {
            let progress = parse_head(black_box(&BROWSER[..end]), &mut scanned, &limits, &mut head);
            assert!(progress.is_ok());
        }
        black_box(&head);
    });
}

fn measure_bodies() {
    let limits = Limits::default();
    for (name, chunk, count) in [
        ("chunked: 4 KiB chunks", 4096, 16),
        ("chunked: 16 byte chunks", 16, 4096),
    ] {
        let mut coded = Vec::new();
        for _ in 0..count {
            write_chunk_header(&mut coded, chunk);
            coded.resize(coded.len() + chunk, b'x');
            coded.extend_from_slice(b"\r\n");
        }
        coded.extend_from_slice(b"0\r\n\r\n");
        let mut body = Vec::with_capacity(coded.len());
        measure(name, chunk * count, || {
            body.clear();
            let progress = ChunkedDecoder::new(&limits)
                .decode(black_box(&coded), |data| body.extend_from_slice(data));
            assert!(progress.is_ok_and(|progress| progress.finished));
            black_box(&body);
        });
    }
    let mut out = Vec::with_capacity(256);
    for (name, path) in [
        ("path: plain", b"/plaintext".as_slice()),
        ("path: escapes", b"/caf%C3%A9/%E2%82%AC/a%20b"),
    ] {
        measure(name, path.len(), || {
            out.clear();
            assert!(decode_path(black_box(path), &mut out).is_ok());
            black_box(&out);
        });
    }
}

fn measure_responses() {
    let mut out = Vec::with_capacity(4096);
    let fields: [(&[u8], &[u8]); 2] = [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", b"13"),
    ];
    measure("response: check and write", 13, || {
        out.clear();
        let status = check_status(black_box(b"200 OK")).unwrap_or_default();
        write_status_line(&mut out, b"200 OK");
        let mut seen = ResponseFields::default();
        for (name, value) in black_box(&fields) {
            if seen.add(name, value) == Ok(hostler_engine::codec::http1::FieldKind::Ordinary) {
                write_field(&mut out, name, value);
            }
        }
        let plan = plan_response(
            false,
            Version::Http11,
            true,
            status,
            seen.content_length,
            Some(13),
        );
        finish_head(&mut out, &plan, &seen, DATE, b"hostler");
        out.extend_from_slice(b"Hello, World!");
        black_box(&out);
    });
}

fn main() {
    measure_heads();
    measure_bodies();
    measure_responses();
}
