//! `Sec-WebSocket-Extensions` (RFC 6455 9.1) and the agreement on `permessage-deflate` (RFC 7692 5 and 7.1).

use super::deflate::DeflateParams;
use super::field::{Cursor, Malformed};
use super::inflate::InflateParams;

/// A window that needs no agreement (RFC 7692 7.1.2).
const WHOLE_WINDOW: u8 = 15;

/// Smallest window that zlib compresses with. One of 8 bits may be asked for, but no zlib can make such data without
/// a header, so an offer that insists on it is declined.
const MIN_WINDOW: u8 = 9;

/// What the server would agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateSettings {
    /// Whether messages may refer to those before them, in either direction: better compression of messages that are
    /// like each other, for memory that every connection holds (see [`DeflateParams::engine_size`]).
    pub context_takeover: bool,
    /// Largest window of either direction, as a power of two; 9 to 15. A client that does not offer to restrict itself
    /// has 15.
    pub window_bits: u8,
    /// Effort of compression, 1 to 9.
    pub level: u8,
    /// How much is collected before it is coded, 1 to 9.
    pub mem_level: u8,
}

impl Default for DeflateSettings {
    /// 4 KiB of window, as Python's `websockets` has it, are enough for most messages. Level 2 comes
    /// within a tenth of what level 6 saves for two thirds of its time; level 1 is faster yet, but its result a third
    /// larger (`benches/ws.rs`). A memory level of 5 makes a small compressor.
    fn default() -> Self {
        Self {
            context_takeover: false,
            window_bits: 12,
            level: 2,
            mem_level: 5,
        }
    }
}

/// What was agreed on about compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// How the client compresses; for [`super::Decoder::new`].
    pub inflate: InflateParams,
    /// How the server compresses; for [`super::Deflater::new`].
    pub deflate: DeflateParams,
    /// The server's window, where the client asked for one.
    server_max_window_bits: Option<u8>,
    /// The client's window, where the client allowed to ask for one.
    client_max_window_bits: Option<u8>,
}

impl Agreement {
    /// Appends the value of the answer's `Sec-WebSocket-Extensions`.
    pub fn write_extension(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"permessage-deflate");
        if !self.deflate.context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if !self.inflate.context_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        for (name, bits) in [
            (
                &b"; server_max_window_bits="[..],
                self.server_max_window_bits,
            ),
            (b"; client_max_window_bits=", self.client_max_window_bits),
        ] {
            if let Some(bits) = bits {
                out.extend_from_slice(name);
                out.extend_from_slice(itoa::Buffer::new().format(bits).as_bytes());
            }
        }
    }
}

/// The agreement on the first offer of a field that can be met, if there is one and any is wanted. Other extensions are
/// passed over.
pub(super) fn negotiate(
    value: &[u8],
    settings: Option<DeflateSettings>,
) -> Result<Option<Agreement>, Malformed> {
    let mut agreement = None;
    let mut cursor = Cursor::new(value);
    while cursor.skip_to_element() {
        let name = cursor.take_token()?;
        let mut offer = Offer::default();
        while cursor.skip_over(b';') {
            let parameter = cursor.take_token()?;
            let value = if cursor.skip_over(b'=') {
                Some(cursor.take_value()?)
            } else {
                None
            };
            offer.add(parameter, value.as_deref());
        }
        if !cursor.is_at_element_end() {
            return Err(Malformed);
        }
        if agreement.is_none() && name.eq_ignore_ascii_case(b"permessage-deflate") {
            agreement = settings.and_then(|settings| offer.meet(settings));
        }
    }
    Ok(agreement)
}

/// The parameters of one offer of `permessage-deflate`.
#[derive(Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// What the client keeps to anyway, which is all there is if it only says that it can be told.
    client_max_window_bits: Option<u8>,
    /// RFC 7692 7.1: an unknown, invalid or repeated parameter.
    is_void: bool,
}

impl Offer {
    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let bits = value.and_then(parse_bits);
        let is_valid = match (name, value, bits) {
            (b"server_no_context_takeover", None, _) => {
                !core::mem::replace(&mut self.server_no_context_takeover, true)
            }
            (b"client_no_context_takeover", None, _) => {
                !core::mem::replace(&mut self.client_no_context_takeover, true)
            }
            (b"server_max_window_bits", Some(_), Some(bits)) => {
                self.server_max_window_bits.replace(bits).is_none()
            }
            (b"client_max_window_bits", None, _)
            | (b"client_max_window_bits", Some(_), Some(_)) => {
                let bits = bits.unwrap_or(WHOLE_WINDOW);
                self.client_max_window_bits.replace(bits).is_none()
            }
            _ => false,
        };
        self.is_void |= !is_valid;
    }

    /// What is agreed on, or nothing if the offer is declined.
    fn meet(&self, settings: DeflateSettings) -> Option<Agreement> {
        if self.is_void {
            return None;
        }
        let own = settings.window_bits.clamp(MIN_WINDOW, WHOLE_WINDOW);
        let server = self.server_max_window_bits.unwrap_or(WHOLE_WINDOW).min(own);
        if server < MIN_WINDOW {
            return None;
        }
        // RFC 7692 7.1.2.2: only a client that mentions its window can be told one. What it hints at is a bound too.
        let client = self.client_max_window_bits.map(|bits| bits.min(own));
        Some(Agreement {
            inflate: InflateParams {
                context_takeover: settings.context_takeover && !self.client_no_context_takeover,
                window_bits: client.unwrap_or(WHOLE_WINDOW).max(MIN_WINDOW),
            },
            deflate: DeflateParams {
                context_takeover: settings.context_takeover && !self.server_no_context_takeover,
                window_bits: server,
                level: settings.level,
                mem_level: settings.mem_level,
            },
            // A server may use less than it says, so it says nothing unless asked.
            server_max_window_bits: self.server_max_window_bits.map(|_| server),
            client_max_window_bits: client.filter(|&bits| bits < WHOLE_WINDOW),
        })
    }
}

/// RFC 7692 7.1.2: 8 to 15, without leading zeros.
fn parse_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: DeflateSettings = DeflateSettings {
        context_takeover: true,
        window_bits: 15,
        level: 6,
        mem_level: 8,
    };
    const SMALL: DeflateSettings = DeflateSettings {
        context_takeover: false,
        window_bits: 10,
        ..ALL
    };

    /// The value of the answer; nothing if all is declined.
    fn answer(offer: &str, settings: DeflateSettings) -> Option<String> {
        let agreement = negotiate(offer.as_bytes(), Some(settings)).unwrap()?;
        let mut out = Vec::new();
        agreement.write_extension(&mut out);
        let value = String::from_utf8(out).unwrap();
        Some(value.replace("permessage-deflate", "pmd"))
    }

    /// RFC 7692 5.1, 7.1.1 and 7.1.2.
    #[test]
    fn offers_are_met_as_far_as_the_settings_go() {
        const NONE: &str = "pmd; server_no_context_takeover; client_no_context_takeover";
        for (offer, all, small) in [
            ("permessage-deflate", "pmd".to_owned(), NONE.to_owned()),
            (
                "permessage-deflate; client_max_window_bits",
                "pmd".to_owned(),
                format!("{NONE}; client_max_window_bits=10"),
            ),
            (
                "permessage-deflate;client_max_window_bits=\"9\"",
                "pmd; client_max_window_bits=9".to_owned(),
                format!("{NONE}; client_max_window_bits=9"),
            ),
            (
                "permessage-deflate; server_max_window_bits = 12 ; client_max_window_bits=8",
                "pmd; server_max_window_bits=12; client_max_window_bits=8".to_owned(),
                format!("{NONE}; server_max_window_bits=10; client_max_window_bits=8"),
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                "pmd; server_no_context_takeover".to_owned(),
                NONE.to_owned(),
            ),
            (
                "PerMessage-Deflate; client_no_context_takeover",
                "pmd; client_no_context_takeover".to_owned(),
                NONE.to_owned(),
            ),
        ] {
            assert_eq!(answer(offer, ALL), Some(all), "{offer}");
            assert_eq!(answer(offer, SMALL), Some(small), "{offer}");
        }
    }

    #[test]
    fn both_sides_work_as_agreed() {
        let offer = b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=8; client_no_context_takeover";
        let agreement = negotiate(offer, Some(ALL)).unwrap().unwrap();
        assert_eq!(
            (agreement.deflate.window_bits, agreement.inflate.window_bits),
            (12, 9)
        );
        assert!(agreement.deflate.context_takeover && !agreement.inflate.context_takeover);
        assert_eq!(
            (agreement.deflate.level, agreement.deflate.mem_level),
            (6, 8)
        );
        // RFC 7692 7.1.2.2: a client that cannot be told has the whole window.
        let agreement = negotiate(b"permessage-deflate", Some(SMALL))
            .unwrap()
            .unwrap();
        assert_eq!(
            (agreement.deflate.window_bits, agreement.inflate.window_bits),
            (10, 15)
        );
    }

    /// RFC 7692 7.1.
    #[test]
    fn offers_with_parameters_that_are_unknown_invalid_or_repeated_are_declined() {
        for parameters in [
            "unknown",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=100",
            "client_max_window_bits=0",
            "client_max_window_bits=x",
            "SERVER_NO_CONTEXT_TAKEOVER",
        ] {
            let offer = format!("permessage-deflate; {parameters}");
            assert_eq!(answer(&offer, ALL), None, "{offer}");
            // RFC 7692 5: the next offer is a fallback.
            let two =
                format!("{offer}, x-other; a=\"b\", permessage-deflate, permessage-deflate; z");
            assert_eq!(answer(&two, ALL).as_deref(), Some("pmd"), "{two}");
        }
    }

    #[test]
    fn other_extensions_are_passed_over() {
        for offer in ["", " , ", "x-webkit-deflate-frame", "a; b=c; d=\"e\\f\", g"] {
            assert_eq!(answer(offer, ALL), None, "{offer}");
        }
        assert_eq!(negotiate(b"permessage-deflate", None), Ok(None));
    }

    #[test]
    fn what_is_no_list_of_extensions_is_malformed_with_or_without_settings() {
        for value in [
            ";",
            "a;",
            "a;;b",
            "a b",
            "a; b=",
            "a; =b",
            "a; b c",
            "a; b=\"",
            "a; b=\"c",
            "a; b=\"\"",
            "a; b=\"c d\"",
            "a; b=\"c\\",
            "a; b=\"c\"d",
            "a/b",
            "\"a\"",
            "a, b; c=\u{e9}",
        ] {
            for settings in [None, Some(ALL)] {
                assert_eq!(
                    negotiate(value.as_bytes(), settings),
                    Err(Malformed),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn settings_out_of_bounds_are_brought_within_them() {
        for (window_bits, used) in [(0, 9), (8, 9), (200, 15)] {
            let settings = DeflateSettings { window_bits, ..ALL };
            let agreement = negotiate(b"permessage-deflate", Some(settings))
                .unwrap()
                .unwrap();
            assert_eq!(agreement.deflate.window_bits, used);
        }
    }
}
