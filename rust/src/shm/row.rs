//! One request in the application, as others may read it at any moment.
//!
//! Theory of operation (a seqlock). The sequence number is odd while the row is being written. A reader copies the row and
//! takes the copy only if the number was even and is the same afterwards. A writer that was killed in the midst leaves an
//! odd number, and its row is passed over. `since` is 0 while nobody has the row: one store ends a request.

use std::mem::{offset_of, size_of};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::block::set;

/// Requests that a worker shows at once. Arbitrary: more than the threads that anybody gives a worker.
pub const ROWS: usize = 64;

pub(super) const ID_WORDS: usize = 4;
pub(super) const METHOD_WORDS: usize = 2;
pub(super) const PATH_WORDS: usize = 20;

/// One request.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Row {
    /// Odd while the row is being written.
    sequence: AtomicU64,
    /// When the application was called, in monotonic nanoseconds; 0: nobody has this row.
    since: AtomicU64,
    /// The thread that calls it, as `threading.get_ident` names it.
    thread: AtomicU64,
    /// Lengths of id, method and path, then 0, 4 or 6 for the client's address: a byte each, the lowest first.
    lengths: AtomicU64,
    /// The client's address in network order.
    client: [AtomicU64; 2],
    id: [AtomicU64; ID_WORDS],
    method: [AtomicU64; METHOD_WORDS],
    path: [AtomicU64; PATH_WORDS],
}

/// What is told of a request.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'request> {
    /// Its id; cut after 32 bytes.
    pub id: &'request [u8],
    /// Its method; cut after 16 bytes.
    pub method: &'request [u8],
    /// Its path; cut after 160 bytes.
    pub path: &'request [u8],
    /// Who asks; none behind a unix socket.
    pub client: Option<IpAddr>,
    /// The thread that calls the application.
    pub thread: u64,
}

impl Row {
    /// Begins to show a request.
    pub(super) fn fill(&self, entry: &Entry<'_>, since: u64) {
        write_row(&self.sequence, || {
            let lengths = pack_entry(entry, &self.client, &self.id, &self.method, &self.path);
            set(&self.lengths, lengths);
            set(&self.thread, entry.thread);
            set(&self.since, since);
        });
    }

    /// Notes that another thread calls the application; any thread.
    pub(super) fn set_thread(&self, thread: u64) {
        set(&self.thread, thread);
    }

    /// Shows the request no more.
    pub(super) fn clear(&self) {
        set(&self.since, 0);
    }
}

/// Has a row written so that whoever reads meanwhile can tell.
#[inline]
pub(super) fn write_row(sequence: &AtomicU64, write: impl FnOnce()) {
    // Odd already if a writer was killed here.
    let odd = sequence.load(Ordering::Relaxed) | 1;
    set(sequence, odd);
    fence(Ordering::Release);
    write();
    sequence.store(odd.wrapping_add(1), Ordering::Release);
}

/// Writes the texts and the address of a request. Returns what there is of each: see [`Row`]'s `lengths`.
#[inline]
pub(super) fn pack_entry(
    entry: &Entry<'_>,
    client: &[AtomicU64; 2],
    id: &[AtomicU64],
    method: &[AtomicU64],
    path: &[AtomicU64],
) -> u64 {
    let (family, address) = packed(entry.client);
    set(&client[0], address[0]);
    set(&client[1], address[1]);
    let mut lengths = u64::from(family) << 24;
    lengths |= write_text(id, entry.id);
    lengths |= write_text(method, entry.method) << 8;
    lengths |= write_text(path, entry.path) << 16;
    lengths
}

/// Writes as much of a text as there is room for. Returns its length.
fn write_text(words: &[AtomicU64], text: &[u8]) -> u64 {
    let length = text.len().min(words.len() * 8);
    for (word, bytes) in words.iter().zip(text[..length].chunks(8)) {
        let value = if let Some(whole) = bytes.first_chunk::<8>() {
            u64::from_ne_bytes(*whole)
        } else {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            u64::from_ne_bytes(padded)
        };
        set(word, value);
    }
    length as u64
}

/// The family and the bytes of an address.
fn packed(client: Option<IpAddr>) -> (u8, [u64; 2]) {
    let (family, bytes) = match client {
        None => (0, [0; 16]),
        Some(IpAddr::V4(address)) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (4, bytes)
        }
        Some(IpAddr::V6(address)) => (6, address.octets()),
    };
    let (front, back) = bytes.split_at(8);
    let word = |half: &[u8]| {
        half.first_chunk::<8>()
            .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    (family, [word(front), word(back)])
}

/// Names, byte offsets within a row, and room of its parts.
pub(super) fn layout() -> Vec<(String, usize)> {
    let parts = [
        ("row.sequence", offset_of!(Row, sequence)),
        ("row.since", offset_of!(Row, since)),
        ("row.thread", offset_of!(Row, thread)),
        ("row.lengths", offset_of!(Row, lengths)),
        ("row.client", offset_of!(Row, client)),
        ("row.id", offset_of!(Row, id)),
        ("row.method", offset_of!(Row, method)),
        ("row.path", offset_of!(Row, path)),
        ("row.end", size_of::<Row>()),
    ];
    parts
        .into_iter()
        .map(|(name, offset)| (name.to_owned(), offset))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[AtomicU64], length: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = words
            .iter()
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .collect();
        bytes.truncate(usize::try_from(length).unwrap());
        bytes
    }

    fn row() -> Box<Row> {
        // SAFETY: a row is words, for which zero is a value.
        unsafe { Box::new(std::mem::zeroed()) }
    }

    fn entry(path: &[u8]) -> Entry<'_> {
        Entry {
            id: b"0123456789abcdef0123456789abcdef-and-more",
            method: b"DELETE",
            path,
            client: "192.0.2.7".parse().ok(),
            thread: 9,
        }
    }

    #[test]
    fn texts_are_cut_at_their_room() {
        let row = row();
        row.fill(&entry(&[b'a'; 500]), 5);
        let lengths = row.lengths.load(Ordering::Relaxed).to_le_bytes();
        assert_eq!(lengths[..4], [32, 6, 160, 4]);
        assert_eq!(text(&row.id, 32), b"0123456789abcdef0123456789abcdef");
        assert_eq!(text(&row.method, 6), b"DELETE");
        assert_eq!(text(&row.path, 160), [b'a'; 160]);
        assert_eq!(
            row.client[0].load(Ordering::Relaxed).to_ne_bytes()[..4],
            [192, 0, 2, 7]
        );
    }

    #[test]
    fn sequence_is_even_after_each_write_also_where_a_writer_was_killed() {
        let row = row();
        row.fill(&entry(b"/"), 5);
        assert_eq!(row.sequence.load(Ordering::Relaxed), 2);
        row.sequence.store(5, Ordering::Relaxed);
        row.fill(&entry(b"/"), 6);
        assert_eq!(row.sequence.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn reader_never_takes_a_mixture_of_two_requests() {
        let row = row();
        let paths: [Vec<u8>; 2] = [vec![b'a'; 160], vec![b'b'; 160]];
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0..100_000_usize {
                    row.fill(&entry(&paths[turn % 2]), 1);
                }
                is_over.store(true, Ordering::Release);
            });
            let mut taken = 0;
            while !is_over.load(Ordering::Acquire) || taken == 0 {
                let before = row.sequence.load(Ordering::Acquire);
                let path = text(&row.path, 160);
                fence(Ordering::Acquire);
                if before % 2 == 0 && before > 0 && before == row.sequence.load(Ordering::Relaxed) {
                    taken += 1;
                    assert!(paths.contains(&path));
                }
            }
        });
    }
}
