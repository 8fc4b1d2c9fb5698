//! What one line of the access log costs, from the record to the write into a file; run with `cargo bench --bench access_log`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failing benchmark is to stop"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use hostler_engine::access_log::{AccessLog, Fields, Format, Record};
use hostler_engine::request_id::{ID_LEN, RequestIds};
use hostler_engine::trust::{Networks, PeerAddr, Precedence, resolve};

const ROUNDS: usize = 5;

/// The fields that a browser sends.
const FIELDS: [(&[u8], &[u8]); 10] = [
    (b"Host", b"www.example.org"),
    (
        b"User-Agent",
        b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        b"Accept",
        b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    (b"Accept-Language", b"en-GB,en;q=0.5"),
    (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
    (b"Referer", b"https://www.example.org/catalogue/page/7"),
    (b"Connection", b"keep-alive"),
    (
        b"Cookie",
        b"sessionid=0123456789abcdef0123456789abcdef; csrftoken=fedcba9876543210",
    ),
    (b"Upgrade-Insecure-Requests", b"1"),
    (b"Priority", b"u=0, i"),
];

/// The same request behind nginx.
const FORWARDED: [(&[u8], &[u8]); 3] = [
    (b"X-Forwarded-For", b"203.0.113.77"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Forwarded-Host", b"www.example.org"),
];

struct Sent;

impl Fields for Sent {
    fn request_header(&self, name: &[u8]) -> Option<&[u8]> {
        FIELDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    fn response_header(&self, _name: &[u8]) -> Option<&[u8]> {
        None
    }

    fn environ(&self, _name: &[u8]) -> Option<&[u8]> {
        None
    }
}

fn record(number: u64) -> Record<'static> {
    Record {
        client: b"203.0.113.77",
        // 100,000 requests per second, so that the date changes as often as it would.
        started_unix_nanos: 1_790_000_000_000_000_000 + number * 10_000,
        duration_nanos: 1_234_567,
        method: b"GET",
        target: b"/catalogue/item/4711?colour=blue",
        path: b"/catalogue/item/4711",
        query: b"colour=blue",
        protocol: b"HTTP/1.1",
        status: 200,
        body_bytes: 10_342,
        request_id: b"0123456789abcdef0123456789abcdef",
        scheme: "https",
        pid: 4_711,
        fields: &Sent,
    }
}

/// Prints the fastest of some rounds: the others were disturbed.
fn measure(name: &str, count: u64, mut run: impl FnMut(u64)) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..count).for_each(&mut run);
        best = best.min(start.elapsed());
    }
    println!(
        "{name:<44} {:8.1} ns",
        best.as_secs_f64() * 1e9 / f64::from(u32::try_from(count).unwrap())
    );
}

fn main() {
    let path = std::env::temp_dir().join(format!("hostler-bench-{}.log", std::process::id()));
    for format in ["common", "combined", "json"] {
        let mut compiled = Format::compile(format).unwrap();
        let mut line = Vec::with_capacity(1_024);
        measure(&format!("{format}: format a line"), 500_000, |number| {
            line.clear();
            compiled.write(&record(number), &mut line);
            black_box(&line);
        });
        for sink in ["/dev/null", path.to_str().unwrap()] {
            let mut log = AccessLog::open(Format::compile(format).unwrap(), sink).unwrap();
            let kind = if sink == "/dev/null" {
                "/dev/null"
            } else {
                "a file"
            };
            measure(
                &format!("{format}: log a line to {kind}"),
                500_000,
                |number| log.write(&record(number)),
            );
            assert!(log.flush().is_none());
        }
        std::fs::remove_file(&path).unwrap();
    }
    measure_ids();
    measure_trust();
}

fn measure_ids() {
    let mut ids = RequestIds::new();
    let mut id = [0; ID_LEN];
    measure("request id", 5_000_000, |_| {
        ids.next(&mut id);
        black_box(&id);
    });
}

fn measure_trust() {
    let networks = Networks::parse(&["127.0.0.1", "::1", "10.0.0.0/8", "unix"]).unwrap();
    let outsider = PeerAddr::Ip(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)));
    let resolved = |peer: &PeerAddr, more: &'static [(&[u8], &[u8])]| {
        resolve(
            black_box(&networks),
            black_box(peer),
            Precedence::XForwarded,
            FIELDS.iter().chain(more).copied(),
        )
    };
    measure("forwarding: peer not trusted", 5_000_000, |_| {
        black_box(resolved(&outsider, &FORWARDED));
    });
    measure("forwarding: trusted, no such field", 5_000_000, |_| {
        black_box(resolved(&PeerAddr::Unix, &[]));
    });
    measure("forwarding: trusted, as nginx sends it", 1_000_000, |_| {
        black_box(resolved(&PeerAddr::Unix, &FORWARDED));
    });
}
