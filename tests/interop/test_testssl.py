"""testssl.sh looks for weaknesses, and finds none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.certificates import Authority
from tests.e2e.harness import StartServer, free_port

# Debian's version gives no grade; these are what one is made of, with what can be found in a few seconds.
CHECKS = (
    *(
        "--protocols",
        "--std",
        "--renegotiation",
        "--tls-fallback",
        "--robot",
        "--sweet32",
        "--beast",
        "--lucky13",
        "--rc4",
    ),
    "--crime",
)
WEAK = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
# What is told of old protocols and cipher suites that are not there.
ABSENT = ("SSLv2", "SSLv3", "TLS1", "TLS1_1")


# It starts some thousand processes.
@pytest.mark.timeout(240)
def test_nothing_weak_is_found(hostler_server: StartServer, find_peer: FindPeer, tmp_path: Path) -> None:
    program = find_peer("testssl")
    certificate = Authority(tmp_path / "ca").issue("localhost", "127.0.0.1")
    server = hostler_server(
        "tests.e2e.apps.hello:app", "--certificate", str(certificate.chain), bind=f"https://127.0.0.1:{free_port()}"
    )
    report = tmp_path / "report.json"
    arguments = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--jsonfile", str(report))
    command = [program, *arguments, *CHECKS, f"127.0.0.1:{server.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    found = {each["id"]: each for each in json.loads(report.read_text())}
    assert not [each for each in found.values() if each["severity"] in WEAK], done.stdout
    assert {found[name]["finding"] for name in ABSENT} == {"not offered"}
    assert found["TLS1_2"]["severity"] == "OK"
    assert found["TLS1_3"]["severity"] == "OK"
