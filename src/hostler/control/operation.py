"""The table of operations: what can be asked for on the control socket, each declared once.

From it come the routing, the checks of what was sent, and the OpenAPI document. A path begins with the version of the
interface: what an operation takes or gives may grow within a version, and changes with a new one only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hostler.control.request import Request, RequestError

Place = Literal["path", "query", "body"]
Kind = Literal["integer", "number", "boolean", "string"]
Schema = Mapping[str, Any]

_INTEGER = re.compile(r"-?\d{1,15}", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that an operation takes.

    Attributes:
        name: its name.
        place: where it stands.
        kind: its type in JSON.
        doc: what it is, in one sentence.
        minimum: the least number.
        maximum: the greatest.
        default: what is meant when it is left out.
    """

    name: str
    place: Place
    kind: Kind
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    default: int | float | bool | str | None = None

    def parse(self, text: str) -> object:
        """Read a value from a path or a query.

        Raises:
            RequestError: it is none.
        """
        match self.kind:
            case "integer" if _INTEGER.fullmatch(text):
                return self.check(int(text))
            case "number" if _NUMBER.fullmatch(text):
                return self.check(float(text))
            case "boolean" if text in _BOOLEANS:
                return _BOOLEANS[text]
            case "string":
                return text
        raise self._refusal(text)

    def check(self, value: object) -> object:
        """Check a value from a body, or one that was read.

        Raises:
            RequestError: it is of another type, or out of bounds.
        """
        match self.kind, value:
            case ("boolean", bool()) | ("string", str()):
                return value
            case ("integer", int()) | ("number", int() | float()) if not isinstance(value, bool):
                assert isinstance(value, int | float)
                if not (self.minimum is not None and value < self.minimum) and not (
                    self.maximum is not None and value > self.maximum
                ):
                    return value
        raise self._refusal(value)

    def _refusal(self, value: object) -> RequestError:
        bounds = ""
        if self.minimum is not None:
            bounds += f" from {self.minimum:g}"
        if self.maximum is not None:
            bounds += f" to {self.maximum:g}"
        article = "an" if self.kind == "integer" else "a"
        shown = json.dumps(value, default=str)[:100]
        return RequestError(400, f"{self.name} is {shown}; it must be {article} {self.kind}{bounds}")


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that can be asked for.

    Attributes:
        name: what handlers and clients call it.
        method: the method of its requests.
        path: their path, with `{name}` for a parameter.
        summary: what it does, in one line.
        doc: what else is to be known.
        answer: the JSON Schema of its answer.
        parameters: what it takes.
        status: the status code of its answer.
        refusals: other status codes, with when they are answered.
    """

    name: str
    method: str
    path: str
    summary: str
    answer: Schema
    doc: str = ""
    parameters: tuple[Parameter, ...] = ()
    status: int = 200
    refusals: Mapping[int, str] | None = None


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}


def _list(items: Schema, doc: str = "") -> Schema:
    schema = {"type": "array", "items": items}
    return {**schema, "description": doc} if doc else schema


def _text(doc: str) -> Schema:
    return {"type": "string", "description": doc}


def _number(doc: str) -> Schema:
    return {"type": "number", "description": doc}


def _integer(doc: str) -> Schema:
    return {"type": "integer", "description": doc}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_SUMMARY: Mapping[str, Schema] = {
    "activity": _text("starting, idle, busy, draining or stopped"),
    "in_flight": _integer("requests in the application"),
    "oldest": _number("the age of the oldest of them in seconds; 0 without one"),
    "silent_for": _nullable(
        _number(
            "seconds since its reactor last turned; null while there is nothing to turn for. With requests in the "
            "application a reactor turns at least once a second, unless all threads are in it"
        )
    ),
    "finished": _integer("requests that have ended"),
}
_DURATIONS = _object(
    {
        "count": _integer("how many there were"),
        "total": _number("all of them together, seconds"),
        "buckets": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "how many fell into each bucket, by its number; those with none are left out",
        },
    }
)
_COUNTS = _object(
    {
        "requests": _integer("requests that the application was called for"),
        "finished": _integer("requests that have ended, answered or not"),
        "responses": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "responses by the class of their status, such as 2xx",
        },
        "unanswered": _integer("requests that ended without a response"),
        "refusals": _integer("requests that the server answered in place of the application"),
        "failures": _integer("exceptions that left the application"),
        "aborts": _integer("responses that were broken off"),
        "abandoned": _integer("requests whose client was gone before they were answered"),
        "lost": _integer("requests that were in the application when their worker ended"),
        "connections": _integer("connections accepted"),
        "websockets": _integer("WebSockets accepted"),
        "bytes_received": _integer("bytes read from clients"),
        "bytes_sent": _integer("bytes written to clients"),
        "busy_time": _number("seconds in which at least one request was in the application"),
        "application_time": _number("seconds that requests were in the application, added up"),
        "request_time": _DURATIONS,
        "first_byte_time": _DURATIONS,
    }
)
LOAD = _object(
    {
        "at": _number("seconds on a clock that never goes back: what to divide differences by"),
        "bounds": _list(_number("the upper bound of a bucket, seconds"), "of all buckets but the last, which has none"),
        "ended": _COUNTS,
        "workers": _list(
            _object(
                {
                    "worker": _integer("which worker it is, from 1"),
                    "pid": _integer("its process id; 0 until it is known"),
                    "child": _integer("its number among all children, never given again"),
                    "age": _number("seconds since it was started"),
                    "threads": _integer("requests that it may run side by side"),
                    "connections_open": _integer("connections"),
                    "websockets_open": _integer("WebSockets among them"),
                    "waiting": _integer("requests that wait to be given to the application"),
                    "buffered": _integer("bytes held for connections"),
                    "busy_for": _number("seconds since there was no request in the application; 0 while there is none"),
                    "running_time": _number("seconds that those in the application have been there, added up"),
                    **_SUMMARY,
                    "counts": _COUNTS,
                }
            )
        ),
    }
)
REQUESTS = _object(
    {
        "requests": _list(
            _object(
                {
                    "worker": _integer("which worker has it"),
                    "pid": _integer("the worker's process id"),
                    "id": _text("its id, as in the access log"),
                    "method": _text("such as GET"),
                    "path": _text("its path; long ones are cut"),
                    "client": _text("the client's address; empty behind a unix socket"),
                    "age": _number("seconds since the application was called"),
                    "thread": _integer("the thread that calls it, as `threading.get_ident` names it"),
                }
            ),
            "those in the application, the oldest first",
        ),
        "unshown": _integer("how many more there are in the application"),
        "slowest": _object(
            {
                "seconds": _number("for how long up to now requests that ended are known; ten minutes at most"),
                "requests": _list(
                    _object(
                        {
                            "worker": _integer("which worker had it"),
                            "pid": _integer("that worker's process id; it may have ended since"),
                            "id": _text("its id, as in the access log"),
                            "method": _text("such as GET"),
                            "path": _text("its path; long ones are cut"),
                            "client": _text("the client's address; empty behind a unix socket"),
                            "protocol": _text("such as HTTP/1.1"),
                            "status": _nullable(_integer("the status of its response; null if there was none")),
                            "is_lost": {"type": "boolean", "description": "whether it ended with its worker"},
                            "duration": _number("seconds from its complete head to the end of its response"),
                            "waited": _number(
                                "the part of that before the application was called, for a body or a turn"
                            ),
                            "application_time": _number("the part of that in the application"),
                            "body_sent": _integer("bytes of its response's body"),
                            "ended_for": _number("seconds since its end"),
                        }
                    ),
                    "the slowest first",
                ),
            }
        ),
    }
)
CHILD = _object(
    {
        "name": _text("for people, such as worker 2"),
        "role": _text("worker, fork server, ..."),
        "slot": _integer("which of its role it is, from 1"),
        "generation": _integer("the reading of the configuration that it was started from"),
        "pid": _nullable(_integer("its process id, once it is known")),
        "state": _text("starting, ready, draining, stopping or killed"),
        "state_age": _number("seconds since it came into this state"),
        "age": _number("seconds since it was started"),
        "memory": _nullable(_integer("resident memory in bytes")),
        "cpu": _nullable(_number("seconds of processor time that it has used")),
        "threads": _nullable(_integer("how many threads it has")),
        "load": {"oneOf": [{"type": "null"}, _object(_SUMMARY)]},
    }
)
RELOAD = _object(
    {
        "outcome": {"enum": ["reloaded", "refused", "abandoned", "stopped"], "description": "how it ended"},
        "message": _text("why nothing has changed; empty when something has"),
        "details": _text("the traceback of the application, if there is one"),
        "age": _number("seconds since then"),
    }
)
STATUS = _object(
    {
        "name": _text("the name of the instance"),
        "pid": _integer("the process id of the supervisor"),
        "version": _text("the version of Hostler"),
        "python": _text("the version of Python"),
        "application": _text("what is served"),
        "directory": _text("where the application is loaded"),
        "started_in": _text("the directory that Hostler was started in"),
        "serves": _text("how workers serve, such as ASGI on uvloop"),
        "phase": _text("booting, running, reloading, upgrading or stopping"),
        "is_paused": {"type": "boolean", "description": "whether requests wait until the server is resumed"},
        "uptime": _number("seconds since the start"),
        "generation": _integer("counts the readings of the configuration"),
        "workers": _integer("how many workers are wanted"),
        "listening": _list(_text("an address")),
        "log_file": _nullable(_text("where the server log goes; null for standard error")),
        "last_reload": {"oneOf": [{"type": "null"}, RELOAD]},
        "children": _list(CHILD),
    }
)
CHALLENGE = _object(
    {
        "token": _text("the token that it is about"),
        "challenges": _integer("how many are answered now"),
    }
)
THREAD = _object(
    {
        "id": _integer("its number in the kernel"),
        "name": _text("its name in Python, or in the kernel"),
        "state": _text("R running, S sleeping, D waiting for the disk, T stopped; empty when it is not known"),
        "waits_in": _text("the kernel's function that it waits in; empty when it is not known or does not wait"),
        "stack": _nullable(_text("its Python stack, innermost call first; null for a thread without one")),
    }
)
TASK = _object(
    {
        "name": _text("its name"),
        "coroutine": _text("what it runs"),
        "stack": _text("its Python stack, innermost call first"),
    }
)
STACKS = _object(
    {
        "name": _text("for people, such as worker 2"),
        "pid": _integer("its process id"),
        "state": _text("starting, ready, draining, stopping or killed"),
        "is_responsive": {
            "type": "boolean",
            "description": "whether its interpreter has run a signal handler in time; if not, its main thread is held "
            "up in a call outside of Python, and tasks are not known",
        },
        "threads": _list(THREAD),
        "tasks": _nullable(_list(TASK, "tasks of the event loop; null for a worker without one")),
        "raw": _text("what of the report was not understood"),
    }
)

_PAUSE = _object(
    {
        "is_paused": {"type": "boolean", "description": "whether requests wait from now on"},
        "was_paused": {"type": "boolean", "description": "whether they did before"},
    }
)
# How long one request may wait for news (arbitrary; below the minute after which proxies lose patience).
LONGEST_WAIT = 55.0
# How many of the slowest requests are told of (arbitrary): as many as are known for certain.
SLOWEST = 16
_WORKER = Parameter("worker", "path", "integer", "The slot of a worker, or the process id of any child.", 1)

OPERATIONS: tuple[Operation, ...] = (
    Operation("describe", "GET", "/openapi.json", "This document.", {"type": "object"}),
    Operation("status", "GET", "/v1/status", "What runs, and how it is.", STATUS),
    Operation(
        "load",
        "GET",
        "/v1/load",
        "What workers do, and all that they have counted; read without asking them.",
        LOAD,
        doc="Counts only grow: `ended` has those of workers that are gone. Ask twice, and the difference is the rate.",
    ),
    Operation(
        "requests",
        "GET",
        "/v1/requests",
        "The requests that are in the application, and the slowest that have ended of late.",
        REQUESTS,
        doc="Read without asking the workers. Each keeps its 16 slowest requests of every five minutes, so that the 16 "
        "slowest of all are known; what was kept of workers that are gone is among them. Left out are WebSockets and "
        "requests that the server refused before the application could have had them.",
        parameters=(
            Parameter("slowest", "query", "integer", "How many of the slowest at most.", 0, 1_000, default=SLOWEST),
        ),
    ),
    Operation(
        "reload",
        "POST",
        "/v1/reload",
        "Start new workers with the configuration and the code as they are now, then let the old ones go.",
        _object({"outcome": {"const": "reloaded"}}),
        doc="Answered when the reload has ended. If one is under way, another follows, and the answer is about that.",
        refusals={409: "The reload was refused, abandoned or cut short; nothing has changed."},
    ),
    Operation(
        "upgrade",
        "POST",
        "/v1/upgrade",
        "Start a new supervisor from the program on disk, hand the sockets over to it, then end this one.",
        _object({"outcome": {"const": "upgraded"}}),
        doc="Answered when the new supervisor serves, and by then has the control socket, or when it has failed. This "
        "connection stays with the old one, and is closed when that has ended.",
        refusals={409: "The upgrade was abandoned or cut short; nothing has changed."},
    ),
    Operation(
        "scale",
        "POST",
        "/v1/scale",
        "Change the number of workers, until the next reload.",
        _object({"former": _integer("how many were wanted"), "workers": _integer("how many are wanted now")}),
        doc="Give either `workers` or `by`.",
        parameters=(
            Parameter("workers", "body", "integer", "How many workers there shall be.", 1, 1024),
            Parameter("by", "body", "integer", "How many more, or fewer where it is negative.", -1024, 1024),
        ),
        refusals={409: "The server is stopping."},
    ),
    Operation(
        "stop",
        "POST",
        "/v1/stop",
        "End the server: finish what is in progress, or with `now` drop it.",
        _object({"phase": _text("stopping")}),
        doc="Answered at once. The connection stays open until the server has ended.",
        status=202,
        parameters=(Parameter("now", "body", "boolean", "Whether to drop requests in progress.", default=False),),
    ),
    Operation(
        "pause",
        "POST",
        "/v1/pause",
        "Take no more requests: they wait until the server is resumed.",
        _PAUSE,
        doc="Requests that the application has are finished. New connections wait in the kernel's queue, and requests "
        "on those that are open in the workers. A reload and an upgrade change nothing of it; a stop ends it.",
        refusals={409: "The server is stopping."},
    ),
    Operation(
        "resume",
        "POST",
        "/v1/resume",
        "Take requests again, after a pause.",
        _PAUSE,
        refusals={409: "The server is stopping."},
    ),
    Operation(
        "reopen",
        "POST",
        "/v1/reopen",
        "Open the log files again, after they were moved away.",
        _object({"children": _integer("how many children were told")}),
    ),
    Operation(
        "add_challenge",
        "POST",
        "/v1/challenges",
        "Answer an authority that looks over HTTP whether the server has a name (ACME, RFC 8555 8.3).",
        CHALLENGE,
        doc="Answered when every worker gives it at `/.well-known/acme-challenge/TOKEN`, until it is taken back or the "
        "server ends. The latest 1,000 are kept.",
        parameters=(
            Parameter(
                "key_authorization", "body", "string", "The token, a full stop and the thumbprint of the account's key."
            ),
        ),
    ),
    Operation(
        "remove_challenge",
        "DELETE",
        "/v1/challenges/{token}",
        "Leave such a path to the application again.",
        CHALLENGE,
        parameters=(Parameter("token", "path", "string", "The token."),),
        refusals={404: "There is no answer to it."},
    ),
    Operation(
        "logs",
        "GET",
        "/v1/logs",
        "The latest lines of the server log.",
        _object(
            {
                "lines": _list(_text("a record, which may hold several lines"), "oldest first"),
                "next": _integer("what to give as `after` for what comes then"),
                "missed": _integer("how many records between `after` and the first are no longer kept"),
                "file": _nullable(_text("where the log goes; null for standard error")),
            }
        ),
        doc="What Hostler itself logs, in the supervisor and in its children; what an application writes to standard "
        "error is not among it.",
        parameters=(
            Parameter("lines", "query", "integer", "How many records at most.", 1, 10_000, default=100),
            Parameter("after", "query", "integer", "Only what came after this: `next` of the answer before.", 0),
            Parameter(
                "wait", "query", "number", "Seconds to wait if there is nothing new.", 0, LONGEST_WAIT, default=0
            ),
        ),
    ),
    Operation(
        "stacks",
        "GET",
        "/v1/stacks",
        "What every thread and every task of all workers is doing.",
        _object({"children": _list(STACKS)}),
        doc="Answered within about a second, also for a worker that hangs.",
    ),
    Operation(
        "worker_stacks",
        "GET",
        "/v1/workers/{worker}/stacks",
        "What every thread and every task of one worker is doing.",
        _object({"children": _list(STACKS)}),
        parameters=(_WORKER,),
        refusals={404: "There is no such worker."},
    ),
)


def parse_arguments(operation: Operation, request: Request, variables: Mapping[str, str]) -> dict[str, Any]:
    """Read what was sent with a request.

    Args:
        operation: what was asked for.
        request: the request.
        variables: the parameters in its path.

    Returns:
        The values of all parameters that are there or have a default.

    Raises:
        RequestError: something is unknown or not what it must be.
    """
    given: dict[Place, Mapping[str, Any]] = {"path": variables, "query": request.query, "body": _parse_body(request)}
    values: dict[str, Any] = {}
    known: dict[Place, set[str]] = {"path": set(variables), "query": set(), "body": set()}
    for parameter in operation.parameters:
        known[parameter.place].add(parameter.name)
        if parameter.name in given[parameter.place]:
            raw = given[parameter.place][parameter.name]
            values[parameter.name] = parameter.check(raw) if parameter.place == "body" else parameter.parse(raw)
        elif parameter.default is not None:
            values[parameter.name] = parameter.default
    for place, names in known.items():
        for unknown in given[place].keys() - names:
            raise RequestError(400, f"{json.dumps(unknown)[:100]} is not a parameter of {operation.name}")
    return values


def _parse_body(request: Request) -> Mapping[str, Any]:
    if not request.body:
        return {}
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise RequestError(400, "the body is not a JSON object")
    return value


def find_operation(request: Request) -> tuple[Operation, Mapping[str, str]] | tuple[None, str]:
    """Find what a request asks for.

    Returns:
        The operation and the parameters in the path; or None and the methods that the path has ("" if there is no such
        path).
    """
    methods = []
    for operation in OPERATIONS:
        variables = _match(operation.path, request.path)
        if variables is None:
            continue
        if operation.method == request.method:
            return operation, variables
        methods.append(operation.method)
    return None, ", ".join(methods)


def _match(template: str, path: str) -> dict[str, str] | None:
    wanted, given = template.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    variables = {}
    for want, give in zip(wanted, given, strict=True):
        if want.startswith("{"):
            variables[want[1:-1]] = give
        elif want != give:
            return None
    return variables
