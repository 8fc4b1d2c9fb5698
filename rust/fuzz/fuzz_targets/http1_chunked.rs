//! Invariant: a chunked body decodes to the same data and end however its bytes are split, and never to more than the
//! limit or its own bytes.
#![no_main]

use hostler_engine::codec::http1::{ChunkedDecoder, Limits, Refusal};
use libfuzzer_sys::fuzz_target;

/// The data, the bytes used and whether the body ended, or the refusal; with reads of `step` bytes.
fn decode(bytes: &[u8], step: usize, limits: &Limits) -> (Vec<u8>, Result<(usize, bool), Refusal>) {
    let mut decoder = ChunkedDecoder::new(limits);
    let (mut data, mut used) = (Vec::new(), 0);
    for piece in bytes.chunks(step) {
        match decoder.decode(piece, |run| data.extend_from_slice(run)) {
            Err(refusal) => return (data, Err(refusal)),
            Ok(progress) => {
                used += progress.consumed;
                assert!(progress.finished || progress.consumed == piece.len());
                if progress.finished {
                    break;
                }
            }
        }
    }
    (data, Ok((used, decoder.is_finished())))
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else {
        return;
    };
    let tight = Limits {
        header_count: 2,
        header_size: 16,
        head_size: 40,
        body_size: 10,
        ..Limits::default()
    };
    for limits in [
        Limits::default(),
        Limits {
            body_size: 0,
            ..Limits::default()
        },
        tight,
    ] {
        let whole = decode(bytes, bytes.len().max(1), &limits);
        assert_eq!(whole, decode(bytes, usize::from(step).max(1), &limits));
        assert!(whole.0.len() <= bytes.len());
        assert!(limits.body_size == 0 || whole.0.len() as u64 <= limits.body_size);
        if let Ok((used, true)) = whole.1 {
            assert!(bytes[..used].ends_with(b"\r\n"));
        }
    }
});
