//! Request ids: made here for each request, or taken over from a trusted peer after a check.
//!
//! An id is 32 lowercase hexadecimal characters: 64 random bits drawn once per [`RequestIds`], then a 64-bit counter that starts at
//! a random value and is scrambled by a bijection. Uniqueness: within one instance the counter cannot repeat before 2^64 ids;
//! between instances (workers, restarts) only an equal random prefix could collide, which among a million instances has a
//! probability of about 3 in 10^8. Guessing: the prefix keeps an outsider who has seen no id from guessing one, but somebody who has
//! seen an id can compute its neighbours. Ids name requests in logs; they must never serve as secrets.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use rustix::rand::{GetRandomFlags, getrandom};

/// Length of an id that is made here.
pub const ID_LEN: usize = 32;

/// The longest id that is taken over from a peer: room for a UUID, an AWS trace id or a W3C traceparent, and bounded in a log line.
pub const MAX_ACCEPTED_LEN: usize = 128;

/// An odd constant near 2^64 divided by the golden ratio, the increment of `SplitMix64` (Steele, Lea, Flood 2014).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Both characters of each byte value, so that a byte costs one load instead of two shifts and two loads.
static HEX_PAIRS: [[u8; 2]; 256] = hex_pairs();

/// Makes request ids. After fork: a child must make its own instance, or it would repeat its parent's ids.
#[derive(Debug)]
pub struct RequestIds {
    prefix: [u8; 16],
    counter: u64,
}

impl RequestIds {
    /// Starts a sequence of its own from the kernel's random numbers.
    #[must_use]
    pub fn new() -> Self {
        Self::from_seed(seed())
    }

    /// The first eight bytes of the seed become the prefix, the others the start of the counter.
    fn from_seed(seed: [u64; 2]) -> Self {
        let mut prefix = [0; 16];
        write_hex(seed[0], &mut prefix);
        Self {
            prefix,
            counter: seed[1],
        }
    }

    /// Writes the next id, 32 characters `0-9a-f`.
    #[inline]
    pub fn next(&mut self, out: &mut [u8; ID_LEN]) {
        self.counter = self.counter.wrapping_add(GOLDEN);
        let (front, back) = out.split_at_mut(16);
        front.copy_from_slice(&self.prefix);
        write_hex(scramble(self.counter), back);
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives an incoming `X-Request-Id` back if it may be taken over: 1 to 128 characters of `A-Z a-z 0-9 . _ : / = + -`.
///
/// None of them has a meaning in HTML, JSON, a shell or a log line, so that an id can be shown anywhere. Whether the peer may choose
/// the id at all is for the caller to decide.
#[must_use]
pub fn accept(value: &[u8]) -> Option<&[u8]> {
    let fits = (1..=MAX_ACCEPTED_LEN).contains(&value.len());
    (fits && value.iter().all(|&byte| is_safe(byte))).then_some(value)
}

fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'=' | b'+' | b'-')
}

/// The finaliser of `SplitMix64`: a bijection, so that different counters give different results.
fn scramble(counter: u64) -> u64 {
    let mut value = counter;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Writes 16 characters; `out` is exactly that long.
#[inline]
fn write_hex(value: u64, out: &mut [u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
    }
}

const fn hex_pairs() -> [[u8; 2]; 256] {
    let mut pairs = [[0; 2]; 256];
    let mut value = 0;
    while value < 256 {
        pairs[value] = [HEX[value >> 4], HEX[value & 15]];
        value += 1;
    }
    pairs
}

fn seed() -> [u64; 2] {
    let mut bytes = [0; 16];
    // The kernel gives up to 256 bytes at once or fails (getrandom(2)); it fails where a sandbox forbids the call.
    if matches!(getrandom(&mut bytes, GetRandomFlags::empty()), Ok(16)) {
        let whole = u128::from_ne_bytes(bytes);
        #[allow(clippy::cast_possible_truncation)] // the two halves of it are wanted
        return [(whole >> 64) as u64, whole as u64];
    }
    // The standard library's hash keys are random as well, from another source if need be.
    let pid = std::process::id();
    [
        RandomState::new().hash_one(pid),
        RandomState::new().hash_one(pid),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn id(ids: &mut RequestIds) -> String {
        let mut out = [0; ID_LEN];
        ids.next(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_id_is_32_lowercase_hexadecimal_characters() {
        let mut ids = RequestIds::new();
        for _ in 0..1_000 {
            let id = id(&mut ids);
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
                "{id}"
            );
        }
    }

    #[test]
    fn ids_of_one_instance_do_not_repeat() {
        let mut ids = RequestIds::new();
        let seen: HashSet<String> = (0..100_000).map(|_| id(&mut ids)).collect();
        assert_eq!(seen.len(), 100_000);
    }

    #[test]
    fn two_instances_have_different_prefixes() {
        let (mut one, mut two) = (RequestIds::new(), RequestIds::new());
        assert_ne!(id(&mut one)[..16], id(&mut two)[..16]);
    }

    #[test]
    fn the_counter_wraps_instead_of_failing() {
        let mut ids = RequestIds::from_seed([7, u64::MAX]);
        assert_ne!(id(&mut ids), id(&mut ids));
        assert!(id(&mut ids).starts_with("0000000000000007"));
    }

    #[test]
    fn known_ids_are_taken_over() {
        for value in [
            "a",
            "4bf92f35-77b3-4da6",
            "Root=1-67891233-abcdef012345678912345678",
            "svc:req/1+2_3.4",
        ] {
            assert_eq!(accept(value.as_bytes()), Some(value.as_bytes()));
        }
        assert!(accept(&[b'a'; MAX_ACCEPTED_LEN]).is_some());
    }

    #[test]
    fn unsafe_empty_and_long_ids_are_refused() {
        assert!(accept(b"").is_none());
        assert!(accept(&[b'a'; MAX_ACCEPTED_LEN + 1]).is_none());
        for byte in (0..=255u8).filter(|&byte| !is_safe(byte)) {
            assert!(accept(&[b'a', byte]).is_none(), "{byte}");
        }
        for bad in [
            &b"a\r\nSet-Cookie: x"[..],
            b"<script>",
            b"a b",
            b"a\"b",
            b"caf\xc3\xa9",
        ] {
            assert!(accept(bad).is_none());
        }
    }
}
