//! Header blocks for a client. What repeats from answer to answer is in the dynamic table and costs a byte.

use super::hpack::TABLE_SIZE;
use super::table::{Dynamic, Entry, OVERHEAD, STATIC, static_name};

/// Larger fields do not go into the table, as a few of them would push out all others. Arbitrary.
const MAX_INDEXED: usize = 1_024;

/// The encoder of one connection. Blocks must be sent in the order in which they were encoded.
#[derive(Debug)]
pub struct HeaderEncoder {
    table: Dynamic,
    /// What entries hash to, the newest last: whole fields, and their names.
    hashes: Vec<(u32, u32)>,
    /// The least limit that the client has set since the last block, if it has set one.
    shrunk: Option<usize>,
}

impl Default for HeaderEncoder {
    fn default() -> Self {
        Self {
            table: Dynamic::new(TABLE_SIZE),
            hashes: Vec::new(),
            shrunk: None,
        }
    }
}

impl HeaderEncoder {
    /// The client has said how large a table it keeps (`SETTINGS_HEADER_TABLE_SIZE`).
    pub fn set_limit(&mut self, limit: usize) {
        let limit = limit.min(TABLE_SIZE);
        if limit == self.table.limit() && self.shrunk.is_none() {
            return;
        }
        self.shrunk = Some(self.shrunk.unwrap_or(limit).min(limit));
        self.table.set_limit(limit);
        self.forget_evicted();
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.table.size() + self.hashes.capacity() * 8
    }

    /// Begins a block.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        // RFC 7541 4.2: the smallest size first, then the one in force.
        if let Some(least) = self.shrunk.take() {
            write_integer(out, 0x20, 5, least);
            if least < self.table.limit() {
                write_integer(out, 0x20, 5, self.table.limit());
            }
        }
    }

    /// Appends the status.
    pub fn status(&mut self, out: &mut Vec<u8>, status: [u8; 3]) {
        match (8..=14).find(|&index| STATIC[index - 1].1 == status) {
            Some(index) => write_integer(out, 0x80, 7, index),
            None => self.field(out, b":status", &status),
        }
    }

    /// Appends a field, whose name is in lower case.
    pub fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        let policy = policy_of(name);
        let index = static_name(name);
        if policy == Policy::Indexed && name.len() + value.len() <= MAX_INDEXED {
            return self.indexed(out, name, value, index);
        }
        let first = if policy == Policy::Never { 0x10 } else { 0 };
        match index {
            Some(index) => write_integer(out, first, 4, index),
            None => write_name(out, first, name),
        }
        write_string(out, value);
    }

    fn indexed(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8], index: Option<usize>) {
        let name_hash = hash(0x811c_9dc5, name);
        let whole_hash = hash(name_hash, value);
        let mut named = index;
        // The newest is the last, and what repeats was used lately.
        for (age, &(whole, alike)) in self.hashes.iter().rev().enumerate() {
            if whole == whole_hash
                && self
                    .table
                    .get(age)
                    .is_some_and(|entry| entry.parts() == (name, value))
            {
                return write_integer(out, 0x80, 7, STATIC.len() + 1 + age);
            }
            if named.is_none()
                && alike == name_hash
                && self
                    .table
                    .get(age)
                    .is_some_and(|entry| entry.parts().0 == name)
            {
                named = Some(STATIC.len() + 1 + age);
            }
        }
        if name.len() + value.len() + OVERHEAD > self.table.limit() {
            match named {
                Some(index) => write_integer(out, 0, 4, index),
                None => write_name(out, 0, name),
            }
            return write_string(out, value);
        }
        match named {
            Some(index) => write_integer(out, 0x40, 6, index),
            None => write_name(out, 0x40, name),
        }
        write_string(out, value);
        self.table.add(Entry::new(name, value));
        self.hashes.push((whole_hash, name_hash));
        self.forget_evicted();
    }

    fn forget_evicted(&mut self) {
        let gone = self.hashes.len().saturating_sub(self.table.len());
        self.hashes.drain(..gone);
    }
}

/// What is done with a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// It goes into the table.
    Indexed,
    /// It does not, as the next answer has another value.
    Literal,
    /// It must not, here or at anybody who passes it on (RFC 7541 7.1.3).
    Never,
}

fn policy_of(name: &[u8]) -> Policy {
    match name {
        b"set-cookie" => Policy::Never,
        b"content-length" | b"content-range" | b"etag" | b"last-modified" | b"location"
        | b"age" | b"expires" | b"x-request-id" => Policy::Literal,
        _ => Policy::Indexed,
    }
}

/// FNV-1a, over four bytes at a time: fields are compared whenever it is equal.
#[expect(clippy::cast_possible_truncation, reason = "the low bits will do")]
fn hash(seed: u32, bytes: &[u8]) -> u32 {
    const PRIME: u32 = 0x0100_0193;
    let mut value = seed ^ bytes.len() as u32;
    let chunks = bytes.chunks_exact(4);
    let tail = chunks.remainder();
    for chunk in chunks {
        let word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        value = (value ^ word).wrapping_mul(PRIME).rotate_left(13);
    }
    for &octet in tail {
        value = (value ^ u32::from(octet)).wrapping_mul(PRIME);
    }
    value
}

fn write_name(out: &mut Vec<u8>, first: u8, name: &[u8]) {
    out.push(first);
    write_string(out, name);
}

#[inline]
fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    write_integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// Appends an integer with a prefix of `bits` bits, in front of which `first` stands (RFC 7541 5.1).
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "each byte takes seven bits"
)]
fn write_integer(out: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let mask = (1_usize << bits) - 1;
    if value < mask {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
