//! Version 2: a fixed part of 16 bytes, addresses, extensions.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::extension::read_extensions;
use super::{Address, Endpoints, Fault, Limits, Progress, Told, begins_with};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Size of the fixed part: signature, version and command, family and transport, length of the rest.
const FIXED: usize = 16;

/// Size of a unix address (`sun_path`).
const UNIX: usize = 108;

const VERSION: Fault = Fault::new("the PROXY header is of a version that is not known");
const COMMAND: Fault = Fault::new("the PROXY header has a command other than LOCAL and PROXY");
const FAMILY: Fault = Fault::new("the PROXY header has a family or a transport that is not known");
const TOO_LARGE: Fault = Fault::new("the PROXY header is larger than this server accepts");
const TOO_SHORT: Fault = Fault::new("the PROXY header is too short for its addresses");

/// What the fixed part announces.
#[derive(Clone, Copy)]
enum Family {
    Unspecified,
    V4,
    V6,
    Unix,
}

pub(super) fn parse(bytes: &[u8], limits: Limits) -> Result<Progress<'_>, Fault> {
    if begins_with(bytes, SIGNATURE)?.is_none() {
        return Ok(Progress::Partial);
    }
    let Some(&command) = bytes.get(12) else {
        return Ok(Progress::Partial);
    };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ if command >> 4 != 2 => return Err(VERSION),
        _ => return Err(COMMAND),
    };
    let Some(&family) = bytes.get(13) else {
        return Ok(Progress::Partial);
    };
    let family_known = parse_family(family);
    if family_known.is_none() && !is_local {
        return Err(FAMILY);
    }
    let Some(&[high, low]) = bytes.get(14..).and_then(|rest| rest.first_chunk::<2>()) else {
        return Ok(Progress::Partial);
    };
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > limits.size {
        return Err(TOO_LARGE);
    }
    let Some(header) = bytes.get(..len) else {
        return Ok(Progress::Partial);
    };
    let mut told = Told {
        is_local,
        ..Told::default()
    };
    if let Some((family, is_datagram)) = family_known.filter(|_| !is_local) {
        let (endpoints, start) = parse_endpoints(&header[FIXED..], family, is_datagram)?;
        told.endpoints = endpoints;
        read_extensions(header, FIXED + start, &mut told)?;
    }
    Ok(Progress::Complete { len, told })
}

/// The combinations that the specification lists; whether it is a datagram transport.
const fn parse_family(octet: u8) -> Option<(Family, bool)> {
    Some(match octet {
        0x00 => (Family::Unspecified, false),
        0x11 => (Family::V4, false),
        0x12 => (Family::V4, true),
        0x21 => (Family::V6, false),
        0x22 => (Family::V6, true),
        0x31 => (Family::Unix, false),
        0x32 => (Family::Unix, true),
        _ => return None,
    })
}

/// The addresses at the start of `body`, and how many bytes they take.
fn parse_endpoints(
    body: &[u8],
    family: Family,
    is_datagram: bool,
) -> Result<(Option<Endpoints<'_>>, usize), Fault> {
    let mut rest = body;
    let (source, destination) = match family {
        Family::Unspecified => return Ok((None, 0)),
        Family::V4 => {
            let (source, destination) = (take::<4>(&mut rest)?, take::<4>(&mut rest)?);
            let (from, to) = (take_port(&mut rest)?, take_port(&mut rest)?);
            (
                Address::ip(Ipv4Addr::from(*source), from),
                Address::ip(Ipv4Addr::from(*destination), to),
            )
        }
        Family::V6 => {
            let (source, destination) = (take::<16>(&mut rest)?, take::<16>(&mut rest)?);
            let (from, to) = (take_port(&mut rest)?, take_port(&mut rest)?);
            (
                Address::ip(Ipv6Addr::from(*source), from),
                Address::ip(Ipv6Addr::from(*destination), to),
            )
        }
        Family::Unix => {
            let (source, destination) = (take::<UNIX>(&mut rest)?, take::<UNIX>(&mut rest)?);
            (
                Address::Unix(trim_path(source)),
                Address::Unix(trim_path(destination)),
            )
        }
    };
    let endpoints = Endpoints {
        source,
        destination,
        is_datagram,
    };
    Ok((Some(endpoints), body.len() - rest.len()))
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], Fault> {
    let (taken, tail) = rest.split_first_chunk::<N>().ok_or(TOO_SHORT)?;
    *rest = tail;
    Ok(taken)
}

fn take_port(rest: &mut &[u8]) -> Result<u16, Fault> {
    take::<2>(rest).map(|port| u16::from_be_bytes(*port))
}

fn trim_path(path: &[u8; UNIX]) -> &[u8] {
    let end = if path[0] == 0 {
        path.iter()
            .rposition(|octet| *octet != 0)
            .map_or(0, |last| last + 1)
    } else {
        memchr::memchr(0, path).unwrap_or(UNIX)
    };
    &path[..end]
}
