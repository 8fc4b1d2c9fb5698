//! What becomes of a request's header fields on their way to the application, and what is kept to make that cheap.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::codec::http1::Refusal;
use crate::trust::is_hidden;

/// Spellings of header names that are kept. Real clients have some dozens; the bound is for those who make up names.
const MAX_NAMES: usize = 1_024;
/// Client addresses that are kept as strings. Arbitrary.
const MAX_ADDRESSES: usize = 4_096;

const UNDERSCORE: Refusal = Refusal::bad_request("A header field's name contains an underscore.");

/// What to do with headers that have an underscore in their name: they collide with those that have a hyphen, in WSGI
/// and in the frameworks that give ASGI applications the same dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Underscores {
    Drop,
    Refuse,
    Allow,
}

impl Underscores {
    /// Reads the setting of the same name.
    pub(super) fn from_setting(setting: &str) -> Self {
        match setting {
            "refuse" => Self::Refuse,
            "allow" => Self::Allow,
            _ => Self::Drop,
        }
    }
}

/// A header name as it was spelled, and what is known of it.
#[derive(Debug)]
pub(super) struct Name<Key> {
    /// What the application gets.
    pub(super) key: Key,
    has_underscore: bool,
    hidden_from_trusted: bool,
    hidden_from_others: bool,
}

impl<Key> Name<Key> {
    fn new(raw: &[u8], key: Key) -> Self {
        let has_underscore = raw.contains(&b'_');
        // What describes the body is never another spelling's to say, not even where underscores are allowed.
        let forged = has_underscore
            && ["content-length", "content-type", "transfer-encoding"]
                .iter()
                .any(|known| is_spelling(raw, known.as_bytes()));
        Self {
            key,
            has_underscore,
            hidden_from_trusted: forged || is_hidden(raw, true),
            hidden_from_others: forged || is_hidden(raw, false),
        }
    }

    /// Whether the application gets to see the field.
    ///
    /// # Errors
    /// The refusal of the request, if that is what such names lead to.
    pub(super) fn admit(
        &self,
        is_trusted: bool,
        underscores: Underscores,
    ) -> Result<bool, Refusal> {
        if self.has_underscore {
            match underscores {
                Underscores::Drop => return Ok(false),
                Underscores::Refuse => return Err(UNDERSCORE),
                Underscores::Allow => {}
            }
        }
        Ok(!if is_trusted {
            self.hidden_from_trusted
        } else {
            self.hidden_from_others
        })
    }
}

/// Whether `raw` is `name` in any case, with underscores for hyphens.
fn is_spelling(raw: &[u8], name: &[u8]) -> bool {
    raw.len() == name.len()
        && raw.iter().zip(name).all(|(byte, known)| {
            byte.eq_ignore_ascii_case(known) || (*byte == b'_' && *known == b'-')
        })
}

/// FNV-1a: short names, a bounded map, and no secret to keep.
#[derive(Debug, Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The names that were seen, by spelling.
#[derive(Debug)]
pub(super) struct Names<Key> {
    known: HashMap<Vec<u8>, Name<Key>, BuildHasherDefault<Fnv>>,
}

impl<Key> Names<Key> {
    pub(super) fn new() -> Self {
        Self {
            known: HashMap::default(),
        }
    }

    /// The entry of a spelling; `make` gives the key of one that is new.
    pub(super) fn find(&mut self, raw: &[u8], make: impl FnOnce() -> Key) -> Option<&Name<Key>> {
        if !self.known.contains_key(raw) {
            if self.known.len() >= MAX_NAMES {
                self.known.clear();
            }
            self.known.insert(raw.to_vec(), Name::new(raw, make()));
        }
        self.known.get(raw)
    }
}

/// Addresses of clients as Python strings.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: HashMap<IpAddr, Py<PyString>, BuildHasherDefault<Fnv>>,
}

impl Addresses {
    /// The address in text.
    pub(super) fn text(&mut self, py: Python<'_>, address: IpAddr) -> Py<PyString> {
        if let Some(text) = self.known.get(&address) {
            return text.clone_ref(py);
        }
        let text = PyString::new(py, &address.to_string()).unbind();
        if self.known.len() >= MAX_ADDRESSES {
            self.known.clear();
        }
        self.known.insert(address, text.clone_ref(py));
        text
    }
}
