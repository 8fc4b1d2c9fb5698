//! From the path as sent to the path that the application sees.
//!
//! The rules:
//!
//! - `%` and two hexadecimal digits of either case become one byte; the result is bytes, not text (the WSGI bridge
//!   shows them as latin-1).
//! - A `%` that two hexadecimal digits do not follow is refused: what it would mean is a guess (RFC 3986 2.1).
//! - `%00` is refused: no file name, and no C string below the application, can hold it.
//! - Decoding happens once: `%2541` is `%41`. `%2F` becomes `/`, `%2E` becomes `.`, `%5C` becomes `\`; `+` stays.
//! - Dot segments (`/a/../b`) and empty segments (`//`) are left as they are: they are the application's to judge,
//!   and a server that folded them would disagree with the proxy in front of it. Whatever maps a path to a file must
//!   check it itself.
//! - Other encoded control characters pass: a path is data.
//! - The query is never decoded here.

use super::grammar::hex_value;
use super::refusal::Refusal;

const BAD_ESCAPE: Refusal = Refusal::bad_request(
    "The path contains a percent sign that is not followed by two hexadecimal digits.",
);
const ENCODED_NUL: Refusal = Refusal::bad_request("The path contains an encoded NUL character.");

/// Appends the decoded form of `encoded` to `out`.
///
/// # Errors
///
/// 400 for an invalid escape or an encoded NUL; `out` then holds what came before it.
#[inline]
pub fn decode_path(encoded: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    match memchr::memchr(b'%', encoded) {
        None => {
            out.extend_from_slice(encoded);
            Ok(())
        }
        Some(first) => decode_escapes(encoded, first, out),
    }
}

fn decode_escapes(mut encoded: &[u8], mut escape: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    loop {
        let (plain, rest) = encoded.split_at(escape);
        out.extend_from_slice(plain);
        let Some(&[_, high, low]) = rest.first_chunk::<3>() else {
            return Err(BAD_ESCAPE);
        };
        let (Some(high), Some(low)) = (hex_value(high), hex_value(low)) else {
            return Err(BAD_ESCAPE);
        };
        let octet = high << 4 | low;
        if octet == 0 {
            return Err(ENCODED_NUL);
        }
        out.push(octet);
        encoded = &rest[3..];
        let Some(next) = memchr::memchr(b'%', encoded) else {
            break;
        };
        escape = next;
    }
    out.extend_from_slice(encoded);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoded: &str) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::new();
        decode_path(encoded.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn escapes_of_either_case_become_bytes() {
        assert_eq!(decode("/a%2fb%2Fc").unwrap(), b"/a/b/c");
        assert_eq!(decode("/%e2%82%AC%ff").unwrap(), b"/\xe2\x82\xac\xff");
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(decode("/%2541").unwrap(), b"/%41");
    }

    #[test]
    fn dots_doubled_slashes_and_plus_stay() {
        assert_eq!(decode("//a/../b/./c+d").unwrap(), b"//a/../b/./c+d");
    }

    #[test]
    fn invalid_escapes_are_refused() {
        for path in [
            "/%", "/%4", "/%zz", "/a%4", "/%%41", "/%4g", "/%u0041", "/% 41",
        ] {
            assert_eq!(decode(path).unwrap_err(), BAD_ESCAPE, "{path}");
        }
    }

    #[test]
    fn encoded_nul_is_refused() {
        assert_eq!(decode("/a%00b").unwrap_err().status, 400);
    }
}
