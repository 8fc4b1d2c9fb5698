//! Extensions of version 2: a type, a length, a value (TLV), and within SSL the same again.

use core::str;

use super::checksum::crc32c;
use super::{Fault, Told};

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const SSL_SIG_ALG: u8 = 0x24;
const SSL_KEY_ALG: u8 = 0x25;

/// Longest `UNIQUE_ID`, as the specification says.
const MAX_UNIQUE_ID: usize = 128;

const MALFORMED: Fault = Fault::new("an extension of the PROXY header is longer than the header");
const REPEATED: Fault = Fault::new("an extension of the PROXY header is there twice");
const CHECKSUM: Fault = Fault::new("the checksum of the PROXY header is wrong");
const CHECKSUM_SIZE: Fault = Fault::new("the checksum of the PROXY header does not have 4 bytes");
const ID_TOO_LONG: Fault = Fault::new("the unique id of the PROXY header is empty or too long");
const TEXT: Fault =
    Fault::new("a text of the PROXY header is empty, is not UTF-8 or has a control character");
const SSL_TOO_SHORT: Fault = Fault::new("the SSL extension of the PROXY header is too short");

/// What is told about the client's TLS connection.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one machine"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ssl<'a> {
    /// The client connected over TLS.
    pub is_tls: bool,
    /// The client gave a certificate on this connection.
    pub has_certificate: bool,
    /// The client gave a certificate in the TLS session that this connection belongs to.
    pub session_has_certificate: bool,
    /// The client's certificate was verified: the field `verify` is 0, which alone says nothing if there was none.
    pub is_verified: bool,
    /// The version of TLS, such as `TLSv1.3`.
    pub version: Option<&'a str>,
    /// The common name of the certificate's subject.
    pub common_name: Option<&'a str>,
    /// The cipher suite.
    pub cipher: Option<&'a str>,
    /// How the certificate is signed.
    pub signature_algorithm: Option<&'a str>,
    /// The kind of the certificate's key.
    pub key_algorithm: Option<&'a str>,
}

/// Extensions one by one.
struct Extensions<'a> {
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (&[kind, high, low], tail) = self.rest.split_first_chunk().ok_or(MALFORMED)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, tail) = tail.split_at_checked(length).ok_or(MALFORMED)?;
        self.rest = tail;
        Ok(Some((kind, value)))
    }
}

/// Reads the extensions of a whole `header`, which begin at `start`.
pub(super) fn read_extensions<'a>(
    header: &'a [u8],
    start: usize,
    told: &mut Told<'a>,
) -> Result<(), Fault> {
    let mut extensions = Extensions {
        rest: header.get(start..).unwrap_or_default(),
    };
    let mut has_checksum = false;
    while let Some((kind, value)) = extensions.next()? {
        match kind {
            ALPN => once(&mut told.alpn, text(value)?.as_bytes())?,
            AUTHORITY => once(&mut told.authority, text(value)?)?,
            UNIQUE_ID if value.is_empty() || value.len() > MAX_UNIQUE_ID => {
                return Err(ID_TOO_LONG);
            }
            UNIQUE_ID => once(&mut told.unique_id, value)?,
            SSL => once(&mut told.ssl, read_ssl(value)?)?,
            CRC32C if has_checksum => return Err(REPEATED),
            CRC32C => {
                has_checksum = true;
                let end = header.len() - extensions.rest.len();
                check(header, end - value.len(), value)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The checksum is that of the whole header with zeros in its own place.
fn check(header: &[u8], place: usize, value: &[u8]) -> Result<(), Fault> {
    let value: &[u8; 4] = value.try_into().map_err(|_| CHECKSUM_SIZE)?;
    let (before, rest) = header.split_at(place);
    let after = rest.get(value.len()..).unwrap_or_default();
    let found = crc32c(before.iter().chain(&[0; 4]).chain(after));
    if found == u32::from_be_bytes(*value) {
        Ok(())
    } else {
        Err(CHECKSUM)
    }
}

fn read_ssl(value: &[u8]) -> Result<Ssl<'_>, Fault> {
    let (&[client, verify @ ..], rest) = value.split_first_chunk::<5>().ok_or(SSL_TOO_SHORT)?;
    let mut ssl = Ssl {
        is_tls: client & 1 != 0,
        has_certificate: client & 2 != 0,
        session_has_certificate: client & 4 != 0,
        is_verified: client & 6 != 0 && verify == [0; 4],
        ..Ssl::default()
    };
    let mut extensions = Extensions { rest };
    while let Some((kind, value)) = extensions.next()? {
        let place = match kind {
            SSL_VERSION => &mut ssl.version,
            SSL_CN => &mut ssl.common_name,
            SSL_CIPHER => &mut ssl.cipher,
            SSL_SIG_ALG => &mut ssl.signature_algorithm,
            SSL_KEY_ALG => &mut ssl.key_algorithm,
            _ => continue,
        };
        once(place, text(value)?)?;
    }
    Ok(ssl)
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(REPEATED),
    }
}

fn text(value: &[u8]) -> Result<&str, Fault> {
    let text = str::from_utf8(value).map_err(|_| TEXT)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(TEXT);
    }
    Ok(text)
}
