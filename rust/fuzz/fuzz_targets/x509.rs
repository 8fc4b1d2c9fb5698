//! Invariant: any bytes are a certificate or none; what is told of one is text without control characters.
#![no_main]

use hostler_engine::codec::x509::{Certificate, name_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for name in [name_text(data)] {
        assert!(!name.contains(char::is_control));
    }
    if let Some(found) = Certificate::parse(data) {
        for name in [name_text(found.subject), name_text(found.issuer)] {
            assert!(!name.contains(char::is_control));
        }
        assert!(
            found
                .serial_text()
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
        );
    }
});
