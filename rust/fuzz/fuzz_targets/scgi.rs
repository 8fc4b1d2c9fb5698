//! Invariant: a request is parsed to the same result however its bytes are split; a head that is accepted has exactly the
//! lines of its fields, and no field about a connection.
#![no_main]

use hostler_engine::codec::gateway::Told;
use hostler_engine::codec::http1::{Head, Limits, Refusal};
use hostler_engine::codec::scgi::{Progress, parse_request};
use libfuzzer_sys::fuzz_target;

type Outcome = (Result<Progress, Refusal>, Vec<u8>, Head, Told);

/// Reads of `step` bytes, until there is a result.
fn parse_in_steps(received: &[u8], step: usize, limits: &Limits) -> Outcome {
    let (mut bytes, mut head, mut told) = (Vec::new(), Head::new(), Told::default());
    let mut end = 0;
    loop {
        end = (end + step).min(received.len());
        let result = parse_request(&received[..end], limits, &mut bytes, &mut head, &mut told);
        if result != Ok(Progress::Partial) || end == received.len() {
            return (result, bytes, head, told);
        }
    }
}

fn check(bytes: &[u8], head: &Head, told: &Told) {
    let text = &bytes[..head.len];
    assert!(text.ends_with(b"\r\n\r\n") && !text.contains(&0));
    let ends = |octet| text.iter().filter(|found| **found == octet).count();
    assert_eq!(ends(b'\n'), head.fields.len() + 2);
    assert_eq!(ends(b'\r'), head.fields.len() + 2);
    for span in [head.target, head.path, head.query, told.whole_path] {
        assert!(span.end as usize <= bytes.len());
        assert!(span.of(bytes).iter().all(u8::is_ascii_graphic));
    }
    for field in &head.fields {
        let name = field.name.of(bytes);
        assert!(!name.eq_ignore_ascii_case(b"connection"));
        assert!(!name.eq_ignore_ascii_case(b"transfer-encoding"));
        assert!(!name.eq_ignore_ascii_case(b"upgrade"));
    }
    for (name, _) in &told.variables {
        let name = name.of(bytes);
        assert!(!name.starts_with(b"UWSGI_") && !name.starts_with(b"HTTP_"));
    }
}

// Input: the size of the reads, then the bytes.
fuzz_target!(|data: &[u8]| {
    let Some((&step, received)) = data.split_first() else {
        return;
    };
    let tight = Limits {
        request_line: 64,
        header_count: 4,
        header_size: 48,
        head_size: 300,
        body_size: 100,
    };
    for limits in [Limits::default(), tight] {
        let whole = parse_in_steps(received, received.len().max(1), &limits);
        let split = parse_in_steps(received, usize::from(step).max(1), &limits);
        assert_eq!(whole.0, split.0);
        if let Ok(Progress::Request { len }) = whole.0 {
            assert!(len <= received.len());
            assert_eq!((&whole.1, &whole.3), (&split.1, &split.3));
            assert_eq!(format!("{:?}", whole.2), format!("{:?}", split.2));
            check(&whole.1, &whole.2, &whole.3);
        }
    }
});
