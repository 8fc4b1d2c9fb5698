//! The masking of what a client sends (RFC 6455 5.3).

/// Bytes per step: a few vector registers of any machine.
const STEP: usize = 32;

/// Applies `key` to `bytes`, the first byte of which the first byte of the key belongs to. Masking twice is no change.
///
/// The steps have a fixed size, which compilers turn into vector instructions; `benches/ws.rs` shows whether they do.
#[inline]
pub(super) fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    let mut wide = [0; STEP];
    for (place, octet) in wide.iter_mut().zip(key.iter().cycle()) {
        *place = *octet;
    }
    let mut steps = bytes.chunks_exact_mut(STEP);
    for step in &mut steps {
        for (octet, key) in step.iter_mut().zip(wide) {
            *octet ^= key;
        }
    }
    for (octet, key) in steps.into_remainder().iter_mut().zip(wide) {
        *octet ^= key;
    }
}

/// The key for what follows `length` masked bytes.
#[inline]
pub(super) fn advance_key(mut key: [u8; 4], length: usize) -> [u8; 4] {
    key.rotate_left(length % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn masked_plainly(bytes: &[u8]) -> Vec<u8> {
        (bytes.iter().zip(KEY.iter().cycle()))
            .map(|(octet, key)| octet ^ key)
            .collect()
    }

    #[test]
    fn every_length_is_masked_as_the_plain_definition_says() {
        for length in 0..170 {
            let bytes: Vec<u8> = (0..length).collect();
            let mut masked = bytes.clone();
            apply_mask(&mut masked, KEY);
            assert_eq!(masked, masked_plainly(&bytes));
        }
    }

    #[test]
    fn pieces_are_masked_as_the_whole_is() {
        let bytes: Vec<u8> = (0..40).collect();
        for first in 0..=bytes.len() {
            let mut masked = bytes.clone();
            let (left, right) = masked.split_at_mut(first);
            apply_mask(left, KEY);
            apply_mask(right, advance_key(KEY, first));
            assert_eq!(masked, masked_plainly(&bytes), "cut at {first}");
        }
    }
}
