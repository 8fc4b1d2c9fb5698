"""Server spans of OpenTelemetry around the applications of a worker; imported only where traces are wanted.

A span begins where the application is called and ends with its response: for WSGI when the iterable is closed, or at
once where it is a list, for ASGI when the application returns. Its parent is what `traceparent` names. Attributes are
those of the semantic conventions for HTTP servers. After fork, as the exporter has a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

import hostler
from hostler.config.schema import Otel
from hostler.contracts import AsgiApplication, Message, Mount, Receive, Send, WsgiApplication
from hostler.telemetry.otel import EXPORT_TIMEOUT, SCOPE, build_resource, export_address

Attributes = dict[str, str | int]
# RFC 9110 15.6; the semantic conventions count no other class as an error of the server.
_SERVER_ERROR = 500
# The methods that the semantic conventions know; a span of any other is named HTTP, so that names stay few.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def trace_mounts(options: Otel, service: str, mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Put a tracer around each application.

    Args:
        options: where spans go, and which.
        service: what the server is called.
        mounts: the applications.
    """
    tracer = _open_tracer(options, service)
    return tuple(replace(mount, application=_wrap(mount, tracer)) for mount in mounts)


def _open_tracer(options: Otel, service: str) -> Tracer:
    """Return our tracer, of the provider that the application has set up if it has one."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        # It logs each failure with a traceback.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(endpoint=export_address(options.endpoint, "traces"), timeout=EXPORT_TIMEOUT)
        sampler = ParentBased(TraceIdRatioBased(options.sample_percent / 100))
        provider = TracerProvider(sampler, build_resource(service))
        provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=EXPORT_TIMEOUT * 1000))
        trace.set_tracer_provider(provider)
    return trace.get_tracer(SCOPE, hostler.__version__)


def _wrap(mount: Mount, tracer: Tracer) -> WsgiApplication | AsgiApplication:
    if mount.interface == "wsgi":
        return TracedWsgi(cast("WsgiApplication", mount.application), tracer)
    return TracedAsgi(cast("AsgiApplication", mount.application), tracer)


def _begin(tracer: Tracer, method: str, attributes: Attributes, carrier: Mapping[str, str]) -> Span:
    known = method if method in _METHODS else "_OTHER"
    return tracer.start_span(
        known if known == method else "HTTP",
        context=propagate.extract(carrier),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": known, **attributes},
    )


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)


def _note_error(span: Span, error: BaseException) -> None:
    span.record_exception(error)
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


class TracedWsgi:
    """A WSGI application in spans."""

    def __init__(self, application: WsgiApplication, tracer: Tracer) -> None:
        """Wrap an application."""
        self._application = application
        self._tracer = tracer

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application in a span."""
        span = _begin(self._tracer, environ["REQUEST_METHOD"], _describe_environ(environ), _Environ(environ))

        def start(status: str, *others: Any) -> Any:  # noqa: ANN401 - PEP 3333
            written = start_response(status, *others)
            _note_status(span, int(status[:3]))
            return written

        token = context.attach(trace.set_span_in_context(span))
        try:
            body = self._application(environ, start)
        except BaseException as error:
            _note_error(span, error)
            span.end()
            raise
        finally:
            context.detach(token)
        # The engine sends these whole, and files without reading them, if it gets them as they are.
        if type(body) in (list, tuple, environ.get("wsgi.file_wrapper")):
            span.end()
            return body
        return _TracedBody(body, span)


class _TracedBody:
    """An iterable whose end is the end of a span."""

    def __init__(self, body: Iterable[bytes], span: Span) -> None:
        self._body = body
        self._parts = iter(body)
        self._span = span

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise
        except BaseException as error:
            _note_error(self._span, error)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._span.end()


class _Environ(Mapping[str, str]):
    """The headers of an environ, as far as propagation asks for them."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ[f"HTTP_{name.upper().replace('-', '_')}"]
        return value

    def __iter__(self) -> Iterator[str]:
        return (key[5:].lower().replace("_", "-") for key in self._environ if key.startswith("HTTP_"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _describe_environ(environ: Mapping[str, Any]) -> Attributes:
    attributes: Attributes = {
        "url.path": f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}",
        "url.scheme": environ["wsgi.url_scheme"],
        "network.protocol.version": str(environ["SERVER_PROTOCOL"]).removeprefix("HTTP/"),
        "server.address": environ["SERVER_NAME"],
        "server.port": int(environ["SERVER_PORT"] or 0),
    }
    _add(attributes, "url.query", environ.get("QUERY_STRING"))
    _add(attributes, "client.address", environ.get("REMOTE_ADDR"))
    _add(attributes, "user_agent.original", environ.get("HTTP_USER_AGENT"))
    return attributes


def _add(attributes: Attributes, name: str, value: str | None) -> None:
    if value:
        attributes[name] = value


class TracedAsgi:
    """An ASGI application whose HTTP requests are in spans; all else passes through."""

    def __init__(self, application: AsgiApplication, tracer: Tracer) -> None:
        """Wrap an application."""
        self._application = application
        self._tracer = tracer

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Call the application, in a span if it is for an HTTP request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        span = _begin(self._tracer, scope["method"], _describe_scope(scope, headers), headers)

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_status(span, message["status"])
            await send(message)

        token = context.attach(trace.set_span_in_context(span))
        try:
            await self._application(scope, receive, send_noting)
        except BaseException as error:
            _note_error(span, error)
            raise
        finally:
            context.detach(token)
            span.end()


def _describe_scope(scope: Mapping[str, Any], headers: Mapping[str, str]) -> Attributes:
    attributes: Attributes = {
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    if scope.get("server"):
        host, port = scope["server"]
        attributes["server.address"] = host
        if port:
            attributes["server.port"] = port
    _add(attributes, "url.query", scope["query_string"].decode("latin-1"))
    _add(attributes, "client.address", scope["client"][0] if scope.get("client") else None)
    _add(attributes, "user_agent.original", headers.get("user-agent"))
    return attributes
