"""A small shop in Falcon; tests/interop/apps/bottle_shop.py has the same routes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import falcon

HERE = Path(__file__)


class Hello:
    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        response.media = {"hello": name, "agent": request.user_agent}


class Digest:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        content = request.bounded_stream.read()
        response.media = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


class Visits:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        visits = int(request.cookies.get("visits", "0")) + 1
        response.set_cookie("visits", str(visits), secure=False)
        response.media = {"visits": visits}


class Lines:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        count = request.get_param_as_int("count", required=True)

        def lines() -> Iterator[bytes]:
            for number in range(count):
                yield f"line {number}\n".encode()

        response.content_type = falcon.MEDIA_TEXT
        response.stream = lines()


class Source:
    """The file goes through wsgi.file_wrapper, which Falcon uses wherever a server has one."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        response.set_stream(HERE.open("rb"), HERE.stat().st_size)


class Crash:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        raise RuntimeError("the stable door was left open")


def create_app() -> falcon.App:
    app = falcon.App()
    app.add_route("/hello/{name}", Hello())
    app.add_route("/digest", Digest())
    app.add_route("/visits", Visits())
    app.add_route("/lines", Lines())
    app.add_route("/source", Source())
    app.add_route("/crash", Crash())
    return app
