"""Web servers in front of Hostler, one site for each way in which they can pass requests on.

Each site has the application at its root, below /shop/ as if mounted there, and below /private/ for those who have a
password, with a variable of the site's own.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.harness import free_port
from tests.interop.nginx import PREAMBLE

USER, PASSWORD = "groom", "correct horse"
# The form that nginx and Apache both read.
USERS = f"{USER}:{{SHA}}{base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()}\n".encode()
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Backend:
    """Where one Hostler listens, for each protocol.

    Attributes:
        directory: of the unix socket.
        http: port of HTTP.
        uwsgi: port of uwsgi.
        scgi: port of SCGI.
        fastcgi: port of FastCGI.
        https: port of HTTPS.
    """

    directory: Path
    http: int = field(default_factory=free_port)
    uwsgi: int = field(default_factory=free_port)
    scgi: int = field(default_factory=free_port)
    fastcgi: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)

    @property
    def unix(self) -> str:
        return f"{self.directory}/app.sock"

    @property
    def binds(self) -> tuple[str, ...]:
        """All but the first address and that of HTTPS, as options."""
        addresses = (
            f"uwsgi://127.0.0.1:{self.uwsgi}",
            f"unix:{self.unix}?protocol=uwsgi",
            f"127.0.0.1:{self.scgi}?protocol=scgi",
            f"fastcgi://127.0.0.1:{self.fastcgi}",
        )
        return tuple(part for address in addresses for part in ("--bind", address))

    def secure_bind(self, certificate: Path) -> tuple[str, ...]:
        """The address of HTTPS, as options; the file has certificate and key."""
        return ("--bind", f"https://127.0.0.1:{self.https}", "--certificate", str(certificate))


@dataclass(frozen=True, slots=True)
class Site:
    """One site of a web server, or Hostler itself.

    Attributes:
        front: what it is, such as "nginx-uwsgi".
        port: where it speaks HTTP, on 127.0.0.1.
        secure_port: where it speaks HTTPS; 0 if it does not.
    """

    front: str
    port: int
    secure_port: int = 0


NGINX_PASSES = {
    "nginx-http": """
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Prefix "%(prefix)s";
        proxy_set_header X-Request-Id $request_id;
        proxy_pass http://127.0.0.1:%(http)d%(root)s;
    """,
    "nginx-uwsgi": """
        include /etc/nginx/uwsgi_params;
        uwsgi_param HTTP_HOST $http_host;
        uwsgi_param HTTP_X_REQUEST_ID $request_id;
        %(uwsgi_mount)s
        uwsgi_pass 127.0.0.1:%(uwsgi)d;
    """,
    "nginx-uwsgi-unix": """
        include /etc/nginx/uwsgi_params;
        uwsgi_param HTTP_HOST $http_host;
        uwsgi_param HTTP_X_REQUEST_ID $request_id;
        %(uwsgi_mount)s
        uwsgi_pass unix:%(unix)s;
    """,
    "nginx-scgi": """
        include /etc/nginx/scgi_params;
        scgi_param HTTP_HOST $http_host;
        scgi_param HTTP_X_REQUEST_ID $request_id;
        %(scgi_mount)s
        scgi_pass 127.0.0.1:%(scgi)d;
    """,
    "nginx-fastcgi": """
        include /etc/nginx/fastcgi_params;
        fastcgi_param HTTP_HOST $http_host;
        fastcgi_param HTTP_X_REQUEST_ID $request_id;
        %(fastcgi_mount)s
        fastcgi_keep_conn on;
        fastcgi_pass kept;
    """,
    "nginx-fastcgi-streams": """
        include /etc/nginx/fastcgi_params;
        fastcgi_param HTTP_HOST $http_host;
        fastcgi_param HTTP_X_REQUEST_ID $request_id;
        %(fastcgi_mount)s
        fastcgi_request_buffering off;
        fastcgi_buffering off;
        fastcgi_pass 127.0.0.1:%(fastcgi)d;
    """,
}
NGINX_UPSTREAM = "upstream kept { server 127.0.0.1:%(fastcgi)d; keepalive 4; }"
NGINX_PRIVATE = {
    "nginx-http": "",
    "nginx-uwsgi": "uwsgi_param REMOTE_USER $remote_user; uwsgi_param X_STABLE seven;",
    "nginx-uwsgi-unix": "uwsgi_param REMOTE_USER $remote_user; uwsgi_param X_STABLE seven;",
    "nginx-scgi": "scgi_param REMOTE_USER $remote_user; scgi_param X_STABLE seven;",
    "nginx-fastcgi": "fastcgi_param REMOTE_USER $remote_user; fastcgi_param X_STABLE seven;",
    "nginx-fastcgi-streams": "fastcgi_param REMOTE_USER $remote_user; fastcgi_param X_STABLE seven;",
}
# Where the path is split by an expression, nginx wants no path behind the address of the other side.
SPLIT = "~ ^/shop(?<rest>/.*)$"
NGINX_SHOP = {"nginx-scgi": SPLIT, "nginx-fastcgi": SPLIT, "nginx-fastcgi-streams": SPLIT}
UWSGI_MOUNT = "uwsgi_param SCRIPT_NAME /shop; uwsgi_modifier1 30;"
SCGI_MOUNT = "scgi_param SCRIPT_NAME /shop; scgi_param PATH_INFO $rest;"
FASTCGI_MOUNT = "fastcgi_param SCRIPT_NAME /shop; fastcgi_param PATH_INFO $rest;"
NGINX_SITE = """
    server {
        listen 127.0.0.1:%(port)d;
        listen 127.0.0.1:%(secure_port)d ssl;
        server_name localhost;
        client_max_body_size 100m;
        location / { %(passed)s }
        location %(shop)s { %(passed_shop)s }
        location /private/ {
            auth_basic stable;
            auth_basic_user_file {directory}/users;
            %(passed)s
            %(private)s
        }
    }
"""
NGINX = (
    PREAMBLE
    + """\
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    server {{
        listen 127.0.0.1:{http_port};
        return 204;
    }}
    %s
}}
"""
)


def nginx_sites(backend: Backend) -> tuple[list[Site], str]:
    """Sites of nginx before that server, and their configuration (`str.format` puts the rest in)."""
    sites = [Site(front, free_port(), free_port()) for front in NGINX_PASSES]
    upstream = NGINX_UPSTREAM % {"fastcgi": backend.fastcgi}
    text = upstream.replace("{", "{{").replace("}", "}}")
    return sites, text + "".join(_nginx_site(site, backend) for site in sites)


def _nginx_site(site: Site, backend: Backend) -> str:
    places: dict[str, object] = {
        "http": backend.http, "uwsgi": backend.uwsgi, "scgi": backend.scgi, "unix": backend.unix,
        "fastcgi": backend.fastcgi,
        "port": site.port, "secure_port": site.secure_port, "private": NGINX_PRIVATE[site.front],
        "shop": NGINX_SHOP.get(site.front, "/shop/"),
    }  # fmt: skip
    template = NGINX_PASSES[site.front]
    places["passed"] = template % {
        **places,
        "prefix": "",
        "root": "",
        "uwsgi_mount": "",
        "scgi_mount": "",
        "fastcgi_mount": "",
    }
    mounts = {
        "prefix": "/shop",
        "root": "/",
        "uwsgi_mount": UWSGI_MOUNT,
        "scgi_mount": SCGI_MOUNT,
        "fastcgi_mount": FASTCGI_MOUNT,
    }
    places["passed_shop"] = template % {**places, **mounts}
    text = NGINX_SITE % places
    return text.replace("{", "{{").replace("}", "}}").replace("{{directory}}", "{directory}")


APACHE_TARGETS = {
    "apache-http": "http://127.0.0.1:%(http)d/",
    "apache-uwsgi": "uwsgi://127.0.0.1:%(uwsgi)d/",
    "apache-scgi": "scgi://127.0.0.1:%(scgi)d/",
    "apache-fastcgi": "fcgi://127.0.0.1:%(fastcgi)d/",
}
APACHE_SITE = """
<VirtualHost 127.0.0.1:%(port)d>
    %(tls)s
    ProxyPreserveHost On
    RequestHeader set X-Forwarded-Proto "expr=%%{REQUEST_SCHEME}"
    RequestHeader set X-Request-Id "%%{UNIQUE_ID}e"
    RequestHeader unset X-Forwarded-Prefix
    ProxyPass /shop/ %(target)s flushpackets=on
    ProxyPass / %(target)s flushpackets=on
    <Location /shop/>
        RequestHeader set X-Forwarded-Prefix /shop
    </Location>
    <Location /private/>
        AuthType Basic
        AuthName stable
        AuthUserFile DIRECTORY/users
        Require valid-user
        SetEnv X_STABLE seven
    </Location>
</VirtualHost>
"""
APACHE_TLS = "SSLEngine on\nSSLCertificateFile DIRECTORY/certificate.pem"


def apache_sites(backend: Backend) -> tuple[list[Site], str]:
    """Sites of Apache before that server, and their configuration."""
    sites = [Site(front, free_port(), free_port()) for front in APACHE_TARGETS]
    places = {"http": backend.http, "uwsgi": backend.uwsgi, "scgi": backend.scgi, "fastcgi": backend.fastcgi}
    text = ""
    for site in sites:
        common = {"target": APACHE_TARGETS[site.front] % places}
        text += APACHE_SITE % {**common, "port": site.port, "tls": ""}
        text += APACHE_SITE % {**common, "port": site.secure_port, "tls": APACHE_TLS}
    return sites, text
