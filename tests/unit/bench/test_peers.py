"""The peers' environment against its lock file."""

from __future__ import annotations

from pathlib import Path

from bench.peers import REQUIREMENTS, find_missing, is_ready, parse_lock
from bench.server import SERVERS

ROOT = Path(__file__).resolve().parents[3]
LOCK = "# a comment with a==1\nWaitress==3.0.2 \\\n    --hash=sha256:00\n    # via -r requirements.in\na_b.c==1.0\n"


def install(environment: Path, name: str, version: str) -> None:
    folder = environment / "lib" / "python3.11" / "site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_lock_is_read_by_normalized_name() -> None:
    assert parse_lock(LOCK) == {"waitress": "3.0.2", "a-b-c": "1.0"}


def test_packages_that_are_absent_or_of_another_version_are_missing(tmp_path: Path) -> None:
    install(tmp_path, "A.B_c", "1.0")
    install(tmp_path, "waitress", "3.0.1")
    assert find_missing(tmp_path, {"a-b-c": "1.0", "waitress": "3.0.2", "bjoern": "3.2.2"}) == ["bjoern", "waitress"]


def test_environment_that_does_not_exist_is_not_ready(tmp_path: Path) -> None:
    assert not is_ready(tmp_path / "nothing")


def test_every_peer_is_in_the_lock_file() -> None:
    wanted = parse_lock(REQUIREMENTS.read_text())
    assert {server.package for server in SERVERS if server.package} <= set(wanted)


def test_hostler_and_its_peers_run_on_the_same_versions() -> None:
    peers, ours = parse_lock(REQUIREMENTS.read_text()), parse_lock((ROOT / "requirements" / "dev.txt").read_text())
    shared = {name for name in peers if name in ours}
    assert {"fastapi", "flask", "uvloop", "websockets"} <= shared
    assert {name: peers[name] for name in shared} == {name: ours[name] for name in shared}
