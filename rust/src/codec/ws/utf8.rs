//! UTF-8 over pieces: the first byte that cannot belong to valid text is noticed when it arrives (RFC 6455 8.1).

use core::str;

/// What is left of text that ended within a character: up to three bytes that a valid character begins with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    tail: [u8; 3],
    length: u8,
}

impl Utf8 {
    /// Whether `piece` continues valid text. After a "no" the state means nothing.
    ///
    /// The standard library tells bytes that cannot be valid from bytes that are valid so far, which is all that a
    /// check of pieces needs.
    #[inline]
    pub(super) fn accept(&mut self, piece: &[u8]) -> bool {
        let rest = if self.length == 0 {
            piece
        } else {
            match self.finish_character(piece) {
                Some(rest) => rest,
                None => return false,
            }
        };
        match str::from_utf8(rest) {
            Ok(_) => true,
            Err(error) if error.error_len().is_none() => {
                self.keep(&rest[error.valid_up_to()..]);
                true
            }
            Err(_) => false,
        }
    }

    /// Whether the text may end here.
    #[inline]
    pub(super) const fn is_complete(self) -> bool {
        self.length == 0
    }

    /// Takes from `piece` what the character begun needs; gives the rest, or nothing if that is no character.
    #[cold]
    fn finish_character<'a>(&mut self, piece: &'a [u8]) -> Option<&'a [u8]> {
        let begun = usize::from(self.length);
        let mut character = [0; 4];
        character[..begun].copy_from_slice(&self.tail[..begun]);
        for (index, octet) in piece.iter().take(4 - begun).enumerate() {
            let length = begun + index + 1;
            character[length - 1] = *octet;
            match str::from_utf8(&character[..length]) {
                Ok(_) => {
                    self.length = 0;
                    return Some(&piece[index + 1..]);
                }
                Err(error) if error.error_len().is_some() => return None,
                Err(_) => self.keep(&character[..length]),
            }
        }
        Some(&[]) // the piece ended within the character
    }

    fn keep(&mut self, begun: &[u8]) {
        self.length = 0;
        for (place, octet) in self.tail.iter_mut().zip(begun) {
            *place = *octet;
            self.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes up to which text is acceptable when they come one by one, and whether it may end there.
    fn check_bytes(bytes: &[u8]) -> (usize, bool) {
        let mut state = Utf8::default();
        for (index, octet) in bytes.iter().enumerate() {
            if !state.accept(&[*octet]) {
                return (index, false);
            }
        }
        (bytes.len(), state.is_complete())
    }

    #[test]
    fn valid_text_is_accepted_in_any_two_pieces() {
        for text in [
            "",
            "plain",
            "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}",
            "a\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}z",
        ] {
            for cut in 0..=text.len() {
                let (left, right) = text.as_bytes().split_at(cut);
                let mut state = Utf8::default();
                assert!(state.accept(left) && state.accept(right) && state.is_complete());
            }
            assert_eq!(check_bytes(text.as_bytes()), (text.len(), true));
        }
    }

    /// RFC 3629 3 and 4: what no valid character begins with is noticed at its first wrong byte.
    #[test]
    fn the_first_wrong_byte_is_noticed() {
        for (bytes, wrong) in [
            (&b"a\x80"[..], 1),
            (b"\xc0\xaf", 0),
            (b"\xc1\xbf", 0),
            (b"\xe0\x80\x80", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80\x80\x80", 0),
            (b"\xfe", 0),
            (b"\xff", 0),
            (b"\xce\xba\xe1e", 3),
            (b"\xcea", 1),
            (b"\xe2\x82a", 2),
            (b"\xf0\x9f\x92a", 3),
        ] {
            assert_eq!(check_bytes(bytes), (wrong, false), "{bytes:x?}");
            assert!(!Utf8::default().accept(bytes));
        }
    }

    #[test]
    fn text_may_not_end_within_a_character() {
        for bytes in [&b"\xce"[..], b"\xe2\x82", b"a\xf0\x9f\x92"] {
            assert_eq!(check_bytes(bytes), (bytes.len(), false));
            let mut state = Utf8::default();
            assert!(state.accept(bytes) && !state.is_complete());
            assert!(state.accept(b"") && !state.is_complete());
        }
    }

    #[test]
    fn pieces_agree_with_the_standard_library_on_every_pair_of_leading_bytes() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for tail in [&b""[..], b"\x80", b"\xbf\x80", b"\xbf\xbfz"] {
                    let bytes = [&[first, second], tail].concat();
                    let (length, is_complete) = check_bytes(&bytes);
                    let is_valid = length == bytes.len() && is_complete;
                    assert_eq!(is_valid, str::from_utf8(&bytes).is_ok(), "{bytes:x?}");
                }
            }
        }
    }
}
