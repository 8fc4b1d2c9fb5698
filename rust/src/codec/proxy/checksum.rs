//! CRC32C (RFC 3720, appendix B.4), the Castagnoli polynomial.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static TABLE: [u32; 256] = build_table();

#[expect(
    clippy::cast_possible_truncation,
    reason = "the index is below 256; a constant function has no try_from"
)]
const fn build_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 0 {
                value >> 1
            } else {
                value >> 1 ^ POLYNOMIAL
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// The checksum of the bytes, one by one.
pub(super) fn crc32c<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u32 {
    !bytes.into_iter().fold(u32::MAX, |value, octet| {
        let [low, ..] = value.to_le_bytes();
        value >> 8 ^ TABLE[usize::from(low ^ octet)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720 B.4, and the check value that catalogues of checksums give.
    #[test]
    fn known_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&[]), 0);
    }
}
