//! The grammar of the fields of a handshake: lists, tokens, parameters (RFC 9110 5.6, RFC 6455 9.1).

use std::borrow::Cow;

/// The field is not what RFC 6455 9.1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The members of a list without quoted strings (RFC 9110 5.6.1).
pub(super) fn split_list(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&octet| octet == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// What is left of a field.
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn new(field: &'a [u8]) -> Self {
        Self(field)
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    /// Skips `octet` and the white space around it, if it is there.
    pub(super) fn skip_over(&mut self, octet: u8) -> bool {
        self.skip_blanks();
        let Some(rest) = self.0.strip_prefix(&[octet]) else {
            return false;
        };
        self.0 = rest;
        self.skip_blanks();
        true
    }

    /// Goes to the next element of a list, over empty ones (RFC 9110 5.6.1.2). Whether there is one.
    pub(super) fn skip_to_element(&mut self) -> bool {
        self.skip_blanks();
        while self.skip_over(b',') {}
        !self.0.is_empty()
    }

    pub(super) fn is_at_element_end(&mut self) -> bool {
        self.skip_blanks();
        matches!(self.0, [] | [b',', ..])
    }

    pub(super) fn take_token(&mut self) -> Result<&'a [u8], Malformed> {
        let length = (self.0.iter())
            .take_while(|octet| is_token_byte(**octet))
            .count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        if token.is_empty() {
            Err(Malformed)
        } else {
            Ok(token)
        }
    }

    /// A token, which may be quoted (RFC 6455 9.1).
    pub(super) fn take_value(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let Some(rest) = self.0.strip_prefix(b"\"") else {
            return self.take_token().map(Cow::Borrowed);
        };
        self.0 = rest;
        self.take_quoted().map(Cow::Owned)
    }

    fn take_quoted(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut value = Vec::new();
        loop {
            let (octet, rest) = match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return if value.is_empty() {
                        Err(Malformed)
                    } else {
                        Ok(value)
                    };
                }
                [b'\\', octet, rest @ ..] | [octet, rest @ ..] => (*octet, rest),
                [] => return Err(Malformed),
            };
            if !is_token_byte(octet) {
                return Err(Malformed);
            }
            value.push(octet);
            self.0 = rest;
        }
    }
}

/// `tchar` (RFC 9110 5.6.2).
pub(super) const fn is_token_byte(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_members_between_commas() {
        let members: Vec<&[u8]> = split_list(b" , a,b\t ,, c d,").collect();
        assert_eq!(members, [&b"a"[..], b"b", b"c d"]);
        assert_eq!(split_list(b"").count(), 0);
    }

    #[test]
    fn values_are_tokens_quoted_or_not() {
        for (text, value) in [
            (&b"a"[..], Ok(&b"a"[..])),
            (b"a;", Ok(b"a")),
            (b"\"a\"", Ok(b"a")),
            (b"\"\\a\\b\" ", Ok(b"ab")),
            (b"", Err(Malformed)),
            (b"\"\"", Err(Malformed)),
            (b"\"a b\"", Err(Malformed)),
            (b"\"a", Err(Malformed)),
            (b"\"a\\", Err(Malformed)),
        ] {
            let taken = Cursor::new(text).take_value();
            assert_eq!(taken.as_deref(), value.as_ref().copied(), "{text:?}");
        }
    }

    #[test]
    fn tokens_are_those_of_rfc_9110() {
        for octet in 0..=u8::MAX {
            let is_token = octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
            assert_eq!(is_token_byte(octet), is_token);
        }
    }
}
