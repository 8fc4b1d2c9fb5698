//! Header blocks of a client, decoded field by field (RFC 7541 3 and 6).

use super::huffman;
use super::table::{Dynamic, Entry, STATIC};

/// Bytes of the dynamic table, in either direction: the initial value of `SETTINGS_HEADER_TABLE_SIZE`.
pub const TABLE_SIZE: usize = 4_096;

/// A header block cannot be decoded, so that no later one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionError;

/// The decoder of one connection.
#[derive(Debug)]
pub struct HeaderDecoder {
    table: Dynamic,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for HeaderDecoder {
    fn default() -> Self {
        Self {
            table: Dynamic::new(TABLE_SIZE),
            name: Vec::new(),
            value: Vec::new(),
        }
    }
}

impl HeaderDecoder {
    /// Decodes a whole block; `take` gets the name and the value of each field, in order.
    ///
    /// # Errors
    ///
    /// What RFC 7541 calls a decoding error. Some fields may have been passed on by then.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut take: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), CompressionError> {
        let mut rest = block;
        let mut is_begun = false;
        while let Some((&first, _)) = rest.split_first() {
            if first & 0xe0 == 0x20 {
                // RFC 7541 4.2: the table's size changes at the beginning of a block only.
                if is_begun {
                    return Err(CompressionError);
                }
                let size = read_integer(&mut rest, 5)?;
                if size > TABLE_SIZE {
                    return Err(CompressionError);
                }
                self.table.set_limit(size);
                continue;
            }
            is_begun = true;
            if first & 0x80 != 0 {
                let index = read_integer(&mut rest, 7)?;
                let (name, value) = self.field(index)?;
                take(name, value);
                continue;
            }
            let is_added = first & 0x40 != 0;
            let index = read_integer(&mut rest, if is_added { 6 } else { 4 })?;
            self.literal(index, &mut rest, is_added, &mut take)?;
        }
        Ok(())
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.table.size() + self.name.capacity() + self.value.capacity()
    }

    fn field(&self, index: usize) -> Result<(&[u8], &[u8]), CompressionError> {
        match index.checked_sub(1) {
            None => Err(CompressionError),
            Some(place) => match STATIC.get(place) {
                Some(&field) => Ok(field),
                None => (self.table.get(place - STATIC.len()))
                    .map(Entry::parts)
                    .ok_or(CompressionError),
            },
        }
    }

    fn literal(
        &mut self,
        index: usize,
        rest: &mut &[u8],
        is_added: bool,
        take: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), CompressionError> {
        let mut name_room = core::mem::take(&mut self.name);
        let mut value_room = core::mem::take(&mut self.value);
        name_room.clear();
        value_room.clear();
        let name = if index == 0 {
            read_string(rest, &mut name_room)?.unwrap_or(&name_room)
        } else {
            self.field(index)?.0
        };
        let value = read_string(rest, &mut value_room)?.unwrap_or(&value_room);
        take(name, value);
        let entry = is_added.then(|| Entry::new(name, value));
        if let Some(entry) = entry {
            self.table.add(entry);
        }
        // One large field must not keep its memory for ever.
        name_room.shrink_to(1_024);
        value_room.shrink_to(1_024);
        self.name = name_room;
        self.value = value_room;
        Ok(())
    }
}

/// Reads an integer with a prefix of `bits` bits (RFC 7541 5.1). Beyond 2^28 nothing that is counted here goes.
#[inline]
fn read_integer(rest: &mut &[u8], bits: u32) -> Result<usize, CompressionError> {
    let (&first, mut tail) = rest.split_first().ok_or(CompressionError)?;
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (&octet, after) = tail.split_first().ok_or(CompressionError)?;
            tail = after;
            value += (usize::from(octet) & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 21 {
                return Err(CompressionError);
            }
        }
    }
    *rest = tail;
    Ok(value)
}

/// Reads a string (RFC 7541 5.2). Nothing means that it was coded, and is in `room`.
#[inline]
fn read_string<'a>(
    rest: &mut &'a [u8],
    room: &mut Vec<u8>,
) -> Result<Option<&'a [u8]>, CompressionError> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = read_integer(rest, 7)?;
    if length > rest.len() {
        return Err(CompressionError);
    }
    let (text, tail) = rest.split_at(length);
    *rest = tail;
    if !is_coded {
        return Ok(Some(text));
    }
    huffman::decode(text, room)?;
    Ok(None)
}
