"""A small shop in Bottle; tests/interop/apps/falcon_shop.py has the same routes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import bottle

HERE = Path(__file__)


def greet(name: str) -> dict[str, str]:
    return {"hello": name, "agent": bottle.request.get_header("User-Agent", "")}


def digest() -> dict[str, object]:
    content = bottle.request.body.read()
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def count_visits() -> dict[str, int]:
    visits = int(bottle.request.get_cookie("visits", "0")) + 1
    bottle.response.set_cookie("visits", str(visits))
    return {"visits": visits}


def list_lines() -> Iterator[str]:
    bottle.response.content_type = "text/plain"
    for number in range(int(bottle.request.query.count)):
        yield f"line {number}\n"


def send_source() -> bottle.HTTPResponse:
    return bottle.static_file(HERE.name, root=str(HERE.parent))


def crash() -> None:
    raise RuntimeError("the stable door was left open")


app = bottle.Bottle()
app.route("/hello/<name>", "GET", greet)
app.route("/digest", "POST", digest)
app.route("/visits", "GET", count_visits)
app.route("/lines", "GET", list_lines)
app.route("/source", "GET", send_source)
app.route("/crash", "GET", crash)
