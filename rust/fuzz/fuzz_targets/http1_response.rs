//! Invariant: no status and fields that pass the checks can write a head with more lines than intended, or two
//! framings.
#![no_main]

use hostler_engine::codec::http1::{
    BodyFraming, FieldKind, ResponseFields, Version, check_status, finish_head, plan_response,
    write_field, write_status_line,
};
use libfuzzer_sys::fuzz_target;

const DATE: &[u8; 29] = b"Thu, 01 Jan 1970 00:00:00 GMT";

/// Input: one byte of choices, then status, name, value, name, value, ... separated by 0xFF 0xFE.
fn write(
    choices: u8,
    mut parts: impl Iterator<Item = Vec<u8>>,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let status = parts.next()?;
    let code = check_status(&status).ok()?;
    write_status_line(out, &status);
    let mut lines = 1;
    let mut seen = ResponseFields::default();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        match seen.add(&name, &value).ok()? {
            FieldKind::ContentLength(_) => {}
            _ => {
                write_field(out, &name, &value);
                lines += 1;
            }
        }
    }
    let version = if choices & 1 == 0 {
        Version::Http11
    } else {
        Version::Http10
    };
    let known = (choices & 2 != 0).then_some(u64::from(choices));
    let plan = plan_response(
        choices & 4 != 0,
        version,
        choices & 8 != 0,
        code,
        seen.content_length,
        known,
    );
    assert_eq!(plan.suppress_body, plan.body == BodyFraming::None);
    assert!(plan.body != BodyFraming::UntilClose || !plan.keep_alive);
    finish_head(out, &plan, &seen, DATE, b"hostler");
    lines += usize::from(plan.content_length.is_some() || plan.body == BodyFraming::Chunked);
    lines += usize::from(!plan.keep_alive || version == Version::Http10);
    lines += usize::from(!seen.has_date) + usize::from(!seen.has_server) + 1;
    Some(lines)
}

fn split(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some(place) = data.windows(2).position(|pair| pair == [0xff, 0xfe]) {
        parts.push(data[..place].to_vec());
        data = &data[place + 2..];
    }
    parts.push(data.to_vec());
    parts
}

fuzz_target!(|data: &[u8]| {
    let Some((&choices, rest)) = data.split_first() else {
        return;
    };
    let mut out = Vec::new();
    let Some(lines) = write(choices, split(rest).into_iter(), &mut out) else {
        return;
    };
    assert_eq!(out.iter().filter(|octet| **octet == b'\n').count(), lines);
    assert_eq!(out.iter().filter(|octet| **octet == b'\r').count(), lines);
    assert!(out.ends_with(b"\r\n\r\n"));
    let framings = out.split(|octet| *octet == b'\n').filter(|line| {
        let name = line
            .split(|octet| *octet == b':')
            .next()
            .unwrap_or_default();
        name.eq_ignore_ascii_case(b"content-length")
            || name.eq_ignore_ascii_case(b"transfer-encoding")
    });
    assert!(framings.count() <= 1);
});
