//! A file in memory that the supervisor writes, again and again, and that its workers inherit.
//!
//! It begins with a number, odd while it is being written, and the length of what follows: records of a letter, a length
//! of four bytes and as many bytes. Numbers are little-endian. `hostler.tls.store` writes it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::Fault;

const HEADER: usize = 16;

/// Times that a file is read anew because it was being written. Each write takes microseconds.
const TRIES: u32 = 100;

/// Such a file, and how far it has been read.
#[derive(Debug)]
pub(super) struct Handed {
    file: File,
    /// What is in it, for people.
    what: &'static str,
    /// More than this it never holds.
    max_length: u64,
    /// What it began with when it was last read.
    number: u64,
}

impl Handed {
    pub(super) fn new(fd: OwnedFd, what: &'static str, max_length: u64) -> Self {
        Self {
            file: File::from(fd),
            what,
            max_length,
            number: 0,
        }
    }

    /// Whether there is something else in it than was last read; one system call. Not while it is being written, as what
    /// was read is good until then.
    pub(super) fn has_changed(&self) -> Result<bool, Fault> {
        let (number, _) = self.header()?;
        Ok(number != self.number && number % 2 == 0)
    }

    /// What is in it, read until nothing was written meanwhile.
    pub(super) fn read(&mut self) -> Result<Vec<u8>, Fault> {
        for _ in 0..TRIES {
            let before = self.header()?;
            let (number, length) = before;
            if number % 2 == 0 && length <= self.max_length {
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                let read = self.file.read_exact_at(&mut bytes, HEADER as u64);
                if read.is_ok() && self.header()? == before {
                    self.number = number;
                    return Ok(bytes);
                }
            }
            std::thread::yield_now();
        }
        Err(Fault::new(format!("{} are written without end", self.what)))
    }

    fn header(&self) -> Result<(u64, u64), Fault> {
        let mut header = [0; HEADER];
        self.file
            .read_exact_at(&mut header, 0)
            .map_err(|error| Fault::new(format!("{} cannot be read: {error}", self.what)))?;
        let (number, length) = header.split_at(HEADER / 2);
        let parse = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        Ok((parse(number), parse(length)))
    }
}

/// A letter, its value, and what is behind them.
pub(super) type Record<'a> = (u8, &'a [u8], &'a [u8]);

/// Splits the first record off; `None` behind the last one.
pub(super) fn record(bytes: &[u8]) -> Result<Option<Record<'_>>, Fault> {
    let Some((&letter, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (value, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
    Ok(Some((letter, value, rest)))
}

pub(super) fn malformed() -> Fault {
    Fault::new("what the supervisor hands over cannot be understood: a record is malformed")
}
