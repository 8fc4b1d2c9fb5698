"""What metrics and traces for OpenTelemetry have in common; only imported where `otel.endpoint` is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hostler

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

# Seconds for one export, its retries included (arbitrary: the exporter's own default of ten would hold up the end of a
# worker).
EXPORT_TIMEOUT = 3.0
SCOPE = "hostler"


def is_installed() -> bool:
    """Tell whether the packages of the extra `otel` are there."""
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk  # noqa: F401 - looked for
    except ImportError:
        return False
    return True


def build_resource(service: str) -> Resource:
    """Describe the server. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before what is said here.

    Args:
        service: what the server is called.
    """
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = {"service.name": service, "telemetry.distro.name": SCOPE, "telemetry.distro.version": hostler.__version__}
    # `create` lets what it is given go before the variables.
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


def export_address(endpoint: str, signal: str) -> str:
    """Return where a signal ("metrics", "traces") goes, by the rules of OTEL_EXPORTER_OTLP_ENDPOINT."""
    return f"{endpoint.rstrip('/')}/v1/{signal}"
