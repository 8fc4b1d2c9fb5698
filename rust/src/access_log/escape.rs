//! Making bytes that a client chose safe to stand in a log line.
//!
//! A line of the log is one line whatever was sent: no control character, no quote that would end a quoted value early, and no byte
//! that a terminal acts upon gets through (log injection, as in CVE-2020-7694).

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";
const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether the byte can stand as it is in both the text and the JSON formats.
#[inline]
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x7f && byte != b'"' && byte != b'\\'
}

/// Whether all bytes are plain. Written without branches inside a block, so that the compiler turns it into vector instructions.
#[inline]
fn all_plain(bytes: &[u8]) -> bool {
    let mut blocks = bytes.chunks_exact(16);
    let odd = blocks.by_ref().any(|block| {
        block
            .iter()
            .fold(0_u8, |odd, &byte| odd | u8::from(!is_plain(byte)))
            != 0
    });
    !odd && blocks
        .remainder()
        .iter()
        .fold(0_u8, |odd, &byte| odd | u8::from(!is_plain(byte)))
        == 0
}

/// Appends a value to a line of text: quotes, backslashes, controls and everything beyond ASCII as `\xHH`.
#[inline]
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) {
    if all_plain(value) {
        out.extend_from_slice(value);
    } else {
        text_slowly(value, out);
    }
}

#[cold]
fn text_slowly(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if is_plain(byte) {
            out.push(byte);
        } else {
            push_hex(byte, out);
        }
    }
}

/// Appends a value as one word: as [`text`], and spaces as `\x20` as well.
pub(super) fn word(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if is_plain(byte) && byte != b' ' {
            out.push(byte);
        } else {
            push_hex(byte, out);
        }
    }
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[
        b'\\',
        b'x',
        UPPER_HEX[usize::from(byte >> 4)],
        UPPER_HEX[usize::from(byte & 15)],
    ]);
}

/// Appends a value as a JSON string with its quotes (RFC 8259 7).
///
/// Bytes that are UTF-8 stay as they are, but for controls, among them those beyond ASCII (U+0080 to U+009F, which terminals act
/// upon) and the line separators U+2028 and U+2029. Of bytes that are not, each is taken for the Latin-1 character it would be.
#[inline]
pub fn json(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if all_plain(value) {
        out.extend_from_slice(value);
    } else {
        json_slowly(value, out);
    }
    out.push(b'"');
}

#[cold]
fn json_slowly(value: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) => text.chars().for_each(|character| push_json(character, out)),
        Err(_) => value.iter().for_each(|&byte| {
            if byte.is_ascii() {
                push_json(char::from(byte), out);
            } else {
                push_unicode(u16::from(byte), out);
            }
        }),
    }
}

fn push_json(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => push_unicode(character as u16, out),
        '\u{2028}' => push_unicode(0x2028, out),
        '\u{2029}' => push_unicode(0x2029, out),
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn push_unicode(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for byte in unit.to_be_bytes() {
        out.extend_from_slice(&[
            LOWER_HEX[usize::from(byte >> 4)],
            LOWER_HEX[usize::from(byte & 15)],
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(write: fn(&[u8], &mut Vec<u8>), value: &[u8]) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        let value = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(run(text, value.as_bytes()), value);
        assert_eq!(run(json, value.as_bytes()), format!("{value:?}"));
        assert_eq!(run(text, b""), "");
        assert_eq!(run(json, b""), "\"\"");
    }

    #[test]
    fn every_byte_is_safe_in_text_wherever_it_stands() {
        for byte in 0..=255u8 {
            for place in 0..40 {
                let mut value = [b'a'; 40];
                value[place] = byte;
                let seen = run(text, &value);
                assert!(
                    seen.bytes()
                        .all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"'),
                    "{byte} at {place}"
                );
                let plain = (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(
                    seen.contains(&format!("\\x{byte:02X}")),
                    !plain,
                    "{byte} at {place}"
                );
            }
        }
    }

    #[test]
    fn text_escapes_are_hexadecimal() {
        assert_eq!(
            run(text, b"a\"b\\c\r\n\x1b[31m\xe9"),
            "a\\x22b\\x5Cc\\x0D\\x0A\\x1B[31m\\xE9"
        );
    }

    #[test]
    fn a_word_has_no_spaces() {
        assert_eq!(run(word, b"a b\"c"), "a\\x20b\\x22c");
    }

    #[test]
    fn json_keeps_utf8_and_turns_other_bytes_into_latin_1() {
        assert_eq!(run(json, "café ✓".as_bytes()), "\"café ✓\"");
        assert_eq!(run(json, b"caf\xe9"), "\"caf\\u00e9\"");
        assert_eq!(run(json, b"\xc3\xa9 \xff"), "\"\\u00c3\\u00a9 \\u00ff\"");
    }

    #[test]
    fn json_escapes_controls_of_all_kinds() {
        assert_eq!(
            run(json, b"a\"b\\c\r\n\t\x00\x1b\x7f"),
            r#""a\"b\\c\r\n\t\u0000\u001b\u007f""#
        );
        assert_eq!(
            run(json, "\u{9b}31m\u{2028}\u{2029}".as_bytes()),
            r#""\u009b31m\u2028\u2029""#
        );
    }
}
