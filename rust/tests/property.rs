//! Properties of the HTTP/1 codec over generated input: how bytes are split never matters, and what is encoded
//! decodes to itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod model;

use hostler_engine::codec::http1::{
    ChunkedDecoder, Limits, ResponseFields, Version, check_field, check_status, plan_response,
    write_chunk_header, write_head, write_last_chunk,
};
use model::{serve, serve_within};

/// A generator of numbers that are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % sides
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.roll(list.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.roll(most + 1))
            .map(|_| u8::try_from(self.roll(256)).unwrap())
            .collect()
    }

    /// Cuts `bytes` into pieces of random sizes.
    fn cut<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + self.roll(bytes.len().min(40)));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// One of the faults once in a while, else one of the good parts.
fn mostly(dice: &mut Dice, good: &[&'static str], faults: &[&'static str]) -> &'static str {
    let list = if dice.roll(12) == 0 { faults } else { good };
    dice.pick(list)
}

/// Something like a request: mostly valid parts, some wrong ones.
fn roll_request(dice: &mut Dice) -> Vec<u8> {
    let mut out = String::new();
    out += mostly(dice, &[""], &["\r\n", "\n", "\r", " ", "\r\n\r\n\r\n"]);
    out += mostly(
        dice,
        &["GET", "POST", "HEAD", "OPTIONS"],
        &["CONNECT", "", "G T"],
    );
    out += mostly(dice, &[" "], &["  ", "\t"]);
    out += mostly(
        dice,
        &["/", "/a/b?c=d", "/%41", "http://b/c"],
        &["/%zz", "*", "a", "/#", "/\x7f"],
    );
    out += mostly(
        dice,
        &[" HTTP/1.1", " HTTP/1.0"],
        &[" HTTP/2.0", " HTTP/1.", ""],
    );
    out += mostly(dice, &["\r\n"], &["\n", "\r"]);
    out += mostly(dice, &["Host: a\r\n"], &["", "Host: a b\r\n"]);
    for _ in 0..dice.roll(4) {
        out += mostly(
            dice,
            &[
                "Connection: close\r\n",
                "Connection: keep-alive\r\n",
                "X-A: \t b \t \r\n",
                "X-A:\r\n",
                "Expect: 100-continue\r\n",
            ],
            &[
                "X-A : b\r\n",
                " folded\r\n",
                "no colon\r\n",
                "X-A: b\n",
                "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                "Host: a\r\n",
            ],
        );
    }
    out += mostly(
        dice,
        &[
            "\r\n",
            "Content-Length: 5\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\n",
        ],
        &[
            "",
            "\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "\r\nx",
        ],
    );
    let mut bytes = out.into_bytes();
    if dice.roll(6) == 0 {
        let place = dice.roll(bytes.len());
        bytes[place] = u8::try_from(dice.roll(256)).unwrap();
    }
    bytes
}

#[test]
fn any_split_of_any_input_gives_the_same_outcome() {
    let mut dice = Dice(0x5eed_0001);
    let tight = Limits {
        request_line: 20,
        header_count: 3,
        header_size: 30,
        head_size: 90,
        body_size: 4,
    };
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..30_000 {
        let input = [roll_request(&mut dice), roll_request(&mut dice)].concat();
        for limits in [Limits::default(), tight] {
            let whole = serve_within(limits, [input.as_slice()]);
            let split = serve_within(limits, dice.cut(&input));
            assert_eq!(whole, split, "{}", input.escape_ascii());
            assert_eq!(
                whole,
                serve_within(limits, input.chunks(1)),
                "{}",
                input.escape_ascii()
            );
            accepted += whole.requests.len();
            refused += usize::from(whole.reason.is_some());
        }
    }
    assert!(
        accepted > 5_000 && refused > 5_000,
        "the generator has gone stale: {accepted} accepted, {refused} refused"
    );
}

#[test]
fn what_is_refused_stays_refused_with_more_bytes() {
    let mut dice = Dice(0x5eed_0002);
    for _ in 0..20_000 {
        let input = roll_request(&mut dice);
        let alone = serve([input.as_slice()]);
        if alone.reason.is_some() {
            let more = [input.as_slice(), &dice.bytes(50)].concat();
            assert_eq!(serve([more.as_slice()]), alone, "{}", input.escape_ascii());
        }
    }
}

#[test]
fn chunked_bodies_decode_to_what_was_encoded() {
    let mut dice = Dice(0x5eed_0003);
    for _ in 0..2_000 {
        let (mut body, mut coded) = (Vec::new(), Vec::new());
        for _ in 0..dice.roll(12) {
            let mut data = dice.bytes(300);
            data.push(b'.');
            write_chunk_header(&mut coded, data.len());
            coded.extend_from_slice(&data);
            coded.extend_from_slice(b"\r\n");
            body.extend_from_slice(&data);
        }
        write_last_chunk(&mut coded, b"");
        let end = coded.len();
        coded.extend_from_slice(b"GET / HTTP/1.1\r\n");

        let mut decoder = ChunkedDecoder::new(&Limits::default());
        let (mut seen, mut used) = (Vec::new(), 0);
        for piece in dice.cut(&coded) {
            let progress = decoder
                .decode(piece, |data| seen.extend_from_slice(data))
                .unwrap();
            used += progress.consumed;
            if progress.finished {
                break;
            }
        }
        assert!(decoder.is_finished());
        assert_eq!((seen, used), (body, end));
    }
}

#[test]
fn no_field_that_passes_can_end_its_line() {
    let mut dice = Dice(0x5eed_0004);
    for _ in 0..50_000 {
        let (name, value, status) = (
            dice.bytes(6),
            dice.bytes(12),
            [b"200 ".as_slice(), &dice.bytes(6)].concat(),
        );
        let mut out = Vec::new();
        let plan = plan_response(false, Version::Http11, true, 200, None, Some(0));
        let is_ours = name.eq_ignore_ascii_case(b"content-length");
        if check_field(&name, &value).is_ok() && check_status(&status).is_ok() && !is_ours {
            let fields = [(name.as_slice(), value.as_slice())];
            write_head(
                &mut out,
                &status,
                fields,
                &plan,
                &ResponseFields::default(),
                b"Thu, 01 Jan 1970 00:00:00 GMT",
                b"",
            );
            // Status, field, length, date and the empty line, each of them ended once.
            for end in [b'\r', b'\n'] {
                assert_eq!(
                    out.split(|&octet| octet == end).count(),
                    6,
                    "{}",
                    out.escape_ascii()
                );
            }
        }
    }
}
