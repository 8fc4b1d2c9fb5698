"""How tests talk to the applications of `apps/asgi_pages.py`: requests, notes, gates, and scripts of messages."""

from __future__ import annotations

import ast
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tests.conformance.wire import Answer, Wire
from tests.e2e.harness import RunningServer

PAGES = "tests.conformance.apps.asgi_pages:app"

Message = dict[str, Any]
TEXT = [(b"content-type", b"text/plain")]
START: Message = {"type": "http.response.start", "status": 200, "headers": TEXT}
MORE: Message = {"type": "http.response.body", "body": b"begun", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"end"}


def ask(
    server: RunningServer, target: str, method: str = "GET", fields: tuple[str, ...] = (), body: bytes = b""
) -> Answer:
    """One request on a connection of its own."""
    with Wire.to(server) as wire:
        return wire.ask(method, target, fields, body)


def new_name() -> str:
    """A name for a note or a gate that no other test has."""
    return uuid.uuid4().hex


def read_note(server: RunningServer, name: str) -> str:
    """Wait for a note that the application leaves."""
    answer = ask(server, f"/note?{name}")
    assert answer.status == 200, f"the application left no note {name}"
    return answer.text


def read_literal(text: str | bytes) -> Any:  # noqa: ANN401 (whatever the application tells)
    """A Python value that the application has written down."""
    return ast.literal_eval(text if isinstance(text, str) else text.decode())


def script_target(messages: Sequence[object], note: str = "", rescue: Sequence[object] = ()) -> str:
    """The target that makes the application send these messages; after an error in one, those of `rescue`."""
    script = {"note": note or new_name(), "messages": list(messages), "rescue": list(rescue)}
    return "/send?" + quote(repr(script), safe="")
