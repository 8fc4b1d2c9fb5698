//! Whether requests are to be taken at all: a word in the header of the scoreboard that the supervisor sets for all workers.

use std::fs::File;
use std::io;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::mapping::Place;

/// The header of the scoreboard, as in `hostler/telemetry/layout.py`.
const HEADER_SIZE: usize = 4_096;
/// Bytes from its beginning to the word.
const PAUSED_AT: usize = 64;

/// The word, to read.
#[derive(Debug)]
pub struct Gate {
    start: NonNull<std::ffi::c_void>,
}

// SAFETY: an atomic word, which any thread may read.
unsafe impl Send for Gate {}

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
        // SAFETY: a new map, of a file that is long enough and, as the supervisor sealed it, stays so.
        let start = unsafe {
            mmap(
                null_mut(),
                HEADER_SIZE,
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        Ok(Self {
            start: NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?,
        })
    }

    /// Whether no request is to be taken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // SAFETY: the word lies within the map and is aligned, and all bits are a value of it.
        let word = unsafe { self.start.byte_add(PAUSED_AT).cast::<AtomicU64>().as_ref() };
        word.load(Ordering::Relaxed) != 0
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // SAFETY: our own map, which nothing refers to any more. A failure leaves it mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr(), HEADER_SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn scoreboard(length: u64) -> File {
        let path = std::env::temp_dir().join(format!(
            "hostler-gate-{}-{length}-{:p}",
            std::process::id(),
            &0
        ));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(length).unwrap();
        file
    }

    fn place(file: &File) -> Place {
        Place {
            fd: file.try_clone().unwrap().into(),
            offset: HEADER_SIZE as u64,
        }
    }

    #[test]
    fn gate_follows_the_word() {
        let file = scoreboard(HEADER_SIZE as u64);
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
        let file = scoreboard(HEADER_SIZE as u64 - 1);
        assert_eq!(
            Gate::open(place(&file)).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
