"""A service for systemd, and the socket unit that activates it."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from hostler.errors import ConfigurationError
from hostler.generate.choice import Choices, check_path
from hostler.generate.command import build_arguments, quote_systemd
from hostler.generate.front import seconds
from hostler.generate.model import File, Project
from hostler.system.address import (
    HTTP,
    AbstractAddress,
    Address,
    InheritedAddress,
    TcpAddress,
    UnixAddress,
    parse_addresses,
)

# What systemd waits beyond server.graceful_timeout before it kills, and beyond workers.boot_timeout; arbitrary.
MARGIN = 15
# How long Hostler's loop may be silent; it reports at twice this rate.
WATCHDOG = 30
FIRST_FREE_PORT = 1024
# What a service of the web needs no part of; systemd.exec(5), "Sandboxing".
HARDENING = """\
# What the service cannot do. Loosen what the application needs.
NoNewPrivileges=true
ProtectSystem=strict
PrivateTmp=true
PrivateDevices=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
SystemCallArchitectures=native
SystemCallFilter=@system-service"""


def build_systemd(project: Project, choices: Choices) -> tuple[File, ...]:
    """Build the service, and its socket unless Hostler is to bind its addresses itself.

    Raises:
        ConfigurationError: an address cannot be given to a socket unit.
    """
    # Sockets of its own for each worker are more than systemd can hand over. What else than HTTP is spoken where, only
    # server.bind says, which does not count beside a socket unit.
    is_plain = all(address.speech == HTTP for address in _list_addresses(project))
    has_socket = not choices.no_socket and not project.config.server.reuse_port and is_plain
    service = File(f"{project.name}.service", _write_service(project, has_socket=has_socket))
    if not has_socket:
        return (service,)
    return service, File(f"{project.name}.socket", _write_socket(project))


def _write_service(project: Project, *, has_socket: bool) -> str:
    config, name = project.config, project.name
    user = config.server.user or name
    units = f"{name}.service {name}.socket" if has_socket else f"{name}.service"
    enabled = f"{name}.socket {name}.service" if has_socket else name
    leave_out = {"server.user", "server.group", *(["server.bind"] if has_socket else [])}
    command = quote_systemd([project.program, "run", *build_arguments(project, leave_out=leave_out)])
    missing = [f"# It must have: {', '.join(project.secrets)}"]
    return "\n".join(
        [
            f"# {name} under systemd. Made by `hostler generate systemd`; yours to change.",
            "#",
            f"# Its user, once:   useradd --system --user-group --no-create-home {user}",
            f"# Put it in place:  cp {units} /etc/systemd/system/",
            f"# Check and enable: systemd-analyze verify /etc/systemd/system/{name}.service",
            f"#                   systemctl daemon-reload && systemctl enable --now {enabled}",
            f"# New code:         systemctl reload {name}",
            "",
            "[Unit]",
            f"Description={name}, served by Hostler",
            "After=network.target",
            *([f"Requires={name}.socket"] if has_socket else []),
            "",
            "[Service]",
            "# `systemctl start` returns when the application is loaded.",
            "Type=notify",
            "NotifyAccess=main",
            f"User={_escape(user)}",
            *([f"Group={_escape(config.server.group)}"] if config.server.group else []),
            f"WorkingDirectory={_escape(check_path('the directory', str(project.directory)))}",
            "# Secrets, as NAME=VALUE lines; only root need be able to read it.",
            *(missing if project.secrets else []),
            # With a minus the file may be missing.
            f"EnvironmentFile={'' if project.secrets else '-'}/etc/{name}.env",
            f"ExecStart={command}",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "# TERM goes to the supervisor, which drains its workers.",
            "KillMode=mixed",
            "# Longer than workers.boot_timeout and server.graceful_timeout.",
            f"TimeoutStartSec={seconds(config.workers.boot_timeout) + MARGIN}",
            f"TimeoutStopSec={seconds(config.server.graceful_timeout) + MARGIN}",
            f"WatchdogSec={WATCHDOG}",
            "Restart=on-failure",
            "RestartSec=1",
            "# A configuration or an application that cannot be loaded does not get better by trying.",
            "RestartPreventExitStatus=2 3",
            *([f"UMask={config.server.umask:04o}"] if config.server.umask is not None else []),
            *_write_places(project, has_socket=has_socket),
            "",
            HARDENING,
            f"ProtectHome={'read-only' if _is_at_home(project) else 'true'}",
            *_write_capabilities(project, has_socket=has_socket),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            *([f"Also={name}.socket"] if has_socket else []),
            "",
        ]
    )


def _write_places(project: Project, *, has_socket: bool) -> list[str]:
    """Write what the service may write to: logs, pid file, sockets, large bodies."""
    config = project.config
    named = [config.log.file, config.log.access, str(config.server.pid_file or "")]
    if not has_socket:
        named += [str(each.path) for each in _list_addresses(project) if isinstance(each, UnixAddress)]
    places = {str(Path(each).parent) for each in named if each.startswith("/")}
    places |= {config.http.body_directory} if config.http.body_directory else set()
    runtime = sorted(each.removeprefix("/run/") for each in places if each.startswith("/run/"))
    # A minus: a directory that does not exist is no reason to fail. The service's own /tmp is always there.
    others = [_quote(f"-{check_path('a directory', each)}") for each in sorted(places) if each not in {"/run", "/tmp"}]  # noqa: S108 - compared only
    others = [each for each in others if not each.lstrip('"').startswith("-/run/")]
    lines = [f"RuntimeDirectory={' '.join(runtime)}"] if runtime else []
    lines += ["# Logs and bodies; add the directories that the application writes to."] if others else []
    return [*lines, f"ReadWritePaths={' '.join(others)}"] if others else [*lines, "# ReadWritePaths=/srv/media"]


def _is_at_home(project: Project) -> bool:
    """Tell whether the project or its interpreter is in somebody's home."""
    return any(str(each).startswith(("/home/", "/root/")) for each in (project.directory, project.program))


def _write_capabilities(project: Project, *, has_socket: bool) -> list[str]:
    ports = [each.port for each in _list_addresses(project) if isinstance(each, TcpAddress)]
    if not has_socket and any(0 < port < FIRST_FREE_PORT for port in ports):
        return ["CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE"]
    return ["CapabilityBoundingSet="]


def _list_addresses(project: Project) -> tuple[Address, ...]:
    return parse_addresses(project.config.server.bind)


def _write_socket(project: Project) -> str:
    addresses = _list_addresses(project)
    unix = [each for each in addresses if isinstance(each, UnixAddress)]
    if len({(each.mode, each.user, each.group) for each in unix}) > 1:
        raise ConfigurationError(
            "server.bind has unix sockets of different modes or owners, and one socket unit gives all the same; "
            "make them equal, or add --no-socket"
        )
    owner = [
        f"{name}={value}"
        for each in unix[:1]
        for name, value in (
            ("SocketMode", f"{each.mode:04o}"),
            ("SocketUser", each.user and _escape(each.user)),
            ("SocketGroup", each.group and _escape(each.group)),
        )
        if value
    ]
    return "\n".join(
        [
            f"# The addresses of {project.name}, from server.bind. systemd holds them while the service restarts, so",
            "# that connections wait instead of being refused. Hostler serves what it is handed, not server.bind.",
            "",
            "[Unit]",
            f"Description=Sockets of {project.name}",
            "",
            "[Socket]",
            *(f"ListenStream={_write_stream(each)}" for each in addresses),
            *(
                ["BindIPv6Only=ipv6-only"]
                if any(isinstance(each, TcpAddress) and each.v6_only for each in addresses)
                else []
            ),
            *owner,
            f"Backlog={project.config.server.backlog}",
            "",
            "[Install]",
            "WantedBy=sockets.target",
            "",
        ]
    )


def _write_stream(address: Address) -> str:
    """Write an address as systemd.socket(5) wants it.

    Raises:
        ConfigurationError: it has no form there.
    """
    if isinstance(address, UnixAddress):
        return _escape(check_path("the socket", str(address.path.absolute())))
    if isinstance(address, AbstractAddress):
        return _escape(f"@{address.name}")
    if isinstance(address, InheritedAddress):
        raise ConfigurationError(f"{address} does not say what systemd shall listen on; say it with --bind ADDRESS")
    if not address.port:
        raise ConfigurationError(f"{address} leaves the port to the kernel; name one with --bind, or add --no-socket")
    host = "127.0.0.1" if address.host == "localhost" else address.host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ConfigurationError(
            f"{address}: a socket unit takes addresses, not names; write the address of {host}, or add --no-socket"
        ) from None
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def _quote(path: str) -> str:
    """Keep a path with a space in one piece, where a setting takes several."""
    return f'"{_escape(path)}"' if " " in path else _escape(path)


def _escape(text: str) -> str:
    """Keep systemd from reading a specifier (systemd.unit(5)) in a value."""
    return text.replace("%", "%%")
