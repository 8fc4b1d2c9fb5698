//! What trusted proxies say about the client: `Forwarded` (RFC 7239) and the `X-Forwarded-*` fields.
//!
//! The list of hops is walked from the right, where the peer's own entry stands. A hop that is itself trusted is believed about the
//! hop before it; the first that is not is the client. So the client is the farthest address that an unbroken chain of trusted proxies
//! vouches for. An entry that is hidden (`unknown`, `_name`) or malformed ends the walk, and the address reached so far stands; if
//! there is none, the client is the peer.
//!
//! Every value is checked before it is believed. One that is malformed is ignored as a whole, and [`Forwarded::problem`] says so.

use std::fmt;
use std::net::IpAddr;

use crate::codec::gateway::{self, Told};

use super::node::{Node, parse_host, parse_node, parse_port};
use super::walk::Lines;
use super::{Networks, PeerAddr};

/// A prefix under which applications are mounted is short; 1 KiB is arbitrary.
const MAX_PREFIX_LEN: usize = 1_024;

/// The scheme that the client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without encryption.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme as `wsgi.url_scheme` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of this scheme means when it names none.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Which of the two families is read. The other is ignored, even where it is alone.
///
/// A proxy usually sets one family and passes the other on as the client sent it, so the choice must be the family that the proxy sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// `Forwarded` is read, `X-Forwarded-For/-Proto/-Host/-Port` are ignored. For proxies that set `Forwarded`.
    Forwarded,
    /// `X-Forwarded-*` are read, `Forwarded` is ignored. For nearly all others, such as nginx as it is usually configured.
    XForwarded,
}

/// The client as a chain of trusted proxies names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedClient {
    /// Its address; IPv4 in IPv6 form is given as IPv4.
    pub address: IpAddr,
    /// Its port, if a proxy told it.
    pub port: Option<u16>,
}

/// Why a field, or a part of it, was not believed. Holds nothing that the sender chose, so it is safe to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The name of the field.
    pub field: &'static str,
    /// What is wrong with its value.
    pub reason: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} from a trusted proxy was ignored: {}",
            self.field, self.reason
        )
    }
}

/// What the forwarding fields of one request say. Empty where they say nothing; reusable, so that its text keeps its memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The client; none if it is the peer itself, as far as is known.
    pub client: Option<ForwardedClient>,
    /// The scheme that the client used.
    pub scheme: Option<Scheme>,
    /// The port that the client addressed: the one in the host if it has one, else `X-Forwarded-Port`.
    pub port: Option<u16>,
    /// The first thing that was not believed.
    pub problem: Option<Problem>,
    host: String,
    prefix: String,
}

/// Reads the forwarding fields of a request: none if the peer is not trusted or there are no such fields.
///
/// `fields` are the (name, value) pairs of the request in their order.
#[must_use]
pub fn resolve<'a, I>(
    networks: &Networks,
    peer: &PeerAddr,
    precedence: Precedence,
    fields: I,
) -> Option<Forwarded>
where
    I: IntoIterator<Item = (&'a [u8], &'a [u8])>,
{
    if !networks.contains(peer) {
        return None;
    }
    let mut forwarded = Forwarded::default();
    forwarded
        .read(networks, precedence, fields)
        .then_some(forwarded)
}

impl Forwarded {
    /// The host that the client addressed, `name[:port]`: checked, free of anything but letters, digits and `-._:[]`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        (!self.host.is_empty()).then_some(self.host.as_str())
    }

    /// [`Self::host`] without its port; IPv6 keeps its brackets.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        let host = self.host()?;
        let end = match (host.rfind(':'), host.rfind(']')) {
            (Some(colon), bracket) if bracket.is_none_or(|bracket| colon > bracket) => colon,
            _ => host.len(),
        };
        Some(&host[..end])
    }

    /// The path under which the proxy has mounted the application: begins with a slash, does not end with one.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        (!self.prefix.is_empty()).then_some(self.prefix.as_str())
    }

    /// What a web server in front tells by its gateway protocol; `bytes` are those that `told` points into.
    #[must_use]
    pub fn from_gateway(told: &Told, bytes: &[u8]) -> Self {
        Self {
            client: told.client.map(|client| ForwardedClient {
                address: client.address,
                port: client.port,
            }),
            scheme: told.scheme.map(|scheme| match scheme {
                gateway::Scheme::Http => Scheme::Http,
                gateway::Scheme::Https => Scheme::Https,
            }),
            port: told.server_port,
            prefix: String::from_utf8_lossy(told.script_name.of(bytes)).into_owned(),
            ..Self::default()
        }
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.client = None;
        self.scheme = None;
        self.port = None;
        self.problem = None;
        self.host.clear();
        self.prefix.clear();
    }

    /// Fills itself from the fields of a request whose peer the caller knows to be trusted. Returns whether any such field was there.
    pub fn read<'a, I>(&mut self, networks: &Networks, precedence: Precedence, fields: I) -> bool
    where
        I: IntoIterator<Item = (&'a [u8], &'a [u8])>,
    {
        self.clear();
        let mut fields = fields.into_iter();
        // Without any such field this search is all there is.
        let Some((first, value)) = fields.find_map(|(name, value)| Some((Field::of(name)?, value)))
        else {
            return false;
        };
        let mut seen = Seen::default();
        seen.add(first, value);
        for (name, value) in fields {
            if let Some(field) = Field::of(name) {
                seen.add(field, value);
            }
        }
        self.resolve(networks, precedence, &seen);
        true
    }

    fn resolve(&mut self, networks: &Networks, precedence: Precedence, seen: &Seen<'_>) {
        match precedence {
            Precedence::Forwarded => self.read_forwarded(networks, &seen.forwarded),
            Precedence::XForwarded => self.read_x_forwarded(networks, seen),
        }
        self.read_prefix(&seen.prefix);
    }

    /// RFC 7239 4. An element's `proto` and `host` were written by the hop to its right, which is trusted if we have come that far.
    fn read_forwarded(&mut self, networks: &Networks, lines: &Lines<'_>) {
        for element in lines.elements() {
            let element = match Element::parse(element) {
                Ok(element) => element,
                Err(reason) => return self.note("Forwarded", reason),
            };
            self.scheme = element.scheme.or(self.scheme);
            if let Some((host, port)) = element.host {
                self.set_host(host, port);
            }
            match element.node {
                Some(Node::Address(address, port)) => {
                    self.client = Some(ForwardedClient { address, port });
                    if !networks.contains_ip(address) {
                        return;
                    }
                }
                Some(Node::Hidden) | None => return,
            }
        }
    }

    fn read_x_forwarded(&mut self, networks: &Networks, seen: &Seen<'_>) {
        let depth = self.read_for(networks, &seen.for_);
        if let Some(value) = aligned(&seen.proto, &seen.for_, depth) {
            match parse_scheme(value) {
                Some(scheme) => self.scheme = Some(scheme),
                None => self.note("X-Forwarded-Proto", "neither http nor https"),
            }
        }
        if let Some(value) = aligned(&seen.port, &seen.for_, depth) {
            match std::str::from_utf8(value).ok().and_then(parse_port) {
                Some(port) => self.port = Some(port),
                None => self.note("X-Forwarded-Port", "not a port"),
            }
        }
        if let Some(value) = aligned(&seen.host, &seen.for_, depth) {
            match parse_host(value) {
                Some((host, port)) => self.set_host(host, port),
                None => self.note("X-Forwarded-Host", "not a host"),
            }
        }
    }

    /// Walks `X-Forwarded-For`; gives the place, counted from the right, of the entry at which the walk ended.
    fn read_for(&mut self, networks: &Networks, lines: &Lines<'_>) -> usize {
        let mut depth = 0;
        for (place, entry) in lines.elements().enumerate() {
            match parse_node(entry, true) {
                Some(Node::Address(address, port)) => {
                    depth = place;
                    self.client = Some(ForwardedClient { address, port });
                    if !networks.contains_ip(address) {
                        break;
                    }
                }
                Some(Node::Hidden) => return place,
                None => {
                    self.note("X-Forwarded-For", "an entry is not an address");
                    break;
                }
            }
        }
        depth
    }

    fn read_prefix(&mut self, lines: &Lines<'_>) {
        if lines.is_empty() {
            return;
        }
        match lines.single().map(parse_prefix) {
            Some(Some(prefix)) => self.prefix.push_str(prefix),
            Some(None) => self.note("X-Forwarded-Prefix", "not a plain absolute path"),
            None => self.note("X-Forwarded-Prefix", "sent more than once"),
        }
    }

    fn set_host(&mut self, host: &str, port: Option<u16>) {
        self.host.clear();
        self.host.push_str(host);
        self.port = port.or(self.port);
    }

    fn note(&mut self, field: &'static str, reason: &'static str) {
        self.problem.get_or_insert(Problem { field, reason });
    }
}

/// The fields that are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Forwarded,
    For,
    Proto,
    Host,
    Port,
    Prefix,
}

impl Field {
    #[inline]
    fn of(name: &[u8]) -> Option<Self> {
        if name.len() == 9 && name[0] | 0x20 == b'f' {
            return name
                .eq_ignore_ascii_case(b"forwarded")
                .then_some(Self::Forwarded);
        }
        if name.len() < 15 || name[0] | 0x20 != b'x' {
            return None;
        }
        let (start, rest) = name.split_at(12);
        if !start.eq_ignore_ascii_case(b"x-forwarded-") {
            return None;
        }
        let known = [
            (&b"for"[..], Self::For),
            (b"proto", Self::Proto),
            (b"host", Self::Host),
            (b"port", Self::Port),
            (b"prefix", Self::Prefix),
        ];
        known
            .into_iter()
            .find_map(|(wanted, field)| rest.eq_ignore_ascii_case(wanted).then_some(field))
    }
}

/// The values of the fields, by name.
#[derive(Debug, Default)]
struct Seen<'a> {
    forwarded: Lines<'a>,
    for_: Lines<'a>,
    proto: Lines<'a>,
    host: Lines<'a>,
    port: Lines<'a>,
    prefix: Lines<'a>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, field: Field, value: &'a [u8]) {
        let lines = match field {
            Field::Forwarded => &mut self.forwarded,
            Field::For => &mut self.for_,
            Field::Proto => &mut self.proto,
            Field::Host => &mut self.host,
            Field::Port => &mut self.port,
            Field::Prefix => &mut self.prefix,
        };
        lines.push(value);
    }
}

/// The element of a list beside `X-Forwarded-For` that belongs to the hop at `depth`: the one at the same place if the lists are equally
/// long, else the last, which is the one that the peer wrote.
fn aligned<'a>(lines: &Lines<'a>, hops: &Lines<'_>, depth: usize) -> Option<&'a [u8]> {
    let mut elements = lines.elements();
    let last = elements.next()?;
    if depth == 0 || elements.next().is_none() {
        return Some(last);
    }
    let equally_long = lines.elements().count() == hops.elements().count();
    if equally_long {
        lines.elements().nth(depth)
    } else {
        Some(last)
    }
}

fn parse_scheme(text: &[u8]) -> Option<Scheme> {
    // A WebSocket handshake is an HTTP request; some proxies name the scheme of its URL.
    let is = |scheme: &[u8]| text.eq_ignore_ascii_case(scheme);
    if is(b"https") || is(b"wss") {
        Some(Scheme::Https)
    } else if is(b"http") || is(b"ws") {
        Some(Scheme::Http)
    } else {
        None
    }
}

/// Checks a mount path and takes its trailing slashes off; `/` becomes the empty prefix.
///
/// Refused: what is not a path of unreserved characters, `//host` (which a browser takes for another site), dot segments.
fn parse_prefix(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text.trim_ascii())
        .ok()
        .filter(|text| text.len() <= MAX_PREFIX_LEN)?;
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte));
    let dots = text
        .split('/')
        .any(|segment| segment == "." || segment == "..");
    (text.starts_with('/') && plain && !dots && !text.contains("//"))
        .then(|| text.trim_end_matches('/'))
}

/// One element of `Forwarded`: what one hop says about the hop before it.
#[derive(Debug, Default)]
struct Element<'a> {
    node: Option<Node>,
    scheme: Option<Scheme>,
    host: Option<(&'a str, Option<u16>)>,
}

impl<'a> Element<'a> {
    /// RFC 7239 4: `[pair] *( ";" [pair] )`; each parameter occurs at most once.
    fn parse(text: &'a [u8]) -> Result<Self, &'static str> {
        let mut element = Self::default();
        let mut rest = text;
        loop {
            rest = rest.trim_ascii_start();
            if let Some(after) = rest.strip_prefix(b";") {
                rest = after;
                continue;
            }
            if rest.is_empty() {
                return Ok(element);
            }
            let (name, value, after) = parse_pair(rest)?;
            element.set(name, value)?;
            rest = after.trim_ascii_start();
            if !rest.is_empty() && rest[0] != b';' {
                return Err("parameters are not separated by semicolons");
            }
        }
    }

    fn set(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), &'static str> {
        let again = if name.eq_ignore_ascii_case(b"for") {
            self.node
                .replace(parse_node(value, false).ok_or("\"for\" is not an address")?)
                .is_some()
        } else if name.eq_ignore_ascii_case(b"proto") {
            self.scheme
                .replace(parse_scheme(value).ok_or("\"proto\" is neither http nor https")?)
                .is_some()
        } else if name.eq_ignore_ascii_case(b"host") {
            self.host
                .replace(parse_host(value).ok_or("\"host\" is not a host")?)
                .is_some()
        } else {
            false
        };
        if again {
            Err("a parameter occurs twice")
        } else {
            Ok(())
        }
    }
}

type Pair<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Parses `token "=" ( token / quoted-string )`; gives name, value and what follows.
///
/// A quoted value is given as it stands between its quotes: no value that is read here needs an escape, so one that has any is refused
/// by its own check.
fn parse_pair(text: &[u8]) -> Result<Pair<'_>, &'static str> {
    let (name, rest) = split_token(text);
    let Some(rest) = rest.strip_prefix(b"=").filter(|_| !name.is_empty()) else {
        return Err("not a list of name=value pairs");
    };
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let end =
            quoted_end(quoted).ok_or("a quoted string is not closed or has control characters")?;
        return Ok((name, &quoted[..end], &quoted[end + 1..]));
    }
    let (value, rest) = split_token(rest);
    if value.is_empty() {
        Err("a parameter has no value")
    } else {
        Ok((name, value, rest))
    }
}

/// RFC 9110 5.6.2.
fn split_token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    text.split_at(text.iter().take_while(|byte| is_token(byte)).count())
}

/// RFC 9110 5.6.4: the place of the closing quote.
fn quoted_end(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\t' => escaped = false,
            0..=31 | 127 => return None,
            _ if escaped => escaped = false,
            b'"' => return Some(at),
            b'\\' => escaped = true,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trusts the peer and 10.0.0.0/8.
    fn read_as(precedence: Precedence, fields: &[(&str, &str)]) -> Forwarded {
        let networks = Networks::parse(&["unix", "10.0.0.0/8"]).unwrap();
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        resolve(&networks, &PeerAddr::Unix, precedence, fields).unwrap()
    }

    /// As a proxy is configured for that sets the family which is there.
    fn read(fields: &[(&str, &str)]) -> Forwarded {
        let is_forwarded = fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("forwarded"));
        read_as(
            if is_forwarded {
                Precedence::Forwarded
            } else {
                Precedence::XForwarded
            },
            fields,
        )
    }

    fn client(fields: &[(&str, &str)]) -> Option<String> {
        read(fields).client.map(|client| client.address.to_string())
    }

    fn client_of(value: &str) -> Option<String> {
        client(&[("X-Forwarded-For", value)])
    }

    fn client_of_forwarded(value: &str) -> Option<String> {
        client(&[("Forwarded", value)])
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "what it is compared with is optional"
    )]
    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn an_untrusted_peer_is_not_believed() {
        let networks = Networks::parse(&["10.0.0.0/8"]).unwrap();
        let fields = [(&b"X-Forwarded-For"[..], &b"192.0.2.1"[..])];
        assert!(resolve(&networks, &PeerAddr::Unix, Precedence::XForwarded, fields).is_none());
        let peer = PeerAddr::Ip("11.0.0.1".parse().unwrap());
        assert!(resolve(&networks, &peer, Precedence::XForwarded, fields).is_none());
    }

    #[test]
    fn a_request_without_forwarding_fields_says_nothing() {
        let networks = Networks::parse(&["*"]).unwrap();
        let fields = [
            (&b"Host"[..], &b"a"[..]),
            (b"X-Forwarded", b"x"),
            (b"X-Forwarded-Fox", b"x"),
            (b"Forwardex", b"x"),
        ];
        assert!(resolve(&networks, &PeerAddr::Unix, Precedence::Forwarded, fields).is_none());
    }

    #[test]
    fn the_walk_skips_trusted_proxies_from_the_right() {
        assert_eq!(client_of("203.0.113.7"), some("203.0.113.7"));
        assert_eq!(
            client_of("198.51.100.1, 203.0.113.7, 10.0.0.1,10.0.0.2"),
            some("203.0.113.7")
        );
        assert_eq!(client_of("10.0.0.9, 10.0.0.1"), some("10.0.0.9"));
        let lines = [
            ("x-forwarded-for", "203.0.113.7"),
            ("X-FORWARDED-FOR", "10.0.0.1"),
        ];
        assert_eq!(client(&lines), some("203.0.113.7"));
    }

    #[test]
    fn what_a_client_wrote_to_the_left_is_not_looked_at() {
        for forged in ["127.0.0.1", "rubbish", "\"", "unknown", "10.0.0.1", ",,,"] {
            assert_eq!(
                client_of(&format!("{forged}, 203.0.113.7, 10.0.0.1")),
                some("203.0.113.7"),
                "{forged}"
            );
            let forwarded = format!("for={forged}, for=203.0.113.7, for=10.0.0.1");
            assert_eq!(
                client_of_forwarded(&forwarded),
                some("203.0.113.7"),
                "{forged}"
            );
        }
    }

    #[test]
    fn many_forged_lines_do_not_push_the_proxys_line_out() {
        let mut fields = vec![("X-Forwarded-For", "127.0.0.1"); 50];
        fields.push(("X-Forwarded-For", "203.0.113.7"));
        assert_eq!(client(&fields), some("203.0.113.7"));
    }

    #[test]
    fn a_hidden_or_malformed_hop_ends_the_walk_where_it_is() {
        assert_eq!(client_of("unknown"), None);
        assert_eq!(
            client_of("198.51.100.1, unknown, 10.0.0.4"),
            some("10.0.0.4")
        );
        assert_eq!(
            client_of("198.51.100.1, rubbish, 10.0.0.4"),
            some("10.0.0.4")
        );
        assert_eq!(
            client_of_forwarded("for=198.51.100.1, for=_hidden, for=10.0.0.4"),
            some("10.0.0.4")
        );
        assert_eq!(client_of_forwarded("for=198.51.100.1, proto=https"), None);
    }

    #[test]
    fn malformed_entries_are_told() {
        let forwarded = read(&[("X-Forwarded-For", "198.51.100.1, example.org")]);
        assert_eq!(forwarded.client, None);
        assert_eq!(forwarded.problem.unwrap().field, "X-Forwarded-For");
        assert!(
            forwarded
                .problem
                .unwrap()
                .to_string()
                .contains("not an address")
        );
    }

    #[test]
    fn everyone_trusted_means_the_leftmost_entry() {
        let networks = Networks::parse(&["*"]).unwrap();
        let fields = [(&b"X-Forwarded-For"[..], &b"203.0.113.7, 198.51.100.1"[..])];
        let peer = PeerAddr::Ip("192.0.2.1".parse().unwrap());
        let forwarded = resolve(&networks, &peer, Precedence::XForwarded, fields).unwrap();
        assert_eq!(forwarded.client.unwrap().address.to_string(), "203.0.113.7");
    }

    #[test]
    fn ipv6_and_ports_are_read() {
        let forwarded = read(&[("X-Forwarded-For", "2001:db8::1")]);
        assert_eq!(forwarded.client.unwrap().address.to_string(), "2001:db8::1");
        let forwarded = read(&[("Forwarded", r#"For="[2001:db8:cafe::17]:4711""#)]);
        assert_eq!(forwarded.client.unwrap().port, Some(4_711));
        assert_eq!(
            client_of("::ffff:10.0.0.1, ::ffff:10.0.0.2"),
            some("10.0.0.1")
        );
        assert_eq!(client_of("203.0.113.7:1234"), some("203.0.113.7"));
    }

    #[test]
    fn rfc_7239_examples_are_read() {
        let forwarded = read(&[("Forwarded", "for=192.0.2.60;proto=http;by=203.0.113.43")]);
        assert_eq!(forwarded.client.unwrap().address.to_string(), "192.0.2.60");
        assert_eq!(forwarded.scheme, Some(Scheme::Http));
        assert_eq!(
            client_of_forwarded("for=192.0.2.43, for=198.51.100.17"),
            some("198.51.100.17")
        );
        assert_eq!(client_of_forwarded("for=\"_gazonk\""), None);
        assert_eq!(read(&[("Forwarded", "for=\"_gazonk\"")]).problem, None);
    }

    #[test]
    fn forwarded_carries_scheme_host_and_port() {
        let forwarded = read(&[(
            "Forwarded",
            r#"for=203.0.113.7;host="example.org:8443";proto=HTTPS;secret="a\"b,;c""#,
        )]);
        assert_eq!(forwarded.scheme, Some(Scheme::Https));
        assert_eq!(forwarded.host(), Some("example.org:8443"));
        assert_eq!(forwarded.host_name(), Some("example.org"));
        assert_eq!(forwarded.port, Some(8_443));
        assert_eq!(forwarded.problem, None);
    }

    #[test]
    fn forwarded_scheme_and_host_belong_to_the_hop_of_the_client() {
        let value = "for=1.2.3.4;proto=http;host=evil, for=203.0.113.7;proto=https;host=example.org, for=10.0.0.1;proto=http;host=inside";
        let forwarded = read(&[("Forwarded", value)]);
        assert_eq!(
            (forwarded.scheme, forwarded.host()),
            (Some(Scheme::Https), Some("example.org"))
        );
    }

    #[test]
    fn a_malformed_forwarded_is_ignored_as_a_whole() {
        let bad = [
            "for",
            "for=",
            "=x",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1 proto=http",
            "for=192.0.2.1;proto=ftp",
            "for=192.0.2.1;host=\"a b\"",
            "for=192.0.2.1;host=\"a",
            "for=192.0.2.1;host=a/b",
            "for=[::1]",
            "for=192.0.2.1:80",
            "for=\"192.0.2\\.1\"",
            "for = 192.0.2.1",
            "for=192.0.2.1;host=\"a\r\nb\"",
            "for=192.0.2.1;proto=http;PROTO=https",
            "for=192.0.2.1;x=\"\u{1}\"",
            "for=192.0.2.1\"",
            "for=example.org",
        ];
        for value in bad {
            let forwarded = read(&[("Forwarded", value)]);
            assert_eq!(
                forwarded.problem.map(|problem| problem.field),
                Some("Forwarded"),
                "{value}"
            );
            assert_eq!(
                (forwarded.client, forwarded.scheme, forwarded.host()),
                (None, None, None),
                "{value}"
            );
        }
    }

    #[test]
    fn spaces_around_semicolons_and_empty_pairs_are_allowed() {
        let forwarded = read(&[("Forwarded", ";for=203.0.113.7 ; ; proto=https;")]);
        assert_eq!(
            (forwarded.scheme, forwarded.problem),
            (Some(Scheme::Https), None)
        );
    }

    #[test]
    fn the_families_are_never_mixed() {
        let both = [
            ("Forwarded", "for=203.0.113.1;proto=https"),
            ("X-Forwarded-For", "203.0.113.2"),
        ];
        let forwarded = read_as(Precedence::Forwarded, &both);
        assert_eq!(forwarded.client.unwrap().address.to_string(), "203.0.113.1");
        let forwarded = read_as(Precedence::XForwarded, &both);
        assert_eq!(forwarded.client.unwrap().address.to_string(), "203.0.113.2");
        assert_eq!(forwarded.scheme, None);
        let only_proto = [
            ("Forwarded", "for=203.0.113.1"),
            ("X-Forwarded-Proto", "https"),
        ];
        assert_eq!(read_as(Precedence::XForwarded, &only_proto).client, None);
        assert_eq!(read_as(Precedence::Forwarded, &only_proto).scheme, None);
    }

    #[test]
    fn the_other_family_is_not_read_even_where_it_is_alone() {
        let forwarded = [("Forwarded", "for=203.0.113.1;proto=https")];
        let x_forwarded = [
            ("X-Forwarded-For", "203.0.113.1"),
            ("X-Forwarded-Proto", "https"),
        ];
        for (precedence, fields) in [
            (Precedence::XForwarded, &forwarded[..]),
            (Precedence::Forwarded, &x_forwarded[..]),
        ] {
            let told = read_as(precedence, fields);
            assert_eq!((told.client, told.scheme), (None, None));
        }
    }

    #[test]
    fn nginx_fields_are_read_together() {
        let forwarded = read(&[
            ("Host", "backend"),
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "example.org"),
            ("X-Forwarded-Port", "8443"),
            ("X-Forwarded-Prefix", "/shop/"),
        ]);
        assert_eq!(forwarded.scheme, Some(Scheme::Https));
        assert_eq!(
            (forwarded.host(), forwarded.port),
            (Some("example.org"), Some(8_443))
        );
        assert_eq!(forwarded.prefix(), Some("/shop"));
        assert_eq!(forwarded.problem, None);
    }

    #[test]
    fn a_port_in_the_host_wins_over_the_port_field() {
        let forwarded = read(&[
            ("X-Forwarded-Host", "example.org:9000"),
            ("X-Forwarded-Port", "443"),
        ]);
        assert_eq!(forwarded.port, Some(9_000));
    }

    #[test]
    fn lists_of_equal_length_are_aligned_with_the_client() {
        let fields = [
            ("X-Forwarded-For", "1.1.1.1, 203.0.113.7, 10.0.0.1"),
            ("X-Forwarded-Proto", "http, https, http"),
        ];
        assert_eq!(read(&fields).scheme, Some(Scheme::Https));
    }

    #[test]
    fn of_lists_of_other_lengths_the_last_element_counts() {
        let fields = [
            ("X-Forwarded-For", "203.0.113.7, 10.0.0.1"),
            ("X-Forwarded-Proto", "https, https, http"),
        ];
        assert_eq!(read(&fields).scheme, Some(Scheme::Http));
        let fields = [
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Host", "evil.example, example.org"),
        ];
        assert_eq!(read(&fields).host(), Some("example.org"));
    }

    #[test]
    fn one_malformed_field_leaves_the_others() {
        let fields = [
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Proto", "gopher"),
            ("X-Forwarded-Host", "a b"),
        ];
        let forwarded = read(&fields);
        assert!(forwarded.client.is_some());
        assert_eq!((forwarded.scheme, forwarded.host()), (None, None));
        assert_eq!(forwarded.problem.unwrap().field, "X-Forwarded-Proto");
    }

    #[test]
    fn hostile_prefixes_are_refused() {
        for bad in [
            "shop",
            "",
            "//evil.example",
            "/a//b",
            "/a/../b",
            "/.",
            "/a b",
            "/a?b",
            "/a#b",
            "/a%2f",
            "/a\r\nb",
            "/\\evil",
            "/<",
        ] {
            let forwarded = read(&[("X-Forwarded-Prefix", bad)]);
            assert_eq!(forwarded.prefix(), None, "{bad}");
            assert!(forwarded.problem.is_some(), "{bad}");
        }
        assert_eq!(
            read(&[("X-Forwarded-Prefix", "/a"), ("X-Forwarded-Prefix", "/b")]).prefix(),
            None
        );
        let root = read(&[("X-Forwarded-Prefix", "/")]);
        assert_eq!((root.prefix(), root.problem), (None, None));
    }

    #[test]
    fn host_name_keeps_the_brackets_of_ipv6() {
        let host = |value| {
            read(&[("X-Forwarded-Host", value)])
                .host_name()
                .map(str::to_owned)
        };
        assert_eq!(host("[2001:db8::1]:80"), some("[2001:db8::1]"));
        assert_eq!(host("[2001:db8::1]"), some("[2001:db8::1]"));
        assert_eq!(host("example.org"), some("example.org"));
    }

    #[test]
    fn a_reused_value_forgets_the_request_before() {
        let networks = Networks::parse(&["*"]).unwrap();
        let mut forwarded = Forwarded::default();
        let full = [
            (&b"X-Forwarded-Host"[..], &b"a:1"[..]),
            (b"X-Forwarded-Prefix", b"/p"),
            (b"X-Forwarded-Proto", b"https"),
        ];
        assert!(forwarded.read(&networks, Precedence::XForwarded, full));
        assert!(!forwarded.read(
            &networks,
            Precedence::XForwarded,
            [(&b"Host"[..], &b"b"[..])]
        ));
        assert_eq!(forwarded, Forwarded::default());
    }
}
