//! TLS over one socket: ciphertext in and out of it, plain bytes to and from the connection.
//!
//! Theory of operation. The library does no I/O. Ciphertext is read into a buffer of the thread, decrypted, and the plain
//! bytes go straight to the caller; only a record that is not whole yet is held. What is to be sent is encrypted into
//! another buffer of the thread, many records at a time, and written in one call; only what the socket did not take is
//! kept. So an idle connection holds no buffer at all.
//!
//! Plain bytes count as sent when the record that carries them is written. Until then the caller keeps them, and offers
//! them again, as it would with a socket: the bytes that `claims` knows of are encrypted already and are not looked at.
//!
//! Invariant: what is offered always begins with the first plain byte that did not count as sent.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

use super::stream::Transfer;
use crate::tls::{Facts, take_choice};

/// RFC 8446 5.1: the most plain bytes in a record.
const FRAGMENT: usize = 16_384;

/// What a record adds to them at the most: its header, and what RFC 5246 6.2.3 allows for the rest.
const OVERHEAD: usize = 5 + 256;

/// Records written in one call. Measured: more bring nothing, and the buffer would no longer stay in the cache.
const BATCH: usize = 4;

/// Ciphertext read in one call.
const WIRE: usize = 65_536;

/// The most that is held of records that are not whole: a message of the handshake may be spread over several. OpenSSL
/// allows a client's certificates 100 KiB, which nobody has.
const MAX_HELD: usize = 49_152;

/// Reads in one call that bring no plain bytes, before others have their turn.
const FRUITLESS: u32 = 8;

/// What TLS runs over.
pub(super) trait Wire {
    /// Reads ciphertext.
    fn read(&self, buffer: &mut [u8]) -> Transfer;
    /// Writes ciphertext.
    fn write(&self, bytes: &[u8]) -> Transfer;
}

/// Buffers that all sessions of a thread use in turn.
struct Buffers {
    wire: Vec<u8>,
    /// Plain bytes of one record that come from several runs.
    gathered: Vec<u8>,
    /// Records to be written.
    records: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = const {
        RefCell::new(Buffers { wire: Vec::new(), gathered: Vec::new(), records: Vec::new() })
    };
}

/// A record that is being written.
#[derive(Debug, Clone, Copy)]
struct Claim {
    /// Bytes of ciphertext that are unwritten.
    wire: usize,
    /// Plain bytes that count as sent with it.
    plain: usize,
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handshake,
    Open,
    /// The client has said that it will send no more.
    Ended,
    Failed,
}

/// One connection's TLS.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own beside the stage"
)]
pub(super) struct Session {
    library: UnbufferedServerConnection,
    stage: Stage,
    /// Ciphertext that was received and is not a whole record.
    held: Vec<u8>,
    /// `held` has not been looked at since it was put there.
    unseen: bool,
    /// Ciphertext that the socket has not taken.
    pending: Vec<u8>,
    at: usize,
    claims: VecDeque<Claim>,
    /// Something of the handshake was understood.
    has_begun: bool,
    /// There may be more to read, though the last call brought nothing.
    is_behind: bool,
    has_closed: bool,
    facts: Option<Arc<Facts>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Session({:?})", self.stage)
    }
}

impl Session {
    /// A session that waits for its client to begin.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            library: UnbufferedServerConnection::new(config)?,
            stage: Stage::Handshake,
            held: Vec::new(),
            unseen: false,
            pending: Vec::new(),
            at: 0,
            claims: VecDeque::new(),
            has_begun: false,
            is_behind: false,
            has_closed: false,
            facts: None,
        })
    }

    /// Whether the handshake is not over.
    pub(super) fn is_handshaking(&self) -> bool {
        self.stage == Stage::Handshake
    }

    /// What is known of the connection, once the handshake is over.
    pub(super) fn facts(&self) -> Option<&Arc<Facts>> {
        self.facts.as_ref()
    }

    /// The protocol that was agreed on (RFC 7301).
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.library.alpn_protocol()
    }

    /// Whether there may be more to read, though the last read brought nothing.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Bytes that it keeps.
    pub(super) fn in_memory(&self) -> usize {
        self.held.capacity() + self.pending.capacity()
    }

    /// Whether the client does not speak TLS but plain HTTP; nothing was sent to it then.
    pub(super) fn is_plain(&self) -> bool {
        self.stage == Stage::Failed && !self.has_begun
    }

    /// Takes ciphertext that somebody else has read from the socket.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.unseen = !self.held.is_empty();
        self.is_behind |= self.unseen;
    }

    /// Reads plain bytes; `buffer` is to have room for what is read in one call.
    pub(super) fn receive(&mut self, wire: &impl Wire, buffer: &mut [u8]) -> Transfer {
        self.is_behind = false;
        BUFFERS.with_borrow_mut(|buffers| {
            buffers.wire.resize(WIRE.max(MAX_HELD + FRAGMENT), 0);
            for _ in 0..FRUITLESS {
                match self.receive_once(wire, &mut buffers.wire, buffer) {
                    Transfer::Done(0) if self.stage != Stage::Ended => {}
                    other => return other,
                }
            }
            self.is_behind = true;
            Transfer::Blocked
        })
    }

    /// `Done(0)` means that nothing came of it, or the end if the stage says so.
    fn receive_once(
        &mut self,
        wire: &impl Wire,
        scratch: &mut [u8],
        buffer: &mut [u8],
    ) -> Transfer {
        match self.stage {
            Stage::Ended => return Transfer::Done(0),
            Stage::Failed => return broken("the session has failed"),
            Stage::Handshake | Stage::Open => {}
        }
        let start = self.held.len();
        scratch[..start].copy_from_slice(&self.held);
        let mut filled = start;
        // What was fed came from the socket in a read that may have left some.
        self.is_behind = std::mem::take(&mut self.unseen);
        if !self.is_behind {
            // Plain bytes are never more than the ciphertext they come in.
            let end = scratch.len().min(buffer.len());
            match wire.read(&mut scratch[start..end.max(start)]) {
                Transfer::Done(0) => {
                    // RFC 8446 6.1: whoever cares for a truncated request sees it by the framing of HTTP.
                    self.stage = Stage::Ended;
                    return Transfer::Done(0);
                }
                Transfer::Done(count) => {
                    // A short read means that the socket is empty (epoll(7)).
                    self.is_behind = start + count == end;
                    filled += count;
                }
                other => return other,
            }
        }
        if !self.has_begun {
            if looks_plain(&scratch[..filled]) {
                self.stage = Stage::Failed;
                return broken("the client speaks plain HTTP");
            }
            self.has_begun = true;
        }
        let outcome = self.digest(&mut scratch[..filled], buffer);
        self.push_own(wire);
        match outcome {
            Ok((_, used)) if filled - used > MAX_HELD => {
                self.stage = Stage::Failed;
                broken("a message of the handshake is too long")
            }
            Ok((plain, used)) => {
                self.hold(&scratch[used..filled]);
                Transfer::Done(plain)
            }
            Err(error) => {
                self.stage = Stage::Failed;
                self.held = Vec::new();
                Transfer::Broken(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.held = Vec::new();
        } else {
            self.held.clear();
            self.held.extend_from_slice(bytes);
        }
    }

    /// Decrypts what it can. Returns the plain bytes put into `buffer`, and the ciphertext used.
    fn digest(
        &mut self,
        wire: &mut [u8],
        buffer: &mut [u8],
    ) -> Result<(usize, usize), rustls::Error> {
        let (mut plain, mut used) = (0, 0);
        loop {
            let UnbufferedStatus { discard, state } =
                self.library.process_tls_records(&mut wire[used..]);
            let mut goes_on = true;
            let mut fault = None;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let payload = record?.payload;
                        let Some(place) = buffer.get_mut(plain..plain + payload.len()) else {
                            return Err(rustls::Error::General("no room".to_owned()));
                        };
                        place.copy_from_slice(payload);
                        plain += payload.len();
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut data, &mut self.pending, &mut self.claims);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.stage = Stage::Ended,
                // The last is never offered, as early data are not accepted.
                Ok(
                    ConnectionState::WriteTraffic(_)
                    | ConnectionState::BlockedHandshake
                    | ConnectionState::Closed
                    | ConnectionState::ReadEarlyData(_)
                    | _,
                ) => goes_on = false,
                Err(error) => fault = Some(error),
            }
            used += discard;
            if let Some(error) = fault {
                self.collect_alert(&mut wire[used..]);
                return Err(error);
            }
            if !goes_on {
                break;
            }
        }
        if self.stage == Stage::Handshake && !self.library.is_handshaking() {
            self.stage = Stage::Open;
            self.facts = Some(Arc::new(Facts::of(&self.library, take_choice())));
        }
        Ok((plain, used))
    }

    /// After a failure: takes the alert that tells the client of it. Anything more would be looked at again, and fail again.
    fn collect_alert(&mut self, rest: &mut [u8]) {
        while self.library.wants_write() {
            match self.library.process_tls_records(rest).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut data, &mut self.pending, &mut self.claims);
                }
                _ => return,
            }
        }
    }

    /// Writes runs of plain bytes.
    pub(super) fn send(&mut self, wire: &impl Wire, runs: &[IoSlice<'_>]) -> Transfer {
        if self.stage == Stage::Failed {
            return broken("the session has failed");
        }
        match self.push(wire) {
            Transfer::Done(0) => {}
            other => return other,
        }
        let offered: usize = runs.iter().map(|run| run.len()).sum();
        let mut sent = 0;
        BUFFERS.with_borrow_mut(|buffers| {
            let mut cursor = Cursor::new(runs);
            while sent < offered {
                let filled = match self.encrypt(&mut cursor, buffers) {
                    Ok(filled) => filled,
                    Err(error) => return Transfer::Broken(io::Error::other(error)),
                };
                match self.write_records(wire, &buffers.records[..filled]) {
                    Transfer::Done(count) => sent += count,
                    other => return other,
                }
                if self.has_pending() {
                    break;
                }
            }
            if sent == 0 && offered > 0 {
                Transfer::Blocked
            } else {
                Transfer::Done(sent)
            }
        })
    }

    /// Whether ciphertext waits for the socket.
    pub(super) fn has_pending(&self) -> bool {
        self.at < self.pending.len()
    }

    /// Writes ciphertext that waits. `Done` says how many plain bytes went out with it; with zero, nothing waits.
    pub(super) fn push(&mut self, wire: &impl Wire) -> Transfer {
        let mut plain = 0;
        while self.has_pending() {
            match wire.write(&self.pending[self.at..]) {
                Transfer::Done(count) => {
                    self.at += count;
                    plain += self.settle(count);
                }
                Transfer::Blocked if plain > 0 => return Transfer::Done(plain),
                other => return other,
            }
        }
        self.pending = Vec::new();
        self.at = 0;
        Transfer::Done(plain)
    }

    /// Accounts for ciphertext that was written: the plain bytes of records that are whole.
    fn settle(&mut self, count: usize) -> usize {
        let (mut left, mut plain) = (count, 0);
        while let Some(claim) = self.claims.front_mut() {
            if claim.wire > left {
                claim.wire -= left;
                break;
            }
            left -= claim.wire;
            plain += claim.plain;
            self.claims.pop_front();
        }
        plain
    }

    /// Writes what waits if no plain byte counts as sent with it, as nobody would hear of that: what does waits for the
    /// next bytes to be offered.
    pub(super) fn push_own(&mut self, wire: &impl Wire) {
        if self.has_pending() && self.claims.iter().all(|claim| claim.plain == 0) {
            // A broken connection shows again when it is read or written.
            let _ = self.push(wire);
        }
    }

    /// Encrypts a batch of records, behind what the library itself has to say. Returns the bytes of ciphertext.
    fn encrypt(
        &mut self,
        cursor: &mut Cursor<'_>,
        buffers: &mut Buffers,
    ) -> Result<usize, rustls::Error> {
        let room = BATCH * (FRAGMENT + OVERHEAD);
        let Buffers {
            gathered, records, ..
        } = buffers;
        records.resize(records.len().max(room), 0);
        let mut filled = 0;
        for _ in 0..BATCH {
            let Some(fragment) = cursor.next(gathered) else {
                break;
            };
            let length = self.encrypt_fragment(fragment, records, &mut filled)?;
            filled += length;
            self.claims.push_back(Claim {
                wire: length,
                plain: fragment.len(),
            });
        }
        Ok(filled)
    }

    fn encrypt_fragment(
        &mut self,
        fragment: &[u8],
        records: &mut Vec<u8>,
        filled: &mut usize,
    ) -> Result<usize, rustls::Error> {
        loop {
            let UnbufferedStatus { state, .. } = self.library.process_tls_records(&mut self.held);
            match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return traffic
                        .encrypt(fragment, &mut records[*filled..])
                        .map_err(|error| rustls::Error::General(error.to_string()));
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    // Nothing waits here, so that it is only passed through.
                    let start = self.pending.len();
                    encode(&mut data, &mut self.pending, &mut self.claims);
                    let own = self.pending.split_off(start);
                    records.resize(records.len() + own.len(), 0);
                    records[*filled..*filled + own.len()].copy_from_slice(&own);
                    *filled += own.len();
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.stage = Stage::Ended,
                _ => return Err(rustls::Error::HandshakeNotComplete),
            }
        }
    }

    fn write_records(&mut self, wire: &impl Wire, records: &[u8]) -> Transfer {
        let count = match wire.write(records) {
            Transfer::Done(count) => count,
            Transfer::Blocked => 0,
            broken @ Transfer::Broken(_) => return broken,
        };
        let plain = self.settle(count);
        if count < records.len() {
            self.pending.extend_from_slice(&records[count..]);
        }
        Transfer::Done(plain)
    }

    /// Says that nothing more will be sent (RFC 8446 6.1). Returns whether it is out, as far as it can be.
    pub(super) fn close(&mut self, wire: &impl Wire) -> bool {
        if !self.has_closed && self.stage != Stage::Handshake && self.stage != Stage::Failed {
            self.has_closed = true;
            let mut alert = [0; 128];
            let length = loop {
                match self.library.process_tls_records(&mut self.held).state {
                    Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                        break traffic.queue_close_notify(&mut alert).unwrap_or(0);
                    }
                    Ok(ConnectionState::EncodeTlsData(mut data)) => {
                        encode(&mut data, &mut self.pending, &mut self.claims);
                    }
                    Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                    Ok(ConnectionState::PeerClosed) => {}
                    _ => break 0,
                }
            };
            self.pending.extend_from_slice(&alert[..length]);
            self.claims.push_back(Claim {
                wire: length,
                plain: 0,
            });
        }
        !matches!(self.push(wire), Transfer::Blocked)
    }
}

/// Whether the bytes can only be the beginning of a request in plain HTTP: a record of TLS begins with a small number
/// (RFC 8446 5.1), a method with a letter.
fn looks_plain(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
}

/// Takes what the library has to say.
fn encode<Data>(
    data: &mut rustls::unbuffered::EncodeTlsData<'_, Data>,
    pending: &mut Vec<u8>,
    claims: &mut VecDeque<Claim>,
) {
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(error)) => error.required_size,
        _ => return,
    };
    let start = pending.len();
    pending.resize(start + needed, 0);
    // It has the room it has asked for.
    let length = data.encode(&mut pending[start..]).unwrap_or(0);
    pending.truncate(start + length);
    claims.push_back(Claim {
        wire: length,
        plain: 0,
    });
}

fn broken(text: &'static str) -> Transfer {
    Transfer::Broken(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Cuts runs into fragments, copying only where a fragment spans several.
struct Cursor<'a> {
    runs: &'a [IoSlice<'a>],
    index: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [IoSlice<'a>]) -> Self {
        Self {
            runs,
            index: 0,
            at: 0,
        }
    }

    fn next<'b>(&mut self, gathered: &'b mut Vec<u8>) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        let runs = self.runs;
        while self.at == runs.get(self.index)?.len() {
            self.index += 1;
            self.at = 0;
        }
        let rest = &runs[self.index][self.at..];
        let is_last = self.index + 1 == runs.len();
        if rest.len() >= FRAGMENT || is_last {
            let fragment = &rest[..rest.len().min(FRAGMENT)];
            self.at += fragment.len();
            return Some(fragment);
        }
        gathered.clear();
        while gathered.len() < FRAGMENT {
            let Some(run) = runs.get(self.index) else {
                break;
            };
            let rest = &run[self.at..];
            let part = &rest[..rest.len().min(FRAGMENT - gathered.len())];
            gathered.extend_from_slice(part);
            self.at += part.len();
            if self.at == run.len() {
                self.index += 1;
                self.at = 0;
            }
        }
        Some(gathered)
    }
}

#[cfg(test)]
mod tests;
