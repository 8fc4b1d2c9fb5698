//! Version 1: one line of text.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str;

use super::{Address, Endpoints, Fault, Progress, Told, begins_with};

/// Longest line, its end included, as the specification works out.
const MAX_LINE: usize = 107;

const TOO_LONG: Fault = Fault::new("the PROXY line is longer than 107 bytes");
const LINE_END: Fault = Fault::new("the PROXY line does not end with CR LF");
const FAMILY: Fault = Fault::new("the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN");
const PARTS: Fault = Fault::new("the PROXY line does not have two addresses and two ports");
const ADDRESS: Fault = Fault::new("an address of the PROXY line is not one of its family");
const PORT: Fault = Fault::new("a port of the PROXY line is not a number up to 65535");
const CONTROL: Fault = Fault::new("the PROXY line has a character that is not printable ASCII");

pub(super) fn parse(bytes: &[u8]) -> Result<Progress<'_>, Fault> {
    if begins_with(bytes, b"PROXY ")?.is_none() {
        return Ok(Progress::Partial);
    }
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = window.iter().position(|octet| !is_line_byte(*octet)) else {
        return if window.len() < MAX_LINE {
            Ok(Progress::Partial)
        } else {
            Err(TOO_LONG)
        };
    };
    match (window[end], window.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) if end + 1 < MAX_LINE => return Ok(Progress::Partial),
        (b'\r', None) => return Err(TOO_LONG),
        (b'\r' | b'\n', _) => return Err(LINE_END),
        _ => return Err(CONTROL),
    }
    let told = Told {
        endpoints: parse_endpoints(&window[6..end])?,
        ..Told::default()
    };
    Ok(Progress::Complete { len: end + 2, told })
}

const fn is_line_byte(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
}

fn parse_endpoints(rest: &[u8]) -> Result<Option<Endpoints<'static>>, Fault> {
    let rest = str::from_utf8(rest).map_err(|_| CONTROL)?;
    let mut parts = rest.split(' ');
    let parse_address = match parts.next() {
        Some("TCP4") => parse_v4,
        Some("TCP6") => parse_v6,
        Some("UNKNOWN") => return Ok(None),
        _ => return Err(FAMILY),
    };
    let (Some(source), Some(destination), Some(source_port), Some(destination_port), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err(PARTS);
    };
    let end = |address, port| {
        let address = parse_address(address).ok_or(ADDRESS)?;
        Ok(Address::ip(address, parse_port(port).ok_or(PORT)?))
    };
    Ok(Some(Endpoints {
        source: end(source, source_port)?,
        destination: end(destination, destination_port)?,
        is_datagram: false,
    }))
}

fn parse_v4(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn parse_v6(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// Digits only, without zeros in front.
fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}
