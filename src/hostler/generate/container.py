"""What the files for containers share: port, user, probe."""

from __future__ import annotations

from hostler.generate.model import Project
from hostler.system.address import TcpAddress, parse_addresses

# Where Hostler listens in a container when the configuration names no TCP port, or one that only root may have.
PORT = 8000
FIRST_FREE_PORT = 1024
# Beyond the users that a distribution or a machine knows (arbitrary); named by number, as Kubernetes asks for.
UID = 10001
# Seconds that an order to stop waits for beyond server.graceful_timeout, for exit handlers; arbitrary.
MARGIN = 5

_PROBE = (
    "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', {port}, timeout=4); "
    "c.request('GET', '{path}'); sys.exit(c.getresponse().status >= {limit})"
)


def find_port(project: Project) -> int:
    """Give the port that the container listens on."""
    port = find_published(project)[1]
    return port if port >= FIRST_FREE_PORT else PORT


def find_published(project: Project) -> tuple[str, int]:
    """Give the first TCP address of the configuration as host and port; loopback and `PORT` without one."""
    for address in parse_addresses(project.config.server.bind):
        if isinstance(address, TcpAddress) and address.port:
            return address.host, address.port
    return "127.0.0.1", PORT


def build_probe(port: int, health_path: str) -> list[str]:
    """Build a command that succeeds when the application answers: well, or at all where no path is known for that."""
    # An application may answer / with 302, 400 or 404 in good health.
    limit = 400 if health_path else 500
    return ["python", "-c", _PROBE.format(port=port, path=health_path or "/", limit=limit)]


def list_writable(project: Project) -> list[str]:
    """List the directories that large request bodies go to; nothing else of the container need be writable."""
    places = ["/tmp"]  # noqa: S108 - a mount of the container's own
    return places + [each for each in (project.config.http.body_directory,) if each and each not in places]


def write_trust(project: Project, front: str, network: str) -> str:
    """Write comment lines on whose X-Forwarded-* headers count, where only those of the container itself do."""
    if any(each not in {"127.0.0.1", "::1", "unix"} for each in project.config.trust.networks):
        return ""
    return (
        f"# Hostler does not believe {front} yet, so that clients' addresses and https are not seen:\n"
        f"# generate again with --trust NETWORK, {network}.\n"
    )
