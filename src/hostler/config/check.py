"""Rules that concern more than one option, or that need to know more than the text of a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial

from hostler.config.destination import parse_destination
from hostler.config.kind import Duration, format_size, parse_duration, quote
from hostler.config.origin import Origin
from hostler.config.schema import Config
from hostler.errors import ConfigurationError
from hostler.system.address import HTTP, Address, InheritedAddress, parse_addresses, parse_target
from hostler.system.capability import parse_capabilities
from hostler.system.cgroup import check_control
from hostler.system.limits import parse_limit
from hostler.system.scheduling import choose_cores

Check = Callable[[str], object]

_FACTORY = 'the name of a factory as "module:attr"'
_NAMES = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_LOOP = re.compile(rf"auto|asyncio|uvloop|{_NAMES}:{_NAMES}")


def accept(text: str) -> None:
    """Accept any text: the check used where the real one is not at hand."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules need of the world outside; handed in, so that they stay pure.

    Attributes:
        is_root: whether the process may change its user.
        identities: the names and numbers of the user and groups that the process already is.
        check_access_log_format: raises ValueError, saying why, for an access log format that cannot be.
        check_access_log_skip: the same for a path that gets no lines.
        check_access_log_status: the same for a status that does.
        check_trusted_network: the same for a trusted network.
        check_action: the same for an action of a hook.
        check_deadline_pattern: the same for a pattern of paths.
    """

    is_root: bool = True
    identities: frozenset[str] = frozenset()
    check_access_log_format: Check = accept
    check_access_log_skip: Check = accept
    check_access_log_status: Check = accept
    check_trusted_network: Check = accept
    check_action: Check = accept
    check_deadline_pattern: Check = accept


def find_conflicts(
    config: Config, origins: Mapping[str, Origin], surroundings: Surroundings, masks: Mapping[str, str]
) -> list[str]:
    """List what is wrong with a configuration whose single values are all right; a sentence for each.

    Args:
        config: the configuration.
        origins: where its values came from.
        surroundings: what the rules need to know of the world.
        masks: what to show in the place of values that are not to be seen; the reason may quote them, so it goes, too.
    """
    problems = []
    for path, text in (
        *_check_values(config, surroundings),
        *_check_pairs(config),
        *_check_rights(config, surroundings),
    ):
        shown = f"is {masks[path]}, a value that cannot be" if path in masks else text
        problems.append(_place(path, origins, f" {shown}"))
    return problems


def find_missing_variables(config: Config, origins: Mapping[str, Origin], environ: Mapping[str, str]) -> list[str]:
    """List the variables of `app.require` that the application would not have, in one sentence."""
    missing = [name for name in config.app.require if not config.app.env.get(name, environ.get(name))]
    if not missing:
        return []
    *most, last = missing
    names, them = (f"{', '.join(most)} and {last} are", "them") if most else (f"{last} is", "it")
    return [_place("app.require", origins, f": {names} not set, or empty; set {them} in the environment or in app.env")]


def _place(path: str, origins: Mapping[str, Origin], text: str) -> str:
    origin = origins.get(path)
    where = f"{origin.where}: " if origin is not None and origin.where else ""
    return f"{where}{path}{text}"


def _check_values(config: Config, surroundings: Surroundings) -> Iterator[tuple[str, str]]:
    checks = (
        ("trust.networks", config.trust.networks, surroundings.check_trusted_network),
        ("deadlines.routes", tuple(config.deadlines.routes), surroundings.check_deadline_pattern),
        ("log.access_format", (config.log.access_format,), surroundings.check_access_log_format),
        ("log.access_skip", config.log.access_skip, surroundings.check_access_log_skip),
        ("log.access_statuses", config.log.access_statuses, surroundings.check_access_log_status),
        ("log.file", (config.log.file,), parse_destination),
    )
    for path, values, check in checks:
        for value in values:
            try:
                check(value)
            except ValueError as error:
                yield path, f"is {quote(value)}: {error}"
    yield from _check_routes(config)
    yield from _check_process(config)
    yield from _check_hooks(config, surroundings)
    yield from _check_scaling(config)
    try:
        addresses = parse_addresses(config.server.bind)
    except ConfigurationError as error:
        yield "server.bind", f"cannot be: {error}"
    else:
        yield from _check_tls(config, addresses)
    yield from _check_metrics(config)
    yield from _check_prefixes(config)
    if not _LOOP.fullmatch(config.workers.loop):
        yield "workers.loop", f'is {quote(config.workers.loop)}; it must be "auto", "asyncio", "uvloop" or {_FACTORY}'
    # RFC 9110 10.2.4: product tokens and comments; anything visible is let through, what would break the head is not.
    if not all(" " <= char <= "~" for char in config.server.header):
        yield "server.header", f"is {quote(config.server.header)}; it must be visible ASCII"


def _check_prefixes(config: Config) -> Iterator[tuple[str, str]]:
    prefix = config.app.script_name
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or re.search(r"[?#\s]", prefix)):
        yield "app.script_name", f'is {quote(prefix)}; it must be empty, or begin with "/" and not end with it'
    for target in config.reload.warm_up:
        # RFC 9112 3.2.1: the target of a request is a path, perhaps with a query, in visible ASCII.
        if not re.fullmatch(r"/[!-~]*", target) or "#" in target:
            yield "reload.warm_up", f'has {quote(target)}; it must be a path such as "/health", percent-encoded'
    for mount in config.app.mounts:
        if fault := _find_mount_fault(mount):
            yield "app.mounts", f"has {quote(mount)}, which {fault}"


def _check_metrics(config: Config) -> Iterator[tuple[str, str]]:
    for path, texts in (("metrics.bind", config.metrics.bind), ("metrics.uwsgi_stats", config.metrics.uwsgi_stats)):
        try:
            addresses = parse_addresses(texts)
        except ConfigurationError as error:
            yield path, f"cannot be: {error}"
            continue
        for text, address in zip(texts, addresses, strict=True):
            if address.speech != HTTP or isinstance(address, InheritedAddress):
                yield path, f'has {quote(text)}; it must be "HOST:PORT" or "unix:/path"'
    shared = set(config.metrics.bind) & set(config.metrics.uwsgi_stats)
    if shared:
        yield "metrics.uwsgi_stats", f"has {quote(min(shared))}, which metrics.bind has too; name another"
    yield from _check_statsd(config)
    yield from _check_otel(config)


def _check_otel(config: Config) -> Iterator[tuple[str, str]]:
    endpoint = config.otel.endpoint
    if endpoint and not re.fullmatch(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?", endpoint):
        yield "otel.endpoint", f'is {quote(endpoint)}; it must be a URL such as "http://127.0.0.1:4318"'
    if config.otel.traces and not endpoint:
        yield "otel.traces", "needs otel.endpoint: where the collector is"


def _check_statsd(config: Config) -> Iterator[tuple[str, str]]:
    metrics = config.metrics
    if metrics.statsd:
        try:
            parse_target(metrics.statsd)
        except ConfigurationError as error:
            yield "metrics.statsd", f"cannot be: {error}"
    if metrics.statsd_tags and metrics.statsd_format != "dogstatsd":
        yield "metrics.statsd_tags", 'needs metrics.statsd_format = "dogstatsd": statsd itself has no tags'
    if not re.fullmatch(r"[\w.-]*", metrics.statsd_prefix, re.ASCII):
        yield (
            "metrics.statsd_prefix",
            f"is {quote(metrics.statsd_prefix)}; it must be of letters, digits, _, - and dots",
        )


def _check_scaling(config: Config) -> Iterator[tuple[str, str]]:
    least, most = config.scaling.min, config.scaling.max
    if most and least > most:
        yield "scaling.min", f"is {least}, more than scaling.max, which is {most}"
    if most and config.server.reuse_port:
        fault = "cannot be with server.reuse_port: connections that wait for a worker which goes would be lost"
        yield "scaling.max", f"{fault}; leave one of them out"


def _check_routes(config: Config) -> Iterator[tuple[str, str]]:
    for pattern, text in config.deadlines.routes.items():
        try:
            parse_duration(text)
        except ValueError:
            yield "deadlines.routes", f"has {quote(text)} for {quote(pattern)}; it must be {Duration().expects}"


def _check_process(config: Config) -> Iterator[tuple[str, str]]:
    process = config.process
    checks: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("process.capabilities", ", ".join(process.capabilities), lambda: parse_capabilities(process.capabilities)),
        ("process.cpus", process.cpus, lambda: choose_cores(process.cpus, 1, frozenset({0}))),
        *(
            ("process.limits", f"{name} = {text}", partial(parse_limit, name, text))
            for name, text in process.limits.items()
        ),
        *(("process.cgroup", name, partial(check_control, name)) for name in process.cgroup),
    )
    for path, shown, check in checks:
        try:
            check()
        except ValueError as error:
            yield path, f"is {quote(shown)}: {error}"


# Run in workers, which have given up their rights.
_WORKER_PHASES = ("loading", "worker_forked", "worker_loaded", "worker_leaving")


def _check_hooks(config: Config, surroundings: Surroundings) -> Iterator[tuple[str, str]]:
    for each in fields(config.hooks):
        actions = getattr(config.hooks, each.name)
        for action in actions if isinstance(actions, tuple) else ():
            try:
                surroundings.check_action(action)
            except ValueError as error:
                yield f"hooks.{each.name}", f"has {quote(action)}: {error}"
            if each.name in _WORKER_PHASES and action.startswith("exec:+"):
                yield f"hooks.{each.name}", f'has {quote(action)}: workers have no rights to keep; leave out the "+"'


def _check_tls(config: Config, addresses: Iterable[Address]) -> Iterator[tuple[str, str]]:
    tls = config.tls
    if not tls.certificate and any(each.speech.tls is not None and not each.speech.tls for each in addresses):
        text = "has an https:// address, but tls.certificate names no certificate for it"
        yield "server.bind", f"{text}; for development, make one with 'hostler certs self-signed'"
    if tls.key and len(tls.key) != len(tls.certificate):
        yield (
            "tls.key",
            f"has {len(tls.key)} files, but tls.certificate has {len(tls.certificate)}; name one for each, or none",
        )
    if tls.client_auth != "none" and tls.client_ca is None:
        yield "tls.client_auth", f"is {quote(tls.client_auth)}, but tls.client_ca does not say whose certificates count"


def _find_mount_fault(prefix: str) -> str:
    """Say what is wrong with a mount's prefix; empty when nothing is."""
    if prefix == "/":
        return "is the root; that is app.target"
    if not prefix.startswith("/") or prefix.endswith("/"):
        return 'must begin with "/" and not end with it'
    if found := re.search(r"[?#\s]", prefix):
        return f"has {quote(found[0])}, which no path has"
    if any(segment in {"", ".", ".."} for segment in prefix.split("/")[1:]):
        return "has a segment that is empty or a dot; paths of requests have none"
    return ""


def _check_pairs(config: Config) -> Iterator[tuple[str, str]]:
    limits, workers = config.limits, config.workers
    bounds = (
        ("limits.header_size", limits.header_size, "limits.head_size", limits.head_size),
        ("limits.request_line", limits.request_line, "limits.head_size", limits.head_size),
        ("limits.head_size", limits.head_size, "limits.buffered_bytes", limits.buffered_bytes),
        ("limits.body_memory", limits.body_memory, "limits.buffered_bytes", limits.buffered_bytes),
        ("limits.response_buffer", limits.response_buffer, "limits.buffered_bytes", limits.buffered_bytes),
    )
    for path, value, bound_path, bound in bounds:
        if value > bound:
            relation = f"more than {bound_path}, which is {format_size(bound)}"
            yield path, f"is {format_size(value)}, {relation}; lower it or raise that"
    if workers.max_requests_jitter and not workers.max_requests:
        text = f"is {workers.max_requests_jitter}, but workers.max_requests is 0; set both"
        yield "workers.max_requests_jitter", text


def _check_rights(config: Config, surroundings: Surroundings) -> Iterator[tuple[str, str]]:
    if surroundings.is_root:
        return
    if config.process.chroot is not None:
        text = f"is {quote(config.process.chroot)}, but only root can change it; start hostler as root, or leave it out"
        yield "process.chroot", text
    for path, value in (("server.user", config.server.user), ("server.group", config.server.group)):
        if value is not None and value not in surroundings.identities:
            yield path, f"is {quote(value)}, but only root can change it; start hostler as root, or leave it out"
