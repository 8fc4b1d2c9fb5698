//! The file in memory through which the supervisor gives its workers certificates and keys. `hostler.tls.contents` writes
//! its records.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::Fault;
use super::handed::{Handed, malformed, record};
use super::material::{Offer, Source};
use super::profile::{ClientAuth, Demands, Profile};
use super::resolver::Resolver;

/// Far above what a thousand certificates take.
const MAX_LENGTH: u64 = 64 << 20;

/// Letters of records.
mod letter {
    /// A ticket key; the newest first.
    pub(super) const TICKET_KEY: u8 = b'K';
    /// A profile begins: the least version (2 or 3), and whether clients are asked for a certificate (0 to 2).
    pub(super) const PROFILE: u8 = b'P';
    /// The authorities of its client certificates.
    pub(super) const CLIENT_CA: u8 = b'A';
    /// A certificate of the profile begins: its name.
    pub(super) const CERTIFICATE: u8 = b'N';
    /// A certificate that answers an authority begins (RFC 8737): the name it is for.
    pub(super) const CHALLENGE: u8 = b'L';
    /// The chain of a certificate.
    pub(super) const CHAIN: u8 = b'C';
    /// Its key.
    pub(super) const KEY: u8 = b'S';
    /// An answer of OCSP about it.
    pub(super) const OCSP: u8 = b'O';
}

/// All that TLS listeners need, built.
#[derive(Debug, Default)]
pub struct Contents {
    profiles: Vec<Arc<Profile>>,
    /// What is not wrong but should be known.
    pub warnings: Vec<String>,
}

/// A profile as it is read.
#[derive(Default)]
struct Draft<'a> {
    demands: Demands<'a>,
    certificates: Vec<Source<'a>>,
    challenges: Vec<Source<'a>>,
    is_challenge: bool,
}

impl<'a> Draft<'a> {
    fn new(flags: &[u8]) -> Self {
        let mut draft = Self::default();
        draft.demands.is_modern_only = flags.first() == Some(&3);
        draft.demands.client_auth = match flags.get(1) {
            Some(1) => ClientAuth::Optional,
            Some(2) => ClientAuth::Required,
            _ => ClientAuth::None,
        };
        draft
    }

    fn begin(&mut self, name: &'a [u8], is_challenge: bool) {
        self.is_challenge = is_challenge;
        let source = Source {
            name: std::str::from_utf8(name).unwrap_or("?"),
            ..Source::default()
        };
        if is_challenge {
            self.challenges.push(source);
        } else {
            self.certificates.push(source);
        }
    }

    fn last(&mut self) -> Option<&mut Source<'a>> {
        if self.is_challenge {
            self.challenges.last_mut()
        } else {
            self.certificates.last_mut()
        }
    }

    fn build(self, keys: &[&[u8]], now: i64, warnings: &mut Vec<String>) -> Result<Profile, Fault> {
        let offers = self
            .certificates
            .iter()
            .map(|source| Offer::load(source, now))
            .collect::<Result<Vec<_>, _>>()?;
        let challenges = self
            .challenges
            .iter()
            .map(|source| {
                let offer = Offer::load(source, now)?;
                Ok((source.name.to_ascii_lowercase(), offer.key))
            })
            .collect::<Result<HashMap<String, Arc<CertifiedKey>>, Fault>>()?;
        let resolver = Resolver::new(offers, challenges);
        for warning in resolver.warnings() {
            if !warnings.iter().any(|known| known == warning) {
                warnings.push(warning.to_owned());
            }
        }
        Profile::build(&self.demands, resolver, keys)
    }
}

impl Contents {
    /// Reads records and builds what they describe; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// With what is wrong, naming the file it is in.
    pub fn build(bytes: &[u8], now: i64) -> Result<Self, Fault> {
        let mut contents = Self::default();
        let mut keys: Vec<&[u8]> = Vec::new();
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        let mut rest = bytes;
        while let Some((letter, value, behind)) = record(rest)? {
            rest = behind;
            match (letter, drafts.last_mut()) {
                (letter::TICKET_KEY, _) => keys.push(value),
                (letter::PROFILE, _) => drafts.push(Draft::new(value)),
                (letter::CLIENT_CA, Some(draft)) => draft.demands.client_ca = value,
                (letter::CERTIFICATE, Some(draft)) => draft.begin(value, false),
                (letter::CHALLENGE, Some(draft)) => draft.begin(value, true),
                (letter, Some(draft)) => {
                    let Some(source) = draft.last() else {
                        return Err(malformed());
                    };
                    match letter {
                        letter::CHAIN => source.chain = value,
                        letter::KEY => source.key = value,
                        letter::OCSP => source.ocsp = value,
                        _ => return Err(malformed()),
                    }
                }
                _ => return Err(malformed()),
            }
        }
        for draft in drafts {
            let profile = draft.build(&keys, now, &mut contents.warnings)?;
            contents.profiles.push(Arc::new(profile));
        }
        Ok(contents)
    }

    /// The profile of a listener.
    #[must_use]
    pub fn profile(&self, index: usize) -> Option<&Arc<Profile>> {
        self.profiles.get(index)
    }
}

/// The file, and what was in it when it was last read.
#[derive(Debug)]
pub struct Store {
    file: Handed,
    /// What was in it.
    pub contents: Contents,
}

impl Store {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// When it cannot be read, or what is in it cannot be used.
    pub fn open(fd: OwnedFd, now: i64) -> Result<Self, Fault> {
        let mut store = Self {
            file: Handed::new(fd, "the certificates", MAX_LENGTH),
            contents: Contents::default(),
        };
        store.read(now)?;
        Ok(store)
    }

    /// Reads the file again if it has changed. What was there stays if what is there now cannot be used.
    ///
    /// # Errors
    /// When it cannot be read, or what is in it cannot be used; not again before it has changed once more.
    pub fn refresh(&mut self, now: i64) -> Result<(), Fault> {
        if self.file.has_changed()? {
            self.read(now)
        } else {
            Ok(())
        }
    }

    fn read(&mut self, now: i64) -> Result<(), Fault> {
        let bytes = self.file.read()?;
        self.contents = Contents::build(&bytes, now)?;
        Ok(())
    }
}
