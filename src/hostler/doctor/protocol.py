"""What is spoken at an address: it is asked in each protocol, and what it answers tells. Codecs only, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hostler.contracts import WireProtocol

# Enough of an answer to tell.
ENOUGH = 16


@dataclass(frozen=True, slots=True)
class Question:
    """A request that changes nothing, and how its answer is known.

    Attributes:
        request: the bytes to send.
        is_answer: tells whether these first bytes are an answer in the protocol.
    """

    request: bytes
    is_answer: Callable[[bytes], bool]


def _pack_uwsgi(variables: Mapping[str, str]) -> bytes:
    block = b"".join(
        len(part).to_bytes(2, "little") + part
        for pair in variables.items()
        for part in (each.encode() for each in pair)
    )
    return b"\0" + len(block).to_bytes(2, "little") + b"\0" + block


def _pack_scgi(variables: Mapping[str, str]) -> bytes:
    block = b"".join(f"{name}\0{value}\0".encode() for name, value in variables.items())
    return b"%d:%s," % (len(block), block)


_VARIABLES = {"CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "OPTIONS", "REQUEST_URI": "*",
              "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost",
              "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1"}  # fmt: skip

QUESTIONS: Mapping[WireProtocol, Question] = {
    "http": Question(
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        # Servers of other protocols may refuse a stranger in HTTP's words.
        lambda answer: answer.startswith(b"HTTP/1.") and answer[8:12] != b" 400",
    ),
    # uwsgi's ping (modifier 100) is answered with the same header and no request is made.
    "uwsgi": Question(b"\x64\0\0\0", lambda answer: answer[:1] == b"\x64"),
    # FCGI_GET_VALUES (FastCGI 4.1) for FCGI_MPXS_CONNS; the answer is a FCGI_GET_VALUES_RESULT.
    "fastcgi": Question(b"\x01\x09\0\0\0\x11\0\0\x0f\0FCGI_MPXS_CONNS", lambda answer: answer[:2] == b"\x01\x0a"),
    "scgi": Question(_pack_scgi(_VARIABLES), lambda answer: answer.lower().startswith(b"status:")),
}


def recognise(expected: WireProtocol, ask: Callable[[bytes], bytes]) -> WireProtocol | None:
    """Find out what is spoken; None when nothing comes back that is known.

    Args:
        expected: what is asked for first.
        ask: sends a request and gives the first bytes of the answer.
    """
    refused = False
    for protocol in dict.fromkeys((expected, *QUESTIONS)):
        answer = ask(QUESTIONS[protocol].request)
        if QUESTIONS[protocol].is_answer(answer):
            return protocol
        refused = refused or (protocol == "http" and answer.startswith(b"HTTP/1."))
    return "http" if refused else None
