//! A packet's block: names and values, each behind its length.

/// The variables of a block that has been checked.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    rest: &'a [u8],
}

impl<'a> Block<'a> {
    /// Walks the whole block once, so that the iterator never ends early: nothing if it is malformed.
    pub(super) fn check(block: &'a [u8]) -> Option<Self> {
        let mut rest = block;
        while !rest.is_empty() {
            let name = take(&mut rest)?;
            take(&mut rest)?;
            if name.is_empty() {
                return None;
            }
        }
        Some(Self { rest: block })
    }
}

impl<'a> Iterator for Block<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = take(&mut self.rest)?;
        Some((name, take(&mut self.rest)?))
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<2>()?;
    let (text, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *rest = tail;
    Some(text)
}
