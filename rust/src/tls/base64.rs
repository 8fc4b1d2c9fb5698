//! PEM (RFC 7468): certificates as applications are given them.

use std::fmt::Write as _;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 7468 2: lines of exactly 64 characters but for the last.
const LINE: usize = 48;

/// Writes a certificate as PEM.
pub(super) fn certificate_pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(LINE) {
        for triple in line.chunks(3) {
            encode(triple, &mut text);
        }
        text.push('\n');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "-----END CERTIFICATE-----");
    text
}

fn encode(bytes: &[u8], text: &mut String) {
    let at = |index: usize| u32::from(bytes.get(index).copied().unwrap_or(0));
    let bits = (at(0) << 16) | (at(1) << 8) | at(2);
    for position in 0..4 {
        if position <= bytes.len() {
            let index = (bits >> (18 - 6 * position)) & 63;
            text.push(ALPHABET[index as usize] as char);
        } else {
            text.push('=');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn what_is_written_is_read_back() {
        for length in [1, 2, 3, 47, 48, 49, 300] {
            let bytes: Vec<u8> = (0..length)
                .map(|index: u32| (index * 7 % 251) as u8)
                .collect();
            let text = certificate_pem(&bytes);
            assert!(text.lines().all(|line| line.len() <= 64));
            let back = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            assert_eq!(&*back, &bytes[..]);
        }
    }
}
