"""Compressed messages: permessage-deflate (RFC 7692), as agreed upon, with and without context takeover."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from tests.conformance.asgi_ask import ask, new_name, read_note
from tests.conformance.websocket_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    WebSocketWire,
    build_frame,
    deflate,
)
from tests.conformance.wire import PATIENCE
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, StartServer, start_server
from tests.e2e.vitals import MIB, resident_bytes

PAGES = "tests.conformance.apps.websocket_pages:app"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
# Long enough to be worth it, and unlike itself, so that a repetition is only seen with the context.
WORDS = " ".join(random.Random(7692).choices(["hay", "straw", "oats", "saddle", "bridle", "stable"], k=600))
NOISE = random.Random(7693).randbytes(1000).hex()


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop, "--websocket-max-message", "100000")) as server:
        yield server


@pytest.fixture(scope="module")
def learned(loop: str) -> Iterator[RunningServer]:
    """A server that compresses each message with what it learned from those before."""
    with start_server(PAGES, *asgi_options(loop, "--websocket-context-takeover")) as server:
        yield server


def parameters(client: WebSocketWire) -> dict[str, str] | None:
    """The parameters that the server agrees to; None without compression."""
    agreed = client.answer.value("sec-websocket-extensions")
    if agreed is None:
        return None
    name, *rest = [part.strip() for part in agreed.split(";")]
    assert name == "permessage-deflate"
    return dict(part.partition("=")[::2] for part in rest)


def echo(client: WebSocketWire, text: str) -> int:
    """Have a message sent back; return how many bytes it took on the wire."""
    client.send_text(text)
    frame = client.read_frame()
    assert frame.is_final
    assert frame.opcode == TEXT
    if not frame.is_compressed:
        assert frame.payload.decode() == text
    else:
        assert client._inflate(frame.payload).decode() == text
    return len(frame.payload)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 90_000])
@pytest.mark.parametrize(
    "offer",
    [
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(client_max_window_bits=True),
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
        ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9),
    ],
    ids=["plain", "any-window", "no-takeover", "small-windows"],
)
def test_messages_go_both_ways_compressed(
    pages: RunningServer, offer: ClientPerMessageDeflateFactory, size: int
) -> None:
    text = (WORDS * (size // len(WORDS) + 1))[:size]
    url = f"ws://{pages.host}:{pages.port}/echo"
    with connect(url, extensions=[offer], compression=None, proxy=None, ping_interval=None) as client:
        assert client.protocol.extensions, "the server did not agree"
        for message in (text, text.encode(), text):
            client.send(message)
            assert client.recv(PATIENCE) == message


def test_answers_are_smaller_than_what_they_say(pages: RunningServer) -> None:
    with WebSocketWire.open(pages, "/echo", [OFFER]) as client:
        assert echo(client, WORDS) < len(WORDS) // 2


def test_context_is_taken_over_from_message_to_message(learned: RunningServer) -> None:
    """RFC 7692 7.1.1.1: the second time a message is a reference to the first."""
    with WebSocketWire.open(learned, "/echo", [OFFER]) as client:
        assert not {"server_no_context_takeover", "client_no_context_takeover"} & (parameters(client) or {}).keys()
        first, second = echo(client, NOISE), echo(client, NOISE)
    assert second < first // 4


def test_client_may_ask_for_a_server_without_context(learned: RunningServer) -> None:
    """RFC 7692 7.1.1.1: which the server must agree to, or decline the offer."""
    with WebSocketWire.open(learned, "/echo", [f"{OFFER}; server_no_context_takeover"]) as client:
        assert "server_no_context_takeover" in (parameters(client) or {})
        first = echo(client, NOISE)
        client.forget()
        assert echo(client, NOISE) > first // 2


def test_client_may_forget_its_context(pages: RunningServer) -> None:
    """RFC 7692 7.1.1.2: each message compressed by itself is understood in any case."""
    with WebSocketWire.open(pages, "/sizes", [f"{OFFER}; client_no_context_takeover"]) as client:
        for _ in range(3):
            client.send(TEXT, deflate(WORDS.encode()), rsv=4)
            assert client.read_text() == repr(("text", len(WORDS)))


def test_client_may_keep_its_context(learned: RunningServer) -> None:
    compressor = zlib.compressobj(wbits=-15)
    with WebSocketWire.open(learned, "/sizes", [OFFER]) as client:
        sizes = []
        for _ in range(3):
            payload = deflate(NOISE.encode(), compressor)
            sizes.append(len(payload))
            client.send(TEXT, payload, rsv=4)
            assert client.read_text() == repr(("text", len(NOISE)))
    assert sizes[1] < sizes[0] // 4


def test_window_of_the_client_s_wish_is_used(pages: RunningServer) -> None:
    """RFC 7692 7.1.2.1: what does not fit into 512 bytes cannot be referred to."""
    with WebSocketWire.open(pages, "/echo", [f"{OFFER}; server_max_window_bits=9"]) as client:
        agreed = parameters(client)
        if agreed is None:
            assert echo(client, NOISE) == len(NOISE)
            return
        assert int(agreed["server_max_window_bits"]) <= 9
        client._inflater = zlib.decompressobj(wbits=-9)
        for _ in range(2):
            echo(client, NOISE)


def test_message_may_be_sent_uncompressed_all_the_same(pages: RunningServer) -> None:
    """RFC 7692 6."""
    with WebSocketWire.open(pages, "/sizes", [OFFER]) as client:
        client.send(TEXT, deflate(b"hay" * 100), rsv=4).send(TEXT, b"straw").send(BINARY, deflate(b""), rsv=4)
        assert [client.read_text() for _ in range(3)] == ["('text', 300)", "('text', 5)", "('bytes', 0)"]


def test_compressed_message_in_fragments_is_one_event(pages: RunningServer) -> None:
    """RFC 7692 6.1: only the first frame has the bit."""
    payload = deflate(WORDS.encode())
    with WebSocketWire.open(pages, "/sizes", [OFFER]) as client:
        client.send(TEXT, payload[:3], final=False, rsv=4)
        client.send(CONTINUATION, b"", final=False)
        client.send(CONTINUATION, payload[3:50], final=False)
        client.send(CONTINUATION, payload[50:])
        assert client.read_text() == repr(("text", len(WORDS)))


def test_stream_that_ends_with_its_final_block_is_understood(pages: RunningServer) -> None:
    """RFC 7692 7.2.3.4: BFINAL may be set; the next message begins anew."""
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(b"hay" * 100) + compressor.flush(zlib.Z_FINISH) + b"\0"
    with WebSocketWire.open(pages, "/sizes", [OFFER]) as client:
        for _ in range(2):
            client.send(TEXT, payload, rsv=4)
            assert client.read_text() == "('text', 300)"


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=x",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
        "x-webkit-deflate-frame",
    ],
)
def test_bad_offer_is_declined_and_a_good_one_after_it_taken(pages: RunningServer, offer: str) -> None:
    """RFC 7692 7.1: an invalid offer is no reason to fail the handshake."""
    with WebSocketWire.open(pages, "/echo", [f"Sec-WebSocket-Extensions: {offer}"]) as client:
        assert parameters(client) is None
        assert echo(client, WORDS) == len(WORDS)
    with WebSocketWire.open(pages, "/echo", [f"Sec-WebSocket-Extensions: {offer}, permessage-deflate"]) as client:
        assert parameters(client) is not None
        assert echo(client, WORDS) < len(WORDS)


def test_first_good_offer_is_taken(pages: RunningServer) -> None:
    """RFC 6455 9.1: in the client's order of preference."""
    offers = ["permessage-deflate; server_no_context_takeover", "permessage-deflate"]
    with WebSocketWire.open(pages, "/echo", [f"Sec-WebSocket-Extensions: {', '.join(offers)}"]) as client:
        assert "server_no_context_takeover" in (parameters(client) or {})


def test_window_of_the_client_is_only_told_to_one_that_asked(pages: RunningServer) -> None:
    """RFC 7692 7.1.2.2: client_max_window_bits in the answer needs one in the offer."""
    with WebSocketWire.open(pages, "/echo", [OFFER]) as client:
        assert "client_max_window_bits" not in (parameters(client) or {})


@pytest.mark.parametrize(
    "raw, codes",
    [
        (build_frame(TEXT, b"\xff\xff\xff\xff", rsv=4), {1002, 1007}),
        (build_frame(TEXT, deflate(b"\xff\xfe"), rsv=4), {1007}),
        (build_frame(TEXT, deflate(b"hay"), rsv=4, final=False) + build_frame(CONTINUATION, b"", rsv=4), {1002}),
        (build_frame(PING, b"hay", rsv=4), {1002}),
        (build_frame(CLOSE, b"", rsv=4), {1002}),
        (build_frame(TEXT, deflate(b"hay"), rsv=6), {1002}),
    ],
    ids=["no-deflate", "not-utf-8", "bit-on-continuation", "bit-on-ping", "bit-on-close", "other-bit"],
)
def test_bad_compressed_frame_closes_with_its_code(pages: RunningServer, raw: bytes, codes: set[int]) -> None:
    """RFC 7692 6, 7.2.2."""
    with WebSocketWire.open(pages, "/echo", [OFFER]) as client:
        client.wire.send(raw)
        assert client.read_close().code in codes


@pytest.mark.parametrize("size", [100_001, 64 * MIB])
def test_small_message_that_grows_beyond_the_limit_closes_with_1009(pages: RunningServer, size: int) -> None:
    """A bomb: it is not even unpacked to its end."""
    (worker,) = pages.children()
    with WebSocketWire.open(pages, "/sizes", [OFFER]) as client:
        client.send(TEXT, deflate(b"x" * 100_000), rsv=4)
        assert client.read_text() == "('text', 100000)"
        before = resident_bytes(worker)
        client.send(TEXT, deflate(b"x" * size), rsv=4)
        assert client.read_close().code == 1009
        assert resident_bytes(worker) - before < 4 * MIB


# Options


def test_compression_can_be_turned_off(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop, "--no-websocket-compression"))
    with WebSocketWire.open(server, "/echo", [OFFER]) as client:
        assert parameters(client) is None
        assert echo(client, WORDS) == len(WORDS)
    with WebSocketWire.open(server, "/echo", [OFFER]) as client:
        client.send(TEXT, deflate(b"hay"), rsv=4)
        assert client.read_close().code == 1002


def test_context_is_not_taken_over_unless_that_is_asked_for(pages: RunningServer) -> None:
    """It costs memory for each connection, so that it is off by default."""
    with WebSocketWire.open(pages, "/echo", [OFFER]) as client:
        assert {"server_no_context_takeover", "client_no_context_takeover"} <= (parameters(client) or {}).keys()
        first = echo(client, NOISE)
        client.forget()
        assert echo(client, NOISE) > first // 2


def test_window_can_be_made_smaller(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop, "--websocket-window-bits", "10"))
    with WebSocketWire.open(server, "/echo", [f"{OFFER}; client_max_window_bits"]) as client:
        agreed = parameters(client) or {}
        assert int(agreed.get("server_max_window_bits", "10")) == 10
        assert int(agreed.get("client_max_window_bits", "10")) <= 10
        client._inflater = zlib.decompressobj(wbits=-10)
        for _ in range(2):
            echo(client, NOISE)


def test_end_of_a_compressed_conversation_is_told(pages: RunningServer) -> None:
    name = new_name()
    url = f"ws://{pages.host}:{pages.port}/echo?note={name}"
    with connect(url, proxy=None) as client:
        client.send(WORDS)
        assert client.recv(PATIENCE) == WORDS
        client.close(4000, "compressed no more")
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
    assert "'code': 4000" in read_note(pages, name)
    assert ask(pages, "/ignore").status == 200
