"""The table of operations, what becomes of parameters, and the OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from hostler.control.openapi import build_document
from hostler.control.operation import OPERATIONS, Operation, find_operation, parse_arguments
from hostler.control.request import Request, RequestError


def find(method: str, path: str, query: dict[str, str] | None = None, body: bytes = b"") -> dict[str, Any]:
    request = Request(method, path, query or {}, body=body)
    operation, variables = find_operation(request)
    assert operation is not None
    assert not isinstance(variables, str)
    return parse_arguments(operation, request, variables)


def test_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(build_document()))).validate()


def test_document_has_every_operation() -> None:
    described = [
        operation["operationId"] for methods in build_document()["paths"].values() for operation in methods.values()
    ]
    assert sorted(described) == sorted(operation.name for operation in OPERATIONS)


def test_operations_are_versioned_and_named_once() -> None:
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)
    assert len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)
    assert all(each.path.startswith("/v1/") for each in OPERATIONS if each.name != "describe")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_operation_is_found_by_its_path(operation: Operation) -> None:
    names = re.findall(r"{(\w+)}", operation.path)
    found, variables = find_operation(Request(operation.method, re.sub(r"{\w+}", "12", operation.path)))
    assert found is operation
    assert variables == dict.fromkeys(names, "12")


@pytest.mark.parametrize(
    "method, path, methods",
    [("GET", "/", ""), ("GET", "/v1/status/", ""), ("GET", "/v1/reload", "POST"), ("DELETE", "/v1/status", "GET")],
)
def test_what_is_not_there_is_told_from_what_has_other_methods(method: str, path: str, methods: str) -> None:
    assert find_operation(Request(method, path)) == (None, methods)


def test_parameters_are_typed_and_have_their_defaults() -> None:
    assert find("GET", "/v1/logs", {"after": "5", "wait": "2"}) == {"lines": 100, "after": 5, "wait": 2.0}
    assert find("POST", "/v1/stop") == {"now": False}
    assert find("POST", "/v1/stop", body=b'{"now": true}') == {"now": True}
    assert find("POST", "/v1/scale", body=b'{"by": -2}') == {"by": -2}
    assert find("GET", "/v1/workers/3/stacks") == {"worker": 3}


@pytest.mark.parametrize(
    "method, path, query, body, complaint",
    [
        ("GET", "/v1/logs", {"lines": "many"}, b"", 'lines is "many"; it must be an integer from 1 to 10000'),
        ("GET", "/v1/logs", {"lines": "0"}, b"", "lines is 0"),
        ("GET", "/v1/logs", {"lines": "1e3"}, b"", "lines is"),
        ("GET", "/v1/logs", {"lines": "٣"}, b"", "lines is"),
        ("GET", "/v1/logs", {"wait": "nan"}, b"", "wait is"),
        ("GET", "/v1/logs", {"wait": "3600"}, b"", "wait is"),
        ("GET", "/v1/logs", {"line": "3"}, b"", '"line" is not a parameter of logs'),
        ("GET", "/v1/workers/x/stacks", {}, b"", "worker is"),
        ("POST", "/v1/stop", {}, b'{"now": 1}', "now is 1; it must be a boolean"),
        ("POST", "/v1/stop", {"now": "true"}, b"", '"now" is not a parameter of stop'),
        ("POST", "/v1/scale", {}, b'{"workers": true}', "workers is true"),
        ("POST", "/v1/scale", {}, b'{"workers": 1.5}', "workers is 1.5"),
        ("POST", "/v1/scale", {}, b'{"workers": 99999}', "workers is 99999"),
        ("POST", "/v1/scale", {}, b'{"workers": "4"}', "workers is"),
        ("POST", "/v1/scale", {}, b"[]", "not a JSON object"),
        ("POST", "/v1/scale", {}, b"{", "not JSON"),
        ("POST", "/v1/scale", {}, b"[" * 60_000, "not JSON"),
        ("POST", "/v1/scale", {}, b"\xff", "not JSON"),
    ],
)
def test_wrong_parameter_is_named(method: str, path: str, query: dict[str, str], body: bytes, complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint) as caught:
        find(method, path, query, body)
    assert caught.value.status == 400
