//! Session tickets (RFC 8446 4.6.1, RFC 5077): sealed with keys that all workers share.
//!
//! A ticket is the name of its key, a nonce, and what is sealed. The supervisor makes keys and throws the oldest away;
//! that, and not a time in the ticket, is what ends a ticket's life.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;

use super::Fault;

const NAME: usize = 16;
const SECRET: usize = 32;

/// The hint to clients: as long as a key lives at the least, in seconds. The supervisor makes a key every 12 hours and
/// keeps the one before it.
const LIFETIME: u32 = 12 * 60 * 60;

struct Key {
    name: [u8; NAME],
    key: RandomizedNonceKey,
}

/// Makes and opens tickets of one profile.
pub(super) struct Tickets {
    /// The first seals; all open.
    keys: Vec<Key>,
    /// What a ticket is good for: one given without a client certificate opens nothing where one is asked for.
    realm: Vec<u8>,
}

impl Tickets {
    /// From keys of 48 bytes, the newest first.
    pub(super) fn new(secrets: &[&[u8]], realm: Vec<u8>) -> Result<Self, Fault> {
        let keys = secrets
            .iter()
            .map(|bytes| Key::new(bytes))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Fault::new("a ticket key is malformed"))?;
        Ok(Self { keys, realm })
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let (name, secret) = bytes.split_first_chunk::<NAME>()?;
        if secret.len() != SECRET {
            return None;
        }
        Some(Self {
            name: *name,
            key: RandomizedNonceKey::new(&AES_256_GCM, secret).ok()?,
        })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tickets({} keys)", self.keys.len())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        !self.keys.is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let Key { name, key } = self.keys.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(self.realm.as_slice()), &mut sealed)
            .ok()?;
        Some([&name[..], nonce.as_ref(), &sealed].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = cipher.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let Key { key, .. } = self.keys.iter().find(|key| key.name == *name)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key
            .open_in_place(nonce, Aad::from(self.realm.as_slice()), &mut sealed)
            .ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(secrets: &[&[u8]], realm: &[u8]) -> Tickets {
        Tickets::new(secrets, realm.to_vec()).unwrap()
    }

    #[test]
    fn ticket_opens_while_its_key_is_known_and_for_its_realm_only() {
        let (old, new) = ([1_u8; 48], [2_u8; 48]);
        let ticket = tickets(&[&old], b"a").encrypt(b"session").unwrap();
        let after_rotation = tickets(&[&new, &old], b"a");
        assert_eq!(after_rotation.decrypt(&ticket).unwrap(), b"session");
        assert_eq!(tickets(&[&new], b"a").decrypt(&ticket), None);
        assert_eq!(tickets(&[&old], b"b").decrypt(&ticket), None);
    }

    #[test]
    fn damaged_or_foreign_ticket_opens_nothing() {
        let tickets = tickets(&[&[1_u8; 48]], b"");
        let ticket = tickets.encrypt(b"session").unwrap();
        for index in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[index] ^= 1;
            assert_eq!(tickets.decrypt(&damaged), None);
            assert_eq!(tickets.decrypt(&ticket[..index]), None);
        }
    }
}
