//! Invariant: a head parses to the same result however its bytes are split; what is accepted lies within its own
//! bytes and has no line end inside.
#![no_main]

use hostler_engine::codec::http1::path::decode_path;
use hostler_engine::codec::http1::{Head, Limits, Progress, Refusal, Scanned, Version, parse_head};
use libfuzzer_sys::fuzz_target;

/// Reads of `step` bytes, until the head is complete or refused.
fn parse_in_steps(
    bytes: &[u8],
    step: usize,
    limits: &Limits,
    head: &mut Head,
) -> Result<Progress, Refusal> {
    let mut scanned = Scanned::default();
    let mut end = 0;
    loop {
        end = (end + step).min(bytes.len());
        match parse_head(&bytes[..end], &mut scanned, limits, head)? {
            Progress::Partial if end < bytes.len() => {}
            progress => return Ok(progress),
        }
    }
}

fn check_head(bytes: &[u8], head: &Head) {
    assert!(head.len <= bytes.len() && bytes[..head.len].ends_with(b"\r\n\r\n"));
    assert!(!head.method.is_empty() && !head.target.is_empty() && !head.path.is_empty());
    assert!(head.version == Version::Http10 || head.host.is_some());
    for field in &head.fields {
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        assert!(
            !name.is_empty()
                && name
                    .iter()
                    .all(|octet| octet.is_ascii_graphic() && *octet != b':')
        );
        assert!(!value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)));
        assert_eq!(value.trim_ascii(), value);
    }
    let mut path = Vec::new();
    if decode_path(head.path.of(bytes), &mut path).is_ok() {
        assert!(!path.contains(&0));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else {
        return;
    };
    let tight = Limits {
        request_line: 64,
        header_count: 4,
        header_size: 48,
        head_size: 200,
        body_size: 100,
    };
    for limits in [Limits::default(), tight] {
        let (mut whole, mut split) = (Head::new(), Head::new());
        let result = parse_head(bytes, &mut Scanned::default(), &limits, &mut whole);
        assert_eq!(
            result,
            parse_in_steps(bytes, usize::from(step).max(1), &limits, &mut split)
        );
        if result.is_err() {
            assert_eq!(whole.method.of(bytes), split.method.of(bytes));
        }
        if result == Ok(Progress::Complete) {
            assert_eq!(format!("{whole:?}"), format!("{split:?}"));
            check_head(bytes, &whole);
        }
    }
});
