//! Names and values as FastCGI writes them (3.4): two lengths of one byte or four, then both.

/// Pairs that have been checked.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Walks all of it once, so that the iterator never ends early: nothing if it is malformed.
    pub(super) fn check(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        while !rest.is_empty() {
            let (name, _) = take(&mut rest)?;
            if name.is_empty() {
                return None;
            }
        }
        Some(Self { rest: text })
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        take(&mut self.rest)
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut tail = *rest;
    let name = take_length(&mut tail)?;
    let value = take_length(&mut tail)?;
    let (name, tail) = tail.split_at_checked(name)?;
    let (value, tail) = tail.split_at_checked(value)?;
    *rest = tail;
    Some((name, value))
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (&first, tail) = rest.split_first()?;
    if first < 0x80 {
        *rest = tail;
        return Some(usize::from(first));
    }
    let (bytes, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    usize::try_from(u32::from_be_bytes(*bytes) & 0x7fff_ffff).ok()
}

/// Appends a pair whose lengths both fit one byte.
pub(super) fn write_short(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for text in [name, value] {
        out.push(u8::try_from(text.len()).map_or(0x7f, |length| length.min(0x7f)));
    }
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}
