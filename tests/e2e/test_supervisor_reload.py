"""Reloads of real processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import free_port
from tests.e2e.supervised import Site, site


@pytest.fixture(name="shop")
def fixture_shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def _is_refused(shop: Site) -> bool:
    try:
        shop.facts()
    except ConnectionRefusedError:
        return True
    except OSError:
        # The last connection that the former worker had not accepted when it closed the listener.
        return False
    return False


@pytest.mark.parametrize("preload", [False, True])
def test_reload_brings_new_code_and_environment(shop: Site, preload: bool) -> None:
    shop.configure(app={"preload": preload, "env": {"COLOUR": "red"}})
    shop.start()
    before = shop.facts()
    shop.replace_code("VERSION = 1", "VERSION = 2")
    shop.configure(app={"preload": preload, "env": {"SHAPE": "round"}})
    shop.reload()
    shop.wait_for(lambda: before["pid"] not in shop.server.children(), "the end of the old worker")
    after = shop.facts()
    assert after["version"] == 2
    assert before["environment"]["COLOUR"] == "red"
    assert "COLOUR" not in after["environment"]
    assert after["environment"]["SHAPE"] == "round"
    assert before["parent"] == after["parent"] == shop.server.pid


@pytest.mark.parametrize("preload", [False, True])
def test_code_that_cannot_load_leaves_the_old_workers(shop: Site, preload: bool) -> None:
    shop.configure(app={"preload": preload})
    shop.start()
    before = shop.facts()["pid"]
    shop.replace_code("VERSION = 1", "import no_such_module_here")
    shop.reload()
    assert shop.facts()["pid"] == before
    assert "no_such_module_here" in shop.server.stderr.wait_for("Traceback")
    shop.replace_code("import no_such_module_here", "VERSION = 3")
    shop.reload()
    shop.wait_for(lambda: shop.facts()["version"] == 3, "the mended code serves")


def test_wrong_configuration_leaves_the_old_one(shop: Site) -> None:
    shop.start()
    before = shop.facts()["pid"]
    (shop.directory / "hostler.toml").write_text("[workers]\nthreats = 3\n")
    shop.reload()
    assert shop.facts()["pid"] == before
    assert "threats" in shop.server.stderr.wait_for("reload refused")


def test_reload_moves_to_another_address(shop: Site) -> None:
    shop.start()
    other = free_port()
    shop.configure(server={"bind": [f"127.0.0.1:{other}"]})
    shop.reload()
    former, shop.server.port = shop.server.port, other
    assert shop.facts()["version"] == 1
    shop.server.port = former
    shop.wait_for(lambda: _is_refused(shop), "nobody listens at the former address")


def test_address_in_use_refuses_the_reload(shop: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    shop.start()
    with site(tmp_path_factory.mktemp("other")) as other:
        other.start()
        shop.configure(server={"bind": [shop.address, other.address]})
        shop.reload()
        assert "is in use by another program" in shop.server.stderr.wait_for("reload refused")
        assert other.facts()["parent"] == other.server.pid
    assert shop.facts()["parent"] == shop.server.pid


def test_reload_changes_the_number_of_workers(shop: Site) -> None:
    shop.configure(workers={"count": 3})
    shop.start()
    shop.configure(workers={"count": 1})
    shop.reload()
    shop.wait_for(lambda: len(shop.server.children()) == 1, "one worker is left")


@pytest.mark.parametrize("mode", ["plain", "preload", "reuse_port"])
def test_no_request_fails_while_it_reloads_again_and_again(shop: Site, mode: str) -> None:
    shop.configure(app={"preload": mode == "preload"}, server={"reuse_port": mode == "reuse_port"})
    shop.start()
    stop = threading.Event()
    failures: list[BaseException] = []
    served: set[int] = set()

    def load() -> None:
        while not stop.is_set():
            try:
                served.add(shop.facts()["pid"])
            except (OSError, AssertionError) as error:
                failures.append(error)

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for _ in range(5):
            shop.reload()
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert failures == []
    assert len(served) >= 4


def test_slow_request_is_finished_by_the_old_worker(shop: Site) -> None:
    shop.start()
    answers: list[int] = []
    former = shop.facts()["pid"]
    slow = threading.Thread(target=lambda: answers.append(shop.facts("/slow")["pid"]))
    slow.start()
    shop.reload()
    slow.join()
    assert answers[0] in (former, shop.facts()["pid"])


def test_hangup_during_the_start_does_not_end_it(shop: Site) -> None:
    shop.replace_code("VERSION = 1", "import time; time.sleep(0.3); VERSION = 1")
    shop.start(is_ready=False)
    shop.wait_for(lambda: len(shop.server.children()) == 1, "a worker is there")
    shop.server.signal(signal.SIGHUP)
    shop.server.wait_ready()
    shop.server.notifications.wait_for("READY=1", count=2)
    assert shop.facts()["version"] == 1
