//! Whether requests are to be taken at all: a word in the header of the scoreboard that the supervisor sets for all workers.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::{HEADER_SIZE, Place, View};

/// Bytes from the beginning of the scoreboard to the word.
const PAUSED_AT: usize = 64;

/// The word, to read.
#[derive(Debug)]
pub struct Gate {
    view: View,
}

impl Gate {
    /// Finds the word on the scoreboard that a worker's block is on.
    ///
    /// # Errors
    /// When the scoreboard cannot be mapped, or ends before its header does.
    pub fn open(place: Place) -> io::Result<Self> {
        let file = File::from(place.fd);
        if file.metadata()?.len() < HEADER_SIZE as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the scoreboard ends before its header does",
            ));
        }
        let view = View::open(&file, HEADER_SIZE)?;
        Ok(Self { view })
    }

    /// Whether no request is to be taken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SAFETY: the word lies within the map, and within the file, which was long enough and stays so, as the supervisor
        // sealed it. It is aligned, and all bits are a value of it.
        let word = unsafe { self.view.at::<AtomicU64>(PAUSED_AT) };
        word.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::mapping::scoreboard_file;
    use super::*;
    use std::os::unix::fs::FileExt;

    fn place(file: &File) -> Place {
        Place {
            fd: file.try_clone().unwrap().into(),
            offset: HEADER_SIZE as u64,
        }
    }

    #[test]
    fn gate_follows_the_word() {
        let file = scoreboard_file(HEADER_SIZE as u64);
        let gate = Gate::open(place(&file)).unwrap();
        assert!(!gate.is_closed());
        file.write_all_at(&1_u64.to_ne_bytes(), PAUSED_AT as u64)
            .unwrap();
        assert!(gate.is_closed());
        file.write_all_at(&0_u64.to_ne_bytes(), PAUSED_AT as u64)
            .unwrap();
        assert!(!gate.is_closed());
    }

    #[test]
    fn file_without_a_header_is_refused() {
        let file = scoreboard_file(HEADER_SIZE as u64 - 1);
        assert_eq!(
            Gate::open(place(&file)).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
