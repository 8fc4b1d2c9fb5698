//! Sessions over a wire in memory, with the library's own client at the other end.

use super::*;
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};

use rustls::HandshakeKind::{Full, Resumed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::tls::{Contents, Profile};

const CA: &[u8] = include_bytes!("../../../tests/tls/ca.pem");
const CHAIN: &[u8] = include_bytes!("../../../tests/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../../tests/tls/server.key");
const OTHER_CHAIN: &[u8] = include_bytes!("../../../tests/tls/other.pem");
const OTHER_KEY: &[u8] = include_bytes!("../../../tests/tls/other.key");
const CLIENT_CHAIN: &[u8] = include_bytes!("../../../tests/tls/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("../../../tests/tls/client.key");

/// What the server has sent waits in `out`, what it is to receive in `into`.
#[derive(Default)]
struct Memory {
    into: RefCell<VecDeque<u8>>,
    out: RefCell<Vec<u8>>,
    /// How much the socket still takes.
    room: Cell<usize>,
    /// How much one read brings at the most.
    portion: Cell<usize>,
    has_ended: Cell<bool>,
}

impl Memory {
    fn new() -> Self {
        let wire = Self::default();
        wire.room.set(usize::MAX);
        wire.portion.set(usize::MAX);
        wire
    }
}

impl Wire for Memory {
    fn read(&self, buffer: &mut [u8]) -> Transfer {
        let mut into = self.into.borrow_mut();
        if into.is_empty() {
            return if self.has_ended.get() {
                Transfer::Done(0)
            } else {
                Transfer::Blocked
            };
        }
        let count = buffer.len().min(self.portion.get()).min(into.len());
        for (place, byte) in buffer.iter_mut().zip(into.drain(..count)) {
            *place = byte;
        }
        Transfer::Done(count)
    }

    fn write(&self, bytes: &[u8]) -> Transfer {
        let count = bytes.len().min(self.room.get());
        if count == 0 {
            return Transfer::Blocked;
        }
        self.room.set(self.room.get() - count);
        self.out.borrow_mut().extend_from_slice(&bytes[..count]);
        Transfer::Done(count)
    }
}

fn record(letter: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_le_bytes();
    [&[letter], &length[..], value].concat()
}

fn contents(client_auth: u8, key: u8) -> Vec<u8> {
    [
        record(b'K', &[key; 48]),
        record(b'P', &[2, client_auth]),
        record(b'A', CA),
        record(b'N', b"server.pem"),
        record(b'C', CHAIN),
        record(b'S', KEY),
        record(b'N', b"other.pem"),
        record(b'C', OTHER_CHAIN),
        record(b'S', OTHER_KEY),
    ]
    .concat()
}

fn profile(client_auth: u8, key: u8) -> Arc<Profile> {
    let built = Contents::build(&contents(client_auth, key), 1_900_000_000).unwrap();
    Arc::clone(built.profile(0).unwrap())
}

fn client_config(with_certificate: bool) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(CA).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = if with_certificate {
        let chain = CertificateDer::pem_slice_iter(CLIENT_CHAIN)
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(CLIENT_KEY).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

struct Pair {
    session: Session,
    client: ClientConnection,
    wire: Memory,
    /// Plain bytes that the server has received.
    received: Vec<u8>,
    /// Plain bytes that the client has received.
    answered: Vec<u8>,
}

impl Pair {
    fn new(profile: &Profile, config: Arc<ClientConfig>, name: &'static str) -> Self {
        Self {
            session: Session::new(profile.config(true)).unwrap(),
            client: ClientConnection::new(config, ServerName::try_from(name).unwrap()).unwrap(),
            wire: Memory::new(),
            received: Vec::new(),
            answered: Vec::new(),
        }
    }

    fn usual() -> Self {
        Self::new(&profile(0, 1), client_config(false), "server.test")
    }

    /// Moves bytes both ways until nothing moves any more.
    fn turn(&mut self) -> Result<(), String> {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let was_quiet = bytes.is_empty();
            self.wire.into.borrow_mut().extend(bytes);
            let mut buffer = vec![0; 65_536];
            loop {
                match self.session.receive(&self.wire, &mut buffer) {
                    Transfer::Done(count) if count > 0 => {
                        self.received.extend_from_slice(&buffer[..count]);
                    }
                    Transfer::Blocked if self.session.is_behind() => {}
                    Transfer::Done(_) | Transfer::Blocked => break,
                    Transfer::Broken(error) => return Err(error.to_string()),
                }
            }
            let sent = std::mem::take(&mut *self.wire.out.borrow_mut());
            let mut rest = &sent[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                self.client
                    .process_new_packets()
                    .map_err(|error| error.to_string())?;
                // It ends where nothing more was sent.
                let _ = self.client.reader().read_to_end(&mut self.answered);
            }
            if was_quiet && sent.is_empty() {
                return Ok(());
            }
        }
    }
}

#[test]
fn request_and_answer_pass_however_the_bytes_are_split() {
    for portion in [1, 7, 100, usize::MAX] {
        let mut pair = Pair::usual();
        pair.wire.portion.set(portion);
        pair.client.writer().write_all(b"GET").unwrap();
        pair.turn().unwrap();
        assert!(!pair.session.is_handshaking());
        assert_eq!(pair.received, b"GET");
        assert_eq!(pair.session.protocol(), Some(&b"http/1.1"[..]));
        let sent = pair.session.send(
            &pair.wire,
            &[
                IoSlice::new(b"head"),
                IoSlice::new(b""),
                IoSlice::new(b"body"),
            ],
        );
        assert!(matches!(sent, Transfer::Done(8)));
        pair.turn().unwrap();
        assert_eq!(pair.answered, b"headbody");
        assert_eq!(pair.session.in_memory(), 0);
    }
}

#[test]
fn slow_reader_gets_every_byte_once_and_only_whole_records_count() {
    let mut pair = Pair::usual();
    pair.turn().unwrap();
    let body: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut sent, mut rounds) = (0, 0);
    while sent < body.len() {
        pair.wire.room.set(9_000);
        let runs = [
            IoSlice::new(&body[sent..(sent + 10_000).min(body.len())]),
            IoSlice::new(&body[(sent + 10_000).min(body.len())..]),
        ];
        match pair.session.send(&pair.wire, &runs) {
            Transfer::Done(count) => sent += count,
            Transfer::Blocked => {}
            Transfer::Broken(error) => panic!("{error}"),
        }
        rounds += 1;
        let waiting = pair.session.in_memory();
        assert!(waiting < 2 * BATCH * (FRAGMENT + OVERHEAD), "{waiting}");
    }
    assert!(rounds > 100);
    pair.wire.room.set(usize::MAX);
    pair.turn().unwrap();
    assert_eq!(pair.answered, body);
}

#[test]
fn end_is_told_to_the_client_and_by_it() {
    let mut pair = Pair::usual();
    pair.turn().unwrap();
    pair.wire.room.set(0);
    assert!(!pair.session.close(&pair.wire));
    pair.wire.room.set(usize::MAX);
    assert!(pair.session.close(&pair.wire));
    pair.client.send_close_notify();
    pair.turn().unwrap();
    let mut nothing = [0];
    assert_eq!(pair.client.reader().read(&mut nothing).unwrap(), 0);
    let ended = pair.session.receive(&pair.wire, &mut [0; 100]);
    assert!(matches!(ended, Transfer::Done(0)));
}

#[test]
fn certificate_is_chosen_by_name() {
    for (name, expected) in [
        ("server.test", CHAIN),
        ("www.other.test", OTHER_CHAIN),
        ("other.test", OTHER_CHAIN),
    ] {
        let mut pair = Pair::new(&profile(0, 1), client_config(false), name);
        pair.turn().unwrap();
        let own = CertificateDer::from_pem_slice(expected).unwrap();
        assert_eq!(pair.client.peer_certificates().unwrap()[0], own);
        let facts = pair.session.facts().unwrap();
        assert_eq!(facts.server_name.as_deref(), Some(name));
        let told = facts.server_certificate.as_deref().unwrap();
        assert_eq!(
            CertificateDer::from_pem_slice(told.as_bytes()).unwrap(),
            own
        );
        assert_eq!(
            (facts.version, facts.version_number, facts.cipher_number),
            ("TLSv1.3", 0x0304, 0x1301)
        );
    }
    let mut pair = Pair::new(&profile(0, 1), client_config(false), "unknown.test");
    assert!(pair.turn().is_err(), "the first certificate is not for it");
}

#[test]
fn client_certificate_is_told_and_its_absence_refused_where_one_is_required() {
    let mut pair = Pair::new(&profile(2, 1), client_config(true), "server.test");
    pair.turn().unwrap();
    let facts = Arc::clone(pair.session.facts().unwrap());
    let client = facts.client.as_ref().unwrap();
    assert_eq!(client.subject, "CN=Alice,O=Shop\\, Ltd,C=DE");
    assert_eq!(client.issuer, "CN=Test authority");
    assert_eq!(client.chain.len(), 1);
    let mut pair = Pair::new(&profile(2, 1), client_config(false), "server.test");
    assert!(pair.turn().is_err());
    let mut pair = Pair::new(&profile(1, 1), client_config(false), "server.test");
    pair.turn().unwrap();
    assert!(pair.session.facts().unwrap().client.is_none());
}

#[test]
fn session_goes_on_with_another_worker_that_has_the_key() {
    let config = client_config(false);
    let mut kinds = Vec::new();
    for (client_auth, key) in [(0, 1), (0, 1), (0, 2), (1, 2)] {
        let mut pair = Pair::new(
            &profile(client_auth, key),
            Arc::clone(&config),
            "server.test",
        );
        pair.turn().unwrap();
        kinds.push(pair.client.handshake_kind().unwrap());
    }
    // Neither with another key, nor where a certificate is asked for that was not before.
    assert_eq!(kinds, [Full, Resumed, Full, Full]);
}

#[test]
fn plain_http_is_known_and_nothing_is_sent() {
    let mut pair = Pair::usual();
    pair.wire
        .into
        .borrow_mut()
        .extend(b"GET / HTTP/1.1\r\n\r\n");
    let transfer = pair.session.receive(&pair.wire, &mut [0; 4_096]);
    assert!(matches!(transfer, Transfer::Broken(_)));
    assert!(pair.session.is_plain());
    assert!(pair.wire.out.borrow().is_empty());
}

#[test]
fn what_is_no_tls_is_answered_with_an_alert_and_ends() {
    let too_long = [&[22, 3, 3, 0x48, 0x01][..], &vec![0; 18_433]].concat();
    let unknown = [200, 3, 3, 0, 1, 0].to_vec();
    let early = [23, 3, 3, 0, 1, 0].to_vec();
    for bytes in [too_long, unknown, early] {
        let mut pair = Pair::usual();
        pair.wire.into.borrow_mut().extend(&bytes);
        let transfer = pair.session.receive(&pair.wire, &mut vec![0; 65_536]);
        assert!(matches!(transfer, Transfer::Broken(_)), "{bytes:?}");
        assert!(!pair.session.is_plain());
        assert_eq!(pair.wire.out.borrow()[0], 21);
    }
}

#[test]
fn message_without_end_is_not_kept_for_ever() {
    let mut pair = Pair::usual();
    let start = [&[22, 3, 3, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 16_380]].concat();
    pair.wire.into.borrow_mut().extend(&start);
    let mut most = 0;
    for _ in 0..10 {
        let more = [&[22, 3, 3, 0x40, 0][..], &[0; 16_384]].concat();
        pair.wire.into.borrow_mut().extend(&more);
        let transfer = pair.session.receive(&pair.wire, &mut vec![0; 65_536]);
        most = most.max(pair.session.in_memory());
        if matches!(transfer, Transfer::Broken(_)) {
            assert!(most <= 2 * MAX_HELD, "{most}");
            return;
        }
    }
    panic!("{most} bytes are held");
}

#[test]
fn changed_byte_ends_the_connection() {
    let mut pair = Pair::usual();
    pair.turn().unwrap();
    pair.client.writer().write_all(b"request").unwrap();
    let mut bytes = Vec::new();
    pair.client.write_tls(&mut bytes).unwrap();
    bytes[10] ^= 1;
    pair.wire.into.borrow_mut().extend(bytes);
    let transfer = pair.session.receive(&pair.wire, &mut [0; 4_096]);
    assert!(matches!(transfer, Transfer::Broken(_)));
    let sent = pair.session.send(&pair.wire, &[IoSlice::new(b"x")]);
    assert!(matches!(sent, Transfer::Broken(_)));
}

#[test]
fn client_that_only_sends_empty_records_leaves_others_their_turn() {
    let mut pair = Pair::usual();
    pair.turn().unwrap();
    pair.wire.portion.set(30);
    for _ in 0..50 {
        // A record without content, as the client itself would not send it.
        pair.client.refresh_traffic_keys().unwrap();
        let mut bytes = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut bytes).unwrap();
        }
        pair.wire.into.borrow_mut().extend(bytes);
    }
    let transfer = pair.session.receive(&pair.wire, &mut [0; 4_096]);
    assert!(matches!(transfer, Transfer::Blocked | Transfer::Broken(_)));
    assert!(!pair.wire.into.borrow().is_empty());
}
