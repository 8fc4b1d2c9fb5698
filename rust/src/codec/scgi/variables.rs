//! The content of the netstring: names and values, each with a NUL behind it.

/// Variables that have been checked.
#[derive(Clone, Debug)]
pub(super) struct Variables<'a> {
    rest: &'a [u8],
}

impl<'a> Variables<'a> {
    /// Walks the whole text once, so that the iterator never ends early: nothing if it is malformed.
    pub(super) fn check(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        while !rest.is_empty() {
            let name = take(&mut rest)?;
            take(&mut rest)?;
            if name.is_empty() {
                return None;
            }
        }
        Some(Self { rest: text })
    }
}

impl<'a> Iterator for Variables<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = take(&mut self.rest)?;
        Some((name, take(&mut self.rest)?))
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr(0, rest)?;
    let (text, tail) = rest.split_at(end);
    *rest = tail.get(1..)?;
    Some(text)
}
