//! Invariant: a header is parsed to the same result however its bytes are split, and lies within the bytes and the limit.
#![no_main]

use hostler_engine::codec::proxy::{Fault, Limits, Progress, parse};
use libfuzzer_sys::fuzz_target;

/// Reads of `step` bytes, until there is a result.
fn parse_in_steps<'a>(
    bytes: &'a [u8],
    step: usize,
    limits: &Limits,
) -> Result<Progress<'a>, Fault> {
    let mut end = 0;
    loop {
        end = (end + step).min(bytes.len());
        let result = parse(&bytes[..end], limits);
        if result != Ok(Progress::Partial) || end == bytes.len() {
            return result;
        }
    }
}

// Input: the size of the reads, then the bytes.
fuzz_target!(|data: &[u8]| {
    let Some((&step, bytes)) = data.split_first() else {
        return;
    };
    for limits in [Limits::default(), Limits { size: 60 }] {
        let whole = parse(bytes, &limits);
        assert_eq!(
            whole,
            parse_in_steps(bytes, usize::from(step).max(1), &limits)
        );
        match whole {
            Ok(Progress::Complete { len, told }) => {
                assert!(len <= bytes.len() && len <= limits.size.max(107));
                assert!(!told.is_local || told.endpoints.is_none());
                assert!(
                    told.unique_id
                        .is_none_or(|id| (1..=128).contains(&id.len()))
                );
                let texts = [told.authority, told.ssl.and_then(|ssl| ssl.common_name)];
                for text in texts.into_iter().flatten() {
                    assert!(!text.is_empty() && !text.contains(char::is_control));
                }
            }
            Ok(Progress::Partial) => assert!(bytes.len() < limits.size.max(107)),
            Err(_) => {}
        }
    }
});
