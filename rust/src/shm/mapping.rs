//! The memory behind a block: a part of the scoreboard, or, for an engine that nobody reads, memory of our own.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use super::block::{BLOCK_SIZE, Block};

/// Maps begin at multiples of this: a multiple of every page size that kernels are built with.
const ALIGNMENT: u64 = 65_536;

/// What the scoreboard begins with, before the blocks: its header, as in `hostler/telemetry/layout.py`.
pub(super) const HEADER_SIZE: usize = 4_096;

/// Where an engine's block is.
#[derive(Debug)]
pub struct Place {
    /// The scoreboard.
    pub fd: OwnedFd,
    /// Where the block begins in it.
    pub offset: u64,
}

/// A mapped block; it is unmapped with this.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<std::ffi::c_void>,
    length: usize,
    block: NonNull<Block>,
}

// SAFETY: a block is atomic words, which any thread may use.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a block of the scoreboard.
    pub(super) fn shared(place: Place) -> io::Result<Self> {
        let wrong = |message: &str| io::Error::new(io::ErrorKind::InvalidInput, message);
        let lead = place.offset % ALIGNMENT;
        if place.offset % align_of::<Block>() as u64 != 0 {
            return Err(wrong(
                "a block of the scoreboard begins at a multiple of a page",
            ));
        }
        let file = File::from(place.fd);
        if file.metadata()?.len() < place.offset.saturating_add(BLOCK_SIZE as u64) {
            return Err(wrong("the scoreboard ends before this worker's block"));
        }
        let lead_bytes = usize::try_from(lead).map_err(io::Error::other)?;
        let length = lead_bytes + BLOCK_SIZE;
        // SAFETY: a new map, of a file that is long enough and, as the supervisor sealed it, stays so.
        let start = unsafe {
            mmap(
                null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                place.offset - lead,
            )?
        };
        Self::new(start, length, lead_bytes)
    }

    /// Maps memory of our own; a page costs nothing until it is written.
    pub(super) fn private() -> io::Result<Self> {
        // SAFETY: a new map.
        let start = unsafe {
            mmap_anonymous(
                null_mut(),
                BLOCK_SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        Self::new(start, BLOCK_SIZE, 0)
    }

    fn new(start: *mut std::ffi::c_void, length: usize, lead: usize) -> io::Result<Self> {
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: `lead` lies within the map.
        let block = unsafe { start.byte_add(lead) }.cast();
        Ok(Self {
            start,
            length,
            block,
        })
    }

    pub(super) fn block(&self) -> &Block {
        // SAFETY: the map is as long as a block, aligned as a block is, and lives as long as `self`; every pattern of bits is a
        // value of its words, and whoever else writes them does it atomically.
        unsafe { self.block.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own map, which nothing refers to any more. A failure leaves it mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
    }
}

/// The scoreboard from its beginning, to read; it is unmapped with this.
#[derive(Debug)]
pub(super) struct View {
    start: NonNull<std::ffi::c_void>,
    length: usize,
}

// SAFETY: the scoreboard is atomic words, which any thread may read.
unsafe impl Send for View {}

impl View {
    /// Maps so many bytes; what lies behind the end of the file must not be touched.
    pub(super) fn open(file: &File, length: usize) -> io::Result<Self> {
        // SAFETY: a new map.
        let start = unsafe {
            mmap(
                null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// What is so many bytes from the beginning.
    ///
    /// # Safety
    /// There is a whole, aligned `T` within the map and within the file, and all bits are values of it.
    pub(super) unsafe fn at<T>(&self, offset: usize) -> &T {
        // SAFETY: as above; the map lives as long as `self`.
        unsafe { self.start.byte_add(offset).cast::<T>().as_ref() }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: our own map, which nothing refers to any more. A failure leaves it mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
    }
}

/// A file of so many zeros that has no name, for tests.
#[cfg(test)]
pub(super) fn scoreboard_file(length: u64) -> File {
    let thread = std::thread::current().id();
    let name = format!("hostler-scoreboard-{}-{thread:?}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.set_len(length).unwrap();
    file
}
