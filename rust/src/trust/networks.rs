//! Which peers are trusted: a list of networks, compiled once, asked once per connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The other end of a connection, as far as trust is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddr {
    /// An address reached over IP.
    Ip(IpAddr),
    /// A process on this machine, through a unix socket.
    Unix,
}

impl From<IpAddr> for PeerAddr {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<Option<IpAddr>> for PeerAddr {
    /// A peer without an address is one on a unix socket.
    fn from(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unix, Self::Ip)
    }
}

/// The trusted networks. IPv4 addresses in their IPv6 form (`::ffff:a.b.c.d`) count as IPv4, in the list and in what is asked.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    everyone: bool,
    unix: bool,
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Compiles a list of `unix`, `*`, addresses and CIDR networks.
    ///
    /// # Errors
    ///
    /// [`TrustError`] names the first entry that is none of these, and what to write instead where that can be told.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, TrustError> {
        let mut networks = Self::default();
        for entry in entries {
            networks.add(entry.as_ref())?;
        }
        Ok(networks)
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everyone && !self.unix && self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the peer is trusted.
    #[must_use]
    #[inline]
    pub fn contains(&self, peer: &PeerAddr) -> bool {
        match peer {
            _ if self.everyone => true,
            PeerAddr::Unix => self.unix,
            PeerAddr::Ip(address) => self.contains_ip(*address),
        }
    }

    /// Whether the address is trusted.
    #[must_use]
    #[inline]
    pub fn contains_ip(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            _ if self.everyone => true,
            IpAddr::V4(v4) => self
                .v4
                .iter()
                .any(|&(network, mask)| v4.to_bits() & mask == network),
            IpAddr::V6(v6) => self
                .v6
                .iter()
                .any(|&(network, mask)| v6.to_bits() & mask == network),
        }
    }

    fn add(&mut self, entry: &str) -> Result<(), TrustError> {
        match entry.trim() {
            "*" => self.everyone = true,
            "unix" => self.unix = true,
            text => {
                let (address, length) =
                    split(text).ok_or_else(|| TrustError::not_a_network(entry))?;
                match address {
                    IpAddr::V4(v4) => self.v4.push(network_v4(entry, v4, length)?),
                    IpAddr::V6(v6) => self.add_v6(entry, v6, length)?,
                }
            }
        }
        Ok(())
    }

    fn add_v6(
        &mut self,
        entry: &str,
        address: Ipv6Addr,
        length: Option<u32>,
    ) -> Result<(), TrustError> {
        let long_enough = length.is_none_or(|length| (96..=128).contains(&length));
        match address.to_ipv4_mapped() {
            Some(v4) if long_enough => {
                let network = network_v4(entry, v4, length.map(|length| length - 96))?;
                self.v4.push(network);
            }
            _ => self.v6.push(network_v6(entry, address, length)?),
        }
        Ok(())
    }
}

/// Splits `address[/length]`; the length is not checked against the family yet.
fn split(text: &str) -> Option<(IpAddr, Option<u32>)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(parse_length(length)?)),
        None => (text, None),
    };
    Some((address.parse().ok()?, length))
}

fn parse_length(text: &str) -> Option<u32> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn network_v4(
    entry: &str,
    address: Ipv4Addr,
    length: Option<u32>,
) -> Result<(u32, u32), TrustError> {
    let length = length.unwrap_or(32);
    if length > 32 {
        return Err(TrustError::new(
            entry,
            "an IPv4 network has a prefix length of 0 to 32".to_owned(),
        ));
    }
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let network = address.to_bits() & mask;
    if network == address.to_bits() {
        Ok((network, mask))
    } else {
        Err(TrustError::host_bits(
            entry,
            IpAddr::V4(Ipv4Addr::from_bits(network)),
            length,
        ))
    }
}

fn network_v6(
    entry: &str,
    address: Ipv6Addr,
    length: Option<u32>,
) -> Result<(u128, u128), TrustError> {
    let length = length.unwrap_or(128);
    if length > 128 {
        return Err(TrustError::new(
            entry,
            "an IPv6 network has a prefix length of 0 to 128".to_owned(),
        ));
    }
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    let network = address.to_bits() & mask;
    if network == address.to_bits() {
        Ok((network, mask))
    } else {
        Err(TrustError::host_bits(
            entry,
            IpAddr::V6(Ipv6Addr::from_bits(network)),
            length,
        ))
    }
}

/// An entry of the list of trusted networks that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustError {
    /// The entry as it was given.
    pub entry: String,
    /// What is wrong with it and what to do.
    pub reason: String,
}

impl TrustError {
    fn new(entry: &str, reason: String) -> Self {
        Self {
            entry: entry.to_owned(),
            reason,
        }
    }

    fn not_a_network(entry: &str) -> Self {
        let reason = "not an address; write an address (10.0.0.1, ::1), a network (10.0.0.0/8, fd00::/8), \"unix\" or \"*\"";
        Self::new(entry, reason.to_owned())
    }

    fn host_bits(entry: &str, network: IpAddr, length: u32) -> Self {
        Self::new(
            entry,
            format!(
                "the address has bits set beyond its prefix; write {network}/{length} or leave /{length} out"
            ),
        )
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "trusted network {:?}: {}", self.entry, self.reason)
    }
}

impl std::error::Error for TrustError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(entries: &[&str], address: &str) -> bool {
        Networks::parse(entries)
            .unwrap()
            .contains(&PeerAddr::Ip(address.parse().unwrap()))
    }

    fn reason(entry: &str) -> String {
        Networks::parse(&[entry]).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_list_trusts_nobody() {
        let networks = Networks::parse::<String>(&[]).unwrap();
        assert!(networks.is_empty());
        assert!(!networks.contains(&PeerAddr::Unix));
        assert!(!networks.contains(&PeerAddr::Ip(Ipv4Addr::LOCALHOST.into())));
    }

    #[test]
    fn a_bare_address_is_that_address_alone() {
        assert!(trusts(&["10.0.0.1"], "10.0.0.1"));
        assert!(!trusts(&["10.0.0.1"], "10.0.0.2"));
        assert!(trusts(&["::1"], "::1"));
        assert!(!trusts(&["::1"], "127.0.0.1"));
    }

    #[test]
    fn a_network_ends_where_its_prefix_says() {
        assert!(trusts(&["10.0.0.0/8"], "10.255.255.255"));
        assert!(!trusts(&["10.0.0.0/8"], "11.0.0.0"));
        assert!(trusts(&["192.168.4.0/22"], "192.168.7.255"));
        assert!(!trusts(&["192.168.4.0/22"], "192.168.8.0"));
        assert!(trusts(&["fd00::/8"], "fdff::1"));
        assert!(!trusts(&["fd00::/8"], "fe00::1"));
        assert!(trusts(&["192.0.2.0/31"], "192.0.2.1"));
    }

    #[test]
    fn a_prefix_of_zero_covers_its_family_only() {
        assert!(trusts(&["0.0.0.0/0"], "203.0.113.9"));
        assert!(!trusts(&["0.0.0.0/0"], "2001:db8::1"));
        assert!(trusts(&["::/0"], "2001:db8::1"));
        assert!(!trusts(&["::/0"], "203.0.113.9"));
    }

    #[test]
    fn mapped_addresses_count_as_ipv4_on_both_sides() {
        assert!(trusts(&["10.0.0.0/8"], "::ffff:10.1.2.3"));
        assert!(trusts(&["::ffff:10.0.0.0/104"], "10.1.2.3"));
        assert!(trusts(&["::ffff:10.0.0.1"], "10.0.0.1"));
        assert!(!trusts(&["::ffff:10.0.0.1"], "10.0.0.2"));
    }

    #[test]
    fn unix_and_everyone_are_words() {
        let unix = Networks::parse(&["unix"]).unwrap();
        assert!(unix.contains(&PeerAddr::Unix));
        assert!(!unix.contains(&PeerAddr::Ip(Ipv4Addr::LOCALHOST.into())));
        let everyone = Networks::parse(&["*"]).unwrap();
        assert!(everyone.contains(&PeerAddr::Unix));
        assert!(everyone.contains(&PeerAddr::Ip(Ipv6Addr::LOCALHOST.into())));
        assert!(!unix.is_empty() && !everyone.is_empty());
    }

    #[test]
    fn errors_name_the_entry_and_the_way_out() {
        assert!(
            reason("10.0.0.1/8").contains("10.0.0.0/8"),
            "{}",
            reason("10.0.0.1/8")
        );
        assert!(reason("fd00::1/8").contains("fd00::/8"));
        assert!(reason("10.0.0.0/33").contains("0 to 32"));
        assert!(reason("::/129").contains("0 to 128"));
        for entry in [
            "localhost",
            "",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "Unix",
            "010.0.0.1",
            "[::1]",
            "1.2.3.4:80",
        ] {
            assert!(reason(entry).contains(&format!("{entry:?}")), "{entry}");
            assert!(reason(entry).contains("not an address"), "{entry}");
        }
    }
}
