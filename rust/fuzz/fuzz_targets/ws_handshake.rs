//! Invariant: whatever the fields, a handshake is judged without a panic; what is accepted makes an answer of exactly
//! the lines intended, within the bounds of the settings and of the offer.
#![no_main]

use hostler_engine::codec::ws::{DeflateSettings, check_upgrade, write_switch};
use libfuzzer_sys::fuzz_target;

const SETTINGS: [Option<DeflateSettings>; 3] = [
    None,
    Some(DeflateSettings {
        context_takeover: false,
        window_bits: 9,
        level: 1,
        mem_level: 1,
    }),
    Some(DeflateSettings {
        context_takeover: true,
        window_bits: 15,
        level: 1,
        mem_level: 1,
    }),
];

/// Lines of a name, a colon and a value, as a head that was accepted has them.
fn fields(data: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    data.split(|octet| *octet == b'\n').filter_map(|line| {
        let colon = line.iter().position(|octet| *octet == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

fuzz_target!(|data: &[u8]| {
    for settings in SETTINGS {
        let Some(judged) = check_upgrade(b"GET", true, fields(data), settings) else {
            return;
        };
        let upgrade = match judged {
            Ok(upgrade) => upgrade,
            Err(refusal) => {
                assert!(matches!(refusal.status, 400 | 426));
                continue;
            }
        };
        assert!(upgrade.deflate.is_none() || settings.is_some());
        if let (Some(agreement), Some(settings)) = (upgrade.deflate, settings) {
            assert!((9..=settings.window_bits).contains(&agreement.deflate.window_bits));
            assert!((9..=15).contains(&agreement.inflate.window_bits));
            assert!(settings.context_takeover || !agreement.inflate.context_takeover);
            assert!(settings.context_takeover || !agreement.deflate.context_takeover);
        }
        let mut out = Vec::new();
        let subprotocol = upgrade.subprotocols.first().copied();
        write_switch(
            &mut out,
            &upgrade.accept,
            subprotocol,
            upgrade.deflate.as_ref(),
        );
        let lines = 4 + usize::from(subprotocol.is_some()) + usize::from(upgrade.deflate.is_some());
        assert_eq!(out.iter().filter(|octet| **octet == b'\n').count(), lines);
        assert_eq!(out.iter().filter(|octet| **octet == b'\r').count(), lines);
        assert!(out.iter().all(|octet| octet.is_ascii()));
    }
});
