//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 4.2.2, step 5.4).

use sha1_smol::Sha1;

/// Length of a `Sec-WebSocket-Key`: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// What the server adds to the key before hashing, so that no other kind of server gives the answer by accident.
const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Whether `key` is 16 bytes in base64 (RFC 6455 4.2.1, item 5). The four bits of the last digit that carry nothing may
/// be anything, as the key's value is never used.
pub(super) fn is_key(key: &[u8]) -> bool {
    key.len() == KEY_LENGTH
        && key.ends_with(b"==")
        && key[..KEY_LENGTH - 2]
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
}

/// The value of `Sec-WebSocket-Accept` for the value of a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    encode_base64(&hash.digest().bytes())
}

/// 20 bytes in base64 (RFC 4648 4): six groups of three and one of two, which a `=` fills up.
fn encode_base64(bytes: &[u8; 20]) -> [u8; 28] {
    let mut out = [b'='; 28];
    for (group, digits) in bytes.chunks(3).zip(out.chunks_mut(4)) {
        let bits = (group.iter().zip([16, 8, 0]))
            .fold(0, |bits, (octet, shift)| bits | u32::from(*octet) << shift);
        for (digit, shift) in digits.iter_mut().zip([18, 12, 6, 0]).take(group.len() + 1) {
            *digit = ALPHABET[(bits >> shift & 63) as usize];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 1.3.
    #[test]
    fn the_answer_to_the_key_of_the_specification() {
        assert_eq!(
            &accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn base64_uses_its_whole_alphabet() {
        assert_eq!(&encode_base64(&[0; 20]), b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(&encode_base64(&[0xff; 20]), b"//////////////////////////8=");
        assert_eq!(
            &encode_base64(b"any carnal pleasure."),
            b"YW55IGNhcm5hbCBwbGVhc3VyZS4="
        );
    }

    #[test]
    fn keys_are_sixteen_bytes_in_base64() {
        for key in [
            "dGhlIHNhbXBsZSBub25jZQ==",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "++++++++++++++++//////==",
        ] {
            assert!(is_key(key.as_bytes()), "{key}");
        }
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZWE=",
            "dGhlIHNhbXBsZSBub25jZ_==",
            "dGhlIHNhbXBsZSBub25j=Q==",
            "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=",
        ] {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
    }
}
