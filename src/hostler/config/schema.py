"""The schema: every option of Hostler, each declared once.

From these declarations come the file format, the flags, the environment variables, `--help` and the reference
documentation. A section is a frozen dataclass; its values are immutable (tuples, read-only mappings), because the
configuration is built once, in one place, and handed around. Adding an option is adding one field here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from hostler.config.kind import AddressList, Boolean, Duration, Integer, Location, Octal, Size, Table, Text, TextList
from hostler.config.option import Option, option, read_options


@dataclass(frozen=True, slots=True)
class App:
    """The application and the surroundings it is loaded in."""

    target: str | None = option(
        None,
        Text(word="APP", optional=True),
        doc="The application: `module:attr`, `module`, `module:factory()` or a path to a file. "
        "On the command line it is the argument itself. Without it, the project in the directory is recognised.",
        common=True,
    )
    chdir: str = option(
        ".",
        Text(word="PATH", path=True),
        doc="The directory that workers change to before they load the application; it is also put on the import path.",
        short=("--chdir",),
        common=True,
    )
    python_path: tuple[str, ...] = option(
        (),
        TextList(word="PATH"),
        doc="Further directories for the import path, in this order, relative to `app.chdir`.",
        short=("--python-path",),
    )
    preload: bool = option(
        False,
        Boolean(),
        doc="Load the application once, in a process that workers are then forked from, so that they share its memory. "
        "A reload loads it anew.",
        short=("--preload",),
        common=True,
    )
    env: Mapping[str, str] = option(
        MappingProxyType({}),
        Table(private=True),
        doc="Environment variables for the application, over those that Hostler was started with.",
        common=True,
    )
    require: tuple[str, ...] = option(
        (),
        TextList(word="NAME"),
        doc="Environment variables that must be set and not empty, in `app.env` or in the environment that Hostler was "
        "started with; without them it does not start.",
        short=("--require",),
    )
    script_name: str = option(
        "",
        Text(word="PREFIX"),
        doc="The URL prefix under which the application is mounted (`SCRIPT_NAME`), such as `/shop`.",
    )
    interface: Literal["auto", "asgi", "asgi2", "wsgi"] = option(
        "auto",
        Text(choices=("auto", "asgi", "asgi2", "wsgi")),
        doc="How the application is called: `wsgi`, `asgi`, or `asgi2` for ASGI before version 3; `auto` finds out "
        "from the application itself.",
        short=("--interface",),
    )
    lifespan: Literal["auto", "on", "off"] = option(
        "auto",
        Text(choices=("auto", "on", "off")),
        doc="Whether ASGI applications are told of start and shutdown (the lifespan protocol): `auto` also serves "
        "those that do not support it, `on` refuses to.",
        short=("--lifespan",),
    )
    mounts: Mapping[str, str] = option(
        MappingProxyType({}),
        Table(),
        doc='Further applications by URL prefix, such as `"/admin" = "legacy.wsgi:application"`, WSGI and ASGI side by '
        "side. The longest prefix wins; `app.target` answers the rest.",
    )


@dataclass(frozen=True, slots=True)
class Server:
    """Listeners, and what concerns the supervisor process."""

    bind: tuple[str, ...] = option(
        ("127.0.0.1:8000",),
        AddressList(word="ADDRESS", filled=True),
        doc="Where to listen: `HOST:PORT`, `:PORT`, `[IPV6]:PORT`, `PORT`, `http://HOST:PORT`, "
        "`https://HOST:PORT` (see `[tls]`), "
        "`unix:/path` (with `?mode=660&user=U&group=G`), `unix:@name` for an abstract socket, or `fd://N`. "
        "`uwsgi://`, `scgi://` or `fastcgi://HOST:PORT`, or `?protocol=uwsgi` behind any address, for a web server "
        "that speaks so; `?proxy_protocol=on` for a load balancer that sends a PROXY header.",
        short=("-b", "--bind"),
        common=True,
        fallback="PORT",
    )
    # 2048 is Gunicorn's value; the kernel lowers it to net.core.somaxconn.
    backlog: int = option(
        2048,
        Integer(minimum=1, maximum=65535),
        doc="How many connections the kernel may hold for a listener before one is accepted.",
        unit="connections",
        reloadable=False,
    )
    reuse_port: bool = option(
        False,
        Boolean(),
        doc="Give each worker listening sockets of its own (`SO_REUSEPORT`): the kernel spreads connections over "
        "workers by address, and other servers of the same user can listen beside this one.",
        short=("--reuse-port",),
        reloadable=False,
    )
    # Gunicorn's value, and the grace period that Kubernetes gives by default.
    graceful_timeout: float = option(
        30.0,
        Duration(),
        doc="How long requests may go on after the order to stop or reload, before they are cut off.",
        short=("--graceful-timeout",),
        common=True,
    )
    pid_file: Path | None = option(  # noqa: RUF009 - declares a field
        None,
        Location(optional=True),
        doc="A file that holds the supervisor's process id while it runs.",
        short=("--pid-file",),
        reloadable=False,
    )
    user: str | None = option(
        None,
        Text(word="USER", optional=True),
        doc="The user, by name or number, that workers run as; needs a start as root.",
        short=("--user",),
    )
    group: str | None = option(
        None,
        Text(word="GROUP", optional=True),
        doc="The group, by name or number, that workers run as; needs a start as root. "
        "Without it, the groups of `server.user`.",
        short=("--group",),
    )
    umask: int | None = option(
        None,
        Octal(),
        doc="The permission bits that files made by the server and the application do not get.",
    )
    name: str | None = option(
        None,
        Text(word="NAME", optional=True),
        doc="The name in process titles, in place of the application's target, and the name of the instance for "
        "commands such as `hostler status`, in place of the directory's.",
    )
    header: str = option(
        "hostler",
        Text(),
        doc="The `Server` response header; empty to send none.",
    )


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes that run the application."""

    count: int | Literal["auto"] = option(
        1,
        Integer(minimum=1, maximum=1024, auto=True),
        doc="How many worker processes to run; `auto` means one per usable core, container limits respected.",
        unit="processes",
        short=("-w", "--workers"),
        common=True,
        fallback="WEB_CONCURRENCY",
    )
    # A quick call never leaves the first thread, so that more threads cost memory only; four suit a small application.
    threads: int = option(
        4,
        Integer(minimum=1, maximum=1024),
        doc="How many requests one worker may run in a WSGI application at the same time.",
        unit="threads",
        short=("--threads",),
        common=True,
    )
    loop: str = option(
        "auto",
        Text(word="LOOP"),
        doc="The event loop that ASGI applications run in: `asyncio`, `uvloop`, or `module:factory`; `auto` is uvloop "
        "where it is installed, else asyncio.",
        short=("--loop",),
    )
    max_requests: int = option(
        0,
        Integer(),
        doc="After how many requests a worker is replaced, against slow leaks; 0 for never.",
        unit="requests",
        short=("--max-requests",),
    )
    max_requests_jitter: int = option(
        0,
        Integer(),
        doc="Up to how many requests are added to `workers.max_requests`, at random for each worker, "
        "so that they are not replaced all at once.",
        unit="requests",
    )
    max_age: float = option(
        0.0,
        Duration(),
        doc="After how long a worker is replaced, a tenth less at random; 0 for never.",
    )
    max_memory: int = option(
        0,
        Size(),
        doc="Above how much resident memory a worker is replaced, a tenth less at random; 0 for never. A worker that "
        "has as much from the beginning is left alone. Pages that workers share count for each.",
    )
    max_memory_growth: int = option(
        0,
        Size(),
        doc="How much a worker's resident memory may grow from its first seconds of service, before it is replaced, a "
        "tenth less at random; 0 for any.",
    )
    boot_timeout: float = option(
        60.0,
        Duration(minimum=0.1),
        doc="How long a worker may take to load the application and start its lifespan, before it counts as failed.",
    )


@dataclass(frozen=True, slots=True)
class Process:
    """What the operating system lets worker processes do, beside `server.user` and `server.group`."""

    groups: tuple[str, ...] = option(
        (),
        TextList(word="GROUP"),
        doc="The supplementary groups of workers, by name or number, in place of those of `server.user`; needs a "
        "start as root.",
    )
    capabilities: tuple[str, ...] = option(
        (),
        TextList(word="NAME"),
        doc='The capabilities that workers keep, such as `net_bind_service`, and no others; `["none"]` takes away all '
        "that are left to a process of root. Without it, what a change of user leaves: none.",
    )
    # Off, as it keeps applications from sudo, sendmail and ping.
    no_new_privileges: bool = option(
        False,
        Boolean(),
        doc="Make setuid programs that an application starts run without the rights of their owner.",
    )
    limits: Mapping[str, str] = option(
        MappingProxyType({}),
        Table(),
        doc='Resource limits of each worker (setrlimit(2)) in the limit\'s own unit, such as `{ core = "0", '
        'nofile = "4096:65536" }`: one number for both limits, or the soft and the hard one; `unlimited` for none.',
    )
    nice: int = option(
        0,
        Integer(minimum=-20, maximum=19),
        doc="How much nicer than the supervisor workers are to other processes; below 0 needs root.",
        unit="steps",
    )
    cpus: str = option(
        "",
        Text(word="CORES"),
        doc="The processor cores that workers run on, such as `0-3,8`; `each` gives every worker one of its own, in "
        "turn; empty for all.",
    )
    oom_score: int = option(
        0,
        Integer(minimum=-1000, maximum=1000),
        doc="How willingly the kernel ends workers when memory runs out, from -1000 (never) to 1000 (first); 0 leaves "
        "it as it is.",
        unit="points",
    )
    cgroup: Mapping[str, str] = option(
        MappingProxyType({}),
        Table(),
        doc='Limits of all workers together (cgroup v2), such as `{ "memory.max" = "2G", "pids.max" = "500" }`; '
        "needs root, or a systemd service with `Delegate=yes`.",
    )
    chroot: Path | None = option(  # noqa: RUF009 - declares a field
        None,
        Location(optional=True),
        doc="The root directory of workers; the interpreter, its packages and the application must be in there, at "
        "the same paths. Needs a start as root.",
    )


def _actions(doc: str) -> Any:  # noqa: ANN401 - as `option` is typed
    return option((), TextList(word="ACTION"), doc=doc)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What happens at points of the server's life: `module:function`, or `exec:` and a command (`exec:+` as root)."""

    prepare: tuple[str, ...] = _actions(
        "Before the workers of a start or a reload; if one fails, there is no start, or the old workers stay. For "
        "migrations and checks."
    )
    serving: tuple[str, ...] = _actions("Once all workers of a start or a reload are ready.")
    worker_started: tuple[str, ...] = _actions("Once a worker's process id is known.")
    worker_ended: tuple[str, ...] = _actions("Once a worker is gone, and why.")
    stopping: tuple[str, ...] = _actions("When the server begins to stop, while workers finish what they have begun.")
    ended: tuple[str, ...] = _actions("When the server stops, after the last worker.")
    loading: tuple[str, ...] = _actions(
        "In each worker, before it loads the application; with `app.preload`, in the process that loads it for all."
    )
    worker_forked: tuple[str, ...] = _actions("In each worker, as it begins; with `app.preload`, after the fork.")
    worker_loaded: tuple[str, ...] = _actions("In each worker, once it has the application, before it serves.")
    worker_leaving: tuple[str, ...] = _actions("In each worker, after its last request.")
    # Arbitrary; migrations take their time.
    timeout: float = option(
        300.0,
        Duration(minimum=0.1),
        doc="How long a single action may take, before it is killed and counts as failed.",
    )


@dataclass(frozen=True, slots=True)
class Http:
    """How requests are received and answered."""

    # nginx allows 60 s for a head and for the pause between reads of a body, Gunicorn and Granian 30 s.
    head_timeout: float = option(
        30.0,
        Duration(minimum=0.001),
        doc="How long a client may take to send a request's head, from its first byte; then 408. A new connection "
        "on which nothing is sent is closed after as long.",
    )
    body_timeout: float = option(
        30.0,
        Duration(minimum=0.001),
        doc="How long a request's body may make no progress; then 408.",
    )
    # nginx's value, and longer than the 60 s after which common load balancers close their side first.
    keep_alive_timeout: float = option(
        75.0,
        Duration(),
        doc="How long a connection may stay idle between requests; 0 closes it after each answer.",
    )
    # nginx's send_timeout.
    write_timeout: float = option(
        60.0,
        Duration(minimum=0.001),
        doc="How long a client may accept no byte of an answer, before the connection is closed.",
    )
    request_body: Literal["auto", "buffer", "stream"] = option(
        "auto",
        Text(choices=("auto", "buffer", "stream")),
        doc="`buffer` calls the application once the body is complete, so that a slow client holds no thread; "
        "`stream` calls it at once and lets it read the body as it comes; `auto` buffers for WSGI, where waiting takes "
        "a thread, and streams for ASGI, where it does not.",
    )
    # Off, as in other servers: much code does not expect to be cancelled halfway.
    cancel_on_disconnect: bool = option(
        False,
        Boolean(),
        doc="Cancel the task of an ASGI application that has not answered when its client has gone, instead of only "
        "telling it with `http.disconnect`. A client that has closed its writing side counts as gone, too.",
    )
    body_directory: str = option(
        "",
        Text(word="PATH", path=True),
        doc="Where request bodies larger than `limits.body_memory` are kept while they are needed; empty is `$TMPDIR`, "
        "or else `/tmp`.",
    )
    underscore_headers: Literal["drop", "refuse", "allow"] = option(
        "drop",
        Text(choices=("drop", "refuse", "allow")),
        doc="What to do with request headers whose names contain an underscore, which WSGI cannot tell from a hyphen: "
        "leave them out, answer 400, or pass them on.",
    )


@dataclass(frozen=True, slots=True)
class Tls:
    """Listeners whose address begins with `https://`; an address can say some of it for itself."""

    certificate: tuple[str, ...] = option(
        (),
        TextList(word="PATH", path=True),
        doc="Certificates: PEM files with the whole chain, directories of them (also those of certbot), or patterns "
        "such as `/etc/tls/*.pem`. A client is shown the one for the name it asks for, or else the first. An answer "
        "of OCSP is stapled if there is one beside it, as `PATH.ocsp`. Changed files are taken up while running.",
        short=("--certificate",),
        common=True,
    )
    key: tuple[str, ...] = option(
        (),
        TextList(word="PATH", path=True),
        doc="Their private keys, in the same order. Without it, each is looked for in the certificate's file and "
        "beside it (`privkey.pem` for `fullchain.pem`, `NAME.key`, `NAME-key.pem`).",
        short=("--key",),
        common=True,
    )
    min_version: Literal["1.2", "1.3"] = option(
        "1.2",
        Text(choices=("1.2", "1.3")),
        doc="The least version of TLS that is spoken.",
    )
    client_auth: Literal["none", "optional", "required"] = option(
        "none",
        Text(choices=("none", "optional", "required")),
        doc="Whether clients are asked for a certificate, which the application is then told of. One that cannot be "
        "verified ends the connection in any case.",
    )
    client_ca: Path | None = option(  # noqa: RUF009 - declares a field
        None,
        Location(optional=True),
        doc="A PEM file with the authorities that may have signed clients' certificates.",
    )
    # Off, as it also concerns those who come through a proxy that is not trusted, and so looks like a plain client.
    https_only: bool = option(
        False,
        Boolean(),
        doc="Send every request that came without TLS to the same address with `https` (308), and tell browsers to "
        "come with TLS from now on (`Strict-Transport-Security`, see `tls.hsts`). Requests that a trusted proxy "
        "has got with TLS are served.",
        short=("--https-only",),
    )
    # What the preload lists of browsers ask for at the least.
    hsts: float = option(
        31_536_000.0,
        Duration(),
        doc="How long browsers are to remember that, with `tls.https_only`; 0 does not tell them.",
    )
    # Arbitrary: far above what the slowest lines need, and less than the 60 s that nginx allows.
    handshake_timeout: float = option(
        10.0,
        Duration(minimum=0.001),
        doc="How long a client may take for the handshake, before it is dropped.",
    )


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long applications may take for a request: then the client gets 503, and the application is to end."""

    # Off: what is slow on purpose (reports, uploads, long polling) must be known before it is cut off.
    default: float = option(
        0.0,
        Duration(),
        doc="How long an application may have a request: a WSGI one until it has returned, an ASGI one until its "
        "response is complete; 0 for as long as it likes. WebSockets have no deadline of their own accord.",
        short=("--deadline",),
        common=True,
    )
    routes: Mapping[str, str] = option(
        MappingProxyType({}),
        Table(),
        doc="Deadlines by path, over the default; the paths below are meant, too, `*` stands for any part of a "
        'segment, and the most exact pattern wins: `"/reports" = "5m"`, `"/users/*/export" = "2m"`, `"/events" = 0`.',
    )
    # Arbitrary: time for a rollback and for what a framework does when a request ends.
    grace: float = option(
        5.0,
        Duration(minimum=0.001),
        doc="How long an application that was told to end may take to do so, before its worker is replaced.",
    )


@dataclass(frozen=True, slots=True)
class Overload:
    """Which requests get 503 when more arrive than can be served, so that the others need not wait."""

    # Off: a burst that would be served in a second or two is not overload everywhere. 50 ms suits most sites: below
    # what people notice, above the pauses of an interpreter.
    target: float = option(
        0.0,
        Duration(),
        doc="How long requests may wait for the application while the server is overloaded; those that have waited "
        "longer get 503 with `Retry-After`; 0 serves all, however late. Try `50ms`.",
        common=True,
    )
    # Arbitrary: longer than one slow call usually is; Facebook's controlled delay, for shorter calls, has 100 ms.
    interval: float = option(
        0.2,
        Duration(minimum=0.001),
        doc="How long all requests must have waited longer than `overload.target` before that counts as overload.",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, per worker or per request. A request beyond one is answered, never silently cut."""

    # Arbitrary; at an idle cost of about a kilobyte each, a bound on memory that few sites reach.
    connections: int = option(
        10_000,
        Integer(minimum=1, maximum=10_000_000),
        doc="How many connections a worker keeps open at once.",
        unit="connections",
    )
    # Arbitrary: each holds a few kilobytes, and one that is really there is through in milliseconds.
    handshakes: int = option(
        4096,
        Integer(minimum=1),
        doc="How many handshakes of TLS a worker has under way at once; beyond it the oldest is dropped.",
        unit="handshakes",
    )
    # No limit, as Uvicorn's --limit-concurrency.
    concurrency: int = option(
        0,
        Integer(),
        doc="How many requests and WebSockets an ASGI worker may have in its applications at once; beyond it 503 with "
        "`Retry-After`; 0 for no limit. A WSGI worker has its threads.",
        unit="requests",
        short=("--limit-concurrency",),
    )
    # Apache's LimitRequestLine, less its terminator; RFC 9112 3 asks for 8000 at least.
    request_line: int = option(
        8190,
        Size(minimum=64),
        doc="The longest request line (method, target and version); beyond it 414.",
    )
    # Large enough for the cookies and tokens of single sign-on, which outgrow the 8 KiB of nginx and Apache.
    header_size: int = option(
        16_384,
        Size(minimum=64),
        doc="The longest single header, name and value; beyond it 431.",
    )
    # Apache's LimitRequestFields and Gunicorn's limit.
    header_count: int = option(
        100,
        Integer(minimum=1, maximum=32768),
        doc="The most headers in one request; beyond it 431.",
        unit="headers",
    )
    head_size: int = option(
        65_536,
        Size(minimum=1024),
        doc="The largest head, request line and headers together; beyond it 431.",
    )
    # Arbitrary: above what forms and uploads commonly need, below what fills a disk.
    body_size: int = option(
        104_857_600,
        Size(),
        doc="The largest request body; beyond it 413; 0 for no limit.",
    )
    # Arbitrary: common forms and JSON stay in memory, uploads do not.
    body_memory: int = option(
        262_144,
        Size(minimum=1024),
        doc="Up to what size a buffered request body stays in memory; beyond it, it goes to a temporary file.",
    )
    buffered_bytes: int = option(
        268_435_456,
        Size(minimum=65_536),
        doc="The most memory that a worker's unread requests and unsent answers may take together.",
    )
    response_buffer: int = option(
        1_048_576,
        Size(minimum=4096),
        doc="How much of one answer may wait for its client, before the application is held back.",
    )


@dataclass(frozen=True, slots=True)
class Http2:
    """HTTP/2, over TLS and in clear text."""

    enabled: bool = option(
        True,
        Boolean(),
        doc="Speak HTTP/2 with clients that begin with it: over TLS those that choose it, in clear text those that "
        "know of it beforehand, such as a proxy. The others are spoken HTTP/1 with in any case.",
    )
    # nginx's http2_max_concurrent_streams. RFC 9113 6.5.2 recommends no less than 100.
    max_streams: int = option(
        128,
        Integer(minimum=1, maximum=65_535),
        doc="How many requests one connection may have in progress at once.",
        unit="streams",
    )
    # A round trip of 100 ms then allows 2.5 MB/s. The least is the protocol's initial value.
    stream_window: int = option(
        262_144,
        Size(minimum=65_535),
        doc="How much of one request's body may be on its way. An application that reads bodies as they come and does "
        "not take this one holds that much of it in memory.",
    )


@dataclass(frozen=True, slots=True)
class Websocket:
    """WebSockets of ASGI applications."""

    # Uvicorn's --ws-max-size.
    max_message: int = option(
        16_777_216,
        Size(minimum=1),
        doc="The largest message, after decompression; beyond it the connection is closed with code 1009.",
    )
    # Uvicorn's --ws-max-queue.
    max_queue: int = option(
        32,
        Integer(minimum=1),
        doc="How many messages may wait for the application, before no more are read from the client.",
        unit="messages",
    )
    # Uvicorn's --ws-ping-interval and --ws-ping-timeout; below the 60 s after which proxies close idle connections.
    ping_interval: float = option(
        20.0,
        Duration(),
        doc="How often a ping is sent, which keeps the connection open and finds out whether the client is there; 0 "
        "sends none.",
    )
    ping_timeout: float = option(
        20.0,
        Duration(minimum=0.001),
        doc="How long a client may take to answer a ping, before the connection is dropped.",
    )
    # The close_timeout of the websockets package.
    close_timeout: float = option(
        10.0,
        Duration(minimum=0.001),
        doc="How long a client may take to answer the closing of a connection, before it is dropped.",
    )
    compression: bool = option(
        True,
        Boolean(),
        doc="Compress messages for clients that can (`permessage-deflate`, RFC 7692).",
    )
    # Off, other than in the websockets package: with it each connection that compresses holds a compressor of 160 KiB.
    context_takeover: bool = option(
        False,
        Boolean(),
        doc="Compress each message with what was learned from those before it. Similar messages become smaller, and "
        "each connection that has sent one lately holds about 160 KiB.",
    )
    # The websockets package's default, chosen there for its memory. zlib has no window of 8 bits.
    window_bits: int = option(
        12,
        Integer(minimum=9, maximum=15),
        doc="How far back compression looks, as a power of two; memory per connection grows with it.",
        unit="bits",
    )


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word about the client is taken."""

    networks: tuple[str, ...] = option(
        ("127.0.0.1", "::1", "unix"),
        TextList(word="NETWORK"),
        doc="Peers whose `Forwarded`, `X-Forwarded-*` and `X-Request-Id` headers are believed: addresses, "
        "networks such as `10.0.0.0/8`, `unix` for unix sockets, or `*` for everyone.",
        short=("--trust",),
        common=True,
    )
    headers: Literal["x-forwarded", "forwarded"] = option(
        "x-forwarded",
        Text(choices=("x-forwarded", "forwarded")),
        doc="Which headers the trusted peers set: `X-Forwarded-For` and its like, or `Forwarded` (RFC 7239). The "
        "others are not read, as a proxy that does not set them passes on what clients make up.",
    )


@dataclass(frozen=True, slots=True)
class Log:
    """The server log and the access log."""

    level: Literal["debug", "info", "warning", "error", "critical"] = option(
        "info",
        Text(choices=("debug", "info", "warning", "error", "critical")),
        doc="The least severe messages that the server log takes.",
        short=("--log-level",),
        common=True,
    )
    file: str = option(
        "-",
        Text(word="PATH", path=True),
        doc="Where the server log goes: `-` for standard error, a path, opened again on SIGUSR1, `journald:` for the "
        "journal of systemd, or `syslog:` as for `log.access`.",
        short=("--log-file",),
    )
    format: Literal["text", "json"] = option(
        "text",
        Text(choices=("text", "json")),
        doc="How the server log is written: a line for people, or a JSON object for machines.",
        short=("--log-format",),
    )
    access: str = option(
        "",
        Text(word="WHERE", path=True),
        doc="Where the access log goes: empty for nowhere, `-` for standard output, a path, "
        "`journald:` for the journal of systemd, or `syslog:` with `udp://HOST:PORT` or `unix:/dev/log` and "
        "`?facility=NAME`.",
        short=("--access-log",),
        common=True,
    )
    access_format: str = option(
        "combined",
        Text(word="FORMAT"),
        doc='The access log\'s lines: `common`, `combined`, `json`, or a format such as `%(h)s "%(r)s" %(s)s %(D)s`.',
        short=("--access-log-format",),
    )
    access_skip: tuple[str, ...] = option(
        (),
        TextList(word="PATH"),
        doc="Paths whose requests get no line in the access log, such as `/health`, or `/static/*` for all below.",
    )
    access_statuses: tuple[str, ...] = option(
        (),
        TextList(word="STATUS"),
        doc="Statuses whose requests get a line: `404`, `5xx`, or `none` where the client was gone before there was "
        "one. With this, `log.access_slow` or `log.access_sample`, others get none.",
    )
    access_slow: float = option(
        0.0,
        Duration(),
        doc="Requests that take so long get a line in any case; 0 for no such choice.",
    )
    access_sample: int = option(
        0,
        Integer(),
        doc="One in so many of the requests that are not chosen otherwise gets a line; 0 for none of them.",
        unit="requests",
    )
    rotate_size: int = option(
        0,
        Size(),
        doc="Log files that grow beyond this are put aside as `FILE.1`, `FILE.2`, ... and begun anew; 0 for never.",
    )
    rotate_period: float = option(
        0.0,
        Duration(),
        doc="Log files are put aside when a new period begins, such as `1d` at midnight (UTC); 0 for never.",
    )
    # logrotate's `rotate 7`, a week of days.
    rotate_keep: int = option(
        7,
        Integer(minimum=1, maximum=1000),
        doc="How many log files that were put aside are kept.",
        unit="files",
    )


@dataclass(frozen=True, slots=True)
class Reload:
    """How a reload replaces the workers, and what they must be able to do before they serve."""

    # The quickest, and what a configuration without this option has always done.
    strategy: Literal["all", "rolling", "one-by-one"] = option(
        "all",
        Text(choices=("all", "rolling", "one-by-one")),
        doc="How many workers a reload replaces at a time: `all`, which for a moment takes twice the memory; "
        "`rolling`, a quarter of them; or `one-by-one`. Each time new workers are ready first, and the next begin when "
        "the old ones have ended. `one-by-one` holds for workers that are recycled, too.",
    )
    warm_up: tuple[str, ...] = option(
        (),
        TextList(word="PATH"),
        doc="Paths that a new worker requests of its own application before it takes traffic, such as `/health`. An "
        "answer of 500 or above, or none, is a worker that did not come up.",
    )
    # Arbitrary: half of what a worker has for coming up.
    warm_up_timeout: float = option(
        30.0,
        Duration(minimum=0.001),
        doc="How long all requests of `reload.warm_up` may take together.",
    )
    touch: tuple[str, ...] = option(
        (),
        TextList(word="PATH"),
        doc="Files whose time of change is looked at every second; when one has changed, Hostler reloads. "
        "A file need not exist yet.",
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Numbers for those who look after the server; a process of its own serves and sends them."""

    bind: tuple[str, ...] = option(
        (),
        TextList(word="ADDRESS"),
        doc="Where `/metrics` is served for Prometheus, in OpenMetrics: `HOST:PORT` or `unix:/path`, as in "
        "`server.bind`. Whoever can connect there can read it.",
        short=("--metrics",),
    )
    uwsgi_stats: tuple[str, ...] = option(
        (),
        TextList(word="ADDRESS"),
        doc="Where the statistics of uWSGI's stats server are served, for `uwsgitop` and the like: `HOST:PORT` or "
        "`unix:/path`. Whoever can connect there can read them, with the paths of requests under way.",
    )
    statsd: str = option(
        "",
        Text(word="ADDRESS"),
        doc="Where metrics are sent to: statsd or Datadog's agent at `HOST:PORT` (UDP) or `unix:/path`; empty for "
        "nowhere.",
        short=("--statsd",),
    )
    statsd_format: Literal["statsd", "dogstatsd"] = option(
        "statsd",
        Text(choices=("statsd", "dogstatsd")),
        doc="What is understood there: `dogstatsd` has tags, `statsd` gets labels as parts of the name.",
    )
    statsd_prefix: str = option(
        "hostler",
        Text(word="NAME"),
        doc="What the names of metrics begin with there, before a dot; may be empty.",
    )
    statsd_tags: Mapping[str, str] = option(
        MappingProxyType({}),
        Table(),
        doc='Tags for every metric, such as `env = "production"`; for `dogstatsd`.',
    )
    # The interval in which statsd itself passes on what it has.
    push_interval: float = option(
        10.0,
        Duration(minimum=0.1),
        doc="How often metrics are sent.",
    )


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the number of workers follows the load."""

    min: int = option(
        1,
        Integer(maximum=1024),
        doc="The fewest workers, where `scaling.max` is set. With 0, the last one goes when nothing has been asked for "
        "`scaling.idle`, and the next connection starts one.",
        unit="processes",
    )
    max: int = option(
        0,
        Integer(maximum=1024),
        doc="The most workers. With it, their number follows the load, beginning with `workers.count`; 0 keeps it at "
        "`workers.count`.",
        unit="processes",
    )
    memory: int = option(
        0,
        Size(),
        doc="The most resident memory that all workers may have together: no worker is added that would not fit, and "
        "when they have grown beyond it, some go; 0 for no bound.",
    )
    # Arbitrary; long enough for who reads a page.
    idle: float = option(
        300.0,
        Duration(minimum=1.0),
        doc="After how long without a request the last worker goes, where `scaling.min` is 0.",
    )


@dataclass(frozen=True, slots=True)
class Control:
    """The control socket, on which `hostler status`, `top`, `reload` and others talk to a running server."""

    # On, as the file is for the user alone who could send signals as well.
    enabled: bool = option(
        True,
        Boolean(),
        doc="Listen on a control socket, which the user that runs Hostler and root may use. Where it cannot be made, a "
        "warning is logged and the server runs all the same.",
        reloadable=False,
    )
    socket: Path | None = option(  # noqa: RUF009 - declares a field
        None,
        Location(optional=True),
        doc="The socket file, in place of one in `control.directory` that is called as the instance. Commands find it "
        "with `--socket` or `HOSTLER_CONTROL_SOCKET`.",
        reloadable=False,
    )
    directory: Path | None = option(  # noqa: RUF009 - declares a field
        None,
        Location(optional=True),
        doc="Where the sockets of all instances are, in place of `/run/hostler` for root, and of "
        "`$XDG_RUNTIME_DIR/hostler` or `/tmp/hostler-UID` for others. Commands look there if "
        "`HOSTLER_CONTROL_DIRECTORY` says so.",
        reloadable=False,
    )
    group: str | None = option(
        None,
        Text(word="GROUP", optional=True),
        doc="A group, by name or number, whose members may use the control socket, too.",
        reloadable=False,
    )


@dataclass(frozen=True, slots=True)
class Otel:
    """OpenTelemetry, over OTLP by HTTP; needs `hostler[otel]`."""

    endpoint: str = option(
        "",
        Text(word="URL"),
        doc="The collector, such as `http://127.0.0.1:4318`; empty for none. What else it asks for is taken from "
        "OpenTelemetry's own variables, such as `OTEL_EXPORTER_OTLP_HEADERS`.",
        short=("--otel",),
    )
    metrics: bool = option(
        True,
        Boolean(),
        doc="Send metrics there, every `metrics.push_interval`.",
    )
    traces: bool = option(
        False,
        Boolean(),
        doc="Send a span for each HTTP request, whose parent is what `traceparent` names, so that the application's "
        "spans are within it.",
    )
    sample_percent: int = option(
        100,
        Integer(minimum=0, maximum=100),
        doc="How many of the requests without a parent have a span; with one, its decision is followed.",
        unit="%",
    )


@dataclass(frozen=True, slots=True)
class Dev:
    """What `hostler dev` watches."""

    watch: tuple[str, ...] = option(
        (".",),
        TextList(word="PATH"),
        doc="Files and directories whose changes reload the application. While this is not set, the directory that the "
        "application is in is watched too.",
        short=("--watch",),
    )
    ignore: tuple[str, ...] = option(
        (),
        TextList(word="PATTERN"),
        doc="Names or paths that are not watched, as shell patterns such as `*.tmp` or `build/*`.",
        short=("--ignore",),
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, one attribute per section."""

    app: App = field(default_factory=App)
    server: Server = field(default_factory=Server)
    workers: Workers = field(default_factory=Workers)
    process: Process = field(default_factory=Process)
    hooks: Hooks = field(default_factory=Hooks)
    http: Http = field(default_factory=Http)
    tls: Tls = field(default_factory=Tls)
    deadlines: Deadlines = field(default_factory=Deadlines)
    overload: Overload = field(default_factory=Overload)
    limits: Limits = field(default_factory=Limits)
    http2: Http2 = field(default_factory=Http2)
    websocket: Websocket = field(default_factory=Websocket)
    trust: Trust = field(default_factory=Trust)
    log: Log = field(default_factory=Log)
    reload: Reload = field(default_factory=Reload)
    metrics: Metrics = field(default_factory=Metrics)
    otel: Otel = field(default_factory=Otel)
    scaling: Scaling = field(default_factory=Scaling)
    control: Control = field(default_factory=Control)
    dev: Dev = field(default_factory=Dev)


SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "app": App,
        "server": Server,
        "workers": Workers,
        "process": Process,
        "hooks": Hooks,
        "http": Http,
        "tls": Tls,
        "deadlines": Deadlines,
        "overload": Overload,
        "limits": Limits,
        "http2": Http2,
        "websocket": Websocket,
        "trust": Trust,
        "log": Log,
        "reload": Reload,
        "metrics": Metrics,
        "otel": Otel,
        "scaling": Scaling,
        "control": Control,
        "dev": Dev,
    }
)


@functools.cache
def list_options() -> tuple[Option, ...]:
    """List every option, in the order of the sections and of their fields."""
    return tuple(found for name, declaration in SECTIONS.items() for found in read_options(name, declaration))


@functools.cache
def index_options() -> Mapping[str, Option]:
    """Map each option's path, such as "workers.count", to the option."""
    return MappingProxyType({found.path: found for found in list_options()})
