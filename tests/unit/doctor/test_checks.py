"""The doctor's checks, on facts that are made up."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from hostler.cli.doctor import execute
from hostler.doctor.application import is_allowed
from hostler.doctor.certificate import check_certificate, check_files, is_for
from hostler.doctor.firewall import Ruleset, read_iptables, read_nft
from hostler.doctor.machine import check_descriptors, check_firewall, check_selinux
from hostler.doctor.model import Page, parse_page
from hostler.doctor.name import check_name
from hostler.doctor.permission import Visitor, check_path, may
from hostler.doctor.port import check_page_port
from hostler.errors import ConfigurationError
from hostler.system.dialling import Certificate, read_certificate
from hostler.system.listening import Listening, Owner
from hostler.system.pathwalk import Component, walk_path

WWW = Visitor("www-data", 33, frozenset({33, 50}), "nginx")
NOW = 1_800_000_000.0
DAY = 86_400.0


# Pages


@pytest.mark.parametrize(
    "text,page,written",
    [
        ("http://a.org", Page("http", "a.org", 80), "http://a.org/"),
        ("https://A.org:8443/x?y=1", Page("https", "a.org", 8443, "/x?y=1"), "https://a.org:8443/x?y=1"),
        ("http://[::1]:8000/", Page("http", "::1", 8000), "http://[::1]:8000/"),
    ],
)
def test_url_is_read(text: str, page: Page, written: str) -> None:
    assert (parse_page(text), str(page)) == (page, written)


@pytest.mark.parametrize("text", ["ftp://a.org/", "http://", "http://a:b/", "http://a/b c", "http://a/\r\nX: y"])
def test_what_is_no_url_of_a_page_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        parse_page(text)


def test_command_line_is_refused_before_anything_is_looked_at() -> None:
    with pytest.raises(ConfigurationError, match="no URL of a page"):
        execute(["ftp://example.org/"])


# Names and ports


@pytest.mark.parametrize(
    "addresses,level,words",
    [
        (("10.0.0.5",), "fine", "shop.example.org is 10.0.0.5, this machine"),
        (("192.0.2.1",), "warning", "not an address of this machine"),
        ((), "fault", "does not exist"),
        (None, "warning", "cannot be looked up now: no server"),
    ],
)
def test_name_is_followed(addresses: tuple[str, ...] | None, level: str, words: str) -> None:
    own = {"10.0.0.5"}
    (finding,) = check_name("shop.example.org", addresses, is_own=own.__contains__, problem="no server")
    assert finding.level == level
    assert words in finding.found


def test_listener_on_loopback_is_told_from_one_that_the_name_reaches() -> None:
    owner = Owner(7, "nginx", ("nginx: master process",), 0)
    page = Page("http", "shop.example.org", 80)
    (finding,) = check_page_port(page, ("10.0.0.5",), [Listening("127.0.0.1", 80, owners=(owner,))])
    assert finding.found == "nginx (pid 7) listens at 127.0.0.1:80 only, and the name leads to 10.0.0.5"
    (finding,) = check_page_port(page, ("10.0.0.5",), [Listening("0.0.0.0", 80, owners=(owner,))])
    assert finding.level == "fine"


# Permissions


@pytest.mark.parametrize(
    "mode,uid,gid,want,allowed",
    [
        (0o700, 33, 0, 1, True),
        (0o077, 33, 0, 1, False),
        (0o710, 0, 50, 1, True),
        (0o707, 0, 50, 1, False),
        (0o701, 0, 0, 1, True),
        (0o700, 0, 0, 1, False),
        (0o660, 0, 33, 2, True),
        (0o640, 0, 33, 2, False),
    ],
)
def test_mode_is_judged_as_the_kernel_does(mode: int, uid: int, gid: int, want: int, *, allowed: bool) -> None:
    component = Component(Path("/x"), stat.S_IFDIR | mode, uid, gid)
    assert may(WWW, component, want) is allowed
    assert may(Visitor("root", 0, frozenset(), "nginx"), component, want)


def test_group_that_is_there_already_is_the_shorter_remedy() -> None:
    steps = [
        Component(Path("/run/shop"), stat.S_IFDIR | 0o700, 0, 50),
        Component(Path("/run/shop/s"), stat.S_IFSOCK | 0o666, 0, 0),
    ]
    (finding,) = check_path(steps, WWW)
    assert finding.remedies == ("chmod g+x /run/shop",)


def test_access_list_makes_a_fault_a_warning() -> None:
    steps = [
        Component(Path("/run/shop"), stat.S_IFDIR | 0o700, 0, 0, has_acl=True),
        Component(Path("/run/shop/s"), stat.S_IFSOCK | 0o666, 0, 0),
    ]
    (finding,) = check_path(steps, WWW)
    assert (finding.level, "access list" in finding.found) == ("warning", True)


def test_way_goes_through_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "circle").symlink_to("circle")
    names = [step.path.name for step in walk_path(tmp_path / "link" / "file")]
    assert names[-3:] == ["link", "real", "file"]
    assert walk_path(tmp_path / "none" / "file")[-1].problem == "No such file or directory"
    assert walk_path(tmp_path / "circle")[-1].problem == "symbolic links go in a circle"
    assert [step.path for step in walk_path(Path("/real/file"), root=tmp_path)][-1] == Path("/real/file")


# Packet filters

IPTABLES = """\
-P INPUT DROP
-P FORWARD DROP
-P OUTPUT ACCEPT
-N shop
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 5432 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "for people" -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -j ACCEPT
-A INPUT -p tcp -j shop
-A INPUT -p tcp -m multiport --dports 9000:9010,9020 -j REJECT --reject-with tcp-reset
-A shop -p tcp -m tcp --dport 80 -j ACCEPT
-A shop -p tcp -m tcp --dport 9005 -j RETURN
"""


@pytest.mark.parametrize(
    "port,verdict",
    [
        (22, None),
        (80, None),
        (53, "drop"),
        (443, "drop"),
        (5432, "drop"),
        (9005, "reject"),
        (9020, "reject"),
        (9011, "drop"),
    ],
)
def test_iptables_rules_are_followed(port: int, verdict: str | None) -> None:
    answer = read_iptables(IPTABLES).judge(port)
    assert (answer.verdict if answer else None) == verdict


def nft(*rules: Sequence[object], policy: str = "accept") -> Ruleset:
    base = {"family": "inet", "table": "t"}
    chain = {"chain": {**base, "name": "in", "hook": "input", "prio": 0, "policy": policy}}
    other = {"chain": {**base, "name": "web"}}
    written = [{"rule": {**base, "chain": "in", "handle": number, "expr": rule}} for number, rule in enumerate(rules)]
    web = {"rule": {**base, "chain": "web", "handle": 99, "expr": [dport(80), {"drop": None}]}}
    (ruleset,) = read_nft(json.dumps({"nftables": [{"metainfo": {}}, chain, other, *written, web]}))
    return ruleset


def dport(value: object) -> dict[str, object]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": value}}


@pytest.mark.parametrize(
    "value,port,is_dropped",
    [(80, 80, True), (80, 81, False), ({"range": [80, 90]}, 85, True), ({"set": [22, {"range": [80, 90]}]}, 90, True)],
)
def test_nft_rules_are_followed(value: object, port: int, *, is_dropped: bool) -> None:
    assert (nft([dport(value), {"drop": None}]).judge(port) is not None) is is_dropped


def test_nft_rule_for_some_clients_says_nothing_of_others() -> None:
    some = {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.1"}}
    assert nft([some, {"drop": None}]).judge(80) is None
    assert nft([some, {"accept": None}], policy="drop").judge(80) is not None
    assert nft([{"jump": {"target": "web"}}]).judge(80) is not None
    assert read_nft("not json") == ()


def test_filter_in_the_way_comes_with_its_command() -> None:
    (finding,) = check_firewall(443, [read_iptables(IPTABLES)])
    assert finding.remedies == ("iptables -I INPUT -p tcp --dport 443 -j ACCEPT",)
    (finding,) = check_firewall(443, [read_iptables(IPTABLES.replace("shop", "ufw-user-input"))])
    assert finding.remedies == ("ufw allow 443/tcp",)
    assert list(check_firewall(443, [])) == []


# Certificates


def certificate(**changed: object) -> Certificate:
    facts = {"names": ("a.org", "*.a.org"), "begins": NOW - DAY, "ends": NOW + 60 * DAY, "issuer": "Somebody"}
    return Certificate(**{**facts, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize("host,fits", [("a.org", True), ("W.a.org", True), ("b.w.a.org", False), ("b.org", False)])
def test_wildcard_is_for_one_label(host: str, *, fits: bool) -> None:
    assert is_for(certificate(), host) is fits


@pytest.mark.parametrize(
    "changed,level,words",
    [
        ({}, "fine", "for a.org, by Somebody"),
        ({"ends": NOW - 3 * DAY}, "fault", "3 days ago"),
        ({"ends": NOW + 5 * DAY}, "warning", "its renewal does not work"),
        ({"begins": NOW + DAY}, "fault", "is the clock right?"),
        ({"names": ()}, "fault", "it is for no name, not for a.org"),
        ({"is_self_signed": True}, "warning", "self-signed"),
        ({"distrust": "unable to get local issuer certificate"}, "warning", "do not believe Somebody"),
    ],
)
def test_certificate_is_judged(changed: dict[str, object], level: str, words: str) -> None:
    found = list(check_certificate(certificate(**changed), "/etc/ssl/a.pem", "a.org", NOW))
    assert any(each.level == level and words in each.found for each in found)


def test_key_that_is_another_s_is_told(tmp_path: Path) -> None:
    for name in ("one", "other"):
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2"]
        out = ["-keyout", f"{tmp_path}/{name}.key", "-out", f"{tmp_path}/{name}.pem"]
        subprocess.run(
            [*new, "-addext", f"subjectAltName=DNS:{name}.org", *out], check=True, capture_output=True, timeout=60
        )
    read = read_certificate(tmp_path / "one.pem", tmp_path / "one.key")
    assert (read.names, read.is_self_signed) == (("one.org",), True)
    assert read.ends > read.begins
    with pytest.raises(OSError, match="mismatch") as caught:
        read_certificate(tmp_path / "one.pem", tmp_path / "other.key")
    finding = check_files("one.pem", "other.key", str(caught.value))
    assert finding.found == "the key other.key is not that of the certificate one.pem"


# Django, the machine


@pytest.mark.parametrize(
    "host,allowed,accepted",
    [
        ("a.org", ["a.org"], True),
        ("A.org.", ["a.org"], True),
        ("w.a.org", [".a.org"], True),
        ("a.org", [".a.org"], True),
        ("b.org", [".a.org", "a.org"], False),
        ("b.org", ["*"], True),
        ("b.org", [], False),
    ],
)
def test_host_is_judged_as_django_does(host: str, allowed: list[str], *, accepted: bool) -> None:
    from django.http.request import validate_host

    assert is_allowed(host, allowed) is accepted
    assert validate_host(host.lower().rstrip("."), allowed) is accepted


@pytest.mark.parametrize(
    "enforcing,connect,tcp,level",
    [
        (False, None, True, None),
        (True, True, True, None),
        (True, False, True, "fault"),
        (True, None, True, "note"),
        (True, None, False, "note"),
    ],
)
def test_selinux_is_told_where_it_may_be_in_the_way(
    level: str | None, *, enforcing: bool, connect: bool | None, tcp: bool
) -> None:
    found = list(check_selinux(is_enforcing=enforcing, may_connect=connect, is_tcp=tcp))
    assert [each.level for each in found] == ([level] if level else [])


def test_descriptors_are_compared_with_connections() -> None:
    assert list(check_descriptors(1, 65_536, 11_024)) == []
    assert list(check_descriptors(1, None, 11_024)) == []
    (finding,) = check_descriptors(1, 1024, 11_024)
    assert "LimitNOFILE=65536" in finding.remedies[0]
