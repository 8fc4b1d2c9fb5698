"""The service of examples/flask_api, with a stream that a test holds inside its request context."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response, abort, request, stream_with_context

from inventory import create_app
from tests.e2e.apps.robust import hold


def drip() -> Response:
    """The request is still there between the pieces: that is what stream_with_context is for."""

    def pieces() -> Iterator[str]:
        yield f"first {request.args['word']}\n"
        hold("drip")
        yield f"last {request.args['word']}\n"

    return Response(stream_with_context(pieces()), mimetype="text/plain")


def refuse(status: int) -> Response:
    abort(status)


def build_app() -> Flask:
    app = create_app("a key of the tests")
    app.add_url_rule("/drip", view_func=drip)
    app.add_url_rule("/refuse/<int:status>", view_func=refuse)
    return app
