//! Invariant: whatever a client sends in the place of a handshake, the server holds a bounded amount of it, and never believes
//! that the handshake is over.
#![no_main]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use hostler_engine::net::{Stream, Transfer};
use hostler_engine::tls::{Contents, Profile};
use libfuzzer_sys::fuzz_target;

const CHAIN: &[u8] = include_bytes!("../../tests/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../tests/tls/server.key");

static PROFILE: LazyLock<Arc<Profile>> = LazyLock::new(|| {
    let record = |letter: u8, value: &[u8]| {
        let length = u32::try_from(value.len()).unwrap().to_le_bytes();
        [&[letter], &length[..], value].concat()
    };
    let contents = [
        record(b'K', &[7; 48]),
        record(b'P', &[2, 0]),
        record(b'N', b"server.pem"),
        record(b'C', CHAIN),
        record(b'S', KEY),
    ]
    .concat();
    let built = Contents::build(&contents, 1_900_000_000).unwrap();
    Arc::clone(built.profile(0).unwrap())
});

// Input: the size of the pieces in which the rest arrives, in units of 16 bytes.
fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else {
        return;
    };
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut stream = Stream::new(ours.into());
    stream.secure(&PROFILE, true).unwrap();
    let mut buffer = vec![0; 65_536];
    for piece in bytes.chunks(usize::from(step) * 16 + 1) {
        theirs.write_all(piece).unwrap();
        match stream.receive(&mut buffer) {
            Transfer::Blocked => {}
            Transfer::Broken(_) => return,
            Transfer::Done(count) => panic!("{count} bytes came through"),
        }
        assert!(stream.is_handshaking());
        assert!(stream.in_memory() <= 200_000, "{}", stream.in_memory());
    }
});
