"""A site for Apache: mod_proxy_http, which also carries WebSockets from 2.4.47 on, or one of its gateway protocols."""

from __future__ import annotations

from collections.abc import Mapping

from hostler.contracts import WireProtocol
from hostler.generate.choice import Choices
from hostler.generate.front import SILENCE, Front, build_front, seconds
from hostler.generate.model import File, Project
from hostler.system.address import UnixAddress

# What URLs of mod_proxy begin with.
SCHEMES: Mapping[WireProtocol, str] = {"http": "http", "uwsgi": "uwsgi", "scgi": "scgi", "fastcgi": "fcgi"}
# Apache's default for the slowest body, in bytes per second (mod_reqtimeout).
LEAST_RATE = 500


def build_apache(project: Project, choices: Choices) -> tuple[File, ...]:
    """Build the site.

    Raises:
        ConfigurationError: no listener can be reached by Apache.
    """
    front = build_front(project, choices, "Apache")
    name = f"{project.name}.apache.conf"
    own = ["proxy_http"] if front.protocol == "http" else [f"proxy_{SCHEMES[front.protocol]}", "unique_id"]
    modules = ["proxy", *own, "headers", *(["ssl"] if choices.tls_certificate else [])]
    heading = [
        f"# Apache in front of {project.name}. Made by `hostler generate apache`; yours to change.",
        "#",
        f"# Put it in place:  cp {name} /etc/apache2/sites-available/{project.name}.conf",
        f"# Modules:          a2enmod {' '.join(modules)}",
        f"# Check and enable: a2ensite {project.name} && apachectl configtest && systemctl reload apache2",
        *(f"# {note}" for note in (*front.trust_notes(), *front.socket_notes(project))),
    ]
    if project.may_upgrade and front.protocol == "http":
        heading.append("# WebSockets need Apache 2.4.47 or later.")
    blocks = ["\n".join(heading), *_write_redirect(choices), _write_host(project, choices, front)]
    return (File(name, "\n\n".join(blocks) + "\n"),)


def _write_redirect(choices: Choices) -> list[str]:
    if not choices.tls_certificate:
        return []
    lines = [*_write_names(choices), f'Redirect permanent "/" "https://{choices.server_names[0]}/"']
    return ["\n".join(["<VirtualHost *:80>", *(f"    {line}" for line in lines), "</VirtualHost>"])]


def _write_names(choices: Choices) -> list[str]:
    first, *others = choices.server_names or ("",)
    lines = [f"ServerName {first}"] if first else []
    return [*lines, *([f"ServerAlias {' '.join(others)}"] if others else [])]


def _write_host(project: Project, choices: Choices, front: Front) -> str:
    lines = [
        *_write_names(choices),
        *_write_tls(choices),
        *_write_limits(project),
        "",
        *_write_static(choices),
        *_write_proxy(project, front),
        "",
        *(_write_forwarded(project) if front.protocol == "http" else _write_request_id()),
    ]
    port = 443 if choices.tls_certificate else 80
    return "\n".join([f"<VirtualHost *:{port}>", *(f"    {line}" if line else "" for line in lines), "</VirtualHost>"])


def _write_tls(choices: Choices) -> list[str]:
    if not choices.tls_certificate:
        return []
    return [
        "SSLEngine on",
        f'SSLCertificateFile "{choices.tls_certificate}"',
        f'SSLCertificateKeyFile "{choices.tls_key}"',
        "SSLProtocol -all +TLSv1.2 +TLSv1.3",
        "",
    ]


def _write_limits(project: Project) -> list[str]:
    http, limits = project.config.http, project.config.limits
    head, body = seconds(http.head_timeout), seconds(http.body_timeout)
    return [
        "# As in Hostler: [limits], and the timeouts of [http]. limits.body_size is Hostler's to refuse: Apache's",
        "# LimitRequestBody does not hold for what it passes on.",
        f"LimitRequestLine {limits.request_line}",
        f"LimitRequestFieldSize {limits.header_size}",
        f"LimitRequestFields {limits.header_count}",
        f"KeepAliveTimeout {seconds(http.keep_alive_timeout)}",
        f"TimeOut {seconds(http.write_timeout)}",
        "<IfModule reqtimeout_module>",
        f"    RequestReadTimeout header={head} body={body},MinRate={LEAST_RATE}",
        "</IfModule>",
    ]


def _write_static(choices: Choices) -> list[str]:
    lines = []
    for prefix, directory in choices.static.items():
        lines += [
            f'Alias "{prefix}" "{directory}"',
            f'<Directory "{directory}">',
            "    Require all granted",
            "</Directory>",
            f'ProxyPass "{prefix}" "!"',
            "",
        ]
    return lines


def _write_proxy(project: Project, front: Front) -> list[str]:
    address = front.upstream
    # The name behind the bar tells connections of one socket from those of another.
    scheme = SCHEMES[front.protocol]
    socket = f"unix:{address.path}|{scheme}://{project.name}" if isinstance(address, UnixAddress) else ""
    url = f"{socket or str(address).replace('http', scheme, 1)}/"
    if front.protocol != "http":
        return _write_gateway(project, url)
    idle = f"ttl={front.idle}" if front.idle else "disablereuse=on"
    # retry=0: after a failure the next request tries again at once, instead of 503 for a minute.
    words = ["retry=0", "connectiontimeout=5", f"timeout={front.silence}", idle]
    if project.may_upgrade:
        words.append("upgrade=websocket")
    lines = ["ProxyRequests Off", "ProxyPreserveHost On"]
    if front.idle:
        lines.append(
            "# ttl is shorter than Hostler's http.keep_alive_timeout: no request meets a connection being closed."
        )
    lines.append("# timeout is how long the application may be silent, not how long an answer may take.")
    return [*lines, f'ProxyPass "/" "{url}" {" ".join(words)}']


def _write_gateway(project: Project, url: str) -> list[str]:
    """Hand requests on as variables, over a connection each."""
    words = ["retry=0", "connectiontimeout=5", f"timeout={SILENCE}"]
    if project.may_upgrade or project.config.http.request_body == "stream":
        # Streams are passed on as they come; mod_proxy_http does so by itself.
        words.append("flushpackets=on")
    return [
        "ProxyRequests Off",
        "# timeout is how long the application may be silent, not how long an answer may take.",
        f'ProxyPass "/" "{url}" {" ".join(words)}',
    ]


def _write_request_id() -> list[str]:
    return [
        "# The request id is from here. Hostler does not read other fields of a client's making over this protocol.",
        'RequestHeader set X-Request-Id "%{UNIQUE_ID}e"',
    ]


def _write_forwarded(project: Project) -> list[str]:
    """Set every header that Hostler believes, or unset it: Apache passes on what it is not told about."""
    if project.config.trust.headers == "forwarded":
        names = ("For", "Proto", "Host", "Port", "Prefix")
        return [
            "ProxyAddHeaders Off",
            *(f"RequestHeader unset X-Forwarded-{name}" for name in names),
            "RequestHeader unset X-Request-Id",
            "# RFC 7239 4 and 6: an IPv6 address stands in brackets and quotes.",
            _set_forwarded('\\"[%{REMOTE_ADDR}]\\"', "=="),
            _set_forwarded("%{REMOTE_ADDR}", "!="),
        ]
    return [
        "# mod_proxy itself adds X-Forwarded-For and X-Forwarded-Host. What a client made up is removed.",
        "RequestHeader unset X-Forwarded-Host",
        "RequestHeader unset X-Forwarded-Prefix",
        "RequestHeader unset Forwarded",
        "RequestHeader unset X-Request-Id",
        'RequestHeader set X-Forwarded-Proto "expr=%{REQUEST_SCHEME}"',
        'RequestHeader set X-Forwarded-Port "expr=%{SERVER_PORT}"',
    ]


def _set_forwarded(client: str, comparison: str) -> str:
    value = f"for={client};proto=%{{REQUEST_SCHEME}}"
    return f"""RequestHeader set Forwarded "expr={value}" "expr=%{{IPV6}} {comparison} 'on'\""""
