"""The OpenAPI document of the control socket, from the table of operations."""

from __future__ import annotations

from typing import Any

from hostler.control.operation import OPERATIONS, Operation, Parameter
from hostler.control.request import MAX_BODY

# That of the interface, as in its paths.
VERSION = "1"
_DESCRIPTION = (
    "HTTP/1.1 and JSON over a unix socket, for those who operate a server. Bodies have a length and are at most "
    f"{MAX_BODY} bytes. Unknown parameters are refused."
)
_REFUSAL = {
    "type": "object",
    "required": ["error", "details"],
    "properties": {
        "error": {"type": "string", "description": "what is wrong, in one line"},
        "details": {"type": "string", "description": "more of it, such as a traceback; often empty"},
        "outcome": {"type": "string", "description": "of a reload: refused, abandoned or stopped"},
    },
}
# What every operation may be answered with.
_COMMON_REFUSALS = {
    400: "The request is malformed, or a parameter is not what it must be.",
    403: "The user at the other end may not use this socket.",
    503: "Too many clients are connected.",
}


def build_document() -> dict[str, Any]:
    """Build the document, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hostler control socket", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": "http://localhost", "description": "the unix socket; the host does not matter"}],
        "paths": paths,
        "components": {"schemas": {"Refusal": _REFUSAL}},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if operation.doc:
        described["description"] = operation.doc
    outside = [each for each in operation.parameters if each.place != "body"]
    inside = [each for each in operation.parameters if each.place == "body"]
    if outside:
        described["parameters"] = [_describe_parameter(each) for each in outside]
    if inside:
        properties = {each.name: {**_schema(each), "description": each.doc} for each in inside}
        body = {"type": "object", "properties": properties, "additionalProperties": False}
        described["requestBody"] = {"content": {"application/json": {"schema": body}}}
    answers = {operation.status: _content("The answer.", dict(operation.answer))}
    for status, when in {**_COMMON_REFUSALS, **(operation.refusals or {})}.items():
        answers[status] = _content(when, {"$ref": "#/components/schemas/Refusal"})
    described["responses"] = {str(status): answers[status] for status in sorted(answers)}
    return described


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.doc,
        "schema": _schema(parameter),
    }


def _schema(parameter: Parameter) -> dict[str, Any]:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum, "default": parameter.default}
    return {"type": parameter.kind, **{name: value for name, value in bounds.items() if value is not None}}


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
