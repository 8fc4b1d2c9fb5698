//! Properties over generated input: how bytes are split never matters, memory follows what was received, and what was
//! sent arrives.

use super::*;

const SOME_PARAMS: [Option<InflateParams>; 3] = [
    None,
    Some(InflateParams {
        context_takeover: true,
        window_bits: 10,
    }),
    Some(InflateParams {
        context_takeover: false,
        window_bits: 15,
    }),
];

/// Something like what clients send: mostly valid, some wrong.
fn roll_traffic(dice: &mut Dice) -> Vec<u8> {
    let firsts = [
        FIN | TEXT,
        FIN | BINARY,
        TEXT,
        BINARY,
        CONTINUATION,
        FIN,
        FIN,
        FIN | PING,
        FIN | PONG,
    ];
    let mut deflater = Deflater::new(DeflateParams {
        context_takeover: true,
        window_bits: 10,
        level: 1,
        mem_level: 1,
    });
    let mut out = Vec::new();
    for _ in 0..dice.roll(8) {
        let data = if dice.roll(3) == 0 {
            dice.bytes(130)
        } else {
            dice.prose(300)
        };
        match dice.roll(4) {
            0 => {
                let mut server = Vec::new();
                write_message(&mut server, true, &data, Some(&mut deflater));
                let at = if server[1] == 126 { 4 } else { 2 };
                out.extend(frame(server[0], &server[at..]));
            }
            _ => out.extend(frame(firsts[dice.roll(firsts.len())], &data)),
        }
    }
    if dice.roll(3) == 0 {
        out.extend(frame(
            FIN | CLOSE,
            &[&[3, dice.octet()][..], &dice.prose(20)].concat(),
        ));
    }
    if dice.roll(3) == 0 && !out.is_empty() {
        let place = dice.roll(out.len());
        out[place] = dice.octet();
    }
    out
}

#[test]
fn any_split_of_any_input_gives_the_same_outcome() {
    let mut dice = Dice(7);
    for round in 0..3000 {
        let bytes = if dice.roll(5) == 0 {
            dice.bytes(200)
        } else {
            roll_traffic(&mut dice)
        };
        let limits = Limits {
            message_size: [0, 100, 400][dice.roll(3)],
        };
        let params = SOME_PARAMS[dice.roll(3)];
        let whole = decode_pieces(&mut Decoder::new(&limits, params), [&bytes[..]]);
        for _ in 0..3 {
            let pieces = dice.cut(&bytes);
            let split = decode_pieces(&mut Decoder::new(&limits, params), pieces);
            assert_eq!(split, whole, "round {round}: {bytes:x?}");
        }
    }
}

#[test]
fn memory_follows_what_was_received_and_stays_within_the_limit() {
    let mut dice = Dice(8);
    for _ in 0..1000 {
        let bytes = roll_traffic(&mut dice);
        let limit = 1 + dice.roll(500);
        let mut plain = Decoder::new(&Limits { message_size: 0 }, None);
        let mut compressed = Decoder::new(
            &Limits {
                message_size: limit,
            },
            SOME_PARAMS[1],
        );
        let mut received = 0;
        for piece in dice.cut(&bytes) {
            received += piece.len();
            decode_pieces(&mut plain, [piece]);
            assert!(plain.buffered() <= 2 * received + MAX_CONTROL);
            decode_pieces(&mut compressed, [piece]);
            assert!(compressed.buffered() <= 2 * limit + 1 + MAX_CONTROL + (1 << 10));
        }
    }
}

#[test]
fn what_a_client_sends_arrives() {
    let mut dice = Dice(9);
    for _ in 0..500 {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..=dice.roll(4) {
            let is_text = dice.roll(2) == 0;
            let data = if is_text {
                dice.prose(400)
            } else {
                dice.bytes(400)
            };
            let mut first = if is_text { TEXT } else { BINARY };
            let mut pieces = dice.cut(&data);
            let last = pieces.pop().unwrap_or_default();
            for piece in pieces {
                bytes.extend(frame(first, piece));
                first = CONTINUATION;
                if dice.roll(10) == 0 {
                    bytes.extend(frame(FIN | PING, b"?"));
                    expected.push(ping(b"?"));
                }
            }
            bytes.extend(frame(FIN | first, last));
            expected.push(message(is_text, &data));
        }
        let mut decoder = Decoder::new(&Limits::default(), None);
        let pieces = dice.cut(&bytes);
        assert_eq!(decode_pieces(&mut decoder, pieces), (expected, None));
        assert_eq!(decoder.buffered(), 0);
    }
}
