"""What this machine allows: SELinux, descriptors, packet filters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hostler.doctor.firewall import Ruleset
from hostler.doctor.model import Finding


def check_descriptors(pid: int, limit: int | None, needed: int) -> Iterator[Finding]:
    """Check that a process may have enough files open.

    Args:
        pid: the process.
        limit: what it may.
        needed: what its connections take.
    """
    if limit is not None and limit < needed:
        yield Finding(
            "warning",
            "machine",
            f"Hostler (pid {pid}) may have {limit} files open, and limits.connections with the rest needs {needed}",
            f"/proc/{pid}/limits",
            ("LimitNOFILE=65536    # under [Service] of its unit", "# or fewer connections: --limits-connections"),
        )


def check_selinux(*, is_enforcing: bool, may_connect: bool | None, is_tcp: bool) -> Iterator[Finding]:
    """Say what SELinux may refuse the web server."""
    if not is_enforcing or (is_tcp and may_connect):
        return
    if is_tcp:
        is_known = may_connect is False
        verb = "keeps" if is_known else "is enforcing, and may keep"
        yield Finding(
            "fault" if is_known else "note",
            "machine",
            f"SELinux {verb} the web server from connecting to Hostler",
            "httpd_can_network_connect",
            ("setsebool -P httpd_can_network_connect 1",),
        )
        return
    yield Finding(
        "note",
        "machine",
        "SELinux is enforcing, and may keep the web server from the socket",
        remedies=(
            "ausearch -m avc -ts recent    # what it refused",
            "# sockets below /run/ with the type httpd_var_run_t are let through",
        ),
    )


def check_firewall(port: int, rulesets: Sequence[Ruleset]) -> Iterator[Finding]:
    """Check that packet filters let connections to a port in."""
    for ruleset in rulesets:
        answer = ruleset.judge(port)
        if answer is not None:
            word = "rejects" if answer.verdict == "reject" else "drops"
            yield Finding(
                "fault",
                "firewall",
                f"the packet filter {word} connections from outside to port {port}",
                answer.text,
                _open(ruleset, answer.chain, port),
            )
            return
    if rulesets:
        yield Finding("fine", "firewall", f"no rule is in the way of port {port}")


def _open(ruleset: Ruleset, chain: str, port: int) -> tuple[str, ...]:
    if ruleset.is_ufw:
        return (f"ufw allow {port}/tcp",)
    if ruleset.name.startswith("nft "):
        table = ruleset.name.removeprefix("nft ")
        return (f"nft insert rule {table} {chain} tcp dport {port} accept    # and into /etc/nftables.conf",)
    return (f"{ruleset.name} -I {chain} -p tcp --dport {port} -j ACCEPT",)
