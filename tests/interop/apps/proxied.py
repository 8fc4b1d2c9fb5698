"""Tells what a load balancer has told of the connection, over WSGI and ASGI."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    names = [each for each in environ if each.startswith(("SSL_", "HTTPS", "hostler.proxy"))]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: environ[name] for name in names}).encode()]


async def asgi_app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    told = {name: value for name, value in scope["extensions"].items() if name in {"tls", "hostler.proxy"}}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
