//! The few parts of an X.509 certificate that people are told of (RFC 5280 4.1): names, serial number, validity.
//!
//! It judges nothing: whether a certificate is to be believed is for who verifies it. Any bytes give a certificate or `None`.

use std::fmt::Write as _;

const BOOLEAN_OR_MORE: u8 = 0x1f;
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const VERSION: u8 = 0xa0;

/// Short names of attribute types (RFC 4514 3, and what OpenSSL calls others), by the encoded identifier.
const ATTRIBUTES: [(&[u8], &str); 13] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 42], "GN"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
        "emailAddress",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
];

/// What was found in a certificate; the parts are slices of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// The serial number, big-endian.
    pub serial: &'a [u8],
    /// Who signed it, as an encoded name.
    pub issuer: &'a [u8],
    /// Whose it is, as an encoded name.
    pub subject: &'a [u8],
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER.
    #[must_use]
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (mut rest, _) = element(certificate, SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = element(rest, VERSION)?.1;
        }
        let (serial, rest) = element(rest, INTEGER)?;
        let (_, rest) = element(rest, SEQUENCE)?;
        let (issuer, rest) = element(rest, SEQUENCE)?;
        let (validity, rest) = element(rest, SEQUENCE)?;
        let (not_before, later) = time(validity)?;
        let (not_after, _) = time(later)?;
        let (subject, _) = element(rest, SEQUENCE)?;
        Some(Self {
            serial,
            issuer,
            subject,
            not_before,
            not_after,
        })
    }

    /// The serial number in hexadecimal digits.
    #[must_use]
    pub fn serial_text(&self) -> String {
        let digits = match self.serial {
            [0, rest @ ..] if !rest.is_empty() => rest,
            whole => whole,
        };
        digits.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02X}");
            text
        })
    }
}

/// Writes a name as RFC 4514 2 has it, the last part first.
#[must_use]
pub fn name_text(name: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some((set, behind)) = element(rest, SET) {
        rest = behind;
        let mut values = Vec::new();
        let mut inner = set;
        while let Some((pair, after)) = element(inner, SEQUENCE) {
            inner = after;
            if let Some(text) = attribute_text(pair) {
                values.push(text);
            }
        }
        parts.push(values.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

fn attribute_text(pair: &[u8]) -> Option<String> {
    let (oid, rest) = element(pair, OID)?;
    let (tag, value, _) = any_element(rest)?;
    let kind = ATTRIBUTES
        .iter()
        .find(|(known, _)| *known == oid)
        .map_or_else(|| oid_text(oid), |(_, name)| (*name).to_owned());
    Some(format!("{kind}={}", escaped(&string_text(tag, value))))
}

fn string_text(tag: u8, value: &[u8]) -> String {
    if tag == BMP_STRING {
        let units = value
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
    }
    String::from_utf8_lossy(value).into_owned()
}

/// RFC 4514 2.4; control characters, which a header of HTTP could not carry either, in hexadecimal.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, char) in value.chars().enumerate() {
        let is_edge = (char == ' ' && (index == 0 || index == last)) || (char == '#' && index == 0);
        if char.is_control() {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\{byte:02X}");
            }
        } else {
            if is_edge || matches!(char, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
                text.push('\\');
            }
            text.push(char);
        }
    }
    text
}

fn oid_text(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in oid {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first.to_string());
                number -= first * 40;
            }
            numbers.push(number.to_string());
            number = 0;
        }
    }
    numbers.join(".")
}

/// The contents of the first element, which must have this tag, and what lies behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match any_element(bytes)? {
        (found, contents, rest) if found == tag => Some((contents, rest)),
        _ => None,
    }
}

fn any_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & BOOLEAN_OR_MORE == BOOLEAN_OR_MORE {
        return None; // a tag of several bytes, which certificates do not have
    }
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (digits, behind) = rest.split_at_checked(count)?;
        length = digits
            .iter()
            .fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
        rest = behind;
    }
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// RFC 5280 4.1.2.5: always in UTC, with seconds.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, text, rest) = any_element(bytes)?;
    let (year, text) = match tag {
        UTC_TIME => {
            let (digits, text) = text.split_at_checked(2)?;
            let year = number(digits)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text)
        }
        GENERALIZED_TIME => {
            let (digits, text) = text.split_at_checked(4)?;
            (number(digits)?, text)
        }
        _ => return None,
    };
    let field = |index: usize| number(text.get(index * 2..index * 2 + 2)?);
    let (month, day) = (field(0)?, field(1)?);
    let seconds = (field(2)? * 60 + field(3)?) * 60 + field(4)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some((days(year, month, day) * 86_400 + seconds, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    let of_year = (months * 153 + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], contents].concat()
    }

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        parts
            .iter()
            .flat_map(|(oid, tag, value)| {
                let pair = [der(OID, oid), der(*tag, value)].concat();
                der(SET, &der(SEQUENCE, &pair))
            })
            .collect()
    }

    fn certificate() -> Vec<u8> {
        let subject = name(&[
            (&[0x55, 4, 6], 0x13, b"DE"),
            (&[0x55, 4, 10], 0x0c, "Müller, Söhne".as_bytes()),
            (&[0x55, 4, 3], 0x0c, b"#a\n"),
            (&[0x2a, 3], 0x1e, b"\0h\0i"),
        ]);
        let validity = [
            der(UTC_TIME, b"700101000000Z"),
            der(GENERALIZED_TIME, b"20500301000001Z"),
        ]
        .concat();
        let body = [
            der(VERSION, &der(INTEGER, &[2])),
            der(INTEGER, &[0, 0xab, 1]),
            der(SEQUENCE, b""),
            der(SEQUENCE, &name(&[(&[0x55, 4, 3], 0x0c, b"CA")])),
            der(SEQUENCE, &validity),
            der(SEQUENCE, &subject),
        ]
        .concat();
        der(SEQUENCE, &der(SEQUENCE, &body))
    }

    #[test]
    fn parts_of_a_certificate_are_found() {
        let bytes = certificate();
        let found = Certificate::parse(&bytes).unwrap();
        assert_eq!(found.serial_text(), "AB01");
        assert_eq!(name_text(found.issuer), "CN=CA");
        assert_eq!(
            name_text(found.subject),
            "1.2.3=hi,CN=\\#a\\0A,O=Müller\\, Söhne,C=DE"
        );
        assert_eq!((found.not_before, found.not_after), (0, 2_529_705_601));
    }

    #[test]
    fn what_is_cut_short_anywhere_is_no_certificate_and_does_no_harm() {
        let bytes = certificate();
        for length in 0..bytes.len() {
            assert_eq!(Certificate::parse(&bytes[..length]), None);
        }
        for index in 0..bytes.len() {
            for value in [0, 0x1f, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = bytes.clone();
                damaged[index] = value;
                if let Some(found) = Certificate::parse(&damaged) {
                    let _ = (name_text(found.subject), found.serial_text());
                }
            }
        }
    }
}
