"""What `hostler dev` answers with while an application cannot be loaded or started, or has failed in a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hostler.contracts import Receive, Send
from hostler.errors import ApplicationError
from hostler.server.dev_page import TOKEN_HEADER, make_token, render_page, summarise

# RFC 6455 7.4.1: the server met something that kept it from doing its part.
_INTERNAL_ERROR = 1011


def render_failure(error: BaseException, request: Mapping[str, str]) -> bytes:
    """Render the page for an exception that left the application during a request."""
    facts = {
        "request": f"{request.get('method', '?')} {request.get('path', '?')}",
        "request id": request.get("id", "?"),
    }
    return render_page(summarise(error), error, facts)


class _Page:
    """The reason why an application cannot be served, rendered once: it cannot change until the next reload."""

    def __init__(self, error: ApplicationError) -> None:
        token = make_token(f"{error}{error.details}")
        self.body = render_page(str(error), error.__cause__, {}, token)
        self.headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            (TOKEN_HEADER, token),
        ]


class FailurePage:
    """A WSGI application that answers everything with the reason why the real one could not be loaded."""

    def __init__(self, error: ApplicationError) -> None:
        """Show `error`."""
        self._page = _Page(error)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; see PEP 3333."""
        start_response("500 Internal Server Error", self._page.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self._page.body]


class AsgiFailurePage:
    """The same as an ASGI application, for one that was loaded but did not start."""

    def __init__(self, error: ApplicationError) -> None:
        """Show `error`."""
        page = _Page(error)
        self._body = page.body
        self._headers = [(name.lower().encode(), value.encode()) for name, value in page.headers]

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or close one WebSocket; see the ASGI specification."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": "the application did not start"})
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 500, "headers": self._headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self._body})
