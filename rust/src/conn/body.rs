//! A request body that is received before the application is called: in memory up to a bound, then in a temporary file.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use crate::request_id::RequestIds;

/// A complete body as the application's side gets it.
#[derive(Debug, Default)]
pub enum Body {
    /// No body, or an empty one.
    #[default]
    Empty,
    /// All bytes in memory.
    Memory(Vec<u8>),
    /// All bytes in an unlinked temporary file of the given length.
    File(File, u64),
    /// Still arriving.
    Pipe(std::sync::Arc<super::BodyPipe>),
}

impl Body {
    /// Bytes held in memory; those of a pipe are its own affair.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        match self {
            Self::Memory(held) => held.capacity(),
            Self::Empty | Self::File(..) | Self::Pipe(_) => 0,
        }
    }
}

/// A body on its way.
#[derive(Debug)]
pub enum Store {
    /// Within the bound.
    Memory(Vec<u8>),
    /// Beyond it.
    File(File, u64),
}

impl Store {
    /// An empty store; `expected` bytes are announced, and believed only up to `bound`.
    #[must_use]
    pub fn new(expected: u64, bound: usize) -> Self {
        let capacity = usize::try_from(expected).unwrap_or(bound).min(bound);
        Self::Memory(Vec::with_capacity(capacity))
    }

    /// Adds bytes; moves to a temporary file in `directory` when more than `bound` bytes would be in memory.
    ///
    /// # Errors
    /// When the temporary file cannot be made or written, such as for a full disk.
    pub fn append(&mut self, bytes: &[u8], bound: usize, directory: &Path) -> io::Result<()> {
        if let Self::Memory(held) = self {
            if held.len() + bytes.len() <= bound {
                held.extend_from_slice(bytes);
                return Ok(());
            }
            let mut file = temporary_file(directory)?;
            file.write_all(held)?;
            *self = Self::File(file, held.len() as u64);
        }
        if let Self::File(file, length) = self {
            file.write_all(bytes)?;
            *length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        match self {
            Self::Memory(held) => held.capacity(),
            Self::File(..) => 0,
        }
    }

    /// The complete body.
    #[must_use]
    pub fn into_body(self) -> Body {
        match self {
            Self::Memory(held) if held.is_empty() => Body::Empty,
            Self::Memory(held) => Body::Memory(held),
            Self::File(file, length) => Body::File(file, length),
        }
    }
}

/// Opens a file that has no name and goes away with its last descriptor.
fn temporary_file(directory: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    #[cfg(target_os = "linux")]
    if let Ok(fd) = open(
        directory,
        OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
        mode,
    ) {
        return Ok(fd.into());
    }
    // File systems without O_TMPFILE: an exclusive name nobody can guess, removed at once.
    let mut name = [0_u8; 32];
    RequestIds::new().next(&mut name);
    let path = directory.join(format!("hostler-{}", String::from_utf8_lossy(&name)));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = File::from(open(&path, flags, mode)?);
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn body_moves_to_a_file_beyond_the_bound_and_stays_whole() {
        let mut store = Store::new(1 << 40, 10);
        for _ in 0..5 {
            store.append(b"abcd", 10, &std::env::temp_dir()).unwrap();
        }
        let Body::File(mut file, length) = store.into_body() else {
            panic!("still in memory")
        };
        let mut all = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut all).unwrap();
        assert_eq!((length, all.as_str()), (20, "abcdabcdabcdabcdabcd"));
    }

    #[test]
    fn body_at_the_bound_stays_in_memory() {
        let mut store = Store::new(10, 10);
        store
            .append(&[1; 10], 10, Path::new("/nonexistent"))
            .unwrap();
        assert!(matches!(store.into_body(), Body::Memory(held) if held == [1; 10]));
    }

    #[test]
    fn missing_directory_is_an_error_and_not_a_loss() {
        let mut store = Store::new(10, 1);
        assert!(
            store
                .append(&[1; 10], 1, Path::new("/nonexistent"))
                .is_err()
        );
    }
}
