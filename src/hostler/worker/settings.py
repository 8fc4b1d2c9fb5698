"""The engine's settings, built from the configuration."""

from __future__ import annotations

from collections.abc import Callable

from hostler.config import Config
from hostler.config.kind import parse_duration
from hostler.contracts import ChildContext, EngineSettings
from hostler.system.address import TcpAddress, parse_addresses
from hostler.system.environment import temporary_directory
from hostler.system.process import close_descriptors

# The engine gives up on slow requests a little before the supervisor kills the process, so that exit handlers can run:
# a tenth of the time, at most a second (arbitrary).
EXIT_SHARE = 0.1
EXIT_MARGIN = 1.0


def build_engine_settings(
    config: Config,
    *,
    signal_fd: int,
    lifeline_fd: int,
    board_fd: int = -1,
    board_offset: int = 0,
    random_integer: Callable[[int], int],
    is_asgi: bool = False,
    is_development: bool = False,
) -> EngineSettings:
    """Build what one engine is told.

    Args:
        config: the configuration.
        signal_fd: yields signal numbers.
        lifeline_fd: ends with the supervisor.
        board_fd: the scoreboard, or -1.
        board_offset: where this worker's block begins there.
        random_integer: returns a number from 0 to its argument, for the jitter of `max_requests`.
        is_asgi: whether the engine serves ASGI applications.
        is_development: whether applications may show what is inside them.
    """
    http, limits, log, websocket = config.http, config.limits, config.log, config.websocket
    return EngineSettings(
        threads=config.workers.threads,
        signal_fd=signal_fd,
        lifeline_fd=lifeline_fd,
        board_fd=board_fd,
        board_offset=board_offset,
        head_timeout=http.head_timeout,
        body_timeout=http.body_timeout,
        keep_alive_timeout=http.keep_alive_timeout,
        write_timeout=http.write_timeout,
        handshake_timeout=config.tls.handshake_timeout,
        graceful_timeout=drain_time(config.server.graceful_timeout),
        max_connections=limits.connections,
        max_handshakes=limits.handshakes,
        max_request_line=limits.request_line,
        max_header_size=limits.header_size,
        max_header_count=limits.header_count,
        max_head_size=limits.head_size,
        max_body_size=limits.body_size,
        body_memory=limits.body_memory,
        max_buffered_bytes=limits.buffered_bytes,
        response_buffer=limits.response_buffer,
        max_requests=_max_requests(config, random_integer),
        max_concurrency=limits.concurrency,
        stream_request_body=http.request_body == "stream" or (is_asgi and http.request_body == "auto"),
        underscore_headers=http.underscore_headers,
        trusted_networks=tuple(config.trust.networks),
        forwarding_headers=config.trust.headers,
        script_name=config.app.script_name,
        cancel_on_disconnect=http.cancel_on_disconnect,
        debug_extension=is_development,
        ws_max_message=websocket.max_message,
        ws_max_queue=websocket.max_queue,
        ws_ping_interval=websocket.ping_interval,
        ws_ping_timeout=websocket.ping_timeout,
        ws_close_timeout=websocket.close_timeout,
        ws_compression=websocket.compression,
        ws_context_takeover=websocket.context_takeover,
        ws_window_bits=websocket.window_bits,
        default_deadline=config.deadlines.default,
        route_deadlines=tuple((path, parse_duration(text)) for path, text in config.deadlines.routes.items()),
        spreads=not config.server.reuse_port,
        overload_target=config.overload.target,
        overload_interval=config.overload.interval,
        deadline_grace=config.deadlines.grace,
        h2_enabled=config.http2.enabled,
        h2_max_streams=config.http2.max_streams,
        h2_stream_window=config.http2.stream_window,
        server_header=config.server.header,
        https_port=find_https_port(config) if config.tls.https_only else 0,
        hsts=f"max-age={config.tls.hsts:.0f}" if config.tls.https_only and config.tls.hsts else "",
        multiprocess=config.workers.count != 1 or config.scaling.max > 1,
        access_log=log.access,
        access_log_format=log.access_format,
        access_log_skip=log.access_skip,
        access_log_statuses=log.access_statuses,
        access_log_slow=log.access_slow,
        access_log_sample=log.access_sample,
        temp_dir=http.body_directory or temporary_directory(),
    )


def close_board(context: ChildContext) -> None:
    """Close the scoreboard's descriptor once the engine has its block mapped: nobody else here writes to it."""
    if context.board_fd >= 0:
        close_descriptors((context.board_fd,))


def find_https_port(config: Config) -> int:
    """Return the port that clients without TLS are sent to: that of the first address with TLS, or the usual one."""
    addresses = (each for each in parse_addresses(config.server.bind) if isinstance(each, TcpAddress))
    return next((each.port for each in addresses if each.speech.tls is not None and each.port), 443)


def drain_time(graceful_timeout: float) -> float:
    """Return the seconds that the engine may take to drain, of what the supervisor allows for all."""
    return graceful_timeout - min(EXIT_MARGIN, graceful_timeout * EXIT_SHARE)


def shutdown_time(graceful_timeout: float) -> float:
    """Return the seconds that draining and the application's own shutdown may take, of what the supervisor allows."""
    return (drain_time(graceful_timeout) + graceful_timeout) / 2


def _max_requests(config: Config, random_integer: Callable[[int], int]) -> int:
    """Return this worker's own number: the jitter keeps workers that started together from recycling together."""
    if config.workers.max_requests == 0:
        return 0
    return config.workers.max_requests + random_integer(config.workers.max_requests_jitter)
