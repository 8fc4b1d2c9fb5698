//! Frames and header blocks, whole and in every split.

use super::frame::{DATA, HEADERS, PADDED, PING, SETTINGS};
use super::*;
use crate::codec::http1::{Framing, Head, Limits};
use crate::codec::http2::huffman;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn begin() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// What is told of `bytes` that come in pieces of `size`, in words; data is joined.
fn told(bytes: &[u8], size: usize) -> Vec<String> {
    let mut decoder = Decoder::new(1_000);
    let mut words: Vec<String> = Vec::new();
    for piece in bytes.chunks(size) {
        let mut at = 0;
        loop {
            match decoder.decode(&piece[at..]) {
                Ok(step) => {
                    at += step.consumed;
                    match step.event {
                        None => break,
                        Some(Event::Data {
                            stream,
                            data,
                            counted,
                            is_empty,
                            end_stream,
                        }) => add_data(&mut words, stream, data, counted, is_empty, end_stream),
                        Some(event) => words.push(format!("{event:?}")),
                    }
                }
                Err(fault) => {
                    words.push(format!("{:?}", fault.code));
                    return words;
                }
            }
        }
        assert_eq!(at, piece.len());
    }
    words
}

fn add_data(
    words: &mut Vec<String>,
    stream: u32,
    data: &[u8],
    counted: u32,
    is_empty: bool,
    end_stream: bool,
) {
    let before = words
        .pop_if(|last| last.starts_with(&format!("data {stream}:")) && last.ends_with("..."))
        .unwrap_or_else(|| format!("data {stream}:0:..."));
    let mut parts = before.trim_end_matches("...").splitn(3, ':').skip(1);
    let so_far: u32 = parts.next().unwrap().parse().unwrap();
    let text = format!("{}{}", parts.next().unwrap(), data.escape_ascii());
    let end = match (is_empty, end_stream) {
        (_, true) => " end",
        (true, false) => " empty",
        (false, false) => "...",
    };
    words.push(format!("data {stream}:{}:{text}{end}", so_far + counted));
}

fn assert_told(bytes: &[u8], expected: &[&str]) {
    for size in [1, 2, 3, 7, 9, 10, 16, bytes.len()] {
        assert_eq!(told(bytes, size), expected, "in pieces of {size}");
    }
}

const FIRST: &str = "Settings(PeerSettings { header_table: None, window: None, max_frame: None })";

#[test]
fn frames_are_the_same_however_they_are_split() {
    let settings = [0, 4, 0, 0, 0, 9, 0, 1, 0, 0, 0, 64];
    let bytes = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &settings),
        &frame(SETTINGS, 1, 0, b""),
        &frame(HEADERS, 5, 1, b"abc"),
        &frame(HEADERS, 0, 3, b"abc"),
        &frame(9, 0, 3, b""),
        &frame(9, 4, 3, b"def"),
        &frame(DATA, 0, 3, b"body"),
        &frame(DATA, PADDED, 3, b"\x02more\0\0"),
        &frame(DATA, 0, 3, b""),
        &frame(DATA, PADDED | 1, 3, b"\x03\0\0\0"),
        &frame(8, 0, 3, &[0, 0, 1, 0]),
        &frame(PING, 0, 0, b"12345678"),
        &frame(99, 0, 7, b"unknown"),
        &frame(3, 0, 1, &[0, 0, 0, 8]),
        &frame(16, 0, 0, b"\0\0\0\x05u=1"),
        &frame(7, 0, 0, &[0; 8]),
    ]
    .concat();
    assert_told(
        &bytes,
        &[
            "Settings(PeerSettings { header_table: Some(64), window: Some(9), max_frame: None })",
            "SettingsAck",
            "Headers { stream: 1, end_stream: true, block: [97, 98, 99] }",
            "Headers { stream: 3, end_stream: false, block: [97, 98, 99, 100, 101, 102] }",
            // The padding and its length count.
            "data 3:11:bodymore empty",
            "data 3:4: end",
            "Window { stream: 3, increment: 256 }",
            "Ping([49, 50, 51, 52, 53, 54, 55, 56])",
            "Other",
            "Reset { stream: 1 }",
            "Urgency { stream: 5, value: [117, 61, 49] }",
            "GoAway",
        ],
    );
}

#[test]
fn broken_frames_end_the_connection() {
    for (bytes, code) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "Protocol"),
        ([PREFACE, &frame(PING, 0, 0, &[0; 8])].concat(), "Protocol"),
        ([PREFACE, &frame(SETTINGS, 1, 0, b"")].concat(), "Protocol"),
        (
            [PREFACE, &frame(SETTINGS, 0, 0, &[0; 5])].concat(),
            "FrameSize",
        ),
        (
            [PREFACE, &frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2])].concat(),
            "Protocol",
        ),
        (
            [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])].concat(),
            "FlowControl",
        ),
        (
            [PREFACE, &frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 9])].concat(),
            "Protocol",
        ),
    ] {
        for size in [1, 4, bytes.len()] {
            assert_eq!(told(&bytes, size), [code], "{}", bytes.escape_ascii());
        }
    }
    for (next, code) in [
        (frame(DATA, 0, 0, b"x"), "Protocol"),
        (frame(DATA, PADDED, 1, b"\x02x"), "Protocol"),
        (frame(DATA, PADDED, 1, b""), "Protocol"),
        (frame(HEADERS, 4, 2, b""), "Protocol"),
        (frame(HEADERS, 4 | PADDED, 1, b"\x09abc"), "Protocol"),
        (frame(HEADERS, 4 | 32, 1, &[0; 4]), "FrameSize"),
        (frame(9, 4, 1, b""), "Protocol"),
        (frame(5, 4, 1, &[0; 4]), "Protocol"),
        (frame(PING, 0, 0, &[0; 7]), "FrameSize"),
        (frame(PING, 0, 1, &[0; 8]), "Protocol"),
        (frame(8, 0, 0, &[0; 4]), "Protocol"),
        (frame(8, 0, 0, &[0; 3]), "FrameSize"),
        (frame(3, 0, 1, &[0; 3]), "FrameSize"),
        (frame(7, 0, 0, &[0; 7]), "FrameSize"),
        (frame(SETTINGS, 1, 0, &[0; 6]), "FrameSize"),
        (
            [frame(HEADERS, 0, 1, b""), frame(PING, 0, 0, &[0; 8])].concat(),
            "Protocol",
        ),
        (
            [frame(HEADERS, 0, 1, b""), frame(9, 4, 3, b"")].concat(),
            "Protocol",
        ),
        (
            [frame(HEADERS, 0, 1, b""), frame(9, 0, 1, b"").repeat(40)].concat(),
            "EnhanceYourCalm",
        ),
        (frame(HEADERS, 0, 1, &[0; 1_001]), "EnhanceYourCalm"),
        (vec![0, 0x40, 1, DATA, 0, 0, 0, 0, 1], "FrameSize"),
    ] {
        assert_told(&[begin(), next].concat(), &[FIRST, code]);
    }
}

#[test]
fn broken_frames_of_a_stream_end_the_stream() {
    let bytes = [
        begin(),
        frame(8, 0, 1, &[0; 4]),
        frame(2, 0, 1, &[0, 0, 0, 1, 5]),
        frame(2, 0, 1, &[0; 4]),
        frame(2, 0, 1, &[0, 0, 0, 3, 5]),
    ]
    .concat();
    assert_told(
        &bytes,
        &[
            FIRST,
            "StreamFault { stream: 1, code: Protocol }",
            "StreamFault { stream: 1, code: Protocol }",
            "StreamFault { stream: 1, code: FrameSize }",
            "Other",
        ],
    );
}

fn decode_all(
    decoder: &mut HeaderDecoder,
    block: &[u8],
) -> Result<Vec<(String, String)>, CompressionError> {
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| {
        fields.push((
            String::from_utf8_lossy(name).into_owned(),
            String::from_utf8_lossy(value).into_owned(),
        ));
    })?;
    Ok(fields)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// RFC 7541 C.3 and C.4: three requests on one connection, without and with Huffman coding.
#[test]
fn examples_of_rfc_7541_decode() {
    let plain: [&[u8]; 3] = [
        b"\x82\x86\x84\x41\x0fwww.example.com",
        b"\x82\x86\x84\xbe\x58\x08no-cache",
        b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value",
    ];
    let coded: [&[u8]; 3] = [
        b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
        b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
        b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
    ];
    let expected = [
        pairs(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ]),
        pairs(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
            ("cache-control", "no-cache"),
        ]),
        pairs(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ]),
    ];
    for blocks in [plain, coded] {
        let mut decoder = HeaderDecoder::default();
        for (block, fields) in blocks.iter().zip(&expected) {
            assert_eq!(decode_all(&mut decoder, block).as_ref(), Ok(fields));
        }
    }
}

#[test]
fn blocks_that_cannot_be_decoded_are_refused() {
    for block in [
        // An index of 0, one beyond both tables, one of a name beyond them.
        &b"\x80"[..],
        b"\xff\x00",
        b"\x7f\x00\x01a",
        // Integers that never end, or that are too large.
        b"\xff\x80\x80\x80\x80\x80\x01",
        b"\xff",
        // Strings longer than the block.
        b"\x40\x05abc",
        b"\x40\x01a\x7f\xff\xff\x7f",
        // A table larger than allowed, and one changed in the midst of a block.
        b"\x3f\xe2\x1f",
        b"\x82\x20",
        // The end of string in a Huffman code.
        b"\x40\x84\xff\xff\xff\xff\x00",
    ] {
        let mut decoder = HeaderDecoder::default();
        assert!(
            decode_all(&mut decoder, block).is_err(),
            "{}",
            block.escape_ascii()
        );
    }
}

#[test]
fn table_forgets_the_oldest_and_what_is_larger_than_it() {
    let mut decoder = HeaderDecoder::default();
    assert!(decode_all(&mut decoder, b"\x3f\x1d\x40\x01a\x01b\x40\x01c\x01d").is_ok());
    // 60 bytes hold one of the two.
    assert_eq!(decode_all(&mut decoder, b"\xbe"), Ok(pairs(&[("c", "d")])));
    assert!(decode_all(&mut decoder, b"\xbf").is_err());
    let mut decoder = HeaderDecoder::default();
    let large = [b"\x40\x01a\x7f\xa2\x1f".as_slice(), &[b'x'; 4_129]].concat();
    assert!(decode_all(&mut decoder, &large).is_ok());
    assert!(decode_all(&mut decoder, b"\xbe").is_err());
}

#[test]
fn many_references_to_a_large_field_cost_no_memory() {
    let mut decoder = HeaderDecoder::default();
    let large = [b"\x40\x01a\x7f\xa1\x1e".as_slice(), &[b'x'; 4_000]].concat();
    assert!(decode_all(&mut decoder, &large).is_ok());
    let (mut bytes, mut head) = (Vec::new(), Head::default());
    let limits = Limits::default();
    let mut builder = RequestBuilder::new(&mut bytes, &mut head, &limits);
    let bomb = [b"\x82\x86\x84\x41\x01h".as_slice(), &[0xbf; 16_000]].concat();
    decoder
        .decode(&bomb, |name, value| builder.field(name, value))
        .unwrap();
    let fault = builder.finish(true).unwrap_err();
    assert!(matches!(fault, RequestFault::Refused(refusal) if refusal.status == 431));
    assert!(bytes.len() < 2 * limits.head_size);
}

fn request(
    fields: &[(&str, &str)],
    end_stream: bool,
) -> Result<(Vec<u8>, Head, RequestFields), RequestFault> {
    let limits = Limits {
        request_line: 60,
        header_count: 6,
        header_size: 40,
        head_size: 160,
        body_size: 1_000,
    };
    let (mut bytes, mut head) = (Vec::new(), Head::default());
    let mut builder = RequestBuilder::new(&mut bytes, &mut head, &limits);
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    let more = builder.finish(end_stream)?;
    Ok((bytes, head, more))
}

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/a?b=c"),
    (":authority", "example.org"),
];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&GET[..], more].concat()
}

#[test]
fn head_is_that_of_http_1() {
    let fields = with(&[
        ("cookie", "a=1"),
        ("x-y", ""),
        ("cookie", "b=2"),
        ("priority", "u=1, i"),
        ("cookie", "c=3"),
    ]);
    let (bytes, head, more) = request(&fields, true).unwrap();
    assert_eq!(head.method.of(&bytes), b"GET");
    assert_eq!(head.target.of(&bytes), b"/a?b=c");
    assert_eq!(
        (head.path.of(&bytes), head.query.of(&bytes)),
        (&b"/a"[..], &b"b=c"[..])
    );
    assert_eq!(head.host.unwrap().of(&bytes), b"example.org");
    assert_eq!(
        (head.framing, head.keep_alive, head.is_websocket),
        (Framing::None, true, false)
    );
    let told: Vec<_> = head
        .fields
        .iter()
        .map(|field| {
            format!(
                "{}: {}",
                field.name.of(&bytes).escape_ascii(),
                field.value.of(&bytes).escape_ascii()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "host: example.org",
            "cookie: a=1; b=2; c=3",
            "x-y: ",
            "priority: u=1, i"
        ]
    );
    assert_eq!(more.urgency, Some(1));
}

#[test]
fn body_is_framed_by_the_stream() {
    for (fields, end_stream, framing) in [
        (with(&[]), false, Framing::Chunked),
        (with(&[("content-length", "5")]), false, Framing::Length(5)),
        (with(&[("content-length", "0")]), true, Framing::Length(0)),
        (with(&[("content-length", "0")]), false, Framing::Length(0)),
    ] {
        assert_eq!(request(&fields, end_stream).unwrap().1.framing, framing);
    }
    let (_, head, _) = request(&with(&[("expect", "100-continue")]), false).unwrap();
    assert!(head.expect_continue);
}

#[test]
fn host_may_stand_for_the_authority_and_must_not_differ() {
    let no_authority = [&GET[..3], &[("host", "example.org")]].concat();
    let (bytes, head, _) = request(&no_authority, true).unwrap();
    assert_eq!(
        (head.host.unwrap().of(&bytes), head.fields.len()),
        (&b"example.org"[..], 1)
    );
    let (_, head, _) = request(&with(&[("host", "EXAMPLE.org")]), true).unwrap();
    assert_eq!(head.fields.len(), 1);
    assert_eq!(
        request(&with(&[("host", "other.org")]), true).unwrap_err(),
        RequestFault::Malformed
    );
    assert!(matches!(
        request(&GET[..3], true).unwrap_err(),
        RequestFault::Refused(refusal) if refusal.status == 400
    ));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn malformed_requests_are_told_apart_from_those_that_are_too_much() {
    let long = "x".repeat(60);
    let connect = [(":method", "CONNECT"), (":authority", "h:1")];
    let websocket = |protocol| {
        vec![
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "h"),
        ]
    };
    for (fields, status) in [
        (with(&[("x", &long)]), Some(431)),
        (with(&[("x", "y"); 7]), Some(431)),
        (
            with(&[("a", "0123456789012345678901234567890"); 6]),
            Some(431),
        ),
        (
            [&GET[..2], &[(":path", long.as_str()), (":authority", "h")]].concat(),
            None,
        ),
        (
            [
                &GET[..2],
                &[
                    (
                        ":path",
                        "/0123456789012345678901234567890123456789012345678",
                    ),
                    (":authority", "h"),
                ],
            ]
            .concat(),
            Some(414),
        ),
        (
            vec![
                (":method", "A23456789012345678901234567890123"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "h"),
            ],
            Some(501),
        ),
        (connect.to_vec(), Some(501)),
        (websocket("other"), Some(501)),
        (with(&[("content-length", "1001")]), Some(413)),
        (with(&[("expect", "x")]), Some(417)),
        (with(&[("content-length", "x")]), Some(400)),
        (
            with(&[("content-length", "1"), ("content-length", "1")]),
            Some(400),
        ),
        (with(&[("X", "y")]), None),
        (with(&[("", "y")]), None),
        (with(&[("a b", "y")]), None),
        (with(&[("a", " y")]), None),
        (with(&[("a", "y\t")]), None),
        (with(&[("a", "y\nz")]), None),
        (with(&[("a", "y\0z")]), None),
        (with(&[("connection", "close")]), None),
        (with(&[("transfer-encoding", "chunked")]), None),
        (with(&[("upgrade", "websocket")]), None),
        (with(&[("te", "gzip")]), None),
        (with(&[(":path", "/")]), None),
        (with(&[("a", "b"), (":late", "c")]), None),
        ([&GET[..], &[(":status", "200")]].concat(), None),
        (GET[1..].to_vec(), None),
        ([&GET[..1], &GET[2..]].concat(), None),
        ([&GET[..2], &GET[3..]].concat(), None),
        (
            [&GET[..2], &[(":path", ""), (":authority", "h")]].concat(),
            None,
        ),
        (
            [&GET[..2], &[(":path", "a"), (":authority", "h")]].concat(),
            None,
        ),
        (
            [&GET[..2], &[(":path", "*"), (":authority", "h")]].concat(),
            None,
        ),
        (
            [&GET[..2], &[(":path", "http://h/"), (":authority", "h")]].concat(),
            None,
        ),
        (
            [&GET[..2], &[(":path", "/a b"), (":authority", "h")]].concat(),
            None,
        ),
        ([&GET[..3], &[(":authority", "user@h")]].concat(), None),
        ([&GET[..3], &[(":authority", "")]].concat(), None),
        (
            vec![
                (":method", "GET"),
                (":scheme", "ftp"),
                (":path", "/"),
                (":authority", "h"),
            ],
            None,
        ),
        (
            vec![
                (":method", "G T"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "h"),
            ],
            None,
        ),
        (
            vec![
                (":method", "CONNECT"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "h"),
            ],
            None,
        ),
        (with(&[(":protocol", "websocket")]), None),
    ] {
        let fault = request(&fields, false).unwrap_err();
        let expected = |refusal: crate::codec::http1::Refusal| status == Some(refusal.status);
        match fault {
            RequestFault::Refused(refusal) => assert!(expected(refusal), "{fields:?}: {refusal}"),
            RequestFault::Malformed => assert_eq!(status, None, "{fields:?}"),
        }
    }
    assert_eq!(
        request(&with(&[("content-length", "5")]), true).unwrap_err(),
        RequestFault::Malformed
    );
    assert!(request(&with(&[("te", "trailers")]), true).is_ok());
    assert!(
        request(&websocket("websocket"), false)
            .unwrap()
            .1
            .is_websocket
    );
    let asterisk = [
        (":method", "OPTIONS"),
        (":scheme", "http"),
        (":path", "*"),
        (":authority", "h"),
    ];
    assert!(request(&asterisk, true).is_ok());
}

#[test]
fn urgency_is_read_and_what_is_not_understood_is_ignored() {
    for (value, urgency) in [
        ("u=0", Some(0)),
        ("i, u=7", Some(7)),
        ("u=1, u=2", Some(2)),
        ("u=3;x=y", Some(3)),
        ("u=8", None),
        ("u=33", None),
        ("u", None),
        ("", None),
        ("i", None),
    ] {
        assert_eq!(parse_urgency(value.as_bytes()), urgency, "{value}");
    }
}

/// What a client reads of heads that are sent after each other.
fn read_heads(
    encoder: &mut HeaderEncoder,
    decoder: &mut HeaderDecoder,
    text: &str,
) -> Vec<(String, String)> {
    let mut block = Vec::new();
    let used = write_head(&mut block, text.as_bytes(), encoder);
    assert_eq!(used, text.len());
    decode_all(decoder, &block).unwrap()
}

#[test]
fn answers_are_what_their_text_says_but_for_the_connection() {
    let (mut encoder, mut decoder) = (HeaderEncoder::default(), HeaderDecoder::default());
    for _ in 0..3 {
        let fields = read_heads(
            &mut encoder,
            &mut decoder,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Long-Name-That-Nobody-Would-Give-To-A-Header-But-This-Test-Does-So: 1\r\n\
             Set-Cookie: a=b\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Length: 13\r\nDate: today\r\n\r\n",
        );
        assert_eq!(
            fields,
            pairs(&[
                (":status", "200"),
                ("content-type", "text/plain"),
                (
                    "x-long-name-that-nobody-would-give-to-a-header-but-this-test-does-so",
                    "1"
                ),
                ("set-cookie", "a=b"),
                ("content-length", "13"),
                ("date", "today"),
            ])
        );
    }
    for (code, status) in [
        ("404 Not Found", "404"),
        ("299 ", "299"),
        ("103 Early Hints", "103"),
    ] {
        let fields = read_heads(
            &mut encoder,
            &mut decoder,
            &format!("HTTP/1.1 {code}\r\n\r\n"),
        );
        assert_eq!(fields, pairs(&[(":status", status)]));
    }
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: xxx\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    assert_eq!(
        read_heads(&mut encoder, &mut decoder, switch),
        pairs(&[(":status", "200"), ("sec-websocket-protocol", "chat")])
    );
}

#[test]
fn what_repeats_costs_a_byte() {
    let (mut encoder, mut block) = (HeaderEncoder::default(), Vec::new());
    let text = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: hostler\r\nX-A: b\r\n\r\n";
    write_head(&mut block, text, &mut encoder);
    block.clear();
    write_head(&mut block, text, &mut encoder);
    assert_eq!(block.len(), 4);
}

#[test]
fn cookies_never_go_into_a_table() {
    let mut block = Vec::new();
    let mut encoder = HeaderEncoder::default();
    encoder.field(&mut block, b"set-cookie", b"secret");
    assert_eq!(block, b"\x1f\x28\x06secret");
}

#[test]
fn table_of_the_client_bounds_ours_whatever_it_sets() {
    let (mut encoder, mut decoder) = (HeaderEncoder::default(), HeaderDecoder::default());
    let mut number = 0;
    for limit in [4_096, 0, 64, 4_096, 100, 0, 200, 4_096] {
        encoder.set_limit(limit);
        for _ in 0..100 {
            number += 1;
            let text = format!(
                "HTTP/1.1 200 OK\r\nX-A: {}\r\nX-B: {number}\r\nDate: x\r\n\r\n",
                number % 7
            );
            let fields = read_heads(&mut encoder, &mut decoder, &text);
            assert_eq!(
                fields[1..],
                pairs(&[
                    ("x-a", &(number % 7).to_string()),
                    ("x-b", &number.to_string()),
                    ("date", "x")
                ])
            );
        }
        assert!(encoder.held() < 4_096 + 8 * 256);
    }
}

#[test]
fn long_blocks_are_cut_into_frames() {
    let mut out = Vec::new();
    write_headers(&mut out, 5, &[7; 25], 10, true);
    assert_eq!(out.len(), 25 + 3 * 9);
    assert_eq!(out[..9], [0, 0, 10, HEADERS, 1, 0, 0, 0, 5]);
    assert_eq!(out[19..28], [0, 0, 10, 9, 0, 0, 0, 0, 5]);
    assert_eq!(out[38..47], [0, 0, 5, 9, 4, 0, 0, 0, 5]);
}

#[test]
fn huffman_strings_decode_within_fields() {
    let name = huffman::encode(b"x-coded");
    let mut block = vec![0x40, 0x80 | u8::try_from(name.len()).unwrap()];
    block.extend(name);
    block.extend(b"\x01y");
    let mut decoder = HeaderDecoder::default();
    for block in [&block[..], b"\xbe"] {
        assert_eq!(
            decode_all(&mut decoder, block),
            Ok(pairs(&[("x-coded", "y")]))
        );
    }
}
