"""What nginx's and Apache's files say is read as those servers read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.doctor import apache, nginx
from hostler.doctor.directive import read_apache, read_nginx, split_dump
from hostler.doctor.front import check_way, find_way, is_same
from hostler.doctor.model import Page, Site, WebServer
from hostler.doctor.site import find_default_site, find_named_site, find_route
from hostler.system.address import parse_address

DUMP = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
# configuration file /etc/nginx/nginx.conf:
user  www-data;  # who
http {
    include /etc/nginx/conf.d/*.conf;
    proxy_set_header Host $host;
}
# configuration file /etc/nginx/conf.d/shop.conf:
upstream shop { server unix:/run/shop.sock fail_timeout=0; server 127.0.0.1:8001; }
server {
    listen 80 default_server;
    listen [::]:443 ssl;
    server_name shop.example.org "*.shop.example.org" ~^(?<who>\\w+)\\.example\\.net$;
    ssl_certificate /etc/ssl/shop.pem; ssl_certificate_key /etc/ssl/shop.key;
    location = /exact { return 204; }
    location /static/ { alias /srv/static/; }
    location ^~ /final/ { proxy_pass http://shop; }
    location ~ \\.php$ { fastcgi_pass 127.0.0.1:9000; }
    location / { try_files $uri @app; }
    location @app { proxy_pass http://shop; }
}
server { listen 127.0.0.1:8080; server_name other.example.org; root /srv/other; }
"""


@pytest.fixture(scope="module")
def sites() -> tuple[Site, ...]:
    return nginx.build_sites(read_nginx(split_dump(DUMP)))


def test_dump_is_split_into_files_and_joined_by_their_includes(sites: tuple[Site, ...]) -> None:
    assert [site.where for site in sites] == ["/etc/nginx/conf.d/shop.conf:2", "/etc/nginx/conf.d/shop.conf:14"]
    assert nginx.find_user(read_nginx(split_dump(DUMP))) == "www-data"
    assert [(each.host, each.port, each.is_tls) for each in sites[0].listens] == [("", 80, False), ("", 443, True)]
    assert (sites[0].certificate, sites[0].key) == ("/etc/ssl/shop.pem", "/etc/ssl/shop.key")


@pytest.mark.parametrize(
    "path,kind,pattern",
    [
        ("/exact", "exact", "/exact"),
        ("/exact/", "prefix", "/"),
        ("/static/a.css?x=1", "prefix", "/static/"),
        ("/final/a.php", "final", "/final/"),
        ("/a.php", "regex", "\\.php$"),
        ("/static/a.php", "regex", "\\.php$"),
        ("/", "prefix", "/"),
    ],
)
def test_location_is_chosen_as_nginx_does(sites: tuple[Site, ...], path: str, kind: str, pattern: str) -> None:
    route = find_route(sites[0], path)
    assert route is not None
    assert (route.kind, route.pattern) == (kind, pattern)


def test_detour_by_try_files_leads_to_the_upstreams_servers(sites: tuple[Site, ...]) -> None:
    route = find_route(sites[0], "/")
    assert route is not None
    assert route.passes is not None
    assert route.passes.targets == ("unix:/run/shop.sock", "127.0.0.1:8001")
    # What is set outside holds within, as long as nothing is set there.
    assert route.passes.host == "client"


@pytest.mark.parametrize(
    "host,number",
    [
        ("SHOP.example.org", 0),
        ("a.b.shop.example.org", 0),
        ("groom.example.net", 0),
        ("other.example.org", 1),
        ("example.org", None),
    ],
)
def test_site_is_chosen_by_its_names(sites: tuple[Site, ...], host: str, number: int | None) -> None:
    assert find_named_site(sites, host) is (None if number is None else sites[number])


def test_default_site_answers_for_other_names(sites: tuple[Site, ...]) -> None:
    assert find_default_site(sites, Page("http", "x", 80)) is sites[0]
    assert find_default_site((), Page("http", "x", 80)) is None


APACHE = """\
Define SITE shop
Listen 80
Listen 8080
<IfModule mod_ssl.c>
  <VirtualHost *:443>
    ServerName https://${SITE}.example.org:443
    ServerAlias www.${SITE}.example.org
    SSLEngine on
    SSLCertificateFile "/etc/ssl/shop.pem"
    ProxyPass /static/ !
    ProxyPass "/" "unix:/run/shop.sock|uwsgi://shop/"
    RequestHeader set X-Forwarded-Proto "https"
  </VirtualHost>
</IfModule>
<VirtualHost *:80>
  ServerName shop.example.org
  Redirect permanent / \\
    https://shop.example.org/
</VirtualHost>
"""


def test_virtual_hosts_are_read_through_conditions_and_variables() -> None:
    secure, plain, outside = apache.build_sites(read_apache({"/etc/apache2/a.conf": APACHE}, {}))
    assert secure.names == ("shop.example.org", "www.shop.example.org")
    assert (secure.certificate, secure.key) == ("/etc/ssl/shop.pem", "/etc/ssl/shop.pem")
    static, page = find_route(secure, "/static/a"), find_route(secure, "/page")
    assert static is not None
    assert page is not None
    assert (static.passes, page.passes and page.passes.protocol) == (None, "uwsgi")
    assert page.passes is not None
    assert (page.passes.targets, page.passes.fields["x-forwarded-proto"]) == (("unix:/run/shop.sock",), "https")
    redirect = find_route(plain, "/")
    assert redirect is not None
    assert (redirect.answers, plain.where) == ("a redirect", "/etc/apache2/a.conf:15")
    # Where a virtual host listens, what is outside is never asked.
    assert [each.port for each in outside.listens] == [8080]


def test_files_and_settings_are_read_from_apache_s_own_dump() -> None:
    dump = (
        'ServerRoot: "/etc/apache2"\nMain ErrorLog: "/var/log/apache2/error.log"\nUser: name="www-data" id=33\n'
        "Included configuration files:\n  (*) /etc/apache2/apache2.conf\n    (146) /etc/apache2/ports.conf\n"
    )
    assert apache.list_included(dump) == ("/etc/apache2/apache2.conf", "/etc/apache2/ports.conf")
    assert apache.read_settings(dump)["User"] == "www-data"


@pytest.mark.parametrize(
    "target,bind,same",
    [
        ("unix:/run/a.sock", "unix:/run/a.sock?mode=660", True),
        ("localhost:8000", "127.0.0.1:8000", True),
        ("127.0.0.1:8000", ":8000", True),
        ("10.0.0.1:8000", "127.0.0.1:8000", False),
        ("127.0.0.1:8001", "127.0.0.1:8000", False),
        ("$backend", "127.0.0.1:8000", False),
    ],
)
def test_target_is_compared_with_an_address(target: str, bind: str, *, same: bool) -> None:
    assert is_same(target, parse_address(bind)) is same


def test_site_that_listens_at_another_port_is_told(sites: tuple[Site, ...]) -> None:
    page = Page("http", "other.example.org", 81)
    way = find_way(WebServer("nginx", sites), page, ())
    (finding,) = check_way(way, page, ())
    assert finding.found == "the site of other.example.org listens at 8080, not at 81"


@given(st.text(alphabet=st.sampled_from(list("server{};\"'#\\ \n$@/a<>")), max_size=200))
def test_no_file_is_refused(text: str) -> None:
    """Invariant: whatever stands there, something comes out."""
    nginx.build_sites(read_nginx({"/a/nginx.conf": f"http {{ {text}", "/a/b": text}))
    apache.build_sites(read_apache({"/a": text}, {}))
