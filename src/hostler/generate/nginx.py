"""A site for nginx."""

from __future__ import annotations

import math

from hostler.generate.choice import Choices
from hostler.generate.front import SILENCE, Front, build_front, seconds
from hostler.generate.model import File, Project
from hostler.system.address import UnixAddress

# Idle connections to Hostler that one nginx worker keeps; arbitrary, as in most guides.
KEPT = 32


def build_nginx(project: Project, choices: Choices) -> tuple[File, ...]:
    """Build the site.

    Raises:
        ConfigurationError: no listener can be reached by nginx.
    """
    front = build_front(project, choices, "nginx")
    name = f"{project.name}.nginx.conf"
    blocks = [
        _write_heading(project, front, name),
        *(_write_maps(project) if front.protocol == "http" else ()),
        _write_upstream(project, front),
        *_write_redirect(choices),
        _write_server(project, choices, front),
    ]
    return (File(name, "\n\n".join(blocks) + "\n"),)


def _write_heading(project: Project, front: Front, name: str) -> str:
    lines = [
        f"# nginx in front of {project.name}. Made by `hostler generate nginx`; yours to change.",
        "#",
        f"# Put it in place:  cp {name} /etc/nginx/conf.d/{project.name}.conf",
        "# Check and enable: nginx -t && systemctl reload nginx",
        *(f"# {note}" for note in (*front.trust_notes(), *front.socket_notes(project))),
    ]
    if isinstance(front.upstream, UnixAddress):
        lines.append("# nginx's user must be allowed to write to the socket: ?mode=660&group=www-data in server.bind.")
    return "\n".join(lines)


def _write_maps(project: Project) -> list[str]:
    maps = []
    if project.may_upgrade:
        maps.append(f"""\
# A request for another protocol, such as WebSocket, is passed on with its wish. For all others the header stays empty,
# so that the connection to Hostler is kept.
map $http_upgrade ${_variable(project)}_connection {{
    default upgrade;
    ''      '';
}}""")
    if project.config.trust.headers == "forwarded":
        maps.append(f"""\
# RFC 7239 4 and 6: an IPv6 address stands in brackets and quotes.
map $remote_addr ${_variable(project)}_for {{
    ~^[0-9.]+$        "for=$remote_addr";
    ~^[0-9A-Fa-f:.]+$ "for=\\"[$remote_addr]\\"";
    default           "for=unknown";
}}""")
    return maps


def _write_upstream(project: Project, front: Front) -> str:
    address = front.upstream
    server = (
        _quote(f"unix:{address.path}") if isinstance(address, UnixAddress) else str(address).removeprefix("http://")
    )
    lines = [f"upstream {project.name} {{", f"    server {server};"]
    # Connections of the other protocols are for one request; FastCGI could keep them, but cannot say that one closes.
    if front.idle and front.protocol == "http":
        lines += [
            f"    keepalive {KEPT};",
            "    # Shorter than Hostler's http.keep_alive_timeout: no request meets a connection that is being closed.",
            f"    keepalive_timeout {front.idle}s;",
        ]
    return "\n".join([*lines, "}"])


def _write_redirect(choices: Choices) -> list[str]:
    if not choices.tls_certificate:
        return []
    names = " ".join(choices.server_names)
    lines = ["listen 80;", "listen [::]:80;", f"server_name {names};", "return 301 https://$host$request_uri;"]
    return ["\n".join(["server {", *(f"    {line}" for line in lines), "}"])]


def _write_server(project: Project, choices: Choices, front: Front) -> str:
    http, limits = project.config.http, project.config.limits
    size = max(limits.header_size, limits.request_line)
    lines = [
        *_write_listen(choices),
        f"server_name {' '.join(choices.server_names) or '_'};",
        "",
        "# As in Hostler: limits.body_size, limits.header_size, and the timeouts of [http].",
        f"client_max_body_size {_write_size(limits.body_size)};",
        f"large_client_header_buffers {max(2, math.ceil(limits.head_size / size))} {_write_size(size)};",
        f"client_header_timeout {seconds(http.head_timeout)}s;",
        f"client_body_timeout {seconds(http.body_timeout)}s;",
        f"send_timeout {seconds(http.write_timeout)}s;",
        f"keepalive_timeout {seconds(http.keep_alive_timeout)}s;",
        "",
        *_write_static(choices),
        "location / {",
        *(f"    {line}" if line else "" for line in _write_pass(project, front)),
        "}",
    ]
    return "\n".join(["server {", *(f"    {line}" if line else "" for line in lines), "}"])


def _write_listen(choices: Choices) -> list[str]:
    if not choices.tls_certificate:
        return ["listen 80;", "listen [::]:80;"]
    return [
        "listen 443 ssl;",
        "listen [::]:443 ssl;",
        "# HTTP/2: `http2 on;` from nginx 1.25.1 on; before, `http2` behind `ssl` in the two lines above.",
        f"ssl_certificate {_quote(choices.tls_certificate)};",
        f"ssl_certificate_key {_quote(choices.tls_key)};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
    ]


def _write_static(choices: Choices) -> list[str]:
    lines = []
    for prefix, directory in choices.static.items():
        lines += [f"location {prefix} {{", f"    alias {_quote(directory)};", "    access_log off;", "}", ""]
    return lines


def _write_pass(project: Project, front: Front) -> list[str]:
    return _write_proxy(project, front) if front.protocol == "http" else _write_gateway(project, front)


def _write_gateway(project: Project, front: Front) -> list[str]:
    """Hand requests on as variables, which a client cannot send; what Hostler believes is all in nginx's own list."""
    word = front.protocol
    lines = [
        f"include {word}_params;",
        "# With its port, and the request id from here.",
        f"{word}_param HTTP_HOST $http_host;",
        f"{word}_param HTTP_X_REQUEST_ID $request_id;",
        f"{word}_pass {project.name};",
        "",
        f"{word}_connect_timeout 5s;",
        "# How long the application may be silent, not how long an answer may take.",
        f"{word}_read_timeout {SILENCE}s;",
        f"{word}_send_timeout {max(SILENCE, seconds(project.config.http.body_timeout))}s;",
        "# Answers are collected before they are passed on. For a stream of events the application sends the header",
        '# "X-Accel-Buffering: no".',
        f"{word}_buffering on;",
    ]
    if project.config.http.request_body == "stream":
        lines += [
            '# http.request_body is "stream": bodies are passed on as they come.',
            f"{word}_request_buffering off;",
        ]
    return lines


def _write_proxy(project: Project, front: Front) -> list[str]:
    lines = [f"proxy_pass http://{project.name};", "proxy_http_version 1.1;"]
    if project.may_upgrade:
        lines += [
            "proxy_set_header Upgrade            $http_upgrade;",
            f"proxy_set_header Connection         ${_variable(project)}_connection;",
        ]
    else:
        lines.append('proxy_set_header Connection         "";')
    lines += [
        "proxy_set_header Host               $http_host;",
        *_write_forwarded(project),
        "proxy_set_header X-Request-Id       $request_id;",
        "",
        "proxy_connect_timeout 5s;",
        "# How long the application may be silent, not how long an answer may take."
        + (" Longer than Hostler's pings." if project.may_upgrade else ""),
        f"proxy_read_timeout {front.silence}s;",
        f"proxy_send_timeout {max(front.silence, seconds(project.config.http.body_timeout))}s;",
        "# Answers are collected before they are passed on. For a stream of events the application sends the header",
        '# "X-Accel-Buffering: no".',
        "proxy_buffering on;",
    ]
    if project.config.http.request_body == "stream":
        lines += ['# http.request_body is "stream": bodies are passed on as they come.', "proxy_request_buffering off;"]
    return lines


def _write_forwarded(project: Project) -> list[str]:
    """Set every header that Hostler believes, or empty it: nginx passes on what it is not told about."""
    if project.config.trust.headers == "forwarded":
        forwarded = f'"${_variable(project)}_for;proto=$scheme;host=\\"$host\\""'
        return [
            f"proxy_set_header Forwarded          {forwarded};",
            *(
                f'proxy_set_header {"X-Forwarded-" + each:<18} "";'
                for each in ("For", "Proto", "Host", "Port", "Prefix")
            ),
        ]
    return [
        "proxy_set_header X-Forwarded-For    $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto  $scheme;",
        "proxy_set_header X-Forwarded-Host   $http_host;",
        "proxy_set_header X-Forwarded-Port   $server_port;",
        'proxy_set_header X-Forwarded-Prefix "";',
        'proxy_set_header Forwarded          "";',
    ]


def _variable(project: Project) -> str:
    """Give the prefix of the site's variables; they are seen by all sites."""
    return project.name.replace("-", "_")


def _quote(text: str) -> str:
    """Keep a path with a space in one piece; what else would need it is refused where paths are read."""
    return f'"{text}"' if " " in text else text


def _write_size(size: int) -> str:
    """Write a number of bytes with the largest unit that nginx has and that keeps it whole."""
    for unit, letter in ((1024**2, "m"), (1024, "k")):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
