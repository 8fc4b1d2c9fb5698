//! The Huffman code of HPACK (RFC 7541 5.2 and Appendix B). The code is canonical, so that the lengths alone give it.

use super::hpack::CompressionError;

/// The length of each octet's code in bits (RFC 7541 Appendix B). The end of string, which is never sent, has 30.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// Bits looked at in one step. Letters, digits and what else is common have no longer codes.
const STEP: usize = 8;

const LONGEST: usize = 30;

/// By the next bits, an octet whose code they begin with, and that code's length; 0 if it is longer.
static SHORT: [(u8, u8); 1 << STEP] = build_short();

/// For each length, the first code of it, aligned to 32 bits, and the place of its octet in `ORDER`.
static FIRST: [(u32, u16); LONGEST + 2] = build_first();

/// Octets by the length of their code, then by value.
static ORDER: [u8; 256] = build_order();

const fn build_order() -> [u8; 256] {
    let mut order = [0; 256];
    let mut at = 0;
    let mut length = 1;
    while length <= LONGEST {
        let mut octet = 0;
        while octet < 256 {
            if LENGTHS[octet] as usize == length {
                #[expect(clippy::cast_possible_truncation, reason = "below 256")]
                {
                    order[at] = octet as u8;
                }
                at += 1;
            }
            octet += 1;
        }
        length += 1;
    }
    order
}

const fn build_first() -> [(u32, u16); LONGEST + 2] {
    let order = build_order();
    let mut first = [(u32::MAX, 256); LONGEST + 2];
    let mut code: u64 = 0;
    let mut at: u16 = 0;
    let mut length = 1;
    while length <= LONGEST {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "codes have 32 bits at most"
        )]
        {
            first[length] = ((code << (32 - length)) as u32, at);
        }
        while (at as usize) < 256 && LENGTHS[order[at as usize] as usize] as usize == length {
            code += 1;
            at += 1;
        }
        code <<= 1;
        length += 1;
    }
    first
}

const fn build_short() -> [(u8, u8); 1 << STEP] {
    let order = build_order();
    let mut short = [(0, 0); 1 << STEP];
    let mut code = 0_usize;
    let mut at = 0;
    let mut length = 1;
    while length <= STEP {
        while at < 256 && LENGTHS[order[at] as usize] as usize == length {
            let mut tail = 0;
            while tail < 1 << (STEP - length) {
                #[expect(clippy::cast_possible_truncation, reason = "8 at most")]
                {
                    short[(code << (STEP - length)) + tail] = (order[at], length as u8);
                }
                tail += 1;
            }
            code += 1;
            at += 1;
        }
        code <<= 1;
        length += 1;
    }
    short
}

/// Appends what `coded` stands for.
///
/// # Errors
///
/// A code that is the end of string, or an end that is not padding: fewer than 8 bits, all of them set.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let mut rest = coded;
    // The next bits, from the highest on, and how many of them there are.
    let mut bits = 0_u64;
    let mut count = 0_usize;
    loop {
        while count <= 56 {
            let Some((octet, tail)) = rest.split_first() else {
                break;
            };
            bits |= u64::from(*octet) << (56 - count);
            count += 8;
            rest = tail;
        }
        let (mut octet, length) = SHORT[(bits >> 56) as usize];
        let mut length = usize::from(length);
        if length == 0 {
            (octet, length) = find_long((bits >> 32) as u32);
        }
        if length == 0 || length > count {
            // Padding is the beginning of the end of string, whose bits are all set.
            let is_padding = count < 8 && bits == !(u64::MAX >> count);
            return if is_padding {
                Ok(())
            } else {
                Err(CompressionError)
            };
        }
        out.push(octet);
        bits <<= length;
        count -= length;
    }
}

/// The octet whose code `bits` begin with, and that code's length; 0 for the end of string.
fn find_long(bits: u32) -> (u8, usize) {
    let mut length = STEP + 1;
    while length < LONGEST && bits >= FIRST[length + 1].0 {
        length += 1;
    }
    let (first, place) = FIRST[length];
    let place = usize::from(place) + (bits.wrapping_sub(first) >> (32 - length)) as usize;
    match ORDER.get(place) {
        Some(&octet) if usize::from(LENGTHS[octet as usize]) == length => (octet, length),
        _ => (0, 0),
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "only the low byte is wanted"
)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u64, 0);
    for &octet in text {
        let length = usize::from(LENGTHS[octet as usize]);
        let (first, place) = FIRST[length];
        let rank = ORDER.iter().position(|&each| each == octet).unwrap() - usize::from(place);
        let code = (u64::from(first) >> (32 - length)) + rank as u64;
        bits = bits << length | code;
        count += length;
        while count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    if count > 0 {
        out.push((bits << (8 - count)) as u8 | (0xff >> count));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_comes_back() {
        for octet in 0..=255_u8 {
            for repeat in 1..9 {
                let text = vec![octet; repeat];
                let mut out = Vec::new();
                assert_eq!(decode(&encode(&text), &mut out), Ok(()));
                assert_eq!(out, text);
            }
        }
        let all: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        assert_eq!(decode(&encode(&all), &mut out), Ok(()));
        assert_eq!(out, all);
    }

    #[test]
    fn examples_of_rfc_7541_appendix_c_decode() {
        for (coded, text) in [
            (
                &[
                    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
                ][..],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x64, 0x02], "302"),
            (&[], ""),
        ] {
            let mut out = Vec::new();
            assert_eq!(decode(coded, &mut out), Ok(()));
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn wrong_padding_and_the_end_of_string_are_refused() {
        for coded in [
            &[0xff][..],
            &[0xff, 0xff, 0xff, 0xff],
            &[0x1f, 0xff],
            &[0x18],
            &[0xff, 0xff, 0xff, 0xfc],
        ] {
            assert_eq!(
                decode(coded, &mut Vec::new()),
                Err(CompressionError),
                "{coded:x?}"
            );
        }
        // "a" and three bits of padding.
        assert_eq!(decode(&[0x1f], &mut Vec::new()), Ok(()));
    }
}
