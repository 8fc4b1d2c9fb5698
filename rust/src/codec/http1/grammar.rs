//! Character classes of RFC 9110 5.6 and RFC 3986, and the search for the end of a field value.

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const REG_NAME: u8 = 4;

/// One byte of class bits per octet, so that a class test is one load.
static CLASS: [u8; 256] = build_classes();

const fn build_classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet = 0_u8;
    loop {
        classes[octet as usize] = classify(octet);
        if octet == u8::MAX {
            return classes;
        }
        octet += 1;
    }
}

const fn classify(octet: u8) -> u8 {
    let mut class = 0;
    if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
        class |= TOKEN | TARGET | REG_NAME;
    }
    if matches!(
        octet,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'^' | b'`' | b'|'
    ) {
        class |= TOKEN;
    }
    if matches!(
        octet,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    ) {
        class |= REG_NAME;
    }
    if octet.is_ascii_graphic() && octet != b'#' {
        class |= TARGET;
    }
    class
}

/// `tchar` (RFC 9110 5.6.2).
#[inline]
pub(in crate::codec) fn is_token_byte(octet: u8) -> bool {
    CLASS[octet as usize] & TOKEN != 0
}

/// A byte that a request target may contain: printable ASCII but for the fragment's `#`.
#[inline]
pub(in crate::codec) fn is_target_byte(octet: u8) -> bool {
    CLASS[octet as usize] & TARGET != 0
}

/// `unreserved` or `sub-delims` (RFC 3986 2): a byte of a registered name that is no escape.
#[inline]
pub(super) fn is_reg_name_byte(octet: u8) -> bool {
    CLASS[octet as usize] & REG_NAME != 0
}

/// A control character, the horizontal tab included.
#[inline]
pub(super) const fn is_control(octet: u8) -> bool {
    octet < 0x20 || octet == 0x7f
}

/// `OWS` (RFC 9110 5.6.3).
#[inline]
pub(super) const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// `bytes` without optional white space at either end.
#[inline]
pub(super) fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_blank(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_blank(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Whether `bytes` is a `token`.
#[inline]
pub(in crate::codec) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&octet| is_token_byte(octet))
}

/// The index of the first control character (tab included) at or after `from`, or the length of `bytes`.
///
/// Eight bytes at a time: a field value is the longest part of a head.
#[inline]
pub(super) fn find_control(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        // The high bit of a lane is set where its byte is below 0x20; a borrow can only spoil lanes above a true one.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = word ^ (ONES * 0x7f);
        let delete = delete.wrapping_sub(ONES) & !delete;
        let found = (below | delete) & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&octet) = bytes.get(at) {
        if is_control(octet) {
            break;
        }
        at += 1;
    }
    at
}

/// A number of decimal digits only, within 64 bits; the white space, signs and separators that other readers allow
/// are refused.
pub(in crate::codec) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The value of a hexadecimal digit of either case.
#[inline]
pub(super) const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_search_agrees_with_the_plain_definition_at_every_offset() {
        for octet in 0..=u8::MAX {
            for length in 0..20 {
                for place in 0..=length {
                    let mut bytes = vec![b' '; length];
                    bytes.extend([0x80, 0xff, b'~', 0x20].iter().cycle().take(12));
                    bytes.insert(place, octet);
                    let plain = bytes
                        .iter()
                        .position(|&b| is_control(b))
                        .unwrap_or(bytes.len());
                    assert_eq!(
                        find_control(&bytes, 0),
                        plain,
                        "octet {octet:#x} at {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn decimal_refuses_what_other_readers_allow() {
        for text in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1_0",
            "1,1",
            "18446744073709551616",
            "1e3",
            "\u{661}",
        ] {
            assert_eq!(parse_decimal(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_decimal(b"007"), Some(7));
    }

    #[test]
    fn tokens_are_those_of_rfc_9110() {
        let allowed = b"!#$%&'*+-.^_`|~";
        for octet in 0..=u8::MAX {
            assert_eq!(
                is_token_byte(octet),
                octet.is_ascii_alphanumeric() || allowed.contains(&octet)
            );
        }
    }

    #[test]
    fn blanks_are_trimmed_at_both_ends_only() {
        assert_eq!(trim_blanks(b" \ta b\t "), b"a b");
        assert_eq!(trim_blanks(b" \t "), b"");
    }
}
