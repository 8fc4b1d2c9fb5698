"""A small collector of OpenTelemetry: takes what is sent to it by OTLP over HTTP, and decodes it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.harness import PATIENCE, ServerError


class Collector:
    """Listens on a free port while used as a context manager.

    Attributes:
        url: its address.
        resources: attributes of the resources that something was sent for.
        metrics: the latest of each metric, by name.
        spans: all spans, in the order in which they came.
    """

    def __init__(self) -> None:
        self.resources: list[dict[str, object]] = []
        self.metrics: dict[str, Metric] = {}
        self.spans: list[Span] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._build_handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="collector", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until what was sent fulfils a condition.

        Raises:
            ServerError: it does not within the usual patience.
        """
        with self._changed:
            if not self._changed.wait_for(condition, PATIENCE):
                raise ServerError(f"nothing was sent that is {what}; metrics {sorted(self.metrics)}, {self.spans}")

    def _take(self, path: str, body: bytes) -> None:
        with self._changed:
            if path == "/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    self.resources.append(attributes(resource.resource.attributes))
                    self.metrics |= {each.name: each for scope in resource.scope_metrics for each in scope.metrics}
            else:
                for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.resources.append(attributes(traced.resource.attributes))
                    self.spans += [span for scope in traced.scope_spans for span in scope.spans]
            self._changed.notify_all()

    def _build_handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                take(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def attributes(pairs: Any) -> dict[str, object]:  # noqa: ANN401 - a repeated field of protobuf has no public type
    """Return attributes as a mapping."""
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> object:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
