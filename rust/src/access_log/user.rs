//! The user name of HTTP Basic authentication (RFC 7617), for the log only: nothing is verified.

/// A user name, decoded and cut to what the log shows of it.
pub(super) struct User {
    bytes: [u8; MAX_LEN],
    len: usize,
}

/// Longer names are cut; 128 is arbitrary.
const MAX_LEN: usize = 128;

impl User {
    /// Reads the value of an `Authorization` field. None if it is not Basic, not base64, or names nobody.
    pub(super) fn from_authorization(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let mut user = Self {
            bytes: [0; MAX_LEN],
            len: 0,
        };
        let named = user.decode(rest.trim_ascii())?;
        (named && user.len > 0).then_some(user)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Decodes up to the colon that ends the name. The password is never decoded beyond the group that the colon is in.
    fn decode(&mut self, encoded: &[u8]) -> Option<bool> {
        for group in encoded.chunks(4) {
            let symbols = group
                .strip_suffix(b"==")
                .or_else(|| group.strip_suffix(b"="))
                .unwrap_or(group);
            let bits = symbols
                .iter()
                .try_fold(0_u32, |bits, &symbol| Some(bits << 6 | sextet(symbol)?))?;
            let count = symbols.len() * 6 / 8;
            let decoded = (bits << (32 - 6 * symbols.len().max(1))).to_be_bytes();
            for &byte in &decoded[..count] {
                if byte == b':' {
                    return Some(true);
                }
                if self.len < MAX_LEN {
                    self.bytes[self.len] = byte;
                    self.len += 1;
                }
            }
        }
        Some(false)
    }
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(value: &str) -> Option<String> {
        User::from_authorization(value.as_bytes())
            .map(|user| String::from_utf8(user.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn the_name_before_the_colon_is_read() {
        // RFC 7617 2: Aladdin:open sesame
        assert_eq!(
            user("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").as_deref(),
            Some("Aladdin")
        );
        assert_eq!(user("basic  YTpi").as_deref(), Some("a")); // a:b
        assert_eq!(user("BASIC YWI6").as_deref(), Some("ab")); // ab:
        assert_eq!(user("Basic YWJjOg==").as_deref(), Some("abc")); // abc:
        assert_eq!(user("Basic YWJjZDo=").as_deref(), Some("abcd")); // abcd:
    }

    #[test]
    fn what_names_nobody_gives_none() {
        let bad = [
            "",
            "Basic",
            "Basic ",
            "Bearer YTpi",
            "Basic YWJj",
            "Basic OnB3",
            "Basic !!!!",
            "Basic Y",
            "Basic ====",
            "Basic =",
        ];
        for value in bad {
            assert!(user(value).is_none(), "{value}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        let encoded = "YWFh".repeat(200) + "Og==";
        assert_eq!(user(&format!("Basic {encoded}")).unwrap().len(), MAX_LEN);
    }
}
