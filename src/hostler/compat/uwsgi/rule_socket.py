"""What the options of sockets and of requests become."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi.option import Facts, Given

# uWSGI's mode for `chmod-socket` without one.
OPEN_MODE = "666"
# The protocols of `protocol` and `socket-protocol` that Hostler speaks, by uWSGI's names.
PROTOCOLS = {"uwsgi": "uwsgi", "http": "http", "http11": "http", "fastcgi": "fastcgi", "scgi": "scgi",
             "fastcgi-nph": "fastcgi", "scgi-nph": "scgi"}  # fmt: skip
# Sockets of these options are read by what a web server in front says, which is believed of some peers only.
GATEWAYS = ("socket", "fastcgi-socket", "scgi-socket")
# Hostler's default limits, which a smaller `buffer-size` does not lower.
HEADER_SIZE, REQUEST_LINE, HEAD_SIZE = 16_384, 8_190, 65_536
# Who is believed where a web server in front speaks to an open port: containers and private networks (RFC 1918,
# RFC 4193). uWSGI believes everyone who reaches the port.
NEIGHBOURS = ("127.0.0.0/8", "::1", "unix", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
_LOOPBACK = ("127.", "localhost:", "[::1]:")


def leave(_given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """An option that the rule of another looks at."""
    return iter(())


def map_socket(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`socket`: speaks uwsgi, or what `protocol` says.

    Raises:
        ValueError: the protocol is none that Hostler speaks.
    """
    name = facts.text("protocol") or "uwsgi"
    if name not in PROTOCOLS:
        raise ValueError(f"for protocol {', '.join(sorted(set(PROTOCOLS.values())))}, other than {name}")
    yield from _bind(given, facts, PROTOCOLS[name])


def map_http_socket(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`http-socket`, `http`: a worker speaks HTTP."""
    yield from _bind(given, facts, "http")


def map_fastcgi_socket(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`fastcgi-socket`."""
    yield from _bind(given, facts, "fastcgi")


def map_scgi_socket(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`scgi-socket`."""
    yield from _bind(given, facts, "scgi")


def _bind(given: tuple[Given, ...], facts: Facts, protocol: str) -> Iterator[Effect]:
    yield Give("server.bind", [name_address(each.text.strip(), facts, protocol) for each in given])


def name_address(text: str, facts: Facts, protocol: str) -> str:
    """Write one address in Hostler's words.

    Raises:
        ValueError: it names a shared socket that is not there, or nothing.
    """
    if text.startswith("="):
        shared = facts.all("shared-socket")
        number = text[1:]
        if not number.isdecimal() or int(number) >= len(shared):
            raise ValueError(f"the number of a shared-socket, of which there are {len(shared)}")
        text = shared[int(number)].text.strip()
    if not text:
        raise ValueError("an address")
    parts: dict[str, str] = {} if protocol == "http" else {"protocol": protocol}
    if protocol == "http" and facts.is_on("enable-proxy-protocol"):
        parts["proxy_protocol"] = "on"
    if text.startswith("fd://") or text.isdecimal():
        return f"fd://{text.removeprefix('fd://')}{_write_query(parts)}"
    if text.startswith("@") or (":" not in text and facts.is_on("abstract-socket")):
        return f"unix:@{text.removeprefix('@')}{_write_query(parts)}"
    if ":" not in text or text.startswith("/"):
        path = text if text.startswith("/") else str(facts.home / text)
        return f"unix:{path}{_write_query(_describe_owner(facts) | parts)}"
    return f"{text}{_write_query(parts)}"


def _write_query(parts: dict[str, str]) -> str:
    return f"?{urlencode(parts)}" if parts else ""


def _describe_owner(facts: Facts) -> dict[str, str]:
    parts = {}
    mode = facts.last("chmod-socket")
    if mode is not None:
        parts["mode"] = mode.value if mode.value and mode.value not in ("1", "true") else OPEN_MODE
    user, _, group = facts.text("chown-socket").partition(":")
    return parts | {name: text for name, text in (("user", user), ("group", group)) if text}


def is_open_gateway(facts: Facts) -> bool:
    """Tell whether a web server in front may speak to this server from another machine or container."""
    shared = [each.text for each in facts.all("shared-socket")]
    for name in GATEWAYS:
        if name == "socket" and PROTOCOLS.get(facts.text("protocol") or "uwsgi") == "http":
            continue
        for given in facts.all(name):
            texts = shared if given.text.startswith("=") else [given.text]
            if any(":" in text and not text.startswith(("/", "@", *_LOOPBACK)) for text in texts):
                return True
    return False


def map_stats(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`stats`: the same document at the same address.

    Raises:
        ValueError: the address is none that can be opened for it.
    """
    addresses = [name_address(each.text.strip(), facts, "http").replace("proxy_protocol=on", "") for each in given]
    if any(address.startswith("fd://") for address in addresses):
        raise ValueError("HOST:PORT or the path of a unix socket")
    yield Give("metrics.uwsgi_stats", [address.rstrip("?&") for address in addresses])


def map_stats_push(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`stats-push`: of the pushers there is `statsd:ADDRESS,PREFIX`."""
    for each in given:
        pusher, _, rest = each.text.partition(":")
        address, _, prefix = rest.partition(",")
        if pusher != "statsd" or ":" not in address:
            yield Note(f"{each.text}: statistics are not pushed there; statsd:HOST:PORT is known")
            continue
        yield Give("metrics.statsd", address)
        if prefix:
            yield Give("metrics.statsd_prefix", prefix.strip("."))
        yield Note("the metrics have names of their own: docs/reference/metrics.md")


def map_shared_socket(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`shared-socket`: is bound where another option names it."""
    named = {each.text.strip() for name in (*GATEWAYS, "http-socket", "http") for each in facts.all(name)}
    for number, each in enumerate(given):
        if f"={number}" not in named:
            yield Note(f"{each.text} is not bound, as no socket is ={number}")


def map_backlog(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`listen`."""
    yield Give("server.backlog", max(1, min(65_535, given[-1].number)))


def map_reuse_port(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`reuse-port`; workers that come and go share their sockets."""
    if any(facts.number(name) for name in ("cheaper", "cheap", "idle")):
        yield Note("workers that come and go with the load share their sockets")
    else:
        yield Give("server.reuse_port", given[-1].is_on)


def map_socket_timeout(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`socket-timeout`: how long a client may do nothing."""
    if given[-1].number:
        yield Give("http.body_timeout", given[-1].number)
        yield Give("http.write_timeout", given[-1].number)


def map_head_timeout(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`http-headers-timeout`."""
    if given[-1].number:
        yield Give("http.head_timeout", given[-1].number)


def map_keep_alive(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`http-keepalive`: a switch, or seconds."""
    if given[-1].number > 1:
        yield Give("http.keep_alive_timeout", given[-1].number)


def map_buffer_size(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`buffer-size`: a larger one is for long cookies and long addresses."""
    size = given[-1].number
    if size > HEADER_SIZE:
        yield Give("limits.header_size", size)
    if size > REQUEST_LINE:
        yield Give("limits.request_line", size)
    if size > HEAD_SIZE:
        yield Give("limits.head_size", size)


def map_variables(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`max-vars`: counts variables, of which about twenty are no headers."""
    if given[-1].number > 100:
        yield Give("limits.header_count", min(32_768, given[-1].number))


def map_body_size(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`limit-post`."""
    yield Give("limits.body_size", given[-1].number)


def map_body_memory(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`post-buffering`: beyond it a body goes to a temporary file."""
    if given[-1].number >= 1024:
        yield Give("limits.body_memory", given[-1].number)


def map_ping(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`websockets-ping-freq`."""
    yield Give("websocket.ping_interval", given[-1].number)


def map_pong(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`websockets-pong-tolerance`."""
    yield Give("websocket.ping_timeout", max(1, given[-1].number))


def map_message(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`websockets-max-size`, in KiB."""
    yield Give("websocket.max_message", max(1, given[-1].number) * 1024)
